//! The pace of crawling: one budget in the catalog, shared by all workers that reach the site from the same place, a
//! pause by chance between two requests, and how much one run may bring home. Knows no site and no tool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::catalog::{Catalog, budgets, jobs, pauses};
use crate::clock::Stop;
use crate::config::CrawlConfig;
use crate::failure::{Failure, Reason};
use crate::types::StageName;

use super::JobContext;

/// So many requests an hour, so far apart. Clones, and other processes on the same catalog, share it.
#[derive(Clone)]
pub(crate) struct Budget {
    catalog: Catalog,
    egress: String,
    rate: budgets::Rate,
    pause_s: f64,
}

impl Budget {
    /// The budget that the settings give to the network address they name.
    pub(crate) fn new(catalog: Catalog, crawl: &CrawlConfig) -> Self {
        let rate = budgets::Rate { per_hour: f64::from(crawl.videos_per_hour), burst: 1.0 };
        Self { catalog, egress: crawl.egress.clone(), rate, pause_s: crawl.pause_s }
    }

    /// Waits until `stage` may ask the site once more; the attempt counts from then on. Interrupted by a stop, and by a
    /// pause that another worker began.
    pub(crate) async fn wait_for_turn(
        &self,
        stage: StageName,
        context: &JobContext<'_>,
    ) -> Result<(), Failure> {
        self.set_waits(context, true).await?;
        self.turn(stage, context.stop).await?;
        self.set_waits(context, false).await
    }

    async fn set_waits(&self, context: &JobContext<'_>, waits: bool) -> Result<(), Failure> {
        if jobs::set_waits(&self.catalog, context.job, waits).await? {
            return Ok(());
        }
        Err(Failure::transient(Reason::Interrupted, "the lease was lost while this waited for its turn"))
    }

    async fn turn(&self, stage: StageName, stop: &Stop) -> Result<(), Failure> {
        // The last digits of the clock are random enough for a polite pause.
        let chance = (self.catalog.clock().now_ms() % 1_000) as f64 / 1_000.0;
        sleep(Duration::from_secs_f64(self.pause_s * (1.0 + chance)), stop).await?;
        loop {
            match budgets::take(&self.catalog, &self.egress, self.rate).await? {
                budgets::Token::Taken => break,
                budgets::Token::Wait(wait_ms) => {
                    sleep(Duration::from_millis(wait_ms.max(0).unsigned_abs()), stop).await?;
                }
            }
        }
        match pauses::of_stage(&self.catalog, stage).await? {
            Some(pause) => Err(Failure::transient(
                Reason::Interrupted,
                format!("the stage was paused ({}) while this waited for its turn", pause.reason),
            )),
            None => Ok(()),
        }
    }
}

/// How many bytes one run may bring home; asks for an end once they are reached. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ByteLimit {
    left: Arc<AtomicU64>,
    reached: Stop,
}

impl ByteLimit {
    /// `reached` is asked once `most_bytes` were spent; the file that passes the limit is kept.
    pub(crate) fn new(most_bytes: u64, reached: Stop) -> Self {
        Self { left: Arc::new(AtomicU64::new(most_bytes)), reached }
    }

    /// Counts a file.
    pub(crate) fn spend(&self, bytes: u64) {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(bytes)));
        if before.is_ok_and(|left| left <= bytes) {
            self.reached.ask();
        }
    }
}

/// Waits, unless a stop is asked.
async fn sleep(duration: Duration, stop: &Stop) -> Result<(), Failure> {
    match tokio::time::timeout(duration, stop.asked()).await {
        Ok(()) => Err(Failure::transient(Reason::Interrupted, "interrupted while waiting for a turn")),
        Err(_elapsed) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::failure::FailureKind;
    use crate::progress::Silent;

    async fn catalog(folder: &tempfile::TempDir) -> Catalog {
        Catalog::open(&folder.path().join("catalog.sqlite"), &Clock::system()).await.unwrap()
    }

    #[tokio::test]
    async fn two_processes_share_one_budget() {
        let folder = tempfile::tempdir().unwrap();
        // Twenty a second: six turns take a quarter of a second, whoever takes them.
        let crawl = CrawlConfig { videos_per_hour: 72_000, pause_s: 0.0, ..CrawlConfig::default() };
        let (one, other) = (catalog(&folder).await, catalog(&folder).await);
        let began = std::time::Instant::now();
        let turns = |catalog: Catalog| {
            let budget = Budget::new(catalog, &crawl);
            async move {
                for _ in 0..3 {
                    budget.turn(StageName::Fetch, &Stop::default()).await.unwrap();
                }
            }
        };
        tokio::join!(turns(one), turns(other));
        assert!(began.elapsed() >= Duration::from_millis(240), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_pause_that_began_meanwhile_holds() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = catalog(&folder).await;
        let crawl = CrawlConfig { pause_s: 0.0, ..CrawlConfig::default() };
        let mut tx = catalog.begin().await.unwrap();
        pauses::begin(&mut tx, StageName::Fetch, Reason::Blocked, "a robot", None).await.unwrap();
        tx.commit().await.unwrap();
        let failure =
            Budget::new(catalog, &crawl).turn(StageName::Fetch, &Stop::default()).await.unwrap_err();
        assert_eq!((failure.kind, failure.reason), (FailureKind::Transient, Reason::Interrupted));
    }

    #[tokio::test]
    async fn who_is_killed_while_it_waits_for_its_turn_has_used_up_no_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = catalog(&folder).await;
        let crawl = CrawlConfig { videos_per_hour: 1, pause_s: 0.0, ..CrawlConfig::default() };
        let budget = Budget::new(catalog.clone(), &crawl);
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue(&mut tx, StageName::Fetch, "1", 0, 7).await.unwrap();
        tx.commit().await.unwrap();
        let (stop, clock) = (Stop::default(), Clock::system());
        let claim = jobs::Claim { stage: StageName::Fetch, rev: "1", worker: "w", lease_ms: 0 };
        let attempt = async || {
            let job = jobs::claim(&catalog, claim, &jobs::Only::default()).await.unwrap().unwrap();
            let context = JobContext { job: &job, stop: &stop, clock: &clock, reporter: &Silent };
            let turn = budget.wait_for_turn(StageName::Fetch, &context);
            // Dropped in the middle, as by a kill; its lease has ended by then.
            let waited = tokio::time::timeout(Duration::from_millis(200), turn).await;
            (job.attempt, waited.is_ok())
        };
        // The one turn of this hour is taken at once, and counts; the others are waited for.
        assert_eq!(attempt().await, (1, true));
        for _ in 0..3 {
            assert_eq!(attempt().await, (2, false));
        }
    }

    #[test]
    fn the_file_that_passes_the_byte_limit_is_the_last() {
        let reached = Stop::default();
        let limit = ByteLimit::new(100, reached.clone());
        limit.spend(60);
        assert!(!reached.is_asked());
        limit.clone().spend(60);
        assert!(reached.is_asked());
    }
}

//! The pace of crawling: one budget in the catalog, shared by all workers that reach the site from the same address, a
//! random pause between two requests, and a limit on the bytes that one run downloads. Knows no site and no tool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::catalog::{Catalog, budgets, jobs, pauses};
use crate::clock::Stop;
use crate::config::CrawlConfig;
use crate::failure::{Failure, Reason};
use crate::types::StageName;

use super::JobContext;

/// Limits the requests an hour, and how close together they are. Shared by clones and by other processes on the same
/// catalog.
#[derive(Clone)]
pub(crate) struct Budget {
    catalog: Catalog,
    egress: String,
    rate: budgets::Rate,
    pause_s: f64,
}

impl Budget {
    /// The budget in the settings for the network address that they name.
    pub(crate) fn new(catalog: Catalog, crawl: &CrawlConfig) -> Self {
        let rate = budgets::Rate { per_hour: f64::from(crawl.videos_per_hour), burst: 1.0 };
        Self { catalog, egress: crawl.egress.clone(), rate, pause_s: crawl.pause_s }
    }

    /// Waits until `stage` may send its next request; the attempt counts from then on. Fails as interrupted once
    /// nothing new is to be begun, or when another worker pauses the stage.
    pub(crate) async fn wait_for_turn(
        &self,
        stage: StageName,
        context: &JobContext<'_>,
    ) -> Result<(), Failure> {
        self.set_waits(context, true).await?;
        self.turn(stage, context).await?;
        self.set_waits(context, false).await
    }

    async fn set_waits(&self, context: &JobContext<'_>, waits: bool) -> Result<(), Failure> {
        if jobs::set_waiting(&self.catalog, context.job, waits).await? {
            return Ok(());
        }
        Err(Failure::transient(Reason::Interrupted, "the lease was lost while this waited for its turn"))
    }

    async fn turn(&self, stage: StageName, context: &JobContext<'_>) -> Result<(), Failure> {
        // The last digits of the clock are random enough for a polite pause.
        let chance = (self.catalog.clock().now_ms() % 1_000) as f64 / 1_000.0;
        sleep(Duration::from_secs_f64(self.pause_s * (1.0 + chance)), context).await?;
        loop {
            match budgets::take(&self.catalog, &self.egress, self.rate).await? {
                budgets::Token::Taken => break,
                budgets::Token::Wait(wait_ms) => {
                    sleep(Duration::from_millis(wait_ms.max(0).unsigned_abs()), context).await?;
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

/// The bytes that one run may download; asks for an end once they are reached. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ByteLimit {
    left: Arc<AtomicU64>,
    reached: Stop,
}

impl ByteLimit {
    /// `reached` is asked once `most_bytes` are spent; the file that exceeds the limit is kept.
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

/// Waits; fails as interrupted once nothing new is to be begun.
async fn sleep(duration: Duration, context: &JobContext<'_>) -> Result<(), Failure> {
    let no_more_claims = async {
        match context.no_more_claims {
            Some(no_more_claims) => no_more_claims.asked().await,
            None => std::future::pending().await,
        }
    };
    let left_ms = context.deadline_ms.map(|end_ms| end_ms.saturating_sub(context.clock.now_ms()).max(0));
    let left = left_ms.map_or(Duration::MAX, |left_ms| Duration::from_millis(left_ms.unsigned_abs()));
    let has_time = tokio::select! {
        biased;
        () = context.stop.asked() => false,
        () = no_more_claims => false,
        () = tokio::time::sleep(duration.min(left)) => duration < left,
    };
    if has_time {
        return Ok(());
    }
    Err(Failure::transient(Reason::Interrupted, "interrupted while waiting for a turn"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::failure::FailureKind;
    use crate::progress::Silent;
    use crate::types::JobId;

    /// A job that nobody holds.
    fn job() -> jobs::HeldJob {
        let (id, worker, rev) = (JobId(1), "w".to_owned(), "1".to_owned());
        jobs::HeldJob { id, subject_id: 7, attempt: 1, worker, rev }
    }

    fn context<'a>(job: &'a jobs::HeldJob, stop: &'a Stop, clock: &'a Clock) -> JobContext<'a> {
        JobContext { job, stop, no_more_claims: None, deadline_ms: None, clock, reporter: &Silent }
    }

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
        let (job, stop, clock) = (job(), Stop::default(), Clock::system());
        let turns = async |catalog: Catalog| {
            let budget = Budget::new(catalog, &crawl);
            for _ in 0..3 {
                budget.turn(StageName::Fetch, &context(&job, &stop, &clock)).await.unwrap();
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
        let (job, stop, clock) = (job(), Stop::default(), Clock::system());
        let context = context(&job, &stop, &clock);
        let failure = Budget::new(catalog, &crawl).turn(StageName::Fetch, &context).await.unwrap_err();
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
            let job = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
            let context = context(&job, &stop, &clock);
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

    #[tokio::test]
    async fn nobody_waits_for_a_turn_in_which_nothing_is_to_be_begun() {
        let folder = tempfile::tempdir().unwrap();
        let crawl = CrawlConfig { videos_per_hour: 1, pause_s: 0.0, ..CrawlConfig::default() };
        let budget = Budget::new(catalog(&folder).await, &crawl);
        let (job, stop, clock) = (job(), Stop::default(), Clock::system());
        let context = context(&job, &stop, &clock);
        budget.turn(StageName::Fetch, &context).await.unwrap();
        // The next turn is an hour away.
        let enough = Stop::default();
        enough.ask();
        let late = JobContext { deadline_ms: Some(clock.now_ms() + 50), ..context };
        let unwanted = JobContext { no_more_claims: Some(&enough), deadline_ms: None, ..late };
        for context in [late, unwanted] {
            let turn = budget.turn(StageName::Fetch, &context);
            let waited = tokio::time::timeout(Duration::from_secs(60), turn).await.unwrap();
            assert_eq!(waited.unwrap_err().reason, Reason::Interrupted);
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

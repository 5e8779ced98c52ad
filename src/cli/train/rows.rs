//! What a run on the catalog finds, as rows: its epochs and relabels while it goes on, its opinions and its end. Another
//! program that holds the catalog meanwhile keeps the run waiting, and costs it nothing else.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::catalog::runs::{Opinion, RunState};
use crate::catalog::{Catalog, relabels, runs};
use crate::failure::{Failure, FailureKind, Reason};
use crate::progress::Event;
use crate::train::Trained;
use crate::train::metrics::EpochMetrics;
use crate::types::{Relabel, RunId};

use super::{Caller, RunWatch, json_line};

/// Turns what the trainer says into rows.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) catalog: Catalog,
    /// On it the trainer's thread, which is not async, waits for the catalog.
    pub(super) runtime: Handle,
    pub(super) caller: Caller,
    pub(super) run: RunId,
    /// Where the first samples of its set stand in the list as it was frozen.
    pub(super) positions: Arc<[usize]>,
}

impl RunWatch for Rows {
    fn epoch(&mut self, metrics: &EpochMetrics) -> Result<(), Failure> {
        let text = json_line(metrics)?;
        self.runtime.block_on(patiently(&self.caller, async || {
            let mut tx = self.catalog.begin().await?;
            runs::put_epoch(&mut tx, self.run, metrics.epoch, &text).await?;
            Ok(tx.commit().await?)
        }))
    }

    fn relabelled(&mut self, relabels: &[Relabel]) -> Result<(), Failure> {
        // The catalog knows no samples of other sets.
        let own =
            |relabel: &Relabel| Some(Relabel { sample: *self.positions.get(relabel.sample)?, ..*relabel });
        let own: Vec<Relabel> = relabels.iter().filter_map(own).collect();
        self.runtime.block_on(patiently(&self.caller, async || {
            let mut tx = self.catalog.begin().await?;
            relabels::insert(&mut tx, self.run, &own).await?;
            Ok(tx.commit().await?)
        }))
    }
}

impl Rows {
    /// Writes down how the run of this name ended, well or not, and its opinions.
    pub(super) async fn end(
        &self,
        name: &str,
        trained: Result<Trained, Failure>,
    ) -> Result<Trained, Failure> {
        match &trained {
            Ok(trained) => {
                let (opinions, summary) = (self.opinions(trained), json_line(&trained.closing_line(name))?);
                let write = async || self.put_end(RunState::Done, Some(&summary), &opinions).await;
                patiently(&self.caller, write).await?;
            }
            Err(failure) => {
                // Interrupted, or the disk is full: the same command goes on from the last checkpoint.
                let may_go_on = failure.kind == FailureKind::Transient;
                let state = if may_go_on { RunState::Stopped } else { RunState::Failed };
                if let Err(error) = self.put_end(state, None, &[]).await {
                    // It stays open, and is gone on with as if it had been killed.
                    tracing::warn!("the catalog does not say how run {name} ended: {error}");
                }
            }
        }
        trained
    }

    async fn put_end(
        &self,
        state: RunState,
        summary: Option<&str>,
        opinions: &[(usize, Opinion)],
    ) -> Result<(), Failure> {
        let mut tx = self.catalog.begin().await?;
        runs::set_opinions(&mut tx, self.run, opinions).await?;
        runs::end(&mut tx, self.run, state, summary).await?;
        Ok(tx.commit().await?)
    }

    /// By position in the frozen list; those of other sets are left out.
    fn opinions(&self, trained: &Trained) -> Vec<(usize, Opinion)> {
        let own = trained.opinions.iter().filter_map(|it| {
            let opinion = Opinion {
                importance: it.importance,
                predicted: it.predicted,
                p_predicted: it.p_predicted,
                p_given: it.p_given,
            };
            Some((*self.positions.get(it.sample)?, opinion))
        });
        own.collect()
    }
}

/// Writes as soon as no other program holds the catalog, unless somebody says stop: days of training are worth a wait.
/// Each try waits half a minute by itself.
async fn patiently(caller: &Caller, write: impl AsyncFn() -> Result<(), Failure>) -> Result<(), Failure> {
    loop {
        match write().await {
            Err(failure) if is_busy(&failure) && !caller.stop.is_asked() => {
                let text = "another program holds the catalog: the run waits for it".to_owned();
                caller.reporter.report(&Event::Said { text });
            }
            ended => return ended,
        }
    }
}

fn is_busy(failure: &Failure) -> bool {
    (failure.kind, failure.reason) == (FailureKind::Transient, Reason::Catalog)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::clock::Stop;
    use crate::progress::Reporter;

    /// Keeps what it is told, and says stop after so many words.
    struct Minutes(Mutex<Vec<Event>>, usize, Stop);

    impl Reporter for Minutes {
        fn report(&self, event: &Event) {
            let mut told = self.0.lock().unwrap();
            told.push(event.clone());
            if told.len() >= self.1 {
                self.2.ask();
            }
        }
    }

    fn busy() -> Failure {
        Failure::transient(Reason::Catalog, "database is locked")
    }

    /// Tries to write to a catalog that is held three times; says how it ended, after how many tries and words.
    async fn held_thrice(stop_after: usize, held: Failure) -> (Result<(), Failure>, u32, usize) {
        let stop = Stop::default();
        let minutes = Arc::new(Minutes(Mutex::default(), stop_after, stop.clone()));
        let caller = Caller { reporter: minutes.clone(), stop };
        let tries = AtomicU32::new(0);
        let write =
            async || if tries.fetch_add(1, Ordering::Relaxed) < 3 { Err(held.clone()) } else { Ok(()) };
        let ended = patiently(&caller, write).await;
        let words = minutes.0.lock().unwrap().len();
        (ended, tries.load(Ordering::Relaxed), words)
    }

    #[tokio::test]
    async fn a_run_waits_for_a_catalog_that_another_program_holds() {
        assert_eq!(held_thrice(9, busy()).await, (Ok(()), 4, 3));
    }

    #[tokio::test]
    async fn a_run_that_is_told_to_stop_waits_no_longer() {
        assert_eq!(held_thrice(2, busy()).await, (Err(busy()), 3, 2));
    }

    #[tokio::test]
    async fn a_run_does_not_wait_for_what_does_not_pass_by_itself() {
        for other in [Failure::transient(Reason::Disk, "full"), Failure::permanent(Reason::Catalog, "torn")] {
            assert_eq!(held_thrice(9, other.clone()).await, (Err(other), 1, 0));
        }
    }
}

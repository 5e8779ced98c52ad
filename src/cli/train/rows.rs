//! Stores what a run on the catalog finds: its epochs and relabels while it runs, then its opinions and its end. While
//! another program holds the catalog, the run waits.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::catalog::runs::{RunState, StoredOpinion};
use crate::catalog::{Catalog, relabels, runs};
use crate::failure::{Failure, FailureKind, Reason};
use crate::progress::Event;
use crate::train::Trained;
use crate::train::metrics::EpochMetrics;
use crate::types::{Relabel, RunId};

use super::{Caller, RunWatch, json_line};

/// Stores the trainer's results as rows.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) catalog: Catalog,
    /// Runs the queries, for which the trainer's thread blocks.
    pub(super) runtime: Handle,
    pub(super) caller: Caller,
    pub(super) run: RunId,
    /// The position in the frozen list of each sample of its set that is in the catalog; these come first in the set.
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
        // Samples of other sets are not in the catalog.
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
    /// Stores how the run ended and, if it is done, its opinions; `name` is the run's.
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
                // Interrupted, or the disk is full: the same command resumes from the last checkpoint.
                let may_go_on = failure.kind == FailureKind::Transient;
                let state = if may_go_on { RunState::Stopped } else { RunState::Failed };
                if let Err(error) = self.put_end(state, None, &[]).await {
                    // It stays open, and is resumed as if it had been killed.
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
        opinions: &[(usize, StoredOpinion)],
    ) -> Result<(), Failure> {
        let mut tx = self.catalog.begin().await?;
        runs::set_opinions(&mut tx, self.run, opinions).await?;
        runs::end(&mut tx, self.run, state, summary).await?;
        Ok(tx.commit().await?)
    }

    /// The opinions by position in the frozen list, without those on samples of other sets.
    fn opinions(&self, trained: &Trained) -> Vec<(usize, StoredOpinion)> {
        let own = trained.opinions.iter().filter_map(|it| {
            let opinion = StoredOpinion {
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

/// Retries a write while another program holds the catalog, until a stop is requested: days of training are worth a wait.
/// Each try itself waits half a minute, SQLite's busy timeout.
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

    /// Records events, and asks to stop after some.
    struct Recorder {
        events: Mutex<Vec<Event>>,
        stop_after: usize,
        stop: Stop,
    }

    impl Reporter for Recorder {
        fn report(&self, event: &Event) {
            let mut events = self.events.lock().unwrap();
            events.push(event.clone());
            if events.len() >= self.stop_after {
                self.stop.ask();
            }
        }
    }

    fn busy() -> Failure {
        Failure::transient(Reason::Catalog, "database is locked")
    }

    /// Writes to a catalog that fails three times; returns the result, the number of tries and of reported events.
    async fn held_thrice(stop_after: usize, held: Failure) -> (Result<(), Failure>, u32, usize) {
        let stop = Stop::default();
        let recorder = Arc::new(Recorder { events: Mutex::default(), stop_after, stop: stop.clone() });
        let caller = Caller { reporter: recorder.clone(), stop };
        let tries = AtomicU32::new(0);
        let write =
            async || if tries.fetch_add(1, Ordering::Relaxed) < 3 { Err(held.clone()) } else { Ok(()) };
        let ended = patiently(&caller, write).await;
        let events = recorder.events.lock().unwrap().len();
        (ended, tries.load(Ordering::Relaxed), events)
    }

    #[tokio::test]
    async fn a_run_waits_for_a_catalog_that_another_program_holds() {
        assert_eq!(held_thrice(9, busy()).await, (Ok(()), 4, 3));
    }

    #[tokio::test]
    async fn a_run_that_is_asked_to_stop_waits_no_longer() {
        assert_eq!(held_thrice(2, busy()).await, (Err(busy()), 3, 2));
    }

    #[tokio::test]
    async fn a_run_does_not_retry_other_failures() {
        for other in [Failure::transient(Reason::Disk, "full"), Failure::permanent(Reason::Catalog, "torn")] {
            assert_eq!(held_thrice(9, other.clone()).await, (Err(other), 1, 0));
        }
    }
}

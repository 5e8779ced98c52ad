//! Drives one stage over the job table: claims, keeps leases, commits, and obeys what failures say of themselves.
//! It knows no stage by name and no tool.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use super::lease::{self, LeaseEnd};
use super::plan::{DrivePlan, Driven};
use super::remedy::Remedy;
use super::{Gain, JobContext, Outcome, Stage};
use crate::catalog::jobs::{self, Claim, HeldJob, Verdict};
use crate::catalog::pauses;
use crate::catalog::{Catalog, Transaction, attempts};
use crate::clock::Stop;
use crate::failure::{Failure, Reason};
use crate::progress::{Event, Reporter, Throughput};
use crate::types::{JobState, StageName};

/// How often an idle slot looks again while upstream is still at work.
const IDLE: Duration = Duration::from_millis(200);

/// Drives one stage. Several drivers, in one process or in many, share the work of one catalog.
pub struct Driver<'a> {
    catalog: &'a Catalog,
    plan: DrivePlan,
    stop: &'a Stop,
    reporter: &'a dyn Reporter,
    began_ms: i64,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    summary: Driven,
    claimed: u64,
    ended: u64,
    /// Jobs that were due at the beginning, where no others come.
    total: Option<u64>,
    gain: Gain,
    failure: Option<Failure>,
}

impl Tally {
    /// How fast it goes so long after the beginning; nothing where only jobs count.
    fn throughput(&self, elapsed_ms: i64) -> Option<Throughput> {
        let Gain { video_ms, faces } = self.gain;
        let elapsed_ms = elapsed_ms.max(1);
        let left = self.total.and_then(|total| total.checked_sub(self.ended));
        let eta_s = left.map(|left| elapsed_ms.unsigned_abs() * left / (1_000 * self.ended.max(1)));
        let video_hours_per_hour = video_ms as f64 / elapsed_ms as f64;
        (video_ms > 0).then_some(Throughput { video_hours_per_hour, faces, eta_s })
    }
}

impl<'a> Driver<'a> {
    /// A driver for one drive: it is used up by [`Driver::drive`].
    pub fn new(catalog: &'a Catalog, plan: DrivePlan, stop: &'a Stop, reporter: &'a dyn Reporter) -> Self {
        let began_ms = catalog.clock().now_ms();
        Self { catalog, plan, stop, reporter, began_ms, tally: Mutex::default() }
    }

    /// Does what is due until nothing is, a limit is reached, the stage pauses, or the user wants to stop.
    ///
    /// # Errors
    /// What no job is to blame for: the catalog failed, or a tool is missing. Jobs in hand were let go unharmed.
    pub async fn drive<S: Stage>(self, stage: &S) -> Result<Driven, Failure> {
        let due = jobs::count_due_of(self.catalog, S::NAME, &self.plan.only).await?;
        let total = total(&self.plan, due);
        let began = Event::Began { task: S::NAME.to_string(), total, unit: S::UNIT.to_owned() };
        self.reporter.report(&began);
        self.count(|tally| tally.total = total);
        join_all((0..self.plan.slots.max(1)).map(|slot| self.slot(stage, slot))).await;
        let Tally { mut summary, failure, .. } = self.tally.into_inner().unwrap_or_default();
        let note = format!(
            "{} done, {} rejected, {} dead, {} put off",
            summary.done, summary.rejected, summary.dead, summary.postponed
        );
        self.reporter.report(&Event::Ended { task: S::NAME.to_string(), note });
        if let Some(failure) = failure {
            return Err(failure);
        }
        summary.paused = pauses::of_stage(self.catalog, S::NAME).await?;
        summary.next_due_ms = jobs::next_due_ms(self.catalog, S::NAME, &self.plan.only).await?;
        Ok(summary)
    }

    async fn slot<S: Stage>(&self, stage: &S, slot: usize) {
        let worker = format!("{}/{slot}", self.plan.worker);
        while self.may_claim() {
            // Read before claiming: a job that upstream leaves at its very end is then still claimed.
            let upstream_ended = self.plan.until.as_ref().is_none_or(Stop::is_asked);
            match self.turn(stage, &worker).await {
                Ok(Turn::Worked) => {}
                Ok(Turn::Idle) if upstream_ended => return,
                Ok(Turn::Idle) => self.idle().await,
                Err(failure) => self.count(|tally| {
                    tally.failure.get_or_insert(failure);
                }),
            }
        }
    }

    /// Waits a little for what upstream brings, no longer than it is at work.
    async fn idle(&self) {
        let Some(until) = &self.plan.until else { return };
        // Whether it was asked or the time is over: the slot looks again.
        let _ = tokio::time::timeout(IDLE, until.asked()).await;
    }

    /// Whether one more job may be claimed; counts it as claimed if so.
    fn may_claim(&self) -> bool {
        let late =
            self.plan.deadline_ms.is_some_and(|deadline_ms| self.catalog.clock().now_ms() >= deadline_ms);
        let mut tally = self.tally();
        let enough = self.plan.max_jobs.is_some_and(|most| tally.claimed >= most)
            || self.plan.enough.as_ref().is_some_and(Stop::is_asked);
        if late || enough || tally.failure.is_some() || self.stop.is_asked() {
            return false;
        }
        tally.claimed += 1;
        true
    }

    /// Claims one job and brings it to an end, if one is due.
    async fn turn<S: Stage>(&self, stage: &S, worker: &str) -> Result<Turn, Failure> {
        let rev = stage.rev();
        let claim = Claim { stage: S::NAME, rev: &rev, worker, lease_ms: self.plan.lease_ms };
        let Some(held) = jobs::claim(self.catalog, claim, &self.plan.only).await? else {
            self.count(|tally| tally.claimed -= 1);
            return Ok(Turn::Idle);
        };
        let job = StageJob { stage: S::NAME, neighbours: stage.neighbours(), held };
        if job.held.attempt > self.plan.max_attempts {
            let detail = "every attempt ended without a word: the work kills whoever takes it";
            self.settle(&job, &Failure::permanent(Reason::AttemptsExhausted, detail)).await?;
        } else {
            self.work(stage, &job).await?;
        }
        Ok(Turn::Worked)
    }

    async fn work<S: Stage>(&self, stage: &S, job: &StageJob) -> Result<(), Failure> {
        let context = JobContext {
            job: &job.held,
            stop: self.stop,
            clock: self.catalog.clock(),
            reporter: self.reporter,
        };
        let work = async {
            let subject = stage.load(self.catalog, job.held.subject_id).await?;
            stage.run(subject, &context).await
        };
        let worked = tokio::select! {
            worked = work => worked,
            end = lease::keep(self.catalog, &job.held, self.plan.lease_ms, self.stop) => match end {
                LeaseEnd::LetGo => Err(Failure::transient(Reason::Interrupted, "let go")),
                LeaseEnd::Failed(error) => Err(error.failure()),
                LeaseEnd::Lost => return self.throw_away(job),
            },
        };
        match worked {
            Ok(output) => self.commit(stage, job, output).await,
            Err(failure) => self.settle(job, &failure).await,
        }
    }

    /// Output, the end of the job and follow-up jobs become visible together, or not at all.
    async fn commit<S: Stage>(&self, stage: &S, job: &StageJob, output: S::Output) -> Result<(), Failure> {
        let gain = stage.gain(&output);
        let mut tx = self.catalog.begin().await?;
        let failure = match stage.commit(&mut tx, output).await {
            Ok(Outcome::Done) => {
                if !jobs::finish(&mut tx, &job.held).await? {
                    return self.throw_away(job);
                }
                tx.commit().await?;
                self.count(|tally| {
                    tally.gain.video_ms += gain.video_ms;
                    tally.gain.faces += gain.faces;
                });
                self.ended(job, JobState::Done.as_str(), |summary| &mut summary.done);
                return Ok(());
            }
            Ok(Outcome::InPart { reason, detail }) => Failure::transient(reason, detail),
            Ok(Outcome::Rejected { reason, detail }) => Failure::rejected(reason, detail),
            Err(error) => {
                drop(tx);
                return self.settle(job, &error.failure()).await;
            }
        };
        self.settle_in(tx, job, &failure).await
    }

    /// Ends a job that failed, as its failure says.
    async fn settle(&self, job: &StageJob, failure: &Failure) -> Result<(), Failure> {
        self.settle_in(self.catalog.begin().await?, job, failure).await
    }

    /// The same together with rows that were written before.
    async fn settle_in(&self, mut tx: Transaction, job: &StageJob, failure: &Failure) -> Result<(), Failure> {
        let remedy = Remedy::of(failure, self.may_try_again(job));
        let verdict = Verdict { reason: failure.reason, detail: &failure.detail };
        let now_ms = tx.now_ms();
        let touched = match remedy {
            Remedy::Reject => jobs::reject(&mut tx, &job.held, verdict).await?,
            Remedy::GiveUp => jobs::give_up(&mut tx, &job.held, verdict).await?,
            Remedy::Postpone => self.postpone(&mut tx, job, verdict).await?,
            Remedy::Pause => {
                let resume_at = self.plan.patience.resume_at(failure.reason, now_ms);
                for stage in job.paused_by(failure.reason) {
                    pauses::begin(&mut tx, stage, failure.reason, &failure.detail, resume_at).await?;
                }
                jobs::give_back(&mut tx, &job.held).await?
            }
            Remedy::GiveBack | Remedy::End => jobs::give_back(&mut tx, &job.held).await?,
        };
        if !touched {
            return self.throw_away(job);
        }
        if !matches!(remedy, Remedy::Reject | Remedy::GiveBack) {
            attempts::insert(&mut tx, &job.held, failure).await?;
        }
        tx.commit().await?;
        self.ended(job, &failure.reason.as_str(), remedy.counter());
        if matches!(remedy, Remedy::End) { Err(failure.clone()) } else { Ok(()) }
    }

    fn may_try_again(&self, job: &StageJob) -> bool {
        job.held.attempt < self.plan.max_attempts
    }

    /// Later, the longer the more attempts there were; false: the lease is lost.
    async fn postpone(
        &self,
        tx: &mut Transaction,
        job: &StageJob,
        verdict: Verdict<'_>,
    ) -> Result<bool, Failure> {
        let wait_ms = self.plan.patience.backoff_ms(job.held.id, job.held.attempt);
        let due_at = tx.now_ms() + wait_ms;
        Ok(jobs::postpone(tx, &job.held, verdict, due_at).await?)
    }

    /// The lease was lost: somebody else does the job, and nothing of this attempt is kept.
    fn throw_away(&self, job: &StageJob) -> Result<(), Failure> {
        tracing::warn!(stage = job.stage.as_str(), job = job.held.id.0, "lease lost, result thrown away");
        self.ended(job, "lease lost", |summary| &mut summary.lost);
        Ok(())
    }

    fn ended(&self, job: &StageJob, note: &str, counter: fn(&mut Driven) -> &mut u64) {
        let elapsed_ms = self.catalog.clock().now_ms() - self.began_ms;
        let (done, throughput) = {
            let mut tally = self.tally();
            *counter(&mut tally.summary) += 1;
            tally.ended += 1;
            (tally.ended, tally.throughput(elapsed_ms))
        };
        let fast = throughput.map_or_else(String::new, |throughput| format!(", {throughput}"));
        let note = format!("{} {}: {note}{fast}", job.stage, job.held.subject_id);
        let task = job.stage.to_string();
        self.reporter.report(&Event::Advanced { task, done, note, throughput });
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally());
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many jobs there are to do of those that are due. While the stage before this one is at work, it brings more:
/// nobody knows how many.
fn total(plan: &DrivePlan, due: u64) -> Option<u64> {
    plan.until.is_none().then(|| plan.max_jobs.map_or(due, |most| most.min(due)))
}

/// Whether there was anything to do.
enum Turn {
    Worked,
    Idle,
}

/// A job with the name of its stage.
struct StageJob {
    stage: StageName,
    neighbours: &'static [StageName],
    held: HeldJob,
}

impl StageJob {
    /// Which stages stand still: what the site says to one of them, it says to all who ask it under the same name.
    fn paused_by(&self, reason: Reason) -> impl Iterator<Item = StageName> {
        let neighbours = if reason.is_of_the_site() { self.neighbours } else { &[] };
        std::iter::once(self.stage).chain(neighbours.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_that_looks_at_videos_tells_how_fast_and_how_long_it_still_takes() {
        let gain = Gain { video_ms: 240_000, faces: 9 };
        let tally = Tally { ended: 2, total: Some(8), gain, ..Tally::default() };
        let told = tally.throughput(120_000).unwrap();
        assert_eq!((told.video_hours_per_hour, told.faces, told.eta_s), (2.0, 9, Some(360)));
        let more_comes = Tally { total: None, ..tally };
        assert_eq!(more_comes.throughput(120_000).unwrap().eta_s, None);
        assert!(more_comes.throughput(0).is_some(), "a clock that stands still");
        assert!(Tally { ended: 2, ..Tally::default() }.throughput(120_000).is_none());
    }

    #[test]
    fn jobs_that_are_due_but_not_wanted_are_not_waited_for() {
        let plan = DrivePlan::new("worker".to_owned());
        assert_eq!(total(&plan, 1_000), Some(1_000));
        let few = DrivePlan { max_jobs: Some(10), ..plan };
        assert_eq!((total(&few, 1_000), total(&few, 4)), (Some(10), Some(4)));
        assert_eq!(total(&DrivePlan { until: Some(Stop::default()), ..few }, 1_000), None);
    }
}

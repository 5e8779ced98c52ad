//! Drives one stage over the job table: claims, keeps leases, commits, and obeys what failures say of themselves.
//! It names no stage and no tool.

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
use crate::failure::{Failure, FailureKind, Reason};
use crate::progress::{Event, Reporter, Throughput};
use crate::types::{JobState, StageName};

/// How often an idle slot looks again while upstream is still at work.
const IDLE: Duration = Duration::from_millis(200);
/// A job that begins the same pause this often lets the others go first.
const FUTILE_PAUSES: u64 = 3;

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
            "{} done, {} rejected, {} given up, {} put off",
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
            let upstream_ended = self.plan.upstream_ended.as_ref().is_none_or(Stop::is_asked);
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
        let Some(upstream_ended) = &self.plan.upstream_ended else { return };
        // Whether it was asked or the time is over: the slot looks again.
        let _ = tokio::time::timeout(IDLE, upstream_ended.asked()).await;
    }

    /// Whether one more job may be claimed; counts it as claimed if so.
    fn may_claim(&self) -> bool {
        let is_late =
            self.plan.deadline_ms.is_some_and(|deadline_ms| self.catalog.clock().now_ms() >= deadline_ms);
        let mut tally = self.tally();
        let is_enough = self.plan.max_jobs.is_some_and(|most| tally.claimed >= most)
            || self.plan.no_more_claims.as_ref().is_some_and(Stop::is_asked);
        if is_late || is_enough || tally.failure.is_some() || self.stop.is_asked() {
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
        let job = StageJob { stage: S::NAME, shares_rate_limit_with: stage.shares_rate_limit_with(), held };
        if job.held.attempt > self.plan.max_attempts {
            let detail = "every attempt ended without a result: the job kills its worker";
            self.end_failed(&job, &Failure::permanent(Reason::AttemptsExhausted, detail)).await?;
        } else {
            self.work(stage, &job).await?;
        }
        Ok(Turn::Worked)
    }

    async fn work<S: Stage>(&self, stage: &S, job: &StageJob) -> Result<(), Failure> {
        let context = JobContext {
            job: &job.held,
            stop: self.stop,
            no_more_claims: self.plan.no_more_claims.as_ref(),
            deadline_ms: self.plan.deadline_ms,
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
            Err(failure) => self.end_failed(job, &failure).await,
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
                clean_up(stage, job);
                return Ok(());
            }
            Ok(Outcome::InPart { reason, detail }) => Failure::transient(reason, detail),
            Ok(Outcome::Rejected { reason, detail }) => Failure::rejected(reason, detail),
            Err(error) => {
                drop(tx);
                return self.end_failed(job, &error.failure()).await;
            }
        };
        let has_lease = self.end_failed_in(tx, job, &failure).await?;
        if has_lease && failure.kind == FailureKind::Rejected {
            clean_up(stage, job);
        }
        Ok(())
    }

    /// Ends a failed job as its failure says.
    async fn end_failed(&self, job: &StageJob, failure: &Failure) -> Result<(), Failure> {
        self.end_failed_in(self.catalog.begin().await?, job, failure).await.map(drop)
    }

    /// The same in a transaction that may hold other rows; returns whether the lease still held.
    async fn end_failed_in(
        &self,
        mut tx: Transaction,
        job: &StageJob,
        failure: &Failure,
    ) -> Result<bool, Failure> {
        let remedy = Remedy::of(failure, self.may_try_again(job));
        let verdict = Verdict { reason: failure.reason, detail: &failure.detail };
        let now_ms = tx.now_ms();
        let (remedy, has_lease) = match remedy {
            Remedy::Reject => (remedy, jobs::reject(&mut tx, &job.held, verdict).await?),
            Remedy::GiveUp => (remedy, jobs::give_up(&mut tx, &job.held, verdict).await?),
            Remedy::Postpone => {
                let due_at = now_ms + self.backoff_ms(job);
                (remedy, jobs::postpone(&mut tx, &job.held, verdict, due_at).await?)
            }
            Remedy::Pause => self.pause(&mut tx, job, verdict).await?,
            Remedy::GiveBack | Remedy::End => (remedy, jobs::give_back(&mut tx, &job.held, now_ms).await?),
        };
        if !has_lease {
            self.throw_away(job)?;
            return Ok(false);
        }
        if !matches!(remedy, Remedy::Reject | Remedy::GiveBack) {
            attempts::insert(&mut tx, &job.held, failure).await?;
        }
        tx.commit().await?;
        self.ended(job, &failure.reason.as_str(), remedy.counter());
        if matches!(remedy, Remedy::End) { Err(failure.clone()) } else { Ok(true) }
    }

    fn may_try_again(&self, job: &StageJob) -> bool {
        job.held.attempt < self.plan.max_attempts
    }

    fn backoff_ms(&self, job: &StageJob) -> i64 {
        self.plan.patience.backoff_ms(job.held.id, job.held.attempt)
    }

    /// Pauses the stages that the reason concerns and releases the job. One that has begun [`FUTILE_PAUSES`] for this
    /// reason is due only after the others had as much time as the pause takes; where it may itself be the cause, its
    /// attempt counts. Returns what became of the job, and whether its lease still held.
    async fn pause(
        &self,
        tx: &mut Transaction,
        job: &StageJob,
        verdict: Verdict<'_>,
    ) -> Result<(Remedy, bool), Failure> {
        let (reason, now_ms, held) = (verdict.reason, tx.now_ms(), &job.held);
        let resume_at = self.plan.patience.resume_at(reason, now_ms);
        for stage in job.paused_by(reason) {
            if pauses::of_stage(self.catalog, stage).await?.is_none() {
                tracing::warn!(stage = stage.as_str(), %reason, "the stage pauses: {}", verdict.detail);
            }
            pauses::begin(tx, stage, reason, verdict.detail, resume_at).await?;
        }
        let is_futile = attempts::count(tx, held.id, reason).await? + 1 >= FUTILE_PAUSES;
        if !is_futile || matches!(reason, Reason::Quota | Reason::Offline) {
            return Ok((Remedy::Pause, jobs::give_back(tx, held, now_ms).await?));
        }
        let due_at = resume_at.map_or(now_ms, |at| at + (at - now_ms)) + self.backoff_ms(job);
        Ok(match reason {
            Reason::Disk => (Remedy::Pause, jobs::give_back(tx, held, due_at).await?),
            _ if self.may_try_again(job) => {
                (Remedy::Postpone, jobs::postpone(tx, held, verdict, due_at).await?)
            }
            _ => (Remedy::GiveUp, jobs::give_up(tx, held, verdict).await?),
        })
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

/// What stays behind costs room and nothing else: `gc` removes it too.
fn clean_up<S: Stage>(stage: &S, job: &StageJob) {
    if let Err(failure) = stage.clean_up(job.held.subject_id) {
        tracing::warn!(stage = job.stage.as_str(), job = job.held.id.0, "{failure}");
    }
}

/// How many jobs there are to do of those that are due. While the stage before this one is at work, it brings more:
/// nobody knows how many.
fn total(plan: &DrivePlan, due: u64) -> Option<u64> {
    plan.upstream_ended.is_none().then(|| plan.max_jobs.map_or(due, |most| most.min(due)))
}

/// Whether there was anything to do.
enum Turn {
    Worked,
    Idle,
}

/// A job with the name of its stage.
struct StageJob {
    stage: StageName,
    shares_rate_limit_with: &'static [StageName],
    held: HeldJob,
}

impl StageJob {
    /// The stages to pause: what the site refuses to one of them, it refuses to all that share its rate limit.
    fn paused_by(&self, reason: Reason) -> impl Iterator<Item = StageName> {
        let others = if reason.is_of_the_site() { self.shares_rate_limit_with } else { &[] };
        std::iter::once(self.stage).chain(others.iter().copied())
    }
}

#[cfg(test)]
mod tests;

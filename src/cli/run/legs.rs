//! Runs a round: crawl and clips concurrently, so that neither network nor cores are idle, then training. Each is the
//! body of its own command; this file only decides when it is called, and with which limits.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::config::Leg;
use crate::failure::{Failure, Reason};
use crate::report::RoundStep;

use super::super::Session;
use super::super::clips::{self, ClipsArgs};
use super::agenda::{Step, agenda};
use super::crawl_leg::crawl_leg;
use super::{Standing, Work};

/// While crawl is at work, clips begin as soon as this many scans and cuts are due: fewer are not worth starting workers
/// for.
const BATCH: u64 = 8;
/// Or after this time, with fewer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// While one of the two waits for the other, it checks the catalog at least this often. With hundreds of thousands of
/// jobs a check takes a fifth of a second.
const CHECK_INTERVAL: Duration = Duration::from_secs(3);

/// The outcome of a command.
pub(super) struct StepDone {
    /// For the report.
    pub(super) step: RoundStep,
    /// Its failure, if it failed.
    pub(super) failure: Option<Failure>,
    /// The training run that ended in it.
    pub(super) run: Option<String>,
}

/// Runs the commands that are due. A failed command does not stop the others.
pub(super) async fn walk(
    session: &Session,
    work: &Work,
    deadline_ms: Option<i64>,
) -> anyhow::Result<Vec<StepDone>> {
    let standing = Standing::read(session, work).await?;
    let steps = agenda(&standing, &session.config);
    let trains = steps.iter().any(|step| step.leg == Leg::Train && step.is_due);
    let gathering_until = gathering_until(session, deadline_ms, trains);
    let mut done = gather(session, &steps, gathering_until).await;
    if let Some(step) = due_training(session, work, &steps).await? {
        done.push(train(session, work, step, deadline_ms).await);
    }
    Ok(done)
}

/// The time from which crawl and clips begin nothing new: before the end of the round, if training is to have its share.
fn gathering_until(session: &Session, deadline_ms: Option<i64>, trains: bool) -> Option<i64> {
    let now_ms = session.clock.now_ms();
    let share = if trains { session.config.run.training_share.clamp(0.0, 1.0) } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, reason = "a share of a stretch of milliseconds")]
    deadline_ms.map(|end_ms| end_ms - ((end_ms - now_ms) as f64 * share) as i64)
}

/// How a command of the round ended.
enum LegEnd {
    /// It did not begin, or found nothing to do.
    Skipped,
    /// It did its work.
    Ran,
    /// It failed.
    Failed(anyhow::Error),
}

impl LegEnd {
    /// Of a command that returns whether it did anything.
    fn of(has_run: anyhow::Result<bool>) -> Self {
        match has_run {
            Ok(true) => Self::Ran,
            Ok(false) => Self::Skipped,
            Err(error) => Self::Failed(error),
        }
    }
}

/// What crawl or clips is doing, for the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LegState {
    /// It is at work.
    Working,
    /// It waits for the other one.
    Waiting,
    /// It will do nothing more.
    Ended,
}

/// The states of crawl and clips.
pub(super) struct LegStates {
    pub(super) crawl: SharedState,
    pub(super) clips: SharedState,
}

/// A state that one of the two sets and the other one can wait for.
pub(super) struct SharedState {
    state: Cell<LegState>,
    changed: Notify,
}

impl SharedState {
    fn new(state: LegState) -> Self {
        Self { state: Cell::new(state), changed: Notify::new() }
    }

    pub(super) fn get(&self) -> LegState {
        self.state.get()
    }

    pub(super) fn set(&self, state: LegState) {
        if self.state.replace(state) != state {
            self.changed.notify_one();
        }
    }

    /// Waits until it changes, at most until the next check is due or a stop is requested.
    pub(super) async fn changed(&self, session: &Session) {
        tokio::select! {
            () = self.changed.notified() => {}
            () = session.stop.asked() => {}
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
        }
    }
}

/// Runs crawl and clips concurrently until both have nothing left to do.
async fn gather(session: &Session, steps: &[Step], deadline_ms: Option<i64>) -> Vec<StepDone> {
    let of = |leg| steps.iter().find(|step: &&Step| step.leg == leg);
    let both =
        LegStates { crawl: SharedState::new(LegState::Working), clips: SharedState::new(LegState::Waiting) };
    let crawling = async {
        let began = Instant::now();
        let ended = match of(Leg::Crawl) {
            Some(step) => LegEnd::of(crawl_leg(session, step.is_due, deadline_ms, &both).await),
            None => LegEnd::Skipped,
        };
        both.crawl.set(LegState::Ended);
        of(Leg::Crawl).map(|step| step_done(session, step, began, ended))
    };
    let clipping = async {
        let began = Instant::now();
        let ended = match of(Leg::Clips) {
            Some(_) => LegEnd::of(clips_leg(session, deadline_ms, &both).await),
            None => LegEnd::Skipped,
        };
        both.clips.set(LegState::Ended);
        of(Leg::Clips).map(|step| step_done(session, step, began, ended))
    };
    let (crawled, clipped) = tokio::join!(crawling, clipping);
    crawled.into_iter().chain(clipped).collect()
}

/// Scans and cuts: in batches while crawl is at work, then the rest. Returns whether it did any.
async fn clips_leg(session: &Session, deadline_ms: Option<i64>, both: &LegStates) -> anyhow::Result<bool> {
    let (mut has_run, mut waits_since) = (false, None);
    while goes_on(session, deadline_ms) {
        // Read before the catalog, so that what crawl adds just before its end is not missed.
        let crawl = both.crawl.get();
        let standing = Standing::of_queue(session).await?;
        let due = standing.scans_and_cuts + standing.unseen_files;
        let since = if due > 0 { *waits_since.get_or_insert_with(Instant::now) } else { Instant::now() };
        let is_worth_it = crawl != LegState::Working || due >= BATCH || since.elapsed() >= LONGEST_WAIT;
        if due > 0 && is_worth_it {
            both.clips.set(LegState::Working);
            let wanted = ClipsArgs::within(time_left(session, deadline_ms));
            clips::clips(session, &wanted).await?;
            has_run = true;
            both.clips.set(LegState::Waiting);
            waits_since = None;
        }
        if crawl == LegState::Ended {
            break;
        }
        both.crawl.changed(session).await;
    }
    Ok(has_run)
}

pub(super) fn goes_on(session: &Session, deadline_ms: Option<i64>) -> bool {
    !session.stop.is_asked() && deadline_ms.is_none_or(|end_ms| session.clock.now_ms() < end_ms)
}

/// Milliseconds until a time.
pub(super) fn time_left(session: &Session, deadline_ms: Option<i64>) -> Option<i64> {
    deadline_ms.map(|end_ms| (end_ms - session.clock.now_ms()).max(1))
}

/// The training step, decided anew after crawl and clips, which may have added enough samples.
async fn due_training(session: &Session, work: &Work, before: &[Step]) -> anyhow::Result<Option<Step>> {
    if !before.iter().any(|step| step.leg == Leg::Train) {
        return Ok(None);
    }
    let standing = Standing::read(session, work).await?;
    Ok(agenda(&standing, &session.config).into_iter().find(|step| step.leg == Leg::Train))
}

#[cfg(feature = "train")]
async fn train(session: &Session, work: &Work, step: Step, deadline_ms: Option<i64>) -> StepDone {
    let began = Instant::now();
    if !step.is_due || !goes_on(session, deadline_ms) {
        return step_done(session, &step, began, LegEnd::Skipped);
    }
    let (session_until, keeper) = session.ending_at(deadline_ms);
    let trained = super::super::train::command::on_catalog(&session_until, &work.train).await;
    keeper.abort();
    match trained {
        Ok(run) => StepDone { run: Some(run), ..step_done(session, &step, began, LegEnd::Ran) },
        Err(failure) => step_done(session, &step, began, LegEnd::Failed(failure.into())),
    }
}

#[cfg(not(feature = "train"))]
async fn train(session: &Session, _work: &Work, step: Step, _deadline_ms: Option<i64>) -> StepDone {
    let missing = Failure::permanent(Reason::ToolMissing, "this program was built without libtorch")
        .with_hint("build it with its default features, or take train out of run.commands");
    let ended = if step.is_due { LegEnd::Failed(missing.into()) } else { LegEnd::Skipped };
    step_done(session, &step, Instant::now(), ended)
}

/// The record of a command.
fn step_done(session: &Session, step: &Step, began: Instant, ended: LegEnd) -> StepDone {
    let failure = match &ended {
        LegEnd::Failed(error) => Some(failure_of(error)),
        LegEnd::Skipped | LegEnd::Ran => None,
    };
    let was = |reason| failure.as_ref().is_some_and(|failure: &Failure| failure.reason == reason);
    let (was_cut, had_nothing) = (was(Reason::Interrupted), was(Reason::NothingToDo));
    let (outcome, why) = match (&ended, &failure) {
        (LegEnd::Skipped, _) => ("skipped", step.why.clone()),
        (_, Some(failure)) if was_cut => {
            let by = if session.stop.is_asked() { "interrupted" } else { "its time was over" };
            ("cut short", format!("{}; {by}, it goes on in the next round ({})", step.why, failure.detail))
        }
        (_, Some(failure)) if had_nothing => ("skipped", failure.detail.clone()),
        (_, Some(failure)) => ("failed", failure.with_remedy()),
        _ => ("done", step.why.clone()),
    };
    let failure = failure.filter(|_| !was_cut && !had_nothing);
    if let Some(failure) = &failure {
        tracing::error!(command = step.leg.as_str(), reason = %failure.reason, "{}", failure.with_remedy());
    }
    let took_ms = (!matches!(ended, LegEnd::Skipped))
        .then(|| i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX));
    let step = RoundStep { command: step.leg.as_str().to_owned(), outcome: outcome.to_owned(), why, took_ms };
    StepDone { step, failure, run: None }
}

/// The failure in an error; an error without one is a bug.
fn failure_of(error: &anyhow::Error) -> Failure {
    match error.chain().find_map(|cause| cause.downcast_ref::<Failure>()) {
        Some(failure) => failure.clone(),
        None => Failure::permanent(Reason::Bug, format!("{error:#}")),
    }
}

//! Walks a round: crawl and clips side by side, so that neither network nor cores stand idle, then training. Each is the
//! body of its own command; here is only when it is called, and with how much room and time.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::catalog::rounds;
use crate::config::Leg;
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::{cut, fetch, scan};
use crate::report::RoundStep;

use super::super::Session;
use super::super::clips::{self, ClipsArgs};
use super::super::crawl::{self, CrawlArgs};
use super::agenda::{Step, agenda, is_disk_low, room};
use super::{Standing, Work};

/// Clips begin as soon as so many looks and cuts are due, while crawl is at work: fewer are not worth starting workers
/// for.
const BATCH: u64 = 8;
/// Or after this time, with fewer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// While one of the two waits for the other and is not woken, it looks at the catalog again after this time. Such a
/// look costs a fifth of a second where there are hundreds of thousands of jobs.
const LOOK: Duration = Duration::from_secs(3);

/// What became of a command.
pub(super) struct StepDone {
    /// For the report.
    pub(super) step: RoundStep,
    /// With which failure it ended, if so.
    pub(super) failure: Option<Failure>,
    /// The training run that came to its end.
    pub(super) run: Option<String>,
}

/// Does what is due. A command that fails does not stop the others.
pub(super) async fn walk(
    session: &Session,
    work: &Work,
    deadline_ms: Option<i64>,
) -> anyhow::Result<Vec<StepDone>> {
    let standing = Standing::look(session, work).await?;
    let steps = agenda(&standing, &session.config);
    let trains = steps.iter().any(|step| step.leg == Leg::Train && step.is_due);
    let gathering_until = gathering_until(session, deadline_ms, trains);
    let mut done = gather(session, &steps, gathering_until).await;
    if let Some(step) = due_training(session, work, &steps).await? {
        done.push(train(session, work, step, deadline_ms).await);
    }
    Ok(done)
}

/// The time from which crawl and clips begin nothing new: earlier than the end of the round where training is to have
/// its share.
fn gathering_until(session: &Session, deadline_ms: Option<i64>, trains: bool) -> Option<i64> {
    let now_ms = session.clock.now_ms();
    let share = if trains { session.config.run.training_share.clamp(0.0, 1.0) } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, reason = "a share of a stretch of milliseconds")]
    deadline_ms.map(|end_ms| end_ms - ((end_ms - now_ms) as f64 * share) as i64)
}

/// What crawl or clips is doing, as the other of the two sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// It has something in hand.
    Working,
    /// It waits for the other one.
    Waiting,
    /// It will do nothing more.
    Ended,
}

/// The paces of both.
struct Both {
    crawl: SharedPace,
    clips: SharedPace,
}

/// A pace that one of the two sets and the other one waits for.
struct SharedPace {
    pace: Cell<Pace>,
    changed: Notify,
}

impl SharedPace {
    fn new(pace: Pace) -> Self {
        Self { pace: Cell::new(pace), changed: Notify::new() }
    }

    fn get(&self) -> Pace {
        self.pace.get()
    }

    fn set(&self, pace: Pace) {
        if self.pace.replace(pace) != pace {
            self.changed.notify_one();
        }
    }

    /// Waits until it changes, no longer than until the next look is due or the user wants to stop.
    async fn change(&self, session: &Session) {
        tokio::select! {
            () = self.changed.notified() => {}
            () = session.stop.asked() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Crawl and clips, side by side until both have no more to do.
async fn gather(session: &Session, steps: &[Step], deadline_ms: Option<i64>) -> Vec<StepDone> {
    let of = |leg| steps.iter().find(|step: &&Step| step.leg == leg);
    let both = Both { crawl: SharedPace::new(Pace::Working), clips: SharedPace::new(Pace::Waiting) };
    let crawling = async {
        let began = Instant::now();
        let ended = match of(Leg::Crawl).filter(|step| step.is_due) {
            Some(_) => Some(crawl_leg(session, deadline_ms, &both).await),
            None => None,
        };
        both.crawl.set(Pace::Ended);
        of(Leg::Crawl).map(|step| step_done(session, step, began, ended))
    };
    let clipping = async {
        let began = Instant::now();
        let ended = match of(Leg::Clips) {
            Some(_) => Some(clips_leg(session, deadline_ms, &both).await),
            None => None,
        };
        both.clips.set(Pace::Ended);
        of(Leg::Clips).map(|step| step_done(session, step, began, ended))
    };
    let (crawled, clipped) = tokio::join!(crawling, clipping);
    crawled.into_iter().chain(clipped).collect()
}

/// Searches, and downloads as long as there is room for more videos.
async fn crawl_leg(session: &Session, deadline_ms: Option<i64>, both: &Both) -> anyhow::Result<Option<Exit>> {
    let mut exit = None;
    let mut left = match session.config.run.max_videos {
        0 => u64::MAX,
        most => most,
    };
    while goes_on(session, deadline_ms) {
        let before = Standing::of_queue(session).await?;
        let may = before.may_download && before.pause_of(fetch::NAME).is_none();
        let wants = may && left > 0 && before.downloads > 0 && !is_disk_low(&before, &session.config);
        let room = room(&before, &session.config).min(left);
        if exit.is_some() && (!wants || room == 0 && !may_get_room(&before, both)) {
            break;
        }
        if exit.is_some() && room == 0 {
            both.crawl.set(Pace::Waiting);
            both.clips.change(session).await;
            continue;
        }
        both.crawl.set(Pace::Working);
        let wanted = CrawlArgs::of_round(&session.config.run.source, room, time_left(session, deadline_ms))?;
        exit = Some(match exit {
            None => crawl::crawl(session, &wanted).await?,
            Some(_) => crawl::go_on(session, &wanted).await?,
        });
        // Not by what is due: searches bring new downloads while others end.
        let fetched = fetched_since(session, before.at_ms).await?;
        left = left.saturating_sub(room.min(fetched));
        if wants && room > 0 && fetched == 0 {
            break;
        }
    }
    Ok(exit)
}

/// Whether clips will make room: they are at work, or have something to do that nothing holds up.
fn may_get_room(standing: &Standing, both: &Both) -> bool {
    let is_held_up = standing.pause_of(scan::NAME).or(standing.pause_of(cut::NAME)).is_some();
    match both.clips.get() {
        Pace::Working => true,
        Pace::Waiting => standing.cuts + standing.unseen_files > 0 && !is_held_up,
        Pace::Ended => false,
    }
}

/// Looks and cuts: in batches while crawl is at work, then what is left.
async fn clips_leg(session: &Session, deadline_ms: Option<i64>, both: &Both) -> anyhow::Result<Option<Exit>> {
    let (mut exit, mut waits_since) = (None, None);
    while goes_on(session, deadline_ms) {
        // Read before looking: what crawl leaves behind while it ends is then still seen.
        let crawl = both.crawl.get();
        let standing = Standing::of_queue(session).await?;
        let due = standing.cuts + standing.unseen_files;
        let since = if due > 0 { *waits_since.get_or_insert_with(Instant::now) } else { Instant::now() };
        let is_worth_it = crawl != Pace::Working || due >= BATCH || since.elapsed() >= LONGEST_WAIT;
        if due > 0 && is_worth_it {
            both.clips.set(Pace::Working);
            let wanted = ClipsArgs::within(time_left(session, deadline_ms));
            exit = Some(clips::clips(session, &wanted).await?);
            both.clips.set(Pace::Waiting);
            waits_since = None;
        }
        if crawl == Pace::Ended {
            break;
        }
        both.crawl.change(session).await;
    }
    Ok(exit)
}

/// How many downloads came to an end since a moment.
async fn fetched_since(session: &Session, since_ms: i64) -> Result<u64, Failure> {
    let ended = rounds::ended(&session.catalog, since_ms, i64::MAX).await?;
    Ok(ended.iter().filter(|it| it.stage == fetch::NAME).map(|it| it.jobs).sum())
}

fn goes_on(session: &Session, deadline_ms: Option<i64>) -> bool {
    !session.stop.is_asked() && deadline_ms.is_none_or(|end_ms| session.clock.now_ms() < end_ms)
}

/// Milliseconds until a moment.
fn time_left(session: &Session, deadline_ms: Option<i64>) -> Option<i64> {
    deadline_ms.map(|end_ms| (end_ms - session.clock.now_ms()).max(1))
}

/// The training step as things stand after crawl and clips: they may have brought enough samples.
async fn due_training(session: &Session, work: &Work, before: &[Step]) -> anyhow::Result<Option<Step>> {
    if !before.iter().any(|step| step.leg == Leg::Train) {
        return Ok(None);
    }
    let standing = Standing::look(session, work).await?;
    Ok(agenda(&standing, &session.config).into_iter().find(|step| step.leg == Leg::Train))
}

#[cfg(feature = "train")]
async fn train(session: &Session, work: &Work, step: Step, deadline_ms: Option<i64>) -> StepDone {
    let began = Instant::now();
    if !step.is_due || !goes_on(session, deadline_ms) {
        return step_done(session, &step, began, None);
    }
    let (session_until, keeper) = session.ending_at(deadline_ms);
    let trained = super::super::train::command::on_catalog(&session_until, &work.train).await;
    keeper.abort();
    match trained {
        Ok(run) => {
            StepDone { run: Some(run), ..step_done(session, &step, began, Some(Ok(Some(Exit::Done)))) }
        }
        Err(failure) => step_done(session, &step, began, Some(Err(failure.into()))),
    }
}

#[cfg(not(feature = "train"))]
async fn train(session: &Session, _work: &Work, step: Step, _deadline_ms: Option<i64>) -> StepDone {
    let missing = Failure::permanent(Reason::ToolMissing, "this program was built without libtorch")
        .with_hint("build it with its default features, or take train out of run.commands");
    let ended = step.is_due.then(|| Err(missing.into()));
    step_done(session, &step, Instant::now(), ended)
}

/// What to write down of a command; `ended` is `None` when it did not begin.
fn step_done(
    session: &Session,
    step: &Step,
    began: Instant,
    ended: Option<anyhow::Result<Option<Exit>>>,
) -> StepDone {
    let failure = match &ended {
        Some(Err(error)) => Some(failure_of(error)),
        _ => None,
    };
    let was = |reason| failure.as_ref().is_some_and(|failure: &Failure| failure.reason == reason);
    let (was_cut, had_nothing) = (was(Reason::Interrupted), was(Reason::NothingToDo));
    let (outcome, why) = match (&ended, &failure) {
        (None | Some(Ok(None)), _) => ("skipped", step.why.clone()),
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
    let took_ms = matches!(ended, Some(Ok(Some(_)) | Err(_)))
        .then(|| i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX));
    let step = RoundStep { command: step.leg.as_str().to_owned(), outcome: outcome.to_owned(), why, took_ms };
    StepDone { step, failure, run: None }
}

/// The failure that an error holds; an error without one is a defect.
fn failure_of(error: &anyhow::Error) -> Failure {
    match error.chain().find_map(|cause| cause.downcast_ref::<Failure>()) {
        Some(failure) => failure.clone(),
        None => Failure::permanent(Reason::Bug, format!("{error:#}")),
    }
}

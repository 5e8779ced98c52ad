//! Drives stages for the commands: how long to wait for jobs that are due later, and the exit code.

use std::time::Duration;

use crate::catalog::jobs::JobFilter;
use crate::catalog::pauses;
use crate::clock::Stop;
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::{DrivePlan, Driven, Driver, Patience, Stage, worker_name};
use crate::types::{JobId, StageName};
use crate::words::{span, wall_clock};

use super::Session;

/// How often the clock is checked while waiting for a time: the machine may have been suspended.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The limits of a command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    /// The most jobs of one stage.
    pub(crate) max_jobs: Option<u64>,
    /// The most jobs of one stage for now: its caller goes on later. Nobody set this as a limit.
    pub(crate) room: Option<u64>,
    /// The time from which no new job is begun, milliseconds since 1970.
    pub(crate) deadline_ms: Option<i64>,
    /// Nothing new is begun once this is asked.
    pub(crate) no_more_claims: Option<Stop>,
    /// Which jobs are claimed.
    pub(crate) only: JobFilter,
    /// The stage before this one is at work until this is asked: its finds are waited for.
    pub(crate) upstream_ended: Option<Stop>,
    /// Jobs that are due within this time are waited for, milliseconds.
    pub(crate) wait_ms: i64,
    /// Concurrent jobs.
    pub(crate) slots: usize,
    /// Waiting times.
    pub(crate) patience: Patience,
}

/// Drives one stage until no job is due now or soon.
pub(crate) async fn drive<S: Stage>(
    session: &Session,
    stage: &S,
    limits: &Limits,
) -> Result<Driven, Failure> {
    end_disk_pause(session, S::NAME).await?;
    let mut total = Driven::default();
    loop {
        let most = limits.max_jobs.into_iter().chain(limits.room).min();
        let plan = DrivePlan {
            slots: limits.slots.max(1),
            max_attempts: session.config.workers.max_attempts,
            max_jobs: most.map(|most| most.saturating_sub(taken(&total))),
            deadline_ms: limits.deadline_ms,
            no_more_claims: limits.no_more_claims.clone(),
            only: limits.only.clone(),
            upstream_ended: limits.upstream_ended.clone(),
            patience: limits.patience,
            ..DrivePlan::new(worker_name(&session.clock))
        };
        let driver = Driver::new(&session.catalog, plan, &session.stop, session.reporter.as_ref());
        total = add(total, driver.drive(stage).await?);
        total.is_limited = limits.are_reached(session, &total);
        if total.is_limited || limits.is_room_used(&total) || !sleep_until_due(session, &total, limits).await
        {
            return Ok(total);
        }
    }
}

/// Ends a pause for lack of disk space if there is space now: this happens when a command starts, not at a set time.
async fn end_disk_pause(session: &Session, stage: StageName) -> Result<(), Failure> {
    let is_full = |pause: pauses::Pause| pause.reason == Reason::Disk;
    if pauses::of_stage(&session.catalog, stage).await?.is_some_and(is_full)
        && session.store.guard(session.config.crawl.min_free_bytes).is_ok()
    {
        pauses::lift(&session.catalog, stage).await?;
    }
    Ok(())
}

impl Limits {
    /// Whether one of the limits is reached.
    fn are_reached(&self, session: &Session, summary: &Driven) -> bool {
        self.max_jobs.is_some_and(|most| taken(summary) >= most)
            || self.deadline_ms.is_some_and(|deadline_ms| session.clock.now_ms() >= deadline_ms)
            || self.no_more_claims.as_ref().is_some_and(Stop::is_asked)
    }

    /// Whether there was no room for more jobs.
    pub(crate) fn is_room_used(&self, summary: &Driven) -> bool {
        self.room.is_some_and(|room| taken(summary) >= room)
    }
}

/// Jobs that came to an end.
fn taken(summary: &Driven) -> u64 {
    summary.done + summary.rejected + summary.dead
}

/// Waits for the next job if it is due soon enough; returns whether to go on.
async fn sleep_until_due(session: &Session, summary: &Driven, limits: &Limits) -> bool {
    let resume = match &summary.paused {
        Some(pause) => pause.resume_at,
        None => summary.next_due_ms,
    };
    let Some(resume_ms) = resume else { return false };
    let latest =
        session.clock.now_ms().saturating_add(limits.wait_ms).min(limits.deadline_ms.unwrap_or(i64::MAX));
    if resume_ms > latest {
        return false;
    }
    while session.clock.now_ms() < resume_ms {
        let is_over = limits.are_reached(session, summary);
        if is_over || tokio::time::timeout(POLL_INTERVAL, session.stop.asked()).await.is_ok() {
            return false;
        }
    }
    !session.stop.is_asked()
}

fn add(before: Driven, latest: Driven) -> Driven {
    Driven {
        done: before.done + latest.done,
        rejected: before.rejected + latest.rejected,
        dead: before.dead + latest.dead,
        postponed: before.postponed + latest.postponed,
        lost: before.lost + latest.lost,
        given_back: before.given_back + latest.given_back,
        ..latest
    }
}

/// The exit code for the stages that a command drove: a need for a person comes first, then what passes by itself.
pub(crate) fn exit(session: &Session, summaries: &[&Driven]) -> Exit {
    if session.stop.is_asked() {
        Exit::Interrupted
    } else if summaries.iter().any(|summary| waits_for_a_person(summary)) {
        Exit::SomeDead
    } else if summaries.iter().any(|summary| is_unfinished(summary)) {
        Exit::Paused
    } else if summaries.iter().all(|summary| summary.is_idle()) {
        Exit::NothingToDo
    } else {
        Exit::Done
    }
}

/// Whether jobs were given up, or the stage is paused without an end.
fn waits_for_a_person(summary: &Driven) -> bool {
    summary.dead > 0 || summary.paused.as_ref().is_some_and(|pause| pause.resume_at.is_none())
}

/// Whether there is work left that the command was to do.
fn is_unfinished(summary: &Driven) -> bool {
    summary.paused.is_some() || (summary.next_due_ms.is_some() && !summary.is_limited)
}

/// Why a stage is paused, for the closing line; empty if it is not.
pub(crate) fn outlook(session: &Session, summary: &Driven) -> String {
    let at = |due_ms: i64| format!("in {} ({})", span(due_ms - session.clock.now_ms()), wall_clock(due_ms));
    match (&summary.paused, summary.next_due_ms) {
        (None, Some(_)) if summary.is_limited => "; the limit is reached, more is due".to_owned(),
        (Some(pause), _) => match pause.resume_at {
            Some(resume_ms) if resume_ms <= session.clock.now_ms() => {
                format!("; was paused ({}), and goes on when started again", pause.reason)
            }
            Some(resume_ms) => format!("; paused ({}), come back {}", pause.reason, at(resume_ms)),
            None => format!("; paused ({}) until `webemotion retry --stage {}`", pause.reason, pause.stage),
        },
        (None, Some(due_ms)) if due_ms <= session.clock.now_ms() => "; more is due".to_owned(),
        (None, Some(due_ms)) => format!("; more is due {}", at(due_ms)),
        (None, None) => String::new(),
    }
}

/// Waiting times between attempts at work on local files, where no site needs to be spared.
pub(crate) fn local_patience() -> Patience {
    Patience { first_backoff_ms: 200, longest_backoff_ms: 2_000, ..Patience::default() }
}

/// The longest wait of a job with [`local_patience`], so that one command makes all attempts.
pub(crate) fn local_wait_ms(attempts: u32) -> i64 {
    2 * local_patience().backoff_ms(JobId(0), attempts).max(2_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, CatalogError, Transaction, jobs};
    use crate::pipeline::{JobContext, Outcome};

    #[tokio::test]
    async fn a_need_for_a_person_comes_before_what_passes_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let pause = |resume_at| pauses::Pause {
            stage: StageName::Fetch,
            reason: Reason::Blocked,
            detail: String::new(),
            since: 0,
            resume_at,
        };
        let ended = |dead, paused| exit(&session, &[&Driven { done: 1, dead, paused, ..Driven::default() }]);
        assert_eq!(ended(0, None), Exit::Done);
        assert_eq!(ended(0, Some(pause(Some(5)))), Exit::Paused);
        assert_eq!(ended(0, Some(pause(None))), Exit::SomeDead);
        assert_eq!(ended(1, Some(pause(Some(5)))), Exit::SomeDead);
    }

    /// Does nothing, well.
    struct Easy;

    impl Stage for Easy {
        const NAME: StageName = StageName::Fetch;
        const UNIT: &'static str = "videos";
        type Subject = ();
        type Output = ();

        fn rev(&self) -> String {
            "1".to_owned()
        }

        async fn load(&self, _catalog: &Catalog, _subject_id: i64) -> Result<(), Failure> {
            Ok(())
        }

        async fn run(&self, _subject: (), _context: &JobContext<'_>) -> Result<(), Failure> {
            Ok(())
        }

        async fn commit(&self, _tx: &mut Transaction, _output: ()) -> Result<Outcome, CatalogError> {
            Ok(Outcome::Done)
        }
    }

    #[tokio::test]
    async fn a_lack_of_room_ends_a_drive_and_is_no_limit_that_somebody_set() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let mut tx = session.catalog.begin().await.unwrap();
        jobs::enqueue_all(&mut tx, StageName::Fetch, "1", 0, &[1, 2, 3, 4, 5]).await.unwrap();
        tx.commit().await.unwrap();
        let two = Limits { max_jobs: Some(2), ..Limits::default() };
        let limited = drive(&session, &Easy, &two).await.unwrap();
        assert_eq!((limited.done, limited.is_limited), (2, true));
        // A job that is due soon would be waited for.
        let room = Limits { room: Some(2), wait_ms: 1_000, ..Limits::default() };
        let driven = drive(&session, &Easy, &room).await.unwrap();
        assert_eq!((driven.done, driven.is_limited), (2, false));
        assert_eq!(outlook(&session, &driven), "; more is due");
    }

    #[tokio::test]
    async fn jobs_that_are_due_already_are_not_announced_for_later() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let now_ms = session.clock.now_ms();
        let said =
            |next_due_ms| outlook(&session, &Driven { next_due_ms: Some(next_due_ms), ..Driven::default() });
        assert_eq!(said(now_ms - 5), "; more is due");
        let later = said(now_ms + 60_000);
        assert!(later.starts_with("; more is due in 1 min 00 s ("), "{later}");
        let pause = pauses::Pause {
            stage: StageName::Fetch,
            reason: Reason::RateLimited,
            detail: String::new(),
            since: 0,
            resume_at: Some(now_ms),
        };
        let over = outlook(&session, &Driven { paused: Some(pause), ..Driven::default() });
        assert!(!over.contains("come back in"), "{over}");
    }
}

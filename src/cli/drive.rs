//! Drives stages for the commands: how long to wait for what is due later, and what the exit code says of it all.

use std::time::Duration;

use crate::catalog::jobs::Only;
use crate::catalog::pauses;
use crate::clock::Stop;
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::{DrivePlan, Driven, Driver, Patience, Stage, worker_name};
use crate::types::{JobId, StageName};
use crate::words::{span, wall_clock};

use super::Session;

/// How often the clock is looked at while a moment is waited for: a machine that slept is late.
pub(super) const GLANCE: Duration = Duration::from_millis(100);

/// How far a command may go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    /// Jobs of one stage.
    pub(crate) max_jobs: Option<u64>,
    /// When nothing new is begun any more, milliseconds since 1970.
    pub(crate) deadline_ms: Option<i64>,
    /// Nothing new is begun once this is asked.
    pub(crate) enough: Option<Stop>,
    /// Which jobs are meant.
    pub(crate) only: Only,
    /// The stage before this one is at work until this is asked: its finds are waited for.
    pub(crate) until: Option<Stop>,
    /// What is due within this time is waited for, milliseconds.
    pub(crate) wait_ms: i64,
    /// Jobs in hand at once.
    pub(crate) slots: usize,
    /// Waiting times.
    pub(crate) patience: Patience,
}

/// Drives one stage until nothing is due, nor will be soon.
pub(crate) async fn drive<S: Stage>(
    session: &Session,
    stage: &S,
    limits: &Limits,
) -> Result<Driven, Failure> {
    end_disk_pause(session, S::NAME).await?;
    let mut total = Driven::default();
    loop {
        let taken = total.done + total.rejected + total.dead;
        let plan = DrivePlan {
            slots: limits.slots.max(1),
            max_attempts: session.config.workers.max_attempts,
            max_jobs: limits.max_jobs.map(|most| most.saturating_sub(taken)),
            deadline_ms: limits.deadline_ms,
            enough: limits.enough.clone(),
            only: limits.only.clone(),
            until: limits.until.clone(),
            patience: limits.patience,
            ..DrivePlan::new(worker_name(&session.clock))
        };
        let driver = Driver::new(&session.catalog, plan, &session.stop, session.reporter.as_ref());
        total = add(total, driver.drive(stage).await?);
        total.is_limited = limits.are_reached(session, &total);
        if total.is_limited || !sleep_until_due(session, &total, limits).await {
            return Ok(total);
        }
    }
}

/// A pause for want of room ends when a command starts and there is room, not at its hour.
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
    /// Whether the command has had as much as it wanted.
    fn are_reached(&self, session: &Session, summary: &Driven) -> bool {
        let taken = summary.done + summary.rejected + summary.dead;
        self.max_jobs.is_some_and(|most| taken >= most)
            || self.deadline_ms.is_some_and(|deadline_ms| session.clock.now_ms() >= deadline_ms)
            || self.enough.as_ref().is_some_and(Stop::is_asked)
    }
}

/// Waits for the next job if that is worth it; says whether to go on.
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
        if is_over || tokio::time::timeout(GLANCE, session.stop.asked()).await.is_ok() {
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

/// What the exit code says of the stages that a command drove: what a person has to do comes first, then what passes.
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

/// Whether jobs were given up, or the stage stands still without an end.
fn waits_for_a_person(summary: &Driven) -> bool {
    summary.dead > 0 || summary.paused.as_ref().is_some_and(|pause| pause.resume_at.is_none())
}

/// Whether work is left that the command wanted to do.
fn is_unfinished(summary: &Driven) -> bool {
    summary.paused.is_some() || (summary.next_due_ms.is_some() && !summary.is_limited)
}

/// Why a stage stands still, for the closing line; empty when it does not.
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

/// Waiting times with which work on this machine's own files is repeated: nobody needs to be spared.
pub(crate) fn local_patience() -> Patience {
    Patience { backoff_ms: 200, longest_backoff_ms: 2_000, ..Patience::default() }
}

/// The longest that a job of [`local_patience`] waits, so that one command tries everything to its end.
pub(crate) fn local_wait_ms(attempts: u32) -> i64 {
    2 * local_patience().backoff_ms(JobId(0), attempts).max(2_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_person_has_to_do_comes_before_what_passes() {
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

    #[tokio::test]
    async fn what_is_due_already_is_not_said_to_come() {
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

//! What a failure leads to, and where it is counted. Pure; knows no stage.

use super::plan::Driven;
use crate::failure::{Failure, FailureKind, Reason};

/// What becomes of a job that failed.
#[derive(Clone, Copy)]
pub(super) enum Remedy {
    /// Reject: a verdict about the subject.
    Reject,
    /// Give up; the log is kept.
    GiveUp,
    /// Try again later.
    Postpone,
    /// Pause the whole stage and release the job; the attempt does not count.
    Pause,
    /// Release the job; the attempt does not count.
    GiveBack,
    /// Release the job and end the drive: the next job would fail in the same way.
    End,
}

impl Remedy {
    /// What a failure leads to; `may_try_again` says whether the job has attempts left.
    pub(super) fn of(failure: &Failure, may_try_again: bool) -> Self {
        match (failure.kind, failure.reason) {
            (FailureKind::Rejected, _) => Self::Reject,
            (_, Reason::Interrupted) => Self::GiveBack,
            (_, Reason::ToolMissing | Reason::Usage | Reason::Catalog) => Self::End,
            (FailureKind::Transient, reason) if reason.pauses_stage() => Self::Pause,
            (FailureKind::Transient, _) if may_try_again => Self::Postpone,
            _ => Self::GiveUp,
        }
    }

    /// The counter of such jobs.
    pub(super) fn counter(self) -> fn(&mut Driven) -> &mut u64 {
        match self {
            Self::Reject => |summary| &mut summary.rejected,
            Self::GiveUp => |summary| &mut summary.dead,
            Self::Postpone => |summary| &mut summary.postponed,
            Self::Pause | Self::GiveBack | Self::End => |summary| &mut summary.given_back,
        }
    }
}

//! What a failure leads to, and where it is counted. Pure; knows no stage.

use super::plan::Driven;
use crate::failure::{Failure, FailureKind, Reason};

/// What becomes of a job that failed.
#[derive(Clone, Copy)]
pub(super) enum Remedy {
    /// A verdict about the subject.
    Reject,
    /// Dead, with the log kept.
    GiveUp,
    /// Later.
    Postpone,
    /// The whole stage stands still, the job is unharmed.
    Pause,
    /// The job is unharmed.
    GiveBack,
    /// The job is unharmed, and the drive ends: the next job would fail in the same way.
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

    /// Where the job is counted.
    pub(super) fn counter(self) -> fn(&mut Driven) -> &mut u64 {
        match self {
            Self::Reject => |summary| &mut summary.rejected,
            Self::GiveUp => |summary| &mut summary.dead,
            Self::Postpone => |summary| &mut summary.postponed,
            Self::Pause | Self::GiveBack | Self::End => |summary| &mut summary.given_back,
        }
    }
}

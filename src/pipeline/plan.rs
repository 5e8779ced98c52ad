//! How a stage is driven, and the result. Values only.

use super::patience::Patience;
use crate::catalog::jobs::JobFilter;
use crate::catalog::pauses::Pause;
use crate::clock::Stop;

/// How a stage is driven.
#[derive(Debug, Clone)]
pub struct DrivePlan {
    /// Names this process, see [`super::worker_name()`].
    pub worker: String,
    /// Concurrent jobs.
    pub slots: usize,
    /// A job is given up after this many attempts.
    pub max_attempts: u32,
    /// How long a lease lasts without a heartbeat, milliseconds; it is extended every third of that.
    pub lease_ms: i64,
    /// The most jobs to claim.
    pub max_jobs: Option<u64>,
    /// No job is claimed from this time on, milliseconds since 1970.
    pub deadline_ms: Option<i64>,
    /// No job is claimed once this is asked: the command has what it wanted, or another of its stages failed.
    pub no_more_claims: Option<Stop>,
    /// Which jobs are claimed.
    pub only: JobFilter,
    /// Asked once the stage before has ended. Until then the driver waits for jobs when none is due; without it, the
    /// drive ends.
    pub upstream_ended: Option<Stop>,
    /// Waiting times.
    pub patience: Patience,
}

impl DrivePlan {
    /// One job at a time, three attempts, two minutes of lease, until nothing is due.
    pub fn new(worker: String) -> Self {
        Self {
            worker,
            slots: 1,
            max_attempts: 3,
            lease_ms: 120_000,
            max_jobs: None,
            deadline_ms: None,
            no_more_claims: None,
            only: JobFilter::default(),
            upstream_ended: None,
            patience: Patience::default(),
        }
    }
}

/// The result of driving a stage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Driven {
    /// Jobs that are done.
    pub done: u64,
    /// Jobs that were rejected.
    pub rejected: u64,
    /// Jobs that were given up.
    pub dead: u64,
    /// Attempts that failed and will be repeated later.
    pub postponed: u64,
    /// Results that were discarded because the lease was lost.
    pub lost: u64,
    /// Jobs that were released; their attempts do not count.
    pub given_back: u64,
    /// The pause of the stage, whether it began during the drive or before.
    pub paused: Option<Pause>,
    /// When its next job is due, milliseconds since 1970; none when no job is left.
    pub next_due_ms: Option<i64>,
    /// It ended at a limit of the command: jobs, time or bytes.
    pub is_limited: bool,
}

impl Driven {
    /// Whether no job was claimed.
    pub fn is_idle(&self) -> bool {
        self.done + self.rejected + self.dead + self.postponed + self.lost + self.given_back == 0
    }
}

//! How a stage is driven, and what came of it. Values only.

use super::patience::Patience;
use crate::catalog::jobs::Only;
use crate::catalog::pauses::Pause;
use crate::clock::Stop;

/// How a stage is driven.
#[derive(Debug, Clone)]
pub struct DrivePlan {
    /// Names this process, see [`super::worker_name`].
    pub worker: String,
    /// Jobs in hand at once.
    pub slots: usize,
    /// A job is given up after this many attempts.
    pub max_attempts: u32,
    /// A job whose holder is silent for this long is anyone's; it is prolonged every third of it.
    pub lease_ms: i64,
    /// Claim no more than this many jobs.
    pub max_jobs: Option<u64>,
    /// Claim nothing from then on, milliseconds since 1970.
    pub deadline_ms: Option<i64>,
    /// Claim nothing once this is asked: what the command wanted is done, or another of its stages failed.
    pub enough: Option<Stop>,
    /// Claim only these.
    pub only: Only,
    /// Where nothing is due, the driver looks again until this is asked: the stage before is still at work. Without it, the
    /// drive ends.
    pub until: Option<Stop>,
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
            enough: None,
            only: Only::default(),
            until: None,
            patience: Patience::default(),
        }
    }
}

/// What driving a stage came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Driven {
    /// Jobs that ended well.
    pub done: u64,
    /// Jobs that ended with a verdict.
    pub rejected: u64,
    /// Jobs that were given up.
    pub dead: u64,
    /// Attempts that will be repeated later.
    pub postponed: u64,
    /// Results that were thrown away, since the lease was lost.
    pub lost: u64,
    /// Jobs that were let go, unharmed.
    pub given_back: u64,
    /// The pause that the stage ran into, or stood in from the beginning.
    pub paused: Option<Pause>,
    /// When more of its work is due, milliseconds since 1970; none when all of it is finished.
    pub next_due_ms: Option<i64>,
    /// It ended because the command wanted no more: so many jobs, so much time, so many bytes.
    pub is_limited: bool,
}

impl Driven {
    /// Whether anything was taken up at all.
    pub fn is_idle(&self) -> bool {
        self.done + self.rejected + self.dead + self.postponed + self.lost + self.given_back == 0
    }
}

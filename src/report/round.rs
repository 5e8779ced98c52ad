//! What one round of `webemotion run` did, as plain values: for its report and for `--notify`.

use serde::{Deserialize, Serialize};

use super::run_report::{FailureGroup, RunSummary};
use crate::types::StageName;

/// One round.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RoundReport {
    /// Its number, one more than the last round's.
    pub round: i64,
    /// Milliseconds since 1970.
    pub started_at_ms: i64,
    /// Milliseconds since 1970.
    pub ended_at_ms: i64,
    /// The exit code.
    pub exit: u8,
    /// The exit code in words.
    pub outcome: String,
    /// A note on the round before, if it was killed.
    pub before: Option<String>,
    /// Its parts, in order.
    pub steps: Vec<RoundStep>,
    /// The outcomes of each stage's jobs.
    pub work: Vec<StageWork>,
    /// What failed, by cause, most frequent first.
    pub failures: Vec<FailureGroup>,
    /// What the catalog holds now.
    pub totals: Totals,
    /// What it held when the round before ended; none before the second round.
    pub totals_before: Option<Totals>,
    /// Stages that are paused.
    pub paused: Vec<PausedStage>,
    /// Free space for the data folder, bytes.
    pub free_bytes: u64,
    /// The training run that ended in it.
    pub run: Option<RunSummary>,
    /// What the next round would do, and why.
    pub next: Vec<RoundStep>,
    /// New samples; not in the JSON.
    #[serde(skip)]
    pub pictures: Vec<Picture>,
}

/// One part of a round: a command and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RoundStep {
    /// `crawl`, `clips`, `train` or `report`.
    pub command: String,
    /// `done`, `skipped`, `cut short` or `failed`; for the next round `due` or `not due`.
    pub outcome: String,
    /// Why.
    pub why: String,
    /// How long it took; none when it did not begin.
    pub took_ms: Option<i64>,
}

/// The outcomes of a stage's jobs in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StageWork {
    /// The stage.
    pub stage: StageName,
    /// Jobs that are done.
    pub done: u64,
    /// Jobs that ended with a verdict about the data.
    pub rejected: u64,
    /// Jobs that were given up.
    pub given_up: u64,
    /// Jobs that failed and will be tried again.
    pub put_off: u64,
}

/// The totals of the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Searches in force.
    pub searches: u64,
    /// Videos found.
    pub videos: u64,
    /// Videos whose file was downloaded; it may have been discarded since.
    pub files: u64,
    /// Clips, without duplicates whose samples are not in use.
    pub clips: u64,
    /// Samples in use.
    pub samples: u64,
}

impl Totals {
    /// The five counts with their names, in the order of the data flow.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("searches", self.searches),
            ("videos", self.videos),
            ("files", self.files),
            ("clips", self.clips),
            ("samples", self.samples),
        ]
    }
}

/// A paused stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PausedStage {
    /// The stage.
    pub stage: StageName,
    /// The reason, from the closed list.
    pub reason: String,
    /// When it resumes, milliseconds since 1970; none: when a person lifts the pause.
    pub resume_at_ms: Option<i64>,
}

/// A sample's picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Picture {
    /// Its row in the catalog.
    pub sample_id: i64,
    /// The emotion its video was searched for.
    pub emotion: String,
    /// A JPEG file.
    pub jpeg: Vec<u8>,
}

impl RoundReport {
    /// The file stem of its page and its summary.
    pub fn name(&self) -> String {
        format!("round-{:04}", self.round)
    }

    /// The sum of one of the four counts over all stages.
    pub fn jobs(&self, count: fn(&StageWork) -> u64) -> u64 {
        self.work.iter().map(count).sum()
    }
}

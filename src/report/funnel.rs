//! The funnel: what is left after each step from searches to samples, and why the rest was lost, as plain values.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::types::StageName;

/// The steps from searches to samples.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Funnel {
    /// The steps, in the order of the data flow.
    pub steps: Vec<FunnelStep>,
    /// The same by emotion.
    pub emotions: Vec<EmotionCounts>,
    /// How long each stage was at work.
    pub times: Vec<StageTime>,
}

/// How long a stage was at work, in elapsed time, no matter how many jobs ran at once; for scans the sum of the time that
/// each took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StageTime {
    /// The stage.
    pub stage: StageName,
    /// Jobs that are done.
    pub done: u64,
    /// Sum of the times from one job's end to the next one's, without nights and pauses, or of those that scans took,
    /// milliseconds.
    pub worked_ms: i64,
    /// Mean of these times, if there is one, milliseconds.
    pub job_ms: Option<i64>,
}

/// What is left after one step.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct FunnelStep {
    /// What is counted: `searches`, `videos`, `tracks`, `clips` or `samples`. Shares are taken within one of them.
    pub unit: String,
    /// What happened to them: `found`, `downloaded` …
    pub name: String,
    /// How many passed it.
    pub kept: u64,
    /// How many are still to be processed, if known.
    pub waiting: Option<u64>,
    /// Those lost at this step, most frequent reason first.
    pub lost: Vec<ReasonCount>,
}

/// The number of times a reason was given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ReasonCount {
    /// The reason, from the closed list.
    pub reason: String,
    /// How often.
    pub count: u64,
    /// The same by the emotion searched for, where it is counted and not 0.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub emotions: BTreeMap<String, u64>,
}

/// One emotion's share of the data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EmotionCounts {
    /// The emotion that was searched for.
    pub emotion: String,
    /// Searches planned.
    pub searches: Option<u64>,
    /// Videos found; one found for two emotions counts for the one with the better evidence.
    pub videos: Option<u64>,
    /// Videos whose file was downloaded.
    pub files: Option<u64>,
    /// Clips cut, without duplicates whose samples are not in use.
    pub clips: Option<u64>,
    /// Samples in use.
    pub samples: Option<u64>,
}

impl EmotionCounts {
    /// The names of the columns that [`EmotionCounts::counts`] fills.
    pub(super) const COLUMNS: [&'static str; 5] = ["searches", "videos", "files", "clips", "samples"];

    /// The five counts, in the order of the data flow.
    pub(super) fn counts(&self) -> [Option<u64>; 5] {
        [self.searches, self.videos, self.files, self.clips, self.samples]
    }
}

impl Funnel {
    /// The step with this unit and name.
    pub(super) fn step(&self, unit: &str, name: &str) -> Option<&FunnelStep> {
        self.steps.iter().find(|step| step.unit == unit && step.name == name)
    }

    /// The last step of a unit: what is left of it in the end.
    pub(super) fn last(&self, unit: &str) -> Option<&FunnelStep> {
        self.steps.iter().rfind(|step| step.unit == unit)
    }

    /// How many there were at the first step of this unit: the 100 % of its shares.
    pub(super) fn whole(&self, unit: &str) -> u64 {
        self.steps.iter().find(|step| step.unit == unit).map_or(0, |step| step.kept)
    }

    /// Each column's sum over the emotions; none where it is unknown for all of them.
    pub(super) fn totals(&self) -> [Option<u64>; 5] {
        let mut totals = [None; 5];
        for counts in self.emotions.iter().map(EmotionCounts::counts) {
            for (total, count) in totals.iter_mut().zip(counts) {
                *total = match (*total, count) {
                    (Some(total), Some(count)) => Some(total + count),
                    (one, other) => one.or(other),
                };
            }
        }
        totals
    }
}

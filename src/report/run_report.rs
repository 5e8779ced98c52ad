//! All that one report says, as plain values. It knows neither where they come from nor how they are drawn.

use serde::Serialize;

use crate::types::StageName;
use crate::words::{known, share};

use super::epochs::{Confusion, EpochFacts, Histogram};
use super::funnel::Funnel;
use super::labels::{ClassCount, LeastImportant, RelabelledSample};
use super::truth::Truth;

/// One report. Every part may be missing; the renderers then say "not known".
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RunReport {
    /// The headline.
    pub title: String,
    /// When the report was made, milliseconds since 1970.
    pub made_at_ms: i64,
    /// The training run it is about; none in a report on the catalog alone.
    pub run: Option<RunFacts>,
    /// From searches to samples.
    pub funnel: Option<Funnel>,
    /// How many training samples each class has, before and after relabelling.
    pub class_counts: Vec<ClassCount>,
    /// One entry an epoch, in order.
    pub epochs: Vec<EpochFacts>,
    /// What the test split said.
    pub test: Option<TestResult>,
    /// Who is taken for whom.
    pub confusion: Option<Confusion>,
    /// How SCN's importance is spread over the training samples.
    pub importance: Option<Histogram>,
    /// The samples that the run trusts least, least first.
    pub least_important: Vec<LeastImportant>,
    /// How many samples ended with another label than they began with; `relabelled` may show fewer.
    pub relabelled_total: Option<u64>,
    /// Samples whose label the run would change, surest first.
    pub relabelled: Vec<RelabelledSample>,
    /// What can be said only where the true labels are known.
    pub truth: Option<Truth>,
    /// Other runs on the same catalog, newest first.
    pub compared: Vec<RunSummary>,
    /// What went wrong, most frequent cause first.
    pub failures: Vec<FailureGroup>,
}

/// What identifies a training run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RunFacts {
    /// Its name, unique in the catalog.
    pub name: String,
    /// `baseline`, `scn` or `cure`.
    pub method: String,
    /// `open`, `done`, `failed` or `stopped`; `adopted` while its labels are in force.
    pub state: String,
    /// Where it ran, in words.
    pub device: Option<String>,
    /// How labels were made wrong on purpose before it began, in words; none where they are as they came.
    pub noise: Option<String>,
    /// Milliseconds since 1970.
    pub started_at_ms: Option<i64>,
    /// Milliseconds since 1970.
    pub finished_at_ms: Option<i64>,
    /// Every setting, by name.
    pub recipe: Vec<(String, String)>,
}

/// What the test split said, which chooses nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TestResult {
    /// Samples in it.
    pub samples: u64,
    /// How many last epochs the shares below are means of.
    pub epochs: u64,
    /// Share classified as labelled, 0 to 1.
    pub accuracy: f64,
    /// Mean of the classes' recalls, 0 to 1.
    pub mean_class_accuracy: Option<f64>,
}

/// One line about a run, to set runs side by side.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RunSummary {
    /// Its name.
    pub name: String,
    /// Its method.
    pub method: String,
    /// How labels were made wrong on purpose before it began, in words; none where they are as they came.
    pub noise: Option<String>,
    /// `open`, `done`, `failed` or `stopped`; `adopted` while its labels are in force.
    pub state: String,
    /// Milliseconds since 1970.
    pub started_at_ms: Option<i64>,
    /// Epochs done.
    pub epochs: u64,
    /// Mean accuracy of the last five epochs that measured it, 0 to 1.
    pub last_five_accuracy: Option<f64>,
    /// How many they are: fewer than five in a short run.
    pub last_epochs: u64,
    /// Best epoch's accuracy, 0 to 1.
    pub best_accuracy: Option<f64>,
    /// Mean class accuracy of the same last epochs, 0 to 1.
    pub mean_class_accuracy: Option<f64>,
    /// On what these were measured: `13 test samples`, or `validation` before the run's end; none where nothing was.
    pub measured_on: Option<String>,
    /// Samples that ended with another label.
    pub relabelled: Option<u64>,
}

impl RunSummary {
    /// Its method, and that labels were made wrong for it: it is not to be held against others then.
    pub(super) fn method(&self) -> String {
        match &self.noise {
            Some(noise) => format!("{}, wrong labels {noise}", self.method),
            None => self.method.clone(),
        }
    }

    /// The accuracy of the last five epochs in words, with their number where it is another one.
    pub(super) fn last_five(&self) -> String {
        let accuracy = known(self.last_five_accuracy, share);
        match self.last_epochs {
            fewer @ 1..5 => format!("{accuracy} (of {fewer})"),
            _ => accuracy,
        }
    }
}

/// Jobs that failed for the same cause. What one of them says is not here: it may name a video, and a page outlives the
/// rows of one that is forgotten.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureGroup {
    /// The stage.
    pub stage: StageName,
    /// The reason, from the closed list.
    pub reason: String,
    /// What became of the jobs: `rejected`, `put off` or `given up`.
    pub outcome: String,
    /// How many.
    pub count: u64,
}

/// The same for the screen, where it is gone at once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureExample {
    /// The jobs.
    #[serde(flatten)]
    pub group: FailureGroup,
    /// Raw text of one of them.
    pub example: Option<String>,
}

//! The content of one report, as plain values.

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
    /// The training run it is about; none in a report on the catalog only.
    pub run: Option<RunFacts>,
    /// From searches to samples.
    pub funnel: Option<Funnel>,
    /// How many training samples each class has, before and after relabelling.
    pub class_counts: Vec<ClassCount>,
    /// One entry an epoch, in order.
    pub epochs: Vec<EpochFacts>,
    /// The result on the test split.
    pub test: Option<TestResult>,
    /// The confusion matrix.
    pub confusion: Option<Confusion>,
    /// The distribution of SCN's importance over the training samples.
    pub importance: Option<Histogram>,
    /// The samples of least importance, least first.
    pub least_important: Vec<LeastImportant>,
    /// How many samples ended with another label than they began with; `relabelled` may show fewer.
    pub relabelled_total: Option<u64>,
    /// Samples whose label the run would change, most confident first.
    pub relabelled: Vec<RelabelledSample>,
    /// The labels against the truth, where it is known.
    pub truth: Option<Truth>,
    /// Other runs on the same catalog, newest first.
    pub compared: Vec<RunSummary>,
    /// What went wrong, most frequent cause first.
    pub failures: Vec<FailureGroup>,
}

/// The facts about a training run.
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

/// The result on the test split, by which nothing is chosen.
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

/// One line about a run, for comparing runs.
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
    /// The number of those epochs: fewer than five in a short run.
    pub last_epochs: u64,
    /// Best epoch's accuracy, 0 to 1.
    pub best_accuracy: Option<f64>,
    /// Mean class accuracy of the same last epochs, 0 to 1.
    pub mean_class_accuracy: Option<f64>,
    /// What these were measured on: `13 test samples`, or `validation` before the run's end; none where nothing was.
    pub measured_on: Option<String>,
    /// Samples that ended with another label.
    pub relabelled: Option<u64>,
}

impl RunSummary {
    /// Its method, with a remark if labels were made wrong for it, since it is not comparable with others then.
    pub(super) fn method(&self) -> String {
        match &self.noise {
            Some(noise) => format!("{}, wrong labels {noise}", self.method),
            None => self.method.clone(),
        }
    }

    /// The accuracy of the last five epochs as text, with the number of epochs where it is not five.
    pub(super) fn last_five(&self) -> String {
        let accuracy = known(self.last_five_accuracy, share);
        match self.last_epochs {
            fewer @ 1..5 => format!("{accuracy} (of {fewer})"),
            _ => accuracy,
        }
    }
}

/// Jobs that failed for the same cause. No message of theirs is here: it may name a video, and a page outlives the rows of
/// a forgotten one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureGroup {
    /// The stage.
    pub stage: StageName,
    /// The reason, from the closed list.
    pub reason: String,
    /// The outcome of the jobs: `rejected`, `put off` or `given up`.
    pub outcome: String,
    /// How many.
    pub count: u64,
}

/// The same with a message, for the terminal only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureExample {
    /// The jobs.
    #[serde(flatten)]
    pub group: FailureGroup,
    /// Raw text of one of them.
    pub example: Option<String>,
}

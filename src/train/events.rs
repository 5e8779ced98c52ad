//! What training tells those who wait, and what it leaves behind. Plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::metrics::{EpochMetrics, LabelAudit, SplitMetrics};
use crate::types::{Relabel, Split};

/// One thing that happened in training.
#[derive(Debug, Clone)]
pub enum TrainEvent {
    /// The run begins, or goes on after a resume.
    Began {
        /// Device, number format and layout, with the reason.
        device: String,
        /// All epochs of the run.
        epochs: u32,
        /// Steps an epoch.
        steps: usize,
        /// Measures of the epochs that the checkpoint says are done; whoever writes them down may have missed some.
        history: Vec<EpochMetrics>,
        /// The label changes of those epochs.
        relabels: Vec<Relabel>,
        /// What was loaded from `init`, in words.
        init: Option<String>,
    },
    /// A step of a scout is done: a net that will be asked about samples that it did not see.
    Scouting {
        /// Which one, one-based.
        scout: u32,
        /// How many there are.
        scouts: u32,
        /// Epochs of each at most.
        epochs: u32,
        /// How the step went.
        step: Step,
    },
    /// A step is done.
    Step(Step),
    /// An epoch is done and measured. The last one of `cure` is told when its labels are decided, and in no history.
    Epoch(Box<EpochMetrics>),
    /// Labels changed.
    Relabelled(Vec<Relabel>),
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// One-based.
    pub epoch: u32,
    /// One-based.
    pub step: usize,
    /// Steps an epoch.
    pub steps: usize,
    /// Loss of the step.
    pub loss: f64,
    /// Share of this epoch's pictures so far whose most probable class is the label as given.
    pub accuracy: f64,
    /// Pictures a second in this epoch so far.
    pub images_per_s: f64,
    /// Share of this epoch's time that steps waited for the loader.
    pub data_wait_share: f64,
}

impl Step {
    /// Steps of the whole run so far.
    pub fn done(&self) -> u64 {
        (u64::from(self.epoch) - 1) * self.steps as u64 + self.step as u64
    }
}

/// What should be done with a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The label stands.
    Keep,
    /// The run is sure of another one.
    Relabel,
    /// The run doubts it but knows no better: ask a person.
    Ask,
}

impl Decision {
    /// The lower-case word that tables have.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Relabel => "relabel",
            Self::Ask => "ask",
        }
    }
}

/// What a finished run thinks of one sample, seen without augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Opinion {
    /// Position in the training set.
    pub sample: usize,
    /// Its part of the data.
    pub split: Split,
    /// The label in force at the end, a class index.
    pub label: usize,
    /// α, or for `cure` the probability that the given label is right; `None` for `baseline`.
    pub importance: Option<f32>,
    /// The most probable class.
    pub predicted: usize,
    /// Its probability.
    pub p_predicted: f32,
    /// The probability of the label that was given.
    pub p_given: f32,
    /// What should be done with the given label.
    pub decision: Decision,
}

/// A finished run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trained {
    /// `baseline`, `scn` or `cure`.
    pub method: String,
    /// Hash of the recipe.
    pub recipe_hash: String,
    /// Class names in index order.
    pub classes: Vec<String>,
    /// Device, number format and layout.
    pub device: String,
    /// Which split the accuracies below are of: test, else validation; `None` when there is neither.
    pub measured_on: Option<Split>,
    /// Mean accuracy of the last five epochs.
    pub last5_accuracy: Option<f64>,
    /// Accuracy with the params that were best on validation.
    pub best_accuracy: Option<f64>,
    /// The epoch of those params, one-based.
    pub best_epoch: Option<u32>,
    /// Mean class accuracy, the mean of the last five epochs.
    pub mean_class_accuracy: Option<f64>,
    /// All measures with the last params.
    pub last: Option<SplitMetrics>,
    /// What became of the training labels, where truth is known.
    pub labels: Option<LabelAudit>,
    /// Chance that a rightly labelled training sample's importance exceeds a wrongly labelled one's in the end, where
    /// truth is known and the method gives importance.
    #[serde(default)]
    pub importance_auc: Option<f64>,
    /// Median pictures a second of the epochs.
    pub images_per_s: f64,
    /// Every epoch; written down in `metrics.jsonl`.
    #[serde(skip)]
    pub epochs: Vec<EpochMetrics>,
    /// Every label change, oldest first.
    #[serde(skip)]
    pub relabels: Vec<Relabel>,
    /// One for each sample that can be read, by position.
    #[serde(skip)]
    pub opinions: Vec<Opinion>,
    /// Name and cause of every picture that cannot be read.
    pub unreadable: Vec<String>,
}

impl Trained {
    /// The numbers to compare it by.
    pub fn measures(&self) -> Measures {
        let on = |split| Some(MeasuredOn { split, samples: self.last.as_ref()?.samples() });
        Measures {
            last5_accuracy: self.last5_accuracy,
            best_accuracy: self.best_accuracy,
            mean_class_accuracy: self.mean_class_accuracy,
            measured_on: self.measured_on.and_then(on),
            labels: self.labels.map(LabelShares::from).unwrap_or_default(),
            images_per_s: self.images_per_s,
        }
    }

    /// What closes the run of this name.
    pub fn closing_line(&self, run: &str) -> ClosingLine {
        ClosingLine { run: run.to_owned(), measures: self.measures() }
    }
}

/// The closing line of `train --json`, a public contract: no key goes away, and what is not known is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "trained")]
pub struct ClosingLine {
    /// What the run is called.
    pub run: String,
    /// What it came to.
    #[serde(flatten)]
    pub measures: Measures,
}

/// The numbers that runs are compared by; `None` where truth, or a held-out part, is missing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Measures {
    /// Mean accuracy of the last five epochs.
    pub last5_accuracy: Option<f64>,
    /// Accuracy of the params that were best on validation.
    pub best_accuracy: Option<f64>,
    /// Mean class accuracy of the last five epochs.
    pub mean_class_accuracy: Option<f64>,
    /// What the accuracies are of. Closing lines of earlier releases do not say it.
    #[serde(default)]
    pub measured_on: Option<MeasuredOn>,
    /// What became of the training labels.
    pub labels: LabelShares,
    /// Median pictures a second of the epochs.
    pub images_per_s: f64,
}

/// Which held-out samples were asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredOn {
    /// Their part of the data.
    pub split: Split,
    /// How many could be read.
    pub samples: u64,
}

impl MeasuredOn {
    /// Whether the same samples also chose the best epoch: then its accuracy is too favourable.
    pub fn chose_the_best(&self) -> bool {
        self.split == Split::Validation
    }
}

impl fmt::Display for MeasuredOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} samples", self.samples, self.split.as_str())
    }
}

/// What became of labels, where truth is known: see [`LabelAudit`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LabelShares {
    /// Share of the wrong ones that are right in the end.
    pub fixed: Option<f64>,
    /// Share of the right ones that are wrong in the end.
    pub broken: Option<f64>,
    /// Share of all that are wrong in the end.
    pub left: Option<f64>,
}

impl From<LabelAudit> for LabelShares {
    fn from(audit: LabelAudit) -> Self {
        Self { fixed: audit.fixed, broken: audit.broken, left: Some(audit.left) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trained(labels: Option<LabelAudit>) -> Trained {
        Trained {
            method: "scn".to_owned(),
            recipe_hash: String::new(),
            classes: Vec::new(),
            device: String::new(),
            measured_on: Some(Split::Test),
            last5_accuracy: Some(0.5),
            best_accuracy: None,
            best_epoch: None,
            mean_class_accuracy: Some(0.25),
            last: None,
            labels,
            importance_auc: Some(0.75),
            images_per_s: 10.0,
            epochs: Vec::new(),
            relabels: Vec::new(),
            opinions: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    /// A public contract: these keys, no others, and null where truth is unknown.
    #[test]
    fn the_closing_line_has_the_promised_shape() {
        let audit =
            LabelAudit { fixed: Some(0.5), broken: Some(0.125), left: 0.25, before: 0.2, precision: None };
        let expected = |fixed: Option<f64>, broken: Option<f64>, left: Option<f64>| {
            json!({
                "event": "trained", "run": "scn-1", "last5_accuracy": 0.5, "best_accuracy": null,
                "mean_class_accuracy": 0.25, "measured_on": null,
                "labels": {"fixed": fixed, "broken": broken, "left": left}, "images_per_s": 10.0,
            })
        };
        let line = trained(Some(audit)).closing_line("scn-1");
        assert_eq!(json!(line), expected(Some(0.5), Some(0.125), Some(0.25)));
        assert_eq!(json!(trained(None).closing_line("scn-1")), expected(None, None, None));
        assert_eq!(serde_json::from_value::<ClosingLine>(json!(line)).unwrap(), line);
    }

    #[test]
    fn the_closing_line_says_on_what_was_measured() {
        let last = SplitMetrics { confusion: vec![vec![3, 1], vec![0, 2]], ..SplitMetrics::default() };
        let mut trained = Trained { last: Some(last), ..trained(None) };
        assert_eq!(
            json!(trained.closing_line("scn-1"))["measured_on"],
            json!({"split": "test", "samples": 6})
        );
        assert_eq!(trained.measures().measured_on.unwrap().to_string(), "6 test samples");
        trained.measured_on = Some(Split::Validation);
        assert!(trained.measures().measured_on.unwrap().chose_the_best());
    }

    #[test]
    fn a_closing_line_of_an_earlier_release_is_read() {
        let old = json!({
            "event": "trained", "run": "scn-1", "last5_accuracy": 0.5, "best_accuracy": null,
            "mean_class_accuracy": 0.25, "labels": {"fixed": null, "broken": null, "left": null},
            "images_per_s": 10.0,
        });
        let line: ClosingLine = serde_json::from_value(old).unwrap();
        assert_eq!(line, trained(None).closing_line("scn-1"));
    }

    #[test]
    fn what_is_written_down_of_a_result_comes_back_but_for_its_lists() {
        let json = serde_json::to_string(&trained(None)).unwrap();
        let back: Trained = serde_json::from_str(&json).unwrap();
        assert_eq!((back.importance_auc, back.measured_on), (Some(0.75), Some(Split::Test)));
    }
}

//! What training returns at the end of a run, and its closing line. Plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::metrics::{EpochMetrics, LabelAudit, SplitMetrics};
use super::recipe::Method;
use crate::types::{Relabel, Split};

/// What should be done with a given label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The label stands.
    Keep,
    /// The run has changed it.
    Relabel,
    /// The run doubts it without being sure of another: ask a person.
    Ask,
}

impl Decision {
    /// The lower-case word used in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Relabel => "relabel",
            Self::Ask => "ask",
        }
    }
}

/// A finished run's opinion of one sample, predicted without augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Opinion {
    /// Position in the training set.
    pub sample: usize,
    /// The sample's split.
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

/// A finished run, as `result.json` holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trained {
    /// How labels and losses were treated.
    pub method: Method,
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
    /// All measures of the last params.
    pub last: Option<SplitMetrics>,
    /// The state of the training labels in the end, where truth is known.
    pub labels: Option<LabelAudit>,
    /// Chance that the final importance of a rightly labelled training sample exceeds that of a wrongly labelled one,
    /// where truth is known and the method gives importances.
    #[serde(default)]
    pub importance_auc: Option<f64>,
    /// Pictures a second, the median over the epochs.
    pub images_per_s: f64,
    /// Every epoch; written to `metrics.jsonl`.
    #[serde(skip)]
    pub epochs: Vec<EpochMetrics>,
    /// Every label change, oldest first.
    #[serde(skip)]
    pub relabels: Vec<Relabel>,
    /// One for each readable sample, in the order of the set.
    #[serde(skip)]
    pub opinions: Vec<Opinion>,
    /// Name and cause of every picture that cannot be read.
    pub unreadable: Vec<String>,
}

impl Trained {
    /// The numbers that runs are compared by.
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

    /// The closing line of the run of this name.
    pub fn closing_line(&self, run: &str) -> ClosingLine {
        ClosingLine { run: run.to_owned(), measures: self.measures() }
    }
}

/// The closing line of `train --json`, a public contract: no key goes away, and unknown values are null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "trained")]
pub struct ClosingLine {
    /// The name of the run.
    pub run: String,
    /// Its results.
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
    /// The samples behind the accuracies. Closing lines of earlier releases lack it.
    #[serde(default)]
    pub measured_on: Option<MeasuredOn>,
    /// The state of the training labels in the end.
    pub labels: LabelShares,
    /// Pictures a second, the median over the epochs.
    pub images_per_s: f64,
}

/// The held-out samples that accuracies were measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredOn {
    /// Their split.
    pub split: Split,
    /// How many could be read.
    pub samples: u64,
}

impl MeasuredOn {
    /// Whether the same samples also chose the best epoch; then its accuracy is too favourable.
    pub fn chose_the_best(&self) -> bool {
        self.split == Split::Validation
    }
}

impl fmt::Display for MeasuredOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} samples", self.samples, self.split.as_str())
    }
}

/// The shares of [`LabelAudit`] that runs are compared by; `None` where truth is unknown.
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
            method: Method::Scn,
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
    fn the_closing_line_says_what_was_measured_on() {
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
    fn a_result_comes_back_from_its_json_except_for_its_lists() {
        let json = serde_json::to_string(&trained(None)).unwrap();
        assert!(json.starts_with(r#"{"method":"scn","#), "as earlier releases wrote it: {json}");
        let back: Trained = serde_json::from_str(&json).unwrap();
        assert_eq!((back.importance_auc, back.measured_on), (Some(0.75), Some(Split::Test)));
    }
}

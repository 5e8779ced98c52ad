//! Measures as pure functions of plain slices: accuracy, calibration, AUC, and the effect on the labels.

use serde::{Deserialize, Serialize};

use super::scn::argmax;

/// Bins of the calibration error.
const CALIBRATION_BINS: usize = 15;

/// A net's prediction of one sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Softmax of the logits, weighted as the method does, C.
    pub probabilities: Vec<f32>,
    /// α, 0 to 1; `None` where the method trains none.
    pub importance: Option<f32>,
}

impl Prediction {
    /// The most probable class; the first of equal ones.
    pub fn class(&self) -> usize {
        argmax(&self.probabilities).unwrap_or(0)
    }
}

/// Measures of one split, against labels that are taken as true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
pub struct SplitMetrics {
    /// Share of samples whose most probable class is their label.
    pub accuracy: f64,
    /// Mean recall of the classes that have samples.
    pub mean_class_accuracy: f64,
    /// Recall of each class; `None` for a class without samples.
    pub recalls: Vec<Option<f64>>,
    /// Rows are labels, columns are predictions.
    pub confusion: Vec<Vec<u64>>,
    /// Expected calibration error over 15 bins of confidence (Guo et al. 2017), 0 to 1.
    pub calibration_error: f64,
    /// Mean of −log p(label).
    pub loss: f64,
}

impl SplitMetrics {
    /// Both have one entry for each sample, in the same order. `None` without samples.
    pub fn of(predictions: &[Prediction], labels: &[usize], classes: usize) -> Option<Self> {
        if labels.is_empty() {
            return None;
        }
        let mut confusion = vec![vec![0_u64; classes]; classes];
        let mut loss = 0.0;
        for (prediction, &label) in predictions.iter().zip(labels) {
            confusion[label][prediction.class()] += 1;
            loss -= f64::from(prediction.probabilities[label].max(1e-12)).ln();
        }
        let recalls: Vec<Option<f64>> = confusion
            .iter()
            .enumerate()
            .map(|(class, row)| {
                let total: u64 = row.iter().sum();
                (total > 0).then(|| row[class] as f64 / total as f64)
            })
            .collect();
        let known: Vec<f64> = recalls.iter().copied().flatten().collect();
        let right: u64 = confusion.iter().enumerate().map(|(class, row)| row[class]).sum();
        Some(Self {
            accuracy: right as f64 / labels.len() as f64,
            mean_class_accuracy: known.iter().sum::<f64>() / known.len() as f64,
            recalls,
            confusion,
            calibration_error: calibration_error(predictions, labels),
            loss: loss / labels.len() as f64,
        })
    }

    /// How many samples were measured.
    pub fn samples(&self) -> u64 {
        self.confusion.iter().flatten().sum()
    }
}

/// Expected calibration error: the mean over bins of |accuracy − confidence|, weighted by the bins' samples.
pub fn calibration_error(predictions: &[Prediction], labels: &[usize]) -> f64 {
    let mut bins = [(0.0_f64, 0.0_f64); CALIBRATION_BINS];
    for (prediction, &label) in predictions.iter().zip(labels) {
        let class = prediction.class();
        let confidence = f64::from(prediction.probabilities[class]);
        let bin = ((confidence * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1);
        bins[bin].0 += confidence;
        bins[bin].1 += f64::from(u8::from(class == label));
    }
    bins.iter().map(|(confidence, right)| (confidence - right).abs()).sum::<f64>()
        / labels.len().max(1) as f64
}

/// How relabelling changed labels whose truth is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LabelAudit {
    /// Share of the originally wrong labels that are right in the end; `None` when none was wrong.
    pub fixed: Option<f64>,
    /// Share of the originally right labels that are wrong in the end; `None` when none was right.
    pub broken: Option<f64>,
    /// Share of all labels that are wrong in the end.
    pub left: f64,
    /// Share of all labels that were wrong in the beginning.
    pub before: f64,
    /// Share of the changed labels that are right in the end; `None` when none changed.
    pub precision: Option<f64>,
}

impl LabelAudit {
    /// Compares three equally long lists of class indices.
    pub fn of(given: &[usize], in_force: &[usize], truth: &[usize]) -> Self {
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        let (mut wrong, mut fixed, mut broken, mut left, mut changed, mut changed_right) = (0, 0, 0, 0, 0, 0);
        for ((given, now), truth) in given.iter().zip(in_force).zip(truth) {
            wrong += usize::from(given != truth);
            fixed += usize::from(given != truth && now == truth);
            broken += usize::from(given == truth && now != truth);
            left += usize::from(now != truth);
            changed += usize::from(given != now);
            changed_right += usize::from(given != now && now == truth);
        }
        Self {
            fixed: share(fixed, wrong),
            broken: share(broken, given.len() - wrong),
            left: share(left, given.len()).unwrap_or(0.0),
            before: share(wrong, given.len()).unwrap_or(0.0),
            precision: share(changed_right, changed),
        }
    }
}

/// The confusion matrix (rows are labels, columns predictions) that one with true labels would be if its labels were as
/// noisy as `given` is against `truth`: what a net would reach on held-out samples with the noise of its training
/// samples.
pub fn confusion_if_noisy(confusion: &[Vec<u64>], given: &[usize], truth: &[usize]) -> Vec<Vec<f64>> {
    let classes = confusion.len();
    let mut became = vec![vec![0_u64; classes]; classes];
    for (&given, &truth) in given.iter().zip(truth) {
        became[truth][given] += 1;
    }
    let mut noisy = vec![vec![0.0; classes]; classes];
    for (class, (row, became)) in confusion.iter().zip(&became).enumerate() {
        let samples: u64 = became.iter().sum();
        for (label, noisy) in noisy.iter_mut().enumerate() {
            let unknown = f64::from(u8::from(label == class));
            let share = if samples == 0 { unknown } else { became[label] as f64 / samples as f64 };
            noisy.iter_mut().zip(row).for_each(|(sum, &count)| *sum += share * count as f64);
        }
    }
    noisy
}

/// The share on the diagonal of a confusion matrix, 0 to 1; 0 where it is empty.
pub fn accuracy_of(confusion: &[Vec<f64>]) -> f64 {
    let right: f64 = confusion.iter().enumerate().map(|(class, row)| row[class]).sum();
    let all: f64 = confusion.iter().flatten().sum();
    if all > 0.0 { right / all } else { 0.0 }
}

/// The mean of the recalls of a confusion matrix's rows, 0 to 1, over the classes that have any.
pub fn mean_recall_of(confusion: &[Vec<f64>]) -> f64 {
    let recalls = confusion.iter().enumerate().filter_map(|(class, row)| {
        let all: f64 = row.iter().sum();
        (all > 0.0).then(|| row[class] / all)
    });
    let recalls: Vec<f64> = recalls.collect();
    recalls.iter().sum::<f64>() / recalls.len().max(1) as f64
}

/// The chance that a right label's importance exceeds a wrong one's; each item says whether a label is right, and its
/// importance. `None` when all are right or all are wrong.
pub fn importance_auc(items: impl IntoIterator<Item = (bool, f32)>) -> Option<f64> {
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for (is_right, importance) in items {
        if is_right { &mut right } else { &mut wrong }.push(importance);
    }
    auc(&right, &wrong)
}

/// Area under the ROC curve: the chance that a value of `higher` exceeds one of `lower`; ties count half. `None` when
/// either is empty.
pub fn auc(higher: &[f32], lower: &[f32]) -> Option<f64> {
    if higher.is_empty() || lower.is_empty() {
        return None;
    }
    let tagged = higher.iter().map(|&value| (value, true)).chain(lower.iter().map(|&value| (value, false)));
    let mut values: Vec<(f32, bool)> = tagged.collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut wins, mut lower_before) = (0.0, 0.0);
    for ties in values.chunk_by(|a, b| a.0 == b.0) {
        let highs = ties.iter().filter(|(_, high)| *high).count() as f64;
        let lows = ties.len() as f64 - highs;
        wins += highs * (lower_before + lows / 2.0);
        lower_before += lows;
    }
    Some(wins / (higher.len() as f64 * lower.len() as f64))
}

/// Counts of importances in ten equal bins from 0 to 1.
pub fn histogram(importances: impl IntoIterator<Item = f32>) -> [u64; 10] {
    let mut bins = [0; 10];
    for importance in importances {
        bins[((importance * 10.0) as usize).min(9)] += 1;
    }
    bins
}

/// Mean of the last five values, or of all if there are fewer: the usual rule of papers on noisy labels. The best epoch
/// alone would be too favourable.
pub fn last_five_mean(values: &[f64]) -> Option<f64> {
    let last = &values[values.len().saturating_sub(5)..];
    (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64)
}

/// What one epoch writes to `metrics.jsonl`, the catalog and the report.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// One-based.
    pub epoch: u32,
    /// Learning rate of the epoch.
    pub learning_rate: f64,
    /// Mean training loss.
    pub loss: f64,
    /// Mean cross entropy, weighted by importance where the method does so.
    pub cross_entropy: f64,
    /// Mean rank regularisation.
    pub rank_regularisation: f64,
    /// Share of steps in which rank regularisation was 0.
    pub rank_zero_share: f64,
    /// Training accuracy against the given labels. Against the net's own relabels it would be too favourable.
    pub train_accuracy: f64,
    /// Training accuracy against the labels in force.
    pub train_accuracy_in_force: f64,
    /// Counts of importances in ten equal bins from 0 to 1; all 0 where the method has none.
    pub importance_histogram: [u64; 10],
    /// Mean importance of the batches' important groups; `None` where the method has none, or no step had such a group.
    #[serde(default)]
    pub importance_high: Option<f64>,
    /// Mean importance of the other groups.
    #[serde(default)]
    pub importance_low: Option<f64>,
    /// Chance that a right label's importance exceeds a wrong one's, where truth is known.
    pub importance_auc: Option<f64>,
    /// Labels changed at the end of this epoch. `cure` decides once, after the last epoch, and counts them there.
    pub relabelled: usize,
    /// The state of the labels at the end of this epoch, where truth is known.
    pub labels: Option<LabelAudit>,
    /// δ1 at the end of this epoch, learnt or not; `None` where the method has none.
    pub margin_1: Option<f64>,
    /// Measures on the validation samples, which choose the best epoch.
    pub validation: Option<SplitMetrics>,
    /// Measures on the test samples, in the last five epochs only; nothing is chosen by them.
    pub test: Option<SplitMetrics>,
    /// Training pictures a second, including waiting.
    pub images_per_s: f64,
    /// Share of the time that steps waited for the loader.
    pub data_wait_share: f64,
    /// Pictures that could not be read so far.
    pub unreadable: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(probabilities: &[f32]) -> Prediction {
        Prediction { probabilities: probabilities.to_vec(), importance: None }
    }

    #[test]
    fn a_perfect_net_is_as_accurate_against_noisy_labels_as_they_are_right() {
        let confusion = [vec![10, 0], vec![0, 30]];
        let (truth, given) = ([0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0]);
        assert!(
            (accuracy_of(&confusion_if_noisy(&confusion, &given, &truth)) - (5.0 + 22.5) / 40.0).abs()
                < 1e-12
        );
        assert!((accuracy_of(&confusion_if_noisy(&confusion, &truth, &truth)) - 1.0).abs() < 1e-12);
        assert!((accuracy_of(&confusion_if_noisy(&[vec![8, 2], vec![0, 0]], &[], &[])) - 0.8).abs() < 1e-12);
        let of_classes = mean_recall_of(&confusion_if_noisy(&confusion, &given, &truth));
        assert!((of_classes - (5.0 / 12.5 + 22.5 / 27.5) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn mean_class_accuracy_ignores_how_large_a_class_is() {
        let predictions = [prediction(&[0.9, 0.1]), prediction(&[0.9, 0.1]), prediction(&[0.9, 0.1])];
        let metrics = SplitMetrics::of(&predictions, &[0, 0, 1], 2).unwrap();
        assert_eq!(metrics.samples(), 3);
        assert!((metrics.accuracy - 2.0 / 3.0).abs() < 1e-12);
        assert!((metrics.mean_class_accuracy - 0.5).abs() < 1e-12);
        assert_eq!(metrics.confusion, [[2, 0], [1, 0]]);
        assert_eq!(metrics.recalls, [Some(1.0), Some(0.0)]);
    }

    #[test]
    fn a_net_whose_confidence_equals_its_accuracy_has_no_calibration_error() {
        let three_of_four = [prediction(&[0.75, 0.25]), prediction(&[0.75, 0.25])];
        let twice = [three_of_four.clone(), three_of_four].concat();
        assert!(calibration_error(&twice, &[0, 0, 0, 1]).abs() < 1e-7);
        assert!((calibration_error(&twice, &[1, 1, 1, 1]) - 0.75).abs() < 1e-7);
    }

    #[test]
    fn an_audit_counts_fixed_broken_and_remaining_wrong_labels() {
        // wrong: 0 and 1; fixed: 0; broken: 2; left wrong in the end: 1 and 2.
        let audit = LabelAudit::of(&[1, 1, 0, 0], &[0, 1, 1, 0], &[0, 0, 0, 0]);
        assert_eq!((audit.fixed, audit.broken, audit.precision), (Some(0.5), Some(0.5), Some(0.5)));
        assert_eq!((audit.left, audit.before), (0.5, 0.5));
    }

    #[test]
    fn with_no_wrong_label_there_is_no_share_fixed() {
        let audit = LabelAudit::of(&[0, 1], &[0, 0], &[0, 1]);
        assert_eq!((audit.fixed, audit.broken, audit.left), (None, Some(0.5), 0.5));
        assert_eq!(LabelAudit::of(&[1], &[0], &[0]).broken, None);
    }

    #[test]
    fn no_samples_give_no_metrics() {
        assert_eq!(SplitMetrics::of(&[], &[], 2), None);
    }

    #[test]
    fn auc_is_one_when_separated_and_a_half_when_equal() {
        assert_eq!(auc(&[0.9, 0.8], &[0.1, 0.2]), Some(1.0));
        assert_eq!(auc(&[0.5, 0.5], &[0.5]), Some(0.5));
        assert_eq!(auc(&[0.3], &[0.2, 0.4]), Some(0.5));
        assert_eq!(auc(&[], &[0.2]), None);
    }

    #[test]
    fn importance_auc_compares_right_labels_with_wrong_ones() {
        assert_eq!(importance_auc([(true, 0.9), (false, 0.2), (true, 0.1), (false, 0.1)]), Some(0.625));
        assert_eq!(importance_auc([(true, 0.9)]), None);
    }

    #[test]
    fn the_last_five_epochs_count_and_not_the_best_one() {
        assert_eq!(last_five_mean(&[0.9, 0.5, 0.5, 0.5, 0.5, 0.5]), Some(0.5));
        assert_eq!(last_five_mean(&[0.4, 0.6]), Some(0.5));
        assert_eq!(last_five_mean(&[]), None);
    }

    #[test]
    fn an_importance_of_one_falls_into_the_last_bin() {
        assert_eq!(histogram([0.0, 0.05, 1.0, 0.95]), [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    }
}

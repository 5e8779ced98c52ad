//! What a training run measured, epoch by epoch and at its end, as plain values.

use serde::Serialize;

use crate::words::{plural, share_of};

/// One epoch. Shares and importances are 0 to 1.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct EpochFacts {
    /// From 1.
    pub epoch: u32,
    /// Mean loss over the training samples.
    pub train_loss: Option<f64>,
    /// Share of training samples classified as labelled.
    pub train_accuracy: Option<f64>,
    /// Share of validation samples classified as labelled.
    pub validation_accuracy: Option<f64>,
    /// Mean of the classes' recalls on the validation samples.
    pub mean_class_accuracy: Option<f64>,
    /// Mean importance of the batches' high-importance groups.
    pub importance_high: Option<f64>,
    /// Mean importance of the batches' low-importance groups.
    pub importance_low: Option<f64>,
    /// Share of batches whose rank regularisation was exactly 0: the groups were far enough apart.
    pub rank_loss_zero_share: Option<f64>,
    /// Samples relabelled at its end.
    pub relabels: Option<u64>,
}

/// The best validation accuracy and its epoch.
pub(super) fn best(epochs: &[EpochFacts]) -> Option<(u32, f64)> {
    let known = epochs.iter().filter_map(|facts| Some((facts.epoch, facts.validation_accuracy?)));
    known.max_by(|one, other| one.1.total_cmp(&other.1).then(other.0.cmp(&one.0)))
}

/// Mean validation accuracy of the last five epochs that measured it, and their number, which may be less. Reported instead
/// of the best epoch, which may be a lucky one.
pub(super) fn last_five(epochs: &[EpochFacts]) -> Option<(u64, f64)> {
    mean_of_last_five(epochs, |facts| facts.validation_accuracy)
}

/// The same of another measure.
pub(super) fn mean_of_last_five(
    epochs: &[EpochFacts],
    measure: fn(&EpochFacts) -> Option<f64>,
) -> Option<(u64, f64)> {
    let last: Vec<f64> = epochs.iter().rev().filter_map(measure).take(5).collect();
    #[expect(clippy::cast_precision_loss, reason = "five at most")]
    let mean = last.iter().sum::<f64>() / last.len() as f64;
    (!last.is_empty()).then_some((last.len() as u64, mean))
}

/// What a number of last epochs is a mean of.
pub(super) fn mean_of(epochs: u64) -> String {
    match epochs {
        0 => "no epoch measured it".to_owned(),
        1 => "of one epoch".to_owned(),
        epochs => format!("mean of the last {}", plural(epochs, "epoch")),
    }
}

/// A confusion matrix.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Confusion {
    /// What the rows are, such as "validation labels".
    pub rows_are: String,
    /// Class names, in index order.
    pub classes: Vec<String>,
    /// `counts[row][column]`: samples of class `row` that were classified as `column`.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// The share of a class's samples that were classified as a class; none where it has no samples.
    pub(super) fn share(&self, row: usize, column: usize) -> Option<f64> {
        let counts = self.counts.get(row)?;
        share_of(*counts.get(column)?, counts.iter().sum())
    }

    /// The mistakes, as pairs of classes with their number, most frequent first.
    pub(super) fn mistakes(&self) -> Vec<(&str, &str, u64)> {
        let names = |row: usize, column: usize| Some((self.classes.get(row)?, self.classes.get(column)?));
        let mut mistakes = Vec::new();
        for (row, counts) in self.counts.iter().enumerate() {
            for (column, count) in
                counts.iter().enumerate().filter(|(column, count)| *column != row && **count > 0)
            {
                mistakes.extend(
                    names(row, column).map(|(given, taken)| (given.as_str(), taken.as_str(), *count)),
                );
            }
        }
        mistakes.sort_by_key(|mistake| std::cmp::Reverse(mistake.2));
        mistakes
    }

    /// The share of a class's samples that were classified correctly.
    pub(super) fn recall(&self, class: usize) -> Option<f64> {
        self.share(class, class)
    }
}

/// A histogram of values between 0 and 1, in bins of equal width.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Histogram {
    /// The count of each bin; the first begins at 0, the last ends at 1.
    pub bins: Vec<u64>,
}

impl Histogram {
    /// Sorts values of 0 to 1 into bins. 1 itself falls into the last one; NaN is ignored.
    pub fn of(values: impl IntoIterator<Item = f64>, bins: usize) -> Self {
        let mut counts = vec![0; bins];
        for value in values.into_iter().filter(|value| value.is_finite()) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "clamped to 0..bins"
            )]
            let bin = (value.clamp(0.0, 1.0) * bins as f64) as usize;
            if let Some(count) = counts.get_mut(bin.min(bins.saturating_sub(1))) {
                *count += 1;
            }
        }
        Self { bins: counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(accuracies: &[f64]) -> Vec<EpochFacts> {
        let facts = |(epoch, accuracy): (u32, &f64)| EpochFacts {
            epoch,
            validation_accuracy: Some(*accuracy),
            ..EpochFacts::default()
        };
        (1..).zip(accuracies).map(facts).collect()
    }

    #[test]
    fn the_last_five_are_averaged_and_the_first_best_wins() {
        let epochs = epochs(&[0.1, 0.9, 0.8, 0.9, 0.7, 0.6, 0.5]);
        assert_eq!(best(&epochs), Some((2, 0.9)));
        let (measured, mean) = last_five(&epochs).unwrap();
        assert!(measured == 5 && (mean - 0.7).abs() < 1e-12, "{measured} {mean}");
        assert_eq!(last_five(&epochs[..2]), Some((2, 0.5)));
        assert_eq!(last_five(&[]), None);
    }

    #[test]
    fn a_mean_names_its_number_of_epochs() {
        let words = [1, 2, 5].map(mean_of);
        assert_eq!(words, ["of one epoch", "mean of the last 2 epochs", "mean of the last 5 epochs"]);
    }

    #[test]
    fn a_class_without_samples_has_no_recall() {
        let confusion = Confusion { counts: vec![vec![3, 1], vec![0, 0]], ..Confusion::default() };
        assert_eq!((confusion.recall(0), confusion.recall(1)), (Some(0.75), None));
    }

    #[test]
    fn the_most_frequent_mistake_is_first() {
        let classes = ["anger", "fear"].map(str::to_owned).to_vec();
        let confusion = Confusion { classes, counts: vec![vec![5, 1], vec![4, 9]], ..Confusion::default() };
        assert_eq!(confusion.mistakes(), [("fear", "anger", 4), ("anger", "fear", 1)]);
    }

    #[test]
    fn one_falls_into_the_last_bin_and_nan_into_none() {
        let histogram = Histogram::of([0.0, 0.24, 0.25, 0.99, 1.0, f64::NAN], 4);
        assert_eq!(histogram.bins, [2, 1, 0, 2]);
    }
}

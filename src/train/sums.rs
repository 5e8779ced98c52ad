//! Sums over the steps of the epoch under way, and the epoch's measures that follow from them. It knows no net and no
//! tensor. A checkpoint keeps them, so that a run can resume in the middle of an epoch.

use serde::{Deserialize, Serialize};

use super::metrics::{EpochMetrics, histogram};

/// Sums over the steps of an epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochSums {
    samples: u64,
    loss: f64,
    cross_entropy: f64,
    rank: f64,
    steps: u64,
    rank_zero_steps: u64,
    right_given: u64,
    right_in_force: u64,
    importance: [GroupSum; 2],
    importance_histogram: [u64; 10],
    /// Time of all steps, including waiting.
    pub(crate) seconds: f64,
    /// Time that steps waited for the loader.
    pub(crate) waited_s: f64,
}

/// Importances of one of the two groups, over all batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct GroupSum {
    sum: f64,
    samples: u64,
}

impl GroupSum {
    fn mean(self) -> Option<f64> {
        (self.samples > 0).then(|| self.sum / self.samples as f64)
    }
}

impl EpochSums {
    /// Adds a step: the number of its samples, its loss, and the loss's two terms.
    pub(crate) fn add_step(&mut self, samples: usize, [loss, cross_entropy, rank]: [f32; 3]) {
        self.samples += samples as u64;
        self.loss += f64::from(loss) * samples as f64;
        self.cross_entropy += f64::from(cross_entropy) * samples as f64;
        self.rank += f64::from(rank) * samples as f64;
        self.steps += 1;
        self.rank_zero_steps += u64::from(rank == 0.0);
    }

    /// Adds the predicted class of a view, to be compared with the sample's given label and its label in force.
    pub(crate) fn add_prediction(&mut self, predicted: Option<usize>, given: usize, in_force: usize) {
        self.right_given += u64::from(predicted == Some(given));
        self.right_in_force += u64::from(predicted == Some(in_force));
    }

    /// Adds a batch's importances; `low` marks those of the low group.
    pub(crate) fn add_importances(&mut self, importances: &[f32], low: &[bool]) {
        for (&importance, &is_low) in importances.iter().zip(low) {
            let group = &mut self.importance[usize::from(is_low)];
            group.sum += f64::from(importance);
            group.samples += 1;
        }
        let seen = histogram(importances.iter().copied());
        self.importance_histogram.iter_mut().zip(seen).for_each(|(sum, count)| *sum += count);
    }

    /// Share of the pictures so far whose prediction equals their given label.
    pub(crate) fn accuracy(&self) -> f64 {
        self.right_given as f64 / self.samples.max(1) as f64
    }

    /// Pictures a second so far, including waiting.
    pub(crate) fn images_per_s(&self) -> f64 {
        self.samples as f64 / self.seconds.max(1e-9)
    }

    /// Share of the time so far that steps waited for the loader.
    pub(crate) fn data_wait_share(&self) -> f64 {
        self.waited_s / self.seconds.max(1e-9)
    }

    /// The measures that follow from the sums; the others are left at their defaults.
    pub(crate) fn metrics(&self, epoch: u32) -> EpochMetrics {
        let samples = self.samples.max(1) as f64;
        let [high, low] = self.importance;
        EpochMetrics {
            epoch,
            loss: self.loss / samples,
            cross_entropy: self.cross_entropy / samples,
            rank_regularisation: self.rank / samples,
            rank_zero_share: self.rank_zero_steps as f64 / self.steps.max(1) as f64,
            train_accuracy: self.right_given as f64 / samples,
            train_accuracy_in_force: self.right_in_force as f64 / samples,
            importance_high: high.mean(),
            importance_low: low.mean(),
            importance_histogram: self.importance_histogram,
            images_per_s: self.images_per_s(),
            data_wait_share: self.data_wait_share(),
            ..EpochMetrics::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_groups_are_averaged_over_samples_and_not_over_steps() {
        let mut sums = EpochSums::default();
        sums.add_importances(&[0.9, 0.8, 0.2], &[false, false, true]);
        sums.add_importances(&[0.1, 0.4], &[true, false]);
        let metrics = sums.metrics(1);
        assert!((metrics.importance_high.unwrap() - 0.7).abs() < 1e-6, "{metrics:?}");
        assert!((metrics.importance_low.unwrap() - 0.15).abs() < 1e-6, "{metrics:?}");
        assert_eq!(metrics.importance_histogram.iter().sum::<u64>(), 5);
    }

    #[test]
    fn an_epoch_without_importances_has_no_group_means() {
        let mut sums = EpochSums::default();
        sums.add_step(4, [0.5, 0.5, 0.0]);
        let metrics = sums.metrics(1);
        assert_eq!((metrics.importance_high, metrics.importance_low), (None, None));
        assert_eq!((metrics.loss, metrics.rank_zero_share), (0.5, 1.0));
    }
}

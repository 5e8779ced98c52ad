//! The parts of [`Method::Cure`] that touch labels: a memory of predictions, and few, sure decisions at the end.

use super::labels::Labels;
use super::recipe::{CureRecipe, Method};
use super::scn::argmax;
use super::session::Session;
use crate::types::Relabel;

impl Labels {
    /// Mixes predictions (one row of C for each of `samples`) into each sample's running mean, with `keep` of the old
    /// one, and returns the new means in the same order.
    pub(crate) fn remember(&mut self, samples: &[usize], rows: &[f32], keep: f32) -> Vec<f32> {
        let classes = rows.len() / samples.len().max(1);
        if self.memory.is_empty() {
            self.memory = vec![0.0; self.given().len() * classes];
        }
        let mut means = Vec::with_capacity(rows.len());
        for (&sample, row) in samples.iter().zip(rows.chunks(classes.max(1))) {
            let total: f32 = row.iter().sum();
            let memory = &mut self.memory[sample * classes..][..classes];
            for (mean, probability) in memory.iter_mut().zip(row) {
                *mean = keep * *mean + (1.0 - keep) * probability / total;
            }
            means.extend_from_slice(memory);
        }
        means
    }
}

/// The relabel of one sample, if its memory is sure: the best class holds `min_probability` and leads by `min_lead`.
pub(crate) fn decide(memory: &[f32], given: usize, recipe: &CureRecipe) -> Option<usize> {
    let best = argmax(memory)?;
    let (p_max, p_given) = (f64::from(memory[best]), f64::from(memory[given]));
    (best != given && p_max >= recipe.min_probability && p_max - p_given >= recipe.min_lead).then_some(best)
}

impl Session<'_> {
    /// Puts the sure decisions of a finished `cure` run in force.
    pub(crate) fn cure_labels(&mut self) -> Vec<Relabel> {
        if self.recipe.method != Method::Cure || self.labels.memory.is_empty() {
            return Vec::new();
        }
        let classes = self.set.classes.len();
        let mut relabels = Vec::new();
        for &sample in &self.train_samples {
            let memory = &self.labels.memory[sample * classes..][..classes];
            let from = self.labels.current()[sample];
            if let Some(to) = decide(memory, from, &self.recipe.cure) {
                let (p_max, p_given) = (memory[to], memory[from]);
                let epoch = self.progress.epochs_done;
                relabels.push(Relabel { sample, epoch, from, to, p_max, p_given, importance: p_given });
            }
        }
        self.labels.apply(&relabels);
        relabels
    }

    /// For `cure`: the mean probability of the label that was given.
    pub(crate) fn cure_importance(&self, sample: usize) -> Option<f32> {
        let place = sample * self.set.classes.len() + self.labels.given()[sample];
        self.labels.memory.get(place).copied().filter(|_| self.recipe.method == Method::Cure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_running_mean_of_normalised_rows() {
        let mut labels = Labels::new(vec![0, 1], 2);
        labels.remember(&[1], &[0.8, 0.2], 0.5);
        let means = labels.remember(&[1], &[0.4, 0.4], 0.5);
        assert!((means[0] - 0.45).abs() < 1e-6 && (means[1] - 0.3).abs() < 1e-6, "{means:?}");
        assert_eq!(labels.memory[..2], [0.0, 0.0]);
    }

    #[test]
    fn only_a_sure_memory_changes_a_label() {
        let recipe = CureRecipe { memory: 0.7, pull: 3.0, min_probability: 0.5, min_lead: 0.4 };
        assert_eq!(decide(&[0.7, 0.2], 1, &recipe), Some(0));
        assert_eq!(decide(&[0.7, 0.2], 0, &recipe), None);
        assert_eq!(decide(&[0.55, 0.2], 1, &recipe), None);
        assert_eq!(decide(&[0.45, 0.0], 1, &recipe), None);
    }
}

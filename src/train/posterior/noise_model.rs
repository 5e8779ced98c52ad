//! How labels went wrong: a share of them was redrawn, each class with a probability of its own.

use std::sync::Arc;

/// The shares of wrong labels that are tried, from 0 on: how many, and their distance.
const WRONG_SHARES: usize = 71;
pub(super) const WRONG_SHARE_STEP: f64 = 0.01;
/// The greatest share of labels that may have been redrawn.
const MOST_REDRAWN: f64 = 0.9;
/// Least probability of a class after the noise is taken out.
const DENOISED_FLOOR: f64 = 1e-4;
/// The power of p(given | true) that a label counts with beside a net that was trained on it: see
/// [`super::Posterior::with_learner`].
const LABEL_BESIDE_LEARNER: f64 = 0.75;
/// C − 1 of the sets on which [`LABEL_BESIDE_LEARNER`] was measured.
const MEASURED_OTHERS: f64 = 7.0;

/// A share of wrong labels, and what they were redrawn as. Cloned for every temperature.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NoiseModel {
    /// η, the share of labels that are wrong.
    pub(super) wrong_share: f64,
    /// ρ, the share that was redrawn; some of these came out right.
    redrawn: f64,
    /// ρ·q, the share that was redrawn as each class.
    redrawn_as: Arc<[f64]>,
}

impl NoiseModel {
    /// `to` is q, `shares` are the classes' shares of the given labels.
    pub(super) fn new(wrong_share: f64, to: &[f64], shares: &[f64]) -> Self {
        // With a single class no label can be wrong, whatever is redrawn.
        let redrawn = wrong_share / wrong_share_if_all_redrawn(to, shares).max(f64::MIN_POSITIVE);
        Self { wrong_share, redrawn, redrawn_as: to.iter().map(|q| redrawn * q).collect() }
    }

    /// Every share of wrong labels that is tried.
    pub(super) fn grid(to: &[f64], shares: &[f64]) -> impl Iterator<Item = Self> {
        let wrong_shares = (0..WRONG_SHARES).map(|step| step as f64 * WRONG_SHARE_STEP);
        let most = MOST_REDRAWN * wrong_share_if_all_redrawn(to, shares);
        wrong_shares
            .take_while(move |&wrong_share| wrong_share <= 0.0 || wrong_share < most)
            .map(move |wrong_share| Self::new(wrong_share, to, shares))
    }

    /// p(true | picture) from p(given | picture), which nets predict that were trained on the given labels.
    pub(super) fn denoised(&self, row: &[f64]) -> impl Iterator<Item = f64> {
        let redrawn = self.redrawn;
        let one = move |(&predicted, redrawn_as): (&f64, &f64)| {
            ((predicted - redrawn_as) / (1.0 - redrawn)).max(DENOISED_FLOOR)
        };
        let sum: f64 = row.iter().zip(&*self.redrawn_as).map(one).sum();
        row.iter().zip(&*self.redrawn_as).map(move |pair| one(pair) / sum)
    }

    /// The log likelihood of the given labels (natural logarithm); `nets` are their predictions, N×C.
    pub(super) fn log_likelihood(&self, nets: &[f64], given: &[usize]) -> f64 {
        let of = |(row, &label): (&[f64], &usize)| {
            let truth = self.denoised(row).nth(label);
            truth.map_or(0.0, |p| ((1.0 - self.redrawn) * p + self.redrawn_as[label]).ln())
        };
        nets.chunks(self.redrawn_as.len().max(1)).zip(given).map(of).sum()
    }

    /// p(true | picture, given).
    pub(super) fn posterior(&self, row: &[f64], given: usize) -> Vec<f64> {
        let [same, other] = self.p_given(given);
        normalised(
            self.denoised(row).enumerate().map(|(class, p)| p * if class == given { same } else { other }),
        )
    }

    /// The factors of a label for the class that it names and for each other class, beside a net that learnt from it.
    pub(super) fn label_beside_learner(&self, given: usize) -> [f64; 2] {
        let [same, other] = self.p_given(given).map(|p| p.powf(LABEL_BESIDE_LEARNER));
        let others = (self.redrawn_as.len().max(2) - 1) as f64;
        [same, other * (MEASURED_OTHERS / others).powf(1.0 - LABEL_BESIDE_LEARNER)]
    }

    /// p(given | true) where the true class is the given one, and where it is any other.
    fn p_given(&self, given: usize) -> [f64; 2] {
        [1.0 - self.redrawn + self.redrawn_as[given], self.redrawn_as[given]]
    }
}

/// The share of labels that are wrong when all of them are redrawn by `to`.
fn wrong_share_if_all_redrawn(to: &[f64], shares: &[f64]) -> f64 {
    1.0 - to.iter().zip(shares).map(|(q, share)| q * share).sum::<f64>()
}

/// Scaled so that they sum to 1.
pub(super) fn normalised(parts: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut row: Vec<f64> = parts.collect();
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|p| *p /= sum);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The usual form of symmetric noise: a share η of the labels is wrong, ε = η / (C − 1) for each other class.
    #[test]
    fn redrawing_uniformly_is_symmetric_noise() {
        for classes in [2, 8, 100] {
            let uniform = vec![1.0 / classes as f64; classes];
            let noise = NoiseModel::new(0.2, &uniform, &uniform);
            let expected = 0.2 / (classes - 1) as f64;
            let [same, other] = noise.p_given(1);
            assert!((same - 0.8).abs() < 1e-12 && (other - expected).abs() < 1e-12, "{same}, {other}");
            assert!((1.0 - noise.redrawn - (0.8 - expected)).abs() < 1e-12, "{}", noise.redrawn);
        }
    }

    #[test]
    fn denoising_inverts_the_noise_for_any_shares() {
        let (to, shares) = ([0.7, 0.2, 0.1], [0.6, 0.3, 0.1]);
        let noise = NoiseModel::new(0.3, &to, &shares);
        let truth = [0.5, 0.3, 0.2];
        let noisy: Vec<f64> = truth
            .iter()
            .zip(&*noise.redrawn_as)
            .map(|(p, redrawn_as)| (1.0 - noise.redrawn) * p + redrawn_as)
            .collect();
        for (found, expected) in noise.denoised(&noisy).zip(truth) {
            assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
        }
    }

    #[test]
    fn with_one_class_the_noise_is_zero() {
        let noises: Vec<NoiseModel> = NoiseModel::grid(&[1.0], &[1.0]).collect();
        assert_eq!(noises, [NoiseModel::new(0.0, &[1.0], &[1.0])]);
        assert_eq!(noises[0].posterior(&[1.0], 0), [1.0]);
    }
}

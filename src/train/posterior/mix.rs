//! How labels went wrong: some were drawn anew, each class with a probability of its own.

use std::sync::Arc;

/// How many shares of wrong labels are tried, and how far they are apart.
const NOISES: usize = 71;
pub(super) const NOISE_STEP: f64 = 0.01;
/// The greatest share of labels that may have been drawn anew.
const MOST_DRAWN: f64 = 0.9;
/// Once unmixed, a probability counts as no less than this.
const FLOOR: f64 = 1e-4;
/// What the label still says beside a net that was trained on it, a power of p(given | true): see
/// [`super::Posterior::with_learner`].
const LABEL_BESIDE_LEARNER: f64 = 0.75;
/// How many other classes the sets had on which [`LABEL_BESIDE_LEARNER`] was measured.
const MEASURED_OTHERS: f64 = 7.0;

/// One way of going wrong. Cloned for every temperature.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mix {
    /// η, the share of labels that are wrong.
    pub(super) noise: f64,
    /// ρ, the share that was drawn anew; some of these came out right.
    drawn: f64,
    /// ρ·q, how often each class is drawn.
    chance: Arc<[f64]>,
}

impl Mix {
    /// `to` is q, `shares` are those of the given labels.
    pub(super) fn new(noise: f64, to: &[f64], shares: &[f64]) -> Self {
        // Where there is but one class, none can be wrong.
        let drawn = noise / reach(to, shares).max(f64::MIN_POSITIVE);
        Self { noise, drawn, chance: to.iter().map(|q| drawn * q).collect() }
    }

    /// Every share of wrong labels that is tried.
    pub(super) fn all(to: &[f64], shares: &[f64]) -> impl Iterator<Item = Self> {
        let noises = (0..NOISES).map(|step| step as f64 * NOISE_STEP);
        let most = MOST_DRAWN * reach(to, shares);
        noises
            .take_while(move |&noise| noise <= 0.0 || noise < most)
            .map(move |noise| Self::new(noise, to, shares))
    }

    /// p(true | picture) from p(given | picture), which the nets tell.
    pub(super) fn unmixed(&self, row: &[f64]) -> impl Iterator<Item = f64> {
        let drawn = self.drawn;
        let one = move |(&told, chance): (&f64, &f64)| ((told - chance) / (1.0 - drawn)).max(FLOOR);
        let sum: f64 = row.iter().zip(&*self.chance).map(one).sum();
        row.iter().zip(&*self.chance).map(move |told| one(told) / sum)
    }

    /// How likely the given labels are (natural log).
    pub(super) fn likelihood(&self, nets: &[f64], given: &[usize]) -> f64 {
        let of = |(row, &label): (&[f64], &usize)| {
            let truth = self.unmixed(row).nth(label);
            truth.map_or(0.0, |p| ((1.0 - self.drawn) * p + self.chance[label]).ln())
        };
        nets.chunks(self.chance.len().max(1)).zip(given).map(of).sum()
    }

    /// p(true | picture, given).
    pub(super) fn posterior(&self, row: &[f64], given: usize) -> Vec<f64> {
        let [right, wrong] = self.p_given(given);
        normalised(
            self.unmixed(row).enumerate().map(|(class, p)| p * if class == given { right } else { wrong }),
        )
    }

    /// How much a label speaks for the class that it names, and for each other one, beside a net that learnt from it.
    pub(super) fn beside_learner(&self, given: usize) -> [f64; 2] {
        let [right, wrong] = self.p_given(given).map(|p| p.powf(LABEL_BESIDE_LEARNER));
        let others = (self.chance.len().max(2) - 1) as f64;
        [right, wrong * (MEASURED_OTHERS / others).powf(1.0 - LABEL_BESIDE_LEARNER)]
    }

    /// p(given | true) of a true class that is the given one, and of each other one.
    fn p_given(&self, given: usize) -> [f64; 2] {
        [1.0 - self.drawn + self.chance[given], self.chance[given]]
    }
}

/// The share of labels that come out wrong when all are drawn anew.
fn reach(to: &[f64], shares: &[f64]) -> f64 {
    1.0 - to.iter().zip(shares).map(|(q, share)| q * share).sum::<f64>()
}

pub(super) fn normalised(parts: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut row: Vec<f64> = parts.collect();
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|p| *p /= sum);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula that all measurements rest on: η of the labels wrong, ε = η / (C − 1) to each other class.
    #[test]
    fn drawing_evenly_is_going_wrong_evenly() {
        for classes in [2, 8, 100] {
            let even = vec![1.0 / classes as f64; classes];
            let mix = Mix::new(0.2, &even, &even);
            let other = 0.2 / (classes - 1) as f64;
            let [right, wrong] = mix.p_given(1);
            assert!((right - 0.8).abs() < 1e-12 && (wrong - other).abs() < 1e-12, "{right}, {wrong}");
            assert!((1.0 - mix.drawn - (0.8 - other)).abs() < 1e-12, "{}", mix.drawn);
        }
    }

    #[test]
    fn what_was_mixed_is_unmixed_for_any_shares() {
        let (to, shares) = ([0.7, 0.2, 0.1], [0.6, 0.3, 0.1]);
        let mix = Mix::new(0.3, &to, &shares);
        let truth = [0.5, 0.3, 0.2];
        let told: Vec<f64> =
            truth.iter().zip(&*mix.chance).map(|(p, chance)| (1.0 - mix.drawn) * p + chance).collect();
        for (found, expected) in mix.unmixed(&told).zip(truth) {
            assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
        }
    }

    #[test]
    fn of_one_class_no_label_is_wrong() {
        let mixes: Vec<Mix> = Mix::all(&[1.0], &[1.0]).collect();
        assert_eq!(mixes, [Mix::new(0.0, &[1.0], &[1.0])]);
        assert_eq!(mixes[0].posterior(&[1.0], 0), [1.0]);
    }
}

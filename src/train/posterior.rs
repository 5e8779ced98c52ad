//! The probabilities of a sample's true class, from two sources of evidence: nets that never saw the sample, and the
//! label that was given. Pure; it knows no tensor and no loop.
//!
//! A net that is right on two faces of three must not overrule a label that is right four times in five merely because
//! its best class leads by 0.2: SCN's rule (equation 5) does so, and breaks a quarter of the right labels of a hard
//! set. Bayes' rule weighs both:
//!
//! ```text
//! p(true = k | picture, given = g)  ∝  p(true = k | picture) · p(g | k)
//! ```
//!
//! Nets that were trained on noisy labels predict the label that a sample was given, not its true class. If a share ρ
//! of all labels was redrawn, class k with the probability q(k), then the predictions are mixed in the same way. Here
//! this is inverted (Patrini et al. 2017 mix the net's output in training instead):
//!
//! ```text
//! p(given = k | picture)  =  (1 − ρ) · p(true = k | picture) + ρ · q(k)        η = ρ · (1 − Σ share(k) · q(k))
//! ```
//!
//! η is the share of labels that are wrong. Two q are tried: uniform, or in proportion to the classes' shares of the
//! given labels. The second is for rare classes: they are seldom given by mistake, and uniform mistakes would put more
//! labels into a rare class than it has. A class without any given label is left out: nothing can be learnt about it.
//!
//! Two things are unknown: how far the predictions of nets on unseen samples can be trusted, and how the labels went
//! wrong. The likelihood of the given labels tells about both. A temperature softens overconfident nets; if nets know
//! nothing, it leaves nearly uniform probabilities. It is never below 1: sharpened nets broke twice as many right
//! labels of hard faces. ρ is bounded by the least probable labels, for no label is less probable than ρ·q. Few samples
//! or weak nets determine neither: with calibrated nets the labels are equally likely under every η up to the true one.
//! So the result is the mean over a grid of temperatures and η, each weighted by the likelihood of the labels times the
//! prior of η (Beta(2, 5): mostly between 0.1 and 0.5). Of the two q, the one with the greater sum of these weights is
//! used.
//!
//! The price of the mean: with perfectly calibrated nets it finds three fifths of η. Two alternatives were tried. The
//! greatest η that is nearly as likely as any other finds all of it, but broke a third of the right labels of 163 clips
//! whose nets had learnt little. The full table p(g | k), estimated from the nets' own predictions (Dawid and Skene
//! 1979), overestimates η too. All of this was measured with uniform noise.

mod noise_model;
mod present_classes;

use noise_model::{NoiseModel, WRONG_SHARE_STEP, normalised};
use present_classes::PresentClasses;

/// The grid of temperatures.
const TEMPERATURES: [f64; 15] =
    [1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.2, 4.0, 5.0, 6.5, 8.0, 10.0, 14.0, 20.0, 40.0];
/// A hypothesis is left out when it is less than this share as likely as the most likely one.
const NEGLIGIBLE: f64 = 1e-4;
/// A class that a net predicts with less counts as predicted with this probability.
const PREDICTION_FLOOR: f64 = 1e-6;
/// The same where two nets are pooled, so that one alone cannot rule out a class.
const POOLED_FLOOR: f64 = 1e-3;

/// Probabilities of the samples' true classes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Posterior {
    /// N×C.
    rows: Vec<f64>,
    classes: usize,
    present: PresentClasses,
    /// With their probabilities, which sum to 1.
    hypotheses: Vec<(f64, Hypothesis)>,
}

/// What may be true of the nets and of the labels.
#[derive(Debug, Clone, PartialEq)]
struct Hypothesis {
    /// The nets' log probabilities are divided by it.
    temperature: f64,
    noise: NoiseModel,
}

impl Posterior {
    /// From predictions of nets on samples that they were not trained on (N×C, rows sum to 1), and the given labels
    /// (N).
    pub(crate) fn of(predictions: &[f32], given: &[usize], classes: usize) -> Self {
        let present = PresentClasses::of(given, classes);
        let (predictions, given) = (present.narrow(predictions, classes), present.places(given));
        let hypotheses = posterior_over_hypotheses(&predictions, &given, &present.shares);
        let row =
            |noise: &NoiseModel, predicted: &[f64], sample: usize| noise.posterior(predicted, given[sample]);
        let rows = mean(&hypotheses, &predictions, present.classes.len(), row);
        Self { rows: present.widen(&rows, classes), classes, present, hypotheses }
    }

    /// Adds the evidence of a net that was trained on these posteriors and predicts each sample's true class (`learnt`,
    /// N×C). Both predictions are pooled by their geometric mean. The learner has already learnt part of the label, so
    /// the label counts less than before:
    ///
    /// ```text
    /// p(true = k)  ∝  √(p(k | nets) · p(k | learnt)) · { p(g | g)^¾  if k = g,  else  (7 / (C − 1))^¼ · p(g | k)^¾ }
    /// ```
    ///
    /// With the plain power p(g | k)^¾ the other classes together would gain by (C − 1)^¼: labels would be distrusted
    /// merely because there are many classes. With eight classes both are the same. On drawn faces with uniform noise
    /// the power ¾ fixed more labels than 1 (0.42 instead of 0.34 on the hard set) and broke half as many as ½; without
    /// the learner fewer were fixed.
    pub(crate) fn with_learner(self, predictions: &[f32], learnt: &[f32], given: &[usize]) -> Self {
        let [predictions, learnt] = [predictions, learnt].map(|rows| self.present.narrow(rows, self.classes));
        let (given, classes) = (self.present.places(given), self.present.classes.len());
        let row = |noise: &NoiseModel, predicted: &[f64], sample: usize| {
            let pooled = noise
                .denoised(predicted)
                .zip(&learnt[sample * classes..])
                .map(|(p, &learnt)| (p.max(POOLED_FLOOR) * f64::from(learnt).max(POOLED_FLOOR)).sqrt());
            let [same, other] = noise.label_beside_learner(given[sample]);
            let label = |class| if class == given[sample] { same } else { other };
            normalised(pooled.enumerate().map(|(class, p)| p * label(class)))
        };
        let rows = mean(&self.hypotheses, &predictions, classes, row);
        Self { rows: self.present.widen(&rows, self.classes), ..self }
    }

    /// One sample's probabilities, C.
    pub(crate) fn row(&self, sample: usize) -> &[f64] {
        &self.rows[sample * self.classes..][..self.classes]
    }

    /// The labels to change: within each given class those whose given label is least probable, as long as at most
    /// `risk` (0 to 1) of the class's labels are expected to be broken by it. `None` keeps a label.
    pub(crate) fn decide(&self, given: &[usize], risk: f64) -> Vec<Option<usize>> {
        let mut decided = vec![None; given.len()];
        for class in 0..self.classes {
            let of_class: Vec<usize> = (0..given.len()).filter(|&sample| given[sample] == class).collect();
            let mut doubted: Vec<(f64, usize, usize)> = of_class
                .iter()
                .map(|&sample| (self.row(sample)[class], sample, most_probable(self.row(sample))))
                .filter(|&(_, _, best)| best != class)
                .collect();
            doubted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let mut broken = 0.0;
            for (p_given, sample, best) in doubted {
                broken += p_given;
                if broken > risk * of_class.len() as f64 {
                    break;
                }
                decided[sample] = Some(best);
            }
        }
        decided
    }
}

#[cfg(test)]
impl Posterior {
    /// The posterior mean of η, the share of wrong labels, 0 to 1.
    fn wrong_share(&self) -> f64 {
        self.hypotheses.iter().map(|(p, it)| p * it.noise.wrong_share).sum()
    }

    /// The posterior mean of the nets' temperature, 1 or more.
    fn temperature(&self) -> f64 {
        self.hypotheses.iter().map(|(p, it)| p * it.temperature).sum()
    }
}

/// All hypotheses that are not negligible, with their probabilities, which sum to 1; under the better of the two q.
fn posterior_over_hypotheses(predictions: &[f32], given: &[usize], shares: &[f64]) -> Vec<(f64, Hypothesis)> {
    let uniform = vec![1.0 / shares.len() as f64; shares.len()];
    let [uniform, by_share] = [&uniform[..], shares].map(|to| grid(predictions, given, to, shares));
    let best = uniform.iter().chain(&by_share).map(|(log, _)| *log).fold(f64::NEG_INFINITY, f64::max);
    let evidence = |all: &[(f64, Hypothesis)]| all.iter().map(|(log, _)| (log - best).exp()).sum::<f64>();
    let chosen = if evidence(&by_share) > evidence(&uniform) { by_share } else { uniform };
    let relative = chosen.into_iter().map(|(log, hypothesis)| ((log - best).exp(), hypothesis));
    let mut weighted: Vec<(f64, Hypothesis)> = relative.filter(|(weight, _)| *weight > NEGLIGIBLE).collect();
    let sum: f64 = weighted.iter().map(|(weight, _)| weight).sum();
    weighted.iter_mut().for_each(|(weight, _)| *weight /= sum);
    weighted
}

/// Every temperature with every share of wrong labels, redrawn by `to`; each with its log posterior, up to a constant.
fn grid(predictions: &[f32], given: &[usize], to: &[f64], shares: &[f64]) -> Vec<(f64, Hypothesis)> {
    let noises: Vec<NoiseModel> = NoiseModel::grid(to, shares).collect();
    let mut all = Vec::with_capacity(TEMPERATURES.len() * noises.len());
    for temperature in TEMPERATURES {
        let nets = tempered(predictions, to.len(), temperature);
        let log = |noise: &NoiseModel| noise.log_likelihood(&nets, given) + log_prior(noise.wrong_share);
        all.extend(noises.iter().map(|noise| (log(noise), Hypothesis { temperature, noise: noise.clone() })));
    }
    all
}

/// Beta(2, 5), the prior of η, as a natural logarithm, up to a constant.
fn log_prior(wrong_share: f64) -> f64 {
    wrong_share.max(0.1 * WRONG_SHARE_STEP).ln() + 4.0 * (1.0 - wrong_share).ln()
}

/// The mean of `row` over all hypotheses, for every sample; `row` gets the sample's tempered predictions and its
/// position.
fn mean(
    hypotheses: &[(f64, Hypothesis)],
    predictions: &[f32],
    classes: usize,
    row: impl Fn(&NoiseModel, &[f64], usize) -> Vec<f64>,
) -> Vec<f64> {
    let classes = classes.max(1);
    let mut rows = vec![0.0; predictions.len()];
    for same in hypotheses.chunk_by(|(_, one), (_, next)| one.temperature == next.temperature) {
        let nets = tempered(predictions, classes, same[0].1.temperature);
        for (sample, (sums, predicted)) in rows.chunks_mut(classes).zip(nets.chunks(classes)).enumerate() {
            for (weight, hypothesis) in same {
                let one = row(&hypothesis.noise, predicted, sample);
                sums.iter_mut().zip(one).for_each(|(sum, p)| *sum += weight * p);
            }
        }
    }
    rows
}

fn most_probable(row: &[f64]) -> usize {
    (0..row.len()).reduce(|best, next| if row[next] > row[best] { next } else { best }).unwrap_or(0)
}

fn tempered(predictions: &[f32], classes: usize, temperature: f64) -> Vec<f64> {
    let one = |row: &[f32]| {
        let powers: Vec<f64> =
            row.iter().map(|&p| f64::from(p).max(PREDICTION_FLOOR).powf(1.0 / temperature)).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    };
    predictions.chunks(classes.max(1)).flat_map(one).collect()
}

#[cfg(test)]
mod tests;

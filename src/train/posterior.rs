//! What a label should be, from two witnesses: nets that never saw the sample, and the label that was given. Pure; it
//! knows no tensor and no loop.
//!
//! A net that is right on two of three faces must not overrule a label that is right on four of five because it leads by
//! a fifth: that is how SCN's rule (equation 5) breaks a quarter of the right labels of a hard set. Bayes weighs both:
//!
//! ```text
//! p(true = k | picture, given = g)  ∝  p(k | picture) · p(g | k)
//! ```
//!
//! The first factor is told by nets that were trained without the sample, sharpened or softened by one temperature; the
//! second is the table of how labels go wrong. Temperature and table are those under which the given labels are most
//! likely (expectation-maximisation, Dawid and Skene 1979), so no noise rate has to be known.

/// Rounds of expectation and maximisation for each temperature; the table has settled long before.
const ROUNDS: usize = 40;
/// Temperatures that are tried.
const TEMPERATURES: [f64; 10] = [0.5, 0.65, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.2];
/// How many labels of every class seem to have been seen beforehand, going wrong evenly: rare classes lean on it.
const PRIOR_LABELS: f64 = 20.0;
/// The share of wrong labels that the search begins with.
const FIRST_NOISE: f64 = 0.2;
/// No net is surer than this that a class is wrong.
const FLOOR: f64 = 1e-6;

/// Both witnesses together.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// Probability of every class for each sample, N×C.
    pub rows: Vec<f64>,
    /// What the nets' log probabilities were divided by.
    pub temperature: f64,
    /// p(given | true), C×C, rows are true classes.
    pub confusion: Vec<f64>,
    /// Share of labels that are thought wrong, 0 to 1.
    pub noise: f64,
    classes: usize,
}

impl Posterior {
    /// From what nets told of samples that they were not trained on (`told`, N×C, rows sum to 1), and the labels given (N).
    pub fn of(told: &[f32], given: &[usize], classes: usize) -> Self {
        let fits = TEMPERATURES.iter().map(|&temperature| fit(told, given, classes, temperature));
        let best = fits.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or_else(|| Self::nothing(classes), |(posterior, _)| posterior)
    }

    fn nothing(classes: usize) -> Self {
        Self { rows: Vec::new(), temperature: 1.0, confusion: even_noise(0.0, classes), noise: 0.0, classes }
    }

    /// One sample's probabilities, C.
    pub fn row(&self, sample: usize) -> &[f64] {
        &self.rows[sample * self.classes..][..self.classes]
    }

    /// The labels to change: of each given class those whose given label is least probable, as long as no more than
    /// `risk` (0 to 1) of the class's labels are expected to be broken by it. `None` keeps a label.
    pub fn decide(&self, given: &[usize], risk: f64) -> Vec<Option<usize>> {
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

fn most_probable(row: &[f64]) -> usize {
    (0..row.len()).reduce(|best, next| if row[next] > row[best] { next } else { best }).unwrap_or(0)
}

/// Labels of every class go wrong alike, to all others alike.
fn even_noise(noise: f64, classes: usize) -> Vec<f64> {
    let other = noise / (classes.max(2) - 1) as f64;
    let place = |at: usize| if at / classes == at % classes { 1.0 - noise } else { other };
    (0..classes * classes).map(place).collect()
}

/// The posterior at one temperature, and how likely the given labels are under it (log).
fn fit(told: &[f32], given: &[usize], classes: usize, temperature: f64) -> (Posterior, f64) {
    let nets: Vec<f64> = told.chunks(classes).flat_map(|row| tempered(row, temperature)).collect();
    let mut confusion = even_noise(FIRST_NOISE, classes);
    let (mut rows, mut noise, mut likelihood) = (nets.clone(), FIRST_NOISE, f64::NEG_INFINITY);
    for _ in 0..ROUNDS {
        likelihood = 0.0;
        let mut right = 0.0;
        for ((row, net), &label) in rows.chunks_mut(classes).zip(nets.chunks(classes)).zip(given) {
            for (class, (probability, net)) in row.iter_mut().zip(net).enumerate() {
                *probability = net * confusion[class * classes + label];
            }
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|probability| *probability /= sum);
            likelihood += sum.ln();
            right += row[label];
        }
        noise = 1.0 - right / given.len().max(1) as f64;
        confusion = counted(&rows, given, classes, noise);
    }
    (Posterior { rows, temperature, confusion, noise, classes }, likelihood)
}

fn tempered(row: &[f32], temperature: f64) -> Vec<f64> {
    let powers: Vec<f64> = row.iter().map(|&p| f64::from(p).max(FLOOR).powf(1.0 / temperature)).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// How labels go wrong, counted by the posterior, with [`PRIOR_LABELS`] of even noise in every row.
fn counted(rows: &[f64], given: &[usize], classes: usize, noise: f64) -> Vec<f64> {
    let mut counts: Vec<f64> = even_noise(noise, classes).iter().map(|p| p * PRIOR_LABELS).collect();
    for (row, &label) in rows.chunks(classes).zip(given) {
        for (class, probability) in row.iter().enumerate() {
            counts[class * classes + label] += probability;
        }
    }
    for row in counts.chunks_mut(classes) {
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|count| *count /= sum);
    }
    counts
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const CLASSES: usize = 4;

    /// Samples whose truth is drawn from what a calibrated net tells, with `noise` of the labels wrong.
    /// Returns what is told, the labels given, and the truth.
    fn world(samples: usize, sharpness: f64, noise: f64) -> (Vec<f32>, Vec<usize>, Vec<usize>) {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (mut told, mut given, mut truth) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..samples {
            let powers: Vec<f64> =
                (0..CLASSES).map(|_| (sharpness * rng.random_range(-1.0..1.0_f64)).exp()).collect();
            let sum: f64 = powers.iter().sum();
            let mut left = rng.random_range(0.0..sum);
            let class = powers.iter().position(|power| {
                left -= power;
                left < 0.0
            });
            let class = class.unwrap_or(0);
            let wrong = rng.random_bool(noise);
            truth.push(class);
            given.push(if wrong { (class + rng.random_range(1..CLASSES)) % CLASSES } else { class });
            told.extend(powers.iter().map(|power| (power / sum) as f32));
        }
        (told, given, truth)
    }

    #[test]
    fn the_share_of_wrong_labels_is_found_without_being_told() {
        for noise in [0.1, 0.3] {
            let (told, given, _) = world(4_000, 6.0, noise);
            let posterior = Posterior::of(&told, &given, CLASSES);
            assert!((posterior.noise - noise).abs() < 0.04, "{} instead of {noise}", posterior.noise);
        }
    }

    #[test]
    fn nets_that_are_too_sure_are_softened() {
        let (told, given, _) = world(4_000, 4.0, 0.2);
        let boast = |row: &[f32]| {
            let powers: Vec<f32> = row.iter().map(|p| p.powi(2)).collect();
            let sum: f32 = powers.iter().sum();
            powers.into_iter().map(move |power| power / sum)
        };
        let boasted: Vec<f32> = told.chunks(CLASSES).flat_map(boast).collect();
        let temperature = Posterior::of(&boasted, &given, CLASSES).temperature;
        assert!((1.7..=2.5).contains(&temperature), "{temperature}");
    }

    /// By hand: 0.6 · 0.1 against 0.4 · 0.8 keeps the label that SCN would change at δ2 = 0.1.
    #[test]
    fn a_label_outweighs_a_small_lead() {
        let rows = |net: [f64; 2], confusion: [f64; 4]| {
            let (wrong, right) = (net[0] * confusion[1], net[1] * confusion[3]);
            right / (wrong + right)
        };
        assert!((rows([0.6, 0.4], [0.8, 0.2, 0.1, 0.8]) - 0.32 / 0.44).abs() < 1e-12);
        let (told, given, truth) = world(4_000, 2.0, 0.2);
        let posterior = Posterior::of(&told, &given, CLASSES);
        let wrong = |labels: &[usize]| labels.iter().zip(&truth).filter(|(a, b)| a != b).count();
        let by_nets: Vec<usize> = told
            .chunks(CLASSES)
            .zip(&given)
            .map(|(row, &label)| super::super::scn::relabel(row, label, 0.2).unwrap_or(label))
            .collect();
        let by_both: Vec<usize> =
            (0..given.len()).map(|sample| most_probable(posterior.row(sample))).collect();
        assert!(wrong(&by_nets) > wrong(&given), "SCN's rule makes a hard set worse");
        assert!(wrong(&by_both) < wrong(&given), "{} of {}", wrong(&by_both), wrong(&given));
    }

    #[test]
    fn no_more_labels_of_a_class_are_broken_than_the_risk_allows() {
        let (told, given, truth) = world(8_000, 5.0, 0.25);
        let decided = Posterior::of(&told, &given, CLASSES).decide(&given, 0.02);
        for class in 0..CLASSES {
            let right: Vec<usize> =
                (0..given.len()).filter(|&s| given[s] == class && truth[s] == class).collect();
            let broken = right.iter().filter(|&&sample| decided[sample].is_some()).count();
            assert!((broken as f64) < 0.04 * right.len() as f64, "{broken} of {}", right.len());
        }
        let wrong: Vec<usize> = (0..given.len()).filter(|&sample| given[sample] != truth[sample]).collect();
        let fixed = wrong.iter().filter(|&&sample| decided[sample] == Some(truth[sample])).count();
        assert!(fixed as f64 > 0.4 * wrong.len() as f64, "{fixed} of {}", wrong.len());
    }

    #[test]
    fn no_samples_and_no_risk_change_nothing() {
        assert!(Posterior::of(&[], &[], CLASSES).decide(&[], 0.02).is_empty());
        let (told, given, _) = world(500, 5.0, 0.25);
        let decided = Posterior::of(&told, &given, CLASSES).decide(&given, 0.0);
        assert!(decided.iter().all(Option::is_none));
    }
}

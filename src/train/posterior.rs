//! What a label should be, from two witnesses: nets that never saw the sample, and the label that was given. Pure; it
//! knows no tensor and no loop.
//!
//! A net that is right on two of three faces must not overrule a label that is right on four of five because it leads by
//! a fifth: that is how SCN's rule (equation 5) breaks a quarter of the right labels of a hard set. Bayes weighs both:
//!
//! ```text
//! p(true = k | picture, given = g)  ∝  p(true = k | picture) · p(g | k)
//! ```
//!
//! Nets that learnt from wrong labels tell of labels, not of truth. If a share η of all labels went wrong, evenly to the
//! other classes, what they tell is mixed by the same share, and is unmixed (Patrini et al. 2017 mix it forward):
//!
//! ```text
//! p(given = k | picture)  =  (1 − η − ε) · p(true = k | picture) + ε        ε = η / (C − 1)
//! ```
//!
//! What nets say of samples that they never saw may be worth much or nothing, and how many labels are wrong nobody knows:
//! both show in how likely the given labels are. A temperature softens nets that are too sure (it is never below 1:
//! sharpened, scouts of hard faces broke 0.08 to 0.12 of the right labels instead of 0.03 to 0.06), until of nets that know
//! nothing nothing is left; η shows at the floor, for no label is told with less than ε. Neither is settled by few or weak
//! words: calibrated nets find the labels as likely under every η up to the true one. So the posterior is the mean over all
//! temperatures and shares, each counting for as much as the labels are likely under it, times what is thought of η
//! beforehand (Beta(2, 5): mostly between a tenth and a half).
//!
//! The greatest η that was nearly as likely as any, as it was before, served where nets know much (drawn faces, hard and
//! easy: the same labels but for 0.02 of the wrong ones); of 163 clips whose scouts were right on 0.28 it made 0.60 for a
//! true 0.21, and broke 0.33 of the right labels. The mean breaks none of them, and fixes none. Its price: of perfectly
//! calibrated nets (made up, 8 classes, a true 0.2 to 0.3) it finds three fifths of the share, and fixes a fifth to a half as
//! much as the greatest.
//! Learning the whole table p(g | k) from the nets' own words (Dawid and Skene 1979) told 0.25 to 0.37 for 0.20.

/// Temperatures that are tried.
const TEMPERATURES: [f64; 15] =
    [1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.2, 4.0, 5.0, 6.5, 8.0, 10.0, 14.0, 20.0, 40.0];
/// Shares of wrong labels that are tried: so many, so far apart.
const NOISES: usize = 71;
const NOISE_STEP: f64 = 0.01;
/// What counts for less than this beside the likeliest is left out.
const NEGLIGIBLE: f64 = 1e-4;
/// No net is surer than this that a class is wrong, before and after it is unmixed.
const FLOOR: f64 = 1e-6;
const UNMIXED_FLOOR: f64 = 1e-4;
/// The same where two nets are heard, so that one alone cannot rule a class out.
const HEARD_FLOOR: f64 = 1e-3;
/// What the label still says beside a net that was trained on it, a power of η and of 1 − η: see
/// [`Posterior::with_learner`].
const LABEL_BESIDE_LEARNER: f64 = 0.75;
/// The other classes of the sets that it was measured on.
const MEASURED_OTHERS: f64 = 7.0;

/// Both witnesses together.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// Probability of every class for each sample, N×C.
    pub rows: Vec<f64>,
    classes: usize,
    hypotheses: Vec<Hypothesis>,
}

/// What may be true of nets and labels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hypothesis {
    /// Its probability; those of all sum to 1.
    weight: f64,
    /// What the nets' log probabilities are divided by.
    temperature: f64,
    mix: Mix,
}

impl Posterior {
    /// From what nets told of samples that they were not trained on (`told`, N×C, rows sum to 1), and the labels given (N).
    pub fn of(told: &[f32], given: &[usize], classes: usize) -> Self {
        let hypotheses = weighed(told, given, classes);
        let row = |mix: Mix, told: &[f64], sample: usize| mix.posterior(told, given[sample]);
        Self { rows: mean(&hypotheses, told, classes, row), classes, hypotheses }
    }

    /// η, the share of labels that are thought wrong, 0 to 1.
    pub fn noise(&self) -> f64 {
        self.hypotheses.iter().map(|it| it.weight * it.mix.noise).sum()
    }

    /// By how much nets are thought too sure, from 1.
    pub fn temperature(&self) -> f64 {
        self.hypotheses.iter().map(|it| it.weight * it.temperature).sum()
    }

    /// The same with one more witness: a net that was trained on these posteriors and says of each sample what is true
    /// (`learnt`, N×C). Both nets speak as one, by the geometric mean. The learner echoes a part of the label already, so
    /// the label counts for less than a whole witness more:
    ///
    /// ```text
    /// p(true = k)  ∝  √(p(k | told) · p(k | learnt)) · { (1 − η)^¾  if k = g,  else  7^¼ · η^¾ / (C − 1) }
    /// ```
    ///
    /// With eight classes that is p(g | k)^¾. The plain power would weigh the other classes together by (C − 1)^¼, and
    /// distrust labels for no more than that there are many (nets that know nothing, η = 0.2: 0.74 for two classes, 0.64
    /// for eight, 0.47 for a hundred).
    ///
    /// Measured at a risk of 0.02 on drawn faces with 20 and 30 % wrong labels (hard) and 20 % (easy), scouts of 30 epochs
    /// with two seeds and of 45 with one: fixed 0.42, 0.39 and 0.87, broken 0.026, 0.032 and 0.003, left 0.68, 0.68 and
    /// 0.15 of what was wrong. The power 1 fixed 0.34, 0.31 and 0.82; the power ½ broke 0.052, 0.055 and 0.006; without
    /// the learner it was 0.40, 0.37 and 0.82 fixed, 0.025, 0.031 and 0.005 broken.
    pub fn with_learner(&self, told: &[f32], learnt: &[f32], given: &[usize]) -> Self {
        let learnt: Vec<&[f32]> = learnt.chunks(self.classes).collect();
        let row = |mix: Mix, told: &[f64], sample: usize| {
            let heard = mix
                .unmixed(told)
                .zip(learnt[sample])
                .map(|(told, &learnt)| (told.max(HEARD_FLOOR) * f64::from(learnt).max(HEARD_FLOOR)).sqrt());
            let [right, wrong] = mix.beside_learner(self.classes);
            let label = |class| if class == given[sample] { right } else { wrong };
            normalised(heard.enumerate().map(|(class, p)| p * label(class)))
        };
        Self { rows: mean(&self.hypotheses, told, self.classes, row), ..self.clone() }
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

/// All that may be true, by how likely it makes the given labels and how likely it is beforehand.
fn weighed(told: &[f32], given: &[usize], classes: usize) -> Vec<Hypothesis> {
    let most = 0.9 * (1.0 - 1.0 / classes.max(2) as f64);
    let noises = (0..NOISES).map(|step| step as f64 * NOISE_STEP).filter(|&noise| noise < most);
    let mixes: Vec<Mix> = noises.map(|noise| Mix::new(noise, classes)).collect();
    let mut all = Vec::with_capacity(TEMPERATURES.len() * mixes.len());
    for temperature in TEMPERATURES {
        let nets = tempered(told, classes, temperature);
        let log = |mix: Mix| mix.likelihood(&nets, given) + beforehand(mix.noise);
        all.extend(mixes.iter().map(|&mix| Hypothesis { weight: log(mix), temperature, mix }));
    }
    let best = all.iter().map(|it| it.weight).fold(f64::NEG_INFINITY, f64::max);
    all.iter_mut().for_each(|it| it.weight = (it.weight - best).exp());
    all.retain(|it| it.weight > NEGLIGIBLE);
    let sum: f64 = all.iter().map(|it| it.weight).sum();
    all.iter_mut().for_each(|it| it.weight /= sum);
    all
}

/// What is thought of η before a label is seen (natural log, but for a constant): Beta(2, 5).
fn beforehand(noise: f64) -> f64 {
    noise.max(0.1 * NOISE_STEP).ln() + 4.0 * (1.0 - noise).ln()
}

/// The mean over all hypotheses of what each makes of every sample: `row` gets what nets tell of it, softened.
fn mean(
    hypotheses: &[Hypothesis],
    told: &[f32],
    classes: usize,
    row: impl Fn(Mix, &[f64], usize) -> Vec<f64>,
) -> Vec<f64> {
    let mut rows = vec![0.0; told.len()];
    for of_one in hypotheses.chunk_by(|one, next| one.temperature == next.temperature) {
        let nets = tempered(told, classes, of_one[0].temperature);
        for (sample, (sums, told)) in rows.chunks_mut(classes).zip(nets.chunks(classes)).enumerate() {
            for &Hypothesis { weight, mix, .. } in of_one {
                sums.iter_mut().zip(row(mix, told, sample)).for_each(|(sum, p)| *sum += weight * p);
            }
        }
    }
    rows
}

fn most_probable(row: &[f64]) -> usize {
    (0..row.len()).reduce(|best, next| if row[next] > row[best] { next } else { best }).unwrap_or(0)
}

/// How labels went wrong: a share of them, evenly to all other classes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mix {
    /// η.
    noise: f64,
    /// ε, what each other class gets.
    other: f64,
}

impl Mix {
    fn new(noise: f64, classes: usize) -> Self {
        Self { noise, other: noise / (classes.max(2) - 1) as f64 }
    }

    /// p(true | picture) of what is told of labels.
    fn unmixed(self, row: &[f64]) -> impl Iterator<Item = f64> {
        let one = move |told: f64| ((told - self.other) / (1.0 - self.noise - self.other)).max(UNMIXED_FLOOR);
        let sum: f64 = row.iter().map(|&told| one(told)).sum();
        row.iter().map(move |&told| one(told) / sum)
    }

    /// How likely the given labels are (natural log).
    fn likelihood(self, nets: &[f64], given: &[usize]) -> f64 {
        let classes = nets.len() / given.len().max(1);
        let mixed = |p_true: f64| (1.0 - self.noise - self.other) * p_true + self.other;
        let of =
            |(row, &label): (&[f64], &usize)| self.unmixed(row).nth(label).map_or(0.0, |p| mixed(p).ln());
        nets.chunks(classes.max(1)).zip(given).map(of).sum()
    }

    /// p(given | true).
    fn p_given(self, given: usize, truth: usize) -> f64 {
        if given == truth { 1.0 - self.noise } else { self.other }
    }

    /// How much the label speaks for the class that it names, and for each other one, beside a net that learnt from it.
    fn beside_learner(self, classes: usize) -> [f64; 2] {
        let [right, wrong] = [1.0 - self.noise, self.noise].map(|share| share.powf(LABEL_BESIDE_LEARNER));
        let others = (classes.max(2) - 1) as f64;
        [right, wrong * MEASURED_OTHERS.powf(1.0 - LABEL_BESIDE_LEARNER) / others]
    }

    /// p(true | picture, given).
    fn posterior(self, row: &[f64], given: usize) -> Vec<f64> {
        normalised(self.unmixed(row).enumerate().map(|(class, p)| p * self.p_given(given, class)))
    }
}

fn normalised(parts: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut row: Vec<f64> = parts.collect();
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|p| *p /= sum);
    row
}

fn tempered(told: &[f32], classes: usize, temperature: f64) -> Vec<f64> {
    let one = |row: &[f32]| {
        let powers: Vec<f64> = row.iter().map(|&p| f64::from(p).max(FLOOR).powf(1.0 / temperature)).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    };
    told.chunks(classes.max(1)).flat_map(one).collect()
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const CLASSES: usize = 4;

    /// Samples whose truth is drawn from a calibrated net, with `noise` of the labels wrong, as the net that learnt from
    /// such labels tells. Returns what is told, the labels given, and the truth.
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
            let other = noise / (CLASSES - 1) as f64;
            let mixed = |power: &f64| ((1.0 - noise - other) * power / sum + other) as f32;
            told.extend(powers.iter().map(mixed));
        }
        (told, given, truth)
    }

    /// Perfectly calibrated nets leave it open: every share up to the true one explains the labels as well.
    #[test]
    fn the_share_of_wrong_labels_is_found_without_being_told_and_not_overrated() {
        for noise in [0.1, 0.3] {
            let (told, given, _) = world(4_000, 6.0, noise);
            let thought = Posterior::of(&told, &given, CLASSES).noise();
            assert!((0.5 * noise..noise + 0.02).contains(&thought), "{thought} instead of {noise}");
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
        let temperature = Posterior::of(&boasted, &given, CLASSES).temperature();
        assert!((1.7..=2.5).contains(&temperature), "{temperature}");
    }

    /// By hand, two classes, nothing softened: 0.6 is told of the other one, 0.4 / 0.6 and 0.2 / 0.6 are left (above);
    /// the learner is sure of the other one by 0.9: √(0.6 / 0.9) against √(0.1 / 3), times 7^¼ · 0.2^¾ and 0.8^¾.
    #[test]
    fn a_learner_speaks_with_the_nets_and_the_label_counts_for_less() {
        let known = Hypothesis { weight: 1.0, temperature: 1.0, mix: Mix::new(0.2, 2) };
        let posterior = Posterior { rows: Vec::new(), classes: 2, hypotheses: vec![known] };
        let row = posterior.with_learner(&[0.6, 0.4], &[0.9, 0.1], &[1]).rows;
        let other = (0.6_f64).sqrt() * 7.0_f64.powf(0.25) * 0.2_f64.powf(0.75);
        let given = (0.1_f64 / 3.0).sqrt() * 0.8_f64.powf(0.75);
        assert!((row[1] - given / (given + other)).abs() < 1e-6, "{row:?}");
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_label_is_believed_as_much_among_a_hundred_classes_as_among_two() {
        for classes in [2, 8, 100] {
            let known = Hypothesis { weight: 1.0, temperature: 1.0, mix: Mix::new(0.2, classes) };
            let posterior = Posterior { rows: Vec::new(), classes, hypotheses: vec![known] };
            let even = vec![1.0 / classes as f32; classes];
            let row = posterior.with_learner(&even, &even, &[1]).rows;
            assert!((row[1] - 0.635).abs() < 1e-3, "{} of {classes}", row[1]);
        }
    }

    /// By hand, two classes: 0.6 is told of the other one, of which η = ε = 0.2 is noise: 0.4 / 0.6 and 0.2 / 0.6 are
    /// left; times 0.2 and 0.8 the label is kept at 0.16 / 0.24, which SCN would change at δ2 = 0.1.
    #[test]
    fn a_label_outweighs_a_small_lead() {
        let row = Mix::new(0.2, 2).posterior(&[0.6, 0.4], 1);
        assert!((row[1] - 0.16 / 0.24).abs() < 1e-12, "{row:?}");
        let (told, given, truth) = world(4_000, 3.0, 0.2);
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
        // How much is fixed: of a share that calibrated nets leave open, less.
        for (sharpness, noise, least_fixed) in [(6.0, 0.1, 0.4), (5.0, 0.25, 0.17)] {
            let (told, given, truth) = world(8_000, sharpness, noise);
            let decided = Posterior::of(&told, &given, CLASSES).decide(&given, 0.02);
            for class in 0..CLASSES {
                let right: Vec<usize> =
                    (0..given.len()).filter(|&s| given[s] == class && truth[s] == class).collect();
                let broken = right.iter().filter(|&&sample| decided[sample].is_some()).count();
                assert!((broken as f64) < 0.04 * right.len() as f64, "{broken} of {}", right.len());
            }
            let wrong: Vec<usize> =
                (0..given.len()).filter(|&sample| given[sample] != truth[sample]).collect();
            let fixed = wrong.iter().filter(|&&sample| decided[sample] == Some(truth[sample])).count();
            assert!(fixed as f64 > least_fixed * wrong.len() as f64, "{fixed} of {}", wrong.len());
        }
    }

    /// Scouts of a few people's films are sure, and right on few others: it must show in their words, however few there are.
    #[test]
    fn nets_that_know_next_to_nothing_break_no_labels() {
        for samples in [60, 600] {
            let (told, given, truth) = world(samples, 1.0, 0.2);
            let mut rng = ChaCha8Rng::seed_from_u64(6);
            let boast = |row: &[f32]| {
                let powers: Vec<f32> =
                    row.iter().map(|p| p * (6.0 * rng.random_range(-1.0..1.0_f32)).exp()).collect();
                let sum: f32 = powers.iter().sum();
                powers.into_iter().map(move |power| power / sum)
            };
            let boasted: Vec<f32> = told.chunks(CLASSES).flat_map(boast).collect();
            let decided = Posterior::of(&boasted, &given, CLASSES).decide(&given, 0.02);
            let broken = (0..samples).filter(|&s| given[s] == truth[s] && decided[s].is_some()).count();
            assert!(broken * 50 <= samples, "{broken} of {samples}");
        }
    }

    #[test]
    fn no_samples_and_no_risk_change_nothing() {
        assert!(Posterior::of(&[], &[], CLASSES).decide(&[], 0.02).is_empty());
        let (told, given, _) = world(500, 5.0, 0.25);
        let decided = Posterior::of(&told, &given, CLASSES).decide(&given, 0.0);
        assert!(decided.iter().all(Option::is_none));
    }
}

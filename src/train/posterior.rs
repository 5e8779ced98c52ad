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
//! Nets that learnt from wrong labels tell which label a sample was given, not which class is true. If a share ρ of all
//! labels was drawn anew, class k with the probability q(k), what the nets tell is mixed in the same way. Here that is
//! undone (Patrini et al. 2017 mix the net's answers in training instead):
//!
//! ```text
//! p(given = k | picture)  =  (1 − ρ) · p(true = k | picture) + ρ · q(k)        η = ρ · (1 − Σ share(k) · q(k))
//! ```
//!
//! η is the share of labels that are wrong. Two q are tried: even over the classes, or in proportion to the classes'
//! shares among the given labels. The second is for rare classes: they are seldom given by mistake, and mistakes that
//! are even over the classes would put more labels into a rare class than it has. A class without any given label is
//! left out: nothing can be learnt of it.
//!
//! Two things are not known: how much the answers of nets on unseen samples are worth, and how the labels went wrong.
//! Both show in how likely the given labels are. A temperature softens nets that are too sure; of nets that know
//! nothing it leaves even probabilities. It is never below 1: sharpened, scouts of hard faces broke twice as many right
//! labels. ρ shows in the least probable labels, for no label is less probable than ρ·q. Few samples, or weak nets,
//! settle neither: calibrated nets find the labels equally likely under every η up to the true one. So the posterior is
//! the mean over all temperatures and all η. Each counts by how likely the labels are under it, times what is thought
//! of η beforehand (Beta(2, 5): mostly between a tenth and a half). Of the two q the one is taken under which, over all
//! of these, the labels are likelier.
//!
//! The price of the mean: with perfectly calibrated nets it finds three fifths of η. Two other ways were tried. The
//! greatest η that is nearly as likely as any other finds all of it, but broke a third of the right labels of 163 clips
//! whose scouts knew little. The whole table p(g | k), learnt from the nets' own answers (Dawid and Skene 1979),
//! overrates η too. All of this was measured with noise that is even over the classes.

mod given;
mod mix;

use given::Given;
use mix::{Mix, NOISE_STEP, normalised};

/// Temperatures that are tried.
const TEMPERATURES: [f64; 15] =
    [1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.2, 4.0, 5.0, 6.5, 8.0, 10.0, 14.0, 20.0, 40.0];
/// A hypothesis is left out when it is less than this share as likely as the likeliest one.
const NEGLIGIBLE: f64 = 1e-4;
/// A net's probability of a class counts as no less than this.
const FLOOR: f64 = 1e-6;
/// The same where two nets are asked, so that one alone cannot rule a class out.
const HEARD_FLOOR: f64 = 1e-3;

/// Both witnesses together.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// Probability of every class for each sample, N×C.
    pub rows: Vec<f64>,
    classes: usize,
    given: Given,
    hypotheses: Vec<Hypothesis>,
}

/// One thing that may be true of nets and labels.
#[derive(Debug, Clone, PartialEq)]
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
        let labels = Given::of(given, classes);
        let (told, given) = (labels.narrow(told, classes), labels.places(given));
        let hypotheses = weighed(&told, &given, &labels.shares);
        let row = |mix: &Mix, told: &[f64], sample: usize| mix.posterior(told, given[sample]);
        let rows = mean(&hypotheses, &told, labels.classes.len(), row);
        Self { rows: labels.widen(&rows, classes), classes, given: labels, hypotheses }
    }

    /// η, the share of labels that are thought wrong, 0 to 1.
    pub fn noise(&self) -> f64 {
        self.hypotheses.iter().map(|it| it.weight * it.mix.noise).sum()
    }

    /// The temperature of the nets: by how much they are thought too sure; 1 or more.
    pub fn temperature(&self) -> f64 {
        self.hypotheses.iter().map(|it| it.weight * it.temperature).sum()
    }

    /// The same with one more witness: a net that was trained on these posteriors and says of each sample what is true
    /// (`learnt`, N×C). Both nets speak as one, by the geometric mean. The learner already repeats a part of the label,
    /// so the label does not count as a whole witness again:
    ///
    /// ```text
    /// p(true = k)  ∝  √(p(k | told) · p(k | learnt)) · { p(g | g)^¾  if k = g,  else  (7 / (C − 1))^¼ · p(g | k)^¾ }
    /// ```
    ///
    /// With the plain power p(g | k)^¾ the other classes together would gain by (C − 1)^¼: labels would be distrusted
    /// only because there are many classes. With eight classes both are the same. On drawn faces with even noise the
    /// power ¾ fixed more labels than 1 (0.42 instead of 0.34 on the hard set) and broke half as many as ½; without the
    /// learner fewer were fixed.
    pub fn with_learner(self, told: &[f32], learnt: &[f32], given: &[usize]) -> Self {
        let [told, learnt] = [told, learnt].map(|rows| self.given.narrow(rows, self.classes));
        let (given, seen) = (self.given.places(given), self.given.classes.len());
        let row = |mix: &Mix, told: &[f64], sample: usize| {
            let heard = mix
                .unmixed(told)
                .zip(&learnt[sample * seen..])
                .map(|(told, &learnt)| (told.max(HEARD_FLOOR) * f64::from(learnt).max(HEARD_FLOOR)).sqrt());
            let [right, wrong] = mix.beside_learner(given[sample]);
            let label = |class| if class == given[sample] { right } else { wrong };
            normalised(heard.enumerate().map(|(class, p)| p * label(class)))
        };
        let rows = mean(&self.hypotheses, &told, seen, row);
        Self { rows: self.given.widen(&rows, self.classes), ..self }
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

/// All hypotheses, each with its probability: how likely it makes the given labels, times how likely it is beforehand.
/// Labels may go wrong in two ways; the likelier one is taken.
fn weighed(told: &[f32], given: &[usize], shares: &[f64]) -> Vec<Hypothesis> {
    let even = vec![1.0 / shares.len() as f64; shares.len()];
    let [even, common] = [&even[..], shares].map(|to| tried(told, given, to, shares));
    let best = even.iter().chain(&common).map(|it| it.weight).fold(f64::NEG_INFINITY, f64::max);
    let sum = |all: &[Hypothesis]| all.iter().map(|it| (it.weight - best).exp()).sum::<f64>();
    let mut all = if sum(&common) > sum(&even) { common } else { even };
    all.iter_mut().for_each(|it| it.weight = (it.weight - best).exp());
    all.retain(|it| it.weight > NEGLIGIBLE);
    let sum: f64 = all.iter().map(|it| it.weight).sum();
    all.iter_mut().for_each(|it| it.weight /= sum);
    all
}

/// Every share of wrong labels, drawn by `to`, at every temperature. Weights are natural logarithms, up to a constant.
fn tried(told: &[f32], given: &[usize], to: &[f64], shares: &[f64]) -> Vec<Hypothesis> {
    let mixes: Vec<Mix> = Mix::all(to, shares).collect();
    let mut all = Vec::with_capacity(TEMPERATURES.len() * mixes.len());
    for temperature in TEMPERATURES {
        let nets = tempered(told, to.len(), temperature);
        let log = |mix: &Mix| mix.likelihood(&nets, given) + beforehand(mix.noise);
        all.extend(mixes.iter().map(|mix| Hypothesis { weight: log(mix), temperature, mix: mix.clone() }));
    }
    all
}

/// What is thought of η before a label is seen: Beta(2, 5), as a natural logarithm, up to a constant.
fn beforehand(noise: f64) -> f64 {
    noise.max(0.1 * NOISE_STEP).ln() + 4.0 * (1.0 - noise).ln()
}

/// The mean over all hypotheses of what each makes of every sample: `row` gets what nets tell of it, softened.
fn mean(
    hypotheses: &[Hypothesis],
    told: &[f32],
    classes: usize,
    row: impl Fn(&Mix, &[f64], usize) -> Vec<f64>,
) -> Vec<f64> {
    let classes = classes.max(1);
    let mut rows = vec![0.0; told.len()];
    for of_one in hypotheses.chunk_by(|one, next| one.temperature == next.temperature) {
        let nets = tempered(told, classes, of_one[0].temperature);
        for (sample, (sums, told)) in rows.chunks_mut(classes).zip(nets.chunks(classes)).enumerate() {
            for Hypothesis { weight, mix, .. } in of_one {
                sums.iter_mut().zip(row(mix, told, sample)).for_each(|(sum, p)| *sum += weight * p);
            }
        }
    }
    rows
}

fn most_probable(row: &[f64]) -> usize {
    (0..row.len()).reduce(|best, next| if row[next] > row[best] { next } else { best }).unwrap_or(0)
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

    /// What is known for certain: η, evenly wrong, of classes as common as each other, and nothing softened.
    fn known(noise: f64, classes: usize) -> Posterior {
        let even = vec![1.0 / classes as f64; classes];
        let mix = Mix::new(noise, &even, &even);
        let given = Given { classes: (0..classes).collect(), shares: even };
        let hypotheses = vec![Hypothesis { weight: 1.0, temperature: 1.0, mix }];
        Posterior { rows: Vec::new(), classes, given, hypotheses }
    }

    /// Samples whose truth is drawn from a calibrated net, with `noise` of the labels wrong, as the net that learnt from
    /// such labels tells. Returns what is told, the labels given, and the truth.
    fn world(samples: usize, sharpness: f64, noise: f64) -> (Vec<f32>, Vec<usize>, Vec<usize>) {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (mut told, mut given, mut truth) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..samples {
            let powers: Vec<f64> =
                (0..CLASSES).map(|_| (sharpness * rng.random_range(-1.0..1.0_f64)).exp()).collect();
            let sum: f64 = powers.iter().sum();
            let class = drawn(&mut rng, &powers);
            let wrong = rng.random_bool(noise);
            truth.push(class);
            given.push(if wrong { (class + rng.random_range(1..CLASSES)) % CLASSES } else { class });
            let other = noise / (CLASSES - 1) as f64;
            let mixed = |power: &f64| ((1.0 - noise - other) * power / sum + other) as f32;
            told.extend(powers.iter().map(mixed));
        }
        (told, given, truth)
    }

    /// A class, each as probable as its power.
    fn drawn(rng: &mut ChaCha8Rng, powers: &[f64]) -> usize {
        let sum: f64 = powers.iter().sum();
        let mut left = rng.random_range(0.0..sum);
        let class = powers.iter().position(|power| {
            left -= power;
            left < 0.0
        });
        class.unwrap_or(0)
    }

    const UNEVEN: [f64; CLASSES] = [0.6, 0.3, 0.08, 0.02];

    /// The same of classes that are not as common as each other; three of ten labels were drawn anew, by `to`.
    fn uneven_world(to: &[f64; CLASSES]) -> (Vec<f32>, Vec<usize>, Vec<usize>) {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let (mut told, mut given, mut truth) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..4_000 {
            let class = drawn(&mut rng, &UNEVEN);
            let sure = [0.6, 0.8, 0.95, 0.99][rng.random_range(0..4)];
            let said = if rng.random_bool(sure) { class } else { drawn(&mut rng, &UNEVEN) };
            truth.push(class);
            given.push(if rng.random_bool(0.3) { drawn(&mut rng, to) } else { class });
            told.extend((0..CLASSES).map(|class| {
                let p = (1.0 - sure) * UNEVEN[class] + if class == said { sure } else { 0.0 };
                (0.7 * p + 0.3 * to[class]) as f32
            }));
        }
        (told, given, truth)
    }

    #[test]
    fn labels_that_went_wrong_evenly_or_towards_common_classes_are_both_found() {
        for (to, least_fixed) in [([0.25; CLASSES], 0.05), (UNEVEN, 0.1)] {
            let (told, given, truth) = uneven_world(&to);
            let posterior = Posterior::of(&told, &given, CLASSES);
            let wrong: Vec<usize> = (0..given.len()).filter(|&s| given[s] != truth[s]).collect();
            let (noise, thought) = (wrong.len() as f64 / given.len() as f64, posterior.noise());
            assert!((0.45 * noise..noise + 0.02).contains(&thought), "{thought} instead of {noise}");
            let decided = posterior.decide(&given, 0.02);
            let fixed = wrong.iter().filter(|&&sample| decided[sample] == Some(truth[sample])).count();
            let broken = (0..given.len()).filter(|&s| given[s] == truth[s] && decided[s].is_some()).count();
            assert!(fixed as f64 > least_fixed * wrong.len() as f64, "{fixed} of {}", wrong.len());
            assert!((broken as f64) < 0.03 * given.len() as f64, "{broken} of {}", given.len());
        }
    }

    #[test]
    fn a_class_without_labels_changes_nothing() {
        let (told, given, _) = world(2_000, 6.0, 0.2);
        let wider = |row: &[f32]| [row[0], 0.001, row[1], row[2], row[3]].map(|p| p / 1.001);
        let wider: Vec<f32> = told.chunks(CLASSES).flat_map(wider).collect();
        let moved: Vec<usize> = given.iter().map(|&label| if label == 0 { 0 } else { label + 1 }).collect();
        let (without, with) =
            (Posterior::of(&told, &given, CLASSES), Posterior::of(&wider, &moved, CLASSES + 1));
        assert!((without.noise() - with.noise()).abs() < 1e-3, "{} is {}", with.noise(), without.noise());
        let learnt = with.clone().with_learner(&wider, &wider, &moved);
        for sample in 0..given.len() {
            let [row, wide] = [without.row(sample), with.row(sample)];
            assert!((row[0] - wide[0]).abs() < 1e-3 && (row[3] - wide[4]).abs() < 1e-3, "{row:?}, {wide:?}");
            assert_eq!([wide[1], learnt.row(sample)[1]], [0.0; 2]);
        }
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
        let row = known(0.2, 2).with_learner(&[0.6, 0.4], &[0.9, 0.1], &[1]).rows;
        let other = (0.6_f64).sqrt() * 7.0_f64.powf(0.25) * 0.2_f64.powf(0.75);
        let given = (0.1_f64 / 3.0).sqrt() * 0.8_f64.powf(0.75);
        assert!((row[1] - given / (given + other)).abs() < 1e-6, "{row:?}");
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_label_is_believed_as_much_among_a_hundred_classes_as_among_two() {
        for classes in [2, 8, 100] {
            let even = vec![1.0 / classes as f32; classes];
            let row = known(0.2, classes).with_learner(&even, &even, &[1]).rows;
            assert!((row[1] - 0.635).abs() < 1e-3, "{} of {classes}", row[1]);
        }
    }

    /// By hand, two classes: 0.6 is told of the other one, of which η = ε = 0.2 is noise: 0.4 / 0.6 and 0.2 / 0.6 are
    /// left; times 0.2 and 0.8 the label is kept at 0.16 / 0.24, which SCN would change at δ2 = 0.1.
    #[test]
    fn a_label_outweighs_a_small_lead() {
        let row = known(0.2, 2).hypotheses[0].mix.posterior(&[0.6, 0.4], 1);
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

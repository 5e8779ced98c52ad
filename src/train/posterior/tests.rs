//! On drawn samples: what is estimated about nets and labels, and which labels change.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const CLASSES: usize = 4;

/// A single certain hypothesis: uniform noise of this share, equally common classes, temperature 1.
fn known(wrong_share: f64, classes: usize) -> Posterior {
    let uniform = vec![1.0 / classes as f64; classes];
    let noise = NoiseModel::new(wrong_share, &uniform, &uniform);
    let present = PresentClasses { classes: (0..classes).collect(), shares: uniform };
    let hypotheses = vec![(1.0, Hypothesis { temperature: 1.0, noise })];
    Posterior { rows: Vec::new(), classes, present, hypotheses }
}

/// Samples whose true class is drawn from a calibrated net's probabilities, with a share `noise` of wrong labels.
/// Returns the predictions of a net that learnt from such labels, the given labels, and the true classes.
fn world(samples: usize, sharpness: f64, noise: f64) -> (Vec<f32>, Vec<usize>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (mut predicted, mut given, mut truth) = (Vec::new(), Vec::new(), Vec::new());
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
        predicted.extend(powers.iter().map(mixed));
    }
    (predicted, given, truth)
}

/// A class, drawn in proportion to its power.
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

/// The same with unequally common classes; a share of 0.3 of the labels is redrawn by `to`.
fn uneven_world(to: &[f64; CLASSES]) -> (Vec<f32>, Vec<usize>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut predicted, mut given, mut truth) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..4_000 {
        let class = drawn(&mut rng, &UNEVEN);
        let sure = [0.6, 0.8, 0.95, 0.99][rng.random_range(0..4)];
        let said = if rng.random_bool(sure) { class } else { drawn(&mut rng, &UNEVEN) };
        truth.push(class);
        given.push(if rng.random_bool(0.3) { drawn(&mut rng, to) } else { class });
        predicted.extend((0..CLASSES).map(|class| {
            let p = (1.0 - sure) * UNEVEN[class] + if class == said { sure } else { 0.0 };
            (0.7 * p + 0.3 * to[class]) as f32
        }));
    }
    (predicted, given, truth)
}

#[test]
fn uniform_noise_and_noise_towards_common_classes_are_both_found() {
    for (to, least_fixed) in [([0.25; CLASSES], 0.05), (UNEVEN, 0.1)] {
        let (predicted, given, truth) = uneven_world(&to);
        let posterior = Posterior::of(&predicted, &given, CLASSES);
        let wrong: Vec<usize> = (0..given.len()).filter(|&s| given[s] != truth[s]).collect();
        let (noise, found) = (wrong.len() as f64 / given.len() as f64, posterior.wrong_share());
        assert!((0.45 * noise..noise + 0.02).contains(&found), "{found} instead of {noise}");
        let decided = posterior.decide(&given, 0.02);
        let fixed = wrong.iter().filter(|&&sample| decided[sample] == Some(truth[sample])).count();
        let broken = (0..given.len()).filter(|&s| given[s] == truth[s] && decided[s].is_some()).count();
        assert!(fixed as f64 > least_fixed * wrong.len() as f64, "{fixed} of {}", wrong.len());
        assert!((broken as f64) < 0.03 * given.len() as f64, "{broken} of {}", given.len());
    }
}

#[test]
fn a_class_without_labels_changes_nothing() {
    let (predicted, given, _) = world(2_000, 6.0, 0.2);
    let wider = |row: &[f32]| [row[0], 0.001, row[1], row[2], row[3]].map(|p| p / 1.001);
    let wider: Vec<f32> = predicted.chunks(CLASSES).flat_map(wider).collect();
    let moved: Vec<usize> = given.iter().map(|&label| if label == 0 { 0 } else { label + 1 }).collect();
    let (without, with) =
        (Posterior::of(&predicted, &given, CLASSES), Posterior::of(&wider, &moved, CLASSES + 1));
    let shares = [without.wrong_share(), with.wrong_share()];
    assert!((shares[0] - shares[1]).abs() < 1e-3, "{shares:?}");
    let learnt = with.clone().with_learner(&wider, &wider, &moved);
    for sample in 0..given.len() {
        let [row, wide] = [without.row(sample), with.row(sample)];
        assert!((row[0] - wide[0]).abs() < 1e-3 && (row[3] - wide[4]).abs() < 1e-3, "{row:?}, {wide:?}");
        assert_eq!([wide[1], learnt.row(sample)[1]], [0.0; 2]);
    }
}

/// With perfectly calibrated nets every share up to the true one explains the labels equally well.
#[test]
fn the_wrong_share_is_estimated_from_the_labels_and_not_overestimated() {
    for noise in [0.1, 0.3] {
        let (predicted, given, _) = world(4_000, 6.0, noise);
        let found = Posterior::of(&predicted, &given, CLASSES).wrong_share();
        assert!((0.5 * noise..noise + 0.02).contains(&found), "{found} instead of {noise}");
    }
}

#[test]
fn overconfident_nets_are_softened() {
    let (predicted, given, _) = world(4_000, 4.0, 0.2);
    let sharpened = |row: &[f32]| {
        let powers: Vec<f32> = row.iter().map(|p| p.powi(2)).collect();
        let sum: f32 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    };
    let overconfident: Vec<f32> = predicted.chunks(CLASSES).flat_map(sharpened).collect();
    let temperature = Posterior::of(&overconfident, &given, CLASSES).temperature();
    assert!((1.7..=2.5).contains(&temperature), "{temperature}");
}

/// By hand, two classes, temperature 1: the nets give 0.6 to the other class, which is 0.4 / 0.6 against 0.2 / 0.6
/// without the noise (see the test of small leads). The learner gives it 0.9, so the pooled predictions are
/// √(0.4 / 0.6 · 0.9) = √0.6 against √(0.2 / 0.6 · 0.1) = √(0.1 / 3); the label counts 7^¼ · 0.2^¾ against 0.8^¾.
#[test]
fn the_learner_is_pooled_with_the_nets_and_the_label_counts_less() {
    let row = known(0.2, 2).with_learner(&[0.6, 0.4], &[0.9, 0.1], &[1]).rows;
    let other = (0.6_f64).sqrt() * 7.0_f64.powf(0.25) * 0.2_f64.powf(0.75);
    let given = (0.1_f64 / 3.0).sqrt() * 0.8_f64.powf(0.75);
    assert!((row[1] - given / (given + other)).abs() < 1e-6, "{row:?}");
    assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn trust_in_a_label_does_not_depend_on_the_number_of_classes() {
    for classes in [2, 8, 100] {
        let uniform = vec![1.0 / classes as f32; classes];
        let row = known(0.2, classes).with_learner(&uniform, &uniform, &[1]).rows;
        assert!((row[1] - 0.635).abs() < 1e-3, "{} of {classes}", row[1]);
    }
}

/// By hand, two classes: the nets give 0.6 to the other class, of which η = ε = 0.2 is noise; without it, 0.4 / 0.6
/// against 0.2 / 0.6. Times 0.2 and 0.8, the label is kept at 0.16 / 0.24; SCN would change it at δ2 = 0.1.
#[test]
fn a_label_outweighs_a_small_lead() {
    let row = known(0.2, 2).hypotheses[0].1.noise.posterior(&[0.6, 0.4], 1);
    assert!((row[1] - 0.16 / 0.24).abs() < 1e-12, "{row:?}");
    let (predicted, given, truth) = world(4_000, 3.0, 0.2);
    let posterior = Posterior::of(&predicted, &given, CLASSES);
    let wrong = |labels: &[usize]| labels.iter().zip(&truth).filter(|(a, b)| a != b).count();
    let by_nets: Vec<usize> = predicted
        .chunks(CLASSES)
        .zip(&given)
        .map(|(row, &label)| super::super::scn::relabel(row, label, 0.2).unwrap_or(label))
        .collect();
    let by_both: Vec<usize> = (0..given.len()).map(|sample| most_probable(posterior.row(sample))).collect();
    assert!(wrong(&by_nets) > wrong(&given), "SCN's rule makes a hard set worse");
    assert!(wrong(&by_both) < wrong(&given), "{} of {}", wrong(&by_both), wrong(&given));
}

#[test]
fn no_more_labels_of_a_class_are_broken_than_the_risk_allows() {
    // Less is fixed where the share of wrong labels stays uncertain.
    for (sharpness, noise, least_fixed) in [(6.0, 0.1, 0.4), (5.0, 0.25, 0.17)] {
        let (predicted, given, truth) = world(8_000, sharpness, noise);
        let decided = Posterior::of(&predicted, &given, CLASSES).decide(&given, 0.02);
        for class in 0..CLASSES {
            let right: Vec<usize> =
                (0..given.len()).filter(|&s| given[s] == class && truth[s] == class).collect();
            let broken = right.iter().filter(|&&sample| decided[sample].is_some()).count();
            assert!((broken as f64) < 0.04 * right.len() as f64, "{broken} of {}", right.len());
        }
        let wrong: Vec<usize> = (0..given.len()).filter(|&sample| given[sample] != truth[sample]).collect();
        let fixed = wrong.iter().filter(|&&sample| decided[sample] == Some(truth[sample])).count();
        assert!(fixed as f64 > least_fixed * wrong.len() as f64, "{fixed} of {}", wrong.len());
    }
}

/// Nets trained on films of a few people are confident and mostly wrong on others; few samples must suffice to see
/// it.
#[test]
fn overconfident_nets_that_know_next_to_nothing_break_no_labels() {
    for samples in [60, 600] {
        let (predicted, given, truth) = world(samples, 1.0, 0.2);
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let sharpened = |row: &[f32]| {
            let powers: Vec<f32> =
                row.iter().map(|p| p * (6.0 * rng.random_range(-1.0..1.0_f32)).exp()).collect();
            let sum: f32 = powers.iter().sum();
            powers.into_iter().map(move |power| power / sum)
        };
        let overconfident: Vec<f32> = predicted.chunks(CLASSES).flat_map(sharpened).collect();
        let decided = Posterior::of(&overconfident, &given, CLASSES).decide(&given, 0.02);
        let broken = (0..samples).filter(|&s| given[s] == truth[s] && decided[s].is_some()).count();
        assert!(broken * 50 <= samples, "{broken} of {samples}");
    }
}

#[test]
fn no_samples_and_no_risk_change_nothing() {
    assert!(Posterior::of(&[], &[], CLASSES).decide(&[], 0.02).is_empty());
    let (predicted, given, _) = world(500, 5.0, 0.25);
    let decided = Posterior::of(&predicted, &given, CLASSES).decide(&given, 0.0);
    assert!(decided.iter().all(Option::is_none));
}

//! What changes from epoch to epoch: the learning rate, and whether relabelling has begun. Pure.

use serde::{Deserialize, Serialize};

use super::recipe::RelabelStart;

/// How the learning rate changes; it is constant within an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Schedule {
    /// Never.
    Constant,
    /// Times `factor` after every epoch.
    Exponential {
        /// 0 to 1.
        factor: f64,
    },
    /// Times `factor` after each of these epochs.
    Step {
        /// Epochs after which it drops, one-based.
        at: Vec<u32>,
        /// 0 to 1.
        factor: f64,
    },
    /// Half a cosine from the whole rate down to nearly nothing.
    Cosine,
}

impl Schedule {
    /// The share of the first learning rate that holds in a one-based epoch.
    pub fn factor(&self, epoch: u32, epochs: u32) -> f64 {
        let done = epoch.saturating_sub(1);
        match self {
            Self::Constant => 1.0,
            Self::Exponential { factor } => factor.powi(done.cast_signed()),
            Self::Step { at, factor } => factor
                .powi(i32::try_from(at.iter().filter(|&&drop| done >= drop).count()).unwrap_or(i32::MAX)),
            Self::Cosine => {
                let share = f64::from(done) / f64::from(epochs.max(1));
                0.5 * (1.0 + (std::f64::consts::PI * share).cos())
            }
        }
    }
}

/// Accuracies of one finished epoch, all against labels as they were given.
#[derive(Debug, Clone, Copy)]
pub struct Curve {
    /// On the training samples, as they were seen during the epoch.
    pub train: f64,
    /// On held-out samples after the epoch, if their labels are as noisy as the training labels. In real data they are;
    /// where an experiment held out clean labels, this is [`super::metrics::accuracy_if_noisy`].
    pub held_out: Option<f64>,
}

/// Whether labels may change at the end of the last epoch of `curve` (one entry for each finished epoch).
///
/// The rule for [`RelabelStart::Auto`]: never before the third epoch; then from the first epoch whose training accuracy
/// exceeds every held-out accuracy so far: the net has begun to learn labels by heart. (Every one, not only the last: a
/// net that has not learnt anything yet may exceed a single one by chance.) Where nothing is held out, from a third of
/// all epochs on. Once begun, it stays on. A net that has not learnt yet must not relabel: it would call all faces by
/// the commonest emotion, and believe itself (measured: 20 % wrong labels became 77 %).
pub fn relabels_now(start: RelabelStart, curve: &[Curve], epochs: u32) -> bool {
    match start {
        RelabelStart::Epoch(first) => curve.len() >= first as usize,
        RelabelStart::Auto => (3..=curve.len()).any(|done| begins_at(&curve[..done], epochs)),
    }
}

fn begins_at(curve: &[Curve], epochs: u32) -> bool {
    let Some(last) = curve.last() else { return false };
    let best_held_out = curve.iter().filter_map(|epoch| epoch.held_out).reduce(f64::max);
    best_held_out.map_or(curve.len() * 3 >= epochs as usize, |best| last.train > best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_schedule_drops_after_the_named_epochs() {
        let schedule = Schedule::Step { at: vec![15, 30], factor: 0.1 };
        let rates: Vec<f64> = [1, 15, 16, 30, 31].map(|epoch| schedule.factor(epoch, 40)).to_vec();
        for (rate, expected) in rates.iter().zip([1.0, 1.0, 0.1, 0.1, 0.01]) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
    }

    #[test]
    fn a_cosine_begins_whole_and_never_reaches_zero() {
        assert_eq!(Schedule::Cosine.factor(1, 10), 1.0);
        assert!((Schedule::Cosine.factor(6, 10) - 0.5).abs() < 1e-12);
        assert!(Schedule::Cosine.factor(10, 10) > 0.0);
    }

    fn curve(points: &[(f64, f64)]) -> Vec<Curve> {
        points.iter().map(|&(train, held_out)| Curve { train, held_out: Some(held_out) }).collect()
    }

    #[test]
    fn relabelling_begins_when_the_net_learns_labels_by_heart() {
        let learning = curve(&[(0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.45, 0.55)]);
        assert!(!relabels_now(RelabelStart::Auto, &learning, 100));
        let memorising = curve(&[(0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.6, 0.55)]);
        assert!(relabels_now(RelabelStart::Auto, &memorising, 100));
    }

    #[test]
    fn a_net_that_has_not_learnt_yet_relabels_nothing_however_flat_its_curve() {
        let flat = curve(&[(0.3, 0.4); 12]);
        assert!(!relabels_now(RelabelStart::Auto, &flat, 15));
        // As it was measured once: the held-out accuracy, of 200 faces, falls below the training accuracy by chance.
        let early =
            curve(&[(0.12, 0.14), (0.13, 0.14), (0.14, 0.19), (0.18, 0.17), (0.22, 0.28), (0.23, 0.16)]);
        assert!(!relabels_now(RelabelStart::Auto, &early, 15));
    }

    #[test]
    fn where_nothing_is_held_out_relabelling_begins_after_a_third() {
        let blind = [Curve { train: 0.3, held_out: None }; 5];
        assert!(!relabels_now(RelabelStart::Auto, &blind[..4], 15));
        assert!(relabels_now(RelabelStart::Auto, &blind, 15));
    }

    #[test]
    fn relabelling_never_begins_before_the_third_epoch_and_once_begun_goes_on() {
        assert!(!relabels_now(RelabelStart::Auto, &curve(&[(0.9, 0.3), (0.9, 0.3)]), 100));
        let points = curve(&[(0.9, 0.3), (0.9, 0.3), (0.9, 0.3), (0.1, 0.9), (0.1, 0.95)]);
        assert!(relabels_now(RelabelStart::Auto, &points, 100));
    }

    #[test]
    fn a_fixed_start_is_one_based() {
        let points = curve(&[(0.1, 0.1); 10]);
        assert!(!relabels_now(RelabelStart::Epoch(10), &points[..9], 40));
        assert!(relabels_now(RelabelStart::Epoch(10), &points, 40));
    }
}

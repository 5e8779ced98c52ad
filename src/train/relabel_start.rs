//! When relabelling begins: as soon as the net memorises labels. Pure.

use super::recipe::RelabelStart;

/// Accuracies of one finished epoch, all against labels as they were given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CurvePoint {
    /// On the training samples, as they were seen during the epoch.
    pub(crate) train: f64,
    /// On held-out samples after the epoch, whose labels are as noisy as the training labels. In real data they are;
    /// where an experiment held out clean labels, it is taken from [`super::metrics::confusion_if_noisy`]. With balanced
    /// sampling it is the mean over the classes, as `train` is then.
    pub(crate) held_out: Option<f64>,
    /// The number of held-out samples.
    pub(crate) held_out_samples: u64,
}

/// Whether labels may change at the end of the last epoch of `curve` (one point for each finished epoch).
///
/// The rule for [`RelabelStart::Auto`]: never before the third epoch; then from the first epoch whose training accuracy
/// exceeds every held-out accuracy so far by more than chance, because the net has begun to memorise labels. (Every one,
/// not only the last: a net that has learnt nothing yet may exceed a single one by chance. By chance is two standard
/// deviations, √(p (1 − p) / n), of the best held-out accuracy p of n samples: with 152 of them the accuracies of a net
/// near 0.2 were apart by as much, and relabelling took wrong labels from 20 % to 72 %.) Where nothing is held out, after a third of
/// all epochs. Once begun, relabelling goes on. A net that has not learnt yet must not relabel: it would predict the
/// most common class for every face, and then confirm itself (measured: 20 % wrong labels became 77 %).
pub(crate) fn has_relabelling_begun(start: RelabelStart, curve: &[CurvePoint], epochs: u32) -> bool {
    match start {
        RelabelStart::Epoch(first) => curve.len() >= first as usize,
        RelabelStart::Auto => (3..=curve.len()).any(|done| begins_at_end_of(&curve[..done], epochs)),
    }
}

fn begins_at_end_of(curve: &[CurvePoint], epochs: u32) -> bool {
    let Some(last) = curve.last() else { return false };
    let best_held_out = curve.iter().filter_map(|epoch| epoch.held_out).reduce(f64::max);
    let by_chance = |p: f64| 2.0 * (p * (1.0 - p) / last.held_out_samples.max(1) as f64).sqrt();
    best_held_out.map_or(curve.len() * 3 >= epochs as usize, |best| last.train > best + by_chance(best))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)]) -> Vec<CurvePoint> {
        curve_on(10_000, points)
    }

    fn curve_on(held_out_samples: u64, points: &[(f64, f64)]) -> Vec<CurvePoint> {
        let point = |&(train, held_out): &(f64, f64)| CurvePoint {
            train,
            held_out: Some(held_out),
            held_out_samples,
        };
        points.iter().map(point).collect()
    }

    #[test]
    fn on_few_held_out_samples_relabelling_waits_for_a_clear_lead() {
        // A measured curve: training accuracy exceeded the held-out one on 152 faces in the third epoch.
        let points = [(0.13, 0.145), (0.17, 0.178), (0.215, 0.206)];
        assert!(!has_relabelling_begun(RelabelStart::Auto, &curve_on(152, &points), 10));
        assert!(has_relabelling_begun(RelabelStart::Auto, &curve_on(10_000, &points), 10));
        let clear = [(0.13, 0.145), (0.17, 0.178), (0.35, 0.206)];
        assert!(has_relabelling_begun(RelabelStart::Auto, &curve_on(152, &clear), 10));
    }

    #[test]
    fn relabelling_begins_when_the_net_memorises_labels() {
        let learning = curve(&[(0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.45, 0.55)]);
        assert!(!has_relabelling_begun(RelabelStart::Auto, &learning, 100));
        let memorising = curve(&[(0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.6, 0.55)]);
        assert!(has_relabelling_begun(RelabelStart::Auto, &memorising, 100));
    }

    #[test]
    fn a_net_that_has_not_learnt_yet_relabels_nothing_even_on_a_flat_curve() {
        let flat = curve(&[(0.3, 0.4); 12]);
        assert!(!has_relabelling_begun(RelabelStart::Auto, &flat, 15));
        // A measured curve: the held-out accuracy, on 200 faces, falls below the training accuracy by chance.
        let early =
            curve(&[(0.12, 0.14), (0.13, 0.14), (0.14, 0.19), (0.18, 0.17), (0.22, 0.28), (0.23, 0.16)]);
        assert!(!has_relabelling_begun(RelabelStart::Auto, &early, 15));
    }

    #[test]
    fn with_nothing_held_out_relabelling_begins_after_a_third() {
        let blind = [CurvePoint { train: 0.3, held_out: None, held_out_samples: 0 }; 5];
        assert!(!has_relabelling_begun(RelabelStart::Auto, &blind[..4], 15));
        assert!(has_relabelling_begun(RelabelStart::Auto, &blind, 15));
    }

    #[test]
    fn relabelling_never_begins_before_the_third_epoch_and_once_begun_goes_on() {
        assert!(!has_relabelling_begun(RelabelStart::Auto, &curve(&[(0.9, 0.3), (0.9, 0.3)]), 100));
        let points = curve(&[(0.9, 0.3), (0.9, 0.3), (0.9, 0.3), (0.1, 0.9), (0.1, 0.95)]);
        assert!(has_relabelling_begun(RelabelStart::Auto, &points, 100));
    }

    #[test]
    fn a_fixed_start_is_one_based() {
        let points = curve(&[(0.1, 0.1); 10]);
        assert!(!has_relabelling_begun(RelabelStart::Epoch(10), &points[..9], 40));
        assert!(has_relabelling_begun(RelabelStart::Epoch(10), &points, 40));
    }
}

//! The three modules of the Self-Cure Network (Wang et al., CVPR 2020, arXiv 2002.10392) as pure functions: importance
//! weighting, rank regularisation, relabelling. They know no net, no data set and no loop.
//!
//! Shapes: N samples, C classes; `logits` and probabilities are N×C, `importance` (α, 0 to 1) and `labels` are N.

use tch::{Kind, Reduction, Tensor};

use super::recipe::LossForm;

/// α·z for every sample, in f32: what equation 2 puts into the softmax. N×C.
///
/// Half precision would round α = 0.998 to 1 (the sigmoid of 6 in bf16 is 0.996), so both are widened first.
pub fn weighted_logits(logits: &Tensor, importance: &Tensor) -> Tensor {
    logits.to_kind(Kind::Float) * importance.to_kind(Kind::Float).reshape([-1, 1])
}

/// Equation 2, logit-weighted cross entropy: the mean over the batch of −log softmax(αᵢ·zᵢ) at yᵢ. A scalar.
///
/// `labels` as in [`cross_entropy`]. α scales the logits, not the loss: scaling the loss would be minimal at α = 0.
pub fn weighted_cross_entropy(logits: &Tensor, importance: &Tensor, labels: &Tensor) -> Tensor {
    cross_entropy(&weighted_logits(logits, importance), labels)
}

/// The mean over the batch of −log softmax(zᵢ) at yᵢ, or of −⟨tᵢ, log softmax(zᵢ)⟩. A scalar.
///
/// `labels` are class indices y (i64, N), or shares t of every class (f32, N×C, rows sum to 1).
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.to_kind(Kind::Float).cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, -100, 0.0)
}

/// M = ⌊β·N⌋, the number of samples in the important group.
fn high_count(samples: usize, beta: f64) -> usize {
    // The small summand corrects rounding: 0.29 × 100 is 28.999…
    (((samples as f64) * beta + 1e-9).floor() as usize).min(samples)
}

/// Equation 4: α_H − α_L, the mean importance of the M most important samples minus the mean of all others.
///
/// `None` when either group is empty (a batch of one, β of 0 or 1). The groups never overlap, even when all importances
/// are equal.
fn importance_gap(importance: &Tensor, beta: f64) -> Option<Tensor> {
    let importance = importance.to_kind(Kind::Float).reshape([-1]);
    let samples = importance.size()[0];
    let high = i64::try_from(high_count(usize::try_from(samples).ok()?, beta)).ok()?;
    if high == 0 || high == samples {
        return None;
    }
    let (descending, _) = importance.sort_stable(true, 0, true);
    let high_mean = descending.narrow(0, 0, high).mean(Kind::Float);
    let low_mean = descending.narrow(0, high, samples - high).mean(Kind::Float);
    Some(high_mean - low_mean)
}

/// Equation 3, rank regularisation: max(0, δ1 − (α_H − α_L)). A scalar; 0 where either group is empty.
///
/// `margin_1` (δ1) is a scalar of f32 on the device of `importance`; where δ1 is learnt, it requires a gradient.
pub fn rank_regularisation(importance: &Tensor, beta: f64, margin_1: &Tensor) -> Tensor {
    match importance_gap(importance, beta) {
        Some(gap) => (margin_1 - gap).relu(),
        None => Tensor::zeros([], (Kind::Float, importance.device())),
    }
}

/// Joins the two losses: γ·RR + (1 − γ)·WCE, or their plain sum, as in SCN's public code.
pub fn join_losses(form: LossForm, gamma: f64, rank: &Tensor, cross_entropy: &Tensor) -> Tensor {
    match form {
        LossForm::Gamma => rank * gamma + cross_entropy * (1.0 - gamma),
        LossForm::Sum => rank + cross_entropy,
    }
}

/// Which samples of a batch are in the low-importance group: all but the ⌊β·N⌋ most important. Of equally important
/// samples, earlier ones rank higher.
pub fn low_group(importance: &[f32], beta: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..importance.len()).collect();
    order.sort_by(|&a, &b| importance[b].total_cmp(&importance[a]).then(a.cmp(&b)));
    let mut low = vec![true; importance.len()];
    for &sample in order.iter().take(high_count(importance.len(), beta)) {
        low[sample] = false;
    }
    low
}

/// Equation 5 for one sample: the class with the highest probability if it leads the given one by more than δ2.
///
/// `probabilities` are one row of the softmax (C); `None` keeps the label. NaN never relabels.
pub fn relabel(probabilities: &[f32], given: usize, margin_2: f32) -> Option<usize> {
    if probabilities.iter().any(|p| p.is_nan()) {
        return None;
    }
    let best = argmax(probabilities)?;
    let lead = probabilities[best] - probabilities.get(given)?;
    (lead > margin_2).then_some(best)
}

/// The index of the largest value, the first of equal ones; `None` when empty.
pub fn argmax(values: &[f32]) -> Option<usize> {
    (0..values.len()).reduce(|best, next| if values[next] > values[best] { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}");
    }

    fn number(tensor: &Tensor) -> f64 {
        tensor.double_value(&[])
    }

    /// Rank regularisation with a fixed δ1.
    fn rank(importance: &Tensor, beta: f64, margin_1: f32) -> Tensor {
        rank_regularisation(importance, beta, &Tensor::from(margin_1))
    }

    /// Two samples by hand: α·z = (1, 0.5, 0) and (0, 0.5, 1), labels 0 and 1.
    /// −log softmax: ln(e¹ + e^½ + e⁰) − 1 = 0.680270 and ln(…) − 0.5 = 1.180270; mean 0.930270.
    #[test]
    fn the_weighted_cross_entropy_equals_the_value_worked_by_hand() {
        let logits = Tensor::from_slice2(&[[2.0_f32, 1.0, 0.0], [0.0, 1.0, 2.0]]);
        let importance = Tensor::from_slice(&[0.5_f32, 0.5]);
        let loss = weighted_cross_entropy(&logits, &importance, &Tensor::from_slice(&[0_i64, 1]));
        close(number(&loss), 0.930_270);
    }

    /// α·z = (1, 0.5, 0), and L = ln(e¹ + e^½ + e⁰) = 1.680270:
    /// half of class 0 and half of class 2 cost L − 0.5.
    #[test]
    fn a_label_may_be_shares_of_classes() {
        let logits = Tensor::from_slice2(&[[2.0_f32, 1.0, 0.0]]);
        let importance = Tensor::from_slice(&[0.5_f32]);
        let loss = |labels: &Tensor| number(&weighted_cross_entropy(&logits, &importance, labels));
        close(loss(&Tensor::from_slice2(&[[0.5_f32, 0.0, 0.5]])), 1.180_270);
        close(loss(&Tensor::from_slice2(&[[1.0_f32, 0.0, 0.0]])), loss(&Tensor::from_slice(&[0_i64])));
    }

    /// Equation 2 by hand: dL/dα = Σ (p − y)·z at α = 0.5 and z = (3, 0, 0): −0.93 if the label agrees, +2.07 if not.
    #[test]
    fn disagreement_pushes_importance_down_and_agreement_pushes_it_up() {
        for (label, expected) in [(0_i64, -0.925_685), (1, 2.074_315)] {
            let importance = Tensor::from_slice(&[0.5_f32]).set_requires_grad(true);
            let logits = Tensor::from_slice2(&[[3.0_f32, 0.0, 0.0]]);
            weighted_cross_entropy(&logits, &importance, &Tensor::from_slice(&[label])).backward();
            let slope = importance.grad().double_value(&[0]);
            assert!((slope - expected).abs() < 1e-5, "{slope}");
        }
    }

    #[test]
    fn rank_regularisation_is_the_missing_part_of_the_margin() {
        // 7 high (mean 0.8) and 3 low (mean 0.7): the gap is 0.1.
        let importance = Tensor::from_slice(&[0.8_f32, 0.7, 0.8, 0.8, 0.7, 0.8, 0.8, 0.7, 0.8, 0.8]);
        close(number(&rank(&importance, 0.7, 0.15)), 0.05);
        close(number(&rank(&importance, 0.7, 0.07)), 0.0);
    }

    /// In SCN's public code a last batch of one sample costs the whole margin.
    #[test]
    fn a_batch_of_one_or_an_empty_group_costs_nothing() {
        let one = Tensor::from_slice(&[0.9_f32]);
        close(number(&rank(&one, 0.7, 0.15)), 0.0);
        let four = Tensor::from_slice(&[0.1_f32, 0.2, 0.3, 0.4]);
        for beta in [0.0, 1.0] {
            close(number(&rank(&four, beta, 0.15)), 0.0);
        }
    }

    /// With equal importances, the top k of the largest and of the smallest would be the same samples.
    #[test]
    fn equal_importances_still_make_two_disjoint_groups() {
        let low = low_group(&[0.5; 10], 0.7);
        assert_eq!(low.iter().filter(|&&is_low| is_low).count(), 3);
        let importance = Tensor::from_slice(&[0.5_f32; 10]).set_requires_grad(true);
        rank(&importance, 0.7, 0.15).backward();
        let slopes = Vec::<f32>::try_from(importance.grad()).unwrap();
        assert_eq!(slopes.iter().filter(|slope| **slope < 0.0).count(), 7);
        assert_eq!(slopes.iter().filter(|slope| **slope > 0.0).count(), 3);
    }

    /// In bf16 these two importances would be equal.
    #[test]
    fn importance_is_ranked_in_full_precision() {
        let importance = Tensor::from_slice(&[0.999_f32, 0.997]);
        let logits = Tensor::from_slice2(&[[5.0_f32, 0.0], [5.0, 0.0]]).to_kind(Kind::BFloat16);
        let weighted = weighted_logits(&logits, &importance);
        assert_eq!(weighted.kind(), Kind::Float);
        assert!(weighted.double_value(&[0, 0]) > weighted.double_value(&[1, 0]));
        close(number(&rank(&importance, 0.5, 0.15)), 0.148);
    }

    #[test]
    fn a_learnt_margin_gets_a_gradient_only_while_it_binds() {
        let importance = Tensor::from_slice(&[0.9_f32, 0.8]);
        for (margin, expected) in [(0.15_f32, 1.0), (0.05, 0.0)] {
            let margin = Tensor::from(margin).set_requires_grad(true);
            rank_regularisation(&importance, 0.5, &margin).backward();
            close(number(&margin.grad()), expected);
        }
    }

    #[test]
    fn the_two_loss_forms_differ_by_a_factor_of_two_at_gamma_one_half() {
        let (rank, cross_entropy) = (Tensor::from(0.2_f32), Tensor::from(1.0_f32));
        close(number(&join_losses(LossForm::Sum, 0.5, &rank, &cross_entropy)), 1.2);
        close(number(&join_losses(LossForm::Gamma, 0.5, &rank, &cross_entropy)), 0.6);
        close(number(&join_losses(LossForm::Gamma, 0.2, &rank, &cross_entropy)), 0.84);
    }

    #[test]
    fn a_label_changes_only_when_the_lead_exceeds_the_margin() {
        assert_eq!(relabel(&[0.6, 0.3, 0.1], 1, 0.2), Some(0));
        assert_eq!(relabel(&[0.5, 0.25, 0.25], 1, 0.25), None, "a lead equal to the margin is not above it");
        assert_eq!(relabel(&[0.6, 0.3, 0.1], 0, 0.0), None, "a label is never changed to itself");
        assert_eq!(relabel(&[f32::NAN, 0.3, 0.1], 1, 0.2), None);
        assert_eq!(relabel(&[0.3, f32::NAN, 0.9], 0, 0.2), None);
        assert_eq!(relabel(&[0.4, 0.4, 0.2], 2, 0.1), Some(0), "of equal classes the first");
    }

    #[test]
    fn the_low_group_is_all_but_the_most_important() {
        assert_eq!(low_group(&[0.9, 0.1, 0.8, 0.7], 0.5), [false, true, false, true]);
        assert_eq!(low_group(&[0.9, 0.1], 0.0), [true, true]);
        assert_eq!(low_group(&[0.9, 0.1], 1.0), [false, false]);
        assert_eq!(high_count(100, 0.29), 29);
        assert_eq!(high_count(10, 0.75), 7);
    }
}

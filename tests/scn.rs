//! The three modules of SCN, called from outside the crate. What they compute is tested beside them.

use tch::Tensor;
use webemotion::train::recipe::LossForm;
use webemotion::train::scn;

#[test]
fn the_three_modules_can_be_called_from_outside_the_crate() {
    let logits = Tensor::from_slice2(&[[2.0_f32, 1.0, 0.0], [0.0, 1.0, 2.0]]);
    let importance = Tensor::from_slice(&[0.9_f32, 0.8]);
    let cross_entropy = scn::weighted_cross_entropy(&logits, &importance, &Tensor::from_slice(&[0_i64, 2]));
    let rank = scn::rank_regularisation(&importance, 0.5, &Tensor::from(0.15_f32));
    let loss = scn::join_losses(LossForm::Sum, 0.5, &rank, &cross_entropy);
    let expected = cross_entropy.double_value(&[]) + 0.05;
    assert!((loss.double_value(&[]) - expected).abs() < 1e-6);
    assert_eq!(scn::relabel(&[0.7, 0.2, 0.1], 1, 0.2), Some(0));
    assert_eq!(scn::low_group(&[0.9, 0.8], 0.5), [false, true]);
}

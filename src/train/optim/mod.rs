//! SGD with momentum and Adam as PyTorch defines them, with state that can be saved. It knows no net.
//!
//! ```text
//! rule       the coefficients of one step
//! cpu        one pass over the memory; as tensor operations it would take five, a tenth of a step's time at 48 px
//! flat       a GPU: a dozen tensor operations on all params at once
//! ```

mod cpu;
mod flat;
mod rule;

use tch::{Device, Kind, Tensor, no_grad};

use super::recipe::{OptimizerKind, OptimizerRecipe};
use flat::FlatParams;
use rule::Rule;

/// An update rule with its moments, one set for each trained tensor, in the tensors' order.
pub(crate) struct Optimizer {
    recipe: OptimizerRecipe,
    /// Steps taken so far.
    pub(crate) steps: i32,
    /// SGD: the velocity. Adam: running means of the gradient and of its square.
    pub(crate) moments: Vec<Vec<Tensor>>,
    /// Made at the first step on a GPU.
    flat: Option<FlatParams>,
}

impl Optimizer {
    /// An optimizer before its first step; all moments are zero.
    pub(crate) fn new(recipe: OptimizerRecipe, params: &[Tensor]) -> Self {
        let count = match recipe.kind {
            OptimizerKind::Sgd => 1,
            OptimizerKind::Adam => 2,
        };
        let zeros = |param: &Tensor| no_grad(|| (0..count).map(|_| param.zeros_like()).collect());
        Self { recipe, steps: 0, moments: params.iter().map(zeros).collect(), flat: None }
    }

    /// Updates `params` with their gradients, in place. A param whose gradient is undefined (a head that the loss does
    /// not use) keeps its value and its moments.
    pub(crate) fn step(&mut self, params: &[Tensor], grads: &[Tensor], lr: f64) {
        self.steps += 1;
        let rule = Rule::of(self.recipe, self.steps, lr);
        let on_cpu = params.iter().all(|param| param.device() == Device::Cpu && param.kind() == Kind::Float);
        no_grad(|| {
            if on_cpu {
                self.step_on_cpu(rule, params, grads);
            } else {
                self.step_flat(rule, params, grads);
            }
        });
    }

    fn step_on_cpu(&self, rule: Rule, params: &[Tensor], grads: &[Tensor]) {
        let all = params.iter().zip(grads).zip(&self.moments).filter(|((_, grad), _)| grad.defined());
        cpu::step(rule, all.map(|((param, grad), moments)| (param, grad, moments.as_slice())));
    }

    fn step_flat(&mut self, rule: Rule, params: &[Tensor], grads: &[Tensor]) {
        let indices: Vec<usize> = (0..grads.len()).filter(|&index| grads[index].defined()).collect();
        let flat = match self.flat.take() {
            Some(flat) if flat.indices == indices => flat,
            _ => FlatParams::of(params, &self.moments, indices),
        };
        self.flat.insert(flat).step(rule, params, grads);
    }
}

/// The tensor in the memory layout of another one of its shape; a copy only where the layouts differ.
fn laid_out_as(tensor: &Tensor, other: &Tensor) -> Tensor {
    if tensor.stride() == other.stride() {
        return tensor.shallow_clone();
    }
    let mut copy = other.empty_like();
    copy.copy_(tensor);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A param of 1 after each of three steps with learning rate 0.1 and gradients 0.5, −0.2 and 0.1.
    fn run(kind: OptimizerKind, weight_decay: f64) -> Vec<f64> {
        let recipe = OptimizerRecipe { kind, lr: 0.1, momentum: 0.9, weight_decay };
        let params = vec![Tensor::from_slice(&[1.0_f32])];
        let mut optimizer = Optimizer::new(recipe, &params);
        [0.5_f32, -0.2, 0.1]
            .iter()
            .map(|&grad| {
                optimizer.step(&params, &[Tensor::from_slice(&[grad])], 0.1);
                params[0].double_value(&[0])
            })
            .collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}, not {expected:?}");
    }

    /// v = 0.5, 0.25, 0.325: 1 − 0.05 − 0.025 − 0.0325.
    #[test]
    fn sgd_takes_the_steps_worked_by_hand() {
        close(&run(OptimizerKind::Sgd, 0.0), &[0.95, 0.925, 0.8925]);
    }

    /// Adam's first step is the learning rate, whatever the gradient; the second: m̂ = 0.13158, v̂ = 0.144982.
    #[test]
    fn adam_takes_the_steps_worked_by_hand() {
        close(&run(OptimizerKind::Adam, 0.0)[..2], &[0.9, 0.865_44]);
    }

    #[test]
    fn weight_decay_is_added_to_the_gradient() {
        close(&run(OptimizerKind::Sgd, 0.1)[..1], &[1.0 - 0.1 * (0.5 + 0.1)]);
    }

    /// Double-precision params take the path of a GPU.
    #[test]
    fn cpu_and_gpu_updates_agree_whatever_the_memory_layout_of_the_gradient() {
        for kind in [OptimizerKind::Sgd, OptimizerKind::Adam] {
            let recipe = OptimizerRecipe { kind, lr: 0.01, momentum: 0.9, weight_decay: 1e-2 };
            let shape = [40, 30, 3, 3];
            let noise = || Tensor::randn(shape, (Kind::Float, Device::Cpu));
            let one = crate::train::params::channels_last(&noise());
            let other = one.to_kind(Kind::Double);
            let (mut cpu, mut flat) = (
                Optimizer::new(recipe, std::slice::from_ref(&one)),
                Optimizer::new(recipe, std::slice::from_ref(&other)),
            );
            for _ in 0..3 {
                // Adam divides by the size of a gradient: near zero it would amplify differences of rounding.
                let grad = noise().abs() + 0.1;
                cpu.step(std::slice::from_ref(&one), std::slice::from_ref(&grad), 0.01);
                flat.step(std::slice::from_ref(&other), &[grad.to_kind(Kind::Double)], 0.01);
            }
            let apart = (one.to_kind(Kind::Double) - other).abs().max().double_value(&[]);
            assert!(apart < 1e-6, "{kind:?}: {apart}");
        }
    }
}

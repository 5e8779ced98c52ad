//! SGD with momentum and Adam as PyTorch defines them, with state that can be saved. It knows no net.
//!
//! On a CPU one pass over the memory does the whole update ([`super::update`]): written as tensor operations it takes
//! five passes and a tenth of a step's time at 48 px. On a GPU the tensors lie in one row ([`super::gathered`]), which a
//! dozen operations update.

use tch::{Device, Kind, Tensor, no_grad};

use super::gathered::Gathered;
use super::recipe::{OptimizerKind, OptimizerRecipe};
use super::update::{self, BETA_1, BETA_2, EPSILON, Rule};

/// An update rule with its memory: one set of moments for each trained tensor, in the params' order.
pub(crate) struct Optimizer {
    recipe: OptimizerRecipe,
    /// Steps taken so far.
    pub(crate) steps: i32,
    /// SGD: the velocity. Adam: running means of the gradient and of its square.
    pub(crate) moments: Vec<Vec<Tensor>>,
    /// Made at the first step on a GPU.
    gathered: Option<Gathered>,
}

impl Optimizer {
    /// A rule without memory yet.
    pub(crate) fn new(recipe: OptimizerRecipe, params: &[Tensor]) -> Self {
        let count = match recipe.kind {
            OptimizerKind::Sgd => 1,
            OptimizerKind::Adam => 2,
        };
        let zeros = |param: &Tensor| no_grad(|| (0..count).map(|_| param.zeros_like()).collect());
        Self { recipe, steps: 0, moments: params.iter().map(zeros).collect(), gathered: None }
    }

    /// Moves `params` by one step against `grads`; an undefined gradient (a head that no loss uses) moves nothing.
    pub(crate) fn step(&mut self, params: &[Tensor], grads: &[Tensor], lr: f64) {
        self.steps += 1;
        let on_host = params.iter().all(|param| param.device() == Device::Cpu && param.kind() == Kind::Float);
        no_grad(|| {
            if on_host { self.step_on_host(params, grads, lr) } else { self.step_gathered(params, grads, lr) }
        });
    }

    fn step_on_host(&self, params: &[Tensor], grads: &[Tensor], lr: f64) {
        let all = params.iter().zip(grads).zip(&self.moments).filter(|((_, grad), _)| grad.defined());
        let all = all.map(|((param, grad), moments)| (param, grad, moments.as_slice()));
        update::on_host(Rule::of(self.recipe, self.steps, lr), all);
    }

    fn step_gathered(&mut self, params: &[Tensor], grads: &[Tensor], lr: f64) {
        let places: Vec<usize> = (0..grads.len()).filter(|&at| grads[at].defined()).collect();
        let gathered = match self.gathered.take() {
            Some(gathered) if gathered.places == places => gathered,
            _ => Gathered::of(params, &self.moments, places),
        };
        let gathered = self.gathered.insert(gathered);
        let mut grad = gathered.row(params, grads);
        let Gathered { params: row, moments, .. } = gathered;
        let decay = self.recipe.weight_decay;
        if decay > 0.0 {
            let _ = grad.g_add_(&(&*row * decay));
        }
        match self.recipe.kind {
            OptimizerKind::Sgd => {
                sgd(row, &grad, &mut moments[0], (self.recipe.momentum, lr, self.steps == 1))
            }
            OptimizerKind::Adam => adam(row, &grad, moments, (self.steps, lr)),
        }
    }
}

fn sgd(param: &mut Tensor, grad: &Tensor, velocity: &mut Tensor, (momentum, lr, first): (f64, f64, bool)) {
    if first {
        velocity.copy_(grad);
    } else {
        let _ = velocity.g_mul_scalar_(momentum);
        let _ = velocity.g_add_(grad);
    }
    let _ = param.g_sub_(&(&*velocity * lr));
}

fn adam(param: &mut Tensor, grad: &Tensor, moments: &mut [Tensor], (steps, lr): (i32, f64)) {
    let [mean, square] = moments else { return };
    let _ = mean.lerp_(grad, 1.0 - BETA_1);
    let _ = square.lerp_(&grad.square(), 1.0 - BETA_2);
    let root = (1.0 - BETA_2.powi(steps)).sqrt();
    let mut divisor = square.sqrt();
    let _ = divisor.g_add_scalar_(EPSILON * root);
    let _ = param.addcdiv_(&(&*mean * (-lr * root / (1.0 - BETA_1.powi(steps)))), &divisor);
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn sgd_follows_its_velocity() {
        close(&run(OptimizerKind::Sgd, 0.0), &[0.95, 0.925, 0.8925]);
    }

    /// Adam's first step is the learning rate, whatever the gradient; the second: m̂ = 0.13158, v̂ = 0.144982.
    #[test]
    fn adam_takes_the_steps_worked_by_hand() {
        close(&run(OptimizerKind::Adam, 0.0)[..2], &[0.9, 0.865_44]);
    }

    #[test]
    fn decay_is_added_to_the_gradient() {
        close(&run(OptimizerKind::Sgd, 0.1)[..1], &[1.0 - 0.1 * (0.5 + 0.1)]);
    }

    /// The one pass over memory and the tensor operations of a GPU are the same rule.
    #[test]
    fn both_ways_to_update_agree_whatever_the_memory_layout_of_the_gradient() {
        for kind in [OptimizerKind::Sgd, OptimizerKind::Adam] {
            let recipe = OptimizerRecipe { kind, lr: 0.01, momentum: 0.9, weight_decay: 1e-2 };
            let shape = [40, 30, 3, 3];
            let noise = || Tensor::randn(shape, (Kind::Float, Device::Cpu));
            let one = crate::train::params::channels_last(&noise());
            let other = one.to_kind(Kind::Double);
            let (mut host, mut tensors) = (
                Optimizer::new(recipe, std::slice::from_ref(&one)),
                Optimizer::new(recipe, std::slice::from_ref(&other)),
            );
            for _ in 0..3 {
                // Adam divides by the size of a gradient: one near zero tells rounding apart, not the two ways.
                let grad = noise().abs() + 0.1;
                host.step(std::slice::from_ref(&one), std::slice::from_ref(&grad), 0.01);
                tensors.step(std::slice::from_ref(&other), &[grad.to_kind(Kind::Double)], 0.01);
            }
            let apart = (one.to_kind(Kind::Double) - other).abs().max().double_value(&[]);
            assert!(apart < 1e-6, "{kind:?}: {apart}");
        }
    }
}

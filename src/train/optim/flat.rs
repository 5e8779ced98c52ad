//! The update rules on a GPU: all params lie in one flat tensor, so that each operation of a rule is one kernel instead
//! of one for each of some sixty tensors.

use tch::{Kind, Tensor};

use super::laid_out_as;
use super::rule::{BETA_1, BETA_2, Rule};

/// Params with their moments, each moved into one flat tensor.
pub(super) struct FlatParams {
    /// Which of the optimizer's params it holds, by index.
    pub(super) indices: Vec<usize>,
    /// The values of these params, one after the other, each param's in the order of its memory.
    params: Tensor,
    /// Each kind of moment (velocity; mean and square) in the same order.
    moments: Vec<Tensor>,
}

impl FlatParams {
    /// Moves the params at `indices`, and their moments (one list for each param), into flat tensors. All handles of
    /// these tensors keep their shape and layout; they become views of the flat ones.
    pub(super) fn of(params: &[Tensor], moments: &[Vec<Tensor>], indices: Vec<usize>) -> Self {
        let flatten = |tensor_at: &dyn Fn(usize) -> Tensor| {
            move_into_one(&indices.iter().map(|&index| tensor_at(index)).collect::<Vec<_>>())
        };
        let kinds = moments.first().map_or(0, Vec::len);
        let params = flatten(&|index| params[index].shallow_clone());
        let moments = (0..kinds).map(|kind| flatten(&|index| moments[index][kind].shallow_clone())).collect();
        Self { params, moments, indices }
    }

    /// Updates the params that it holds; `params` and `grads` are those of the whole optimizer.
    pub(super) fn step(&mut self, rule: Rule, params: &[Tensor], grads: &[Tensor]) {
        let mut grad = self.flat_grads(params, grads);
        let decay = f64::from(rule.decay());
        if decay > 0.0 {
            let _ = grad.g_add_(&(&self.params * decay));
        }
        match (rule, self.moments.as_mut_slice()) {
            (Rule::Sgd { lr, momentum, .. }, [velocity]) => {
                let _ = velocity.g_mul_scalar_(f64::from(momentum));
                let _ = velocity.g_add_(&grad);
                let _ = self.params.g_sub_(&(&*velocity * f64::from(lr)));
            }
            (Rule::Adam { rate, epsilon, .. }, [mean, square]) => {
                let _ = mean.lerp_(&grad, 1.0 - BETA_1);
                let _ = square.lerp_(&grad.square(), 1.0 - BETA_2);
                let mut divisor = square.sqrt();
                let _ = divisor.g_add_scalar_(f64::from(epsilon));
                let _ = self.params.addcdiv_(&(&*mean * f64::from(-rate)), &divisor);
            }
            _ => {}
        }
    }

    /// The gradients of the params that it holds, in their order and memory layout.
    fn flat_grads(&self, params: &[Tensor], grads: &[Tensor]) -> Tensor {
        let flat = |&index: &usize| {
            let grad = laid_out_as(&grads[index], &params[index]);
            grad.as_strided([grad.numel() as i64], [1], None)
        };
        Tensor::cat(&self.indices.iter().map(flat).collect::<Vec<_>>(), 0)
    }
}

/// Moves the data of dense tensors into one flat tensor, which it returns.
fn move_into_one(tensors: &[Tensor]) -> Tensor {
    let count: usize = tensors.iter().map(Tensor::numel).sum();
    let (kind, device) =
        tensors.first().map_or((Kind::Float, tch::Device::Cpu), |one| (one.kind(), one.device()));
    let flat = Tensor::empty([count as i64], (kind, device));
    let mut offset = 0;
    for tensor in tensors {
        let mut view = flat.as_strided(tensor.size(), tensor.stride(), offset);
        view.copy_(tensor);
        tensor.shallow_clone().set_data(&view);
        offset += tensor.numel() as i64;
    }
    flat
}

#[cfg(test)]
mod tests {
    use tch::{Device, no_grad};

    use super::*;
    use crate::train::params::channels_last;

    #[test]
    fn a_handle_keeps_its_shape_and_layout_and_sees_changes_of_the_flat_tensor() {
        let plain = Tensor::from_slice(&[1.0_f32, 2.0]).set_requires_grad(true);
        let layered = channels_last(&Tensor::arange(24, (Kind::Float, Device::Cpu)).reshape([1, 2, 3, 4]));
        let (shape, stride) = (layered.size(), layered.stride());
        let other = layered.shallow_clone();
        let flat = no_grad(|| {
            FlatParams::of(
                &[plain.shallow_clone(), layered],
                &[vec![plain.zeros_like()], vec![other.zeros_like()]],
                vec![0, 1],
            )
        });
        assert_eq!((other.size(), other.stride()), (shape, stride));
        let _ = flat.params.shallow_clone().g_add_scalar_(1.0);
        assert_eq!(other.double_value(&[0, 1, 2, 3]), 24.0);
        assert_eq!((plain.double_value(&[1]), plain.requires_grad()), (3.0, true));
        let grads = [plain.detach(), other.detach()];
        let flat_grads = flat.flat_grads(&[plain.shallow_clone(), other.shallow_clone()], &grads);
        assert!(flat_grads.equal(&flat.params), "gradients are in the order of the params");
    }
}

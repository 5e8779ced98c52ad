//! Many tensors in one stretch of memory: a GPU updates them all with one kernel an operation, where sixty tensors would
//! take sixty. It knows no rule.

use tch::{Kind, Tensor};

use super::update::laid_out_as;

/// Params with their moments, as one row of numbers each.
pub(super) struct Gathered {
    /// Which of the optimizer's params are in it.
    pub(super) places: Vec<usize>,
    /// Their numbers, one after the other, each param's in the order of its memory.
    pub(super) params: Tensor,
    /// The same of every kind of moment.
    pub(super) moments: Vec<Tensor>,
}

impl Gathered {
    /// Moves the params at `places` and their moments (one list for each param) into rows. Every handle of them keeps
    /// its shape and layout, and sees what happens to the rows.
    pub(super) fn of(params: &[Tensor], moments: &[Vec<Tensor>], places: Vec<usize>) -> Self {
        let at_places =
            |of: &dyn Fn(usize) -> Tensor| gather(&places.iter().map(|&at| of(at)).collect::<Vec<_>>());
        let kinds = moments.first().map_or(0, Vec::len);
        let gathered = at_places(&|at| params[at].shallow_clone());
        let moments = (0..kinds).map(|kind| at_places(&|at| moments[at][kind].shallow_clone())).collect();
        Self { params: gathered, moments, places }
    }

    /// Gradients of all params as one row; those of other places are left out.
    pub(super) fn row(&self, params: &[Tensor], grads: &[Tensor]) -> Tensor {
        let flat = |&at: &usize| {
            let grad = laid_out_as(&grads[at], &params[at]);
            grad.as_strided([grad.numel() as i64], [1], None)
        };
        Tensor::cat(&self.places.iter().map(flat).collect::<Vec<_>>(), 0)
    }
}

/// Moves dense tensors into one row.
fn gather(tensors: &[Tensor]) -> Tensor {
    let count: usize = tensors.iter().map(Tensor::numel).sum();
    let (kind, device) =
        tensors.first().map_or((Kind::Float, tch::Device::Cpu), |one| (one.kind(), one.device()));
    let row = Tensor::empty([count as i64], (kind, device));
    let mut at = 0;
    for tensor in tensors {
        let mut place = row.as_strided(tensor.size(), tensor.stride(), at);
        place.copy_(tensor);
        tensor.shallow_clone().set_data(&place);
        at += tensor.numel() as i64;
    }
    row
}

#[cfg(test)]
mod tests {
    use tch::{Device, no_grad};

    use super::*;
    use crate::train::params::channels_last;

    #[test]
    fn a_handle_keeps_its_shape_and_layout_and_sees_the_row() {
        let plain = Tensor::from_slice(&[1.0_f32, 2.0]).set_requires_grad(true);
        let layered = channels_last(&Tensor::arange(24, (Kind::Float, Device::Cpu)).reshape([1, 2, 3, 4]));
        let (shape, stride) = (layered.size(), layered.stride());
        let other = layered.shallow_clone();
        let gathered = no_grad(|| {
            Gathered::of(
                &[plain.shallow_clone(), layered],
                &[vec![plain.zeros_like()], vec![other.zeros_like()]],
                vec![0, 1],
            )
        });
        assert_eq!((other.size(), other.stride()), (shape, stride));
        let _ = gathered.params.shallow_clone().g_add_scalar_(1.0);
        assert_eq!(other.double_value(&[0, 1, 2, 3]), 24.0);
        assert_eq!((plain.double_value(&[1]), plain.requires_grad()), (3.0, true));
        let row =
            gathered.row(&[plain.shallow_clone(), other.shallow_clone()], &[plain.detach(), other.detach()]);
        assert!(row.equal(&gathered.params), "the row of grads is in the order of the params");
    }
}

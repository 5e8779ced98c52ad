//! The update rules as one pass over plain memory, on all of libtorch's threads. Pure but for the memory it is handed.

use std::thread;

use tch::Tensor;

use super::host::memory;
use super::recipe::{OptimizerKind, OptimizerRecipe};

pub(super) const BETA_1: f64 = 0.9;
pub(super) const BETA_2: f64 = 0.999;
pub(super) const EPSILON: f64 = 1e-8;
/// Numbers that one thread updates at a time.
const PIECE: usize = 1 << 16;

/// One step's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// v ← momentum·v + g, p ← p − lr·v; the first v is g.
    Sgd { lr: f32, momentum: f32, decay: f32 },
    /// Kingma and Ba 2015, algorithm 1 with the order of section 2: p ← p − rate·m / (√v + epsilon).
    Adam { rate: f32, epsilon: f32, decay: f32 },
}

impl Rule {
    /// The rule of a one-based step.
    pub(super) fn of(recipe: OptimizerRecipe, step: i32, lr: f64) -> Self {
        let decay = recipe.weight_decay as f32;
        match recipe.kind {
            // A velocity that begins at 0 makes the first one g.
            OptimizerKind::Sgd => Self::Sgd { lr: lr as f32, momentum: recipe.momentum as f32, decay },
            OptimizerKind::Adam => {
                let root = (1.0 - BETA_2.powi(step)).sqrt();
                let rate = (lr * root / (1.0 - BETA_1.powi(step))) as f32;
                Self::Adam { rate, epsilon: (EPSILON * root) as f32, decay }
            }
        }
    }

    fn apply(self, piece: &mut Piece<'_>) {
        let numbers = piece.param.iter_mut().zip(piece.grad);
        match (self, piece.moments.as_mut_slice()) {
            (Self::Sgd { lr, momentum, decay }, [velocity]) => {
                for ((param, grad), velocity) in numbers.zip(velocity.iter_mut()) {
                    *velocity = *velocity * momentum + (grad + *param * decay);
                    *param -= lr * *velocity;
                }
            }
            (Self::Adam { rate, epsilon, decay }, [mean, square]) => {
                let (keep_1, keep_2) = (BETA_1 as f32, BETA_2 as f32);
                for (((param, grad), mean), square) in numbers.zip(mean.iter_mut()).zip(square.iter_mut()) {
                    let grad = grad + *param * decay;
                    *mean = *mean * keep_1 + grad * (1.0 - keep_1);
                    *square = *square * keep_2 + grad * grad * (1.0 - keep_2);
                    *param -= rate * *mean / (square.sqrt() + epsilon);
                }
            }
            _ => {}
        }
    }
}

/// A stretch of one tensor's memory with what belongs to it.
struct Piece<'a> {
    param: &'a mut [f32],
    grad: &'a [f32],
    moments: Vec<&'a mut [f32]>,
}

/// Updates f32 tensors on the CPU: each param with its gradient and its moments, which have the param's layout.
/// The result does not depend on the number of threads.
pub(super) fn on_host<'t>(rule: Rule, all: impl Iterator<Item = (&'t Tensor, &'t Tensor, &'t [Tensor])>) {
    let aligned: Vec<(&Tensor, Tensor, &[Tensor])> =
        all.map(|(param, grad, moments)| (param, laid_out_as(grad, param), moments)).collect();
    let mut pieces = Vec::new();
    for (param, grad, moments) in &aligned {
        // SAFETY: params and moments are dense f32 tensors in CPU memory of their own, which nobody else reads or
        // writes while the optimizer has them; the gradient has the param's layout. All live until `aligned` is dropped.
        let (mut param, mut grad, mut moments) = unsafe {
            let moments: Vec<&mut [f32]> = moments.iter().map(|moment| memory(moment)).collect();
            (memory(param), &*memory(grad), moments)
        };
        while !param.is_empty() {
            let length = param.len().min(PIECE);
            let (now, later) = param.split_at_mut(length);
            let (grad_now, grad_later) = grad.split_at(length);
            let (moments_now, moments_later) =
                moments.into_iter().map(|moment| moment.split_at_mut(length)).unzip();
            pieces.push(Piece { param: now, grad: grad_now, moments: moments_now });
            (param, grad, moments) = (later, grad_later, moments_later);
        }
    }
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
    let share = pieces.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        for part in pieces.chunks_mut(share) {
            scope.spawn(move || part.iter_mut().for_each(|piece| rule.apply(piece)));
        }
    });
}

/// The tensor's numbers in the memory order of another of its shape.
pub(super) fn laid_out_as(tensor: &Tensor, other: &Tensor) -> Tensor {
    if tensor.stride() == other.stride() {
        return tensor.shallow_clone();
    }
    let mut copy = other.empty_like();
    copy.copy_(tensor);
    copy
}

//! The update rules on a CPU: one pass over the memory of all tensors, on as many threads as libtorch uses.

use std::thread;

use tch::Tensor;

use super::super::host::slice_of;
use super::laid_out_as;
use super::rule::{BETA_1, BETA_2, Rule};

/// Numbers that one thread updates at a time.
const CHUNK: usize = 1 << 16;

/// A stretch of one param's memory, and the same stretch of its gradient and moments.
struct Chunk<'a> {
    param: &'a mut [f32],
    grad: &'a [f32],
    moments: Vec<&'a mut [f32]>,
}

impl Chunk<'_> {
    fn update(&mut self, rule: Rule) {
        let numbers = self.param.iter_mut().zip(self.grad);
        match (rule, self.moments.as_mut_slice()) {
            (Rule::Sgd { lr, momentum, decay }, [velocity]) => {
                for ((param, grad), velocity) in numbers.zip(velocity.iter_mut()) {
                    *velocity = *velocity * momentum + (grad + *param * decay);
                    *param -= lr * *velocity;
                }
            }
            (Rule::Adam { rate, epsilon, decay }, [mean, square]) => {
                let (beta_1, beta_2) = (BETA_1 as f32, BETA_2 as f32);
                for (((param, grad), mean), square) in numbers.zip(mean.iter_mut()).zip(square.iter_mut()) {
                    let grad = grad + *param * decay;
                    *mean = *mean * beta_1 + grad * (1.0 - beta_1);
                    *square = *square * beta_2 + grad * grad * (1.0 - beta_2);
                    *param -= rate * *mean / (square.sqrt() + epsilon);
                }
            }
            _ => {}
        }
    }
}

/// Updates f32 tensors on the CPU: each param with its gradient and its moments, which have the param's memory layout.
/// The result does not depend on the number of threads.
pub(super) fn step<'t>(rule: Rule, all: impl Iterator<Item = (&'t Tensor, &'t Tensor, &'t [Tensor])>) {
    let aligned: Vec<(&Tensor, Tensor, &[Tensor])> =
        all.map(|(param, grad, moments)| (param, laid_out_as(grad, param), moments)).collect();
    let mut chunks = Vec::new();
    for (param, grad, moments) in &aligned {
        // SAFETY: params and moments are dense f32 tensors on the CPU that share no memory, and nothing else accesses
        // them during a step; the gradient is dense too, because it has the param's layout, and is only read.
        let (mut param, mut grad, mut moments) = unsafe {
            let moments: Vec<&mut [f32]> = moments.iter().map(|moment| slice_of(moment)).collect();
            (slice_of(param), &*slice_of(grad), moments)
        };
        while !param.is_empty() {
            let length = param.len().min(CHUNK);
            let (now, later) = param.split_at_mut(length);
            let (grad_now, grad_later) = grad.split_at(length);
            let (moments_now, moments_later) =
                moments.into_iter().map(|moment| moment.split_at_mut(length)).unzip();
            chunks.push(Chunk { param: now, grad: grad_now, moments: moments_now });
            (param, grad, moments) = (later, grad_later, moments_later);
        }
    }
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
    let share = chunks.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        for chunks in chunks.chunks_mut(share) {
            scope.spawn(move || chunks.iter_mut().for_each(|chunk| chunk.update(rule)));
        }
    });
}

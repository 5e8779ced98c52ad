//! The coefficients of one optimizer step, computed once for the CPU and the GPU.

use super::super::recipe::{OptimizerKind, OptimizerRecipe};

/// Decay rate of Adam's running mean of gradients.
pub(super) const BETA_1: f64 = 0.9;
/// Decay rate of Adam's running mean of squared gradients.
pub(super) const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// An update rule with its coefficients for one step; g is the gradient plus `decay`·p.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// v ← momentum·v + g, p ← p − lr·v, with v = 0 before the first step.
    Sgd { lr: f32, momentum: f32, decay: f32 },
    /// m ← β1·m + (1 − β1)·g, v ← β2·v + (1 − β2)·g², p ← p − rate·m / (√v + epsilon): Kingma and Ba 2015,
    /// algorithm 1. The bias corrections are folded into `rate` (as at the end of their section 2) and `epsilon`.
    Adam { rate: f32, epsilon: f32, decay: f32 },
}

impl Rule {
    /// The rule for a step, counted from 1.
    pub(super) fn of(recipe: OptimizerRecipe, step: i32, lr: f64) -> Self {
        let decay = recipe.weight_decay as f32;
        match recipe.kind {
            OptimizerKind::Sgd => Self::Sgd { lr: lr as f32, momentum: recipe.momentum as f32, decay },
            OptimizerKind::Adam => {
                let root = (1.0 - BETA_2.powi(step)).sqrt();
                let rate = (lr * root / (1.0 - BETA_1.powi(step))) as f32;
                Self::Adam { rate, epsilon: (EPSILON * root) as f32, decay }
            }
        }
    }

    /// Weight decay: the share of each param that is added to its gradient.
    pub(super) fn decay(self) -> f32 {
        match self {
            Self::Sgd { decay, .. } | Self::Adam { decay, .. } => decay,
        }
    }
}

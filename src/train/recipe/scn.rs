//! The Self-Cure Network's own numbers, and the readings in which the paper and its public code differ.

use serde::{Deserialize, Serialize};

/// The Self-Cure Network's numbers and readings; the paper and its public code differ, so each reading is a switch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScnRecipe {
    /// β: share of a batch that counts as important.
    pub beta: f64,
    /// δ1: by how much the important half's mean importance must lead.
    pub margin_1: f64,
    /// Whether δ1 is learnt, beginning at `margin_1`.
    pub margin_1_learnt: bool,
    /// δ2: by how much the best class must lead the given one before a label changes.
    pub margin_2: f64,
    /// Which samples may be relabelled.
    pub relabel_scope: RelabelScope,
    /// Whose softmax decides.
    pub relabel_probabilities: RelabelProbabilities,
    /// How the two losses are joined.
    pub loss_form: LossForm,
    /// γ of [`LossForm::Gamma`].
    pub gamma: f64,
    /// When relabelling begins.
    pub relabel_start: RelabelStart,
}

/// Which samples may be relabelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelabelScope {
    /// Only those of the low-importance group: the paper, section 3.4.
    LowGroup,
    /// All of the batch: the public code, and what works better (measured here and by users).
    Batch,
}

/// Whose softmax decides about a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelabelProbabilities {
    /// Logits times importance, as figure 2 draws it: low importance shrinks every lead.
    Weighted,
    /// Plain logits.
    Raw,
}

/// How rank regularisation (RR) and weighted cross entropy (WCE) are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossForm {
    /// γ·RR + (1 − γ)·WCE: the paper.
    Gamma,
    /// RR + WCE: the public code; twice the paper's scale at γ = 0.5.
    Sum,
}

/// When relabelling begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelabelStart {
    /// At the end of this one-based epoch.
    Epoch(u32),
    /// Before memorisation: see `relabels_now` in the schedule.
    Auto,
}

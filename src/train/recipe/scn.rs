//! The hyper-parameters of the Self-Cure Network, with a switch wherever the paper and its public code differ.

use serde::{Deserialize, Serialize};

/// The hyper-parameters of the Self-Cure Network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScnRecipe {
    /// β: share of a batch that forms the important group.
    pub beta: f64,
    /// δ1: margin by which the important group's mean importance must exceed that of the others.
    pub margin_1: f64,
    /// Whether δ1 is learnt, starting from `margin_1`.
    pub margin_1_learnt: bool,
    /// δ2: margin by which the best class's probability must exceed the given one's before a label changes.
    pub margin_2: f64,
    /// Which samples may be relabelled.
    pub relabel_scope: RelabelScope,
    /// The probabilities that decide about a label.
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
    /// All of the batch: the public code, and better in practice (measured here and by users).
    Batch,
}

/// The probabilities that decide about a label: a softmax of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelabelProbabilities {
    /// Logits times importance, as in figure 2: low importance shrinks every lead.
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
    /// When the net begins to memorise labels: see `train/relabel_start`.
    Auto,
}

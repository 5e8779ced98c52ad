//! Every choice that a training run depends on, validated, with a hash that stands on all that was made with it.
//! It knows no tensor.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::TrainError;
use super::schedule::Schedule;

/// One training run's hyper-parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// How labels and losses are treated.
    pub method: Method,
    /// The backbone.
    pub arch: Arch,
    /// Passes over the training samples.
    pub epochs: u32,
    /// Pictures a step.
    pub batch_size: usize,
    /// Side of the square picture that the net sees, pixels.
    pub image_size: u32,
    /// Decides params, order, augmentation and noise.
    pub seed: u64,
    /// How params move.
    pub optimizer: OptimizerRecipe,
    /// How the learning rate changes over epochs.
    pub schedule: Schedule,
    /// The Self-Cure Network's own numbers.
    pub scn: ScnRecipe,
    /// The numbers of [`Method::Cure`].
    pub cure: CureRecipe,
    /// What labels are decided about as one.
    #[serde(default)]
    pub relabel_by: RelabelBy,
    /// How training pictures are varied.
    pub augment: Augment,
    /// In which shares classes are seen.
    pub sampling: Sampling,
    /// How pixels become numbers.
    pub normalise: Normalise,
    /// Number format of the backbone's forward pass.
    pub precision: Precision,
    /// A step's pictures go through the net in this many parts, one after the other: less memory, the same step but for
    /// what looks at a whole batch (batch statistics, rank regularisation), which then looks at a part.
    #[serde(default = "whole")]
    pub accumulate: usize,
    /// End after so many epochs without a better validation accuracy.
    #[serde(default)]
    pub early_stop: Option<u32>,
    /// Judge by a running mean of the params that keeps this share of itself at each step (0: by the params).
    #[serde(default)]
    pub average: f64,
    /// Params to begin from.
    pub init: Option<PathBuf>,
}

/// How labels and losses are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Cross entropy on the given labels.
    Baseline,
    /// Importance weighting, rank regularisation, relabelling (CVPR 2020).
    Scn,
    /// Labels judged by nets that never saw the sample: few, sure relabels, and soft targets to train on.
    Cure,
}

impl Method {
    /// The word that the command line and the catalog use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Scn => "scn",
            Self::Cure => "cure",
        }
    }
}

/// A backbone with torchvision's layers and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Arch {
    Resnet18,
    Resnet34,
    Resnet50,
    #[serde(rename = "mobilenet_v2")]
    MobilenetV2,
    Vgg16,
    /// ResNet's shape with one narrow block a layer: what tests train.
    #[cfg(test)]
    Tiny,
}

impl Arch {
    /// torchvision's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resnet18 => "resnet18",
            Self::Resnet34 => "resnet34",
            Self::Resnet50 => "resnet50",
            Self::MobilenetV2 => "mobilenet_v2",
            Self::Vgg16 => "vgg16",
            #[cfg(test)]
            Self::Tiny => "tiny",
        }
    }
}

/// How params move.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerRecipe {
    /// The rule.
    pub kind: OptimizerKind,
    /// Learning rate of the first epoch.
    pub lr: f64,
    /// SGD's momentum; Adam's two are PyTorch's 0.9 and 0.999.
    pub momentum: f64,
    /// Added to the gradient times the param, as PyTorch's `weight_decay` does.
    pub weight_decay: f64,
}

/// An update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum OptimizerKind {
    Sgd,
    Adam,
}

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

/// What labels are decided about as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelabelBy {
    /// Each sample for itself: the paper.
    #[default]
    Sample,
    /// All samples of a clip by the mean of what the net says of them: they share one label, and are wrong together.
    /// Where a data set knows no clips, each sample for itself.
    Clip,
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

/// The numbers of [`Method::Cure`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CureRecipe {
    /// Into how many parts the training samples are dealt; a scout is trained for each on all the others.
    pub folds: u32,
    /// A scout's epochs, as a share of the run's.
    pub scout_share: f64,
    /// The share of a class's labels that may be broken by changing others, as far as can be told.
    pub risk: f64,
    /// Share of the old value in each sample's target when the net has seen it again; 1 keeps what the scouts made of it.
    pub memory: f64,
}

/// How training pictures are varied, on the device, in batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Largest shift, as a share of the side, and largest enlargement or shrinking; 0 turns it off.
    pub crop: f64,
    /// Probability that a rectangle (2 to 25 % of the area) is replaced by the mean colour.
    pub erase: f64,
    /// Largest relative change of brightness and of contrast.
    pub colour: f64,
}

/// In which shares classes are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampling {
    /// Each sample once an epoch.
    Shuffle,
    /// Each class equally often; small classes repeat.
    Balanced,
}

/// How pixels become numbers; it belongs to a file of params as much as its tensors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalise {
    /// 0..1 less the ImageNet mean, by its deviation: torchvision's params.
    Imagenet,
    /// 0..1 as it is: RAN's and SCN's face params.
    ZeroOne,
}

/// Number format of the backbone's forward pass; importance and losses are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// bf16 on CUDA, fp32 on CPU.
    Auto,
    /// 32-bit floats.
    Fp32,
    /// Brain floats; params stay f32.
    Bf16,
}

/// Named settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// What the paper states.
    Paper,
    /// What the public code does.
    Reference,
}

fn whole() -> usize {
    1
}

/// δ1 by batch size, as the authors' README gives it: 0.07 with 64 a batch, 0.15 with 1024.
pub fn default_margin_1(batch_size: usize) -> f64 {
    if batch_size >= 512 { 0.15 } else { 0.07 }
}

impl Recipe {
    /// What this program does when nothing is said: SCN in its working reading, small enough for a CPU.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            arch: Arch::Resnet18,
            epochs: 30,
            batch_size: 64,
            image_size: 112,
            seed: 0,
            optimizer: OptimizerRecipe {
                kind: OptimizerKind::Adam,
                lr: 1e-3,
                momentum: 0.9,
                weight_decay: 1e-4,
            },
            schedule: Schedule::Cosine,
            scn: ScnRecipe {
                beta: 0.7,
                margin_1: default_margin_1(64),
                margin_1_learnt: false,
                margin_2: 0.2,
                relabel_scope: RelabelScope::Batch,
                relabel_probabilities: RelabelProbabilities::Weighted,
                loss_form: LossForm::Sum,
                gamma: 0.5,
                relabel_start: RelabelStart::Auto,
            },
            cure: CureRecipe { folds: 5, scout_share: 0.4, risk: 0.02, memory: 0.9 },
            relabel_by: RelabelBy::Clip,
            augment: Augment { flip: 0.5, crop: 0.1, erase: 0.25, colour: 0.2 },
            sampling: Sampling::Shuffle,
            normalise: Normalise::Imagenet,
            precision: Precision::Auto,
            accumulate: whole(),
            early_stop: None,
            average: if method == Method::Cure { 0.99 } else { 0.0 },
            init: None,
        }
    }

    /// A named setting for a method.
    pub fn preset(preset: Preset, method: Method) -> Self {
        let mut recipe = Self::new(method);
        recipe.image_size = 224;
        recipe.scn.relabel_start = RelabelStart::Epoch(10);
        recipe.relabel_by = RelabelBy::Sample;
        match preset {
            Preset::Paper => {
                recipe.epochs = 40;
                recipe.batch_size = 1024;
                recipe.optimizer.kind = OptimizerKind::Sgd;
                recipe.optimizer.lr = 0.1;
                recipe.schedule = Schedule::Step { at: vec![15, 30], factor: 0.1 };
                recipe.scn.margin_1 = default_margin_1(1024);
                recipe.scn.relabel_scope = RelabelScope::LowGroup;
                recipe.scn.loss_form = LossForm::Gamma;
            }
            Preset::Reference => {
                recipe.epochs = 70;
                recipe.schedule = Schedule::Exponential { factor: 0.9 };
                recipe.augment = Augment { flip: 0.25, crop: 0.0, erase: 0.5, colour: 0.0 };
            }
        }
        recipe
    }

    /// Says the first value that cannot work.
    pub fn check(&self) -> Result<(), TrainError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let scn = &self.scn;
        let accumulate = (1..=(self.batch_size / 2).max(1)).contains(&self.accumulate);
        let rules: [(&'static str, f64, bool, &'static str); 20] = [
            ("epochs", self.epochs.into(), self.epochs > 0, "at least 1"),
            ("batch_size", self.batch_size as f64, self.batch_size > 0, "at least 1"),
            ("image_size", self.image_size.into(), (16..=1024).contains(&self.image_size), "16 to 1024"),
            ("lr", self.optimizer.lr, positive(self.optimizer.lr), "above 0"),
            (
                "momentum",
                self.optimizer.momentum,
                (0.0..1.0).contains(&self.optimizer.momentum),
                "0 to below 1",
            ),
            ("weight_decay", self.optimizer.weight_decay, self.optimizer.weight_decay >= 0.0, "0 or more"),
            ("beta", scn.beta, share(scn.beta), "0 to 1"),
            ("margin_1", scn.margin_1, share(scn.margin_1), "0 to 1"),
            ("margin_2", scn.margin_2, share(scn.margin_2), "0 to 1"),
            ("gamma", scn.gamma, share(scn.gamma), "0 to 1"),
            ("cure.memory", self.cure.memory, share(self.cure.memory), "0 to 1"),
            ("cure.risk", self.cure.risk, share(self.cure.risk), "0 to 1"),
            ("cure.scout_share", self.cure.scout_share, positive(self.cure.scout_share), "above 0"),
            ("cure.folds", self.cure.folds.into(), (2..=100).contains(&self.cure.folds), "2 to 100"),
            ("augment.flip", self.augment.flip, share(self.augment.flip), "0 to 1"),
            ("augment.crop", self.augment.crop, (0.0..0.5).contains(&self.augment.crop), "0 to below 0.5"),
            ("augment.erase", self.augment.erase, share(self.augment.erase), "0 to 1"),
            (
                "augment.colour",
                self.augment.colour,
                (0.0..1.0).contains(&self.augment.colour),
                "0 to below 1",
            ),
            ("accumulate", self.accumulate as f64, accumulate, "1 to half of batch_size"),
            ("average", self.average, (0.0..1.0).contains(&self.average), "0 to below 1"),
        ];
        match rules.into_iter().find(|(_, _, holds, _)| !holds) {
            Some((name, value, _, must_be)) => {
                Err(TrainError::Recipe { name, value: value.to_string(), must_be })
            }
            None => Ok(()),
        }
    }

    /// sha256 over its JSON, in hexadecimal.
    pub fn hash(&self) -> String {
        let json = serde_json::to_vec(self).expect("a recipe holds only numbers and words");
        Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_number_changes_the_hash() {
        let recipe = Recipe::new(Method::Scn);
        let mut other = recipe.clone();
        other.scn.margin_2 = 0.21;
        assert_eq!(recipe.hash(), recipe.clone().hash());
        assert_ne!(recipe.hash(), other.hash());
    }

    #[test]
    fn the_paper_and_its_code_differ_where_the_notes_say() {
        let paper = Recipe::preset(Preset::Paper, Method::Scn);
        let reference = Recipe::preset(Preset::Reference, Method::Scn);
        assert_eq!((paper.batch_size, paper.scn.margin_1), (1024, 0.15));
        assert_eq!((reference.batch_size, reference.scn.margin_1), (64, 0.07));
        assert_eq!(paper.scn.relabel_scope, RelabelScope::LowGroup);
        assert_eq!(reference.scn.relabel_scope, RelabelScope::Batch);
        paper.check().unwrap();
        reference.check().unwrap();
    }

    #[test]
    fn a_share_above_one_is_refused_by_name() {
        let mut recipe = Recipe::new(Method::Scn);
        recipe.scn.beta = 1.2;
        assert_eq!(recipe.check().unwrap_err().to_string(), "recipe: beta is 1.2, but must be 0 to 1");
    }
}

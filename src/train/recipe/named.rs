//! Recipes by name: this program's defaults, the paper's, and those of SCN's public code.

use super::super::schedule::Schedule;
use super::{
    Arch, Augment, CureRecipe, LossForm, Method, Normalise, OptimizerKind, OptimizerRecipe, Precision,
    Recipe, RelabelBy, RelabelProbabilities, RelabelScope, RelabelStart, Sampling, ScnRecipe, whole,
};

/// Named settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// What the paper states.
    Paper,
    /// What SCN's public code does, except that it has no pixel noise and begins with random params unless others are named.
    Reference,
}

/// δ1 by batch size, as the authors' README gives it: 0.07 with 64 a batch, 0.15 with 1024.
pub fn default_margin_1(batch_size: usize) -> f64 {
    if batch_size >= 512 { 0.15 } else { 0.07 }
}

impl Recipe {
    /// The defaults: SCN in the reading that works best, small enough for a CPU.
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
            cure: CureRecipe { folds: 3, scout_share: 2.0, risk: 0.02 },
            relabel_by: RelabelBy::Clip,
            augment: Augment { flip: 0.5, crop: 0.1, erase: 0.25, colour: 0.2 },
            sampling: Sampling::Shuffle,
            normalise: Normalise::Imagenet,
            precision: Precision::Auto,
            accumulate: whole(),
            early_stop: None,
            average: 0.0,
            init: None,
        }
    }

    /// Named settings for a method.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paper_and_its_code_differ_in_batch_size_margin_and_scope() {
        let paper = Recipe::preset(Preset::Paper, Method::Scn);
        let reference = Recipe::preset(Preset::Reference, Method::Scn);
        assert_eq!((paper.batch_size, paper.scn.margin_1), (1024, 0.15));
        assert_eq!((reference.batch_size, reference.scn.margin_1), (64, 0.07));
        assert_eq!(paper.scn.relabel_scope, RelabelScope::LowGroup);
        assert_eq!(reference.scn.relabel_scope, RelabelScope::Batch);
        paper.check().unwrap();
        reference.check().unwrap();
    }
}

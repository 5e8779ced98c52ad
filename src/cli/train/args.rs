//! The flags of `webemotion train`, and the recipe that they mean. They know no loop and no catalog.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::dataset::{DatasetArg, ReadingArgs};
use super::loop_args::LoopArgs;
use super::method_args::{CureArgs, ScnArgs};
use crate::train::data::NoiseKind;
use crate::train::recipe::{
    Arch, Method, OptimizerKind, Precision, Preset, Recipe, Sampling, default_margin_1,
};

/// Trains a net, plain or as a Self-Cure Network, on the catalog or on a data set on disk.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Layouts on disk:
  raf-db:DIR     EmoLabel/list_patition_label.txt, Image/aligned/*_aligned.jpg
  ferplus:DIR    fer2013new.csv, FER2013Train|FER2013Valid|FER2013Test/*.png (or data/FER2013Train …)
  affectnet:DIR  training.csv, validation.csv, Manually_Annotated_Images/
  folder:DIR     <class>/*.jpg, or train|validation|test/<class>/*.jpg
  drawn:easy     2,500 faces that this program draws; drawn:hard 5,000 small, ambiguous, unequal ones

Examples:
  webemotion train --method scn --epochs 12 --image-size 64
  webemotion train --dataset raf-db:/data/rafdb --preset paper --init face.safetensors
  webemotion train --dataset folder:birds --method baseline --noise 0.2 --seeds 5")]
pub struct TrainArgs {
    /// How labels are treated
    #[arg(long, value_enum, default_value = "scn")]
    pub method: MethodArg,
    /// Make this share of each class's training labels wrong
    #[arg(long, value_name = "SHARE")]
    pub noise: Option<f64>,
    /// Take training labels from a list of NAME LABEL lines instead; LABEL counts classes from 0, or from 1 as RAF-DB does
    #[arg(long, value_name = "FILE", conflicts_with = "noise")]
    pub noisy_labels: Option<PathBuf>,
    /// Train so many times, with --seed and the seeds after it, and tell mean and deviation
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Go on with the run of this folder or name, with the flags that it was begun with
    #[arg(long, value_name = "RUN", conflicts_with = "seeds")]
    pub resume: Option<PathBuf>,
    /// Train once more although a run of this recipe on this data is done
    #[arg(long, conflicts_with = "resume")]
    pub again: bool,
    /// What every training takes: last, for its headings would go on over what follows
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What every training takes, however its labels are treated.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// What to train on; several are joined by class name
    #[arg(
        long,
        value_name = "catalog|raf-db:DIR|ferplus:DIR|affectnet:DIR|folder:DIR|drawn:easy|drawn:hard",
        default_value = "catalog"
    )]
    pub dataset: Vec<DatasetArg>,
    /// Which reading of FERPlus and AffectNet is meant
    #[command(flatten)]
    pub readings: ReadingArgs,
    /// Begin from what the paper states, or from what its public code does (without its pixel noise); other flags change it
    #[arg(long, value_enum)]
    pub preset: Option<PresetArg>,
    /// The backbone
    #[arg(long, value_enum)]
    pub arch: Option<ArchArg>,
    /// Passes over the training samples [default: 30]
    #[arg(long)]
    pub epochs: Option<u32>,
    /// Pictures a step [default: 64]
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Side of the picture that the net sees, pixels [default: 112]
    #[arg(long)]
    pub image_size: Option<u32>,
    /// Learning rate of the first epoch [default: 0.001, SGD 0.01]
    #[arg(long)]
    pub lr: Option<f64>,
    /// How params move
    #[arg(long, value_enum)]
    pub optimizer: Option<OptimizerArg>,
    /// Decides params, order, augmentation and noise
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Where wrong labels go
    #[arg(long, value_enum, default_value = "symmetric")]
    pub noise_kind: NoiseKindArg,
    /// Share of the training samples held out where a data set has no validation part
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = below_one)]
    pub validation: f64,
    /// auto, cpu or cuda:N
    #[arg(long, value_parser = crate::cli::asked_net::device_word, default_value = "auto")]
    pub device: String,
    /// Number format of the backbone
    #[arg(long, value_enum, default_value = "auto")]
    pub precision: PrecisionArg,
    /// Params to begin from: .safetensors, zip .pt/.pth of tensors, TorchScript
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// Show small classes as often as large ones
    #[arg(long)]
    pub balanced: bool,
    /// How params move, how pictures are varied, when training ends
    #[command(flatten)]
    pub loop_args: LoopArgs,
    /// The Self-Cure Network's own numbers
    #[command(flatten)]
    pub scn: ScnArgs,
    /// The numbers of cure
    #[command(flatten)]
    pub cure: CureArgs,
}

/// Declares a flag's words and what each means to the trainer.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident => $target:ty { $($(#[$word_doc:meta])* $word:ident = $value:expr),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
        pub enum $name { $($(#[$word_doc])* $word),+ }

        impl From<$name> for $target {
            fn from(word: $name) -> Self {
                match word { $($name::$word => $value),+ }
            }
        }
    };
}

pub(super) use words;

words!(/// `--method`
MethodArg => Method {
    /// Labels as they are
    Baseline = Method::Baseline,
    /// A Self-Cure Network
    Scn = Method::Scn,
    /// Labels judged by nets that never saw the sample
    Cure = Method::Cure,
});
words!(/// `--preset`
    PresetArg => Preset { Paper = Preset::Paper, Reference = Preset::Reference });
words!(/// `--arch`
ArchArg => Arch {
    Resnet18 = Arch::Resnet18, Resnet34 = Arch::Resnet34, Resnet50 = Arch::Resnet50,
    #[value(name = "mobilenet_v2")] MobilenetV2 = Arch::MobilenetV2, Vgg16 = Arch::Vgg16,
});
words!(/// `--optimizer`
    OptimizerArg => OptimizerKind { Sgd = OptimizerKind::Sgd, Adam = OptimizerKind::Adam });
words!(/// `--noise-kind`
    NoiseKindArg => NoiseKind { Symmetric = NoiseKind::Symmetric, Pair = NoiseKind::Pair });
words!(/// `--precision`
    PrecisionArg => Precision { Auto = Precision::Auto, Fp32 = Precision::Fp32, Bf16 = Precision::Bf16 });

impl TrainArgs {
    /// The recipe of its first seed.
    pub fn recipe(&self) -> Recipe {
        self.common.recipe(self.method.into())
    }

    /// The same flags for each of its seeds.
    pub(crate) fn each_seed(&self) -> impl Iterator<Item = Self> {
        (0..self.seeds).map(|number| {
            let mut args = Self { seeds: 1, ..self.clone() };
            args.common.seed = self.common.seed.wrapping_add(number);
            args
        })
    }
}

impl CommonArgs {
    /// Preset, then flags.
    pub fn recipe(&self, method: Method) -> Recipe {
        let mut recipe =
            self.preset.map_or_else(|| Recipe::new(method), |preset| Recipe::preset(preset.into(), method));
        recipe.seed = self.seed;
        recipe.precision = self.precision.into();
        recipe.init = self.init.clone();
        set(&mut recipe.arch, self.arch.map(Into::into));
        set(&mut recipe.epochs, self.epochs);
        if let Some(batch_size) = self.batch_size {
            recipe.batch_size = batch_size;
            recipe.scn.margin_1 = default_margin_1(batch_size);
        }
        set(&mut recipe.image_size, self.image_size);
        if let Some(kind) =
            self.optimizer.map(OptimizerKind::from).filter(|&kind| kind != recipe.optimizer.kind)
        {
            recipe.optimizer.kind = kind;
            recipe.optimizer.lr = if kind == OptimizerKind::Sgd { 0.01 } else { 0.001 };
        }
        set(&mut recipe.optimizer.lr, self.lr);
        if self.balanced {
            recipe.sampling = Sampling::Balanced;
        }
        self.loop_args.apply(&mut recipe);
        self.scn.apply(&mut recipe);
        self.cure.apply(&mut recipe);
        recipe
    }
}

fn below_one(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    if (0.0..1.0).contains(&share) { Ok(share) } else { Err("not 0 to below 1".to_owned()) }
}

pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;
    use crate::train::recipe::RelabelScope;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TrainArgs,
    }

    /// The flags as they are typed after `webemotion train`.
    pub(in crate::cli::train) fn try_parse(words: &[&str]) -> Result<TrainArgs, clap::Error> {
        Line::try_parse_from([&["train"], words].concat()).map(|line| line.args)
    }

    /// The same, where the words are known to be right.
    pub(in crate::cli::train) fn parse(words: &[&str]) -> TrainArgs {
        try_parse(words).unwrap()
    }

    #[test]
    fn flags_win_over_the_preset() {
        let recipe = parse(&["--preset", "paper", "--epochs", "3", "--margin-2", "0.4"]).recipe();
        assert_eq!((recipe.epochs, recipe.batch_size, recipe.scn.margin_2), (3, 1024, 0.4));
        assert_eq!(recipe.scn.relabel_scope, RelabelScope::LowGroup);
    }

    #[test]
    fn what_is_held_out_is_a_share() {
        assert_eq!(parse(&["--validation", "0"]).common.validation, 0.0);
        for percent in ["10", "-0.5", "1", "NaN"] {
            let error = try_parse(&[&*format!("--validation={percent}")]).unwrap_err().to_string();
            assert!(error.contains("not 0 to below 1"), "{error}");
        }
    }

    #[test]
    fn a_smaller_batch_gets_the_smaller_margin_unless_one_is_named() {
        assert_eq!(parse(&["--preset", "paper", "--batch-size", "64"]).recipe().scn.margin_1, 0.07);
        let named = parse(&["--batch-size", "64", "--margin-1", "0.15"]);
        assert_eq!(named.recipe().scn.margin_1, 0.15);
    }
}

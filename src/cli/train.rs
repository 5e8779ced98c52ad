//! `webemotion train`: flags to a recipe and a data set, one trainer thread, events to whoever watches.

mod catalog;
pub(crate) mod command;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::clock::Stop;
use crate::failure::{Failure, Reason};
use crate::progress::{Event, Reporter};
use crate::train::data::{self, FerplusOptions, NoiseKind, TrainingSet};
use crate::train::metrics::EpochMetrics;
use crate::train::recipe::{
    Arch, LossForm, Method, OptimizerKind, Precision, Preset, Recipe, RelabelProbabilities, RelabelScope,
    RelabelStart, Sampling, default_margin_1,
};
use crate::train::{self, RunPlace, TrainError, TrainEvent, Trained};
use crate::types::Relabel;

/// Events that wait between the trainer and the terminal.
const WAITING_EVENTS: usize = 64;
/// The reporter's name of this work.
const TASK: &str = "train";

/// Trains a net, plain or as a Self-Cure Network, on the catalog or on a data set on disk.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Layouts on disk:
  raf-db:DIR     EmoLabel/list_patition_label.txt, Image/aligned/*_aligned.jpg
  ferplus:DIR    fer2013new.csv, FER2013Train|FER2013Valid|FER2013Test/*.png
  affectnet:DIR  training.csv, validation.csv, Manually_Annotated_Images/
  folder:DIR     <class>/*.jpg, or train|validation|test/<class>/*.jpg

Examples:
  webemotion train --method scn --epochs 12 --image-size 64
  webemotion train --dataset raf-db:/data/rafdb --preset paper --init face.safetensors
  webemotion train --dataset folder:birds --method baseline --noise 0.2")]
pub struct TrainArgs {
    /// What to train on; several are joined by class name
    #[arg(
        long,
        value_name = "catalog|raf-db:DIR|ferplus:DIR|affectnet:DIR|folder:DIR",
        default_value = "catalog"
    )]
    pub dataset: Vec<DatasetArg>,
    /// How labels are treated
    #[arg(long, value_enum, default_value = "scn")]
    pub method: MethodArg,
    /// Begin from what the paper states, or from what its public code does; other flags change it
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
    /// Make this share of each class's training labels wrong
    #[arg(long, value_name = "SHARE")]
    pub noise: Option<f64>,
    /// Where wrong labels go
    #[arg(long, value_enum, default_value = "symmetric")]
    pub noise_kind: NoiseKindArg,
    /// Take training labels from a list of NAME LABEL lines instead
    #[arg(long, value_name = "FILE", conflicts_with = "noise")]
    pub noisy_labels: Option<PathBuf>,
    /// Share of the training samples held out where a data set has no validation part
    #[arg(long, default_value_t = 0.1)]
    pub validation: f64,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Number format of the backbone
    #[arg(long, value_enum, default_value = "auto")]
    pub precision: PrecisionArg,
    /// Params to begin from: .safetensors, zip .pt/.pth of tensors, TorchScript
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// Go on with the run of this folder or name
    #[arg(long, value_name = "RUN")]
    pub resume: Option<PathBuf>,
    /// Show small classes as often as large ones
    #[arg(long)]
    pub balanced: bool,
    /// The Self-Cure Network's own numbers
    #[command(flatten)]
    pub scn: ScnArgs,
}

/// SCN's numbers and readings.
#[derive(Debug, Clone, Args)]
pub struct ScnArgs {
    /// Share of a batch that counts as important [default: 0.7]
    #[arg(long)]
    pub beta: Option<f64>,
    /// By how much its mean importance must lead [default: 0.07, from batch size 512 on 0.15]
    #[arg(long = "margin-1")]
    pub margin_1: Option<f64>,
    /// Learn margin 1
    #[arg(long = "learn-margin-1")]
    pub learn_margin_1: bool,
    /// By how much another class must lead before a label changes [default: 0.2]
    #[arg(long = "margin-2")]
    pub margin_2: Option<f64>,
    /// Which samples may be relabelled [default: batch; the paper: low-group]
    #[arg(long, value_enum)]
    pub relabel_scope: Option<ScopeArg>,
    /// Whose softmax decides [default: weighted]
    #[arg(long, value_enum)]
    pub relabel_probabilities: Option<ProbabilitiesArg>,
    /// Join the losses by gamma (the paper) or by their sum [default: sum]
    #[arg(long, value_enum)]
    pub loss: Option<LossArg>,
    /// Share of rank regularisation in --loss gamma [default: 0.5]
    #[arg(long)]
    pub gamma: Option<f64>,
    /// First epoch that may relabel, or auto: before labels are learnt by heart [default: auto]
    #[arg(long, value_name = "EPOCH|auto", value_parser = relabel_start)]
    pub relabel_epoch: Option<RelabelStart>,
}

fn relabel_start(word: &str) -> Result<RelabelStart, String> {
    match (word, word.parse()) {
        ("auto", _) => Ok(RelabelStart::Auto),
        (_, Ok(epoch)) => Ok(RelabelStart::Epoch(epoch)),
        _ => Err("neither 'auto' nor an epoch".to_owned()),
    }
}

/// One data set by kind and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatasetArg {
    /// The samples of the data folder's catalog.
    Catalog,
    /// RAF-DB basic.
    RafDb(PathBuf),
    /// FERPlus.
    Ferplus(PathBuf),
    /// AffectNet.
    Affectnet(PathBuf),
    /// Any folder with a sub-folder for each class.
    Folder(PathBuf),
}

impl FromStr for DatasetArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "catalog" {
            return Ok(Self::Catalog);
        }
        let kinds = "catalog, raf-db:DIR, ferplus:DIR, affectnet:DIR, folder:DIR";
        let (kind, folder) = text.split_once(':').ok_or_else(|| format!("none of {kinds}"))?;
        let folder = PathBuf::from(folder);
        Ok(match kind {
            "raf-db" => Self::RafDb(folder),
            "ferplus" => Self::Ferplus(folder),
            "affectnet" => Self::Affectnet(folder),
            "folder" => Self::Folder(folder),
            _ => return Err(format!("'{kind}' is none of {kinds}")),
        })
    }
}

/// Declares a flag's words and what each means to the trainer.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident => $target:ty { $($word:ident = $value:expr),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
        #[expect(missing_docs, reason = "the words are documented where they lead")]
        pub enum $name { $($word),+ }

        impl From<$name> for $target {
            fn from(word: $name) -> Self {
                match word { $($name::$word => $value),+ }
            }
        }
    };
}

words!(/// `--method`
    MethodArg => Method { Baseline = Method::Baseline, Scn = Method::Scn, Cure = Method::Cure });
words!(/// `--preset`
    PresetArg => Preset { Paper = Preset::Paper, Reference = Preset::Reference });
words!(/// `--arch`
    ArchArg => Arch { Resnet18 = Arch::Resnet18, Resnet34 = Arch::Resnet34, Resnet50 = Arch::Resnet50 });
words!(/// `--optimizer`
    OptimizerArg => OptimizerKind { Sgd = OptimizerKind::Sgd, Adam = OptimizerKind::Adam });
words!(/// `--noise-kind`
    NoiseKindArg => NoiseKind { Symmetric = NoiseKind::Symmetric, Pair = NoiseKind::Pair });
words!(/// `--precision`
    PrecisionArg => Precision { Auto = Precision::Auto, Fp32 = Precision::Fp32, Bf16 = Precision::Bf16 });
words!(/// `--relabel-scope`
    ScopeArg => RelabelScope { LowGroup = RelabelScope::LowGroup, Batch = RelabelScope::Batch });
words!(/// `--relabel-probabilities`
ProbabilitiesArg => RelabelProbabilities {
    Weighted = RelabelProbabilities::Weighted, Raw = RelabelProbabilities::Raw,
});
words!(/// `--loss`
    LossArg => LossForm { Gamma = LossForm::Gamma, Sum = LossForm::Sum });

impl TrainArgs {
    /// Preset, then flags.
    pub fn recipe(&self) -> Recipe {
        let method = self.method.into();
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
        self.scn.apply(&mut recipe);
        recipe
    }

    /// The data sets on disk, joined, with noise and a validation part; `catalog` is what the caller read for
    /// [`DatasetArg::Catalog`].
    pub fn training_set(&self, catalog: Option<TrainingSet>) -> Result<TrainingSet, Failure> {
        let mut catalog = catalog;
        let mut sets = Vec::new();
        for dataset in &self.dataset {
            sets.push(match dataset {
                DatasetArg::Catalog => catalog
                    .take()
                    .ok_or_else(|| Failure::permanent(Reason::NothingToDo, "the catalog holds no samples"))?,
                other => read(other).map_err(|error| error.failure())?,
            });
        }
        let mut set = data::unite(sets).map_err(|error| error.failure())?;
        if let Some(noise) = self.noise {
            if !(0.0..=1.0).contains(&noise) {
                return Err(Failure::permanent(
                    Reason::Usage,
                    format!("--noise is {noise}, but must be 0 to 1"),
                ));
            }
            data::add_noise(&mut set, noise, self.noise_kind.into(), self.seed);
        }
        if let Some(list) = &self.noisy_labels {
            data::read_noisy_labels(&mut set, list).map_err(|error| error.failure())?;
        }
        set.hold_out_validation(self.validation, self.seed);
        Ok(set)
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl ScnArgs {
    fn apply(&self, recipe: &mut Recipe) {
        let scn = &mut recipe.scn;
        set(&mut scn.beta, self.beta);
        set(&mut scn.margin_1, self.margin_1);
        set(&mut scn.margin_2, self.margin_2);
        set(&mut scn.gamma, self.gamma);
        set(&mut scn.relabel_scope, self.relabel_scope.map(Into::into));
        set(&mut scn.relabel_probabilities, self.relabel_probabilities.map(Into::into));
        set(&mut scn.loss_form, self.loss.map(Into::into));
        set(&mut scn.relabel_start, self.relabel_epoch);
        scn.margin_1_learnt |= self.learn_margin_1;
    }
}

fn read(dataset: &DatasetArg) -> Result<TrainingSet, data::DataError> {
    match dataset {
        DatasetArg::RafDb(folder) => data::raf_db(folder),
        DatasetArg::Ferplus(folder) => data::ferplus(folder, FerplusOptions::default()),
        DatasetArg::Affectnet(folder) => data::affectnet(folder, false),
        DatasetArg::Folder(folder) => data::folder(folder),
        DatasetArg::Catalog => Err(data::DataError::Empty { name: "the catalog".to_owned(), what: "folder" }),
    }
}

/// What a run tells the catalog while it goes on; the default tells nobody.
pub trait RunWatch {
    /// An epoch is measured.
    fn epoch(&mut self, _metrics: &EpochMetrics) -> anyhow::Result<()> {
        Ok(())
    }

    /// Labels changed.
    fn relabelled(&mut self, _relabels: &[Relabel]) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Watches nothing: for data sets on disk.
#[derive(Debug, Default)]
pub struct NoWatch;

impl RunWatch for NoWatch {}

/// Trains on one trainer thread and reports until it ends. Writes `recipe.json` and `metrics.jsonl` beside the
/// checkpoints in `place.folder`, and goes on where a checkpoint stands there.
///
/// # Errors
/// A [`Failure`] with the exit code: 130 when stopped (a checkpoint is there), 2 for wrong flags or data.
pub fn run(
    recipe: &Recipe,
    set: &TrainingSet,
    place: &RunPlace,
    (reporter, watch): (&dyn Reporter, &mut dyn RunWatch),
    stop: &Stop,
) -> anyhow::Result<Trained> {
    recipe.check().map_err(|error| error.failure())?;
    std::fs::create_dir_all(&place.folder)
        .with_context(|| format!("cannot make {}", place.folder.display()))?;
    write_json(&place.folder.join("recipe.json"), recipe)?;
    let (sender, receiver) = sync_channel(WAITING_EVENTS);
    let trained = thread::scope(|scope| {
        let work = move || train::train(recipe, set, place, &sender, stop);
        let trainer = thread::Builder::new().name("trainer".to_owned()).spawn_scoped(scope, work)?;
        let watched = follow(&receiver, place, reporter, watch);
        drop(receiver);
        let trained =
            trainer.join().unwrap_or_else(|_| Err(TrainError::Torch("the trainer panicked".to_owned())));
        anyhow::Ok((trained, watched))
    });
    let (trained, watched) = trained?;
    let trained = trained.map_err(|error| error.failure())?;
    watched?;
    reporter.report(&Event::Ended { task: TASK.to_owned(), note: closing_words(&trained) });
    Ok(trained)
}

/// Reports events until the trainer hangs up.
fn follow(
    events: &Receiver<TrainEvent>,
    place: &RunPlace,
    reporter: &dyn Reporter,
    watch: &mut dyn RunWatch,
) -> anyhow::Result<()> {
    let mut lines = None;
    for event in events {
        match event {
            TrainEvent::Began { device, epochs, steps, epochs_done, init } => {
                lines = Some(open_metrics(&place.folder.join("metrics.jsonl"), epochs_done)?);
                begin(reporter, &device, u64::from(epochs) * steps as u64, init);
            }
            TrainEvent::Step { epoch, step, steps, loss, images_per_s, data_wait_share } => {
                let note = format!(
                    "epoch {epoch}, loss {loss:.3}, {images_per_s:.0} images/s, waiting {:.0} %",
                    data_wait_share * 100.0
                );
                let done = (u64::from(epoch) - 1) * steps as u64 + step as u64;
                reporter.report(&Event::Advanced { task: TASK.to_owned(), done, note });
            }
            TrainEvent::Epoch(metrics) => {
                if let Some(file) = &mut lines {
                    writeln!(file, "{}", serde_json::to_string(&*metrics)?)?;
                }
                watch.epoch(&metrics)?;
            }
            TrainEvent::Relabelled(relabels) => watch.relabelled(&relabels)?,
            TrainEvent::Saved { .. } | TrainEvent::Ended(_) => {}
        }
    }
    Ok(())
}

fn begin(reporter: &dyn Reporter, device: &str, steps: u64, init: Option<String>) {
    for text in [Some(format!("training on {device}")), init].into_iter().flatten() {
        reporter.report(&Event::Said { text });
    }
    reporter.report(&Event::Began { task: TASK.to_owned(), total: Some(steps), unit: "steps".to_owned() });
}

/// Opens `metrics.jsonl` with one line for each epoch that the checkpoint has done; later ones are done again.
fn open_metrics(path: &Path, epochs_done: u32) -> anyhow::Result<File> {
    let before = std::fs::read_to_string(path).unwrap_or_default();
    let kept: String = before.lines().take(epochs_done as usize).map(|line| format!("{line}\n")).collect();
    let mut file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(kept.as_bytes())?;
    Ok(file)
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn closing_words(trained: &Trained) -> String {
    let percent =
        |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    let labels = trained.labels.map_or_else(String::new, |labels| {
        format!(
            ", wrong labels {:.1} % → {:.1} % (fixed {:.1} %, broken {:.1} %)",
            100.0 * labels.before,
            100.0 * labels.left,
            100.0 * labels.fixed,
            100.0 * labels.broken
        )
    });
    format!(
        "{}: last-5 accuracy {}, best {}, mean class {}{labels}",
        trained.method,
        percent(trained.last5_accuracy),
        percent(trained.best_accuracy),
        percent(trained.mean_class_accuracy)
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TrainArgs,
    }

    fn parse(words: &[&str]) -> TrainArgs {
        Line::try_parse_from([&["train"], words].concat()).unwrap().args
    }

    #[test]
    fn flags_win_over_the_preset() {
        let recipe = parse(&["--preset", "paper", "--epochs", "3", "--margin-2", "0.4"]).recipe();
        assert_eq!((recipe.epochs, recipe.batch_size, recipe.scn.margin_2), (3, 1024, 0.4));
        assert_eq!(recipe.scn.relabel_scope, RelabelScope::LowGroup);
    }

    #[test]
    fn a_smaller_batch_gets_the_smaller_margin_unless_one_is_named() {
        assert_eq!(parse(&["--preset", "paper", "--batch-size", "64"]).recipe().scn.margin_1, 0.07);
        let named = parse(&["--batch-size", "64", "--margin-1", "0.15"]);
        assert_eq!(named.recipe().scn.margin_1, 0.15);
    }

    #[test]
    fn datasets_are_named_by_kind_and_folder() {
        let args = parse(&["--dataset", "raf-db:/data/raf", "--dataset", "folder:x"]);
        assert_eq!(args.dataset, [DatasetArg::RafDb("/data/raf".into()), DatasetArg::Folder("x".into())]);
        assert_eq!(parse(&[]).dataset, [DatasetArg::Catalog]);
        assert!(Line::try_parse_from(["train", "--dataset", "imagenet:x"]).is_err());
    }

    #[test]
    fn a_missing_folder_ends_with_two_and_a_hint() {
        let failure = parse(&["--dataset", "raf-db:/nowhere"]).training_set(None).unwrap_err();
        assert_eq!(failure.exit(), crate::failure::Exit::Usage);
        assert!(failure.hint.is_some());
    }
}

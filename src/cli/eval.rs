//! `webemotion eval`: measures a trained net on a data set on disk, class by class.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::asked_net::NetArgs;
use super::train::DatasetArg;
use super::train::dataset::{ReadingArgs, say_remarks, word};
use super::{Global, say};
use crate::failure::{Exit, Failure, Reason};
use crate::train::data::{self, TrainingSet};
use crate::train::metrics::SplitMetrics;
use crate::train::predict::{Measured, NetCard};
use crate::types::Split;
use crate::words::{plural, share};

/// Flags of `eval`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  webemotion eval --run scn-1 --dataset raf-db:/data/rafdb\n  \
    webemotion eval --net best.safetensors --dataset folder:birds --split validation --json")]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    net: NetArgs,
    /// auto, cpu or cuda:N
    #[arg(long, value_parser = crate::cli::asked_net::device_word, default_value = "auto")]
    device: String,
    /// What to measure on; several are joined by class name
    #[arg(long, required = true, value_name = "raf-db:DIR|ferplus:DIR|affectnet:DIR|folder:DIR")]
    dataset: Vec<DatasetArg>,
    #[command(flatten)]
    readings: ReadingArgs,
    /// Which part of it [default: test, else validation, else all]
    #[arg(long, value_enum)]
    split: Option<PartArg>,
}

/// `--split`
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PartArg {
    Train,
    Validation,
    Test,
    All,
}

/// The result: what was measured, and on which data.
struct Evaluation {
    net: PathBuf,
    classes: Vec<String>,
    data: String,
    part: String,
    samples: usize,
    /// The number of samples of each class that the net does not have.
    left_out: BTreeMap<String, usize>,
    unreadable: Vec<String>,
    metrics: SplitMetrics,
}

/// Runs the command.
pub(crate) async fn run(args: EvalArgs, global: &Global) -> anyhow::Result<Exit> {
    let (global, json) = (global.clone(), global.json);
    let evaluation = tokio::task::spawn_blocking(move || evaluate(&args, &global)).await??;
    if json {
        say(evaluation.json());
    } else {
        say(evaluation.describe());
    }
    Ok(Exit::Done)
}

fn evaluate(args: &EvalArgs, global: &Global) -> Result<Evaluation, Failure> {
    let set = args.set()?;
    let (net, predictor) = args.net.load(global, &args.device)?;
    let part = args.split.unwrap_or_else(|| usual_part(&set));
    say_remarks(&set);
    if part == PartArg::All && was_trained_on(predictor.card(), &set) {
        tracing::warn!("the net was trained on {}: what is measured are its training samples too", set.name);
    }
    let (labels, left_out) = labels(&set, part, predictor.card())?;
    let Measured { samples, unreadable, metrics } =
        predictor.measure(&set, &labels).map_err(|error| error.failure())?;
    let part = word(part);
    let classes = predictor.card().classes.clone();
    Ok(Evaluation { net, classes, data: set.name, part, samples, left_out, unreadable, metrics })
}

impl EvalArgs {
    fn set(&self) -> Result<TrainingSet, Failure> {
        if self.dataset.contains(&DatasetArg::Catalog) {
            return Err(Failure::permanent(Reason::Usage, "eval measures on data sets on disk only")
                .with_hint("`webemotion report --run NAME` shows how a run did on the catalog"));
        }
        let sets = self.dataset.iter().map(|dataset| self.readings.read(dataset)).collect::<Result<_, _>>();
        sets.and_then(data::unite).map_err(|error| error.failure())
    }
}

fn usual_part(set: &TrainingSet) -> PartArg {
    match () {
        () if set.splits.contains(&Split::Test) => PartArg::Test,
        () if set.splits.contains(&Split::Validation) => PartArg::Validation,
        () => PartArg::All,
    }
}

/// Whether a net was trained on this set, by its name and counts. Its validation part may have been held out from the
/// training part of this set.
fn was_trained_on(card: &NetCard, set: &TrainingSet) -> bool {
    let counts = |summary: &str| {
        let numbers =
            summary.split(|letter: char| !letter.is_ascii_digit()).filter_map(|word| word.parse().ok());
        match numbers.collect::<Vec<usize>>()[..] {
            [classes, train, validation, test] => Some([classes, train + validation, test]),
            _ => None,
        }
    };
    let data = card.data.rsplit_once(": ");
    data.is_some_and(|(name, summary)| name == set.name && counts(summary) == counts(&set.summary()))
}

/// The samples to evaluate with their class in the net's order, and the number of samples of each class that the net does
/// not have. Classes are matched by name, as in joined sets.
fn labels(set: &TrainingSet, part: PartArg, card: &NetCard) -> Result<(Labels, LeftOut), Failure> {
    let is_asked = |sample: &usize| match part {
        PartArg::Train => set.splits[*sample] == Split::Train,
        PartArg::Validation => set.splits[*sample] == Split::Validation,
        PartArg::Test => set.splits[*sample] == Split::Test,
        PartArg::All => true,
    };
    let of_net = data::known_by(&card.classes);
    let own = |class: &String| of_net.iter().position(|known| known == class);
    let classes: Vec<Option<usize>> = data::known_by(&set.classes).iter().map(own).collect();
    let (mut labels, mut left_out) = (Labels::new(), LeftOut::new());
    if !(0..set.len()).any(|sample| is_asked(&sample)) {
        return Err(no_part(set, part));
    }
    for sample in (0..set.len()).filter(is_asked) {
        match classes[set.labels[sample]] {
            Some(label) => _ = labels.insert(sample, label),
            None => *left_out.entry(set.classes[set.labels[sample]].clone()).or_default() += 1,
        }
    }
    if labels.is_empty() {
        let classes = set.classes.join(", ");
        let detail = format!("no sample of {} ({classes}) has a class that the net knows", set.name);
        let hint = format!("the net knows {}", card.classes.join(", "));
        return Err(Failure::permanent(Reason::NothingToDo, detail).with_hint(hint));
    }
    Ok((labels, left_out))
}

/// The failure for a part that a set does not have.
fn no_part(set: &TrainingSet, part: PartArg) -> Failure {
    let has = |split: Split| match set.of_split(split).len() {
        0 => None,
        samples => Some(format!("{samples} {}", split.as_str())),
    };
    let parts: Vec<String> =
        [Split::Train, Split::Validation, Split::Test].into_iter().filter_map(has).collect();
    let detail = format!("{} has no {} part; it has {} samples", set.name, word(part), parts.join(" and "));
    Failure::permanent(Reason::NothingToDo, detail).with_hint("name another --split")
}

/// A class in the net's order for each sample.
type Labels = BTreeMap<usize, usize>;
/// How many samples each class has that the net lacks.
type LeftOut = BTreeMap<String, usize>;

impl Evaluation {
    fn json(&self) -> Value {
        let recalls: BTreeMap<&String, Option<f64>> =
            self.classes.iter().zip(self.metrics.recalls.iter().copied()).collect();
        json!({
            "event": "evaluated",
            "net": self.net.display().to_string(),
            "data": self.data,
            "split": self.part,
            "samples": self.samples,
            "left_out": self.left_out.values().sum::<usize>(),
            "left_out_classes": self.left_out,
            "unreadable": self.unreadable,
            "accuracy": self.metrics.accuracy,
            "mean_class_accuracy": self.metrics.mean_class_accuracy,
            "calibration_error": self.metrics.calibration_error,
            "loss": self.metrics.loss,
            "recalls": recalls,
            "classes": self.classes,
            "confusion": self.metrics.confusion,
        })
    }

    fn describe(&self) -> String {
        let Self { metrics, samples, part, data, .. } = self;
        let left_out: Vec<String> =
            self.left_out.iter().map(|(class, count)| format!("{count} of {class}")).collect();
        let left_out = match left_out.as_slice() {
            [] => String::new(),
            classes => format!(" (left out, for the net does not know them: {})", classes.join(", ")),
        };
        let recall = |(class, recall): (&String, &Option<f64>)| match recall {
            Some(recall) => format!("\n  {class:<12} {:>5.1} %", 100.0 * recall),
            None => format!("\n  {class:<12}     –"),
        };
        let recalls: String = self.classes.iter().zip(&metrics.recalls).map(recall).collect();
        let unreadable = self.unreadable.first().map_or_else(String::new, |first| {
            let pictures = plural(self.unreadable.len(), "picture");
            format!("\n  {pictures} cannot be read; the first: {first}")
        });
        format!(
            "eval: {data}, split {part}, {}{left_out}\n  \
             accuracy {}, mean class {}, calibration error {:.3}{unreadable}\nrecall:{recalls}",
            plural(*samples, "sample"),
            share(metrics.accuracy),
            share(metrics.mean_class_accuracy),
            metrics.calibration_error
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::drawn::shapes;
    use crate::train::predict::Predictor;
    use crate::train::recipe::Method;

    #[test]
    fn classes_are_matched_by_name_and_unknown_ones_are_counted() {
        let set = shapes(15, 1);
        let predictor = Predictor::untrained(Method::Baseline, &["ring", "star", "square"]);
        assert_eq!(usual_part(&set), PartArg::Test);
        let (labels, left_out) = labels(&set, PartArg::All, predictor.card()).unwrap();
        assert_eq!((labels.len(), left_out), (10, BTreeMap::from([("cross".to_owned(), 5)])));
        assert!(labels.iter().all(|(&sample, &label)| label == [2, 9, 0][set.labels[sample]]));
        let Measured { samples, metrics, .. } = predictor.measure(&set, &labels).unwrap();
        assert_eq!(samples, 10);
        assert_eq!(metrics.confusion[1], [0, 0, 0], "no star was asked about");
    }

    /// Three of the four pictures are damaged: too few are left to measure on.
    #[test]
    fn pictures_that_cannot_be_read_are_named_and_many_are_too_many() {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in
            [("a/1.png", None), ("a/2.png", Some("torn")), ("b/3.png", None), ("b/4.png", None)]
        {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match content {
                Some(content) => std::fs::write(&path, content).unwrap(),
                None => image::RgbImage::new(8, 8).save(&path).unwrap(),
            }
        }
        let set = data::folder(root.path()).unwrap();
        let predictor = Predictor::untrained(Method::Baseline, &["a", "b"]);
        let (labels, _) = labels(&set, PartArg::All, predictor.card()).unwrap();
        let measured = predictor.measure(&set, &labels).unwrap();
        assert_eq!((measured.samples, measured.unreadable.len()), (3, 1));
        assert!(measured.unreadable[0].contains("2.png"), "{:?}", measured.unreadable);
        for name in ["a/1.png", "b/3.png"] {
            std::fs::write(root.path().join(name), "torn").unwrap();
        }
        let error = predictor.measure(&set, &labels).err().unwrap().to_string();
        assert!(error.starts_with("3 of 4 pictures cannot be read"), "{error}");
    }

    #[test]
    fn an_emotion_is_one_class_under_all_its_names() {
        let mut set = shapes(15, 1);
        set.classes = ["Angry", "happiness", "SAD"].map(str::to_owned).to_vec();
        let predictor = Predictor::untrained(Method::Baseline, &["happy", "sadness", "anger"]);
        let (labels, left_out) = labels(&set, PartArg::All, predictor.card()).unwrap();
        assert!((labels.len(), left_out.len()) == (15, 0));
        assert!(labels.iter().all(|(&sample, &label)| label == [2, 0, 1][set.labels[sample]]));
    }

    #[test]
    fn a_missing_part_is_refused_with_a_list_of_the_parts() {
        let mut set = shapes(15, 1);
        set.splits.fill(Split::Train);
        set.splits[..5].fill(Split::Validation);
        let predictor = Predictor::untrained(Method::Baseline, &["ring", "square"]);
        let failure = labels(&set, PartArg::Test, predictor.card()).unwrap_err();
        assert_eq!(failure.exit(), Exit::NothingToDo);
        assert_eq!(failure.detail, "shapes has no test part; it has 10 train and 5 validation samples");
    }

    /// With a tenth of it held out while the net was trained.
    #[test]
    fn a_net_was_trained_on_a_set_with_the_same_name_and_counts() {
        let mut set = shapes(20, 1);
        let card = |data: &str| NetCard {
            data: data.to_owned(),
            ..Predictor::untrained(Method::Baseline, &["ring", "star"]).card().clone()
        };
        set.splits.fill(Split::Train);
        assert!(was_trained_on(&card("shapes: 3 classes, 18 train, 2 validation, 0 test"), &set));
        assert!(!was_trained_on(&card("shapes: 3 classes, 19 train, 2 validation, 0 test"), &set));
        assert!(!was_trained_on(&card("others: 3 classes, 18 train, 2 validation, 0 test"), &set));
        assert!(!was_trained_on(&card("nothing"), &set));
    }

    #[test]
    fn a_net_without_a_common_class_is_refused() {
        let predictor = Predictor::untrained(Method::Baseline, &["anger", "fear"]);
        let failure = labels(&shapes(15, 1), PartArg::All, predictor.card()).unwrap_err();
        assert_eq!(failure.hint.as_deref(), Some("the net knows anger, fear"));
    }
}

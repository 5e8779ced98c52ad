//! `webemotion export-net`: writes a trained net for other programs, with a model card.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::asked_net::NetArgs;
use super::train::folder;
use super::{Global, say};
use crate::failure::{Exit, Failure};
use crate::files::write_whole;
use crate::train::Trained;
use crate::train::predict::{NetCard, Predictor};
use crate::words::{self, NOT_KNOWN, known};

/// Flags of `export-net`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  webemotion export-net --run scn-1 --to exported\n  \
    webemotion export-net --net best.safetensors --to exported --json\n\n\
    Writes net.safetensors (params under PyTorch's names), net.pt (TorchScript) and README.md (the card).")]
pub(crate) struct ExportNetArgs {
    #[command(flatten)]
    net: NetArgs,
    /// The folder to write into; made when it is not there
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Runs the command.
pub(crate) async fn run(args: ExportNetArgs, global: &Global) -> anyhow::Result<Exit> {
    let (global, json) = (global.clone(), global.json);
    let (net, files) = tokio::task::spawn_blocking(move || export(&args, &global)).await??;
    if json {
        say(json!({"event": "exported", "net": net.display().to_string(), "files": files}));
    } else {
        say(format_args!("export-net: {} as {}", net.display(), files.join(", ")));
    }
    Ok(Exit::Done)
}

fn export(args: &ExportNetArgs, global: &Global) -> Result<(PathBuf, Vec<String>), Failure> {
    let net = args.net.path(global)?;
    let predictor = Predictor::load_plain(&net)?;
    std::fs::create_dir_all(&args.to).map_err(|error| Failure::unwritable(&args.to, &error))?;
    let [params, script, card] = ["net.safetensors", "net.pt", "README.md"].map(|name| args.to.join(name));
    predictor.export(&params)?;
    predictor.export_script(&script)?;
    let text = describe(predictor.card(), Ended::of(&net).as_ref())?;
    write_whole(&card, text.as_bytes()).map_err(|error| Failure::unwritable(&card, &error))?;
    Ok((net, [params, script, card].iter().map(|path| path.display().to_string()).collect()))
}

/// The run of a net.
struct Ended {
    name: String,
    trained: Trained,
}

impl Ended {
    /// `None` for a file outside the folder of a finished run.
    fn of(net: &Path) -> Option<Self> {
        let folder = net.parent()?;
        let name = folder::closing_line(folder)?.run;
        Some(Self { name, trained: folder::result(folder)? })
    }

    /// The measures, as rows of a table.
    fn rows(&self) -> String {
        let (trained, measures) = (&self.trained, self.trained.measures());
        let on = match measures.measured_on {
            Some(on) if on.chose_the_best() => format!("{on}, which also chose the best epoch"),
            Some(on) => on.to_string(),
            None => "nothing".to_owned(),
        };
        let last = trained.last.as_ref();
        let recalls = last.map(|last| {
            let recalls = trained.classes.iter().zip(&last.recalls);
            recalls
                .map(|(class, recall)| format!("{class} {}", percent(*recall)))
                .collect::<Vec<_>>()
                .join(", ")
        });
        let calibration = last.map(|last| format!("{:.3}", last.calibration_error));
        let (fixed, broken, left) = (measures.labels.fixed, measures.labels.broken, measures.labels.left);
        [
            ("Run", self.name.clone()),
            ("Measured on", on),
            ("Last-5 accuracy", percent(measures.last5_accuracy)),
            ("Best accuracy", percent(measures.best_accuracy)),
            ("Mean class accuracy", percent(measures.mean_class_accuracy)),
            ("Recall, last epoch", recalls.unwrap_or_else(not_known)),
            ("Calibration error, last epoch", calibration.unwrap_or_else(not_known)),
            (
                "Wrong labels fixed / right ones broken / wrong in the end",
                [fixed, broken, left].map(percent).join(" / "),
            ),
        ]
        .map(|(name, value)| format!("| {name} | {value} |\n"))
        .concat()
    }
}

fn percent(share: Option<f64>) -> String {
    known(share, words::share)
}

fn not_known() -> String {
    NOT_KNOWN.to_owned()
}

/// The flags that the data were read with, in words, including label noise.
fn flags(card: &NetCard) -> String {
    if card.flags.is_empty() {
        return not_known();
    }
    let in_words = |(name, value): (&String, &Value)| match value {
        Value::Array(words) => {
            words.iter().map(|word| format!("--{name} {}", plain(word))).collect::<Vec<_>>().join(", ")
        }
        value => format!("--{name} {}", plain(value)),
    };
    card.flags.iter().map(in_words).collect::<Vec<_>>().join(", ")
}

/// A JSON value without quotes, escaped for a table cell.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |word| without_folders(word).replace('|', "\\|"))
}

/// A word with only the last part of its path, if it has one: `folder:faces` for `folder:/home/me/faces`. The card is for
/// others, who need not know where that is.
fn without_folders(word: &str) -> String {
    let Some((head, path)) = word.split_once('/') else { return word.to_owned() };
    let kind = head.find(':').map_or("", |colon| &head[..=colon]);
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    format!("{kind}{last}")
}

fn describe(card: &NetCard, ended: Option<&Ended>) -> Result<String, Failure> {
    let recipe = &card.recipe;
    let classes = card.classes.iter().enumerate().map(|(at, class)| format!("{at} {class}"));
    let measured = ended.map_or_else(|| "| Run, measures | not known |\n".to_owned(), Ended::rows);
    let (mean, deviation) = recipe.normalise.mean_and_deviation();
    let (side, arch, method) = (recipe.image_size, recipe.arch.as_str(), recipe.method.as_str());
    let json = serde_json::to_string_pretty(recipe);
    let json = json.map_err(|error| Failure::bug(format!("a recipe is no JSON: {error}")))?;
    Ok(format!(
        "# {arch}, trained by webemotion ({method})

| | |
| --- | --- |
| Data | {data} |
| Data read with | {flags} |
| Classes | {classes} |
| Picture | RGB, {side}×{side} px, upright face crop, 0 to 1, less {mean:?}, divided by {deviation:?} |
| Recipe | sha256 {hash} |
{measured}
## Use

    import torch                              # TorchScript: normalisation is inside
    net = torch.jit.load(\"net.pt\")
    answers = net(pictures)                   # N×3×{side}×{side}, RGB, 0 to 1
    probabilities, importance = answers[:, :-1], answers[:, -1]

    from safetensors.torch import load_file   # the params, under torchvision's names of {arch}; normalise yourself
    params = load_file(\"net.safetensors\")     # and `alpha`, the importance head: one dense layer, then a sigmoid

`importance` says how far the net trusts a picture and its label, 0 to 1; it means something for the method `scn` only.

## Limits

- It names the expression that a face shows to people who labelled such pictures, or the word that a video was found by.
  It does not know what a person feels, and must not decide about anybody.
- It is as good as the measures above say on data like its own; other cameras, ages, skin tones and cultures were not
  measured. Measure it with `webemotion eval` before it is used.
- Faces must be found and made upright as in training; `webemotion predict` does so for nets that were trained on a
  catalog's samples. Confidence is not calibrated for other data.

## Recipe

```json
{json}
```
",
        data = card.data,
        flags = flags(card),
        classes = classes.collect::<Vec<_>>().join(", "),
        hash = recipe.hash(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::metrics::SplitMetrics;
    use crate::train::recipe::Method;
    use crate::types::Split;

    /// The results of a run on one picture of anger and one of fear, which it classified as anger.
    fn ended(measured_on: Split) -> Ended {
        let last = SplitMetrics {
            recalls: vec![Some(1.0), Some(0.0)],
            confusion: vec![vec![1, 0], vec![1, 0]],
            calibration_error: 0.25,
            ..SplitMetrics::default()
        };
        let trained = Trained {
            method: Method::Scn,
            recipe_hash: String::new(),
            classes: ["anger", "fear"].map(str::to_owned).to_vec(),
            device: "cpu".to_owned(),
            measured_on: Some(measured_on),
            last5_accuracy: Some(0.8123),
            best_accuracy: None,
            best_epoch: None,
            mean_class_accuracy: Some(0.5),
            last: Some(last),
            labels: None,
            importance_auc: None,
            images_per_s: 1.0,
            epochs: Vec::new(),
            relabels: Vec::new(),
            opinions: Vec::new(),
            unreadable: Vec::new(),
        };
        Ended { name: "scn-3".to_owned(), trained }
    }

    #[test]
    fn a_card_has_data_recipe_measures_and_limits_and_names_what_is_unknown() {
        let net = Predictor::untrained(Method::Scn, &["anger", "fear"]);
        let text = describe(net.card(), Some(&ended(Split::Test))).unwrap();
        let (hash, less) = (net.card().recipe.hash(), "less [0.485, 0.456, 0.406]");
        for words in ["scn-3", "0 anger, 1 fear", "81.2 %", &hash, less, "must not decide"] {
            assert!(text.contains(words), "{words} is missing:\n{text}");
        }
        for row in [
            "| Measured on | 2 test samples |",
            "| Best accuracy | not known |",
            "| Mean class accuracy | 50.0 % |",
            "| Recall, last epoch | anger 100.0 %, fear 0.0 % |",
            "| Calibration error, last epoch | 0.250 |",
        ] {
            assert!(text.contains(row), "{row} is missing:\n{text}");
        }
        let unknown = describe(net.card(), None).unwrap();
        assert!(unknown.contains("| Run, measures | not known |"), "{unknown}");
    }

    #[test]
    fn a_card_names_the_label_noise() {
        let mut card = Predictor::untrained(Method::Scn, &["anger", "fear"]).card().clone();
        assert!(describe(&card, None).unwrap().contains("| Data read with | not known |"));
        let flags = [
            ("dataset", json!(["folder:/home/jane/a", "folder:b", "raf-db:../raf/"])),
            ("noisy-labels", json!("/home/jane/list.csv")),
            ("noise", json!(0.25)),
            ("noise-kind", json!("pair")),
        ];
        card.flags = flags.map(|(name, value)| (name.to_owned(), value)).into();
        let read_with = "--dataset folder:a, --dataset folder:b, --dataset raf-db:raf, --noise 0.25, --noise-kind pair, \
                    --noisy-labels list.csv";
        let text = describe(&card, None).unwrap();
        assert!(text.contains(&format!("| Data read with | {read_with} |")), "{text}");
    }

    #[test]
    fn a_card_says_that_the_best_epoch_was_chosen_on_the_same_samples() {
        let rows = ended(Split::Validation).rows();
        assert!(rows.contains("| Measured on | 2 validation samples, which also chose the best epoch |"));
    }
}

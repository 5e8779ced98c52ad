//! `webemotion export-net`: a trained net for other programs, with a card that says what it is and is not.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

use super::asked_net::NetArgs;
use super::{Global, say};
use crate::failure::Exit;
use crate::train::predict::{NetCard, Predictor};
use crate::train::write_whole;

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

fn export(args: &ExportNetArgs, global: &Global) -> anyhow::Result<(PathBuf, Vec<String>)> {
    let net = args.net.path(global)?;
    let predictor = Predictor::load_plain(&net).map_err(|error| error.failure())?;
    std::fs::create_dir_all(&args.to).with_context(|| format!("cannot make {}", args.to.display()))?;
    let [params, script, card] = ["net.safetensors", "net.pt", "README.md"].map(|name| args.to.join(name));
    predictor.export(&params).map_err(|error| error.failure())?;
    predictor.export_script(&script).map_err(|error| error.failure())?;
    let text = describe(predictor.card(), &measures(&net))?;
    write_whole(&card, text.as_bytes()).with_context(|| format!("cannot write {}", card.display()))?;
    Ok((net, [params, script, card].iter().map(|path| path.display().to_string()).collect()))
}

/// What a run's end says of it; null for a file that lies in no finished run.
fn measures(net: &Path) -> Value {
    let closing = net.parent().map(|folder| folder.join("closing.json"));
    let text = closing.and_then(|path| std::fs::read(path).ok());
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn describe(card: &NetCard, measures: &Value) -> anyhow::Result<String> {
    let recipe = &card.recipe;
    let classes = card.classes.iter().enumerate().map(|(at, class)| format!("{at} {class}"));
    let percent = |name: &str| match measures[name].as_f64() {
        Some(share) => format!("{:.1} %", 100.0 * share),
        None => "not known".to_owned(),
    };
    let labels = |name: &str| match measures["labels"][name].as_f64() {
        Some(share) => format!("{:.1} %", 100.0 * share),
        None => "not known".to_owned(),
    };
    let (mean, deviation) = recipe.normalise.mean_and_deviation();
    let (side, arch, method) = (recipe.image_size, recipe.arch.as_str(), recipe.method.as_str());
    Ok(format!(
        "# {arch}, trained by webemotion ({method})

| | |
| --- | --- |
| Run | {run} |
| Data | {data} |
| Classes | {classes} |
| Picture | RGB, {side}×{side} px, upright face crop, 0 to 1, less {mean:?}, divided by {deviation:?} |
| Recipe | sha256 {hash} |
| Last-5 accuracy | {last5} |
| Best accuracy | {best} |
| Mean class accuracy | {mean_class} |
| Wrong labels fixed / right ones broken / wrong in the end | {fixed} / {broken} / {left} |

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
- Faces must be found and made upright as in training (`webemotion predict` does so). Confidence is not calibrated for
  other data.

## Recipe

```json
{json}
```
",
        run = measures["run"].as_str().unwrap_or("not known"),
        data = card.data,
        classes = classes.collect::<Vec<_>>().join(", "),
        hash = recipe.hash(),
        last5 = percent("last5_accuracy"),
        best = percent("best_accuracy"),
        mean_class = percent("mean_class_accuracy"),
        fixed = labels("fixed"),
        broken = labels("broken"),
        left = labels("left"),
        json = serde_json::to_string_pretty(recipe)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::predict::Predictor;
    use crate::train::recipe::Method;

    #[test]
    fn a_card_tells_data_recipe_measures_and_limits_and_says_what_is_not_known() {
        let net = Predictor::untrained(Method::Scn, &["anger", "fear"]);
        let measures = json!({"run": "scn-3", "last5_accuracy": 0.8123, "labels": {"left": null}});
        let text = describe(net.card(), &measures).unwrap();
        let (hash, less) = (net.card().recipe.hash(), "less [0.485, 0.456, 0.406]");
        for words in ["scn-3", "0 anger, 1 fear", "81.2 %", &hash, less, "must not decide"] {
            assert!(text.contains(words), "{words} is missing:\n{text}");
        }
        assert!(text.contains("| Best accuracy | not known |"));
    }
}

//! `webemotion train`: one trainer thread, its events to whoever watches. Flags stand in `args` and `dataset`, what is
//! done around a run in `command`, its rows in `catalog`.

mod args;
mod catalog;
pub(crate) mod command;
pub mod dataset;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::Context;

use crate::clock::Stop;
use crate::progress::{Event, Reporter};
use crate::train::data::TrainingSet;
use crate::train::metrics::EpochMetrics;
use crate::train::recipe::Recipe;
use crate::train::{self, RunPlace, TrainError, TrainEvent, Trained};
use crate::types::Relabel;

pub use args::{ScnArgs, TrainArgs};
pub use dataset::DatasetArg;

/// Events that wait between the trainer and the terminal.
const WAITING_EVENTS: usize = 64;
/// The reporter's name of this work.
const TASK: &str = "train";

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
/// A [`crate::failure::Failure`] with the exit code: 130 when stopped (a checkpoint is there), 2 for wrong flags or data.
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

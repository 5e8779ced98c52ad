//! `webemotion train`: one trainer thread, its events to whoever watches. Flags stand in `args`, `loop_args`,
//! `method_args` and `dataset`, what is done around a run in `command`, its rows in `catalog`.

mod args;
mod catalog;
mod closing;
pub(crate) mod command;
pub mod dataset;
mod diary;
mod drawn;
pub(crate) mod folder;
mod loop_args;
mod method_args;
mod opinions;
pub(crate) mod spread;
mod tensorboard;

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::Context;

use crate::clock::{Clock, Stop};
use crate::progress::{Event, Reporter};
use crate::train::data::TrainingSet;
use crate::train::metrics::EpochMetrics;
use crate::train::recipe::Recipe;
use crate::train::{self, RunPlace, TrainError, TrainEvent, Trained};
use crate::types::Relabel;

pub use args::{CommonArgs, MethodArg, TrainArgs};
pub(crate) use catalog::todays_samples;
pub use dataset::DatasetArg;
use diary::Diary;

/// Events that wait between the trainer and the terminal.
const WAITING_EVENTS: usize = 64;
/// The reporter's name of this work.
const TASK: &str = "train";

/// What a run tells the catalog while it goes on; the default tells nobody. A resumed run says its epochs and label
/// changes again: the process before may have been killed before they were written down.
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

/// Trains on one trainer thread and reports until it ends. Keeps a diary beside the checkpoints in
/// `place.folder`, and goes on where a checkpoint stands there.
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
    let (sender, receiver) = sync_channel(WAITING_EVENTS);
    let trained = thread::scope(|scope| {
        let work = move || train::train(recipe, set, place, &sender, stop);
        let trainer = thread::Builder::new().name("trainer".to_owned()).spawn_scoped(scope, work)?;
        let watched = follow(&receiver, place, reporter, watch);
        if watched.is_err() {
            // Nobody would write down what the trainer finds: it saves and ends, and can be resumed.
            stop.ask();
        }
        drop(receiver);
        let trained =
            trainer.join().unwrap_or_else(|_| Err(TrainError::Torch("the trainer panicked".to_owned())));
        anyhow::Ok((trained, watched))
    });
    let (trained, watched) = trained?;
    watched?;
    let trained = trained.map_err(|error| error.failure())?;
    reporter.report(&Event::Ended { task: TASK.to_owned(), note: closing::words(&trained) });
    Ok(trained)
}

/// Reports events until the trainer hangs up.
fn follow(
    events: &Receiver<TrainEvent>,
    place: &RunPlace,
    reporter: &dyn Reporter,
    watch: &mut dyn RunWatch,
) -> anyhow::Result<()> {
    let mut diary = None;
    for event in events {
        match event {
            TrainEvent::Began { device, epochs, steps, history, relabels, init } => {
                diary = Some(Diary::begin(&place.folder, &history, Clock::system())?);
                history.iter().try_for_each(|metrics| watch.epoch(metrics))?;
                watch.relabelled(&relabels)?;
                begin(reporter, &device, u64::from(epochs) * steps as u64, init);
            }
            TrainEvent::Scouting { scout, scouts, epoch, images_per_s } => {
                let note = format!("scout {scout} of {scouts}, epoch {epoch}, {images_per_s:.0} images/s");
                reporter.report(&Event::Advanced { task: TASK.to_owned(), done: 0, note });
            }
            TrainEvent::Step { epoch, step, steps, loss, accuracy, images_per_s, data_wait_share } => {
                let note = format!(
                    "epoch {epoch}, loss {loss:.3}, accuracy {:.1} %, {images_per_s:.0} images/s, waiting {:.0} %",
                    accuracy * 100.0,
                    data_wait_share * 100.0
                );
                let done = (u64::from(epoch) - 1) * steps as u64 + step as u64;
                reporter.report(&Event::Advanced { task: TASK.to_owned(), done, note });
            }
            TrainEvent::Epoch(metrics) => {
                if let Some(diary) = &mut diary {
                    diary.epoch(&metrics)?;
                }
                watch.epoch(&metrics)?;
                let measures = serde_json::to_value(&*metrics)?;
                reporter.report(&Event::Measured { task: TASK.to_owned(), measures });
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

//! `webemotion train`: runs the trainer on a thread and reports its events. The flags are in `args`, `loop_args`,
//! `method_args` and `dataset`, the command in `command`, a run's sample list in `catalog` and its rows in `rows`.

mod args;
mod catalog;
mod closing;
pub(crate) mod command;
pub mod dataset;
mod drawn;
mod epoch_log;
pub(crate) mod folder;
mod loop_args;
mod method_args;
mod opinions;
mod pictures;
mod rows;
pub(crate) mod spread;
mod tensorboard;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use serde::Serialize;
use serde_json::json;

use super::Session;
use crate::clock::{Clock, Stop};
use crate::failure::Failure;
use crate::progress::{Event, Reporter};
use crate::train::data::TrainingSet;
use crate::train::metrics::EpochMetrics;
use crate::train::recipe::Recipe;
use crate::train::{self, RunPlace, Step, TrainError, TrainEvent, Trained};
use crate::types::Relabel;

pub use args::{CommonArgs, MethodArg, TrainArgs};
pub(crate) use catalog::{check_training, todays_samples};
pub use dataset::DatasetArg;
use epoch_log::EpochLog;

/// Capacity of the channel from the trainer to the reporter, events.
const WAITING_EVENTS: usize = 64;
/// The reporter's name of the training.
const TASK: &str = "train";
/// The reporter's name of the out-of-fold nets that `cure` trains first.
const SCOUTS: &str = "scouts";

/// Receives progress, and may stop a training.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) reporter: Arc<dyn Reporter>,
    pub(crate) stop: Stop,
}

impl Caller {
    /// The caller of a session.
    fn of(session: &Session) -> Self {
        Self { reporter: session.reporter.clone(), stop: session.stop.clone() }
    }
}

/// What a run needs: its recipe, its training set, and its folder and device.
struct TrainPlan {
    recipe: Recipe,
    set: TrainingSet,
    place: RunPlace,
}

/// Receives the results of a run under way; by default they are ignored. A resumed run repeats its earlier epochs and label
/// changes, since the previous process may have been killed before it stored them.
trait RunWatch {
    /// An epoch was measured.
    fn epoch(&mut self, _metrics: &EpochMetrics) -> Result<(), Failure> {
        Ok(())
    }

    /// Labels were changed.
    fn relabelled(&mut self, _relabels: &[Relabel]) -> Result<(), Failure> {
        Ok(())
    }
}

/// Ignores the results: for data sets on disk.
struct NoWatch;

impl RunWatch for NoWatch {}

/// Trains on a thread of its own, and reports until it ends. Logs the epochs beside the checkpoints in the run's folder,
/// and resumes from a checkpoint that is there.
///
/// # Errors
/// With the exit code: 130 when stopped (a checkpoint is there), 2 for wrong flags or data.
fn run_trainer(plan: &TrainPlan, caller: &Caller, watch: &mut dyn RunWatch) -> Result<Trained, Failure> {
    let TrainPlan { recipe, set, place } = plan;
    recipe.check()?;
    std::fs::create_dir_all(&place.folder).map_err(|error| Failure::unwritable(&place.folder, &error))?;
    let (sender, receiver) = sync_channel(WAITING_EVENTS);
    let (trained, watched) = thread::scope(|scope| {
        let work = move || train::train(recipe, set, place, &sender, &caller.stop);
        let trainer = thread::Builder::new().name("trainer".to_owned()).spawn_scoped(scope, work);
        let trainer = trainer.map_err(|error| Failure::bug(format!("cannot start the trainer: {error}")))?;
        let watched = follow(&receiver, place, caller.reporter.as_ref(), watch);
        if watched.is_err() {
            // The results can no longer be stored: the trainer saves a checkpoint and ends, and can be resumed.
            caller.stop.ask();
        }
        drop(receiver);
        let trained =
            trainer.join().unwrap_or_else(|_| Err(TrainError::Torch("the trainer panicked".to_owned())));
        Ok::<_, Failure>((trained, watched))
    })?;
    watched?;
    let trained = trained?;
    let note = closing::words(&trained);
    caller.reporter.report(&Event::Ended { task: TASK.to_owned(), note });
    Ok(trained)
}

/// Reports events until the trainer closes its channel.
fn follow(
    events: &Receiver<TrainEvent>,
    place: &RunPlace,
    reporter: &dyn Reporter,
    watch: &mut dyn RunWatch,
) -> Result<(), Failure> {
    let (mut log, mut bars) = (None, Bars { reporter, scouting: false });
    for event in events {
        match event {
            TrainEvent::Began { device, epochs, steps, history, relabels, init } => {
                log = Some(EpochLog::begin(&place.folder, &history, Clock::system())?);
                history.iter().try_for_each(|metrics| watch.epoch(metrics))?;
                watch.relabelled(&relabels)?;
                for text in [Some(format!("training on {device}")), init].into_iter().flatten() {
                    reporter.report(&Event::Said { text });
                }
                bars.begin(TASK, u64::from(epochs) * steps as u64);
            }
            TrainEvent::Scouting { scout, scouts, epochs, step } => {
                bars.scouting(scout, scouts, u64::from(epochs) * step.steps as u64, &step);
            }
            TrainEvent::Step(step) => bars.step(&step),
            TrainEvent::Epoch(metrics) => {
                if let Some(log) = &mut log {
                    log.epoch(&metrics)?;
                }
                watch.epoch(&metrics)?;
                reporter.report(&Event::Measured { task: TASK.to_owned(), measures: json!(metrics) });
            }
            TrainEvent::Relabelled(relabels) => watch.relabelled(&relabels)?,
        }
    }
    Ok(())
}

/// The progress bars of a run: its own steps, and before them those of its out-of-fold nets.
struct Bars<'a> {
    reporter: &'a dyn Reporter,
    /// The bar of the out-of-fold nets has begun and not ended.
    scouting: bool,
}

impl Bars<'_> {
    fn begin(&self, task: &str, steps: u64) {
        let (task, unit) = (task.to_owned(), "steps".to_owned());
        self.reporter.report(&Event::Began { task, total: Some(steps), unit });
    }

    /// A step of out-of-fold net number `scout`, from 1, of `scouts`, each of which takes at most `steps_each` steps.
    fn scouting(&mut self, scout: u32, scouts: u32, steps_each: u64, step: &Step) {
        if !self.scouting {
            self.begin(SCOUTS, u64::from(scouts) * steps_each);
            self.scouting = true;
        }
        let done = u64::from(scout - 1) * steps_each + step.done();
        let note = format!("scout {scout} of {scouts}, {}", words(step));
        self.reporter.report(&Event::Advanced { task: SCOUTS.to_owned(), done, note, throughput: None });
    }

    /// A step of the run itself: the out-of-fold nets are done.
    fn step(&mut self, step: &Step) {
        if std::mem::take(&mut self.scouting) {
            let note = "what they tell is weighed against the labels".to_owned();
            self.reporter.report(&Event::Ended { task: SCOUTS.to_owned(), note });
        }
        let (done, note) = (step.done(), words(step));
        self.reporter.report(&Event::Advanced { task: TASK.to_owned(), done, note, throughput: None });
    }
}

/// A value of this program as one line of JSON.
pub(super) fn json_line(made: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(made).map_err(|error| Failure::bug(format!("this is no JSON: {error}")))
}

fn words(step: &Step) -> String {
    format!(
        "epoch {}, loss {:.3}, accuracy {:.1} %, {:.0} images/s, waiting {:.0} %",
        step.epoch,
        step.loss,
        step.accuracy * 100.0,
        step.images_per_s,
        step.data_wait_share * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records all events.
    #[derive(Default)]
    struct Recorder(std::sync::Mutex<Vec<Event>>);

    impl Reporter for Recorder {
        fn report(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }

    /// Two out-of-fold nets of at most three epochs with five steps; the first ended after one epoch.
    #[test]
    fn out_of_fold_nets_have_a_bar_of_their_own_that_ends_when_the_runs_own_training_begins() {
        let step = |epoch, step| Step {
            epoch,
            step,
            steps: 5,
            loss: 1.5,
            accuracy: 0.25,
            images_per_s: 80.0,
            data_wait_share: 0.01,
        };
        let scouting =
            |scout, epoch, at| TrainEvent::Scouting { scout, scouts: 2, epochs: 3, step: step(epoch, at) };
        let folder = tempfile::tempdir().unwrap();
        let place = RunPlace { folder: folder.path().to_owned(), device: "cpu".to_owned() };
        let (sender, receiver) = sync_channel(8);
        for event in [scouting(1, 1, 5), scouting(2, 3, 4), TrainEvent::Step(step(2, 1))] {
            sender.send(event).unwrap();
        }
        drop(sender);
        let recorder = Recorder::default();
        follow(&receiver, &place, &recorder, &mut NoWatch).unwrap();

        let words = "loss 1.500, accuracy 25.0 %, 80 images/s, waiting 1 %";
        let advanced = |task: &str, done, note: String| Event::Advanced {
            task: task.to_owned(),
            done,
            note,
            throughput: None,
        };
        let ended = "what they tell is weighed against the labels".to_owned();
        let expected = [
            Event::Began { task: SCOUTS.to_owned(), total: Some(30), unit: "steps".to_owned() },
            advanced(SCOUTS, 5, format!("scout 1 of 2, epoch 1, {words}")),
            advanced(SCOUTS, 29, format!("scout 2 of 2, epoch 3, {words}")),
            Event::Ended { task: SCOUTS.to_owned(), note: ended },
            advanced(TASK, 6, format!("epoch 2, {words}")),
        ];
        assert_eq!(*recorder.0.lock().unwrap(), expected);
    }
}

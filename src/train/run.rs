//! A run from its first epoch, or from its last checkpoint, to its end. Its state is [`Training`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;

use super::data::TrainingSet;
use super::error::TrainError;
use super::events::TrainEvent;
use super::recipe::Recipe;
use super::trained::Trained;
use super::training::{BEST, RunPlace, Training};
use super::{epoch, judge, predict};
use crate::clock::Stop;

/// Trains, or resumes from the checkpoint in the run's folder, and leaves `last.safetensors` and `best.safetensors`
/// there.
///
/// Blocks until the end. Events go to `events` (bounded; a dropped receiver stops nothing). When `stop` is asked, the
/// state is saved within a step and [`TrainError::Stopped`] returned. Another call with the same recipe, data and
/// folder resumes the run, and on a CPU gives the same bits as a run that was never stopped.
pub fn train(
    recipe: &Recipe,
    set: &TrainingSet,
    place: &RunPlace,
    events: &SyncSender<TrainEvent>,
    stop: &Stop,
) -> Result<Trained, TrainError> {
    recipe.check()?;
    set.check()?;
    set.check_training()?;
    recipe.check_for(set)?;
    guarded(recipe, &place.device, || run(&mut Training::begin(recipe, set, place, events, stop)?))
}

/// tch panics when libtorch throws; this turns the panic into an error with a remedy.
fn guarded<T>(
    recipe: &Recipe,
    device: &str,
    work: impl FnOnce() -> Result<T, TrainError>,
) -> Result<T, TrainError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned()));
        let text = text.unwrap_or_else(|| "a panic without words".to_owned());
        if text.contains("out of memory") || text.contains("can't allocate memory") {
            let Recipe { batch_size, accumulate, .. } = *recipe;
            return Err(TrainError::OutOfMemory { device: device.to_owned(), batch_size, accumulate });
        }
        Err(TrainError::Torch(text))
    })
}

fn run(training: &mut Training<'_>) -> Result<Trained, TrainError> {
    // A resumed run has checked them before.
    if (training.progress.epochs_done, training.progress.steps_done) == (0, 0) {
        judge::check_held_out(training)?;
    }
    training.begin_cure()?;
    while !training.is_over() {
        let (metrics, relabels) = epoch::train_one_epoch(training)?;
        // The best params first: a run that is killed between the two files repeats the epoch and writes both again.
        if training.end_epoch(&metrics) {
            predict::save_net(training, BEST)?;
        }
        training.save()?;
        // Only now: a run that is killed before the save repeats the epoch and sends the same events.
        if !relabels.is_empty() {
            training.send(TrainEvent::Relabelled(relabels));
        }
        if !training.is_last_unsent() {
            training.send(TrainEvent::Epoch(Box::new(metrics)));
        }
    }
    judge::finish(training)
}

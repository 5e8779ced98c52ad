//! One run from its first epoch, or from its last checkpoint, to its end: [`Training`] holds the state meanwhile.
//! What happens inside an epoch stands in [`super::epoch`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, no_grad};

use super::data::TrainingSet;
use super::epoch;
use super::error::TrainError;
use super::events::{TrainEvent, Trained};
use super::labels::Labels;
use super::loader::PictureShelf;
use super::metrics::EpochMetrics;
use super::net::Net;
use super::optim::Optimizer;
use super::params::Param;
use super::predict;
use super::recipe::{Method, Recipe};
use super::sums::EpochSums;
use super::{device, host, init, judge};
use crate::clock::Stop;
use crate::types::Split;

/// Everything needed to go on; rewritten after every epoch.
const LAST: &str = "last.safetensors";
/// So often a checkpoint is written within a long epoch.
const SAVE_EVERY: Duration = Duration::from_secs(600);
/// Test samples are looked at in this many last epochs.
const LAST_EPOCHS: u32 = 5;
/// Params alone, of the epoch that was best on validation.
pub(crate) const BEST: &str = "best.safetensors";

/// What a run needs beside its recipe and its data.
#[derive(Debug, Clone)]
pub struct RunPlace {
    /// Where checkpoints go; made when missing.
    pub folder: PathBuf,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
}

/// Trains, or goes on where the run folder's checkpoint stands, and leaves `last.safetensors` and `best.safetensors`.
///
/// Blocks until the end. Events go to `events` (bounded; a dropped receiver stops nothing). When `stop` is asked, the
/// state is saved within a step and [`TrainError::Stopped`] returned; calling again with the same recipe, data and
/// folder continues, and on a CPU gives the same bits as a run that was never stopped.
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
    guarded(recipe, &place.device, || {
        let mut training = Training::begin(recipe, set, place, events, stop)?;
        training.run()
    })
}

/// tch panics when libtorch throws; here that becomes an error with a remedy.
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

/// How far a run is; with the tensors, all that a checkpoint holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Epochs that are done.
    pub(crate) epochs_done: u32,
    /// Steps done in the epoch under way.
    pub(crate) steps_done: usize,
    /// Sums of the epoch under way.
    pub(crate) sums: EpochSums,
    /// Measures of the epochs that are done.
    pub(crate) history: Vec<EpochMetrics>,
    /// The best epoch on validation and its accuracy.
    pub(crate) best: Option<(u32, f64)>,
}

/// A run while it is under way: its whole state, and who is told of it.
pub(crate) struct Training<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) set: &'a TrainingSet,
    pub(crate) folder: &'a Path,
    /// As the caller named it: `auto`, `cpu` or `cuda:N`.
    pub(crate) device_name: &'a str,
    pub(crate) stop: &'a Stop,
    events: &'a SyncSender<TrainEvent>,
    pub(crate) net: Net,
    /// The running mean of its params, where the recipe asks for one.
    pub(crate) averaged: Option<Net>,
    /// δ1 as a tensor when it is learnt.
    pub(crate) margin_1: Option<Tensor>,
    pub(crate) optimizer: Optimizer,
    pub(crate) labels: Labels,
    pub(crate) progress: Progress,
    pub(crate) shelf: Arc<PictureShelf>,
    pub(crate) train_samples: Vec<usize>,
    pub(crate) device_words: String,
    pub(super) saved_at: Instant,
}

impl<'a> Training<'a> {
    /// A run's state at its beginning, or as its last checkpoint has it; tells that the run begins.
    pub(crate) fn begin(
        recipe: &'a Recipe,
        set: &'a TrainingSet,
        place: &'a RunPlace,
        events: &'a SyncSender<TrainEvent>,
        stop: &'a Stop,
    ) -> Result<Self, TrainError> {
        host::keep_memory();
        let (compute, device_words) = device::choose(&place.device, recipe.precision)?;
        std::fs::create_dir_all(&place.folder)
            .map_err(|source| TrainError::Write { path: place.folder.clone(), source })?;
        let net = Net::new(recipe.arch, set.classes.len(), recipe.seed, compute);
        let last = place.folder.join(LAST);
        let resumes = last.is_file();
        let init = if resumes { None } else { init::begin(&net, recipe, &set.classes)? };
        let margin_1 = learnt_margin_1(recipe, compute.device);
        let mut training = Self {
            recipe,
            set,
            folder: &place.folder,
            device_name: &place.device,
            stop,
            events,
            optimizer: Optimizer::new(recipe.optimizer, &moved(&net, margin_1.as_ref())),
            averaged: (recipe.average > 0.0).then(|| copy_of(&net, recipe, set.classes.len())),
            net,
            margin_1,
            labels: Labels::new(set.labels.clone(), set.classes.len()),
            progress: Progress::default(),
            shelf: Arc::new(PictureShelf::new(
                Arc::clone(&set.pictures),
                recipe.image_size,
                host::room_for_pictures(),
            )),
            train_samples: set.of_split(Split::Train),
            device_words,
            saved_at: Instant::now(),
        };
        if resumes {
            training.resume(&last)?;
        }
        training.tell_begun(init);
        Ok(training)
    }

    /// Tells what is there when the run begins or goes on; `init` says what was loaded, in words.
    fn tell_begun(&self, init: Option<String>) {
        let mut history = self.progress.history.clone();
        if self.is_last_untold() {
            history.pop();
        }
        self.tell(TrainEvent::Began {
            device: self.device_words.clone(),
            epochs: self.recipe.epochs,
            steps: self.steps(),
            history,
            relabels: self.labels.changes().to_vec(),
            init,
        });
    }

    fn run(&mut self) -> Result<Trained, TrainError> {
        // A run that goes on from a checkpoint has read them before.
        if (self.progress.epochs_done, self.progress.steps_done) == (0, 0) {
            judge::check_held_out(self)?;
        }
        self.begin_cure()?;
        while !self.is_over() {
            let (metrics, relabels) = epoch::train_one_epoch(self)?;
            // The best params first: a run killed between the two files does the epoch again and writes both anew.
            if self.note(&metrics) {
                predict::save_net(self, BEST)?;
            }
            self.save()?;
            // Told only after the state is saved: if the run is killed before, nobody has written these relabels down.
            if !relabels.is_empty() {
                self.tell(TrainEvent::Relabelled(relabels));
            }
            if !self.is_last_untold() {
                self.tell(TrainEvent::Epoch(Box::new(metrics)));
            }
        }
        judge::finish(self)
    }

    /// Whether all epochs are done and the last one is to be told at the run's end, with the labels that `cure` decides
    /// about then.
    fn is_last_untold(&self) -> bool {
        self.recipe.method == Method::Cure && self.is_over()
    }

    /// All epochs are done, or too many since the best one.
    pub(crate) fn is_over(&self) -> bool {
        let done = self.progress.epochs_done;
        let since_best = self.progress.best.map_or(0, |(best, _)| done - best);
        done >= self.recipe.epochs || self.recipe.early_stop.is_some_and(|patience| since_best >= patience)
    }

    /// Whether an epoch may be among the last five; only then its test is measured. `metrics` has all but the test.
    pub(crate) fn may_be_of_the_last(&self, metrics: &EpochMetrics) -> bool {
        let held_out = metrics.validation.as_ref().map(|validation| validation.accuracy);
        let since_best = match (self.progress.best, held_out) {
            (Some((epoch, best)), Some(accuracy)) if accuracy <= best => metrics.epoch - epoch,
            _ => 0,
        };
        let ends_early = |patience| since_best + LAST_EPOCHS > patience;
        metrics.epoch + LAST_EPOCHS > self.recipe.epochs || self.recipe.early_stop.is_some_and(ends_early)
    }

    /// The net that is judged: the running mean where there is one.
    pub(crate) fn judged(&self) -> &Net {
        self.averaged.as_ref().unwrap_or(&self.net)
    }

    /// Moves the running mean of the params and of their batch statistics after a step. At first it forgets faster, so
    /// that it does not keep the random beginning: it keeps min(share, (1 + t) / (10 + t)).
    pub(crate) fn average(&mut self) {
        let Some(averaged) = &self.averaged else { return };
        let step = f64::from(self.optimizer.steps);
        let keep = self.recipe.average.min((1.0 + step) / (10.0 + step));
        no_grad(|| {
            for (mean, param) in averaged.params.0.iter().zip(&self.net.params.0) {
                let _ = mean.tensor.shallow_clone().lerp_(&param.tensor, 1.0 - keep);
            }
        });
    }

    /// Ends the epoch's bookkeeping; true when it is the best so far (without validation, always the latest).
    pub(crate) fn note(&mut self, metrics: &EpochMetrics) -> bool {
        let progress = &mut self.progress;
        progress.epochs_done = metrics.epoch;
        progress.steps_done = 0;
        progress.sums = EpochSums::default();
        progress.history.push(metrics.clone());
        let accuracy = metrics.validation.as_ref().map_or(f64::INFINITY, |validation| validation.accuracy);
        let is_best = progress.best.is_none_or(|(_, best)| accuracy > best || accuracy.is_infinite());
        if is_best {
            progress.best = Some((metrics.epoch, accuracy.min(1.0)));
        }
        is_best
    }

    /// Whom events go to.
    pub(crate) fn audience(&self) -> &'a SyncSender<TrainEvent> {
        self.events
    }

    /// Sends an event; a receiver that is gone stops nothing.
    pub(crate) fn tell(&self, event: TrainEvent) {
        let _ = self.events.send(event);
    }

    /// Steps of an epoch. A last batch of one sample is left out: it has no batch statistics.
    pub(crate) fn steps(&self) -> usize {
        let (samples, batch) = (self.train_samples.len(), self.recipe.batch_size);
        samples / batch + usize::from(samples % batch > 1)
    }

    /// Refuses a net with params that are NaN or infinite: it is not judged, and does not replace a good one.
    pub(crate) fn check_params(&self) -> Result<(), TrainError> {
        let are_finite = |param: &Param| param.tensor.isfinite().all();
        let all: Vec<Tensor> = self.net.params.0.iter().map(are_finite).collect();
        if no_grad(|| Tensor::stack(&all, 0).all()).int64_value(&[]) != 0 {
            return Ok(());
        }
        Err(self.diverged(self.progress.steps_done, "params", "NaN or infinite"))
    }

    /// What to say when numbers went out of hand in a one-based step of the epoch under way.
    pub(crate) fn diverged(&self, step: usize, what: &'static str, became: &str) -> TrainError {
        let params = Some(self.folder.join(BEST)).filter(|path| path.is_file());
        let epoch = self.progress.epochs_done + 1;
        TrainError::Diverged { epoch, step, what, became: became.to_owned(), params }
    }

    /// The labels of the training samples, in their order, out of those of all samples.
    pub(crate) fn of_train(&self, labels: &[usize]) -> Vec<usize> {
        self.train_samples.iter().map(|&sample| labels[sample]).collect()
    }

    /// All tensors that the optimizer moves, in its order.
    pub(crate) fn moved(&self) -> Vec<Tensor> {
        moved(&self.net, self.margin_1.as_ref())
    }

    /// The file that a stopped run goes on from.
    pub(crate) fn checkpoint_path(&self) -> PathBuf {
        self.folder.join(LAST)
    }

    /// Saves within a long epoch when the last checkpoint is old; between two steps only.
    pub(crate) fn save_now_and_then(&mut self) -> Result<(), TrainError> {
        if self.saved_at.elapsed() >= SAVE_EVERY { self.save() } else { Ok(()) }
    }
}

/// δ1 as a tensor with a gradient, where the recipe has it learnt.
fn learnt_margin_1(recipe: &Recipe, device: Device) -> Option<Tensor> {
    let is_learnt = recipe.method == Method::Scn && recipe.scn.margin_1_learnt;
    let margin = is_learnt.then(|| Tensor::from(recipe.scn.margin_1 as f32).to_device(device));
    margin.map(|margin| margin.set_requires_grad(true))
}

fn copy_of(net: &Net, recipe: &Recipe, classes: usize) -> Net {
    let copy = Net::new(recipe.arch, classes, recipe.seed, net.compute);
    no_grad(|| {
        for (to, from) in copy.params.0.iter().zip(&net.params.0) {
            to.tensor.shallow_clone().copy_(&from.tensor);
        }
    });
    copy
}

fn moved(net: &Net, margin_1: Option<&Tensor>) -> Vec<Tensor> {
    let mut moved = net.params.trained();
    moved.extend(margin_1.map(Tensor::shallow_clone));
    moved
}

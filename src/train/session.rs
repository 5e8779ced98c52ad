//! One run from its first epoch, or from its last checkpoint, to its end: who holds the state.
//! What happens inside an epoch stands in [`super::epoch`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad};

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
    guarded(recipe, &place.device, || {
        let mut session = Session::begin(recipe, set, place, events, stop)?;
        session.run()
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
            return Err(TrainError::OutOfMemory { device: device.to_owned(), batch_size: recipe.batch_size });
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

/// A run's whole state, and whom it talks to.
pub(crate) struct Session<'a> {
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

impl<'a> Session<'a> {
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
        let init = match &recipe.init {
            Some(path) if !resumes => Some(init::load(&net, recipe.arch, &set.classes, path)?),
            _ => None,
        };
        let learnt = recipe.method == Method::Scn && recipe.scn.margin_1_learnt;
        let margin_1 = learnt.then(|| Tensor::from(recipe.scn.margin_1 as f32).to_device(compute.device));
        let margin_1 = margin_1.map(|margin| margin.set_requires_grad(true));
        let mut session = Self {
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
            session.resume(&last)?;
        }
        session.tell(TrainEvent::Began {
            device: session.device_words.clone(),
            epochs: recipe.epochs,
            steps: session.steps(),
            history: session.progress.history.clone(),
            relabels: session.labels.changes().to_vec(),
            init,
        });
        Ok(session)
    }

    fn run(&mut self) -> Result<Trained, TrainError> {
        // A run that goes on has read them before.
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
            // Told only once it is saved: what a killed run did not keep, nobody has written down.
            if !relabels.is_empty() {
                self.tell(TrainEvent::Relabelled(relabels));
            }
            self.tell(TrainEvent::Epoch(Box::new(metrics)));
        }
        judge::finish(self)
    }

    /// All epochs are done, or too many since the best one.
    pub(crate) fn is_over(&self) -> bool {
        let done = self.progress.epochs_done;
        let since_best = self.progress.best.map_or(0, |(best, _)| done - best);
        done >= self.recipe.epochs || self.recipe.early_stop.is_some_and(|patience| since_best >= patience)
    }

    /// Whether an epoch that is done but for its test may be among the last five: its test will count.
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

    /// Moves the running mean of the params and of their batch statistics after a step. At first it forgets faster, or it
    /// would remember the random beginning: min(share, (1 + t) / (10 + t)).
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

    /// Refuses a net whose params are no numbers any more: it takes no good one's place, and is not judged.
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

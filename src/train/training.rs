//! [`Training`], the state of a run. What advances it is in [`super::run`] and [`super::epoch`], what a checkpoint
//! keeps of it in [`super::resume`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, no_grad};

use super::data::TrainingSet;
use super::error::TrainError;
use super::events::TrainEvent;
use super::labels::Labels;
use super::loader::PictureCache;
use super::metrics::EpochMetrics;
use super::net::Net;
use super::optim::Optimizer;
use super::params::Param;
use super::recipe::{Method, Recipe};
use super::sums::EpochSums;
use super::{device, host, init, scouts};
use crate::clock::Stop;
use crate::types::Split;

/// The checkpoint, rewritten after every epoch.
const LAST: &str = "last.safetensors";
/// The age at which a checkpoint is renewed within a long epoch.
const SAVE_EVERY: Duration = Duration::from_secs(600);
/// The test part is measured in this many last epochs.
const LAST_EPOCHS: u32 = 5;
/// The params alone, of the best epoch on validation.
pub(crate) const BEST: &str = "best.safetensors";

/// Where a run keeps its files, and what it computes on.
#[derive(Debug, Clone)]
pub struct RunPlace {
    /// For checkpoints; made when missing.
    pub folder: PathBuf,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
}

/// How far a run is, as a checkpoint holds it beside the tensors and labels.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Finished epochs.
    pub(crate) epochs_done: u32,
    /// Finished steps of the epoch under way.
    pub(crate) steps_done: usize,
    /// Sums of the epoch under way.
    pub(crate) sums: EpochSums,
    /// Measures of the finished epochs.
    pub(crate) history: Vec<EpochMetrics>,
    /// The best epoch on validation and its accuracy.
    pub(crate) best: Option<(u32, f64)>,
}

/// The whole state of a run, and the channel of its events.
pub(crate) struct Training<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) set: &'a TrainingSet,
    pub(crate) folder: &'a Path,
    /// As requested: `auto`, `cpu` or `cuda:N`.
    pub(crate) device_name: &'a str,
    pub(crate) stop: &'a Stop,
    pub(crate) events: &'a SyncSender<TrainEvent>,
    pub(crate) net: Net,
    /// A net with the running mean of the params, where the recipe asks for one.
    pub(crate) averaged: Option<Net>,
    /// SCN's δ1, a scalar on the device; it requires a gradient where it is learnt.
    pub(crate) margin_1: Tensor,
    pub(crate) optimizer: Optimizer,
    pub(crate) labels: Labels,
    pub(crate) progress: Progress,
    pub(crate) cache: Arc<PictureCache>,
    /// Positions of the training samples, ascending.
    pub(crate) train_samples: Vec<usize>,
    pub(crate) device_words: String,
    pub(super) saved_at: Instant,
}

impl<'a> Training<'a> {
    /// The state of a new run, or of the checkpoint in the run's folder. Sends [`TrainEvent::Began`].
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
        let init = init.map(|text| text + scouts_begin_without(recipe, &set.name));
        let margin_1 = margin_1(recipe, compute.device);
        let mut training = Self {
            recipe,
            set,
            folder: &place.folder,
            device_name: &place.device,
            stop,
            events,
            optimizer: Optimizer::new(recipe.optimizer, &trained_tensors(&net, &margin_1)),
            averaged: (recipe.average > 0.0).then(|| copy_of(&net, recipe, set.classes.len())),
            net,
            margin_1,
            labels: Labels::new(set.labels.clone(), set.classes.len()),
            progress: Progress::default(),
            cache: Arc::new(PictureCache::new(
                Arc::clone(&set.pictures),
                recipe.image_size,
                host::picture_cache_bytes(),
            )),
            train_samples: set.of_split(Split::Train),
            device_words,
            saved_at: Instant::now(),
        };
        if resumes {
            training.resume(&last)?;
        }
        training.send_begun(init);
        Ok(training)
    }

    /// `init` says which params were loaded, in words.
    fn send_begun(&self, init: Option<String>) {
        let mut history = self.progress.history.clone();
        if self.is_last_unsent() {
            history.pop();
        }
        self.send(TrainEvent::Began {
            device: self.device_words.clone(),
            epochs: self.recipe.epochs,
            steps: self.steps(),
            history,
            relabels: self.labels.changes().to_vec(),
            init,
        });
    }

    /// Whether the last epoch of `cure` is done: it is sent at the end of the run, with the labels decided then.
    pub(crate) fn is_last_unsent(&self) -> bool {
        self.recipe.method == Method::Cure && self.is_over()
    }

    /// Whether all epochs are done, or early stopping ended the run.
    pub(crate) fn is_over(&self) -> bool {
        let done = self.progress.epochs_done;
        let since_best = self.progress.best.map_or(0, |(best, _)| done - best);
        done >= self.recipe.epochs || self.recipe.early_stop.is_some_and(|patience| since_best >= patience)
    }

    /// Whether an epoch may be among the last five, in which the test part is measured. `metrics` has all but the test.
    pub(crate) fn may_be_of_the_last(&self, metrics: &EpochMetrics) -> bool {
        let held_out = metrics.validation.as_ref().map(|validation| validation.accuracy);
        let since_best = match (self.progress.best, held_out) {
            (Some((epoch, best)), Some(accuracy)) if accuracy <= best => metrics.epoch - epoch,
            _ => 0,
        };
        let ends_early = |patience| since_best + LAST_EPOCHS > patience;
        metrics.epoch + LAST_EPOCHS > self.recipe.epochs || self.recipe.early_stop.is_some_and(ends_early)
    }

    /// The net that is evaluated: the running mean where there is one.
    pub(crate) fn judged(&self) -> &Net {
        self.averaged.as_ref().unwrap_or(&self.net)
    }

    /// Updates the running mean of the params and batch statistics after step t. The mean keeps a share of itself,
    /// min(`average`, (1 + t) / (10 + t)): less at first, so that the random initial params are forgotten.
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

    /// Records a finished epoch; true when it is the best so far (without validation, always the latest).
    pub(crate) fn end_epoch(&mut self, metrics: &EpochMetrics) -> bool {
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

    /// Sends an event; a dropped receiver stops nothing.
    pub(crate) fn send(&self, event: TrainEvent) {
        let _ = self.events.send(event);
    }

    /// Steps of an epoch. A last batch of a single sample is left out: it has no batch statistics.
    pub(crate) fn steps(&self) -> usize {
        let (samples, batch) = (self.train_samples.len(), self.recipe.batch_size);
        samples / batch + usize::from(samples % batch > 1)
    }

    /// Checks that all params are finite.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] when they are not: such a net is neither evaluated nor saved.
    pub(crate) fn check_params(&self) -> Result<(), TrainError> {
        let are_finite = |param: &Param| param.tensor.isfinite().all();
        let all: Vec<Tensor> = self.net.params.0.iter().map(are_finite).collect();
        if no_grad(|| Tensor::stack(&all, 0).all()).int64_value(&[]) != 0 {
            return Ok(());
        }
        Err(self.diverged(self.progress.steps_done, "params", "NaN or infinite"))
    }

    /// The error for `what` in a one-based step of the epoch under way.
    pub(crate) fn diverged(&self, step: usize, what: &'static str, became: &str) -> TrainError {
        let params = Some(self.folder.join(BEST)).filter(|path| path.is_file());
        let epoch = self.progress.epochs_done + 1;
        TrainError::Diverged { epoch, step, what, became: became.to_owned(), params }
    }

    /// The labels of the training samples, in their order, from the labels of all samples.
    pub(crate) fn of_train(&self, labels: &[usize]) -> Vec<usize> {
        self.train_samples.iter().map(|&sample| labels[sample]).collect()
    }

    /// Handles of all tensors that the optimizer updates, in its order.
    pub(crate) fn trained_tensors(&self) -> Vec<Tensor> {
        trained_tensors(&self.net, &self.margin_1)
    }

    /// δ1 where it is learnt.
    pub(crate) fn learnt_margin_1(&self) -> Option<&Tensor> {
        if_learnt(&self.margin_1)
    }

    /// The file that a stopped run resumes from.
    pub(crate) fn checkpoint_path(&self) -> PathBuf {
        self.folder.join(LAST)
    }

    /// Saves within a long epoch when the last checkpoint is old; to be called between two steps.
    pub(crate) fn save_now_and_then(&mut self) -> Result<(), TrainError> {
        if self.saved_at.elapsed() >= SAVE_EVERY { self.save() } else { Ok(()) }
    }
}

/// What is said of the scouts where they do not begin with the recipe's file.
fn scouts_begin_without(recipe: &Recipe, set: &str) -> &'static str {
    let is_same_data = recipe.init.as_deref().is_some_and(|path| scouts::has_learnt_from(path, set));
    if recipe.method == Method::Cure && is_same_data {
        "; scouts begin without it, because its net was trained on this data"
    } else {
        ""
    }
}

fn margin_1(recipe: &Recipe, device: Device) -> Tensor {
    let is_learnt = recipe.method == Method::Scn && recipe.scn.margin_1_learnt;
    Tensor::from(recipe.scn.margin_1 as f32).to_device(device).set_requires_grad(is_learnt)
}

fn if_learnt(margin_1: &Tensor) -> Option<&Tensor> {
    margin_1.requires_grad().then_some(margin_1)
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

fn trained_tensors(net: &Net, margin_1: &Tensor) -> Vec<Tensor> {
    let mut tensors = net.params.trained();
    tensors.extend(if_learnt(margin_1).map(Tensor::shallow_clone));
    tensors
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::super::drawn::shapes;
    use super::super::epoch;
    use super::super::recipe::{Arch, Sampling};
    use super::*;
    use crate::types::Relabel;

    /// A run that has just begun, on 20 shapes.
    fn begun(recipe: Recipe, work: impl FnOnce(&mut Training<'_>)) {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe { arch: Arch::Tiny, image_size: 32, ..recipe };
        let (set, stop) = (shapes(20, 1), Stop::default());
        let place = RunPlace { folder: folder.path().to_owned(), device: "cpu".to_owned() };
        let (sender, _receiver) = sync_channel(8);
        work(&mut Training::begin(&recipe, &set, &place, &sender, &stop).unwrap());
    }

    #[test]
    fn the_running_mean_keeps_little_of_itself_at_first_and_its_share_later() {
        begun(Recipe { average: 0.5, ..Recipe::new(Method::Baseline) }, |training| {
            let set = |value: f64| {
                let mut param = training.net.params.0[0].tensor.detach();
                let _ = no_grad(|| param.fill_(value));
            };
            let mean = |training: &Training<'_>| training.judged().params.0[0].tensor.max().double_value(&[]);
            let mut start = training.averaged.as_ref().unwrap().params.0[0].tensor.detach();
            let _ = no_grad(|| start.fill_(0.0));
            set(11.0);
            training.optimizer.steps = 1;
            training.average();
            // It kept (1 + 1) / (10 + 1).
            assert!((mean(training) - 9.0).abs() < 1e-4, "{}", mean(training));
            training.optimizer.steps = 1_000;
            training.average();
            assert!((mean(training) - 10.0).abs() < 1e-4, "{}", mean(training));
        });
    }

    #[test]
    fn balanced_draws_go_by_the_labels_in_force() {
        begun(Recipe { sampling: Sampling::Balanced, ..Recipe::new(Method::Scn) }, |training| {
            let of_two: Vec<usize> =
                training.train_samples.iter().copied().filter(|&s| training.set.labels[s] == 2).collect();
            let relabels: Vec<Relabel> = of_two[1..]
                .iter()
                .map(|&sample| Relabel {
                    sample,
                    epoch: 1,
                    from: 2,
                    to: 0,
                    p_max: 0.9,
                    p_given: 0.1,
                    importance: 0.5,
                })
                .collect();
            training.labels.apply(&relabels);
            let order = epoch::order(training, 1);
            let drawn =
                |class| order.iter().filter(|&&sample| training.labels.current()[sample] == class).count();
            let counts = [drawn(0), drawn(1), drawn(2)];
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        });
    }
}

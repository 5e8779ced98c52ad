//! One run from its first epoch, or from its last checkpoint, to its end: who holds the state.
//! What happens inside an epoch stands in [`super::epoch`].

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, no_grad};

use super::data::TrainingSet;
use super::epoch;
use super::error::TrainError;
use super::events::{TrainEvent, Trained};
use super::labels::{Labels, Seen};
use super::loader::PictureShelf;
use super::metrics::EpochMetrics;
use super::net::Net;
use super::optim::Optimizer;
use super::predict::{self, NetCard};
use super::recipe::{Method, Recipe};
use super::sums::EpochSums;
use super::{checkpoint, device, init, judge};
use crate::clock::Stop;
use crate::types::{Relabel, Split};

/// Everything needed to go on; rewritten after every epoch.
const LAST: &str = "last.safetensors";
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

#[derive(Serialize, Deserialize)]
struct State {
    recipe_hash: String,
    data_hash: String,
    optimizer_steps: i32,
    changes: Vec<Relabel>,
    progress: Progress,
    net: NetCard,
}

/// A run's whole state, and whom it talks to.
pub(crate) struct Session<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) set: &'a TrainingSet,
    pub(crate) folder: &'a Path,
    pub(crate) stop: &'a Stop,
    events: &'a SyncSender<TrainEvent>,
    pub(crate) net: Net,
    /// δ1 as a tensor when it is learnt.
    pub(crate) margin_1: Option<Tensor>,
    pub(crate) optimizer: Optimizer,
    pub(crate) labels: Labels,
    pub(crate) progress: Progress,
    pub(crate) shelf: Arc<PictureShelf>,
    pub(crate) train_samples: Vec<usize>,
    pub(crate) device_words: String,
}

impl<'a> Session<'a> {
    fn begin(
        recipe: &'a Recipe,
        set: &'a TrainingSet,
        place: &'a RunPlace,
        events: &'a SyncSender<TrainEvent>,
        stop: &'a Stop,
    ) -> Result<Self, TrainError> {
        let (compute, device_words) = device::choose(&place.device, recipe)?;
        std::fs::create_dir_all(&place.folder)
            .map_err(|source| TrainError::Write { path: place.folder.clone(), source })?;
        let net = Net::new(recipe.arch, set.classes.len(), recipe.seed, compute);
        let last = place.folder.join(LAST);
        let resumes = last.is_file();
        let init = match &recipe.init {
            Some(path) if !resumes => Some(init::load(&net, recipe.arch, path)?),
            _ => None,
        };
        let learnt = recipe.method == Method::Scn && recipe.scn.margin_1_learnt;
        let margin_1 = learnt.then(|| Tensor::from(recipe.scn.margin_1 as f32).to_device(compute.device));
        let margin_1 = margin_1.map(|margin| margin.set_requires_grad(true));
        let mut session = Self {
            recipe,
            set,
            folder: &place.folder,
            stop,
            events,
            optimizer: Optimizer::new(recipe.optimizer, &moved(&net, margin_1.as_ref())),
            net,
            margin_1,
            labels: Labels::new(set.labels.clone(), set.classes.len()),
            progress: Progress::default(),
            shelf: Arc::new(PictureShelf::new(Arc::clone(&set.pictures), recipe.image_size)),
            train_samples: set.of_split(Split::Train),
            device_words,
        };
        if resumes {
            session.resume(&last)?;
        }
        session.tell(TrainEvent::Began {
            device: session.device_words.clone(),
            epochs: recipe.epochs,
            steps: session.steps(),
            epochs_done: session.progress.epochs_done,
            init,
        });
        Ok(session)
    }

    fn run(&mut self) -> Result<Trained, TrainError> {
        while self.progress.epochs_done < self.recipe.epochs {
            let (metrics, relabels) = epoch::train_one_epoch(self)?;
            let is_best = self.note(&metrics);
            if !relabels.is_empty() {
                self.tell(TrainEvent::Relabelled(relabels));
            }
            self.tell(TrainEvent::Epoch(Box::new(metrics)));
            self.save()?;
            if is_best {
                predict::save_net(self, BEST)?;
            }
            self.tell(TrainEvent::Saved { epoch: self.progress.epochs_done });
        }
        let trained = judge::finish(self)?;
        self.tell(TrainEvent::Ended(Box::new(trained.clone())));
        Ok(trained)
    }

    /// Ends the epoch's bookkeeping; true when it is the best so far (without validation, always the latest).
    fn note(&mut self, metrics: &EpochMetrics) -> bool {
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

    /// Sends an event; a receiver that is gone stops nothing.
    pub(crate) fn tell(&self, event: TrainEvent) {
        let _ = self.events.send(event);
    }

    /// Steps of an epoch. A last batch of one sample is left out: it has no batch statistics.
    pub(crate) fn steps(&self) -> usize {
        let (samples, batch) = (self.train_samples.len(), self.recipe.batch_size);
        samples / batch + usize::from(samples % batch > usize::from(batch > 1))
    }

    /// All tensors that the optimizer moves, in its order.
    pub(crate) fn moved(&self) -> Vec<Tensor> {
        moved(&self.net, self.margin_1.as_ref())
    }

    /// The file that a stopped run goes on from.
    pub(crate) fn checkpoint_path(&self) -> PathBuf {
        self.folder.join(LAST)
    }

    /// Writes everything that [`Session::resume`] needs.
    pub(crate) fn save(&self) -> Result<(), TrainError> {
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        for param in &self.net.params.0 {
            tensors.push((format!("net.{}", param.name), param.tensor.shallow_clone()));
        }
        if let Some(margin) = &self.margin_1 {
            tensors.push(("margin_1".to_owned(), margin.shallow_clone()));
        }
        for (index, moments) in self.optimizer.moments.iter().enumerate() {
            for (kind, moment) in moments.iter().enumerate() {
                tensors.push((format!("optimizer.{kind}.{index}"), moment.shallow_clone()));
            }
        }
        tensors.extend(label_tensors(&self.labels));
        let state = State {
            recipe_hash: self.recipe.hash(),
            data_hash: self.set.hash(),
            optimizer_steps: self.optimizer.steps,
            changes: self.labels.changes().to_vec(),
            progress: self.progress.clone(),
            net: NetCard::of(self.recipe, self.set),
        };
        checkpoint::save(&self.checkpoint_path(), tensors, &state)
    }

    fn resume(&mut self, path: &Path) -> Result<(), TrainError> {
        let checkpoint::Loaded { mut tensors, state } = checkpoint::load::<State>(path)?;
        let foreign = |what: &str| TrainError::Foreign { path: path.to_owned(), what: what.to_owned() };
        if state.recipe_hash != self.recipe.hash() {
            return Err(foreign("another recipe"));
        }
        if state.data_hash != self.set.hash() {
            return Err(foreign("other data"));
        }
        let mut take =
            |name: String| tensors.remove(&name).ok_or_else(|| foreign(&format!("a net without {name}")));
        for param in &self.net.params.0 {
            put(&param.tensor, &take(format!("net.{}", param.name))?);
        }
        if let Some(margin) = &self.margin_1 {
            put(margin, &take("margin_1".to_owned())?);
        }
        for (index, moments) in self.optimizer.moments.iter().enumerate() {
            for (kind, moment) in moments.iter().enumerate() {
                put(moment, &take(format!("optimizer.{kind}.{index}"))?);
            }
        }
        restore_labels(&mut self.labels, &mut tensors, state.changes)
            .ok_or_else(|| foreign("other labels"))?;
        self.optimizer.steps = state.optimizer_steps;
        self.progress = state.progress;
        Ok(())
    }
}

fn moved(net: &Net, margin_1: Option<&Tensor>) -> Vec<Tensor> {
    let mut moved = net.params.trained();
    moved.extend(margin_1.map(Tensor::shallow_clone));
    moved
}

fn put(place: &Tensor, value: &Tensor) {
    no_grad(|| place.shallow_clone().copy_(value));
}

fn whole_numbers(values: impl Iterator<Item = usize>) -> Tensor {
    Tensor::from_slice(&values.map(|value| value as i64).collect::<Vec<_>>())
}

fn label_tensors(labels: &Labels) -> Vec<(String, Tensor)> {
    let seen = &labels.seen;
    let named = [
        ("labels.given", whole_numbers(labels.given().iter().copied())),
        ("labels.current", whole_numbers(labels.current().iter().copied())),
        ("seen.views", whole_numbers(seen.views.iter().map(|&views| views as usize))),
        ("seen.low_views", whole_numbers(seen.low_views.iter().map(|&views| views as usize))),
        ("seen.probabilities", Tensor::from_slice(&seen.probabilities)),
        ("seen.importance", Tensor::from_slice(&seen.importance)),
        ("memory", Tensor::from_slice(&labels.memory)),
    ];
    named.map(|(name, tensor)| (name.to_owned(), tensor)).into()
}

fn restore_labels(
    labels: &mut Labels,
    tensors: &mut HashMap<String, Tensor>,
    changes: Vec<Relabel>,
) -> Option<()> {
    let whole = |tensor: Tensor| Vec::<i64>::try_from(tensor.to_kind(Kind::Int64)).ok();
    let views = |tensor| Some(whole(tensor)?.into_iter().map(|views| views as u32).collect::<Vec<u32>>());
    let floats = |tensor: Tensor| Vec::<f32>::try_from(tensor).ok();
    let current = whole(tensors.remove("labels.current")?)?;
    labels.restore(current.into_iter().map(|label| label as usize).collect(), changes);
    labels.seen = Seen {
        probabilities: floats(tensors.remove("seen.probabilities")?)?,
        importance: floats(tensors.remove("seen.importance")?)?,
        views: views(tensors.remove("seen.views")?)?,
        low_views: views(tensors.remove("seen.low_views")?)?,
    };
    labels.memory = floats(tensors.remove("memory")?)?;
    Some(())
}

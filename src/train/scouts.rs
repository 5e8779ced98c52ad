//! Scouts: out-of-fold nets, as in cross-fitting. The training samples are divided into folds, and for each fold a net
//! is trained on all the others, so that every sample is predicted by a net that never saw it. A net's predictions of
//! samples that it was trained on echo their labels.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::data::{Identity, Pictures, TrainingSet, bytes_of, identity_of};
use super::error::TrainError;
use super::events::TrainEvent;
use super::init::OwnCard;
use super::metrics::{EpochMetrics, Prediction, SplitMetrics};
use super::net::Net;
use super::recipe::{Method, Recipe};
use super::schedule::Schedule;
use super::training::{BEST, RunPlace, Training};
use super::{epoch, judge, predict};
use crate::types::Split;

/// The scouts' folder inside a run's folder; removed once their predictions are saved.
const FOLDER: &str = "scouts";
/// Share of itself that a scout's running mean of params keeps at each step.
const AVERAGE: f64 = 0.99;
/// A scout may train for this many epochs even in a shorter run.
const LEAST_EPOCHS: u32 = 3;
/// A scout ends after this many epochs without progress on its held-out labels.
const PATIENCE: usize = 5;
/// A scout can judge a class of which it saw at least this many samples for each one that it judges. With three folds
/// of equal shares it is 2.
const LEAST_SEEN: f64 = 0.5;

/// The scouts' predictions of all training samples: one row of C probabilities for each of [`Training::train_samples`],
/// in their order; uniform where a picture cannot be read. After a kill, scouts that were finished are not trained
/// again.
pub(crate) fn predictions(training: &Training<'_>) -> Result<Vec<f32>, TrainError> {
    let samples = &training.train_samples;
    let folds = folds_of(training);
    let mut rows = Rows::uniform(training);
    for fold in 0..training.recipe.cure.folds {
        let is_held = |place: &usize| folds[*place] == fold;
        let (held_out, trained): (Vec<usize>, Vec<usize>) = (0..samples.len()).partition(is_held);
        let at = |places: &[usize]| places.iter().map(|&place| samples[place]).collect::<Vec<_>>();
        rows.set(one_fold(training, fold, &at(&trained), &at(&held_out))?);
    }
    Ok(rows.rows)
}

/// For each of [`Training::train_samples`] whether its scout can judge its label. Where most samples of a class are of
/// one source, the scout of that source's fold has hardly seen the class: it would call every such label wrong.
pub(crate) fn can_judge(training: &Training<'_>) -> Vec<bool> {
    let labels: Vec<usize> = training.train_samples.iter().map(|&s| training.set.labels[s]).collect();
    judgeable(&labels, &folds_of(training))
}

/// Of samples with these labels and folds, those whose class is seen often enough outside their fold.
fn judgeable(labels: &[usize], folds: &[u32]) -> Vec<bool> {
    let mut of_class: HashMap<usize, usize> = HashMap::new();
    let mut of_fold: HashMap<(usize, u32), usize> = HashMap::new();
    for (&label, &fold) in labels.iter().zip(folds) {
        *of_class.entry(label).or_default() += 1;
        *of_fold.entry((label, fold)).or_default() += 1;
    }
    let is_seen = |(&label, &fold): (&usize, &u32)| {
        let judged = of_fold[&(label, fold)];
        let seen = of_class[&label] - judged;
        seen > 0 && seen as f64 >= LEAST_SEEN * judged as f64
    };
    labels.iter().zip(folds).map(is_seen).collect()
}

fn folds_of(training: &Training<'_>) -> Vec<u32> {
    let cure = training.recipe.cure;
    assign_folds(training.set, &training.train_samples, cure.folds, training.recipe.seed)
}

/// Removes the scouts' checkpoints; call it once their predictions are saved.
pub(crate) fn remove_folder(training: &Training<'_>) {
    let _ = std::fs::remove_dir_all(training.folder.join(FOLDER));
}

/// The fold of each of `samples`: those of one source (else of one clip) share a fold, and each fold gets its share of
/// every given class.
fn assign_folds(set: &TrainingSet, samples: &[usize], folds: u32, seed: u64) -> Vec<u32> {
    let together = set.together();
    let unit = |sample: usize| together.map_or(sample as u64, |units| units[sample]);
    let mut order: Vec<(usize, u64)> = samples.iter().map(|&s| (set.labels[s], unit(s))).collect();
    order.sort_unstable_by_key(|&(label, unit)| (unit, label));
    order.dedup_by_key(|&mut (_, unit)| unit);
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order.sort_by_key(|&(label, _)| label);
    let fold_of = order.iter().zip(0_u32..).map(|(&(_, unit), place)| (unit, place % folds));
    let fold_of: HashMap<u64, u32> = fold_of.collect();
    samples.iter().map(|&sample| fold_of[&unit(sample)]).collect()
}

/// Trains the scout of a fold, or resumes it, and returns its predictions of the fold's samples.
fn one_fold(
    training: &Training<'_>,
    fold: u32,
    trained: &[usize],
    held_out: &[usize],
) -> Result<Vec<(usize, Vec<f32>)>, TrainError> {
    let recipe = recipe(training.recipe, fold, &training.set.name);
    let set = subset(training.set, trained, held_out);
    let place = RunPlace { folder: folder(training, fold), device: training.device_name.to_owned() };
    let (scouts, epochs) = (training.recipe.cure.folds, recipe.epochs);
    let events = training.events;
    let (sender, receiver) = sync_channel(1);
    thread::scope(move |scope| {
        scope.spawn(move || {
            for event in receiver {
                if let TrainEvent::Step(step) = event {
                    let _ = events.send(TrainEvent::Scouting { scout: fold + 1, scouts, epochs, step });
                }
            }
        });
        // Dropped at the end of this block, so that the thread above ends.
        let sender = sender;
        let mut scout = Training::begin(&recipe, &set, &place, &sender, training.stop)?;
        while !scout.is_over() && !has_stalled(&held_out_curve(&scout.progress.history)) {
            let (metrics, _) = epoch::train_one_epoch(&mut scout)?;
            if scout.end_epoch(&metrics) {
                predict::save_net(&scout, BEST)?;
            }
            scout.save()?;
        }
        flip_averaged(&predict::load_best(&scout)?, training, held_out)
    })
}

/// A scout's measures on its held-out labels after one epoch.
#[derive(Clone, Copy)]
struct HeldOut {
    accuracy: f64,
    loss: f64,
}

fn held_out_curve(history: &[EpochMetrics]) -> Vec<HeldOut> {
    let measures = |held_out: &SplitMetrics| HeldOut { accuracy: held_out.accuracy, loss: held_out.loss };
    history.iter().filter_map(|epoch| epoch.validation.as_ref()).map(measures).collect()
}

/// Whether none of the last [`PATIENCE`] epochs had a greater accuracy or a smaller loss than all epochs before them.
/// Accuracy alone would not do: it stands still for many epochs before a scout begins to learn (drawn faces, hard: 0.36
/// from epoch 6 to 14, while the loss fell from 1.75 to 1.71; 0.46 and more afterwards).
fn has_stalled(curve: &[HeldOut]) -> bool {
    let Some(before) = curve.len().checked_sub(PATIENCE).filter(|&before| before > 0) else { return false };
    let (before, last) = curve.split_at(before);
    let accuracy = before.iter().map(|epoch| epoch.accuracy).fold(f64::NEG_INFINITY, f64::max);
    let loss = before.iter().map(|epoch| epoch.loss).fold(f64::INFINITY, f64::min);
    last.iter().all(|later| later.accuracy <= accuracy && later.loss >= loss)
}

/// A net's probabilities for samples of a run's set, averaged over each picture and its mirror image.
fn flip_averaged(
    net: &Net,
    training: &Training<'_>,
    samples: &[usize],
) -> Result<Vec<(usize, Vec<f32>)>, TrainError> {
    let plain = judge::ask(net, training.recipe, &training.cache, samples)?;
    let mirrored = judge::ask_mirrored(net, training.recipe, &training.cache, samples)?;
    let mirrored: HashMap<usize, Prediction> = mirrored.into_iter().collect();
    // A picture may be readable at one time and not at another.
    let both =
        plain.into_iter().filter_map(|(sample, one)| Some((sample, mean(&one, mirrored.get(&sample)?))));
    Ok(both.collect())
}

/// The predictions of the run's own net, in the form of [`predictions`].
pub(crate) fn own_predictions(training: &Training<'_>) -> Result<Vec<f32>, TrainError> {
    let mut rows = Rows::uniform(training);
    rows.set(flip_averaged(training.judged(), training, &training.train_samples)?);
    Ok(rows.rows)
}

/// One row of C probabilities for each of a run's training samples.
struct Rows<'a> {
    samples: &'a [usize],
    classes: usize,
    rows: Vec<f32>,
}

impl<'a> Rows<'a> {
    /// All classes equally probable; what a picture that cannot be read keeps.
    fn uniform(training: &'a Training<'_>) -> Self {
        let (samples, classes) = (&training.train_samples, training.set.classes.len());
        Self { samples, classes, rows: vec![1.0 / classes as f32; samples.len() * classes] }
    }

    fn set(&mut self, predicted: Vec<(usize, Vec<f32>)>) {
        for (sample, row) in predicted {
            if let Ok(place) = self.samples.binary_search(&sample) {
                self.rows[place * self.classes..][..self.classes].copy_from_slice(&row);
            }
        }
    }
}

fn mean(one: &Prediction, other: &Prediction) -> Vec<f32> {
    one.probabilities.iter().zip(&other.probabilities).map(|(one, other)| 0.5 * (one + other)).collect()
}

fn folder(training: &Training<'_>, fold: u32) -> PathBuf {
    training.folder.join(FOLDER).join((fold + 1).to_string())
}

/// The recipe of a scout: a plain net with a constant learning rate, judged by the running mean of its params, which is
/// trained as long as it gets better on its held-out labels. These are as noisy as all others, but the scout never saw
/// them: the more of its own wrong labels it memorises, the less it agrees with them. (Drawn faces, hard, 20 % wrong,
/// 30 epochs: accuracy 0.73 on held-out faces; 0.69 with a falling rate, 0.50 with 15 epochs.) It does not begin with
/// a net that was trained on this very data, its held-out samples included.
fn recipe(whole: &Recipe, fold: u32, set: &str) -> Recipe {
    let epochs = (f64::from(whole.epochs) * whole.cure.scout_share).round() as u32;
    Recipe {
        method: Method::Baseline,
        epochs: epochs.max(LEAST_EPOCHS),
        seed: whole.seed.wrapping_mul(31).wrapping_add(u64::from(fold) + 1),
        schedule: Schedule::Constant,
        average: AVERAGE,
        // Scouts have a rule of their own: `has_stalled`.
        early_stop: None,
        init: whole.init.clone().filter(|path| !has_learnt_from(path, set)),
        ..whole.clone()
    }
}

/// Whether a file's net was trained on the named data. It is not known of files of other programs.
pub(super) fn has_learnt_from(path: &Path, set: &str) -> bool {
    OwnCard::of(path).is_some_and(|card| card.has_learnt_from(set))
}

/// A subset of a set: samples to train on, and held-out samples as validation.
fn subset(set: &TrainingSet, trained: &[usize], held_out: &[usize]) -> TrainingSet {
    let positions = [trained, held_out].concat();
    let labels = positions.iter().map(|&sample| set.labels[sample]).collect();
    let pictures = Subset { pictures: Arc::clone(&set.pictures), positions };
    TrainingSet {
        name: set.name.clone(),
        classes: set.classes.clone(),
        labels,
        splits: [vec![Split::Train; trained.len()], vec![Split::Validation; held_out.len()]].concat(),
        ..TrainingSet::of(Arc::new(pictures))
    }
}

/// Pictures of another list, by their positions in it.
struct Subset {
    pictures: Arc<dyn Pictures>,
    positions: Vec<usize>,
}

impl Pictures for Subset {
    fn len(&self) -> usize {
        self.positions.len()
    }

    fn encoded(&self, index: usize) -> std::io::Result<Vec<u8>> {
        self.pictures.encoded(self.positions[index])
    }

    fn name(&self, index: usize) -> String {
        self.pictures.name(self.positions[index])
    }

    fn identity(&self) -> Identity {
        let positions = bytes_of(self.positions.iter().map(|&position| position as u64));
        identity_of([&self.pictures.identity()[..], &positions].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::super::drawn::shapes;
    use super::*;

    #[test]
    fn every_fold_gets_its_share_of_every_class_and_no_source_is_divided() {
        let mut set = shapes(120, 1);
        let samples = set.of_split(Split::Train);
        let folds = assign_folds(&set, &samples, 3, 7);
        for class in 0..set.classes.len() {
            let of_class = |fold| {
                let is_it = |&(sample, own): &(&usize, &u32)| set.labels[*sample] == class && *own == fold;
                samples.iter().zip(&folds).filter(is_it).count()
            };
            let counts = [of_class(0), of_class(1), of_class(2)];
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        }
        set.sources = Some((0..120).map(|sample| sample / 4).collect());
        let folds = assign_folds(&set, &samples, 3, 7);
        for (place, sample) in samples.iter().enumerate() {
            let same = samples.iter().position(|other| other / 4 == sample / 4).unwrap();
            assert_eq!(folds[place], folds[same]);
        }
    }

    #[test]
    fn a_scout_judges_no_class_that_it_has_hardly_seen() {
        // Class 1 is of one source; of class 2 one source has most samples, and of class 3 a wrong label is elsewhere.
        let labels = [0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3];
        let folds = [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 1, 1, 1, 2, 0, 2, 2, 2, 1];
        let expected = [
            [true; 6].to_vec(),
            [false; 2].to_vec(),
            [false; 5].to_vec(),
            [true; 2].to_vec(),
            [false; 3].to_vec(),
            vec![true],
        ];
        assert_eq!(judgeable(&labels, &folds), expected.concat());
    }

    #[test]
    fn a_scout_does_not_begin_with_a_net_that_was_trained_on_the_same_data() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        let predictor = predict::Predictor::untrained(Method::Scn, &["anger", "fear"]);
        predictor.export(&path).unwrap();
        let whole = Recipe { init: Some(path.clone()), ..Recipe::new(Method::Cure) };
        assert_eq!(recipe(&whole, 0, &predictor.card().data).init, None);
        assert_eq!(recipe(&whole, 0, "another").init, Some(path));
    }

    #[test]
    fn a_scout_goes_on_while_accuracy_or_loss_improves_and_ends_when_both_have_stalled() {
        let falling: Vec<HeldOut> =
            (0..20).map(|epoch| HeldOut { accuracy: 0.36, loss: 1.75 - 0.005 * f64::from(epoch) }).collect();
        let rising: Vec<HeldOut> =
            (0..20).map(|epoch| HeldOut { accuracy: 0.36 + 0.01 * f64::from(epoch), loss: 1.7 }).collect();
        assert!(!has_stalled(&falling) && !has_stalled(&rising), "one of the two improves");
        let peaked = [0.5, 0.6, 0.58, 0.6, 0.59, 0.6, 0.57].map(|accuracy| HeldOut { accuracy, loss: 1.7 });
        assert!(!has_stalled(&peaked[..6]) && has_stalled(&peaked), "five epochs after the best one");
        assert!(!has_stalled(&[]) && !has_stalled(&peaked[..1]));
    }

    #[test]
    fn a_subset_keeps_its_pictures_and_labels_together() {
        let set = shapes(30, 1);
        let subset = subset(&set, &[4, 9], &[7]);
        assert_eq!(subset.labels, [set.labels[4], set.labels[9], set.labels[7]]);
        assert_eq!(subset.splits, [Split::Train, Split::Train, Split::Validation]);
        assert_eq!(subset.pictures.encoded(1).unwrap(), set.pictures.encoded(9).unwrap());
        assert_eq!(subset.pictures.encoded(2).unwrap(), set.pictures.encoded(7).unwrap());
        subset.check().unwrap();
    }
}

//! What nets say of samples that they never saw: the training samples are dealt into folds, and a scout is trained for
//! each fold on all the others. A net's opinion of samples that it was trained on echoes their labels.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::data::{Identity, Pictures, TrainingSet, bytes_of, identity_of};
use super::error::TrainError;
use super::events::TrainEvent;
use super::metrics::{EpochMetrics, Prediction};
use super::net::Net;
use super::recipe::{Method, Recipe};
use super::schedule::Schedule;
use super::training::{BEST, RunPlace, Training};
use super::{epoch, judge, predict};
use crate::types::Split;

/// The scouts' folder inside a run's folder; it is removed once all scouts have told.
const FOLDER: &str = "scouts";
/// Share of itself that a scout's running mean of params keeps at each step.
const AVERAGE: f64 = 0.99;
/// A scout may train for at least so many epochs, also in a run of fewer.
const LEAST_EPOCHS: u32 = 3;
/// A scout ends after so many epochs without progress on the labels that were held from it.
const PATIENCE: usize = 5;

/// What scouts tell of all training samples: one row of C probabilities for each of [`Training::train_samples`], in their
/// order; even where a picture cannot be read. Scouts that were done before a kill are asked again, not trained again.
pub(crate) fn tell(training: &Training<'_>) -> Result<Vec<f32>, TrainError> {
    let samples = &training.train_samples;
    let folds = deal(training.set, samples, training.recipe.cure.folds, training.recipe.seed);
    let mut rows = Rows::even(training);
    for fold in 0..training.recipe.cure.folds {
        let is_held = |place: &usize| folds[*place] == fold;
        let (held, trained): (Vec<usize>, Vec<usize>) = (0..samples.len()).partition(is_held);
        let sample = |places: &[usize]| places.iter().map(|&place| samples[place]).collect::<Vec<_>>();
        rows.set(one_scout(training, fold, &sample(&trained), &sample(&held))?);
    }
    Ok(rows.rows)
}

/// Removes what scouts left behind, once what they told is saved.
pub(crate) fn dismiss(training: &Training<'_>) {
    let _ = std::fs::remove_dir_all(training.folder.join(FOLDER));
}

/// The fold of each of `samples`: those of one source (else of one clip) go together, and each fold gets its share of
/// every given class.
fn deal(set: &TrainingSet, samples: &[usize], folds: u32, seed: u64) -> Vec<u32> {
    let together = set.together();
    let unit = |sample: usize| together.map_or(sample as u64, |units| units[sample]);
    let mut order: Vec<(usize, u64)> = samples.iter().map(|&s| (set.labels[s], unit(s))).collect();
    order.sort_unstable_by_key(|&(label, unit)| (unit, label));
    order.dedup_by_key(|&mut (_, unit)| unit);
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order.sort_by_key(|&(label, _)| label);
    let dealt = order.iter().zip(0_u32..).map(|(&(_, unit), place)| (unit, place % folds));
    let dealt: HashMap<u64, u32> = dealt.collect();
    samples.iter().map(|&sample| dealt[&unit(sample)]).collect()
}

/// Trains one scout, or takes up where it stood, and asks it about the samples that were held from it, each seen as it
/// is and mirrored.
fn one_scout(
    training: &Training<'_>,
    fold: u32,
    trained: &[usize],
    held: &[usize],
) -> Result<Vec<(usize, Vec<f32>)>, TrainError> {
    let recipe = recipe(training.recipe, fold);
    let set = part(training.set, trained, held);
    let place = RunPlace { folder: folder(training, fold), device: training.device_name.to_owned() };
    let (scouts, epochs) = (training.recipe.cure.folds, recipe.epochs);
    let audience = training.audience();
    let (sender, receiver) = sync_channel(1);
    thread::scope(move |scope| {
        scope.spawn(move || {
            for event in receiver {
                if let TrainEvent::Step(step) = event {
                    let _ = audience.send(TrainEvent::Scouting { scout: fold + 1, scouts, epochs, step });
                }
            }
        });
        // Dropped at the end of this block, which ends the thread above.
        let sender = sender;
        let mut scout = Training::begin(&recipe, &set, &place, &sender, training.stop)?;
        while !scout.is_over() && !has_settled(&held_of(&scout.progress.history)) {
            let (metrics, _) = epoch::train_one_epoch(&mut scout)?;
            if scout.note(&metrics) {
                predict::save_net(&scout, BEST)?;
            }
            scout.save()?;
        }
        both_ways(&predict::load_best(&scout)?, training, held)
    })
}

/// A scout's accuracy and loss on held labels after one epoch.
type Held = (f64, f64);

fn held_of(history: &[EpochMetrics]) -> Vec<Held> {
    history
        .iter()
        .filter_map(|epoch| epoch.validation.as_ref())
        .map(|held| (held.accuracy, held.loss))
        .collect()
}

/// Whether none of the last epochs had a greater accuracy or a smaller loss on held labels than one before them.
/// Accuracy alone would not do: it stands still for many epochs before a scout begins to learn (drawn faces, hard: 0.36
/// from epoch 6 to 14, while the loss fell from 1.75 to 1.71; 0.46 and more afterwards).
fn has_settled(held: &[Held]) -> bool {
    let Some(before) = held.len().checked_sub(PATIENCE).filter(|&before| before > 0) else { return false };
    let (before, last) = held.split_at(before);
    let accuracy = before.iter().map(|&(accuracy, _)| accuracy).fold(f64::NEG_INFINITY, f64::max);
    let loss = before.iter().map(|&(_, loss)| loss).fold(f64::INFINITY, f64::min);
    last.iter().all(|&(later, surprise)| later <= accuracy && surprise >= loss)
}

/// What a net says of samples of a run's set, each seen as it is and mirrored.
fn both_ways(
    net: &Net,
    training: &Training<'_>,
    samples: &[usize],
) -> Result<Vec<(usize, Vec<f32>)>, TrainError> {
    let ask = |mirrored| judge::ask_of(net, training.recipe, &training.shelf, (samples, mirrored));
    let (plain, mirrored) = (ask(false)?, ask(true)?);
    let mirrored: HashMap<usize, Prediction> = mirrored.into_iter().collect();
    // A picture may be readable at one time and not at another.
    let both =
        plain.into_iter().filter_map(|(sample, one)| Some((sample, mean(&one, mirrored.get(&sample)?))));
    Ok(both.collect())
}

/// What the run's own net says of its training samples, in the form of [`tell`].
pub(crate) fn opinions(training: &Training<'_>) -> Result<Vec<f32>, TrainError> {
    let mut rows = Rows::even(training);
    rows.set(both_ways(training.judged(), training, &training.train_samples)?);
    Ok(rows.rows)
}

/// One row of C probabilities for each of a run's training samples.
struct Rows<'a> {
    samples: &'a [usize],
    classes: usize,
    rows: Vec<f32>,
}

impl<'a> Rows<'a> {
    /// All classes equally probable, as for a picture that cannot be read.
    fn even(training: &'a Training<'_>) -> Self {
        let (samples, classes) = (&training.train_samples, training.set.classes.len());
        Self { samples, classes, rows: vec![1.0 / classes as f32; samples.len() * classes] }
    }

    fn set(&mut self, told: Vec<(usize, Vec<f32>)>) {
        for (sample, row) in told {
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

/// The recipe of a scout: a plain net with a constant learning rate, judged by the running mean of its params, which
/// trains as long as it gets better on held labels. These are wrong as often as all others, but the scout never saw
/// them: what it learns by heart of its own wrong labels makes it agree with them less. (Drawn faces, hard, 20 % wrong,
/// 30 epochs: right on 0.73 of held faces; 0.69 with a falling rate, 0.50 with 15 epochs.)
fn recipe(whole: &Recipe, fold: u32) -> Recipe {
    let epochs = (f64::from(whole.epochs) * whole.cure.scout_share).round() as u32;
    Recipe {
        method: Method::Baseline,
        epochs: epochs.max(LEAST_EPOCHS),
        seed: whole.seed.wrapping_mul(31).wrapping_add(u64::from(fold) + 1),
        schedule: Schedule::Constant,
        average: AVERAGE,
        // It has a rule of its own: `has_settled`.
        early_stop: None,
        ..whole.clone()
    }
}

/// A set of some of a set's samples: those that are trained on, and those that are held out, which validate.
fn part(set: &TrainingSet, trained: &[usize], held: &[usize]) -> TrainingSet {
    let positions = [trained, held].concat();
    let labels = positions.iter().map(|&sample| set.labels[sample]).collect();
    let pictures = Part { pictures: Arc::clone(&set.pictures), positions };
    TrainingSet {
        name: set.name.clone(),
        classes: set.classes.clone(),
        labels,
        splits: [vec![Split::Train; trained.len()], vec![Split::Validation; held.len()]].concat(),
        ..TrainingSet::of(Arc::new(pictures))
    }
}

struct Part {
    pictures: Arc<dyn Pictures>,
    positions: Vec<usize>,
}

impl Pictures for Part {
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
    fn every_fold_gets_its_share_of_every_class_and_no_source_is_split() {
        let mut set = shapes(120, 1);
        let samples = set.of_split(Split::Train);
        let folds = deal(&set, &samples, 3, 7);
        for class in 0..set.classes.len() {
            let of_class = |fold| {
                let is_it = |&(sample, own): &(&usize, &u32)| set.labels[*sample] == class && *own == fold;
                samples.iter().zip(&folds).filter(is_it).count()
            };
            let counts = [of_class(0), of_class(1), of_class(2)];
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        }
        set.sources = Some((0..120).map(|sample| sample / 4).collect());
        let folds = deal(&set, &samples, 3, 7);
        for (place, sample) in samples.iter().enumerate() {
            let same = samples.iter().position(|other| other / 4 == sample / 4).unwrap();
            assert_eq!(folds[place], folds[same]);
        }
    }

    #[test]
    fn a_scout_goes_on_while_either_measure_gets_better_and_ends_when_both_have_stood_still() {
        let falling: Vec<Held> = (0..20).map(|epoch| (0.36, 1.75 - 0.005 * f64::from(epoch))).collect();
        let rising: Vec<Held> = (0..20).map(|epoch| (0.36 + 0.01 * f64::from(epoch), 1.7)).collect();
        assert!(!has_settled(&falling) && !has_settled(&rising), "one of the two moves");
        let peaked: Vec<Held> =
            [0.5, 0.6, 0.58, 0.6, 0.59, 0.6, 0.57].map(|accuracy| (accuracy, 1.7)).to_vec();
        assert!(!has_settled(&peaked[..6]) && has_settled(&peaked), "five epochs after the best one");
        assert!(!has_settled(&[]) && !has_settled(&peaked[..1]));
    }

    #[test]
    fn a_part_keeps_its_pictures_and_labels_together() {
        let set = shapes(30, 1);
        let part = part(&set, &[4, 9], &[7]);
        assert_eq!(part.labels, [set.labels[4], set.labels[9], set.labels[7]]);
        assert_eq!(part.splits, [Split::Train, Split::Train, Split::Validation]);
        assert_eq!(part.pictures.encoded(1).unwrap(), set.pictures.encoded(9).unwrap());
        assert_eq!(part.pictures.encoded(2).unwrap(), set.pictures.encoded(7).unwrap());
        part.check().unwrap();
    }
}

//! What is measured apart from training: a split after an epoch, and at the end the last look at everything.
//! It moves no params.

use std::collections::BTreeMap;
use std::sync::Arc;

use tch::no_grad;

use super::data::most_unreadable;
use super::error::TrainError;
use super::events::{Decision, Opinion, TrainEvent, Trained};
use super::loader::{PictureShelf, load};
use super::metrics::{self, EpochMetrics, LabelAudit, Prediction, SplitMetrics};
use super::net::Net;
use super::recipe::{Method, Recipe};
use super::training::Training;
use super::{augment, predict};
use crate::types::Split;

/// Refuses more unreadable pictures than [`most_unreadable`].
pub(crate) fn check_unreadable(shelf: &PictureShelf, of: usize) -> Result<(), TrainError> {
    check(&shelf.unreadable(), of, "pictures")
}

fn check(unreadable: &BTreeMap<usize, String>, of: usize, what: &'static str) -> Result<(), TrainError> {
    let limit = most_unreadable(of);
    match unreadable.values().next() {
        Some(first) if unreadable.len() > limit => {
            let (count, first) = (unreadable.len(), first.clone());
            Err(TrainError::TooManyUnreadable { count, of, what, limit, first })
        }
        _ => Ok(()),
    }
}

/// Reads the pictures of validation and test once before the first epoch, each part by itself: otherwise a run would
/// only find out in its last epochs that the test cannot be read. The shelf keeps them where it has room for all
/// pictures; otherwise its room is for the training pictures.
pub(crate) fn check_held_out(training: &Training<'_>) -> Result<(), TrainError> {
    let shelf = if training.shelf.has_room_for_all() {
        Arc::clone(&training.shelf)
    } else {
        Arc::new(PictureShelf::new(Arc::clone(&training.set.pictures), training.recipe.image_size, 0))
    };
    for (split, what) in [(Split::Validation, "validation pictures"), (Split::Test, "test pictures")] {
        let samples = training.set.of_split(split);
        let of = samples.len();
        for _batch in load(&shelf, samples, training.recipe.batch_size, 0) {
            let mut unreadable = shelf.unreadable();
            unreadable.retain(|&sample, _| training.set.splits[sample] == split);
            check(&unreadable, of, what)?;
            if training.stop.is_asked() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What became of the training labels so far, where truth is known.
pub(crate) fn audit(training: &Training<'_>) -> Option<LabelAudit> {
    let truth = training.set.truth.as_ref()?;
    let (given, in_force) = (training.labels.given(), training.labels.current());
    let [given, in_force, truth] = [given, in_force, truth].map(|labels| training.of_train(labels));
    Some(LabelAudit::of(&given, &in_force, &truth))
}

/// Measures one split after the last step of an epoch, against its labels as given; `None` when nothing of it can be read.
pub(crate) fn evaluate(training: &Training<'_>, split: Split) -> Result<Option<SplitMetrics>, TrainError> {
    match measure(training, training.judged(), &training.set.of_split(split)) {
        Err(TrainError::NoNumbers) => Err(training.diverged(training.progress.steps_done, "answers", "NaN")),
        measured => measured,
    }
}

fn measure(
    training: &Training<'_>,
    net: &Net,
    samples: &[usize],
) -> Result<Option<SplitMetrics>, TrainError> {
    let told = ask(net, training.recipe, &training.shelf, samples)?;
    let labels: Vec<usize> = told.iter().map(|(sample, _)| training.set.labels[*sample]).collect();
    let predictions: Vec<Prediction> = told.into_iter().map(|(_, prediction)| prediction).collect();
    Ok(SplitMetrics::of(&predictions, &labels, training.set.classes.len()))
}

/// What a net says of samples without augmentation, in their order; unreadable ones are left out.
pub(crate) fn ask(
    net: &Net,
    recipe: &Recipe,
    shelf: &Arc<PictureShelf>,
    samples: &[usize],
) -> Result<Vec<(usize, Prediction)>, TrainError> {
    ask_of(net, recipe, shelf, (samples, false))
}

/// The same; with `mirrored`, every picture is mirrored.
pub(crate) fn ask_of(
    net: &Net,
    recipe: &Recipe,
    shelf: &Arc<PictureShelf>,
    (samples, mirrored): (&[usize], bool),
) -> Result<Vec<(usize, Prediction)>, TrainError> {
    let mut told = Vec::with_capacity(samples.len());
    for batch in load(shelf, samples.to_vec(), recipe.batch_size, 0) {
        check_unreadable(shelf, shelf.len())?;
        if batch.samples.is_empty() {
            continue;
        }
        let pictures = augment::plain(&batch, recipe.image_size, recipe.normalise, net.compute.device);
        let pictures = if mirrored { pictures.flip([3]) } else { pictures };
        let predictions = predict::predictions(recipe, &no_grad(|| net.forward(&pictures)))?;
        told.extend(batch.samples.into_iter().zip(predictions));
    }
    Ok(told)
}

/// The last look: labels of `cure`, opinions on every sample, the test of the last and of the best params.
pub(crate) fn finish(training: &mut Training<'_>) -> Result<Trained, TrainError> {
    cure_labels(training)?;
    let measured_on =
        [Split::Test, Split::Validation].into_iter().find(|split| training.set.splits.contains(split));
    let opinions = opinions(training)?;
    let history = &training.progress.history;
    let measured = measures_on(measured_on, history);
    let accuracies: Vec<f64> = measured.iter().map(|split| split.accuracy).collect();
    let mean_classes: Vec<f64> = measured.iter().map(|split| split.mean_class_accuracy).collect();
    Ok(Trained {
        method: training.recipe.method.as_str().to_owned(),
        recipe_hash: training.recipe.hash(),
        classes: training.set.classes.clone(),
        device: training.device_words.clone(),
        measured_on,
        last5_accuracy: metrics::last_five_mean(&accuracies),
        best_accuracy: best_accuracy(training, measured_on)?,
        best_epoch: training.progress.best.map(|(epoch, _)| epoch),
        mean_class_accuracy: metrics::last_five_mean(&mean_classes),
        last: measured.into_iter().last(),
        labels: audit(training),
        importance_auc: importance_auc(training, &opinions),
        images_per_s: median_speed(history),
        epochs: history.clone(),
        relabels: training.labels.changes().to_vec(),
        opinions,
        unreadable: training.shelf.unreadable().into_values().collect(),
    })
}

/// Has `cure` decide about all labels, and tells them and the last epoch, whose measures say what came of them.
fn cure_labels(training: &mut Training<'_>) -> Result<(), TrainError> {
    if training.recipe.method != Method::Cure {
        return Ok(());
    }
    let decided = training.end_cure()?;
    let labels = audit(training);
    if let Some(last) = training.progress.history.last_mut() {
        (last.relabelled, last.labels) = (decided.len(), labels);
    }
    if !decided.is_empty() {
        training.tell(TrainEvent::Relabelled(decided));
    }
    if let Some(last) = training.progress.history.last() {
        training.tell(TrainEvent::Epoch(Box::new(last.clone())));
    }
    Ok(())
}

/// The measures on the test or else on validation, of all epochs that have them.
fn measures_on(split: Option<Split>, history: &[EpochMetrics]) -> Vec<SplitMetrics> {
    let of = |metrics: &EpochMetrics| match split {
        Some(Split::Test) => metrics.test.clone(),
        _ => metrics.validation.clone(),
    };
    history.iter().filter_map(of).collect()
}

/// The accuracy on a split with the params that were best on validation.
fn best_accuracy(training: &Training<'_>, split: Option<Split>) -> Result<Option<f64>, TrainError> {
    let Some(split) = split else { return Ok(None) };
    let net = predict::load_best(training)?;
    Ok(measure(training, &net, &training.set.of_split(split))?.map(|measured| measured.accuracy))
}

/// Median pictures a second of the epochs.
fn median_speed(history: &[EpochMetrics]) -> f64 {
    let mut speeds: Vec<f64> = history.iter().map(|metrics| metrics.images_per_s).collect();
    speeds.sort_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied().unwrap_or(0.0)
}

/// How well importance tells right labels from wrong ones, whichever method gave it.
fn importance_auc(training: &Training<'_>, opinions: &[Opinion]) -> Option<f64> {
    let truth = training.set.truth.as_ref()?;
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for opinion in opinions.iter().filter(|opinion| opinion.split == Split::Train) {
        let is_right = training.labels.given()[opinion.sample] == truth[opinion.sample];
        if is_right { &mut right } else { &mut wrong }.extend(opinion.importance);
    }
    metrics::auc(&right, &wrong)
}

fn opinions(training: &Training<'_>) -> Result<Vec<Opinion>, TrainError> {
    let all: Vec<usize> = (0..training.set.len()).collect();
    let told = ask(training.judged(), training.recipe, &training.shelf, &all)?;
    let opinion = |(sample, prediction): (usize, Prediction)| {
        let (given, label) = (training.labels.given()[sample], training.labels.current()[sample]);
        let predicted = prediction.class();
        let by_prediction = match (label == given, predicted == given) {
            (false, _) => Decision::Relabel,
            (true, true) => Decision::Keep,
            (true, false) => Decision::Ask,
        };
        Opinion {
            sample,
            split: training.set.splits[sample],
            label,
            importance: training.cure_importance(sample).or(prediction.importance),
            predicted,
            p_predicted: prediction.probabilities[predicted],
            p_given: prediction.probabilities[given],
            decision: training.cure_decision(sample).unwrap_or(by_prediction),
        }
    };
    Ok(told.into_iter().map(opinion).collect())
}

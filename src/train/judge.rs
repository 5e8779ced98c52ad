//! Evaluation: a split after an epoch, and everything at the end of a run. It updates no params.

use std::collections::BTreeMap;
use std::sync::Arc;

use tch::{Tensor, no_grad};

use super::data::most_unreadable;
use super::error::TrainError;
use super::events::TrainEvent;
use super::loader::{PictureCache, load};
use super::metrics::{self, EpochMetrics, LabelAudit, Prediction, SplitMetrics};
use super::net::Net;
use super::recipe::{Method, Recipe};
use super::trained::{Decision, Opinion, Trained};
use super::training::Training;
use super::{augment, predict};
use crate::types::Split;

/// Refuses more unreadable pictures than [`most_unreadable`].
pub(crate) fn check_unreadable(cache: &PictureCache, of: usize) -> Result<(), TrainError> {
    check(&cache.unreadable(), of, "pictures")
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

/// Reads the validation and test pictures once before the first epoch; otherwise a run would find out only in its last
/// epochs that the test cannot be read. They stay in the cache if it can hold all pictures; otherwise its room is left
/// to the training pictures.
///
/// # Errors
/// [`TrainError::TooManyUnreadable`], for each part by itself.
pub(crate) fn check_held_out(training: &Training<'_>) -> Result<(), TrainError> {
    let cache = if training.cache.can_hold_all() {
        Arc::clone(&training.cache)
    } else {
        Arc::new(PictureCache::new(Arc::clone(&training.set.pictures), training.recipe.image_size, 0))
    };
    for (split, what) in [(Split::Validation, "validation pictures"), (Split::Test, "test pictures")] {
        let samples = training.set.of_split(split);
        let of = samples.len();
        for _batch in load(&cache, samples, training.recipe.batch_size, 0) {
            let mut unreadable = cache.unreadable();
            unreadable.retain(|&sample, _| training.set.splits[sample] == split);
            check(&unreadable, of, what)?;
            if training.stop.is_asked() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The state of the training labels so far, where truth is known.
pub(crate) fn audit(training: &Training<'_>) -> Option<LabelAudit> {
    let truth = training.set.truth.as_ref()?;
    let (given, in_force) = (training.labels.given(), training.labels.current());
    let [given, in_force, truth] = [given, in_force, truth].map(|labels| training.of_train(labels));
    Some(LabelAudit::of(&given, &in_force, &truth))
}

/// Measures one split at the end of an epoch, against its given labels; `None` when none of its pictures can be read.
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
    let predicted = ask(net, training.recipe, &training.cache, samples)?;
    let labels: Vec<usize> = predicted.iter().map(|(sample, _)| training.set.labels[*sample]).collect();
    let predictions: Vec<Prediction> = predicted.into_iter().map(|(_, prediction)| prediction).collect();
    Ok(SplitMetrics::of(&predictions, &labels, training.set.classes.len()))
}

/// A net's predictions of samples without augmentation, in their order; unreadable samples are left out.
pub(crate) fn ask(
    net: &Net,
    recipe: &Recipe,
    cache: &Arc<PictureCache>,
    samples: &[usize],
) -> Result<Vec<(usize, Prediction)>, TrainError> {
    ask_about(net, recipe, cache, samples, |pictures| pictures)
}

/// The same for the pictures' mirror images.
pub(crate) fn ask_mirrored(
    net: &Net,
    recipe: &Recipe,
    cache: &Arc<PictureCache>,
    samples: &[usize],
) -> Result<Vec<(usize, Prediction)>, TrainError> {
    ask_about(net, recipe, cache, samples, |pictures| pictures.flip([3]))
}

fn ask_about(
    net: &Net,
    recipe: &Recipe,
    cache: &Arc<PictureCache>,
    samples: &[usize],
    transform: impl Fn(Tensor) -> Tensor,
) -> Result<Vec<(usize, Prediction)>, TrainError> {
    let mut predicted = Vec::with_capacity(samples.len());
    for batch in load(cache, samples.to_vec(), recipe.batch_size, 0) {
        check_unreadable(cache, cache.len())?;
        if batch.samples.is_empty() {
            continue;
        }
        let pictures = transform(augment::plain(&batch, recipe, net.compute.device));
        let predictions = no_grad(|| net.forward(&pictures)).predictions(recipe)?;
        predicted.extend(batch.samples.into_iter().zip(predictions));
    }
    Ok(predicted)
}

/// Ends a run: the labels of `cure`, an opinion on every sample, the accuracies of the last and of the best params.
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
        method: training.recipe.method,
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
        importance_auc: final_importance_auc(training, &opinions),
        images_per_s: median_speed(history),
        epochs: history.clone(),
        relabels: training.labels.changes().to_vec(),
        opinions,
        unreadable: training.cache.unreadable().into_values().collect(),
    })
}

/// Decides about all labels by `cure`, and sends the changes and the last epoch, whose measures count them.
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
        training.send(TrainEvent::Relabelled(decided));
    }
    if let Some(last) = training.progress.history.last() {
        training.send(TrainEvent::Epoch(Box::new(last.clone())));
    }
    Ok(())
}

/// The measures on the test, or else on validation, of all epochs that have them.
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

/// Pictures a second, the median over the epochs.
fn median_speed(history: &[EpochMetrics]) -> f64 {
    let mut speeds: Vec<f64> = history.iter().map(|metrics| metrics.images_per_s).collect();
    speeds.sort_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied().unwrap_or(0.0)
}

/// How well importances (each with its sample) tell right given labels from wrong ones, where truth is known.
pub(crate) fn importance_auc(
    training: &Training<'_>,
    importances: impl Iterator<Item = (usize, f32)>,
) -> Option<f64> {
    let (truth, given) = (training.set.truth.as_ref()?, training.labels.given());
    metrics::importance_auc(
        importances.map(|(sample, importance)| (given[sample] == truth[sample], importance)),
    )
}

/// The same for the training samples at the end of a run.
fn final_importance_auc(training: &Training<'_>, opinions: &[Opinion]) -> Option<f64> {
    let of_train = opinions.iter().filter(|opinion| opinion.split == Split::Train);
    importance_auc(training, of_train.filter_map(|opinion| Some((opinion.sample, opinion.importance?))))
}

fn opinions(training: &Training<'_>) -> Result<Vec<Opinion>, TrainError> {
    let all: Vec<usize> = (0..training.set.len()).collect();
    let predicted = ask(training.judged(), training.recipe, &training.cache, &all)?;
    let opinion = |(sample, prediction): (usize, Prediction)| {
        let (given, label) = (training.labels.given()[sample], training.labels.current()[sample]);
        let predicted = prediction.class();
        let p_right = training.cure_importance(sample);
        let is_doubted = p_right.map_or(predicted != given, |p_right| p_right < 0.5);
        Opinion {
            sample,
            split: training.set.splits[sample],
            label,
            importance: p_right.or(prediction.importance),
            predicted,
            p_predicted: prediction.probabilities[predicted],
            p_given: prediction.probabilities[given],
            decision: match (label == given, is_doubted) {
                (false, _) => Decision::Relabel,
                (true, true) => Decision::Ask,
                (true, false) => Decision::Keep,
            },
        }
    };
    Ok(predicted.into_iter().map(opinion).collect())
}

//! What is measured apart from training: a split after an epoch, and at the end the last look at everything.
//! It moves no params.

use std::collections::BTreeMap;
use std::sync::Arc;

use tch::no_grad;

use super::error::TrainError;
use super::events::{Decision, Opinion, TrainEvent, Trained};
use super::loader::{PictureShelf, load};
use super::metrics::{self, EpochMetrics, LabelAudit, Prediction, SplitMetrics};
use super::net::Net;
use super::recipe::Recipe;
use super::session::Session;
use super::{augment, predict};
use crate::types::Split;

/// At most ten pictures, or one in a hundred, may be unreadable.
pub(crate) fn check_unreadable(shelf: &PictureShelf, of: usize) -> Result<(), TrainError> {
    check(&shelf.unreadable(), of, "pictures")
}

fn check(unreadable: &BTreeMap<usize, String>, of: usize, what: &'static str) -> Result<(), TrainError> {
    let limit = (of / 100).max(10).min(of / 2);
    match unreadable.values().next() {
        Some(first) if unreadable.len() > limit => {
            let (count, first) = (unreadable.len(), first.clone());
            Err(TrainError::TooManyUnreadable { count, of, what, limit, first })
        }
        _ => Ok(()),
    }
}

/// Reads what will be measured on once, each part for itself: that nothing of the test can be read would else be found out
/// in the last epochs. It is kept where all pictures can be; else what is trained on goes before.
pub(crate) fn check_held_out(session: &Session<'_>) -> Result<(), TrainError> {
    let shelf = if session.shelf.has_room_for_all() {
        Arc::clone(&session.shelf)
    } else {
        Arc::new(PictureShelf::new(Arc::clone(&session.set.pictures), session.recipe.image_size, 0))
    };
    for (split, what) in [(Split::Validation, "validation pictures"), (Split::Test, "test pictures")] {
        let samples = session.set.of_split(split);
        let of = samples.len();
        for _batch in load(&shelf, samples, session.recipe.batch_size, 0) {
            let mut unreadable = shelf.unreadable();
            unreadable.retain(|&sample, _| session.set.splits[sample] == split);
            check(&unreadable, of, what)?;
            if session.stop.is_asked() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What became of the training labels so far, where truth is known.
pub(crate) fn audit(session: &Session<'_>) -> Option<LabelAudit> {
    let truth = session.set.truth.as_ref()?;
    let (given, in_force) = (session.labels.given(), session.labels.current());
    let [given, in_force, truth] = [given, in_force, truth].map(|labels| session.of_train(labels));
    Some(LabelAudit::of(&given, &in_force, &truth))
}

/// Measures one split after the last step of an epoch, against its labels as given; `None` when nothing of it can be read.
pub(crate) fn evaluate(session: &Session<'_>, split: Split) -> Result<Option<SplitMetrics>, TrainError> {
    match measure(session, session.judged(), &session.set.of_split(split)) {
        Err(TrainError::NoNumbers) => Err(session.diverged(session.progress.steps_done, "answers", "NaN")),
        measured => measured,
    }
}

fn measure(session: &Session<'_>, net: &Net, samples: &[usize]) -> Result<Option<SplitMetrics>, TrainError> {
    let told = ask(net, session.recipe, &session.shelf, samples)?;
    let labels: Vec<usize> = told.iter().map(|(sample, _)| session.set.labels[*sample]).collect();
    let predictions: Vec<Prediction> = told.into_iter().map(|(_, prediction)| prediction).collect();
    Ok(SplitMetrics::of(&predictions, &labels, session.set.classes.len()))
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

/// The same; every picture mirrored if told so.
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
        let predictions = predict::predictions(recipe, &no_grad(|| net.forward(&pictures, false)))?;
        told.extend(batch.samples.into_iter().zip(predictions));
    }
    Ok(told)
}

/// The last look: labels of `cure`, opinions on every sample, the test of the last and of the best params.
pub(crate) fn finish(session: &mut Session<'_>) -> Result<Trained, TrainError> {
    let decided = session.end_cure()?;
    if !decided.is_empty() {
        session.tell(TrainEvent::Relabelled(decided));
    }
    let measured_on =
        [Split::Test, Split::Validation].into_iter().find(|split| session.set.splits.contains(split));
    let opinions = opinions(session)?;
    let history = &session.progress.history;
    let of = |metrics: &EpochMetrics| match measured_on {
        Some(Split::Test) => metrics.test.clone(),
        _ => metrics.validation.clone(),
    };
    let measured: Vec<SplitMetrics> = history.iter().filter_map(of).collect();
    let accuracies: Vec<f64> = measured.iter().map(|split| split.accuracy).collect();
    let mean_classes: Vec<f64> = measured.iter().map(|split| split.mean_class_accuracy).collect();
    let best_accuracy = match measured_on {
        Some(split) => {
            let net = predict::load_best(session)?;
            measure(session, &net, &session.set.of_split(split))?.map(|measured| measured.accuracy)
        }
        None => None,
    };
    let mut speeds: Vec<f64> = history.iter().map(|metrics| metrics.images_per_s).collect();
    speeds.sort_by(f64::total_cmp);
    let last = measured.into_iter().last();
    Ok(Trained {
        method: session.recipe.method.as_str().to_owned(),
        recipe_hash: session.recipe.hash(),
        classes: session.set.classes.clone(),
        device: session.device_words.clone(),
        measured_on,
        last5_accuracy: metrics::last_five_mean(&accuracies),
        best_accuracy,
        best_epoch: session.progress.best.map(|(epoch, _)| epoch),
        mean_class_accuracy: metrics::last_five_mean(&mean_classes),
        last,
        labels: audit(session),
        importance_auc: importance_auc(session, &opinions),
        images_per_s: speeds.get(speeds.len() / 2).copied().unwrap_or(0.0),
        epochs: history.clone(),
        relabels: session.labels.changes().to_vec(),
        opinions,
        unreadable: session.shelf.unreadable().into_values().collect(),
    })
}

/// How well importance tells right labels from wrong ones, whichever method gave it.
fn importance_auc(session: &Session<'_>, opinions: &[Opinion]) -> Option<f64> {
    let truth = session.set.truth.as_ref()?;
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for opinion in opinions.iter().filter(|opinion| opinion.split == Split::Train) {
        let is_right = session.labels.given()[opinion.sample] == truth[opinion.sample];
        if is_right { &mut right } else { &mut wrong }.extend(opinion.importance);
    }
    metrics::auc(&right, &wrong)
}

fn opinions(session: &Session<'_>) -> Result<Vec<Opinion>, TrainError> {
    let all: Vec<usize> = (0..session.set.len()).collect();
    let told = ask(session.judged(), session.recipe, &session.shelf, &all)?;
    let opinion = |(sample, prediction): (usize, Prediction)| {
        let (given, label) = (session.labels.given()[sample], session.labels.current()[sample]);
        let predicted = prediction.class();
        let by_prediction = match (label == given, predicted == given) {
            (false, _) => Decision::Relabel,
            (true, true) => Decision::Keep,
            (true, false) => Decision::Ask,
        };
        Opinion {
            sample,
            split: session.set.splits[sample],
            label,
            importance: session.cure_importance(sample).or(prediction.importance),
            predicted,
            p_predicted: prediction.probabilities[predicted],
            p_given: prediction.probabilities[given],
            decision: session.cure_decision(sample).unwrap_or(by_prediction),
        }
    };
    Ok(told.into_iter().map(opinion).collect())
}

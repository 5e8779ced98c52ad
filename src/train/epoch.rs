//! One pass over the training samples, and what changes at its end. The state is in [`Training`], a step in
//! [`super::step`], and what is measured afterwards in [`super::judge`].

use std::time::Instant;

use tch::{Device, Tensor};

use super::augment;
use super::error::TrainError;
use super::events::{Step, TrainEvent};
use super::judge::{audit, check_unreadable, evaluate, importance_auc};
use super::labels::RelabelRule;
use super::loader::{Batch, Stream, ahead, epoch_order, epoch_rng, load};
use super::metrics::{self, EpochMetrics, SplitMetrics};
use super::recipe::{Method, Recipe, RelabelBy, RelabelScope, Sampling};
use super::relabel_start::{CurvePoint, has_relabelling_begun};
use super::step::train_batch;
use super::training::Training;
use crate::types::{Relabel, Split};

/// A batch, and for a GPU its pictures, made ahead while the net works on earlier ones.
pub(crate) struct Ready {
    pub(crate) batch: Batch,
    pictures: Option<Tensor>,
}

/// Trains the next epoch, relabels at its end, and measures it.
///
/// # Errors
/// [`TrainError::Stopped`] after a step when the run is asked to stop; the state is saved then.
pub(crate) fn train_one_epoch(
    training: &mut Training<'_>,
) -> Result<(EpochMetrics, Vec<Relabel>), TrainError> {
    let epoch = training.progress.epochs_done + 1;
    take_steps(training, epoch)?;
    training.check_params()?;
    let importance_auc = epoch_importance_auc(training);
    let mut metrics = training.progress.sums.metrics(epoch);
    metrics.validation = evaluate(training, Split::Validation)?;
    if training.may_be_of_the_last(&metrics) {
        metrics.test = evaluate(training, Split::Test)?;
    }
    let relabels = relabel(training, &metrics);
    metrics.learning_rate = training.recipe.learning_rate(epoch);
    metrics.relabelled = relabels.len();
    metrics.importance_auc = importance_auc;
    metrics.labels = audit(training);
    metrics.margin_1 = margin_1(training);
    metrics.unreadable = training.cache.unreadable().len();
    Ok((metrics, relabels))
}

/// Takes the remaining steps of an epoch.
fn take_steps(training: &mut Training<'_>, epoch: u32) -> Result<(), TrainError> {
    let mut batches = batches(training, epoch);
    let steps = training.steps();
    while training.progress.steps_done < steps {
        if training.stop.is_asked() {
            training.save()?;
            return Err(TrainError::Stopped { epoch, checkpoint: training.checkpoint_path() });
        }
        let began = Instant::now();
        let batch = next_batch(training, &mut *batches)?;
        training.progress.sums.waited_s += began.elapsed().as_secs_f64();
        let loss = step_on(training, batch, epoch)?;
        training.progress.steps_done += 1;
        training.progress.sums.seconds += began.elapsed().as_secs_f64();
        send_step(training, epoch, steps, loss);
        training.save_now_and_then()?;
    }
    Ok(())
}

pub(super) fn order(training: &Training<'_>, epoch: u32) -> Vec<usize> {
    let recipe = training.recipe;
    let mut rng = epoch_rng(recipe.seed, Stream::Order, epoch);
    let labels = training.labels.current();
    epoch_order(&training.train_samples, |sample| labels[sample], recipe.sampling, &mut rng)
}

/// The remaining batches of an epoch.
pub(crate) fn batches(training: &Training<'_>, epoch: u32) -> Box<dyn Iterator<Item = Ready>> {
    let (recipe, done) = (training.recipe, training.progress.steps_done);
    let batches = load(&training.cache, order(training, epoch), recipe.batch_size, done);
    let device = training.net.compute.device;
    if device == Device::Cpu {
        // The net needs all cores of a CPU: no picture is made ahead.
        return Box::new(batches.map(|batch| Ready { batch, pictures: None }));
    }
    let recipe = recipe.clone();
    let make = move |batch| Ready { pictures: Some(augment::varied(&batch, &recipe, epoch, device)), batch };
    Box::new(ahead("pictures", batches.map(make)))
}

fn next_batch(
    training: &Training<'_>,
    batches: &mut dyn Iterator<Item = Ready>,
) -> Result<Ready, TrainError> {
    let batch =
        batches.next().ok_or_else(|| TrainError::Torch("the loader thread ended early".to_owned()))?;
    check_unreadable(&training.cache, training.set.len())?;
    Ok(batch)
}

/// The augmented pictures of a batch, on the net's device.
pub(crate) fn pictures(training: &Training<'_>, batch: &Batch, epoch: u32) -> Tensor {
    augment::varied(batch, training.recipe, epoch, training.net.compute.device)
}

/// Trains on one batch and returns the loss. A batch with fewer than two readable pictures is skipped: a single one has
/// no batch statistics.
pub(crate) fn step_on(training: &mut Training<'_>, ready: Ready, epoch: u32) -> Result<f64, TrainError> {
    let Ready { batch, pictures: made } = ready;
    if batch.samples.len() < 2 {
        return Ok(0.0);
    }
    let pictures = made.unwrap_or_else(|| pictures(training, &batch, epoch));
    train_batch(training, &batch, &pictures, epoch)
}

fn send_step(training: &Training<'_>, epoch: u32, steps: usize, loss: f64) {
    let sums = &training.progress.sums;
    training.send(TrainEvent::Step(Step {
        epoch,
        step: training.progress.steps_done,
        steps,
        loss,
        accuracy: sums.accuracy(),
        images_per_s: sums.images_per_s(),
        data_wait_share: sums.data_wait_share(),
    }));
}

/// δ1 now, learnt or not; `None` where the method has none.
fn margin_1(training: &Training<'_>) -> Option<f64> {
    let learnt = training.learnt_margin_1().map(|margin| margin.double_value(&[]));
    let recipe = training.recipe;
    (recipe.method == Method::Scn).then(|| learnt.unwrap_or(recipe.scn.margin_1))
}

/// How well the mean importances of the epoch's views tell right labels from wrong ones.
fn epoch_importance_auc(training: &Training<'_>) -> Option<f64> {
    let mean = |&sample: &usize| Some((sample, training.labels.views.mean_importance(sample)?));
    let importances = training.train_samples.iter().filter_map(mean);
    (training.recipe.method == Method::Scn).then(|| importance_auc(training, importances)).flatten()
}

/// Accuracies of the finished epochs and of the one in `metrics`, against labels that are as noisy as the training
/// labels.
fn learning_curve(training: &Training<'_>, metrics: &EpochMetrics) -> Vec<CurvePoint> {
    let noise = training
        .set
        .truth
        .as_ref()
        .map(|truth| (training.of_train(training.labels.given()), training.of_train(truth)));
    // The training accuracy of balanced draws weighs all classes alike.
    let is_balanced = training.recipe.sampling == Sampling::Balanced;
    let held_out = |metrics: &EpochMetrics| {
        metrics.validation.as_ref().map(|split| match &noise {
            Some((given, truth)) => {
                let confusion = metrics::confusion_if_noisy(&split.confusion, given, truth);
                if is_balanced {
                    metrics::mean_recall_of(&confusion)
                } else {
                    metrics::accuracy_of(&confusion)
                }
            }
            None if is_balanced => split.mean_class_accuracy,
            None => split.accuracy,
        })
    };
    let epochs = training.progress.history.iter().chain([metrics]);
    let point = |epoch: &EpochMetrics| CurvePoint {
        train: epoch.train_accuracy,
        held_out: held_out(epoch),
        held_out_samples: epoch.validation.as_ref().map_or(0, SplitMetrics::samples),
    };
    epochs.map(point).collect()
}

/// The rule that relabels at the end of the last epoch of `curve`; `None` where no label may change.
fn relabel_rule(recipe: &Recipe, curve: &[CurvePoint]) -> Option<RelabelRule> {
    let may_relabel =
        recipe.method == Method::Scn && has_relabelling_begun(recipe.scn.relabel_start, curve, recipe.epochs);
    may_relabel.then_some(RelabelRule {
        margin_2: recipe.scn.margin_2 as f32,
        only_low_group: recipe.scn.relabel_scope == RelabelScope::LowGroup,
    })
}

/// Ends the epoch of the labels; returns their changes.
fn relabel(training: &mut Training<'_>, metrics: &EpochMetrics) -> Vec<Relabel> {
    let rule = relabel_rule(training.recipe, &learning_curve(training, metrics));
    let by_clip = training.recipe.relabel_by == RelabelBy::Clip;
    let groups = training.set.groups.as_deref().filter(|_| by_clip);
    training.labels.end_epoch(metrics.epoch, rule, groups)
}

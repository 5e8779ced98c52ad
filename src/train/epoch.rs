//! One pass over the training samples, and the look at the held-out ones after it: the loop, in one screen each.
//! It keeps no state of its own; that is the session's.

use std::sync::mpsc::Receiver;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, no_grad};

use super::error::TrainError;
use super::events::{Decision, Opinion, TrainEvent, Trained};
use super::labels::RelabelRule;
use super::loader::{Batch, PictureShelf, epoch_order, epoch_rng, load};
use super::metrics::{self, EpochMetrics, LabelAudit, Prediction, SplitMetrics};
use super::net::{Net, Output};
use super::recipe::{Method, Recipe, RelabelProbabilities, RelabelScope};
use super::schedule::{Curve, relabels_now};
use super::session::Session;
use super::{augment, predict, scn};
use crate::types::{Relabel, Split};

/// Names the random stream of the epochs' orders.
const ORDER: u64 = 1;
/// Test samples are looked at in this many last epochs.
const LAST_EPOCHS: u32 = 5;

/// Sums over the steps of an epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochSums {
    samples: u64,
    loss: f64,
    cross_entropy: f64,
    rank: f64,
    steps: u64,
    rank_zero_steps: u64,
    right_given: u64,
    right_in_force: u64,
    importance_histogram: [u64; 10],
    seconds: f64,
    waited_s: f64,
}

/// The loss of a step and its two parts, as tensors on the device.
struct Losses {
    total: Tensor,
    cross_entropy: Tensor,
    rank: Tensor,
}

/// Trains one epoch, lets labels change at its end, and measures it.
pub(crate) fn train_one_epoch(session: &mut Session<'_>) -> Result<(EpochMetrics, Vec<Relabel>), TrainError> {
    let epoch = session.progress.epochs_done + 1;
    let mut batches = begin_batches(session, epoch);
    let steps = session.steps();
    while session.progress.steps_done < steps {
        if session.stop.is_asked() {
            session.save()?;
            session.tell(TrainEvent::Saved { epoch });
            return Err(TrainError::Stopped { epoch, checkpoint: session.checkpoint_path() });
        }
        let began = Instant::now();
        let batch = next_batch(session, &mut batches)?;
        session.progress.sums.waited_s += began.elapsed().as_secs_f64();
        let loss = step(session, &batch, epoch)?;
        session.progress.steps_done += 1;
        session.progress.sums.seconds += began.elapsed().as_secs_f64();
        tell_step(session, epoch, steps, loss);
    }
    let importance_auc = importance_auc(session);
    let mut metrics = session.progress.sums.metrics(epoch);
    metrics.validation = evaluate(session, Split::Validation)?;
    let relabels = end_labels(session, &metrics);
    if epoch + LAST_EPOCHS > session.recipe.epochs {
        metrics.test = evaluate(session, Split::Test)?;
    }
    metrics.learning_rate = learning_rate(session, epoch);
    metrics.relabelled = relabels.len();
    metrics.importance_auc = importance_auc;
    metrics.labels = audit(session);
    metrics.margin_1 = session.margin_1.as_ref().map(|margin| margin.double_value(&[]));
    metrics.unreadable = session.shelf.unreadable().len();
    Ok((metrics, relabels))
}

fn begin_batches(session: &Session<'_>, epoch: u32) -> Receiver<Batch> {
    let recipe = session.recipe;
    let mut rng = epoch_rng(recipe.seed, ORDER, epoch);
    let labels = session.labels.current();
    let order = epoch_order(&session.train_samples, |sample| labels[sample], recipe.sampling, &mut rng);
    load(&session.shelf, order, recipe.batch_size, session.progress.steps_done)
}

fn next_batch(session: &Session<'_>, batches: &mut Receiver<Batch>) -> Result<Batch, TrainError> {
    let batch = batches.recv().map_err(|_| TrainError::Torch("the loader thread ended early".to_owned()))?;
    check_unreadable(&session.shelf, session.set.len())?;
    Ok(batch)
}

/// At most ten pictures, or one in a hundred, may be unreadable.
fn check_unreadable(shelf: &PictureShelf, of: usize) -> Result<(), TrainError> {
    let unreadable = shelf.unreadable();
    let limit = (of / 100).max(10).min(of / 2);
    match unreadable.values().next() {
        Some(first) if unreadable.len() > limit => {
            Err(TrainError::TooManyUnreadable { count: unreadable.len(), of, limit, first: first.clone() })
        }
        _ => Ok(()),
    }
}

/// Forward, loss, backward, update; then the books. Returns the loss.
fn step(session: &mut Session<'_>, batch: &Batch, epoch: u32) -> Result<f64, TrainError> {
    if batch.samples.is_empty() {
        return Ok(0.0);
    }
    let recipe = session.recipe;
    let device = session.net.compute.device;
    let how = (&recipe.augment, recipe.seed, epoch);
    let pictures = augment::varied(batch, recipe.image_size, recipe.normalise, how, device);
    let output = session.net.forward(&pictures, true);
    let losses = losses(session, &output, batch);
    let parts = Tensor::stack(&[&losses.total, &losses.cross_entropy, &losses.rank], 0);
    let parts = Vec::<f32>::try_from(parts.detach().to_kind(Kind::Float)).map_err(torch)?;
    let loss = f64::from(parts[0]);
    if !loss.is_finite() {
        return Err(TrainError::Diverged { epoch, step: session.progress.steps_done + 1, loss });
    }
    let moved = session.moved();
    let grads = Tensor::run_backward(&[&losses.total], &moved, false, false);
    session.optimizer.step(&moved, &grads, learning_rate(session, epoch));
    keep_books(session, batch, &output, &parts)?;
    Ok(loss)
}

fn learning_rate(session: &Session<'_>, epoch: u32) -> f64 {
    session.recipe.optimizer.lr * session.recipe.schedule.factor(epoch, session.recipe.epochs)
}

fn losses(session: &mut Session<'_>, output: &Output, batch: &Batch) -> Losses {
    let recipe = session.recipe;
    let labels: Vec<i64> =
        batch.samples.iter().map(|&sample| session.labels.current()[sample] as i64).collect();
    let labels = Tensor::from_slice(&labels).to_device(session.net.compute.device);
    let nothing = || Tensor::zeros([], (Kind::Float, labels.device()));
    match recipe.method {
        Method::Baseline => {
            let cross_entropy = output.logits.cross_entropy_for_logits(&labels);
            Losses { total: cross_entropy.shallow_clone(), cross_entropy, rank: nothing() }
        }
        Method::Scn => {
            let scn = &recipe.scn;
            let cross_entropy = scn::weighted_cross_entropy(&output.logits, &output.importance, &labels);
            let rank = match &session.margin_1 {
                Some(margin) => scn::rank_regularisation_learnt(&output.importance, scn.beta, margin),
                None => scn::rank_regularisation(&output.importance, scn.beta, scn.margin_1),
            };
            Losses {
                total: scn::join_losses(scn.loss_form, scn.gamma, &rank, &cross_entropy),
                cross_entropy,
                rank,
            }
        }
        Method::Cure => {
            let cross_entropy = output.logits.cross_entropy_for_logits(&labels);
            let pull = pull(session, output, batch);
            Losses { total: &cross_entropy + &pull * recipe.cure.pull, cross_entropy, rank: pull }
        }
    }
}

/// Early-learning regularisation (Liu et al., NeurIPS 2020, equation 6): the mean of log(1 − ⟨p, t⟩), where t is each
/// sample's running mean of its own predictions. It holds the net to what it believed before it learnt labels by heart.
fn pull(session: &mut Session<'_>, output: &Output, batch: &Batch) -> Tensor {
    let probabilities = output.logits.softmax(-1, Kind::Float).clamp(1e-4, 1.0 - 1e-4);
    let rows = Vec::<f32>::try_from(probabilities.detach().reshape([-1])).unwrap_or_default();
    let memory = session.labels.remember(&batch.samples, &rows, session.recipe.cure.memory as f32);
    let targets = Tensor::from_slice(&memory).reshape(probabilities.size()).to_device(probabilities.device());
    let agreement: Tensor = (probabilities * targets).sum_dim_intlist([-1].as_slice(), false, Kind::Float);
    (-agreement + 1.0).clamp_min(1e-4).log().mean(Kind::Float)
}

/// The probabilities that a method decides by, N×C.
pub(crate) fn probabilities(recipe: &Recipe, output: &Output) -> Tensor {
    let weighted =
        recipe.method == Method::Scn && recipe.scn.relabel_probabilities == RelabelProbabilities::Weighted;
    if weighted {
        scn::weighted_logits(&output.logits, &output.importance).softmax(-1, Kind::Float)
    } else {
        output.logits.softmax(-1, Kind::Float)
    }
}

fn keep_books(
    session: &mut Session<'_>,
    batch: &Batch,
    output: &Output,
    losses: &[f32],
) -> Result<(), TrainError> {
    let classes = session.set.classes.len();
    let rows = probabilities(session.recipe, output).detach().reshape([-1]);
    let rows = Vec::<f32>::try_from(rows).map_err(torch)?;
    let importance = Vec::<f32>::try_from(output.importance.detach()).map_err(torch)?;
    let low = scn::low_group(&importance, session.recipe.scn.beta);
    let sums = &mut session.progress.sums;
    for (view, (&sample, row)) in batch.samples.iter().zip(rows.chunks(classes)).enumerate() {
        let predicted = scn::argmax(row);
        sums.right_given += u64::from(predicted == Some(session.labels.given()[sample]));
        sums.right_in_force += u64::from(predicted == Some(session.labels.current()[sample]));
        session.labels.see(sample, row, importance[view], low[view]);
    }
    if session.recipe.method == Method::Scn {
        let seen = metrics::histogram(importance);
        sums.importance_histogram.iter_mut().zip(seen).for_each(|(sum, count)| *sum += count);
    }
    let samples = batch.samples.len() as f64;
    sums.samples += batch.samples.len() as u64;
    sums.loss += f64::from(losses[0]) * samples;
    sums.cross_entropy += f64::from(losses[1]) * samples;
    sums.rank += f64::from(losses[2]) * samples;
    sums.steps += 1;
    sums.rank_zero_steps += u64::from(losses[2] == 0.0);
    Ok(())
}

impl EpochSums {
    fn metrics(&self, epoch: u32) -> EpochMetrics {
        let samples = self.samples.max(1) as f64;
        EpochMetrics {
            epoch,
            loss: self.loss / samples,
            cross_entropy: self.cross_entropy / samples,
            rank_regularisation: self.rank / samples,
            rank_zero_share: self.rank_zero_steps as f64 / self.steps.max(1) as f64,
            train_accuracy: self.right_given as f64 / samples,
            train_accuracy_in_force: self.right_in_force as f64 / samples,
            importance_histogram: self.importance_histogram,
            images_per_s: self.samples as f64 / self.seconds.max(1e-9),
            data_wait_share: self.waited_s / self.seconds.max(1e-9),
            ..EpochMetrics::default()
        }
    }
}

fn tell_step(session: &Session<'_>, epoch: u32, steps: usize, loss: f64) {
    let sums = &session.progress.sums;
    session.tell(TrainEvent::Step {
        epoch,
        step: session.progress.steps_done,
        steps,
        loss,
        images_per_s: sums.samples as f64 / sums.seconds.max(1e-9),
        data_wait_share: sums.waited_s / sums.seconds.max(1e-9),
    });
}

/// Chance that a rightly labelled training sample's importance exceeds a wrongly labelled one's.
fn importance_auc(session: &Session<'_>) -> Option<f64> {
    let truth = session.set.truth.as_ref().filter(|_| session.recipe.method == Method::Scn)?;
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for &sample in &session.train_samples {
        let Some((_, importance)) = session.labels.seen.mean(sample, session.set.classes.len()) else {
            continue;
        };
        let is_right = session.labels.given()[sample] == truth[sample];
        if is_right { &mut right } else { &mut wrong }.push(importance);
    }
    metrics::auc(&right, &wrong)
}

fn end_labels(session: &mut Session<'_>, metrics: &EpochMetrics) -> Vec<Relabel> {
    let held_out = |metrics: &EpochMetrics| metrics.validation.as_ref().map(|split| split.accuracy);
    let curve: Vec<Curve> = session
        .progress
        .history
        .iter()
        .chain([metrics])
        .map(|past| Curve { train: past.train_accuracy, held_out: held_out(past) })
        .collect();
    let recipe = session.recipe;
    let relabels =
        recipe.method == Method::Scn && relabels_now(recipe.scn.relabel_start, &curve, recipe.epochs);
    let rule = relabels.then_some(RelabelRule {
        margin_2: recipe.scn.margin_2 as f32,
        only_low_group: recipe.scn.relabel_scope == RelabelScope::LowGroup,
    });
    session.labels.end_epoch(metrics.epoch, rule)
}

fn audit(session: &Session<'_>) -> Option<LabelAudit> {
    let truth = session.set.truth.as_ref()?;
    let of_train =
        |labels: &[usize]| session.train_samples.iter().map(|&sample| labels[sample]).collect::<Vec<_>>();
    let (given, in_force) = (of_train(session.labels.given()), of_train(session.labels.current()));
    Some(LabelAudit::of(&given, &in_force, &of_train(truth)))
}

/// Measures one split against its labels as given; `None` when it is empty.
fn evaluate(session: &Session<'_>, split: Split) -> Result<Option<SplitMetrics>, TrainError> {
    let samples = session.set.of_split(split);
    if samples.is_empty() {
        return Ok(None);
    }
    measure(session, &session.net, &samples).map(Some)
}

fn measure(session: &Session<'_>, net: &Net, samples: &[usize]) -> Result<SplitMetrics, TrainError> {
    let told = predict_samples(session, net, samples)?;
    let labels: Vec<usize> = told.iter().map(|(sample, _)| session.set.labels[*sample]).collect();
    let predictions: Vec<Prediction> = told.into_iter().map(|(_, prediction)| prediction).collect();
    Ok(SplitMetrics::of(&predictions, &labels, session.set.classes.len()))
}

/// What a net says of samples without augmentation, in their order; unreadable ones are left out.
fn predict_samples(
    session: &Session<'_>,
    net: &Net,
    samples: &[usize],
) -> Result<Vec<(usize, Prediction)>, TrainError> {
    let mut told = Vec::with_capacity(samples.len());
    for batch in load(&session.shelf, samples.to_vec(), session.recipe.batch_size, 0) {
        check_unreadable(&session.shelf, session.set.len())?;
        if batch.samples.is_empty() {
            continue;
        }
        let recipe = session.recipe;
        let pictures = augment::plain(&batch, recipe.image_size, recipe.normalise, net.compute.device);
        let predictions = predict::predictions(recipe, &no_grad(|| net.forward(&pictures, false)))?;
        told.extend(batch.samples.into_iter().zip(predictions));
    }
    Ok(told)
}

/// The last look: labels of `cure`, opinions on every sample, the test of the last and of the best params.
pub(crate) fn finish(session: &mut Session<'_>) -> Result<Trained, TrainError> {
    let decided = session.cure_labels();
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
    let best_accuracy = match measured_on {
        Some(split) => {
            let net = predict::load_best(session)?;
            Some(measure(session, &net, &session.set.of_split(split))?.accuracy)
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
        mean_class_accuracy: last.as_ref().map(|split| split.mean_class_accuracy),
        last,
        labels: audit(session),
        images_per_s: speeds.get(speeds.len() / 2).copied().unwrap_or(0.0),
        epochs: history.clone(),
        relabels: session.labels.changes().to_vec(),
        opinions,
        unreadable: session.shelf.unreadable().into_values().collect(),
    })
}

fn opinions(session: &Session<'_>) -> Result<Vec<Opinion>, TrainError> {
    let all: Vec<usize> = (0..session.set.len()).collect();
    let told = predict_samples(session, &session.net, &all)?;
    let opinion = |(sample, prediction): (usize, Prediction)| {
        let (given, label) = (session.labels.given()[sample], session.labels.current()[sample]);
        let predicted = prediction.class();
        let decision = match (label == given, predicted == given) {
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
            decision,
        }
    };
    Ok(told.into_iter().map(opinion).collect())
}

fn torch(error: tch::TchError) -> TrainError {
    TrainError::Torch(error.to_string())
}

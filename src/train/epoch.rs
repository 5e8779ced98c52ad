//! One pass over the training samples, step by step. It keeps no state of its own: the state is in [`Training`], and
//! what is measured after the pass is in [`super::judge`].

use std::ops::Range;
use std::time::Instant;

use rand::Rng;
use tch::{Device, Kind, Tensor, no_grad};

use super::error::TrainError;
use super::events::{Step, TrainEvent};
use super::judge::{audit, check_unreadable, evaluate};
use super::labels::RelabelRule;
use super::loader::{Batch, ahead, epoch_order, epoch_rng, load};
use super::metrics::{self, EpochMetrics};
use super::net::Output;
use super::recipe::{Method, Recipe, RelabelBy, RelabelProbabilities, RelabelScope};
use super::schedule::{Curve, relabels_now};
use super::training::Training;
use super::{augment, scn};
use crate::types::{Relabel, Split};

/// Names the random stream of the epochs' orders.
const ORDER: u64 = 1;
/// Names the random stream of what dropout drops.
const DROPOUT: u64 = 3;

/// A batch, and on a GPU its pictures, made while the net works on those before.
pub(crate) struct Ready {
    pub(crate) batch: Batch,
    pictures: Option<Tensor>,
}

/// The loss of a step and its two parts, as tensors on the device.
struct Losses {
    total: Tensor,
    cross_entropy: Tensor,
    rank: Tensor,
}

/// Trains one epoch, lets labels change at its end, and measures it.
pub(crate) fn train_one_epoch(
    training: &mut Training<'_>,
) -> Result<(EpochMetrics, Vec<Relabel>), TrainError> {
    let epoch = training.progress.epochs_done + 1;
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
        tell_step(training, epoch, steps, loss);
        training.save_now_and_then()?;
    }
    training.check_params()?;
    let importance_auc = importance_auc(training);
    let mut metrics = training.progress.sums.metrics(epoch);
    metrics.validation = evaluate(training, Split::Validation)?;
    if training.may_be_of_the_last(&metrics) {
        metrics.test = evaluate(training, Split::Test)?;
    }
    let relabels = end_labels(training, &metrics);
    metrics.learning_rate = learning_rate(training, epoch);
    metrics.relabelled = relabels.len();
    metrics.importance_auc = importance_auc;
    metrics.labels = audit(training);
    metrics.margin_1 = margin_1(training);
    metrics.unreadable = training.shelf.unreadable().len();
    Ok((metrics, relabels))
}

fn order(training: &Training<'_>, epoch: u32) -> Vec<usize> {
    let recipe = training.recipe;
    let mut rng = epoch_rng(recipe.seed, ORDER, epoch);
    let labels = training.labels.current();
    epoch_order(&training.train_samples, |sample| labels[sample], recipe.sampling, &mut rng)
}

/// The batches of an epoch that are still to come.
pub(crate) fn batches(training: &Training<'_>, epoch: u32) -> Box<dyn Iterator<Item = Ready>> {
    let (recipe, done) = (training.recipe, training.progress.steps_done);
    let batches = load(&training.shelf, order(training, epoch), recipe.batch_size, done);
    let device = training.net.compute.device;
    if device == Device::Cpu {
        // On a CPU the net needs all cores: no picture is made ahead.
        return Box::new(batches.map(|batch| Ready { batch, pictures: None }));
    }
    let recipe = recipe.clone();
    let make = move |batch| Ready { pictures: Some(vary(&recipe, &batch, epoch, device)), batch };
    Box::new(ahead("pictures", batches.map(make)))
}

fn next_batch(
    training: &Training<'_>,
    batches: &mut dyn Iterator<Item = Ready>,
) -> Result<Ready, TrainError> {
    let batch =
        batches.next().ok_or_else(|| TrainError::Torch("the loader thread ended early".to_owned()))?;
    check_unreadable(&training.shelf, training.set.len())?;
    Ok(batch)
}

fn vary(recipe: &Recipe, batch: &Batch, epoch: u32, device: Device) -> Tensor {
    let how = (&recipe.augment, recipe.seed, epoch);
    augment::varied(batch, recipe.image_size, recipe.normalise, how, device)
}

pub(crate) fn pictures(training: &Training<'_>, batch: &Batch, epoch: u32) -> Tensor {
    vary(training.recipe, batch, epoch, training.net.compute.device)
}

/// One step on a batch; no step where fewer than two pictures could be read: a single one has no batch statistics.
/// Returns the loss.
pub(crate) fn step_on(training: &mut Training<'_>, ready: Ready, epoch: u32) -> Result<f64, TrainError> {
    let Ready { batch, pictures: made } = ready;
    if batch.samples.len() < 2 {
        return Ok(0.0);
    }
    let pictures = made.unwrap_or_else(|| pictures(training, &batch, epoch));
    step(training, &batch, &pictures, epoch)
}

/// Forward, loss and backward (in parts, if the recipe says so), then one update. Numbers are read from the device only
/// after that: a GPU works on as long as nothing is read. Returns the loss.
pub(crate) fn step(
    training: &mut Training<'_>,
    batch: &Batch,
    pictures: &Tensor,
    epoch: u32,
) -> Result<f64, TrainError> {
    let count = batch.samples.len();
    let (mut grads, mut said) = (Vec::new(), Vec::new());
    for part in batch.parts(training.recipe.accumulate) {
        let share = part.len() as f64 / count as f64;
        let (part_grads, numbers) = backward(training, batch, pictures, (part.clone(), epoch));
        add(&mut grads, part_grads, share);
        said.push((part, share, numbers));
    }
    update(training, &grads, epoch);
    let mut loss = 0.0;
    for (part, share, numbers) in said {
        loss += share * keep_books(training, &batch.samples[part], &numbers)?;
    }
    Ok(loss)
}

/// Gradients of a part of a batch, and what the net said of it as one row: the loss and its two parts, N importances,
/// N×C probabilities.
fn backward(
    training: &mut Training<'_>,
    batch: &Batch,
    pictures: &Tensor,
    (part, epoch): (Range<usize>, u32),
) -> (Vec<Tensor>, Tensor) {
    if training.net.has_dropout() {
        tch::manual_seed(chance(training, batch.places[part.start], epoch));
    }
    let pictures = pictures.narrow(0, part.start as i64, part.len() as i64);
    let output = training.net.forward_in_training(&pictures);
    let losses = losses(training, &output, &batch.samples[part]);
    let grads = Tensor::run_backward(&[&losses.total], &training.moved(), false, false);
    let numbers = no_grad(|| {
        let rows = probabilities(training.recipe, &output).reshape([-1]);
        let parts =
            [&losses.total, &losses.cross_entropy, &losses.rank].map(|loss| loss.to_kind(Kind::Float));
        Tensor::cat(&[Tensor::stack(&parts, 0), output.importance, rows], 0).detach()
    });
    (grads, numbers)
}

/// The seed of dropout for a part of a batch, by the part's first place: a resumed run drops the same features.
fn chance(training: &Training<'_>, place: usize, epoch: u32) -> i64 {
    let mut rng = epoch_rng(training.recipe.seed, DROPOUT, epoch);
    rng.set_word_pos(2 * place as u128);
    rng.random()
}

fn add(sum: &mut Vec<Tensor>, grads: Vec<Tensor>, share: f64) {
    let scaled = |grad: Tensor| if grad.defined() && share < 1.0 { grad * share } else { grad };
    let grads = grads.into_iter().map(scaled);
    if sum.is_empty() {
        sum.extend(grads);
        return;
    }
    for (sum, grad) in sum.iter_mut().zip(grads).filter(|(_, grad)| grad.defined()) {
        let _ = sum.g_add_(&grad);
    }
}

fn update(training: &mut Training<'_>, grads: &[Tensor], epoch: u32) {
    let (moved, lr) = (training.moved(), learning_rate(training, epoch));
    training.optimizer.step(&moved, grads, lr);
    training.average();
}

fn learning_rate(training: &Training<'_>, epoch: u32) -> f64 {
    training.recipe.optimizer.lr * training.recipe.schedule.factor(epoch, training.recipe.epochs)
}

fn losses(training: &Training<'_>, output: &Output, samples: &[usize]) -> Losses {
    let recipe = training.recipe;
    let labels = targets(training, samples).to_device(training.net.compute.device);
    let nothing = || Tensor::zeros([], (Kind::Float, labels.device()));
    match recipe.method {
        Method::Baseline | Method::Cure => {
            let cross_entropy = scn::cross_entropy(&output.logits, &labels);
            Losses { total: cross_entropy.shallow_clone(), cross_entropy, rank: nothing() }
        }
        Method::Scn => {
            let scn = &recipe.scn;
            let cross_entropy = scn::weighted_cross_entropy(&output.logits, &output.importance, &labels);
            let rank = match &training.margin_1 {
                Some(margin) => scn::rank_regularisation_learnt(&output.importance, scn.beta, margin),
                None => scn::rank_regularisation(&output.importance, scn.beta, scn.margin_1),
            };
            Losses {
                total: scn::join_losses(scn.loss_form, scn.gamma, &rank, &cross_entropy),
                cross_entropy,
                rank,
            }
        }
    }
}

/// What the net should say of samples: class indices; or rows of C shares where more than one label is known, namely
/// what cure made of a sample, or the votes on a label that is in force.
fn targets(training: &Training<'_>, samples: &[usize]) -> Tensor {
    let (set, labels) = (training.set, &training.labels);
    if labels.targets.is_empty() && set.votes.is_none() {
        let labels: Vec<i64> = samples.iter().map(|&sample| labels.current()[sample] as i64).collect();
        return Tensor::from_slice(&labels);
    }
    let classes = set.classes.len();
    let mut rows = vec![0.0_f32; samples.len() * classes];
    for (row, &sample) in rows.chunks_mut(classes).zip(samples) {
        let label = labels.current()[sample];
        let votes = || set.votes_of(sample).filter(|_| label == set.labels[sample]);
        match labels.target(sample).or_else(votes) {
            Some(shares) => row.copy_from_slice(shares),
            None => row[label] = 1.0,
        }
    }
    Tensor::from_slice(&rows).reshape([-1, classes as i64])
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

/// Reads what the net said of samples (see [`backward`]) and keeps it. Returns the loss.
fn keep_books(training: &mut Training<'_>, samples: &[usize], numbers: &Tensor) -> Result<f64, TrainError> {
    let numbers = Vec::<f32>::try_from(numbers).map_err(torch)?;
    let (&losses, rest) = numbers.split_first_chunk::<3>().expect("three losses come first");
    let (importance, rows) = rest.split_at(samples.len());
    let loss = f64::from(losses[0]);
    if !loss.is_finite() {
        return Err(training.diverged(training.progress.steps_done + 1, "the loss", &loss.to_string()));
    }
    let low = scn::low_group(importance, training.recipe.scn.beta);
    let sums = &mut training.progress.sums;
    for (view, (&sample, row)) in samples.iter().zip(rows.chunks(training.set.classes.len())).enumerate() {
        let predicted = scn::argmax(row);
        let (given, current) = (training.labels.given()[sample], training.labels.current()[sample]);
        sums.add_prediction(predicted == Some(given), predicted == Some(current));
        training.labels.see(sample, row, importance[view], low[view]);
    }
    if training.recipe.method == Method::Scn {
        sums.add_importances(importance, &low);
    }
    sums.add_step(samples.len(), losses);
    Ok(loss)
}

fn tell_step(training: &Training<'_>, epoch: u32, steps: usize, loss: f64) {
    let sums = &training.progress.sums;
    training.tell(TrainEvent::Step(Step {
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
    let learnt = training.margin_1.as_ref().map(|margin| margin.double_value(&[]));
    let recipe = training.recipe;
    (recipe.method == Method::Scn).then(|| learnt.unwrap_or(recipe.scn.margin_1))
}

/// Chance that a rightly labelled training sample's importance exceeds a wrongly labelled one's.
fn importance_auc(training: &Training<'_>) -> Option<f64> {
    let truth = training.set.truth.as_ref().filter(|_| training.recipe.method == Method::Scn)?;
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for &sample in &training.train_samples {
        let Some((_, importance)) = training.labels.seen.mean(sample, training.set.classes.len()) else {
            continue;
        };
        let is_right = training.labels.given()[sample] == truth[sample];
        if is_right { &mut right } else { &mut wrong }.push(importance);
    }
    metrics::auc(&right, &wrong)
}

fn end_labels(training: &mut Training<'_>, metrics: &EpochMetrics) -> Vec<Relabel> {
    let noise = training
        .set
        .truth
        .as_ref()
        .map(|truth| (training.of_train(training.labels.given()), training.of_train(truth)));
    let held_out = |metrics: &EpochMetrics| {
        metrics.validation.as_ref().map(|split| match &noise {
            Some((given, truth)) => metrics::accuracy_if_noisy(&split.confusion, given, truth),
            None => split.accuracy,
        })
    };
    let curve: Vec<Curve> = training
        .progress
        .history
        .iter()
        .chain([metrics])
        .map(|past| Curve { train: past.train_accuracy, held_out: held_out(past) })
        .collect();
    let recipe = training.recipe;
    let relabels =
        recipe.method == Method::Scn && relabels_now(recipe.scn.relabel_start, &curve, recipe.epochs);
    let rule = relabels.then_some(RelabelRule {
        margin_2: recipe.scn.margin_2 as f32,
        only_low_group: recipe.scn.relabel_scope == RelabelScope::LowGroup,
    });
    let by_clip = recipe.relabel_by == RelabelBy::Clip;
    let groups = training.set.groups.as_deref().filter(|_| by_clip);
    training.labels.end_epoch(metrics.epoch, rule, groups)
}

fn torch(error: tch::TchError) -> TrainError {
    TrainError::Torch(error.to_string())
}

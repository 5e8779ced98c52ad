//! One pass over the training samples: the loop, in one screen each. It keeps no state of its own; that is the
//! session's, and what is measured after the pass is [`super::judge`]'s.

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
use super::session::Session;
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
pub(crate) fn train_one_epoch(session: &mut Session<'_>) -> Result<(EpochMetrics, Vec<Relabel>), TrainError> {
    let epoch = session.progress.epochs_done + 1;
    let mut batches = batches(session, epoch);
    let steps = session.steps();
    while session.progress.steps_done < steps {
        if session.stop.is_asked() {
            session.save()?;
            return Err(TrainError::Stopped { epoch, checkpoint: session.checkpoint_path() });
        }
        let began = Instant::now();
        let batch = next_batch(session, &mut *batches)?;
        session.progress.sums.waited_s += began.elapsed().as_secs_f64();
        let loss = step_on(session, batch, epoch)?;
        session.progress.steps_done += 1;
        session.progress.sums.seconds += began.elapsed().as_secs_f64();
        tell_step(session, epoch, steps, loss);
        session.save_now_and_then()?;
    }
    session.check_params()?;
    let importance_auc = importance_auc(session);
    let mut metrics = session.progress.sums.metrics(epoch);
    metrics.validation = evaluate(session, Split::Validation)?;
    if session.may_be_of_the_last(&metrics) {
        metrics.test = evaluate(session, Split::Test)?;
    }
    let relabels = end_labels(session, &metrics);
    metrics.learning_rate = learning_rate(session, epoch);
    metrics.relabelled = relabels.len();
    metrics.importance_auc = importance_auc;
    metrics.labels = audit(session);
    metrics.margin_1 = session.margin_1.as_ref().map(|margin| margin.double_value(&[]));
    metrics.unreadable = session.shelf.unreadable().len();
    Ok((metrics, relabels))
}

fn order(session: &Session<'_>, epoch: u32) -> Vec<usize> {
    let recipe = session.recipe;
    let mut rng = epoch_rng(recipe.seed, ORDER, epoch);
    let labels = session.labels.current();
    epoch_order(&session.train_samples, |sample| labels[sample], recipe.sampling, &mut rng)
}

/// The batches of an epoch that are still to come.
pub(crate) fn batches(session: &Session<'_>, epoch: u32) -> Box<dyn Iterator<Item = Ready>> {
    let (recipe, done) = (session.recipe, session.progress.steps_done);
    let batches = load(&session.shelf, order(session, epoch), recipe.batch_size, done);
    let device = session.net.compute.device;
    if device == Device::Cpu {
        // The cores are the net's.
        return Box::new(batches.map(|batch| Ready { batch, pictures: None }));
    }
    let recipe = recipe.clone();
    let make = move |batch| Ready { pictures: Some(vary(&recipe, &batch, epoch, device)), batch };
    Box::new(ahead("pictures", batches.map(make)))
}

fn next_batch(session: &Session<'_>, batches: &mut dyn Iterator<Item = Ready>) -> Result<Ready, TrainError> {
    let batch =
        batches.next().ok_or_else(|| TrainError::Torch("the loader thread ended early".to_owned()))?;
    check_unreadable(&session.shelf, session.set.len())?;
    Ok(batch)
}

fn vary(recipe: &Recipe, batch: &Batch, epoch: u32, device: Device) -> Tensor {
    let how = (&recipe.augment, recipe.seed, epoch);
    augment::varied(batch, recipe.image_size, recipe.normalise, how, device)
}

pub(crate) fn pictures(session: &Session<'_>, batch: &Batch, epoch: u32) -> Tensor {
    vary(session.recipe, batch, epoch, session.net.compute.device)
}

/// One step on a batch; none where fewer than two pictures could be read: one has no batch statistics. Returns the loss.
pub(crate) fn step_on(session: &mut Session<'_>, ready: Ready, epoch: u32) -> Result<f64, TrainError> {
    let Ready { batch, pictures: made } = ready;
    if batch.samples.len() < 2 {
        return Ok(0.0);
    }
    let pictures = made.unwrap_or_else(|| pictures(session, &batch, epoch));
    step(session, &batch, &pictures, epoch)
}

/// Forward, loss, backward, in parts if asked, then one update; only then is anything read, for a GPU works on while it
/// is asked for more. Returns the loss.
pub(crate) fn step(
    session: &mut Session<'_>,
    batch: &Batch,
    pictures: &Tensor,
    epoch: u32,
) -> Result<f64, TrainError> {
    let count = batch.samples.len();
    let (mut grads, mut said) = (Vec::new(), Vec::new());
    for part in batch.parts(session.recipe.accumulate) {
        let share = part.len() as f64 / count as f64;
        let (part_grads, numbers) = backward(session, batch, pictures, (part.clone(), epoch));
        add(&mut grads, part_grads, share);
        said.push((part, share, numbers));
    }
    update(session, &grads, epoch);
    let mut loss = 0.0;
    for (part, share, numbers) in said {
        loss += share * keep_books(session, &batch.samples[part], &numbers)?;
    }
    Ok(loss)
}

/// Gradients of a part of a batch, and what the net said of it as one row: the loss and its two parts, N importances,
/// N×C probabilities.
fn backward(
    session: &mut Session<'_>,
    batch: &Batch,
    pictures: &Tensor,
    (part, epoch): (Range<usize>, u32),
) -> (Vec<Tensor>, Tensor) {
    if session.net.has_dropout() {
        tch::manual_seed(chance(session, batch.places[part.start], epoch));
    }
    let pictures = pictures.narrow(0, part.start as i64, part.len() as i64);
    let output = session.net.forward(&pictures, true);
    let losses = losses(session, &output, &batch.samples[part]);
    let grads = Tensor::run_backward(&[&losses.total], &session.moved(), false, false);
    let numbers = no_grad(|| {
        let rows = probabilities(session.recipe, &output).reshape([-1]);
        let parts =
            [&losses.total, &losses.cross_entropy, &losses.rank].map(|loss| loss.to_kind(Kind::Float));
        Tensor::cat(&[Tensor::stack(&parts, 0), output.importance, rows], 0).detach()
    });
    (grads, numbers)
}

/// What dropout begins with: a part's own number (its first place), so that a resumed run drops the same features.
fn chance(session: &Session<'_>, place: usize, epoch: u32) -> i64 {
    let mut rng = epoch_rng(session.recipe.seed, DROPOUT, epoch);
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

fn update(session: &mut Session<'_>, grads: &[Tensor], epoch: u32) {
    let (moved, lr) = (session.moved(), learning_rate(session, epoch));
    session.optimizer.step(&moved, grads, lr);
    session.average();
}

fn learning_rate(session: &Session<'_>, epoch: u32) -> f64 {
    session.recipe.optimizer.lr * session.recipe.schedule.factor(epoch, session.recipe.epochs)
}

fn losses(session: &Session<'_>, output: &Output, samples: &[usize]) -> Losses {
    let recipe = session.recipe;
    let labels = targets(session, samples).to_device(session.net.compute.device);
    let nothing = || Tensor::zeros([], (Kind::Float, labels.device()));
    match recipe.method {
        Method::Baseline | Method::Cure => {
            let cross_entropy = scn::cross_entropy(&output.logits, &labels);
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
    }
}

/// What samples should be taken for: class indices, or rows of C where more is known than one label: what cure made of a
/// sample, or the votes on a label that is in force.
fn targets(session: &Session<'_>, samples: &[usize]) -> Tensor {
    let (set, labels) = (session.set, &session.labels);
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
fn keep_books(session: &mut Session<'_>, samples: &[usize], numbers: &Tensor) -> Result<f64, TrainError> {
    let numbers = Vec::<f32>::try_from(numbers).map_err(torch)?;
    let (&losses, rest) = numbers.split_first_chunk::<3>().expect("three losses come first");
    let (importance, rows) = rest.split_at(samples.len());
    let loss = f64::from(losses[0]);
    if !loss.is_finite() {
        return Err(session.diverged(session.progress.steps_done + 1, "the loss", &loss.to_string()));
    }
    let low = scn::low_group(importance, session.recipe.scn.beta);
    let sums = &mut session.progress.sums;
    for (view, (&sample, row)) in samples.iter().zip(rows.chunks(session.set.classes.len())).enumerate() {
        let predicted = scn::argmax(row);
        let (given, current) = (session.labels.given()[sample], session.labels.current()[sample]);
        sums.add_prediction(predicted == Some(given), predicted == Some(current));
        session.labels.see(sample, row, importance[view], low[view]);
    }
    if session.recipe.method == Method::Scn {
        sums.add_importances(importance, &low);
    }
    sums.add_step(samples.len(), losses);
    Ok(loss)
}

fn tell_step(session: &Session<'_>, epoch: u32, steps: usize, loss: f64) {
    let sums = &session.progress.sums;
    session.tell(TrainEvent::Step(Step {
        epoch,
        step: session.progress.steps_done,
        steps,
        loss,
        accuracy: sums.accuracy(),
        images_per_s: sums.images_per_s(),
        data_wait_share: sums.data_wait_share(),
    }));
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
    let noise = session
        .set
        .truth
        .as_ref()
        .map(|truth| (session.of_train(session.labels.given()), session.of_train(truth)));
    let held_out = |metrics: &EpochMetrics| {
        metrics.validation.as_ref().map(|split| match &noise {
            Some((given, truth)) => metrics::accuracy_if_noisy(&split.confusion, given, truth),
            None => split.accuracy,
        })
    };
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
    let by_clip = recipe.relabel_by == RelabelBy::Clip;
    let groups = session.set.groups.as_deref().filter(|_| by_clip);
    session.labels.end_epoch(metrics.epoch, rule, groups)
}

fn torch(error: tch::TchError) -> TrainError {
    TrainError::Torch(error.to_string())
}

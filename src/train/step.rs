//! One step of training: forward, loss and backward on a batch, the update of the params, and the record of what the
//! net predicted. It knows no loader and no epoch order.

use rand::Rng;
use tch::{Kind, Tensor, no_grad};

use super::error::TrainError;
use super::labels::View;
use super::loader::{Batch, Stream, epoch_rng};
use super::net::Output;
use super::recipe::{Method, Recipe};
use super::scn;
use super::training::Training;

/// The loss of a step and its two terms, scalar tensors on the device.
struct Losses {
    total: Tensor,
    cross_entropy: Tensor,
    rank: Tensor,
}

/// What is recorded of the N samples of a step, or of a part of it.
#[derive(Debug, PartialEq)]
struct StepNumbers {
    /// The loss, its cross entropy and its rank regularisation.
    losses: [f32; 3],
    /// N.
    importance: Vec<f32>,
    /// N×C.
    probabilities: Vec<f32>,
}

impl StepNumbers {
    /// One row on the device (3 + N + N·C), so that a single read fetches them.
    fn pack(losses: &Losses, output: &Output, recipe: &Recipe) -> Tensor {
        no_grad(|| {
            let probabilities = output.probabilities(recipe).reshape([-1]);
            let losses =
                [&losses.total, &losses.cross_entropy, &losses.rank].map(|loss| loss.to_kind(Kind::Float));
            let importance = output.importance.shallow_clone();
            Tensor::cat(&[Tensor::stack(&losses, 0), importance, probabilities], 0).detach()
        })
    }

    /// Reads what [`StepNumbers::pack`] made of `samples` samples. Waits for the device.
    fn unpack(row: &Tensor, samples: usize) -> Result<Self, TrainError> {
        let row = Vec::<f32>::try_from(row).map_err(|error| TrainError::Torch(error.to_string()))?;
        let parts = row.split_first_chunk::<3>();
        let parts = parts.and_then(|(losses, rest)| Some((losses, rest.split_at_checked(samples)?)));
        let Some((&losses, (importance, probabilities))) = parts else {
            return Err(TrainError::Torch(format!("{} numbers of {samples} samples", row.len())));
        };
        Ok(Self { losses, importance: importance.to_vec(), probabilities: probabilities.to_vec() })
    }
}

/// Trains on one batch; `pictures` are N×3×S×S on the net's device. Returns the loss.
///
/// With [`Recipe::accumulate`] the batch goes through the net in parts whose gradients are added. Numbers are read from
/// the device only after the update, so that a GPU is not waited for in between.
pub(crate) fn train_batch(
    training: &mut Training<'_>,
    batch: &Batch,
    pictures: &Tensor,
    epoch: u32,
) -> Result<f64, TrainError> {
    let count = batch.samples.len();
    let (mut grads, mut parts) = (Vec::new(), Vec::new());
    for part in batch.parts(training.recipe.accumulate) {
        let share = part.len() as f64 / count as f64;
        if training.net.has_dropout() {
            tch::manual_seed(dropout_seed(training.recipe.seed, epoch, batch.places[part.start]));
        }
        let pictures = pictures.narrow(0, part.start as i64, part.len() as i64);
        let samples = &batch.samples[part];
        let (part_grads, numbers) = backward(training, samples, &pictures);
        add(&mut grads, part_grads, share);
        parts.push((samples, share, numbers));
    }
    update(training, &grads, epoch);
    let mut loss = 0.0;
    for (samples, share, numbers) in parts {
        let numbers = StepNumbers::unpack(&numbers, samples.len())?;
        loss += share * record(training, samples, &numbers)?;
    }
    Ok(loss)
}

/// The seed of dropout for a part of a batch, from the place of its first picture in the epoch's order, so that a
/// resumed run drops the same features.
fn dropout_seed(seed: u64, epoch: u32, place: usize) -> i64 {
    let mut rng = epoch_rng(seed, Stream::Dropout, epoch);
    rng.set_word_pos(2 * place as u128);
    rng.random()
}

/// The gradients of all trained tensors, and the packed [`StepNumbers`].
fn backward(training: &Training<'_>, samples: &[usize], pictures: &Tensor) -> (Vec<Tensor>, Tensor) {
    let output = training.net.forward_in_training(pictures);
    let losses = losses(training, &output, samples);
    let grads = Tensor::run_backward(&[&losses.total], &training.trained_tensors(), false, false);
    (grads, StepNumbers::pack(&losses, &output, training.recipe))
}

/// Adds `share` times the gradients; an undefined one adds nothing.
fn add(sum: &mut Vec<Tensor>, grads: Vec<Tensor>, share: f64) {
    let scaled = |grad: Tensor| if grad.defined() && share < 1.0 { grad * share } else { grad };
    let grads = grads.into_iter().map(scaled);
    if sum.is_empty() {
        sum.extend(grads);
        return;
    }
    for (sum, grad) in sum.iter_mut().zip(grads).filter(|(_, grad)| grad.defined()) {
        if sum.defined() {
            let _ = sum.g_add_(&grad);
        } else {
            *sum = grad;
        }
    }
}

fn update(training: &mut Training<'_>, grads: &[Tensor], epoch: u32) {
    let tensors = training.trained_tensors();
    training.optimizer.step(&tensors, grads, training.recipe.learning_rate(epoch));
    if let Some(margin_1) = training.learnt_margin_1() {
        // Its gradient is never negative: without a bound, momentum would carry it below the lead that it asks for.
        let _ = no_grad(|| margin_1.shallow_clone().clamp_min_(0.0));
    }
    training.average();
}

fn losses(training: &Training<'_>, output: &Output, samples: &[usize]) -> Losses {
    let recipe = training.recipe;
    let labels = targets(training, samples).to_device(training.net.compute.device);
    match recipe.method {
        Method::Baseline | Method::Cure => {
            let cross_entropy = scn::cross_entropy(&output.logits, &labels);
            let rank = Tensor::zeros([], (Kind::Float, labels.device()));
            Losses { total: cross_entropy.shallow_clone(), cross_entropy, rank }
        }
        Method::Scn => {
            let scn = &recipe.scn;
            let cross_entropy = scn::weighted_cross_entropy(&output.logits, &output.importance, &labels);
            let rank = scn::rank_regularisation(&output.importance, scn.beta, &training.margin_1);
            let total = scn::join_losses(scn.loss_form, scn.gamma, &rank, &cross_entropy);
            Losses { total, cross_entropy, rank }
        }
    }
}

/// The targets of the cross entropy: class indices (N); or rows of C shares (N×C) where a sample has a soft target, or
/// votes on the label in force.
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

/// Adds the numbers of samples to the epoch's sums and to the samples' views. Returns the loss.
///
/// # Errors
/// [`TrainError::Diverged`] when the loss is NaN or infinite.
fn record(training: &mut Training<'_>, samples: &[usize], numbers: &StepNumbers) -> Result<f64, TrainError> {
    let StepNumbers { losses, importance, probabilities } = numbers;
    let loss = f64::from(losses[0]);
    if !loss.is_finite() {
        return Err(training.diverged(training.progress.steps_done + 1, "the loss", &loss.to_string()));
    }
    let low = scn::low_group(importance, training.recipe.scn.beta);
    let sums = &mut training.progress.sums;
    let rows = probabilities.chunks(training.set.classes.len());
    for (place, (&sample, row)) in samples.iter().zip(rows).enumerate() {
        let (given, in_force) = (training.labels.given()[sample], training.labels.current()[sample]);
        sums.add_prediction(scn::argmax(row), given, in_force);
        let view = View { probabilities: row, importance: importance[place], is_low: low[place] };
        training.labels.add_view(sample, view);
    }
    if training.recipe.method == Method::Scn {
        sums.add_importances(importance, &low);
    }
    sums.add_step(samples.len(), *losses);
    Ok(loss)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_of_parts_are_added_by_their_share_of_the_batch_and_an_undefined_one_adds_nothing() {
        let of = |value: f32| Tensor::from_slice(&[value]);
        let mut sum = Vec::new();
        add(&mut sum, vec![of(3.0), Tensor::new(), of(3.0)], 2.0 / 6.0);
        add(&mut sum, vec![of(6.0), of(6.0), Tensor::new()], 4.0 / 6.0);
        let sums: Vec<f64> = sum.iter().map(|sum| sum.double_value(&[0])).collect();
        assert!(
            sums.iter().zip([5.0, 4.0, 1.0]).all(|(sum, expected)| (sum - expected).abs() < 1e-6),
            "{sums:?}"
        );
    }

    #[test]
    fn packed_numbers_come_back_in_their_places() {
        let losses = Losses {
            total: Tensor::from(1.5_f32),
            cross_entropy: Tensor::from(1.25_f32),
            rank: Tensor::from(0.25_f32),
        };
        let output = Output {
            logits: Tensor::zeros([3, 2], (Kind::Float, tch::Device::Cpu)),
            importance: Tensor::from_slice(&[0.1_f32, 0.2, 0.3]),
        };
        let row = StepNumbers::pack(&losses, &output, &Recipe::new(Method::Baseline));
        let expected = StepNumbers {
            losses: [1.5, 1.25, 0.25],
            importance: vec![0.1, 0.2, 0.3],
            probabilities: vec![0.5; 6],
        };
        assert_eq!(StepNumbers::unpack(&row, 3).unwrap(), expected);
        assert!(StepNumbers::unpack(&row, 10).is_err());
    }
}

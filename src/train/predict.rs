//! Using a net after training: load a checkpoint, ask it about pictures, write it for others.

use std::path::Path;

use fast_image_resize::Resizer;
use image::RgbImage;
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad};

use super::data::TrainingSet;
use super::epoch::probabilities;
use super::error::TrainError;
use super::loader::{Batch, resize};
use super::metrics::Prediction;
use super::net::{Net, Output};
use super::recipe::{Method, Recipe};
use super::session::{BEST, Session};
use super::{augment, checkpoint, device};

/// Pictures asked about at once.
const BATCH: usize = 64;

/// What a file of params must say of itself to be used: kept in every checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetCard {
    /// How it was trained, with its picture size and normalisation.
    pub recipe: Recipe,
    /// Class names in index order.
    pub classes: Vec<String>,
    /// The data it was trained on, with counts.
    pub data: String,
}

impl NetCard {
    pub(crate) fn of(recipe: &Recipe, set: &TrainingSet) -> Self {
        let data = format!("{}: {}", set.name, set.summary());
        Self { recipe: recipe.clone(), classes: set.classes.clone(), data }
    }
}

/// The part of a checkpoint's state that prediction needs.
#[derive(Serialize, Deserialize)]
struct State {
    net: NetCard,
}

/// A trained net that answers questions.
pub struct Predictor {
    card: NetCard,
    net: Net,
}

impl Predictor {
    /// Loads `last.safetensors` or `best.safetensors` of a run, on `auto`, `cpu` or `cuda:N`.
    pub fn load(path: &Path, device: &str) -> Result<Self, TrainError> {
        let checkpoint::Loaded { mut tensors, state } = checkpoint::load::<State>(path)?;
        let card = state.net;
        let (compute, _) = device::choose(device, &card.recipe)?;
        let net = Net::new(card.recipe.arch, card.classes.len(), card.recipe.seed, compute);
        for param in &net.params.0 {
            let value =
                tensors.remove(&format!("net.{}", param.name)).filter(|t| t.size() == param.tensor.size());
            let Some(value) = value else {
                let what = format!("a net without {}", param.name);
                return Err(TrainError::Foreign { path: path.to_owned(), what });
            };
            no_grad(|| param.tensor.shallow_clone().copy_(&value));
        }
        Ok(Self { card, net })
    }

    /// What the net says of itself.
    pub fn card(&self) -> &NetCard {
        &self.card
    }

    /// Classes of face crops, in their order. Crops should be aligned as the training pictures were.
    pub fn predict(&self, pictures: &[RgbImage]) -> Result<Vec<Prediction>, TrainError> {
        let side = self.card.recipe.image_size;
        let mut resizer = Resizer::new();
        let mut told = Vec::with_capacity(pictures.len());
        for chunk in pictures.chunks(BATCH) {
            let mut pixels = Vec::new();
            for picture in chunk {
                pixels.extend(resize(picture.clone(), side, &mut resizer).map_err(TrainError::Torch)?);
            }
            let samples: Vec<usize> = (0..chunk.len()).collect();
            let batch = Batch { places: samples.clone(), samples, pixels };
            let pictures = augment::plain(&batch, side, self.card.recipe.normalise, self.net.compute.device);
            told.extend(predictions(&self.card.recipe, &no_grad(|| self.net.forward(&pictures, false)))?);
        }
        Ok(told)
    }

    /// Writes the params alone with PyTorch's names, for `safetensors.torch.load_file`; the card is in the metadata.
    pub fn export(&self, path: &Path) -> Result<(), TrainError> {
        let tensors =
            self.net.params.0.iter().map(|param| (param.name.clone(), param.tensor.shallow_clone()));
        checkpoint::save(path, tensors.collect(), &State { net: self.card.clone() })
    }
}

/// Rows of a net's output as plain numbers.
pub(crate) fn predictions(recipe: &Recipe, output: &Output) -> Result<Vec<Prediction>, TrainError> {
    let failed = |error: tch::TchError| TrainError::Torch(error.to_string());
    let rows = probabilities(recipe, output);
    let classes = rows.size()[1] as usize;
    let rows = Vec::<f32>::try_from(rows.reshape([-1])).map_err(failed)?;
    let importance = Vec::<f32>::try_from(&output.importance).map_err(failed)?;
    let has_importance = recipe.method == Method::Scn;
    let prediction = |(row, &importance): (&[f32], &f32)| Prediction {
        probabilities: row.to_vec(),
        importance: has_importance.then_some(importance),
    };
    Ok(rows.chunks(classes).zip(&importance).map(prediction).collect())
}

/// Writes a session's params alone.
pub(crate) fn save_net(session: &Session<'_>, name: &str) -> Result<(), TrainError> {
    let named = |param: &super::params::Param| (format!("net.{}", param.name), param.tensor.shallow_clone());
    let tensors: Vec<(String, Tensor)> = session.net.params.0.iter().map(named).collect();
    let state = State { net: NetCard::of(session.recipe, session.set) };
    checkpoint::save(&session.folder.join(name), tensors, &state)
}

/// The params of a session's best epoch, on its device.
pub(crate) fn load_best(session: &Session<'_>) -> Result<Net, TrainError> {
    let device = match session.net.compute.device {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    };
    Predictor::load(&session.folder.join(BEST), &device).map(|predictor| predictor.net)
}

//! Using a net after training: load it from a checkpoint, predict pictures, measure it on a set.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fast_image_resize::Resizer;
use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::{Tensor, no_grad};

use super::data::{DataError, TrainingSet};
use super::error::TrainError;
use super::loader::{Batch, PictureCache, resize};
use super::metrics::{Prediction, SplitMetrics};
use super::net::Net;
#[cfg(test)]
use super::recipe::{Arch, Method};
use super::recipe::{Precision, Recipe};
use super::resume::AVERAGED;
use super::training::{BEST, Training};
use super::{augment, checkpoint, device, host, judge};

/// Pictures in one forward pass.
const BATCH: usize = 64;

/// What is needed to use a net's params; kept in every file of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetCard {
    /// How it was trained, with its picture size and normalisation.
    pub recipe: Recipe,
    /// Class names in index order.
    pub classes: Vec<String>,
    /// The data it was trained on, with counts.
    pub data: String,
    /// The flags that recipe and data were made with, by name; files of earlier releases lack them.
    #[serde(default)]
    pub flags: BTreeMap<String, Value>,
}

impl NetCard {
    pub(crate) fn of(recipe: &Recipe, set: &TrainingSet) -> Self {
        let data = format!("{}: {}", set.name, set.summary());
        Self { recipe: recipe.clone(), classes: set.classes.clone(), data, flags: set.flags.clone() }
    }
}

/// The part of a checkpoint's state that prediction needs.
#[derive(Serialize, Deserialize)]
pub(super) struct CardState {
    pub(super) net: NetCard,
}

/// A trained net with its card.
pub struct Predictor {
    card: NetCard,
    pub(super) net: Net,
}

impl Predictor {
    /// Loads `last.safetensors` or `best.safetensors` of a run, or what [`Predictor::export`] wrote, on `auto`, `cpu`
    /// or `cuda:N`.
    pub fn load(path: &Path, device: &str) -> Result<Self, TrainError> {
        Self::load_in(path, device, None)
    }

    /// The same on the CPU and in 32-bit floats, whatever it was trained in: for an export, whose users may have no
    /// GPU.
    pub fn load_plain(path: &Path) -> Result<Self, TrainError> {
        Self::load_in(path, "cpu", Some(Precision::Fp32))
    }

    fn load_in(path: &Path, device: &str, precision: Option<Precision>) -> Result<Self, TrainError> {
        let checkpoint::Loaded { mut tensors, state } = checkpoint::load::<CardState>(path)?;
        let card = state.net;
        host::keep_memory();
        let precision = precision.unwrap_or(card.recipe.precision);
        let (compute, _) = device::choose(device, precision)?;
        let net = Net::new(card.recipe.arch, card.classes.len(), card.recipe.seed, compute);
        for param in &net.params.0 {
            // Where params were averaged, these are the ones that were evaluated; exports have plain names.
            let named = [AVERAGED, "net.", ""]
                .iter()
                .find_map(|prefix| tensors.remove(&format!("{prefix}{}", param.name)));
            let value = named.filter(|tensor| tensor.size() == param.tensor.size());
            let Some(value) = value else {
                let what = format!("a net without {}", param.name);
                return Err(TrainError::Foreign { path: path.to_owned(), what });
            };
            no_grad(|| param.tensor.shallow_clone().copy_(&value));
        }
        Ok(Self { card, net })
    }

    /// How the net was made.
    pub fn card(&self) -> &NetCard {
        &self.card
    }

    /// Predictions of face crops, in their order. The crops should be aligned as the training pictures were.
    pub fn predict(&self, pictures: &[RgbImage]) -> Result<Vec<Prediction>, TrainError> {
        let side = self.card.recipe.image_size;
        let mut resizer = Resizer::new();
        let mut predicted = Vec::with_capacity(pictures.len());
        for chunk in pictures.chunks(BATCH) {
            let mut pixels = Vec::new();
            for picture in chunk {
                pixels.extend(resize(picture.clone(), side, &mut resizer).map_err(TrainError::Torch)?);
            }
            let samples: Vec<usize> = (0..chunk.len()).collect();
            let batch = Batch { places: samples.clone(), samples, pixels };
            let pictures = augment::plain(&batch, &self.card.recipe, self.net.compute.device);
            predicted.extend(no_grad(|| self.net.forward(&pictures)).predictions(&self.card.recipe)?);
        }
        Ok(predicted)
    }

    /// Measures the net on samples of a set. `labels` are their true classes by position, as indices of this net's
    /// classes.
    ///
    /// # Errors
    /// [`TrainError::TooManyUnreadable`]; a few unreadable pictures are left out and named.
    pub fn measure(
        &self,
        set: &TrainingSet,
        labels: &BTreeMap<usize, usize>,
    ) -> Result<Measured, TrainError> {
        // Each picture is needed once: the cache keeps none.
        let cache = Arc::new(PictureCache::new(Arc::clone(&set.pictures), self.card.recipe.image_size, 0));
        let samples: Vec<usize> = labels.keys().copied().collect();
        let predicted = judge::ask(&self.net, &self.card.recipe, &cache, &samples)?;
        judge::check_unreadable(&cache, samples.len())?;
        let truth: Vec<usize> = predicted.iter().map(|(sample, _)| labels[sample]).collect();
        let predictions: Vec<Prediction> = predicted.into_iter().map(|(_, prediction)| prediction).collect();
        let metrics = SplitMetrics::of(&predictions, &truth, self.card.classes.len());
        let nothing = || DataError::Empty { name: set.name.clone(), what: "picture to measure on" };
        Ok(Measured {
            samples: truth.len(),
            unreadable: cache.unreadable().into_values().collect(),
            metrics: metrics.ok_or_else(nothing)?,
        })
    }
}

/// The result of [`Predictor::measure`].
pub struct Measured {
    /// Number of pictures that were measured.
    pub samples: usize,
    /// Name and cause of every picture that was left out.
    pub unreadable: Vec<String>,
    /// Measures on them.
    pub metrics: SplitMetrics,
}

/// Writes the params of a run without the rest of its state.
pub(crate) fn save_net(training: &Training<'_>, name: &str) -> Result<(), TrainError> {
    let named = |param: &super::params::Param| (format!("net.{}", param.name), param.tensor.shallow_clone());
    let tensors: Vec<(String, Tensor)> = training.judged().params.0.iter().map(named).collect();
    let state = CardState { net: NetCard::of(training.recipe, training.set) };
    checkpoint::save(&training.folder.join(name), tensors, &state)
}

/// The net of a run's best epoch, on the run's device.
pub(crate) fn load_best(training: &Training<'_>) -> Result<Net, TrainError> {
    let device = match training.net.compute.device {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    };
    Predictor::load(&training.folder.join(BEST), &device).map(|predictor| predictor.net)
}

#[cfg(test)]
impl Predictor {
    /// A small untrained net, for tests that only need predictions.
    pub(crate) fn untrained(method: Method, classes: &[&str]) -> Self {
        let recipe = Recipe { arch: Arch::Tiny, image_size: 32, ..Recipe::new(method) };
        let (compute, _) = device::choose("cpu", recipe.precision).expect("a CPU is there");
        let net = Net::new(recipe.arch, classes.len(), recipe.seed, compute);
        let classes = classes.iter().map(|&class| class.to_owned()).collect();
        let card = NetCard { recipe, classes, data: "nothing".to_owned(), flags: BTreeMap::new() };
        Self { card, net }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::drawn::shapes;

    #[test]
    fn an_exported_net_predicts_and_can_be_measured() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        let net = Predictor::untrained(Method::Scn, &["square", "cross", "ring"]);
        net.export(&path).unwrap();
        let loaded = Predictor::load(&path, "cpu").unwrap();
        assert_eq!(loaded.card(), net.card());
        let picture = RgbImage::from_pixel(40, 40, image::Rgb([200, 20, 90]));
        let predicted = net.predict(std::slice::from_ref(&picture)).unwrap();
        assert_eq!(loaded.predict(&[picture]).unwrap(), predicted);
        assert!(predicted[0].importance.is_some());

        let set = shapes(12, 1);
        let labels = BTreeMap::from([(3, 0), (7, 2)]);
        let Measured { samples, unreadable, metrics } = loaded.measure(&set, &labels).unwrap();
        assert_eq!((samples, metrics.confusion.iter().flatten().sum::<u64>()), (2, 2));
        assert!(unreadable.is_empty());
        assert_eq!(metrics.recalls[1], None, "no sample is of the second class");
    }
}

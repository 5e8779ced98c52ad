//! Exporting a net to other programs: params under PyTorch's names, and the whole net as TorchScript.

use std::io;
use std::path::Path;

use tch::{CModule, Kind, Tensor, no_grad};

use super::augment::Normaliser;
use super::checkpoint;
use super::error::TrainError;
use super::predict::{CardState, Predictor};
use crate::files::Part;

impl Predictor {
    /// Writes the params under PyTorch's names, for `safetensors.torch.load_file`; the card is in the metadata.
    pub fn export(&self, path: &Path) -> Result<(), TrainError> {
        let tensors =
            self.net.params.0.iter().map(|param| (param.name.clone(), param.tensor.shallow_clone()));
        let saved = checkpoint::save(path, tensors.collect(), &CardState { net: self.card().clone() });
        saved.map_err(|error| match error {
            TrainError::Write { path, source } => TrainError::Unwritable { path, source },
            other => other,
        })
    }

    /// Writes the net as TorchScript, for `torch.jit.load` and libtorch without this program. It maps RGB pictures
    /// N×3×S×S from 0 to 1 (S is [`super::recipe::Recipe::image_size`]) to N×(C+1): the probabilities of the C classes,
    /// then the importance (a trace has a single output). It normalises the pictures itself, and is in evaluation mode.
    pub fn export_script(&self, path: &Path) -> Result<(), TrainError> {
        let failed = |error: tch::TchError| TrainError::Torch(error.to_string());
        let unwritable = |source: io::Error| TrainError::Unwritable { path: path.to_owned(), source };
        let part = Part::of(path).map_err(unwritable)?;
        let recipe = &self.card().recipe;
        let side = i64::from(recipe.image_size);
        let example = Tensor::zeros([2, 3, side, side], (Kind::Float, self.net.compute.device));
        // A trace keeps params as constants, which must not require a gradient.
        let trained = self.net.params.trained();
        trained.iter().for_each(|param| drop(param.set_requires_grad(false)));
        let normaliser = Normaliser::new(recipe.normalise, self.net.compute.device);
        let mut forward = |inputs: &[Tensor]| {
            let pictures = normaliser.run(inputs[0].shallow_clone());
            let output = self.net.forward(&pictures);
            let importance = output.importance.reshape([-1, 1]);
            vec![Tensor::cat(&[output.probabilities(recipe), importance], 1)]
        };
        let script = no_grad(|| CModule::create_by_tracing("Net", "forward", &[example], &mut forward));
        let saved = script.and_then(|script| script.save(part.path()));
        trained.iter().for_each(|param| drop(param.set_requires_grad(true)));
        saved.map_err(failed)?;
        part.place().map_err(unwritable)
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::train::recipe::Method;

    #[test]
    fn the_script_predicts_what_the_net_predicts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.pt");
        let net = Predictor::untrained(Method::Scn, &["square", "cross", "ring"]);
        net.export_script(&path).unwrap();
        let script = CModule::load(&path).unwrap();
        let picture = RgbImage::from_fn(32, 32, |x, y| image::Rgb([(x * 8) as u8, (y * 8) as u8, 77]));
        let predicted = net.predict(&vec![picture.clone(); 3]).unwrap();
        let pixels = Tensor::from_slice(picture.as_raw()).reshape([1, 32, 32, 3]).permute([0, 3, 1, 2]);
        let pixels = (pixels.to_kind(Kind::Float) / 255.0).repeat([3, 1, 1, 1]);
        let answer = script.forward_ts(&[pixels]).unwrap();
        assert_eq!(answer.size(), [3, 4]);
        for (class, expected) in predicted[1].probabilities.iter().enumerate() {
            let found = answer.double_value(&[1, class as i64]);
            assert!((found - f64::from(*expected)).abs() < 1e-5, "{found} instead of {expected}");
        }
        assert!((answer.double_value(&[2, 3]) - f64::from(predicted[2].importance.unwrap())).abs() < 1e-5);
    }
}

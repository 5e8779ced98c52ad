//! What a net answers for a batch, as tensors and as plain numbers.

use tch::{Kind, TchError, Tensor};

use super::super::error::TrainError;
use super::super::metrics::Prediction;
use super::super::recipe::{Method, Recipe, RelabelProbabilities};
use super::super::scn;

/// A net's answer for N pictures, always in f32.
pub(crate) struct Output {
    /// Before the softmax and before weighting, N×C.
    pub(crate) logits: Tensor,
    /// SCN's α, 0 to 1, N.
    pub(crate) importance: Tensor,
}

impl Output {
    /// The class probabilities that the recipe's method predicts and relabels with, N×C.
    pub(crate) fn probabilities(&self, recipe: &Recipe) -> Tensor {
        let weighted = recipe.method == Method::Scn
            && recipe.scn.relabel_probabilities == RelabelProbabilities::Weighted;
        if weighted {
            scn::weighted_logits(&self.logits, &self.importance).softmax(-1, Kind::Float)
        } else {
            self.logits.softmax(-1, Kind::Float)
        }
    }

    /// One prediction for each picture, in order.
    ///
    /// # Errors
    /// [`TrainError::NoNumbers`] when a probability or an importance is NaN or infinite: an argmax over NaN would give
    /// the first class.
    pub(crate) fn predictions(&self, recipe: &Recipe) -> Result<Vec<Prediction>, TrainError> {
        let failed = |error: TchError| TrainError::Torch(error.to_string());
        let rows = self.probabilities(recipe);
        let classes = rows.size()[1] as usize;
        let rows = Vec::<f32>::try_from(rows.reshape([-1])).map_err(failed)?;
        let importance = Vec::<f32>::try_from(&self.importance).map_err(failed)?;
        if !rows.iter().chain(&importance).all(|number| number.is_finite()) {
            return Err(TrainError::NoNumbers);
        }
        let has_importance = recipe.method == Method::Scn;
        let prediction = |(row, &importance): (&[f32], &f32)| Prediction {
            probabilities: row.to_vec(),
            importance: has_importance.then_some(importance),
        };
        Ok(rows.chunks(classes).zip(&importance).map(prediction).collect())
    }
}

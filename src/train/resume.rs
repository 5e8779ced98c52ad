//! What a checkpoint holds of a [`Training`], and how a run resumes from it: everything that the next step depends on,
//! bit for bit.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, no_grad};

use super::checkpoint;
use super::error::TrainError;
use super::labels::{Labels, ViewSums};
use super::predict::NetCard;
use super::training::{Progress, Training};
use crate::types::Relabel;

/// Name prefix of averaged params.
pub(crate) const AVERAGED: &str = "averaged.";

#[derive(Serialize, Deserialize)]
struct State {
    recipe_hash: String,
    data_hash: String,
    optimizer_steps: i32,
    #[serde(with = "exact")]
    changes: Vec<Relabel>,
    /// Pictures that could not be read so far: position and cause.
    unreadable: BTreeMap<usize, String>,
    #[serde(with = "exact")]
    progress: Progress,
    net: NetCard,
}

/// Numbers in JSON, bit for bit: MessagePack in base64. JSON itself cannot hold all of them (NaN).
mod exact {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use serde::de::{DeserializeOwned, Error};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        let bytes = rmp_serde::to_vec_named(value).map_err(serde::ser::Error::custom)?;
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        let bytes = BASE64_STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)?;
        rmp_serde::from_slice(&bytes).map_err(D::Error::custom)
    }
}

impl Training<'_> {
    /// Writes everything that [`Training::resume`] needs.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] when params are NaN or infinite: the last good checkpoint stays.
    pub(crate) fn save(&mut self) -> Result<(), TrainError> {
        self.check_params()?;
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        for param in &self.net.params.0 {
            tensors.push((format!("net.{}", param.name), param.tensor.shallow_clone()));
        }
        for param in self.averaged.iter().flat_map(|net| &net.params.0) {
            tensors.push((format!("{AVERAGED}{}", param.name), param.tensor.shallow_clone()));
        }
        if let Some(margin) = self.learnt_margin_1() {
            tensors.push(("margin_1".to_owned(), margin.shallow_clone()));
        }
        for (index, moments) in self.optimizer.moments.iter().enumerate() {
            for (kind, moment) in moments.iter().enumerate() {
                tensors.push((format!("optimizer.{kind}.{index}"), moment.shallow_clone()));
            }
        }
        tensors.extend(label_tensors(&self.labels));
        let state = State {
            recipe_hash: self.recipe.hash(),
            data_hash: self.set.hash(),
            optimizer_steps: self.optimizer.steps,
            changes: self.labels.changes().to_vec(),
            unreadable: self.cache.unreadable(),
            progress: self.progress.clone(),
            net: NetCard::of(self.recipe, self.set),
        };
        checkpoint::save(&self.checkpoint_path(), tensors, &state)?;
        self.saved_at = Instant::now();
        Ok(())
    }

    /// Restores what [`Training::save`] wrote.
    pub(super) fn resume(&mut self, path: &Path) -> Result<(), TrainError> {
        let checkpoint::Loaded { mut tensors, state } = checkpoint::load::<State>(path)?;
        let foreign = |what: &str| TrainError::Foreign { path: path.to_owned(), what: what.to_owned() };
        if state.recipe_hash != self.recipe.hash() {
            return Err(foreign("another recipe"));
        }
        if state.data_hash != self.set.hash() {
            return Err(foreign("other data"));
        }
        let mut take =
            |name: String| tensors.remove(&name).ok_or_else(|| foreign(&format!("a net without {name}")));
        for param in &self.net.params.0 {
            copy(&take(format!("net.{}", param.name))?, &param.tensor);
        }
        for param in self.averaged.iter().flat_map(|net| &net.params.0) {
            copy(&take(format!("{AVERAGED}{}", param.name))?, &param.tensor);
        }
        if let Some(margin) = self.learnt_margin_1() {
            copy(&take("margin_1".to_owned())?, margin);
        }
        for (index, moments) in self.optimizer.moments.iter().enumerate() {
            for (kind, moment) in moments.iter().enumerate() {
                copy(&take(format!("optimizer.{kind}.{index}"))?, moment);
            }
        }
        restore_labels(&mut self.labels, &mut tensors, state.changes)
            .ok_or_else(|| foreign("other labels"))?;
        self.cache.restore_unreadable(state.unreadable);
        self.optimizer.steps = state.optimizer_steps;
        self.progress = state.progress;
        Ok(())
    }
}

fn copy(value: &Tensor, to: &Tensor) {
    no_grad(|| to.shallow_clone().copy_(value));
}

fn whole_numbers(values: impl Iterator<Item = usize>) -> Tensor {
    Tensor::from_slice(&values.map(|value| value as i64).collect::<Vec<_>>())
}

/// The labels under the tensor names of the checkpoint format.
fn label_tensors(labels: &Labels) -> Vec<(String, Tensor)> {
    let views = &labels.views;
    let named = [
        ("labels.given", whole_numbers(labels.given().iter().copied())),
        ("labels.current", whole_numbers(labels.current().iter().copied())),
        ("seen.views", whole_numbers(views.count.iter().map(|&count| count as usize))),
        ("seen.low_views", whole_numbers(views.low_count.iter().map(|&count| count as usize))),
        ("seen.probabilities", Tensor::from_slice(&views.probabilities)),
        ("seen.importance", Tensor::from_slice(&views.importance)),
        ("told", Tensor::from_slice(&labels.scout_predictions)),
        ("targets", Tensor::from_slice(&labels.targets)),
    ];
    named.map(|(name, tensor)| (name.to_owned(), tensor)).into()
}

/// The inverse of [`label_tensors`]; `None` where a tensor is missing or of another type.
fn restore_labels(
    labels: &mut Labels,
    tensors: &mut HashMap<String, Tensor>,
    changes: Vec<Relabel>,
) -> Option<()> {
    let whole = |tensor: Tensor| Vec::<i64>::try_from(tensor.to_kind(Kind::Int64)).ok();
    let counts = |tensor| Some(whole(tensor)?.into_iter().map(|count| count as u32).collect::<Vec<u32>>());
    let floats = |tensor: Tensor| Vec::<f32>::try_from(tensor).ok();
    let current = whole(tensors.remove("labels.current")?)?;
    labels.restore(current.into_iter().map(|label| label as usize).collect(), changes);
    labels.views = ViewSums {
        probabilities: floats(tensors.remove("seen.probabilities")?)?,
        importance: floats(tensors.remove("seen.importance")?)?,
        count: counts(tensors.remove("seen.views")?)?,
        low_count: counts(tensors.remove("seen.low_views")?)?,
    };
    labels.scout_predictions = floats(tensors.remove("told")?)?;
    labels.targets = floats(tensors.remove("targets")?)?;
    Some(())
}

//! What a checkpoint holds of a [`Training`], and how a run goes on from it: all that the next step depends on, to the bit.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, no_grad};

use super::checkpoint;
use super::error::TrainError;
use super::labels::{Labels, Seen};
use super::predict::NetCard;
use super::training::{Progress, Training};
use crate::types::Relabel;

/// Stands before the names of averaged params.
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

/// Puts numbers into JSON without changing a bit: MessagePack in base64. JSON itself cannot write all of them (NaN).
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
    /// [`TrainError::Diverged`] when it holds no numbers any more: the last good checkpoint stays.
    pub(crate) fn save(&mut self) -> Result<(), TrainError> {
        self.check_params()?;
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        for param in &self.net.params.0 {
            tensors.push((format!("net.{}", param.name), param.tensor.shallow_clone()));
        }
        for param in self.averaged.iter().flat_map(|net| &net.params.0) {
            tensors.push((format!("{AVERAGED}{}", param.name), param.tensor.shallow_clone()));
        }
        if let Some(margin) = &self.margin_1 {
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
            unreadable: self.shelf.unreadable(),
            progress: self.progress.clone(),
            net: NetCard::of(self.recipe, self.set),
        };
        checkpoint::save(&self.checkpoint_path(), tensors, &state)?;
        self.saved_at = Instant::now();
        Ok(())
    }

    /// Takes up what [`Training::save`] wrote.
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
            put(&param.tensor, &take(format!("net.{}", param.name))?);
        }
        for param in self.averaged.iter().flat_map(|net| &net.params.0) {
            put(&param.tensor, &take(format!("{AVERAGED}{}", param.name))?);
        }
        if let Some(margin) = &self.margin_1 {
            put(margin, &take("margin_1".to_owned())?);
        }
        for (index, moments) in self.optimizer.moments.iter().enumerate() {
            for (kind, moment) in moments.iter().enumerate() {
                put(moment, &take(format!("optimizer.{kind}.{index}"))?);
            }
        }
        restore_labels(&mut self.labels, &mut tensors, state.changes)
            .ok_or_else(|| foreign("other labels"))?;
        self.shelf.restore_unreadable(state.unreadable);
        self.optimizer.steps = state.optimizer_steps;
        self.progress = state.progress;
        Ok(())
    }
}

fn put(place: &Tensor, value: &Tensor) {
    no_grad(|| place.shallow_clone().copy_(value));
}

fn whole_numbers(values: impl Iterator<Item = usize>) -> Tensor {
    Tensor::from_slice(&values.map(|value| value as i64).collect::<Vec<_>>())
}

fn label_tensors(labels: &Labels) -> Vec<(String, Tensor)> {
    let seen = &labels.seen;
    let named = [
        ("labels.given", whole_numbers(labels.given().iter().copied())),
        ("labels.current", whole_numbers(labels.current().iter().copied())),
        ("seen.views", whole_numbers(seen.views.iter().map(|&views| views as usize))),
        ("seen.low_views", whole_numbers(seen.low_views.iter().map(|&views| views as usize))),
        ("seen.probabilities", Tensor::from_slice(&seen.probabilities)),
        ("seen.importance", Tensor::from_slice(&seen.importance)),
        ("told", Tensor::from_slice(&labels.told)),
        ("targets", Tensor::from_slice(&labels.targets)),
    ];
    named.map(|(name, tensor)| (name.to_owned(), tensor)).into()
}

fn restore_labels(
    labels: &mut Labels,
    tensors: &mut HashMap<String, Tensor>,
    changes: Vec<Relabel>,
) -> Option<()> {
    let whole = |tensor: Tensor| Vec::<i64>::try_from(tensor.to_kind(Kind::Int64)).ok();
    let views = |tensor| Some(whole(tensor)?.into_iter().map(|views| views as u32).collect::<Vec<u32>>());
    let floats = |tensor: Tensor| Vec::<f32>::try_from(tensor).ok();
    let current = whole(tensors.remove("labels.current")?)?;
    labels.restore(current.into_iter().map(|label| label as usize).collect(), changes);
    labels.seen = Seen {
        probabilities: floats(tensors.remove("seen.probabilities")?)?,
        importance: floats(tensors.remove("seen.importance")?)?,
        views: views(tensors.remove("seen.views")?)?,
        low_views: views(tensors.remove("seen.low_views")?)?,
    };
    labels.told = floats(tensors.remove("told")?)?;
    labels.targets = floats(tensors.remove("targets")?)?;
    Some(())
}

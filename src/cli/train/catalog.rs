//! A training run on the catalog: its sample list is frozen first, its epochs, relabels and opinions become rows.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::catalog::runs::{FrozenSample, NewRun, Opinion, Run, RunState};
use crate::catalog::{Catalog, crops::Crops, recipes, relabels, runs, samples, splits};
use crate::failure::{Failure, FailureKind, Reason};
use crate::train::data::{Identity, Pictures, TrainingSet, bytes_of, identity_of};
use crate::train::metrics::EpochMetrics;
use crate::train::recipe::Recipe;
use crate::train::{Trained, device_in_words};
use crate::types::{ClipId, Emotion, Relabel, RunId, SampleId, VideoId};

use super::super::Session;
use super::{RunWatch, TrainArgs, folder};

/// A run with its frozen list.
pub(super) struct CatalogRun {
    /// Its row.
    pub(super) run: Run,
    /// What it trains on: the frozen list first, then the other sets that were named.
    pub(super) set: TrainingSet,
    frozen: usize,
}

impl CatalogRun {
    /// The run that is meant: the one that `--resume` names, else the last of this recipe and data that was cut off or
    /// (unless `--again`) is done, else a new one on a list that is frozen now.
    pub(super) async fn begin(session: &Session, args: &TrainArgs, recipe: &Recipe) -> anyhow::Result<Self> {
        let catalog = &session.catalog;
        let device = device_in_words(&args.common.device, recipe).map_err(|error| error.failure())?;
        if let Some(name) = &args.resume {
            return Self::of(catalog, args, find(catalog, &name.to_string_lossy()).await?).await;
        }
        let hash = recipes::hash(RECIPE_KIND, &body(recipe)?);
        let all = runs::list(catalog).await.map_err(Failure::from)?;
        for run in all.into_iter().rev().filter(|run| run.recipe_hash == hash) {
            let folder = session.store.root().join(&run.folder);
            let is_done = run.state == RunState::Done.as_str();
            let is_cut_off = is_cut_off(&run);
            if !(is_cut_off || is_done && !args.again) {
                continue;
            }
            let found = Self::of(catalog, args, run).await?;
            // A run that was killed before it had a folder trained nothing yet, and takes whatever is named now.
            let is_same = folder::is_for_data(&folder, &found.set) || is_cut_off && !folder.exists();
            if is_same && (is_cut_off || found.is_of_today(catalog).await?) {
                return Ok(found);
            }
        }
        Self::of(catalog, args, freeze(catalog, recipe, &device).await?).await
    }

    async fn of(catalog: &Catalog, args: &TrainArgs, run: Run) -> anyhow::Result<Self> {
        let list = frozen_list(catalog, &run).await?;
        let set = training_set(catalog, &run.classes, &list).await?;
        Ok(Self { run, set: args.training_set(Some(set))?, frozen: list.len() })
    }

    /// Whether a list frozen now would be the same.
    async fn is_of_today(&self, catalog: &Catalog) -> anyhow::Result<bool> {
        let (classes, now) = candidates(catalog).await?;
        Ok(classes == self.run.classes && now == frozen_list(catalog, &self.run).await?)
    }

    /// The closing line of a run that is done.
    pub(super) fn closing_line(&self) -> Option<serde_json::Value> {
        let is_done = self.run.state == RunState::Done.as_str();
        serde_json::from_str(self.run.summary.as_deref().filter(|_| is_done)?).ok()
    }

    /// Writes down that the run is under way.
    pub(super) async fn reopen(&self, catalog: &Catalog) -> anyhow::Result<()> {
        let mut tx = catalog.begin().await.map_err(Failure::from)?;
        runs::reopen(&mut tx, self.run.id).await.map_err(Failure::from)?;
        Ok(tx.commit().await.map_err(Failure::from)?)
    }

    /// Writes rows while the run goes on.
    pub(super) fn watch(&self, catalog: &Catalog) -> Rows {
        Rows { catalog: catalog.clone(), runtime: Handle::current(), run: self.run.id, frozen: self.frozen }
    }

    /// Writes the run's opinions and its end down, whichever it is.
    pub(super) async fn end(
        &self,
        catalog: &Catalog,
        trained: anyhow::Result<Trained>,
    ) -> anyhow::Result<Trained> {
        let mut tx = catalog.begin().await.map_err(Failure::from)?;
        match &trained {
            Ok(trained) => {
                let opinions: Vec<(usize, Opinion)> = trained
                    .opinions
                    .iter()
                    .filter(|opinion| opinion.sample < self.frozen)
                    .map(|it| {
                        let opinion = Opinion {
                            importance: it.importance,
                            predicted: it.predicted,
                            p_predicted: it.p_predicted,
                            p_given: it.p_given,
                        };
                        (it.sample, opinion)
                    })
                    .collect();
                runs::set_opinions(&mut tx, self.run.id, &opinions).await.map_err(Failure::from)?;
                let summary = trained.closing_line(&self.run.name).to_string();
                runs::end(&mut tx, self.run.id, RunState::Done, Some(&summary))
                    .await
                    .map_err(Failure::from)?;
            }
            Err(error) => {
                // Interrupted, or the disk is full: the same command goes on from the last checkpoint.
                let kind = error.downcast_ref::<Failure>().map(|failure| failure.kind);
                let may_go_on = kind == Some(FailureKind::Transient);
                let state = if may_go_on { RunState::Stopped } else { RunState::Failed };
                runs::end(&mut tx, self.run.id, state, None).await.map_err(Failure::from)?;
            }
        }
        tx.commit().await.map_err(Failure::from)?;
        trained
    }
}

/// The run of a name.
async fn find(catalog: &Catalog, name: &str) -> Result<Run, Failure> {
    runs::find(catalog, name).await?.ok_or_else(|| {
        Failure::permanent(Reason::Usage, format!("no run is called '{name}'"))
            .with_hint("`webemotion status --json` lists the runs")
    })
}

/// The last run of a recipe that was cut off: [`CatalogRun::begin`] goes on with it.
pub(super) async fn cut_off(catalog: &Catalog, recipe: &Recipe) -> anyhow::Result<Option<Run>> {
    let hash = recipes::hash(RECIPE_KIND, &body(recipe)?);
    let all = runs::list(catalog).await.map_err(Failure::from)?;
    Ok(all.into_iter().rfind(|run| run.recipe_hash == hash && is_cut_off(run)))
}

fn is_cut_off(run: &Run) -> bool {
    [RunState::Open, RunState::Stopped].map(RunState::as_str).contains(&&*run.state)
}

const RECIPE_KIND: &str = "train";

fn body(recipe: &Recipe) -> anyhow::Result<String> {
    Ok(serde_json::to_string(recipe)?)
}

async fn frozen_list(catalog: &Catalog, run: &Run) -> anyhow::Result<Vec<FrozenSample>> {
    let list = runs::samples(catalog, run.id).await.map_err(Failure::from)?;
    Ok(list.into_iter().map(|(frozen, _)| frozen).collect())
}

/// The samples in use with the labels in force, and the names of their classes.
async fn candidates(catalog: &Catalog) -> anyhow::Result<(Vec<String>, Vec<FrozenSample>)> {
    splits::assign(catalog).await.map_err(Failure::from)?;
    let found = samples::for_training(catalog).await.map_err(Failure::from)?;
    if found.is_empty() {
        return Err(Failure::permanent(Reason::NothingToDo, "the catalog has no samples to train on")
            .with_hint("take in videos with `webemotion crawl`, then cut them with `webemotion clips`")
            .into());
    }
    let changed = relabels::in_force(catalog).await.map_err(Failure::from)?;
    let changed: HashMap<SampleId, Emotion> =
        changed.iter().filter_map(|label| Some((label.sample, label.class.parse().ok()?))).collect();
    let label = |sample: &samples::TrainingSample| *changed.get(&sample.sample).unwrap_or(&sample.emotion);
    let classes: Vec<Emotion> = Emotion::ALL
        .into_iter()
        .filter(|emotion| found.iter().any(|sample| label(sample) == *emotion))
        .collect();
    if classes.len() < 2 {
        let detail = format!("the catalog's samples show one emotion only: {}", classes[0]);
        return Err(Failure::permanent(Reason::NothingToDo, detail)
            .with_hint("take in videos of at least two emotions")
            .into());
    }
    let frozen: Vec<FrozenSample> = found
        .iter()
        .map(|sample| FrozenSample {
            sample: sample.sample,
            split: sample.split,
            label: classes.iter().position(|class| *class == label(sample)).unwrap_or(0),
        })
        .collect();
    Ok((classes.iter().map(Emotion::to_string).collect(), frozen))
}

/// Freezes the list, and writes the run down.
async fn freeze(catalog: &Catalog, recipe: &Recipe, device: &str) -> anyhow::Result<Run> {
    let (names, frozen) = candidates(catalog).await?;
    let method = recipe.method.as_str();
    let all = runs::list(catalog).await.map_err(Failure::from)?;
    let number = 1 + all.iter().filter(|run| run.method == method).count();
    let name = format!("{method}-{number}");
    let mut tx = catalog.begin().await.map_err(Failure::from)?;
    let recipe_hash = recipes::insert(&mut tx, RECIPE_KIND, &body(recipe)?).await.map_err(Failure::from)?;
    let run = NewRun {
        name: &name,
        method,
        recipe_hash: &recipe_hash,
        seed: recipe.seed,
        folder: &format!("runs/{name}"),
        classes: &names,
        device,
    };
    runs::create(&mut tx, &run, &frozen).await.map_err(Failure::from)?;
    tx.commit().await.map_err(Failure::from)?;
    Ok(find(catalog, &name).await?)
}

/// The catalog's samples as they are today, for trainings that write nothing back.
pub(crate) async fn todays_samples(catalog: &Catalog) -> anyhow::Result<TrainingSet> {
    let (classes, list) = candidates(catalog).await?;
    training_set(catalog, &classes, &list).await
}

async fn training_set(
    catalog: &Catalog,
    classes: &[String],
    list: &[FrozenSample],
) -> anyhow::Result<TrainingSet> {
    let origins = samples::for_training(catalog).await.map_err(Failure::from)?;
    let origins: HashMap<SampleId, (ClipId, VideoId)> =
        origins.iter().map(|sample| (sample.sample, (sample.clip, sample.video))).collect();
    let origin = |frozen: &FrozenSample| origins.get(&frozen.sample);
    let clip = |frozen| origin(frozen).map_or(0, |(clip, _)| clip.0.unsigned_abs());
    let video = |frozen| origin(frozen).map_or(0, |(_, video)| video.0.unsigned_abs());
    Ok(TrainingSet {
        name: "catalog".to_owned(),
        classes: classes.to_vec(),
        labels: list.iter().map(|frozen| frozen.label).collect(),
        splits: list.iter().map(|frozen| frozen.split).collect(),
        groups: Some(list.iter().map(clip).collect()),
        sources: Some(list.iter().map(video).collect()),
        ..TrainingSet::of(Arc::new(CatalogPictures {
            samples: list.iter().map(|frozen| frozen.sample).collect(),
            crops: Crops::new(catalog),
        }))
    })
}

/// The crops of a frozen list.
struct CatalogPictures {
    samples: Vec<SampleId>,
    crops: Crops,
}

impl Pictures for CatalogPictures {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn encoded(&self, index: usize) -> std::io::Result<Vec<u8>> {
        self.crops.jpeg(self.samples[index]).map_err(std::io::Error::other)
    }

    fn name(&self, index: usize) -> String {
        format!("sample {}", self.samples[index].0)
    }

    fn identity(&self) -> Identity {
        identity_of(bytes_of(self.samples.iter().map(|sample| sample.0.cast_unsigned())))
    }
}

/// Turns what the trainer says into rows. It runs on the trainer's side, so it waits for the catalog.
pub(super) struct Rows {
    catalog: Catalog,
    runtime: Handle,
    run: RunId,
    frozen: usize,
}

impl RunWatch for Rows {
    fn epoch(&mut self, metrics: &EpochMetrics) -> anyhow::Result<()> {
        let text = serde_json::to_string(metrics)?;
        self.runtime.block_on(async {
            let mut tx = self.catalog.begin().await?;
            runs::put_epoch(&mut tx, self.run, metrics.epoch, &text).await?;
            tx.commit().await
        })?;
        Ok(())
    }

    fn relabelled(&mut self, relabels: &[Relabel]) -> anyhow::Result<()> {
        let own: Vec<Relabel> =
            relabels.iter().filter(|relabel| relabel.sample < self.frozen).copied().collect();
        self.runtime.block_on(async {
            let mut tx = self.catalog.begin().await?;
            relabels::insert(&mut tx, self.run, &own).await?;
            tx.commit().await
        })?;
        Ok(())
    }
}

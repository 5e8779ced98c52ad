//! A training run on the catalog: its sample list is frozen first, its epochs, relabels and opinions become rows.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::catalog::runs::{FrozenSample, ListedSample, NewRun, Opinion, Run, RunState};
use crate::catalog::{Catalog, crops::Crops, recipes, relabels, runs, samples, splits};
use crate::failure::{Failure, FailureKind, Reason};
use crate::pipeline::twins;
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
    /// Where its first samples stand in the list as it was frozen.
    positions: Arc<[usize]>,
}

/// A sample of a list, and what it belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Member {
    frozen: FrozenSample,
    clip: ClipId,
    video: VideoId,
}

impl CatalogRun {
    /// The run that is meant: the one that `--resume` names, else the last of this recipe and data that was cut off or
    /// (unless `--again`) is done, else a new one on a list that is frozen now.
    pub(super) async fn begin(session: &Session, args: &TrainArgs, recipe: &Recipe) -> anyhow::Result<Self> {
        let catalog = &session.catalog;
        let device =
            device_in_words(&args.common.device, recipe.precision).map_err(|error| error.failure())?;
        let hash = recipes::hash(RECIPE_KIND, &body(recipe)?);
        if let Some(name) = &args.resume {
            let found = Self::of(catalog, args, find(catalog, &name.to_string_lossy()).await?).await?;
            let folder = session.store.root().join(&found.run.folder);
            match folder.exists() {
                true => folder::check_is_for(&folder, recipe, &found.set)?,
                false if found.run.recipe_hash == hash => {}
                false => return Err(folder::of_another(&folder, "recipe").into()),
            }
            return Ok(found);
        }
        let all = runs::list(catalog).await.map_err(Failure::from)?;
        for run in all.into_iter().rev().filter(|run| run.recipe_hash == hash) {
            let is_done = run.state == RunState::Done.as_str();
            let is_cut_off = is_cut_off(&run);
            if !(is_cut_off || is_done && !args.again) {
                continue;
            }
            let found = Self::of(catalog, args, run).await?;
            let is_same = found.is_for(session, recipe);
            if is_same && (is_cut_off || found.is_of_today(catalog).await?) {
                return Ok(found);
            }
        }
        Self::of(catalog, args, freeze(catalog, args, recipe, &device).await?).await
    }

    async fn of(catalog: &Catalog, args: &TrainArgs, run: Run) -> anyhow::Result<Self> {
        let list = listed(catalog, &run).await?;
        let members: Vec<Member> = list.iter().map(Member::of).collect();
        let set = args.training_set(Some(set_of(catalog, &run.classes, &members)))?;
        Ok(Self { run, set, positions: list.iter().map(|line| line.position).collect() })
    }

    /// Whether its folder was made for its data as they are now, and enough of them is left to train on. A run that was
    /// killed before it had one trained nothing yet, and takes whatever is named now.
    fn is_for(&self, session: &Session, recipe: &Recipe) -> bool {
        let folder = session.store.root().join(&self.run.folder);
        let is_same =
            folder::is_for_data(&folder, recipe, &self.set) || is_cut_off(&self.run) && !folder.exists();
        is_same && self.set.check_training().is_ok()
    }

    /// Whether a list frozen now would be the same.
    async fn is_of_today(&self, catalog: &Catalog) -> anyhow::Result<bool> {
        let (classes, now) = candidates(catalog).await?;
        let then = listed(catalog, &self.run).await?;
        // What other sets add stands behind the catalog's own classes.
        Ok(self.run.classes.starts_with(&classes) && then.iter().map(Member::of).eq(now))
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
        let positions = Arc::clone(&self.positions);
        Rows { catalog: catalog.clone(), runtime: Handle::current(), run: self.run.id, positions }
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
                    .filter_map(|it| {
                        let opinion = Opinion {
                            importance: it.importance,
                            predicted: it.predicted,
                            p_predicted: it.p_predicted,
                            p_given: it.p_given,
                        };
                        Some((*self.positions.get(it.sample)?, opinion))
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

/// The last run of a recipe that was cut off and that [`CatalogRun::begin`] goes on with.
pub(super) async fn cut_off(
    session: &Session,
    args: &TrainArgs,
    recipe: &Recipe,
) -> anyhow::Result<Option<Run>> {
    let hash = recipes::hash(RECIPE_KIND, &body(recipe)?);
    let all = runs::list(&session.catalog).await.map_err(Failure::from)?;
    for run in all.into_iter().rev().filter(|run| run.recipe_hash == hash && is_cut_off(run)) {
        let found = CatalogRun::of(&session.catalog, args, run).await?;
        if found.is_for(session, recipe) {
            return Ok(Some(found.run));
        }
    }
    Ok(None)
}

fn is_cut_off(run: &Run) -> bool {
    [RunState::Open, RunState::Stopped].map(RunState::as_str).contains(&&*run.state)
}

const RECIPE_KIND: &str = "train";

fn body(recipe: &Recipe) -> anyhow::Result<String> {
    Ok(serde_json::to_string(recipe)?)
}

async fn listed(catalog: &Catalog, run: &Run) -> anyhow::Result<Vec<ListedSample>> {
    Ok(runs::samples(catalog, run.id).await.map_err(Failure::from)?)
}

impl Member {
    fn of(line: &ListedSample) -> Self {
        Self { frozen: line.frozen, clip: line.clip, video: line.video }
    }
}

/// The samples in use with the labels in force, and the names of their classes.
async fn candidates(catalog: &Catalog) -> anyhow::Result<(Vec<String>, Vec<Member>)> {
    // Copies that a merge brought, or that lost their original, go into one split.
    twins::mark(catalog).await?;
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
    let member = |sample: &samples::TrainingSample| {
        let class = classes.iter().position(|class| *class == label(sample)).unwrap_or(0);
        let frozen = FrozenSample { sample: sample.sample, split: sample.split, label: class };
        Member { frozen, clip: sample.clip, video: sample.video }
    };
    let members = found.iter().map(member).collect();
    Ok((classes.iter().map(Emotion::to_string).collect(), members))
}

/// Freezes the list, and writes the run down, with the classes of all sets that it trains on.
async fn freeze(catalog: &Catalog, args: &TrainArgs, recipe: &Recipe, device: &str) -> anyhow::Result<Run> {
    let (names, members) = candidates(catalog).await?;
    let set = args.training_set(Some(set_of(catalog, &names, &members)))?;
    set.check_training().map_err(|error| error.failure())?;
    let names = set.classes;
    let frozen: Vec<FrozenSample> = members.iter().map(|member| member.frozen).collect();
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
    let (classes, members) = candidates(catalog).await?;
    Ok(set_of(catalog, &classes, &members))
}

fn set_of(catalog: &Catalog, classes: &[String], members: &[Member]) -> TrainingSet {
    TrainingSet {
        name: "catalog".to_owned(),
        classes: classes.to_vec(),
        labels: members.iter().map(|member| member.frozen.label).collect(),
        splits: members.iter().map(|member| member.frozen.split).collect(),
        groups: Some(members.iter().map(|member| member.clip.0.unsigned_abs()).collect()),
        sources: Some(members.iter().map(|member| member.video.0.unsigned_abs()).collect()),
        ..TrainingSet::of(Arc::new(CatalogPictures {
            samples: members.iter().map(|member| member.frozen.sample).collect(),
            crops: Crops::new(catalog),
        }))
    }
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
    positions: Arc<[usize]>,
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
        // The catalog knows no samples of other sets.
        let own =
            |relabel: &Relabel| Some(Relabel { sample: *self.positions.get(relabel.sample)?, ..*relabel });
        let own: Vec<Relabel> = relabels.iter().filter_map(own).collect();
        self.runtime.block_on(async {
            let mut tx = self.catalog.begin().await?;
            relabels::insert(&mut tx, self.run, &own).await?;
            tx.commit().await
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;
    use super::*;
    use crate::catalog::{forget, videos};

    /// Two samples of a new video.
    async fn add(session: &Session, name: &str, emotion: Emotion) -> VideoId {
        let mut tx = session.catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
        samples::tests::hit(&mut tx, video, emotion, 1).await;
        samples::tests::fill(&mut tx, video, 2).await;
        tx.commit().await.unwrap();
        video
    }

    #[tokio::test]
    async fn a_run_that_lost_its_samples_keeps_no_other_from_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let args = parse(&["--validation", "0"]);
        let recipe = args.recipe();
        let mut videos = Vec::new();
        for number in 0..20 {
            let emotion = if number % 2 == 0 { Emotion::Fear } else { Emotion::Anger };
            videos.push(add(&session, &format!("video {number}"), emotion).await);
        }
        let first = CatalogRun::begin(&session, &args, &recipe).await.unwrap();
        assert!(cut_off(&session, &args, &recipe).await.unwrap().is_some(), "it was killed at once");
        let same = CatalogRun::begin(&session, &args, &recipe).await.unwrap();
        assert_eq!((first.run.name.as_str(), same.run.name.as_str()), ("scn-1", "scn-1"));

        let mut tx = session.catalog.begin().await.unwrap();
        forget::videos(&mut tx, &videos, "asked for").await.unwrap();
        tx.commit().await.unwrap();
        for number in 20..40 {
            let emotion = if number % 2 == 0 { Emotion::Fear } else { Emotion::Anger };
            add(&session, &format!("video {number}"), emotion).await;
        }
        assert!(cut_off(&session, &args, &recipe).await.unwrap().is_none());
        let next = CatalogRun::begin(&session, &args, &recipe).await.unwrap();
        assert_eq!((next.run.name.as_str(), next.set.len(), next.positions.len()), ("scn-2", 40, 40));
    }
}

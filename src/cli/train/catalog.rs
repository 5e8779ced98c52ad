//! A training run on the catalog: which one is gone on with, and the sample list that is frozen before a new one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::catalog::runs::{FrozenSample, ListedSample, NewRun, Run, RunState};
use crate::catalog::{Catalog, crops::Crops, recipes, relabels, runs, samples, splits};
use crate::failure::{Failure, Reason};
use crate::pipeline::twins;
use crate::train::data::{Identity, Pictures, TrainingSet, bytes_of, identity_of};
use crate::train::recipe::Recipe;
use crate::train::{ClosingLine, device_in_words};
use crate::types::{ClipId, Emotion, SampleId, VideoId};

use super::super::{Session, named};
use super::dataset::know;
use super::rows::Rows;
use super::{Caller, TrainArgs, folder, json_line};

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
    pub(super) async fn begin(session: &Session, args: &TrainArgs, recipe: &Recipe) -> Result<Self, Failure> {
        let catalog = &session.catalog;
        let device = device_in_words(&args.common.device, recipe.precision)?;
        let hash = recipes::hash(RECIPE_KIND, &body(recipe)?);
        if let Some(name) = &args.resume {
            let found = Self::of(session, args, find(catalog, &name.to_string_lossy()).await?).await?;
            let folder = session.store.root().join(&found.run.folder);
            match folder.exists() {
                true => folder::check_is_for(&folder, recipe, &found.set)?,
                false if found.run.recipe_hash == hash => {}
                false => return Err(folder::of_another(&folder, "recipe")),
            }
            return Ok(found);
        }
        let (all, today) = (runs::list(catalog).await?, OnceCell::new());
        for run in all.into_iter().rev().filter(|run| run.recipe_hash == hash) {
            let is_done = run.state == RunState::Done.as_str();
            let is_cut_off = is_cut_off(&run);
            if !(is_cut_off || is_done && !args.again) {
                continue;
            }
            if !is_cut_off {
                // Asked first: whether other data are the same takes reading all their pictures, for each run anew.
                let today = today.get_or_try_init(|| candidates(session)).await?;
                if !is_of_today(catalog, &run, today).await? {
                    continue;
                }
            }
            let found = Self::of(session, args, run).await?;
            if found.is_for(session, recipe) {
                return Ok(found);
            }
        }
        Self::of(session, args, freeze(session, args, recipe, &device).await?).await
    }

    async fn of(session: &Session, args: &TrainArgs, run: Run) -> Result<Self, Failure> {
        let list = listed(&session.catalog, &run).await?;
        let members: Vec<Member> = list.iter().map(Member::of).collect();
        let set = args.training_set(Some(set_of(&session.catalog, &run.classes, &members)))?;
        know(&set, &Caller::of(session)).await?;
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

    /// The closing line of a run that is done.
    pub(super) fn closing_line(&self) -> Option<ClosingLine> {
        let is_done = self.run.state == RunState::Done.as_str();
        serde_json::from_str(self.run.summary.as_deref().filter(|_| is_done)?).ok()
    }

    /// Writes down that the run is under way.
    pub(super) async fn reopen(&self, catalog: &Catalog) -> Result<(), Failure> {
        let mut tx = catalog.begin().await?;
        runs::reopen(&mut tx, self.run.id).await?;
        Ok(tx.commit().await?)
    }

    /// Who writes rows while the run goes on, and at its end.
    pub(super) fn rows(&self, catalog: &Catalog, caller: &Caller) -> Rows {
        Rows {
            catalog: catalog.clone(),
            runtime: Handle::current(),
            caller: caller.clone(),
            run: self.run.id,
            positions: Arc::clone(&self.positions),
        }
    }
}

/// Whether a list frozen now, of these classes and samples, would be a run's.
async fn is_of_today(
    catalog: &Catalog,
    run: &Run,
    (classes, now): &(Vec<String>, Vec<Member>),
) -> Result<bool, Failure> {
    // What other sets add stands behind the catalog's own classes.
    Ok(run.classes.starts_with(classes)
        && listed(catalog, run).await?.iter().map(Member::of).eq(now.iter().copied()))
}

/// The run of a name.
async fn find(catalog: &Catalog, name: &str) -> Result<Run, Failure> {
    named::run(&runs::list(catalog).await?, name).cloned()
}

/// The last run of a recipe that was cut off and that [`CatalogRun::begin`] goes on with.
pub(super) async fn cut_off(
    session: &Session,
    args: &TrainArgs,
    recipe: &Recipe,
) -> Result<Option<Run>, Failure> {
    let hash = recipes::hash(RECIPE_KIND, &body(recipe)?);
    let all = runs::list(&session.catalog).await?;
    for run in all.into_iter().rev().filter(|run| run.recipe_hash == hash && is_cut_off(run)) {
        let found = CatalogRun::of(session, args, run).await?;
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

fn body(recipe: &Recipe) -> Result<String, Failure> {
    json_line(recipe)
}

async fn listed(catalog: &Catalog, run: &Run) -> Result<Vec<ListedSample>, Failure> {
    Ok(runs::samples(catalog, run.id).await?)
}

impl Member {
    fn of(line: &ListedSample) -> Self {
        Self { frozen: line.frozen, clip: line.clip, video: line.video }
    }
}

/// The samples in use with the labels in force, and the names of their classes.
async fn candidates(session: &Session) -> Result<(Vec<String>, Vec<Member>), Failure> {
    let catalog = &session.catalog;
    twins::settle(catalog, session.config.keep.duplicates).await?;
    splits::assign(catalog).await?;
    let found = samples::for_training(catalog).await?;
    if found.is_empty() {
        return Err(Failure::permanent(Reason::NothingToDo, "the catalog has no samples to train on")
            .with_hint("take in videos with `webemotion crawl`, then cut them with `webemotion clips`"));
    }
    let changed = relabels::in_force(catalog).await?;
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
            .with_hint("take in videos of at least two emotions"));
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
async fn freeze(session: &Session, args: &TrainArgs, recipe: &Recipe, device: &str) -> Result<Run, Failure> {
    let catalog = &session.catalog;
    let (names, members) = candidates(session).await?;
    let set = args.training_set(Some(set_of(catalog, &names, &members)))?;
    set.check_training()?;
    let frozen: Vec<FrozenSample> = members.iter().map(|member| member.frozen).collect();
    let method = recipe.method.as_str();
    let mut tx = catalog.begin().await?;
    // From here on no other process names a run.
    let name = free_name(&runs::list(catalog).await?, session.store.root(), method);
    let recipe_hash = recipes::insert(&mut tx, RECIPE_KIND, &body(recipe)?).await?;
    let run = NewRun {
        name: &name,
        method,
        recipe_hash: &recipe_hash,
        seed: recipe.seed,
        folder: &folder_of(&name),
        classes: &set.classes,
        device,
    };
    runs::create(&mut tx, &run, &frozen).await?;
    tx.commit().await?;
    find(catalog, &name).await
}

/// Where a run lies in the data folder.
fn folder_of(name: &str) -> String {
    format!("runs/{name}")
}

/// What the next run of a method is called. Runs on data sets on disk lie in the same folder.
fn free_name(all: &[Run], root: &Path, method: &str) -> String {
    let mut number = 1 + all.iter().filter(|run| run.method == method).count();
    loop {
        let name = format!("{method}-{number}");
        let is_taken = all.iter().any(|run| run.name == name) || root.join(folder_of(&name)).exists();
        if !is_taken {
            return name;
        }
        number += 1;
    }
}

/// The catalog's samples as they are today, for trainings that write nothing back.
pub(crate) async fn todays_samples(session: &Session) -> Result<TrainingSet, Failure> {
    let (classes, members) = candidates(session).await?;
    Ok(set_of(&session.catalog, &classes, &members))
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

#[cfg(test)]
mod tests {
    use std::ops::Range;

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

    /// Videos of two emotions, as many as it takes to have all splits.
    async fn fill(session: &Session, numbers: Range<u32>) -> Vec<VideoId> {
        let mut videos = Vec::new();
        for number in numbers {
            let emotion = if number % 2 == 0 { Emotion::Fear } else { Emotion::Anger };
            videos.push(add(session, &format!("video {number}"), emotion).await);
        }
        videos
    }

    #[tokio::test]
    async fn a_run_that_lost_its_samples_keeps_no_other_from_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let args = parse(&["--validation", "0"]);
        let recipe = args.recipe();
        let videos = fill(&session, 0..20).await;
        let first = CatalogRun::begin(&session, &args, &recipe).await.unwrap();
        assert!(cut_off(&session, &args, &recipe).await.unwrap().is_some(), "it was killed at once");
        let same = CatalogRun::begin(&session, &args, &recipe).await.unwrap();
        assert_eq!((first.run.name.as_str(), same.run.name.as_str()), ("scn-1", "scn-1"));

        let mut tx = session.catalog.begin().await.unwrap();
        forget::videos(&mut tx, &videos, "asked for").await.unwrap();
        tx.commit().await.unwrap();
        fill(&session, 20..40).await;
        assert!(cut_off(&session, &args, &recipe).await.unwrap().is_none());
        let next = CatalogRun::begin(&session, &args, &recipe).await.unwrap();
        assert_eq!((next.run.name.as_str(), next.set.len(), next.positions.len()), ("scn-2", 40, 40));
    }

    #[tokio::test]
    async fn a_run_that_lost_the_catalog_on_its_way_goes_on_with_the_same_command() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let args = parse(&["--validation", "0"]);
        fill(&session, 0..20).await;
        let begun = CatalogRun::begin(&session, &args, &args.recipe()).await.unwrap();
        let caller = Caller { reporter: session.reporter.clone(), stop: session.stop.clone() };
        let rows = begun.rows(&session.catalog, &caller);
        let end = async |failure: Failure| {
            rows.end(&begun.run.name, Err(failure)).await.unwrap_err();
            cut_off(&session, &args, &args.recipe()).await.unwrap().map(|run| run.state)
        };
        let held = Failure::transient(Reason::Catalog, "database is locked");
        assert_eq!(end(held).await.as_deref(), Some("stopped"));
        assert_eq!(end(Failure::permanent(Reason::Usage, "the loss became NaN")).await, None);
    }

    #[tokio::test]
    async fn runs_that_begin_at_the_same_moment_have_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Session::still(folder.path()).await, Session::still(folder.path()).await);
        fill(&one, 0..20).await;
        let begin = async |session: &Session, seed: &str| {
            let args = parse(&["--validation", "0", "--seed", seed]);
            CatalogRun::begin(session, &args, &args.recipe()).await.unwrap().run.name
        };
        let (one, other) = tokio::join!(begin(&one, "1"), begin(&other, "2"));
        let mut names = [one, other];
        names.sort();
        assert_eq!(names, ["scn-1", "scn-2"]);
    }

    #[tokio::test]
    async fn a_run_of_a_data_set_on_disk_keeps_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        fill(&session, 0..20).await;
        std::fs::create_dir_all(folder.path().join("runs/scn-1")).unwrap();
        let args = parse(&["--validation", "0"]);
        let begun = CatalogRun::begin(&session, &args, &args.recipe()).await.unwrap();
        assert_eq!((begun.run.name.as_str(), begun.run.folder.as_str()), ("scn-2", "runs/scn-2"));
    }
}

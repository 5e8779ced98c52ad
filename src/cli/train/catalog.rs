//! A training run on the catalog: finds the one to resume, or freezes a sample list for a new one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::catalog::runs::{FrozenSample, ListedSample, NewRun, Run, RunState};
use crate::catalog::{Catalog, recipes, relabels, runs, samples, splits};
use crate::failure::{Failure, Reason};
use crate::pipeline::duplicates;
use crate::store::run_path;
use crate::train::data::TrainingSet;
use crate::train::recipe::Recipe;
use crate::train::{ClosingLine, device_in_words};
use crate::types::{ClipId, Emotion, SampleId, Split, VideoId};

use super::super::{Session, named};
use super::dataset::read_identity;
use super::pictures::CatalogPictures;
use super::rows::Rows;
use super::{Caller, TrainArgs, folder, json_line};

/// A run with its frozen list.
pub(super) struct CatalogRun {
    /// Its row.
    pub(super) run: Run,
    /// Its training set: the frozen list first, then the other named sets.
    pub(super) set: TrainingSet,
    /// Whether it begins with the frozen labels, that is, with the same label noise.
    is_as_frozen: bool,
    /// Whether it holds out what was held out when the list was frozen.
    has_frozen_splits: bool,
    /// The position in the frozen list of each sample of its set that is in the catalog; these come first in the set.
    positions: Arc<[usize]>,
}

/// A sample of a list with its own label, its source's split, its clip and its video.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Member {
    frozen: FrozenSample,
    clip: ClipId,
    video: VideoId,
}

impl CatalogRun {
    /// The run that `--resume` names, else the last one of this recipe and data that was interrupted or (unless
    /// `--again`) is done, else a new one on a list that is frozen now.
    pub(super) async fn begin(session: &Session, args: &TrainArgs, recipe: &Recipe) -> Result<Self, Failure> {
        let catalog = &session.catalog;
        let device = device_in_words(&args.common.device, recipe.precision)?;
        let hash = recipes::hash(RECIPE_KIND, &body(recipe)?);
        if let Some(name) = &args.resume {
            let found = Self::of(session, args, find(session, &name.to_string_lossy()).await?).await?;
            found.check_is_for(session, recipe, &hash)?;
            return Ok(found);
        }
        let (all, today) = (runs::list(catalog).await?, OnceCell::new());
        for run in all.into_iter().rev().filter(|run| run.recipe_hash == hash) {
            let is_done = run.state == RunState::Done;
            let is_cut_off = is_cut_off(&run);
            if !(is_cut_off || is_done && !args.again) {
                continue;
            }
            if !is_cut_off {
                // Checked first, since comparing other data means reading all their pictures for each run.
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
        let set = set_of(&session.catalog, &run.classes, &members).await?;
        let set = args.training_set(Some(set))?;
        read_identity(&set, &Caller::of(session)).await?;
        let is_as_frozen = list.iter().zip(&set.labels).all(|(line, label)| line.frozen.label == *label);
        let has_frozen_splits = list.iter().zip(&set.splits).all(|(line, split)| line.frozen.split == *split);
        let positions = list.iter().map(|line| line.position).collect();
        Ok(Self { run, set, is_as_frozen, has_frozen_splits, positions })
    }

    /// Whether its folder was made for its data as they are now, and enough of them is left to train on. A run killed
    /// before it had a folder has trained nothing yet, and uses the data named now.
    fn is_for(&self, session: &Session, recipe: &Recipe) -> bool {
        let folder = session.store.absolute(&self.run.folder);
        let has_not_begun = is_cut_off(&self.run) && self.has_frozen_splits && !folder.exists();
        let is_same = has_not_begun || folder::is_for_data(&folder, recipe, &self.set);
        is_same && self.is_as_frozen && self.set.check_training().is_ok()
    }

    /// Refuses to resume it with another recipe, or on other data or labels.
    fn check_is_for(&self, session: &Session, recipe: &Recipe, hash: &str) -> Result<(), Failure> {
        let folder = session.store.absolute(&self.run.folder);
        match folder.exists() {
            true => folder::check_is_for(&folder, recipe, &self.set)?,
            false if self.run.recipe_hash == hash => {}
            false => return Err(folder::of_another(&folder, "recipe")),
        }
        if self.is_as_frozen {
            return Ok(());
        }
        Err(folder::of_another(&folder, "list of labels").with_hint(
            "name the --noise or the --noisy-labels that it was begun with; one that an earlier release began on wrong \
             labels did not keep them: begin it anew",
        ))
    }

    /// The closing line of a run that is done.
    pub(super) fn closing_line(&self) -> Option<ClosingLine> {
        let is_done = self.run.state == RunState::Done;
        serde_json::from_str(self.run.summary.as_deref().filter(|_| is_done)?).ok()
    }

    /// Records that the run is under way.
    pub(super) async fn reopen(&self, catalog: &Catalog) -> Result<(), Failure> {
        let mut tx = catalog.begin().await?;
        runs::reopen(&mut tx, self.run.id).await?;
        Ok(tx.commit().await?)
    }

    /// The writer of the run's rows.
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

/// Whether a list frozen now, of these classes and samples, would equal a run's.
async fn is_of_today(
    catalog: &Catalog,
    run: &Run,
    (classes, now): &(Vec<String>, Vec<Member>),
) -> Result<bool, Failure> {
    // Classes of other sets come after the catalog's own.
    Ok(run.classes.starts_with(classes)
        && listed(catalog, run)
            .await?
            .iter()
            .map(|line| Member::of(line).without_source())
            .eq(now.iter().map(|member| member.without_source())))
}

/// The run with a name.
async fn find(session: &Session, name: &str) -> Result<Run, Failure> {
    named::run(session, &runs::list(&session.catalog).await?, name).cloned()
}

/// The last interrupted run of a recipe that [`CatalogRun::begin`] would resume.
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
    match run.state {
        RunState::Open | RunState::Stopped => true,
        RunState::Done | RunState::Failed => false,
    }
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
        let label = line.frozen.clean_label.unwrap_or(line.frozen.label);
        let frozen = FrozenSample { label, clean_label: None, split: line.source_split, ..line.frozen };
        Self { frozen, clip: line.clip, video: line.video }
    }

    /// The number of its source: of its video where the list was frozen without sources.
    fn source(&self) -> u64 {
        self.frozen.source.unwrap_or(self.video.0.unsigned_abs())
    }

    /// As it is compared with others: lists of earlier releases have no sources.
    fn without_source(self) -> Self {
        Self { frozen: FrozenSample { source: None, ..self.frozen }, ..self }
    }

    /// Its entry in the frozen list of a run that begins with this label, which differs from its own under label noise,
    /// and with this split, which differs from its source's if the sample is held out.
    fn begun_with(&self, label: usize, split: Split) -> FrozenSample {
        let clean_label = (label != self.frozen.label).then_some(self.frozen.label);
        FrozenSample { label, clean_label, split, ..self.frozen }
    }
}

/// The samples in use with the labels in force, and the names of their classes.
async fn candidates(session: &Session) -> Result<(Vec<String>, Vec<Member>), Failure> {
    let catalog = &session.catalog;
    duplicates::mark(catalog, session.config.keep.duplicates).await?;
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
    let sources = source_numbers(catalog, &found).await?;
    let member = |(sample, source): (&samples::TrainingSample, &u64)| {
        let class = classes.iter().position(|class| *class == label(sample)).unwrap_or(0);
        let (sample_id, split) = (sample.sample, sample.split);
        let frozen =
            FrozenSample { sample: sample_id, split, label: class, clean_label: None, source: Some(*source) };
        Member { frozen, clip: sample.clip, video: sample.video }
    };
    let members = found.iter().zip(&sources).map(member).collect();
    Ok((classes.iter().map(Emotion::to_string).collect(), members))
}

/// The number of each sample's source: the lowest of its videos' ids. Sources that share footage have the same one.
async fn source_numbers(catalog: &Catalog, samples: &[samples::TrainingSample]) -> Result<Vec<u64>, Failure> {
    let sharing = splits::sharing_footage(catalog).await?;
    let name =
        |sample: &samples::TrainingSample| sharing.get(&sample.source).unwrap_or(&sample.source).clone();
    let mut numbers: HashMap<String, u64> = HashMap::new();
    for sample in samples {
        let video = sample.video.0.unsigned_abs();
        numbers.entry(name(sample)).and_modify(|number| *number = video.min(*number)).or_insert(video);
    }
    Ok(samples.iter().map(|sample| numbers[&name(sample)]).collect())
}

/// Stores a new run and its frozen list, with the labels that training begins with and the classes of all its sets.
async fn freeze(session: &Session, args: &TrainArgs, recipe: &Recipe, device: &str) -> Result<Run, Failure> {
    let catalog = &session.catalog;
    check_init(recipe)?;
    let (names, members) = candidates(session).await?;
    let set = args.training_set(Some(set_of(catalog, &names, &members).await?))?;
    check_training(&set)?;
    recipe.check_for(&set)?;
    let begun = set.labels.iter().zip(&set.splits);
    let frozen: Vec<FrozenSample> =
        members.iter().zip(begun).map(|(member, (label, split))| member.begun_with(*label, *split)).collect();
    let noise = args.noise();
    let method = recipe.method.as_str();
    let mut tx = catalog.begin().await?;
    // From here on no other process can name a run.
    let name = free_name(&runs::list(catalog).await?, session.store.root(), method);
    let recipe_hash = recipes::insert(&mut tx, RECIPE_KIND, &body(recipe)?).await?;
    let run = NewRun {
        name: &name,
        method,
        recipe_hash: &recipe_hash,
        seed: recipe.seed,
        folder: &run_path(&name),
        classes: &set.classes,
        device,
        noise: noise.as_ref(),
    };
    runs::create(&mut tx, &run, &frozen).await?;
    tx.commit().await?;
    find(session, &name).await
}

/// Refuses params to begin from that are no file, before a run is made for them. A run that is gone on with needs them no
/// more.
fn check_init(recipe: &Recipe) -> Result<(), Failure> {
    match recipe.init.as_deref().filter(|path| !path.is_file()) {
        Some(path) => {
            Err(Failure::permanent(Reason::Usage, format!("{}: there is no such file", path.display()))
                .with_hint(
                    "--init takes a file of params: .safetensors, zip .pt/.pth of tensors, or TorchScript",
                ))
        }
        None => Ok(()),
    }
}

/// The name of the next run of a method. Runs on data sets on disk are in the same folder.
fn free_name(all: &[Run], root: &Path, method: &str) -> String {
    let mut number = 1 + all.iter().filter(|run| run.method == method).count();
    loop {
        let name = format!("{method}-{number}");
        let is_taken = all.iter().any(|run| run.name == name) || root.join(run_path(&name)).exists();
        if !is_taken {
            return name;
        }
        number += 1;
    }
}

/// The catalog's samples as they are now, for trainings that store nothing in the catalog.
pub(crate) async fn todays_samples(session: &Session) -> Result<TrainingSet, Failure> {
    let (classes, members) = candidates(session).await?;
    set_of(&session.catalog, &classes, &members).await
}

/// Refuses a set with too little to train on, as [`TrainingSet::check_training`] does; the hint here is to get more videos.
pub(crate) fn check_training(set: &TrainingSet) -> Result<(), Failure> {
    set.check_training().map_err(|error| {
        Failure::permanent(Reason::NothingToDo, error.to_string()).with_hint(
            "its channels fell into validation and test: take in videos of more channels with `webemotion crawl`, then \
             cut them with `webemotion clips`",
        )
    })
}

async fn set_of(catalog: &Catalog, classes: &[String], members: &[Member]) -> Result<TrainingSet, Failure> {
    let samples = members.iter().map(|member| member.frozen.sample).collect();
    Ok(TrainingSet {
        name: "catalog".to_owned(),
        classes: classes.to_vec(),
        labels: members.iter().map(|member| member.frozen.label).collect(),
        splits: members.iter().map(|member| member.frozen.split).collect(),
        groups: Some(members.iter().map(|member| member.clip.0.unsigned_abs()).collect()),
        sources: Some(members.iter().map(Member::source).collect()),
        ..TrainingSet::of(Arc::new(CatalogPictures::of(catalog, samples).await?))
    })
}

#[cfg(test)]
mod tests;

//! Reads a [`RunReport`] from the catalog.

mod accuracy;
mod epochs;
mod funnel;
mod labels;
mod round;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::epochs::Histogram;
use super::funnel::Funnel;
use super::index::IndexEntry;
use super::run_report::{FailureExample, FailureGroup, RunFacts, RunReport, RunSummary};
use crate::catalog::funnel::{FailureCount, StageCount};
use crate::catalog::runs::Run;
use crate::catalog::{Catalog, CatalogError, Result, crops, recipes, relabels, runs};
use crate::failure::Reason;
use crate::files::hex;
use crate::types::{JobState, RunId, SampleId, StageName};
use labels::Judged;

pub use round::{gather_round, gather_rounds, gather_run_summary};

/// What is gathered in addition to the numbers.
#[derive(Debug, Clone)]
pub struct Gathering {
    /// Pictures on each contact sheet, at most.
    pub pictures: usize,
    /// True labels by sample, if the caller knows them; else empty. Those of a run whose labels were made wrong on purpose
    /// need not be given.
    pub truth: HashMap<SampleId, String>,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { pictures: 42, truth: HashMap::new() }
    }
}

/// The report on the catalog only, before any training.
pub async fn gather_catalog(catalog: &Catalog, title: &str) -> Result<RunReport> {
    let stages = crate::catalog::funnel::stages(catalog).await?;
    Ok(RunReport {
        title: title.to_owned(),
        made_at_ms: catalog.clock().now_ms(),
        funnel: Some(funnel::funnel(catalog, &stages).await?),
        failures: failures(&stages),
        compared: summaries(catalog, None).await?,
        ..RunReport::default()
    })
}

/// Only the funnel and the failures, the latter with raw messages: for the terminal.
pub async fn gather_standing(catalog: &Catalog) -> Result<(Funnel, Vec<FailureExample>)> {
    let stages = crate::catalog::funnel::stages(catalog).await?;
    let failures = crate::catalog::funnel::failures(catalog, &stages).await?.into_iter();
    let example = |failure: FailureCount| FailureExample {
        group: group(failure.stage, failure.state, failure.reason, failure.jobs),
        example: failure.example.map(|example| first_words(&example)),
    };
    Ok((funnel::funnel(catalog, &stages).await?, failures.map(example).collect()))
}

/// The report on one run and the catalog it was made from. Where true labels are known, it compares the labels with them;
/// the caller may add results of several methods on held-out samples.
pub async fn gather_run(catalog: &Catalog, run: RunId, gathering: &Gathering) -> Result<RunReport> {
    let all = runs::list(catalog).await?;
    let missing = || CatalogError::NoRow { what: format!("run {}", run.0) };
    let run = all.into_iter().find(|one| one.id == run).ok_or_else(missing)?;
    let judged =
        Judged::new(&run, runs::samples(catalog, run.id).await?, &relabels::of_run(catalog, run.id).await?);
    let measured = epochs::read(&runs::epochs(catalog, run.id).await?);
    let mut report = RunReport {
        run: Some(facts(catalog, &run).await?),
        class_counts: judged.class_counts(),
        test: epochs::test(&measured),
        confusion: epochs::confusion(&measured, &run.classes),
        importance: importance(&judged),
        least_important: judged.least_important(gathering),
        relabelled_total: judged.relabelled_total(),
        relabelled: judged.relabelled(gathering),
        truth: judged.truth(gathering),
        compared: summaries(catalog, Some(run.id)).await?,
        epochs: measured.into_iter().map(epochs::facts).collect(),
        ..gather_catalog(catalog, &format!("Run {}", run.name)).await?
    };
    add_pictures(catalog, &mut report).await?;
    Ok(report)
}

/// All runs for the index page; `page_of` returns the path of a run's page, relative to the index.
pub async fn gather_index(
    catalog: &Catalog,
    page_of: impl Fn(&str) -> Option<String>,
) -> Result<Vec<IndexEntry>> {
    let entry = |run: RunSummary| IndexEntry { page: page_of(&run.name), run };
    Ok(summaries(catalog, None).await?.into_iter().map(entry).collect())
}

/// The state of a run, as one word.
fn state(run: &Run) -> String {
    if run.adopted_at.is_some() { "adopted".to_owned() } else { run.state.to_string() }
}

async fn facts(catalog: &Catalog, run: &Run) -> Result<RunFacts> {
    let recipe = recipes::get(catalog, &run.recipe_hash).await?.unwrap_or_default();
    // The first names are from the run's own files, the second from the catalog.
    let hashes =
        [("recipe hash", hex(&Sha256::digest(&recipe))), ("recipe in the catalog", run.recipe_hash.clone())];
    let mut settings = hashes.map(|(name, hash)| (name.to_owned(), hash)).to_vec();
    match serde_json::from_str(&recipe) {
        Ok(value) => flatten("", &value, &mut settings),
        Err(_) => settings.push(("recipe".to_owned(), recipe)),
    }
    if !settings.iter().any(|(name, _)| name == "seed") {
        settings.push(("seed".to_owned(), run.seed.to_string()));
    }
    Ok(RunFacts {
        name: run.name.clone(),
        method: run.method.clone(),
        state: state(run),
        device: run.device.clone(),
        noise: run.noise.as_ref().map(ToString::to_string),
        started_at_ms: Some(run.started_at),
        finished_at_ms: run.finished_at,
        recipe: settings,
    })
}

/// `{"scn": {"beta": 0.7}}` as `("scn.beta", "0.7")`.
fn flatten(path: &str, value: &serde_json::Value, settings: &mut Vec<(String, String)>) {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, settings);
            }
        }
        Value::String(text) => settings.push((path.to_owned(), text.clone())),
        Value::Null => settings.push((path.to_owned(), "none".to_owned())),
        other => settings.push((path.to_owned(), other.to_string())),
    }
}

/// Every run but one, newest first.
async fn summaries(catalog: &Catalog, but: Option<RunId>) -> Result<Vec<RunSummary>> {
    let mut summaries = Vec::new();
    for run in runs::list(catalog).await?.into_iter().rev().filter(|run| Some(run.id) != but) {
        let measured = epochs::read(&runs::epochs(catalog, run.id).await?);
        let relabelled = relabels::count_changed(catalog, run.id).await?;
        let accuracy = accuracy::of(&run, &measured);
        summaries.push(RunSummary {
            state: state(&run),
            name: run.name,
            method: run.method,
            noise: run.noise.as_ref().map(ToString::to_string),
            started_at_ms: Some(run.started_at),
            epochs: measured.len() as u64,
            relabelled: Some(relabelled),
            ..accuracy
        });
    }
    Ok(summaries)
}

/// Failed and postponed jobs by cause, most frequent first.
fn failures(stages: &[StageCount]) -> Vec<FailureGroup> {
    let failed = stages.iter().filter(|count| count.has_failed());
    let mut groups: Vec<FailureGroup> =
        failed.filter_map(|count| Some(group(count.stage, count.state, count.reason?, count.jobs))).collect();
    groups.sort_by(|one, other| {
        other.count.cmp(&one.count).then_with(|| one.stage.as_str().cmp(other.stage.as_str()))
    });
    groups
}

fn group(stage: StageName, state: JobState, reason: Reason, count: u64) -> FailureGroup {
    FailureGroup { stage, reason: reason.as_str(), outcome: outcome(state).to_owned(), count }
}

/// The name of a job state for people.
fn outcome(state: JobState) -> &'static str {
    match state {
        JobState::Dead => "given up",
        JobState::Open => "put off",
        JobState::Held | JobState::Done | JobState::Rejected => state.as_str(),
    }
}

/// The beginning of a tool's raw message, which can be very long; it names the cause.
fn first_words(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn importance(judged: &Judged) -> Option<Histogram> {
    let histogram = Histogram::of(judged.importances(), 20);
    histogram.bins.iter().any(|count| *count > 0).then_some(histogram)
}

/// Reads the pictures of the samples that are shown. A sample without a crop has none, and the page says so.
async fn add_pictures(catalog: &Catalog, report: &mut RunReport) -> Result<()> {
    let least = report.least_important.iter_mut().map(|sample| (sample.sample_id, &mut sample.jpeg));
    let relabelled = report.relabelled.iter_mut().map(|sample| (sample.sample_id, &mut sample.jpeg));
    for (id, jpeg) in least.chain(relabelled) {
        match crops::get(catalog, SampleId(id)).await {
            Ok(picture) => *jpeg = picture,
            Err(CatalogError::NoRow { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Reads what a round did from the catalog: jobs by the time they ended, rows by the time they were added.

use super::super::index::RoundEntry;
use super::super::round::{PausedStage, Picture, RoundReport, StageWork, Totals};
use super::super::run_report::{FailureGroup, RunSummary};
use super::summaries;
use crate::catalog::rounds::{self, Ended};
use crate::catalog::{Catalog, CatalogError, Result, crops, funnel, pauses};
use crate::types::{JobState, StageName};

/// Pictures of each emotion, at most.
const PICTURES: u32 = 4;

/// What happened since a round began, and the totals now. The caller adds the steps, the exit code and what is next.
pub async fn gather_round(catalog: &Catalog, round: i64, started_at_ms: i64) -> Result<RoundReport> {
    let now_ms = catalog.clock().now_ms();
    let until_ms = now_ms + 1;
    let mut ended = rounds::ended(catalog, started_at_ms, until_ms).await?;
    ended.extend(rounds::postponed(catalog, started_at_ms, until_ms).await?);
    let mut report = RoundReport {
        round,
        started_at_ms,
        ended_at_ms: now_ms,
        work: work(&ended),
        failures: failures(&ended),
        totals: totals(catalog).await?,
        totals_before: totals_before(catalog, round).await?,
        paused: paused(catalog).await?,
        ..RoundReport::default()
    };
    for (sample, emotion) in crate::catalog::samples::newest(catalog, started_at_ms, PICTURES).await? {
        match crops::get(catalog, sample).await {
            Ok(jpeg) => {
                let picture = Picture { sample_id: sample.0, emotion: emotion.to_string(), jpeg };
                report.pictures.push(picture);
            }
            Err(CatalogError::NoRow { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

/// All rounds for the index page; `page_of` returns the path of a round's page, relative to the index, and `is_dead`
/// whether a holder's process has ended.
pub async fn gather_rounds(
    catalog: &Catalog,
    page_of: impl Fn(&str) -> Option<String>,
    is_dead: impl Fn(&str) -> bool,
) -> Result<Vec<RoundEntry>> {
    let all = rounds::list(catalog, u32::MAX).await?;
    Ok(all.into_iter().map(|round| entry(&round, &page_of, is_dead(&round.holder))).collect())
}

/// Clears the duration of a round that was killed: its end was recorded later, by the round that found it.
fn entry(round: &rounds::Round, page_of: impl Fn(&str) -> Option<String>, is_dead: bool) -> RoundEntry {
    let summary: serde_json::Value =
        round.summary.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let samples = |part: &str| summary[part]["samples"].as_i64();
    let outcome = match &summary["outcome"] {
        serde_json::Value::String(words) => words.clone(),
        _ if is_dead || round.ended_at.is_some() => "killed".to_owned(),
        _ => "under way".to_owned(),
    };
    let name = RoundReport { round: round.id, ..RoundReport::default() }.name();
    RoundEntry {
        round: round.id,
        started_at_ms: round.started_at,
        ended_at_ms: round.ended_at.filter(|_| round.exit.is_some()),
        outcome,
        samples: samples("totals").zip(samples("totals_before")).map(|(now, before)| now - before),
        page: page_of(&name),
    }
}

/// One line about the training run with a name.
pub async fn gather_run_summary(catalog: &Catalog, name: &str) -> Result<Option<RunSummary>> {
    Ok(summaries(catalog, None).await?.into_iter().find(|run| run.name == name))
}

fn work(ended: &[Ended]) -> Vec<StageWork> {
    let sum = |stage: StageName, state: JobState| {
        ended.iter().filter(|it| it.stage == stage && it.state == state).map(|it| it.jobs).sum()
    };
    StageName::ALL
        .into_iter()
        .map(|stage| StageWork {
            stage,
            done: sum(stage, JobState::Done),
            rejected: sum(stage, JobState::Rejected),
            given_up: sum(stage, JobState::Dead),
            put_off: sum(stage, JobState::Open),
        })
        .filter(|work| work.done + work.rejected + work.given_up + work.put_off > 0)
        .collect()
}

fn failures(ended: &[Ended]) -> Vec<FailureGroup> {
    let failed = ended.iter().filter(|it| it.state != JobState::Done);
    let mut groups: Vec<FailureGroup> = failed
        .map(|it| FailureGroup {
            stage: it.stage,
            reason: it.reason.map_or_else(|| "no reason given".to_owned(), |reason| reason.as_str()),
            outcome: super::outcome(it.state).to_owned(),
            count: it.jobs,
        })
        .collect();
    groups.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.reason.cmp(&other.reason)));
    groups
}

async fn totals(catalog: &Catalog) -> Result<Totals> {
    let emotions = funnel::emotions(catalog).await?;
    let sum = |count: fn(&funnel::EmotionCount) -> u64| emotions.iter().map(count).sum();
    Ok(Totals {
        searches: sum(|it| it.searches),
        videos: sum(|it| it.videos),
        files: sum(|it| it.files),
        clips: sum(|it| it.clips),
        samples: sum(|it| it.samples),
    })
}

/// The totals that the last finished round recorded.
async fn totals_before(catalog: &Catalog, round: i64) -> Result<Option<Totals>> {
    const LOOK_BACK: u32 = 50;
    let before = rounds::list(catalog, LOOK_BACK).await?.into_iter().filter(|it| it.id < round);
    Ok(before.filter_map(|it| totals_in(&it.summary?)).next())
}

fn totals_in(summary: &str) -> Option<Totals> {
    let mut summary: serde_json::Value = serde_json::from_str(summary).ok()?;
    serde_json::from_value(summary.get_mut("totals")?.take()).ok()
}

async fn paused(catalog: &Catalog) -> Result<Vec<PausedStage>> {
    let paused = pauses::in_force(catalog).await?.into_iter();
    Ok(paused
        .map(|it| PausedStage { stage: it.stage, reason: it.reason.as_str(), resume_at_ms: it.resume_at })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(exit: Option<i64>, ended_at: Option<i64>, summary: Option<&str>) -> rounds::Round {
        let holder = "host:1:1".to_owned();
        rounds::Round {
            id: 1,
            holder,
            started_at: 1_000,
            ended_at,
            exit,
            summary: summary.map(str::to_owned),
        }
    }

    #[test]
    fn a_round_whose_process_is_dead_was_killed_and_has_no_duration() {
        let described = |round: &rounds::Round, is_dead| {
            let entry = entry(round, |_| None, is_dead);
            (entry.outcome, entry.ended_at_ms)
        };
        let words = |words: &str, ended_at_ms| (words.to_owned(), ended_at_ms);
        assert_eq!(described(&round(None, None, None), false), words("under way", None));
        assert_eq!(described(&round(None, None, None), true), words("killed", None));
        let found_later = round(None, Some(86_000_000), None);
        assert_eq!(described(&found_later, true), words("killed", None));
        let done = round(Some(0), Some(2_000), Some(r#"{"outcome": "done"}"#));
        assert_eq!(described(&done, true), words("done", Some(2_000)));
    }

    #[test]
    fn lost_samples_are_a_negative_difference() {
        let summary = r#"{"totals": {"samples": 70}, "totals_before": {"samples": 100}}"#;
        assert_eq!(entry(&round(Some(0), Some(2_000), Some(summary)), |_| None, true).samples, Some(-30));
    }
}

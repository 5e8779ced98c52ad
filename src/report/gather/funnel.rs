//! The catalog's group-bys, set in the order data walks.

use std::collections::BTreeMap;

use super::super::funnel::{EmotionCounts, Funnel, FunnelStep, ReasonCount};
use crate::catalog::funnel::{DroppedCount, EmotionCount, LostCount, RowCount, StageCount};
use crate::catalog::{Catalog, Result, funnel};

/// Counts everything from searches to samples.
pub(super) async fn funnel(catalog: &Catalog, stages: &[StageCount]) -> Result<Funnel> {
    let emotions = funnel::emotions(catalog).await?;
    let (answered, lost) = (funnel::answered(catalog).await?, funnel::lost(catalog).await?);
    let (rows, dropped) = (funnel::rows(catalog).await?, funnel::dropped(catalog).await?);
    Ok(Funnel {
        steps: steps((&emotions, answered), (stages, &lost), (rows, &dropped)),
        emotions: emotions.iter().map(counts).collect(),
    })
}

fn steps(
    (emotions, answered): (&[EmotionCount], u64),
    jobs: (&[StageCount], &[LostCount]),
    (rows, dropped): (RowCount, &[DroppedCount]),
) -> Vec<FunnelStep> {
    let sum = |count: fn(&EmotionCount) -> u64| emotions.iter().map(count).sum();
    vec![
        whole("searches", "planned", sum(|emotion| emotion.searches)),
        // Folders and lists are searches too, and no job asks them.
        FunnelStep { kept: answered, ..of_stage("searches", "answered", "search", jobs) },
        whole("videos", "found", sum(|emotion| emotion.videos)),
        of_stage("videos", "downloaded", "fetch", jobs),
        of_stage("videos", "looked at", "scan", jobs),
        of_stage("videos", "with a clip", "cut", jobs),
        whole("tracks", "followed", rows.tracks),
        after_rules("tracks", "fit for a clip", rows.tracks, "track", dropped),
        whole("clips", "cut", rows.clips),
        after_rules("clips", "seen once", rows.clips, "clip", dropped),
        whole("samples", "taken", rows.samples),
        after_rules("samples", "in use", rows.samples, "sample", dropped),
    ]
}

fn whole(unit: &str, name: &str, kept: u64) -> FunnelStep {
    FunnelStep { unit: unit.to_owned(), name: name.to_owned(), kept, ..FunnelStep::default() }
}

/// What a stage's jobs came to.
fn of_stage(
    unit: &str,
    name: &str,
    stage: &str,
    (stages, lost): (&[StageCount], &[LostCount]),
) -> FunnelStep {
    let jobs = || stages.iter().filter(|count| count.stage == stage);
    let sum = |states: &[&str]| {
        jobs().filter(|count| states.contains(&count.state.as_str())).map(|count| count.jobs).sum::<u64>()
    };
    let failed = jobs().filter(|count| ["rejected", "dead"].contains(&count.state.as_str()));
    let reasons = failed.map(|count| {
        let reason = count.reason.map_or_else(|| "no reason given".to_owned(), |reason| reason.as_str());
        let same = lost.iter().filter(|lost| lost.stage == stage && Some(lost.reason) == count.reason);
        let emotions = same.map(|lost| (lost.emotion.to_string(), lost.jobs)).collect();
        ReasonCount { reason, count: count.jobs, emotions }
    });
    FunnelStep {
        waiting: Some(sum(&["open", "held"])),
        lost: most_frequent_first(reasons.collect()),
        ..whole(unit, name, sum(&["done"]))
    }
}

/// What rules left of rows that were all kept.
fn after_rules(unit: &str, name: &str, all: u64, what: &str, dropped: &[DroppedCount]) -> FunnelStep {
    let of_what = dropped.iter().filter(|count| count.what == what);
    let reasons = of_what.map(|count| ReasonCount {
        reason: count.reason.as_str(),
        count: count.rows,
        emotions: BTreeMap::new(),
    });
    let lost = most_frequent_first(reasons.collect());
    let kept = all.saturating_sub(lost.iter().map(|lost| lost.count).sum());
    FunnelStep { lost, ..whole(unit, name, kept) }
}

/// Joins what has the same reason (rejected at once, or given up after attempts) and orders it.
fn most_frequent_first(reasons: Vec<ReasonCount>) -> Vec<ReasonCount> {
    let mut joined: Vec<ReasonCount> = Vec::new();
    for one in reasons {
        match joined.iter_mut().find(|other| other.reason == one.reason) {
            Some(other) => other.count += one.count,
            None => joined.push(one),
        }
    }
    joined.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.reason.cmp(&other.reason)));
    joined
}

fn counts(count: &EmotionCount) -> EmotionCounts {
    EmotionCounts {
        emotion: count.emotion.to_string(),
        searches: Some(count.searches),
        videos: Some(count.videos),
        files: Some(count.files),
        clips: Some(count.clips),
        samples: Some(count.samples),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;
    use crate::types::Emotion;

    fn jobs(state: &str, reason: Option<Reason>, jobs: u64) -> StageCount {
        StageCount { stage: "fetch".to_owned(), state: state.to_owned(), reason, jobs }
    }

    #[test]
    fn a_stage_keeps_what_is_done_and_names_why_the_rest_is_lost() {
        let stages = [
            jobs("done", None, 5),
            jobs("held", None, 1),
            jobs("open", Some(Reason::Network), 2),
            jobs("rejected", Some(Reason::Gone), 3),
            jobs("dead", Some(Reason::Gone), 1),
            jobs("dead", Some(Reason::Network), 9),
        ];
        let one =
            |emotion, jobs| LostCount { emotion, stage: "fetch".to_owned(), reason: Reason::Gone, jobs };
        let by_emotion = [one(Emotion::Anger, 1), one(Emotion::Fear, 3)];
        let step = of_stage("videos", "downloaded", "fetch", (&stages, &by_emotion));
        assert_eq!((step.kept, step.waiting), (5, Some(3)));
        let lost: Vec<_> = step.lost.iter().map(|lost| (lost.reason.as_str(), lost.count)).collect();
        assert_eq!(lost, [("network", 9), ("gone", 4)]);
        assert_eq!(step.lost[1].emotions, BTreeMap::from([("anger".to_owned(), 1), ("fear".to_owned(), 3)]));
    }

    #[test]
    fn rules_take_away_from_all_rows() {
        let dropped = [DroppedCount { what: "sample".to_owned(), reason: Reason::Blurred, rows: 4 }];
        assert_eq!(after_rules("samples", "in use", 10, "sample", &dropped).kept, 6);
        assert_eq!(after_rules("clips", "seen once", 10, "clip", &dropped).kept, 10);
    }
}

//! The catalog's group-bys, set in the order data walks.

use std::collections::BTreeMap;

use super::super::funnel::{EmotionCounts, Funnel, FunnelStep, ReasonCount, StageTime};
use crate::catalog::funnel::{DroppedCount, EmotionCount, LostCount, RowCount, StageCount, TimeCount};
use crate::catalog::{Catalog, Result, funnel};
use crate::types::{JobState, StageName};

/// Counts everything from searches to samples.
pub(super) async fn funnel(catalog: &Catalog, stages: &[StageCount]) -> Result<Funnel> {
    let emotions = funnel::emotions(catalog).await?;
    let (answered, lost) = (funnel::answered(catalog).await?, funnel::lost(catalog).await?);
    let (rows, dropped) = (funnel::rows(catalog).await?, funnel::dropped(catalog).await?);
    let mut times: Vec<_> = funnel::times(catalog).await?.iter().map(time).collect();
    times.sort_by_key(|time| StageName::ALL.iter().position(|stage| *stage == time.stage));
    let seen_again = funnel::seen_again(catalog).await?;
    Ok(Funnel {
        steps: steps((&emotions, answered), (stages, &lost, seen_again), (rows, &dropped)),
        emotions: emotions.iter().map(counts).collect(),
        times,
    })
}

fn steps(
    (emotions, answered): (&[EmotionCount], u64),
    (stages, lost, seen_again): (&[StageCount], &[LostCount], u64),
    (rows, dropped): (RowCount, &[DroppedCount]),
) -> Vec<FunnelStep> {
    let sum = |count: fn(&EmotionCount) -> u64| emotions.iter().map(count).sum();
    let jobs = (stages, lost);
    vec![
        whole("searches", "planned", sum(|emotion| emotion.searches)),
        // Folders and lists are searches too, and no job asks them.
        FunnelStep { kept: answered, ..of_stage("searches", "answered", StageName::Search, jobs) },
        whole("videos", "found", sum(|emotion| emotion.videos)),
        of_stage("videos", "downloaded", StageName::Fetch, jobs),
        of_stage("videos", "looked at", StageName::Scan, jobs),
        waiting_again(of_stage("videos", "with a clip", StageName::Cut, jobs), seen_again),
        whole("tracks", "followed", rows.tracks),
        after_rules("tracks", "fit for a clip", rows.tracks, "track", dropped),
        whole("clips", "cut", rows.clips),
        after_rules("clips", "in use", rows.clips, "clip", dropped),
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
    stage: StageName,
    (stages, lost): (&[StageCount], &[LostCount]),
) -> FunnelStep {
    let jobs = || stages.iter().filter(|count| count.stage == stage);
    let sum = |is_meant: fn(JobState) -> bool| {
        jobs().filter(|count| is_meant(count.state)).map(|count| count.jobs).sum::<u64>()
    };
    let failed = jobs().filter(|count| count.state.is_lost());
    let reasons = failed.map(|count| {
        let reason = count.reason.map_or_else(|| "no reason given".to_owned(), |reason| reason.as_str());
        let same = lost.iter().filter(|lost| lost.stage == stage && Some(lost.reason) == count.reason);
        let emotions = same.map(|lost| (lost.emotion.to_string(), lost.jobs)).collect();
        ReasonCount { reason, count: count.jobs, emotions }
    });
    FunnelStep {
        waiting: Some(sum(|state| !state.is_finished())),
        lost: most_frequent_first(reasons.collect()),
        ..whole(unit, name, sum(|state| state == JobState::Done))
    }
}

/// A step whose jobs are done, of which so many will be done again: a look that is still to come replaces their work.
fn waiting_again(step: FunnelStep, again: u64) -> FunnelStep {
    let waiting = step.waiting.map(|waiting| waiting + again);
    FunnelStep { kept: step.kept.saturating_sub(again), waiting, ..step }
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

fn time(count: &TimeCount) -> StageTime {
    let TimeCount { stage, done, gaps, worked_ms } = *count;
    let job_ms = i64::try_from(gaps).ok().and_then(|gaps| worked_ms.checked_div(gaps));
    StageTime { stage, done, worked_ms, job_ms }
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

    fn jobs(state: JobState, reason: Option<Reason>, jobs: u64) -> StageCount {
        StageCount { stage: StageName::Fetch, state, reason, jobs }
    }

    #[test]
    fn a_stage_keeps_what_is_done_and_names_why_the_rest_is_lost() {
        let stages = [
            jobs(JobState::Done, None, 5),
            jobs(JobState::Held, None, 1),
            jobs(JobState::Open, Some(Reason::Network), 2),
            jobs(JobState::Rejected, Some(Reason::Gone), 3),
            jobs(JobState::Dead, Some(Reason::Gone), 1),
            jobs(JobState::Dead, Some(Reason::Network), 9),
        ];
        let (stage, reason) = (StageName::Fetch, Reason::Gone);
        let one = |emotion, jobs| LostCount { emotion, stage, reason, jobs };
        let by_emotion = [one(Emotion::Anger, 1), one(Emotion::Fear, 3)];
        let step = of_stage("videos", "downloaded", StageName::Fetch, (&stages, &by_emotion));
        assert_eq!((step.kept, step.waiting), (5, Some(3)));
        let lost: Vec<_> = step.lost.iter().map(|lost| (lost.reason.as_str(), lost.count)).collect();
        assert_eq!(lost, [("network", 9), ("gone", 4)]);
        assert_eq!(step.lost[1].emotions, BTreeMap::from([("anger".to_owned(), 1), ("fear".to_owned(), 3)]));
    }

    #[test]
    fn what_is_looked_at_again_is_not_yet_with_a_clip() {
        let step = FunnelStep { waiting: Some(1), ..whole("videos", "with a clip", 9) };
        let step = waiting_again(step, 7);
        assert_eq!((step.kept, step.waiting), (2, Some(8)));
    }

    #[test]
    fn a_stage_with_one_job_tells_no_mean() {
        let count = |gaps, worked_ms| TimeCount { stage: StageName::Scan, done: 3, gaps, worked_ms };
        assert_eq!([count(2, 9_000), count(0, 0)].map(|count| time(&count).job_ms), [Some(4_500), None]);
    }

    #[test]
    fn rules_take_away_from_all_rows() {
        let dropped = [DroppedCount { what: "sample".to_owned(), reason: Reason::Blurred, rows: 4 }];
        assert_eq!(after_rules("samples", "in use", 10, "sample", &dropped).kept, 6);
        assert_eq!(after_rules("clips", "in use", 10, "clip", &dropped).kept, 10);
    }
}

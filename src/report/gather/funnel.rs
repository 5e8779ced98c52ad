//! Turns the catalog's counts into the funnel, in the order of the data flow.

use std::collections::BTreeMap;

use super::super::funnel::{EmotionCounts, Funnel, FunnelStep, ReasonCount, StageTime};
use crate::catalog::funnel::{DroppedCount, EmotionCount, LostCount, RowCount, StageCount, TimeCount};
use crate::catalog::{Catalog, Result, funnel};
use crate::types::{JobState, StageName};

/// The counts that the steps are made of.
struct Counts<'a> {
    stages: &'a [StageCount],
    lost: Vec<LostCount>,
    emotions: Vec<EmotionCount>,
    /// Searches answered to the end.
    answered: u64,
    /// Videos that were cut and are to be scanned again.
    to_rescan: u64,
    rows: RowCount,
    dropped: Vec<DroppedCount>,
}

/// Counts everything from searches to samples.
pub(super) async fn funnel(catalog: &Catalog, stages: &[StageCount]) -> Result<Funnel> {
    let counts = Counts {
        stages,
        lost: funnel::lost(catalog).await?,
        emotions: funnel::emotions(catalog).await?,
        answered: funnel::answered(catalog).await?,
        to_rescan: funnel::to_rescan(catalog).await?,
        rows: funnel::rows(catalog).await?,
        dropped: funnel::dropped(catalog).await?,
    };
    let mut times: Vec<_> = funnel::times(catalog).await?.iter().map(time).collect();
    times.sort_by_key(|time| StageName::ALL.iter().position(|stage| *stage == time.stage));
    let emotions = counts.emotions.iter().map(of_emotion).collect();
    Ok(Funnel { steps: counts.steps(), emotions, times })
}

impl Counts<'_> {
    fn steps(&self) -> Vec<FunnelStep> {
        let sum = |count: fn(&EmotionCount) -> u64| self.emotions.iter().map(count).sum();
        let RowCount { tracks, clips, samples } = self.rows;
        vec![
            whole("searches", "planned", sum(|emotion| emotion.searches)),
            // Folders and lists are searches without a job.
            FunnelStep { kept: self.answered, ..self.of_stage("searches", "answered", StageName::Search) },
            whole("videos", "found", sum(|emotion| emotion.videos)),
            self.of_stage("videos", "downloaded", StageName::Fetch),
            self.of_stage("videos", "looked at", StageName::Scan),
            to_redo(self.of_stage("videos", "with a clip", StageName::Cut), self.to_rescan),
            whole("tracks", "followed", tracks),
            self.after_rules(whole("tracks", "fit for a clip", tracks), "track"),
            whole("clips", "cut", clips),
            self.after_rules(whole("clips", "in use", clips), "clip"),
            whole("samples", "taken", samples),
            self.after_rules(whole("samples", "in use", samples), "sample"),
        ]
    }

    /// The step of a stage: jobs that are done, that wait, and that are lost.
    fn of_stage(&self, unit: &str, name: &str, stage: StageName) -> FunnelStep {
        let jobs = || self.stages.iter().filter(|count| count.stage == stage);
        let sum = |is_meant: fn(JobState) -> bool| {
            jobs().filter(|count| is_meant(count.state)).map(|count| count.jobs).sum::<u64>()
        };
        let failed = jobs().filter(|count| count.state.is_lost());
        let reasons = failed.map(|count| {
            let reason = count.reason.map_or_else(|| "no reason given".to_owned(), |reason| reason.as_str());
            let same =
                self.lost.iter().filter(|lost| lost.stage == stage && Some(lost.reason) == count.reason);
            let emotions = same.map(|lost| (lost.emotion.to_string(), lost.jobs)).collect();
            ReasonCount { reason, count: count.jobs, emotions }
        });
        FunnelStep {
            waiting: Some(sum(|state| !state.is_finished())),
            lost: most_frequent_first(reasons.collect()),
            ..whole(unit, name, sum(|state| state == JobState::Done))
        }
    }

    /// A step less the rows that rules dropped; `what` is the rows' name in [`DroppedCount`].
    fn after_rules(&self, step: FunnelStep, what: &str) -> FunnelStep {
        let of_what = self.dropped.iter().filter(|count| count.what == what);
        let reasons = of_what.map(|count| ReasonCount {
            reason: count.reason.as_str(),
            count: count.rows,
            emotions: BTreeMap::new(),
        });
        let lost = most_frequent_first(reasons.collect());
        let kept = step.kept.saturating_sub(lost.iter().map(|lost| lost.count).sum());
        FunnelStep { kept, lost, ..step }
    }
}

fn whole(unit: &str, name: &str, kept: u64) -> FunnelStep {
    FunnelStep { unit: unit.to_owned(), name: name.to_owned(), kept, ..FunnelStep::default() }
}

/// Moves videos that are to be done again from kept to waiting: a scan still to come replaces their clips.
fn to_redo(step: FunnelStep, again: u64) -> FunnelStep {
    let waiting = step.waiting.map(|waiting| waiting + again);
    FunnelStep { kept: step.kept.saturating_sub(again), waiting, ..step }
}

/// Merges counts of the same reason (rejected at once, or given up after attempts), and sorts them.
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

fn of_emotion(count: &EmotionCount) -> EmotionCounts {
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

    fn counts(stages: &[StageCount], lost: Vec<LostCount>, dropped: Vec<DroppedCount>) -> Counts<'_> {
        let rows = RowCount { tracks: 0, clips: 0, samples: 0 };
        Counts { stages, lost, emotions: Vec::new(), answered: 0, to_rescan: 0, rows, dropped }
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
        let by_emotion = vec![one(Emotion::Anger, 1), one(Emotion::Fear, 3)];
        let counts = counts(&stages, by_emotion, Vec::new());
        let step = counts.of_stage("videos", "downloaded", StageName::Fetch);
        assert_eq!((step.kept, step.waiting), (5, Some(3)));
        let lost: Vec<_> = step.lost.iter().map(|lost| (lost.reason.as_str(), lost.count)).collect();
        assert_eq!(lost, [("network", 9), ("gone", 4)]);
        assert_eq!(step.lost[1].emotions, BTreeMap::from([("anger".to_owned(), 1), ("fear".to_owned(), 3)]));
    }

    #[test]
    fn videos_to_scan_again_count_as_waiting_for_their_clips() {
        let step = FunnelStep { waiting: Some(1), ..whole("videos", "with a clip", 9) };
        let step = to_redo(step, 7);
        assert_eq!((step.kept, step.waiting), (2, Some(8)));
    }

    #[test]
    fn a_stage_with_one_job_has_no_mean_time() {
        let count = |gaps, worked_ms| TimeCount { stage: StageName::Scan, done: 3, gaps, worked_ms };
        assert_eq!([count(2, 9_000), count(0, 0)].map(|count| time(&count).job_ms), [Some(4_500), None]);
    }

    #[test]
    fn rows_dropped_by_rules_are_not_kept() {
        let dropped = vec![DroppedCount { what: "sample".to_owned(), reason: Reason::Blurred, rows: 4 }];
        let counts = counts(&[], Vec::new(), dropped);
        assert_eq!(counts.after_rules(whole("samples", "in use", 10), "sample").kept, 6);
        assert_eq!(counts.after_rules(whole("clips", "in use", 10), "clip").kept, 10);
    }
}

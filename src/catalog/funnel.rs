//! Group-bys over all tables, for `status` and `report`. Counts only, no rows.

use serde::Serialize;

use super::{Catalog, Result, number, word};
use crate::failure::Reason;
use crate::types::{Emotion, JobState, StageName};

/// How many jobs of a stage ended or stand in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StageCount {
    /// The stage.
    pub stage: StageName,
    /// Which way.
    pub state: JobState,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// How many.
    pub jobs: u64,
}

impl StageCount {
    /// Whether they failed, or were put off, where there is a reason.
    pub(crate) fn has_failed(&self) -> bool {
        match self.state {
            JobState::Open | JobState::Rejected | JobState::Dead => true,
            JobState::Held | JobState::Done => false,
        }
    }
}

/// How many jobs of one emotion and stage were rejected or given up, for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostCount {
    /// The emotion that was searched for.
    pub emotion: Emotion,
    /// The stage.
    pub stage: StageName,
    /// Why.
    pub reason: Reason,
    /// How many.
    pub jobs: u64,
}

/// How far the data of one emotion came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EmotionCount {
    /// The emotion.
    pub emotion: Emotion,
    /// Searches in force.
    pub searches: u64,
    /// Videos whose best evidence is for it.
    pub videos: u64,
    /// Of these, those whose file was downloaded; it may have been discarded since.
    pub files: u64,
    /// Clips, but for copies whose samples are not in use.
    pub clips: u64,
    /// Samples that were not rejected.
    pub samples: u64,
}

/// How many tracks, clips or samples a rule dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DroppedCount {
    /// `track`, `clip` or `sample`.
    pub what: String,
    /// The rule.
    pub reason: Reason,
    /// How many.
    pub rows: u64,
}

/// How many rows the videos' latest scans led to, those that rules dropped included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RowCount {
    /// Face tracks.
    pub tracks: u64,
    /// Clips.
    pub clips: u64,
    /// Samples.
    pub samples: u64,
}

/// Jobs that failed, or were put off, for the same cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureCount {
    /// The stage.
    pub stage: StageName,
    /// What became of them; [`JobState::Open`] of those put off.
    pub state: JobState,
    /// The cause.
    pub reason: Reason,
    /// How many.
    pub jobs: u64,
    /// What one of them says, raw.
    pub example: Option<String>,
}

/// How long a stage was at work, whoever did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeCount {
    /// The stage.
    pub stage: StageName,
    /// Jobs that are done.
    pub done: u64,
    /// Jobs that ended not long after another one.
    pub gaps: u64,
    /// The time from that one's end to theirs, milliseconds.
    pub worked_ms: i64,
}

/// A stage in which no job ends for longer than this was not at work, milliseconds.
const LONGEST_GAP_MS: i64 = 600_000;

/// Where the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DiskBytes {
    /// Video files.
    pub videos: u64,
    /// Clip files.
    pub clips: u64,
    /// The catalog itself with its face crops.
    pub catalog: u64,
}

/// Jobs by stage, state and reason.
pub async fn stages(catalog: &Catalog) -> Result<Vec<StageCount>> {
    let rows = sqlx::query_file!("queries/catalog/funnel/count_jobs.sql").fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            let (stage, state) = (word(&row.stage)?, word(&row.state)?);
            let reason = row.reason.as_deref().map(word).transpose()?;
            Ok(StageCount { stage, state, reason, jobs: number(row.jobs)? })
        })
        .collect()
}

/// How long each stage that did something was at work.
pub async fn times(catalog: &Catalog) -> Result<Vec<TimeCount>> {
    let rows = sqlx::query_file!("queries/catalog/funnel/sum_times.sql", LONGEST_GAP_MS);
    rows.fetch_all(&catalog.reader)
        .await?
        .into_iter()
        .map(|row| {
            let (stage, done, gaps) = (word(&row.stage)?, number(row.done)?, number(row.gaps)?);
            Ok(TimeCount { stage, done, gaps, worked_ms: row.worked_ms })
        })
        .collect()
}

/// Videos that were cut, and are to be looked at again.
pub async fn seen_again(catalog: &Catalog) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/funnel/count_seen_again.sql");
    number(count.fetch_one(&catalog.reader).await?)
}

/// Jobs that were rejected or given up, by emotion, stage and reason.
pub async fn lost(catalog: &Catalog) -> Result<Vec<LostCount>> {
    let rows = sqlx::query_file!("queries/catalog/funnel/count_lost.sql").fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            let (emotion, stage) = (word(&row.emotion)?, word(&row.stage)?);
            Ok(LostCount { emotion, stage, reason: word(&row.reason)?, jobs: number(row.jobs)? })
        })
        .collect()
}

/// Searches in force that were answered to the end, whoever was asked: a site, a folder or a list.
pub async fn answered(catalog: &Catalog) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/funnel/count_answered.sql");
    number(count.fetch_one(&catalog.reader).await?)
}

/// The eight emotions, in their order.
pub async fn emotions(catalog: &Catalog) -> Result<Vec<EmotionCount>> {
    let blank = |emotion| EmotionCount { emotion, searches: 0, videos: 0, files: 0, clips: 0, samples: 0 };
    let mut counts: Vec<_> = Emotion::ALL.into_iter().map(blank).collect();
    let reader = &catalog.reader;
    for row in sqlx::query_file!("queries/catalog/funnel/count_searches.sql").fetch_all(reader).await? {
        counts[word::<Emotion>(&row.emotion)?.index()].searches = number(row.searches)?;
    }
    for row in sqlx::query_file!("queries/catalog/funnel/count_videos.sql").fetch_all(reader).await? {
        let count = &mut counts[word::<Emotion>(&row.emotion)?.index()];
        (count.videos, count.files) = (number(row.videos)?, number(row.files)?);
    }
    for row in sqlx::query_file!("queries/catalog/funnel/count_clips.sql").fetch_all(reader).await? {
        counts[word::<Emotion>(&row.emotion)?.index()].clips = number(row.clips)?;
    }
    for row in sqlx::query_file!("queries/catalog/funnel/count_samples.sql").fetch_all(reader).await? {
        counts[word::<Emotion>(&row.emotion)?.index()].samples = number(row.samples)?;
    }
    Ok(counts)
}

/// What rules dropped after a video was opened.
pub async fn dropped(catalog: &Catalog) -> Result<Vec<DroppedCount>> {
    let rows =
        sqlx::query_file!("queries/catalog/funnel/count_dropped.sql").fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| Ok(DroppedCount { what: row.what, reason: word(&row.reason)?, rows: number(row.rows)? }))
        .collect()
}

/// How many tracks, clips and samples there are.
pub async fn rows(catalog: &Catalog) -> Result<RowCount> {
    let row = sqlx::query_file!("queries/catalog/funnel/count_rows.sql").fetch_one(&catalog.reader).await?;
    Ok(RowCount { tracks: number(row.tracks)?, clips: number(row.clips)?, samples: number(row.samples)? })
}

/// Failed and put-off jobs by cause, most frequent first: those of [`stages`] that have one, each with an example.
pub async fn failures(catalog: &Catalog, stages: &[StageCount]) -> Result<Vec<FailureCount>> {
    let mut failures = Vec::new();
    for count in stages.iter().filter(|count| count.has_failed()) {
        let StageCount { stage, state, reason, jobs } = *count;
        let Some(reason) = reason else { continue };
        let words = (stage.as_str(), state.as_str(), reason.as_str());
        let row = sqlx::query_file!("queries/catalog/funnel/get_example.sql", words.0, words.1, words.2)
            .fetch_optional(&catalog.reader)
            .await?;
        failures.push(FailureCount { stage, state, reason, jobs, example: row.map(|row| row.detail) });
    }
    failures.sort_by(|a, b| b.jobs.cmp(&a.jobs).then_with(|| a.stage.as_str().cmp(b.stage.as_str())));
    Ok(failures)
}

/// Where the bytes are.
pub async fn disk(catalog: &Catalog) -> Result<DiskBytes> {
    let row = sqlx::query_file!("queries/catalog/funnel/sum_bytes.sql").fetch_one(&catalog.reader).await?;
    Ok(DiskBytes { videos: number(row.videos)?, clips: number(row.clips)?, catalog: number(row.catalog)? })
}

#[cfg(test)]
mod tests {
    use super::super::{jobs, tests::empty};
    use super::*;
    use crate::types::VideoId;

    /// Has a job of a stage end after so many milliseconds.
    async fn end(catalog: &Catalog, stage: StageName, subject: VideoId, took_ms: i64) {
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue(&mut tx, stage, "1", 0, subject.0).await.unwrap();
        tx.commit().await.unwrap();
        let claim = jobs::Claim { stage, rev: "1", worker: "w", lease_ms: 10_000_000 };
        let held = jobs::claim(catalog, claim, &jobs::Only::default()).await.unwrap().unwrap();
        catalog.clock().advance_ms(took_ms);
        let mut tx = catalog.begin().await.unwrap();
        assert!(jobs::finish(&mut tx, &held).await.unwrap());
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_stage_was_at_work_from_one_end_to_the_next_but_for_its_nights() {
        let (_folder, catalog) = empty().await;
        for (video, took_ms) in [(1, 5_000), (2, 3_000), (3, 3_600_000), (4, 4_000)] {
            end(&catalog, StageName::Scan, VideoId(video), took_ms).await;
        }
        end(&catalog, StageName::Cut, VideoId(1), 1_000).await;
        let cut = TimeCount { stage: StageName::Cut, done: 1, gaps: 0, worked_ms: 0 };
        let scan = TimeCount { stage: StageName::Scan, done: 4, gaps: 2, worked_ms: 7_000 };
        assert_eq!(times(&catalog).await.unwrap(), [cut, scan]);
    }

    #[tokio::test]
    async fn a_cut_whose_look_is_to_be_done_again_is_known() {
        let (_folder, catalog) = empty().await;
        for video in [1, 2] {
            end(&catalog, StageName::Scan, VideoId(video), 10).await;
            end(&catalog, StageName::Cut, VideoId(video), 10).await;
        }
        assert_eq!(seen_again(&catalog).await.unwrap(), 0);
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue_all(&mut tx, StageName::Scan, "2", 0, &[2]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(seen_again(&catalog).await.unwrap(), 1);
    }
}

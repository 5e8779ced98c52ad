//! Counts over all tables, for `status` and `report`.

use serde::Serialize;

use super::{Catalog, Result, number, word};
use crate::failure::Reason;
use crate::types::{Emotion, JobState, StageName};

/// The number of a stage's jobs with one state and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StageCount {
    /// The stage.
    pub stage: StageName,
    /// The state.
    pub state: JobState,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// How many.
    pub jobs: u64,
}

impl StageCount {
    /// Whether these jobs failed or, if there is a reason, were postponed.
    pub(crate) fn has_failed(&self) -> bool {
        match self.state {
            JobState::Open | JobState::Rejected | JobState::Dead => true,
            JobState::Held | JobState::Done => false,
        }
    }
}

/// The number of jobs of one emotion and stage that were rejected or given up for one reason.
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

/// How much data there is of one emotion.
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
    /// Clips, without duplicates whose samples are not in use.
    pub clips: u64,
    /// Samples that were not rejected.
    pub samples: u64,
}

/// The number of tracks, clips or samples that a rule dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DroppedCount {
    /// `track`, `clip` or `sample`.
    pub what: String,
    /// The rule.
    pub reason: Reason,
    /// How many.
    pub rows: u64,
}

/// The number of rows of the videos' latest scans, including those that rules dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RowCount {
    /// Face tracks.
    pub tracks: u64,
    /// Clips.
    pub clips: u64,
    /// Samples.
    pub samples: u64,
}

/// Jobs that failed or were postponed for the same cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureCount {
    /// The stage.
    pub stage: StageName,
    /// Their state; [`JobState::Open`] if they were postponed.
    pub state: JobState,
    /// The cause.
    pub reason: Reason,
    /// How many.
    pub jobs: u64,
    /// The raw message of one of them.
    pub example: Option<String>,
}

/// How long a stage was at work, by all workers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeCount {
    /// The stage.
    pub stage: StageName,
    /// Jobs that are done.
    pub done: u64,
    /// Jobs that ended at most ten minutes after the one before; of scans all.
    pub gaps: u64,
    /// The sum of the times from the previous job's end to theirs, or that scans took, milliseconds.
    pub worked_ms: i64,
}

/// If no job of a stage ends for longer than this, the stage was idle, milliseconds.
const LONGEST_GAP_MS: i64 = 600_000;

/// Disk use, bytes.
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

/// How long each stage was at work; stages without a job are left out.
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

/// The number of videos that were cut and are to be scanned again.
pub async fn to_rescan(catalog: &Catalog) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/funnel/count_to_rescan.sql");
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

/// The number of searches in force that were answered to the end, by a site, a folder or a list.
pub async fn answered(catalog: &Catalog) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/funnel/count_answered.sql");
    number(count.fetch_one(&catalog.reader).await?)
}

/// The counts of the eight emotions, in the order of [`Emotion::ALL`].
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

/// The rows that rules dropped after a video was scanned.
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

/// Failed and postponed jobs by cause, most frequent first, each with an example; `stages` is from [`stages`].
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

/// Disk use.
pub async fn disk(catalog: &Catalog) -> Result<DiskBytes> {
    let row = sqlx::query_file!("queries/catalog/funnel/sum_bytes.sql").fetch_one(&catalog.reader).await?;
    Ok(DiskBytes { videos: number(row.videos)?, clips: number(row.clips)?, catalog: number(row.catalog)? })
}

#[cfg(test)]
mod tests {
    use super::super::{jobs, samples, tests::empty, videos};
    use super::*;
    use crate::types::VideoId;

    /// Runs a job of a stage that ends after `took_ms`.
    async fn end(catalog: &Catalog, stage: StageName, subject: VideoId, took_ms: i64) {
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue(&mut tx, stage, "1", 0, subject.0).await.unwrap();
        tx.commit().await.unwrap();
        let claim = jobs::Claim { stage, rev: "1", worker: "w", lease_ms: 10_000_000 };
        let held = jobs::claim(catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
        catalog.clock().advance_ms(took_ms);
        let mut tx = catalog.begin().await.unwrap();
        assert!(jobs::finish(&mut tx, &held).await.unwrap());
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn time_at_work_is_the_time_between_ends_without_long_gaps() {
        let (_folder, catalog) = empty().await;
        for (video, took_ms) in [(1, 5_000), (2, 3_000), (3, 3_600_000), (4, 4_000)] {
            end(&catalog, StageName::Fetch, VideoId(video), took_ms).await;
        }
        // One that was done elsewhere.
        sqlx::query(
            "insert into job (stage, subject_id, rev, state, attempt, created_at, finished_at)
             select stage, 9, rev, state, 1, finished_at + 1, finished_at + 1 from job where subject_id = 4",
        )
        .execute(&catalog.writer)
        .await
        .unwrap();
        end(&catalog, StageName::Cut, VideoId(1), 1_000).await;
        let cut = TimeCount { stage: StageName::Cut, done: 1, gaps: 0, worked_ms: 0 };
        let fetch = TimeCount { stage: StageName::Fetch, done: 4, gaps: 2, worked_ms: 7_000 };
        assert_eq!(times(&catalog).await.unwrap(), [cut, fetch]);
    }

    #[tokio::test]
    async fn scans_took_the_time_that_each_says_wherever_they_were_made() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        for name in ["a", "b"] {
            let video = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
            samples::tests::fill(&mut tx, video, 1).await;
        }
        tx.commit().await.unwrap();
        end(&catalog, StageName::Scan, VideoId(1), 5_000).await;
        let scan = TimeCount { stage: StageName::Scan, done: 2, gaps: 2, worked_ms: 24 };
        assert_eq!(times(&catalog).await.unwrap(), [scan]);
    }

    #[tokio::test]
    async fn a_cut_video_with_a_new_scan_job_is_to_be_scanned_again() {
        let (_folder, catalog) = empty().await;
        for video in [1, 2] {
            end(&catalog, StageName::Scan, VideoId(video), 10).await;
            end(&catalog, StageName::Cut, VideoId(video), 10).await;
        }
        assert_eq!(to_rescan(&catalog).await.unwrap(), 0);
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue_all(&mut tx, StageName::Scan, "2", 0, &[2]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(to_rescan(&catalog).await.unwrap(), 1);
    }
}

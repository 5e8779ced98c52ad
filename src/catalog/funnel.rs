//! Group-bys over all tables, for `status` and `report`. Counts only, no rows.

use serde::Serialize;

use super::{Catalog, Result, number, word};
use crate::failure::Reason;
use crate::types::Emotion;

/// How many jobs of a stage ended or stand in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageCount {
    /// The stage.
    pub stage: String,
    /// `open`, `held`, `done`, `rejected` or `dead`.
    pub state: String,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// How many.
    pub jobs: u64,
}

/// How many jobs of one emotion and stage were rejected or given up, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostCount {
    /// The emotion that was searched for.
    pub emotion: Emotion,
    /// The stage.
    pub stage: String,
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
    /// Clips that are no duplicates.
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
    pub stage: String,
    /// `open` (put off), `rejected` or `dead`.
    pub state: String,
    /// The cause.
    pub reason: Reason,
    /// How many.
    pub jobs: u64,
    /// What one of them says, raw.
    pub example: Option<String>,
}

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
            let reason = row.reason.as_deref().map(word).transpose()?;
            Ok(StageCount { stage: row.stage, state: row.state, reason, jobs: number(row.jobs)? })
        })
        .collect()
}

/// Jobs that were rejected or given up, by emotion, stage and reason.
pub async fn lost(catalog: &Catalog) -> Result<Vec<LostCount>> {
    let rows = sqlx::query_file!("queries/catalog/funnel/count_lost.sql").fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            let (emotion, reason, jobs) = (word(&row.emotion)?, word(&row.reason)?, number(row.jobs)?);
            Ok(LostCount { emotion, stage: row.stage, reason, jobs })
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
    for count in stages.iter().filter(|count| ["open", "rejected", "dead"].contains(&count.state.as_str())) {
        let Some(reason) = count.reason else { continue };
        let (stage, state, word) = (count.stage.clone(), count.state.clone(), reason.as_str());
        let row = sqlx::query_file!("queries/catalog/funnel/get_example.sql", stage, state, word)
            .fetch_optional(&catalog.reader)
            .await?;
        failures.push(FailureCount {
            stage,
            state,
            reason,
            jobs: count.jobs,
            example: row.map(|row| row.detail),
        });
    }
    failures.sort_by(|a, b| b.jobs.cmp(&a.jobs).then_with(|| a.stage.cmp(&b.stage)));
    Ok(failures)
}

/// Where the bytes are.
pub async fn disk(catalog: &Catalog) -> Result<DiskBytes> {
    let row = sqlx::query_file!("queries/catalog/funnel/sum_bytes.sql").fetch_one(&catalog.reader).await?;
    Ok(DiskBytes { videos: number(row.videos)?, clips: number(row.clips)?, catalog: number(row.catalog)? })
}

//! The `listed` table: the rows of released lists, each with its video. A video of which rows name parts is cut by these
//! parts alone.

use serde::{Deserialize, Serialize};
use sqlx::SqliteExecutor;

use super::{Catalog, CatalogError, Result, Transaction, jobs, number, word};
use crate::failure::Reason;
use crate::types::{Emotion, FaceBox, JobState, Span, VideoId};

/// One row of a list, without its video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// The list.
    pub list: String,
    /// Its line there, from 1.
    pub line: u64,
    /// The label it gives.
    pub emotion: Emotion,
    /// The part that it names; none is the whole video.
    pub span: Option<Span>,
    /// Where the face is when the part begins, fractions of the picture.
    pub face: Option<FaceBox>,
    /// Hash of the file that the list was made from.
    pub sha256: Option<String>,
}

/// The number of a list's videos whose jobs have one state and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeCount {
    /// The state.
    pub state: JobState,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// How many.
    pub videos: u64,
}

/// A row whose video's file is not the one the list was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// The row's line in the list, from 1.
    pub line: u64,
    /// The video's path on disk, or the address of its page.
    pub url: String,
    /// Whether it is on disk.
    pub is_local: bool,
}

/// Stores a row, unless it is there; returns whether it is new. If it names a part that the video was not cut by, the
/// video is cut again.
pub async fn insert(tx: &mut Transaction, video: VideoId, row: &Listed) -> Result<bool> {
    let (line, emotion) = (super::integer(row.line), row.emotion.as_str());
    let (start_ms, end_ms) = (row.span.map(|span| span.start_ms), row.span.map(|span| span.end_ms));
    let face = row.face.as_ref().map(serde_json::to_string).transpose();
    let face = face.map_err(|error| CatalogError::Damaged { detail: error.to_string() })?;
    let done = sqlx::query_file!(
        "queries/catalog/listed/insert.sql",
        row.list,
        line,
        video.0,
        emotion,
        start_ms,
        end_ms,
        face,
        row.sha256
    )
    .execute(tx.connection())
    .await?;
    let is_new = done.rows_affected() > 0;
    if is_new {
        jobs::cut_again(tx, video).await?;
    }
    Ok(is_new)
}

/// All rows of a video, by list and line.
pub async fn of_video(catalog: &Catalog, video: VideoId) -> Result<Vec<Listed>> {
    of_video_with(&catalog.reader, video).await
}

/// The same within a transaction.
pub(super) async fn of_video_in(tx: &mut Transaction, video: VideoId) -> Result<Vec<Listed>> {
    of_video_with(tx.connection(), video).await
}

async fn of_video_with(executor: impl SqliteExecutor<'_>, video: VideoId) -> Result<Vec<Listed>> {
    let rows = sqlx::query_file!("queries/catalog/listed/list_of_video.sql", video.0);
    let rows = rows.fetch_all(executor).await?;
    rows.into_iter()
        .map(|row| {
            let span = row.start_ms.zip(row.end_ms).map(|(start_ms, end_ms)| Span { start_ms, end_ms });
            let face = row.face.as_deref().map(serde_json::from_str).transpose();
            let face = face.map_err(|error| CatalogError::Damaged {
                detail: format!("the face in row {} of the list {}: {error}", row.line, row.list),
            })?;
            let (line, emotion) = (number(row.line)?, word(&row.emotion)?);
            Ok(Listed { list: row.list, line, emotion, span, face, sha256: row.sha256 })
        })
        .collect()
}

/// The rows of a list whose videos' files are here and are not those it was made from, by line.
pub async fn differing(catalog: &Catalog, list: &str) -> Result<Vec<Differing>> {
    let rows = sqlx::query_file!("queries/catalog/listed/list_differing.sql", list)
        .fetch_all(&catalog.reader)
        .await?;
    rows.into_iter()
        .map(|row| Ok(Differing { line: number(row.line)?, url: row.url, is_local: row.is_local }))
        .collect()
}

/// What became of a list's videos, the most frequent outcome first.
pub async fn outcomes(catalog: &Catalog, list: &str) -> Result<Vec<OutcomeCount>> {
    let rows = sqlx::query_file!("queries/catalog/listed/count_outcomes.sql", list)
        .fetch_all(&catalog.reader)
        .await?;
    rows.into_iter()
        .map(|row| {
            let reason = row.reason.as_deref().map(word).transpose()?;
            Ok(OutcomeCount { state: word(&row.state)?, reason, videos: number(row.videos)? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::empty;
    use crate::catalog::{funnel, samples, splits, videos};
    use crate::types::StageName;

    fn row(line: u64, span: Option<(i64, i64)>) -> Listed {
        let span = span.map(|(start_ms, end_ms)| Span { start_ms, end_ms });
        let face = span.map(|_| FaceBox { x: 0.1, y: 0.7, width: 0.3, height: 0.15 });
        Listed { list: "list.csv#00".to_owned(), line, emotion: Emotion::Anger, span, face, sha256: None }
    }

    #[tokio::test]
    async fn a_new_part_has_its_video_cut_again_and_a_known_one_does_not() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let done = jobs::MergedEnd { state: JobState::Done, reason: None, detail: None };
        let part = row(2, Some((0, 500)));
        for (row, state) in
            [(row(1, None), JobState::Done), (part.clone(), JobState::Open), (part.clone(), JobState::Done)]
        {
            let mut tx = catalog.begin().await.unwrap();
            jobs::record_merged_end(&mut tx, StageName::Cut, video.0, "1", &done).await.unwrap();
            insert(&mut tx, video, &row).await.unwrap();
            tx.commit().await.unwrap();
            let cut = jobs::get(&catalog, StageName::Cut, video.0).await.unwrap().unwrap();
            assert_eq!(cut.state, state, "line {}", row.line);
        }
        assert_eq!(of_video(&catalog, video).await.unwrap(), [row(1, None), part]);
    }

    #[tokio::test]
    async fn the_label_of_a_part_overrides_that_of_its_video() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        for (rank, name) in (1..).zip(["whole", "part"]) {
            let video = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
            samples::tests::hit(&mut tx, video, Emotion::Fear, rank).await;
            samples::tests::fill(&mut tx, video, 2).await;
        }
        let of_part = "update clip set emotion = 'anger' where video_id = 2";
        sqlx::query(of_part).execute(tx.connection()).await.unwrap();
        tx.commit().await.unwrap();
        splits::assign(&catalog).await.unwrap();
        let labels = samples::for_training(&catalog).await.unwrap();
        let mut labels: Vec<(i64, Emotion)> =
            labels.iter().map(|sample| (sample.video.0, sample.emotion)).collect();
        labels.sort_by_key(|(video, _)| *video);
        let (anger, fear) = (Emotion::Anger, Emotion::Fear);
        assert_eq!(labels, [(1, fear), (1, fear), (2, anger), (2, anger)]);
        let newest = samples::newest(&catalog, 0, 1).await.unwrap();
        assert_eq!(newest.iter().map(|(_, emotion)| *emotion).collect::<Vec<_>>(), [fear, anger]);
        let counts = funnel::emotions(&catalog).await.unwrap();
        for emotion in [anger, fear] {
            let count = counts[emotion.index()];
            assert_eq!((count.clips, count.samples), (1, 2), "{emotion}");
        }
    }
}

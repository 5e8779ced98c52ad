//! The `evidence` table: why a video is thought to show an emotion. Rows are added, never changed.

use serde::{Deserialize, Serialize};

use super::{Catalog, Result, Transaction, number, word};
use crate::types::{AnswerId, Emotion, SearchId, VideoId};

/// One (video, search, rank).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The search that found it.
    pub search: SearchId,
    /// The answer that contained it.
    pub answer: AnswerId,
    /// Its rank there; 1 is the first hit.
    pub rank: u32,
    /// The emotion that the search was for.
    pub emotion: Emotion,
}

/// Evidence with the words of its search.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The evidence.
    pub evidence: Evidence,
    /// The words of the search.
    pub search_text: String,
    /// When it was found, milliseconds since 1970.
    pub seen_at: i64,
}

/// Adds evidence, and updates the video's emotion. A (video, search, rank) that is there already stays as it is.
pub async fn insert(tx: &mut Transaction, video: VideoId, evidence: &Evidence) -> Result<()> {
    let (emotion, now_ms) = (evidence.emotion.as_str(), tx.now_ms());
    sqlx::query_file!(
        "queries/catalog/evidence/insert.sql",
        video.0,
        evidence.search.0,
        evidence.answer.0,
        evidence.rank,
        emotion,
        now_ms
    )
    .execute(tx.connection())
    .await?;
    sqlx::query_file!("queries/catalog/video/set_emotion.sql", video.0).execute(tx.connection()).await?;
    Ok(())
}

/// Whether a (video, search, rank) is there.
pub(super) async fn stands_in(
    tx: &mut Transaction,
    video: VideoId,
    search: SearchId,
    rank: u32,
) -> Result<bool> {
    let id = sqlx::query_file_scalar!("queries/catalog/evidence/get.sql", video.0, search.0, rank)
        .fetch_optional(tx.connection())
        .await?;
    Ok(id.is_some())
}

/// All evidence of a video, best rank first.
pub async fn of_video(catalog: &Catalog, video: VideoId) -> Result<Vec<Found>> {
    let rows =
        sqlx::query_file!("queries/catalog/evidence/list.sql", video.0).fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Found {
                evidence: Evidence {
                    search: SearchId(row.search_id),
                    answer: AnswerId(row.answer_id),
                    rank: number(row.rank)?,
                    emotion: word(&row.emotion)?,
                },
                search_text: row.search_text,
                seen_at: row.seen_at,
            })
        })
        .collect()
}

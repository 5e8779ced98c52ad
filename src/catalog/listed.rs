//! The `listed` table: what released lists name, row by row, and what became of it.

use super::{Catalog, CatalogError, Result, Transaction, number, word};
use crate::failure::Reason;
use crate::types::{Emotion, FaceBox, Span, VideoId};

/// One row of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<'a> {
    /// The list.
    pub list: &'a str,
    /// Its line there, from 1.
    pub line: u64,
    /// The video that it names.
    pub video: VideoId,
    /// The label it gives.
    pub emotion: Emotion,
    /// The part that it means; none is the whole video.
    pub span: Option<Span>,
    /// Where the face is, fractions of the picture.
    pub face: Option<FaceBox>,
    /// Hash of the file that the list was made from.
    pub sha256: Option<&'a str>,
}

/// How many of a list's videos ended or stand in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `open`, `held`, `done`, `rejected` or `dead`.
    pub state: String,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// How many.
    pub videos: u64,
}

/// Writes a row down, unless it is there.
pub async fn insert(tx: &mut Transaction, row: &Listed<'_>) -> Result<()> {
    let (line, emotion) = (super::integer(row.line), row.emotion.as_str());
    let (start_ms, end_ms) = (row.span.map(|span| span.start_ms), row.span.map(|span| span.end_ms));
    let face = row.face.as_ref().map(serde_json::to_string).transpose();
    let face = face.map_err(|error| CatalogError::Damaged { detail: error.to_string() })?;
    sqlx::query_file!(
        "queries/catalog/listed/insert.sql",
        row.list,
        line,
        row.video.0,
        emotion,
        start_ms,
        end_ms,
        face,
        row.sha256
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What became of a list's videos, most frequent first.
pub async fn outcomes(catalog: &Catalog, list: &str) -> Result<Vec<Outcome>> {
    let rows = sqlx::query_file!("queries/catalog/listed/count_outcomes.sql", list)
        .fetch_all(&catalog.reader)
        .await?;
    rows.into_iter()
        .map(|row| {
            let reason = row.reason.as_deref().map(word).transpose()?;
            Ok(Outcome { state: row.state, reason, videos: number(row.videos)? })
        })
        .collect()
}

//! The `scan` table: one look at a video's frames with one recipe. Its tracks are in [`super::tracks`].

use super::{Catalog, CatalogError, Result, Transaction, integer, json, number};
use crate::types::{Scan, ScanId, Span, VideoId};

/// A scan as the catalog has it, but for its tracks.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredScan {
    /// Its row.
    pub id: ScanId,
    /// The recipe it was made with.
    pub recipe_hash: String,
    /// What it found; `tracks` is empty, see [`super::tracks::of_scan`].
    pub scan: Scan,
    /// How long it took.
    pub elapsed_ms: i64,
}

/// Writes a scan down without its tracks. A scan of the same video and recipe is replaced, with all that came of it.
pub async fn insert(
    tx: &mut Transaction,
    video: VideoId,
    recipe_hash: &str,
    scan: &Scan,
    elapsed_ms: i64,
) -> Result<ScanId> {
    sqlx::query_file!("queries/catalog/scan/delete.sql", video.0, recipe_hash)
        .execute(tx.connection())
        .await?;
    let shots: Vec<[i64; 2]> = scan.shots.iter().map(|shot| [shot.start_ms, shot.end_ms]).collect();
    let (shots, now_ms) = (json(&shots)?, tx.now_ms());
    sqlx::query_file!("queries/catalog/scan/supersede.sql", video.0, now_ms).execute(tx.connection()).await?;
    let (decoded, detected) = (integer(scan.frames_decoded), integer(scan.frames_detected));
    let id = sqlx::query_file_scalar!(
        "queries/catalog/scan/insert.sql",
        video.0,
        recipe_hash,
        scan.width,
        scan.height,
        scan.duration_ms,
        shots,
        decoded,
        detected,
        elapsed_ms,
        now_ms
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(ScanId(id))
}

/// The latest scan of a video.
pub async fn latest(catalog: &Catalog, video: VideoId) -> Result<Option<StoredScan>> {
    let row = sqlx::query_file!("queries/catalog/scan/get_latest.sql", video.0)
        .fetch_optional(&catalog.reader)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let shots: Vec<[i64; 2]> = serde_json::from_str(&row.shots).map_err(|error| CatalogError::Damaged {
        detail: format!("the shots of scan {}: {error}", row.id),
    })?;
    let scan = Scan {
        width: number(row.width)?,
        height: number(row.height)?,
        duration_ms: row.duration_ms,
        shots: shots.into_iter().map(|[start_ms, end_ms]| Span { start_ms, end_ms }).collect(),
        tracks: Vec::new(),
        frames_decoded: number(row.frames_decoded)?,
        frames_detected: number(row.frames_detected)?,
    };
    Ok(Some(StoredScan {
        id: ScanId(row.id),
        recipe_hash: row.recipe_hash,
        scan,
        elapsed_ms: row.elapsed_ms,
    }))
}

//! The `scan` table: one pass over a video's frames with one recipe. Its tracks are in [`super::tracks`].

use super::{Catalog, CatalogError, Result, Transaction, integer, json, number, runs};
use crate::types::{Scan, ScanId, Span, VideoId};

/// A scan as the catalog has it, without its tracks.
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

/// What a scan is made with.
#[derive(Debug, Clone, Copy)]
pub struct MadeWith<'a> {
    /// The hash of its recipe.
    pub recipe_hash: &'a str,
    /// The revision of the stage, which identifies what else its result depends on.
    pub rev: &'a str,
}

/// Stores a scan without its tracks; it is in force from now on. A scan of the same video and recipe is replaced, with its
/// tracks, clips and samples: with a warning where runs have some of these.
pub async fn insert(
    tx: &mut Transaction,
    video: VideoId,
    with: MadeWith<'_>,
    scan: &Scan,
    elapsed_ms: i64,
) -> Result<ScanId> {
    let MadeWith { recipe_hash, rev } = with;
    let replaced = sqlx::query_file_scalar!("queries/catalog/scan/find.sql", video.0, recipe_hash)
        .fetch_optional(tx.connection())
        .await?;
    if let Some(id) = replaced {
        runs::losses_of_scan(tx, ScanId(id)).await?.warn(video);
    }
    sqlx::query_file!("queries/catalog/scan/delete.sql", video.0, recipe_hash)
        .execute(tx.connection())
        .await?;
    let shots: Vec<[i64; 2]> = scan.shots.iter().map(|shot| [shot.start_ms, shot.end_ms]).collect();
    let (shots, now_ms) = (json(&shots)?, tx.now_ms());
    supersede(tx, video).await?;
    let (decoded, detected) = (integer(scan.frames_decoded), integer(scan.frames_detected));
    let id = sqlx::query_file_scalar!(
        "queries/catalog/scan/insert.sql",
        video.0,
        recipe_hash,
        rev,
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

async fn supersede(tx: &mut Transaction, video: VideoId) -> Result<()> {
    let now_ms = tx.now_ms();
    sqlx::query_file!("queries/catalog/scan/supersede.sql", video.0, now_ms).execute(tx.connection()).await?;
    Ok(())
}

/// At most `most` scans with this recipe and revision that have clips, of videos whose last scan job has another revision,
/// or of which another scan is in force. Videos of which lists name parts are left out.
pub async fn of_rev(tx: &mut Transaction, with: MadeWith<'_>, most: u32) -> Result<Vec<(VideoId, ScanId)>> {
    let rows = sqlx::query_file!("queries/catalog/scan/list_of_rev.sql", with.recipe_hash, with.rev, most)
        .fetch_all(tx.connection())
        .await?;
    Ok(rows.into_iter().map(|row| (VideoId(row.video_id), ScanId(row.id))).collect())
}

/// Notes that a scan's clips are not those of its recipe: it is never put in force again.
pub async fn clear_rev(tx: &mut Transaction, scan: ScanId) -> Result<()> {
    sqlx::query_file!("queries/catalog/scan/clear_rev.sql", scan.0).execute(tx.connection()).await?;
    Ok(())
}

/// Puts one scan of a video in force again, with its clips and samples; the others are superseded.
pub async fn put_in_force(tx: &mut Transaction, video: VideoId, scan: ScanId) -> Result<()> {
    supersede(tx, video).await?;
    sqlx::query_file!("queries/catalog/scan/put_in_force.sql", scan.0).execute(tx.connection()).await?;
    Ok(())
}

/// The scan of a video that is in force.
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

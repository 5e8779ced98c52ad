//! The `track` table: one face followed through one shot. A track without a clip is kept, with the reason.

use super::{Catalog, CatalogError, Result, Transaction, integer, number, pack, word};
use crate::failure::Reason;
use crate::types::{ScanId, SeenFace, Span, Track, TrackId, VideoId};

/// A track with its measures.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredTrack {
    /// The track.
    pub track: Track,
    /// Median of the shorter side of the face's box, pixels of the decoded picture.
    pub median_face_px: f32,
    /// Why it gives no clip; none if it does or may.
    pub reason: Option<Reason>,
}

/// Stores a track.
pub async fn insert(
    tx: &mut Transaction,
    scan: ScanId,
    video: VideoId,
    track: &MeasuredTrack,
) -> Result<TrackId> {
    let Track { shot, span, faces, coverage } = &track.track;
    let faces =
        rmp_serde::to_vec(faces).map_err(|error| CatalogError::Damaged { detail: error.to_string() })?;
    let (shot, faces, reason) = (integer(*shot), pack::deflate(&faces)?, track.reason.map(Reason::as_str));
    let id = sqlx::query_file_scalar!(
        "queries/catalog/track/insert.sql",
        scan.0,
        video.0,
        shot,
        span.start_ms,
        span.end_ms,
        coverage,
        track.median_face_px,
        faces,
        reason
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(TrackId(id))
}

/// Records why a track gives no clip, or with none that it does.
pub async fn set_reason(tx: &mut Transaction, track: TrackId, reason: Option<Reason>) -> Result<()> {
    let reason = reason.map(Reason::as_str);
    sqlx::query_file!("queries/catalog/track/set_reason.sql", track.0, reason)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// All tracks of a scan, ordered by start.
pub async fn of_scan(catalog: &Catalog, scan: ScanId) -> Result<Vec<(TrackId, MeasuredTrack)>> {
    let rows = sqlx::query_file!("queries/catalog/track/list.sql", scan.0).fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            let faces = read_faces(&row.faces, &format!("track {}", row.id))?;
            let span = Span { start_ms: row.start_ms, end_ms: row.end_ms };
            let track = MeasuredTrack {
                track: Track { shot: number(row.shot)?, span, faces, coverage: row.coverage as f32 },
                median_face_px: row.median_face_px as f32,
                reason: row.reason.as_deref().map(word).transpose()?,
            };
            Ok((TrackId(row.id), track))
        })
        .collect()
}

/// Unpacks the faces of a track; `whose` names them in errors.
pub(super) fn read_faces(packed: &[u8], whose: &str) -> Result<Vec<SeenFace>> {
    rmp_serde::from_slice(&pack::inflate(packed)?)
        .map_err(|error| CatalogError::Damaged { detail: format!("the faces of {whose}: {error}") })
}

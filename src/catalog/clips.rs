//! The `clip` table: finished clips. Their files lie in the data folder, their samples in [`super::samples`].

use std::path::{Path, PathBuf};

use super::videos::path_text;
use super::{Catalog, Result, Transaction, integer, number};
use crate::types::{Clip, ClipId, Span, TrackId, VideoId};

/// A clip whose file stands in its place.
#[derive(Debug, Clone)]
pub struct NewClip<'a> {
    /// The track it was cut from.
    pub track: TrackId,
    /// The video it was cut from.
    pub video: VideoId,
    /// What was cut; its samples are written by [`super::samples::insert`].
    pub clip: &'a Clip,
    /// Its file, relative to the data folder.
    pub path: &'a Path,
    /// The file's size.
    pub size_bytes: u64,
    /// The file's hash, in hex.
    pub sha256: &'a str,
    /// How the picture follows the face, as declared by the cutter.
    pub framing: &'a str,
    /// The recipe it was made with.
    pub recipe_hash: &'a str,
    /// The clip that shows the same footage, if any.
    pub duplicate_of: Option<ClipId>,
}

/// A clip as the catalog has it, but for its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredClip {
    /// Its row.
    pub id: ClipId,
    /// The track it was cut from.
    pub track: TrackId,
    /// The stretch of the source video.
    pub span: Span,
    /// Its file, relative to the data folder.
    pub path: PathBuf,
    /// The file's size.
    pub size_bytes: u64,
    /// The file's hash, in hex.
    pub sha256: String,
    /// Side of the square picture in pixels.
    pub side_px: u32,
    /// Frames in it.
    pub frames: u64,
    /// How the picture follows the face.
    pub framing: String,
    /// 64-bit perceptual hash of its middle frame's crop.
    pub perceptual_hash: u64,
    /// The clip that shows the same footage, if any.
    pub duplicate_of: Option<ClipId>,
    /// The recipe it was made with.
    pub recipe_hash: String,
}

/// Writes a clip down.
pub async fn insert(tx: &mut Transaction, new: &NewClip<'_>) -> Result<ClipId> {
    let (path, size_bytes, frames) =
        (path_text(new.path)?, integer(new.size_bytes), integer(new.clip.frames));
    let (hash, duplicate_of) = (new.clip.perceptual_hash.cast_signed(), new.duplicate_of.map(|clip| clip.0));
    let now_ms = tx.now_ms();
    let id = sqlx::query_file_scalar!(
        "queries/catalog/clip/insert.sql",
        new.track.0,
        new.video.0,
        new.clip.span.start_ms,
        new.clip.span.end_ms,
        path,
        size_bytes,
        new.sha256,
        new.clip.side_px,
        frames,
        new.framing,
        hash,
        duplicate_of,
        new.recipe_hash,
        now_ms
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(ClipId(id))
}

/// Removes the clips of a track before it is cut again; returns their files.
pub async fn delete_of_track(tx: &mut Transaction, track: TrackId) -> Result<Vec<PathBuf>> {
    let files = sqlx::query_file_scalar!("queries/catalog/clip/delete.sql", track.0)
        .fetch_all(tx.connection())
        .await?;
    Ok(files.into_iter().map(PathBuf::from).collect())
}

/// The clips of a video, ordered by start.
pub async fn of_video(catalog: &Catalog, video: VideoId) -> Result<Vec<StoredClip>> {
    let rows = sqlx::query_file!("queries/catalog/clip/list.sql", video.0).fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            Ok(StoredClip {
                id: ClipId(row.id),
                track: TrackId(row.track_id),
                span: Span { start_ms: row.start_ms, end_ms: row.end_ms },
                path: PathBuf::from(row.file_path),
                size_bytes: number(row.size_bytes)?,
                sha256: row.sha256,
                side_px: number(row.side_px)?,
                frames: number(row.frames)?,
                framing: row.framing,
                perceptual_hash: row.perceptual_hash.cast_unsigned(),
                duplicate_of: row.duplicate_of.map(ClipId),
                recipe_hash: row.recipe_hash,
            })
        })
        .collect()
}

/// The clip of another video whose perceptual hash differs in the fewest bits, if at most `within_bits`.
pub async fn nearest(
    tx: &mut Transaction,
    video: VideoId,
    hash: u64,
    within_bits: u32,
) -> Result<Option<ClipId>> {
    let rows =
        sqlx::query_file!("queries/catalog/clip/list_hashes.sql", video.0).fetch_all(tx.connection()).await?;
    let apart = |stored: i64| (stored.cast_unsigned() ^ hash).count_ones();
    let nearest = rows.into_iter().min_by_key(|row| apart(row.perceptual_hash));
    Ok(nearest.filter(|row| apart(row.perceptual_hash) <= within_bits).map(|row| ClipId(row.id)))
}

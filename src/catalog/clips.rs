//! The `clip` table: finished clips. Their files are in the data folder, their samples in [`super::samples`].

use std::path::{Path, PathBuf};

use super::videos::path_text;
use super::{Catalog, Result, Transaction, integer, number, tracks, word};
use crate::types::{Clip, ClipId, Emotion, SeenFace, Span, TrackId, VideoId};

/// A new clip, whose file is in place.
#[derive(Debug, Clone)]
pub struct NewClip<'a> {
    /// The track it was cut from.
    pub track: TrackId,
    /// The video it was cut from.
    pub video: VideoId,
    /// Its own emotion, if a list names one for this part of the video; none if it has its video's.
    pub emotion: Option<Emotion>,
    /// The clip; its samples are stored by [`super::samples::insert`].
    pub clip: &'a Clip,
    /// Its file, relative to the data folder.
    pub path: &'a Path,
    /// The file's size.
    pub size_bytes: u64,
    /// The file's hash, in hex.
    pub sha256: &'a str,
    /// How the picture follows the face, as the stage `cut` names it.
    pub framing: &'a str,
    /// The recipe it was made with.
    pub recipe_hash: &'a str,
    /// How its face moves, as [`crate::face::motion::Motion`] writes it.
    pub motion: &'a [u8],
}

/// A clip as the catalog has it, without its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredClip {
    /// Its row.
    pub id: ClipId,
    /// The track it was cut from.
    pub track: TrackId,
    /// Its interval of the source video.
    pub span: Span,
    /// Its own emotion; none if it has its video's.
    pub emotion: Option<Emotion>,
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
    /// How its face moves; empty for a clip of an earlier release until it is filled in.
    pub motion: Vec<u8>,
    /// The older clip of another video that shows the same footage, if any.
    pub duplicate_of: Option<ClipId>,
    /// The recipe it was made with.
    pub recipe_hash: String,
}

/// Stores a clip.
pub async fn insert(tx: &mut Transaction, new: &NewClip<'_>) -> Result<ClipId> {
    let (path, size_bytes, frames) =
        (path_text(new.path)?, integer(new.size_bytes), integer(new.clip.frames));
    let (hash, now_ms) = (new.clip.perceptual_hash.cast_signed(), tx.now_ms());
    let emotion = new.emotion.map(Emotion::as_str);
    let id = sqlx::query_file_scalar!(
        "queries/catalog/clip/insert.sql",
        new.track.0,
        new.video.0,
        new.clip.span.start_ms,
        new.clip.span.end_ms,
        emotion,
        path,
        size_bytes,
        new.sha256,
        new.clip.side_px,
        frames,
        new.framing,
        hash,
        new.motion,
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
                emotion: row.emotion.as_deref().map(word).transpose()?,
                path: PathBuf::from(row.file_path),
                size_bytes: number(row.size_bytes)?,
                sha256: row.sha256,
                side_px: number(row.side_px)?,
                frames: number(row.frames)?,
                framing: row.framing,
                perceptual_hash: row.perceptual_hash.cast_unsigned(),
                motion: row.motion.unwrap_or_default(),
                duplicate_of: row.duplicate_of.map(ClipId),
                recipe_hash: row.recipe_hash,
            })
        })
        .collect()
}

/// How a clip's face moves, for finding duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipMotion {
    /// The clip.
    pub clip: ClipId,
    /// The video it was cut from.
    pub video: VideoId,
    /// As [`crate::face::motion::Motion`] writes it.
    pub motion: Vec<u8>,
    /// The original, if it is a duplicate.
    pub duplicate_of: Option<ClipId>,
    /// It has not been compared with the others yet.
    pub is_new: bool,
}

/// Every clip's motion, oldest first; empty when no clip is new.
pub async fn motions(catalog: &Catalog) -> Result<Vec<ClipMotion>> {
    let new = sqlx::query_file_scalar!("queries/catalog/clip/count_uncompared.sql")
        .fetch_one(&catalog.reader)
        .await?;
    if new == 0 {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_file!("queries/catalog/clip/list_motions.sql").fetch_all(&catalog.reader).await?;
    Ok(rows
        .into_iter()
        .map(|row| ClipMotion {
            clip: ClipId(row.id),
            video: VideoId(row.video_id),
            motion: row.motion.unwrap_or_default(),
            duplicate_of: row.duplicate_of.map(ClipId),
            is_new: row.is_new,
        })
        .collect())
}

/// A clip without a stored motion, with the data to compute it from.
#[derive(Debug, Clone, PartialEq)]
pub struct MotionlessClip {
    /// The clip.
    pub clip: ClipId,
    /// Its interval of the video.
    pub span: Span,
    /// The faces of its track.
    pub faces: Vec<SeenFace>,
    /// The size of the video's pictures, pixels.
    pub size: (u32, u32),
}

/// At most `most` clips without a motion.
pub async fn without_motion(catalog: &Catalog, most: u32) -> Result<Vec<MotionlessClip>> {
    let rows = sqlx::query_file!("queries/catalog/clip/list_without_motion.sql", most)
        .fetch_all(&catalog.reader)
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(MotionlessClip {
                clip: ClipId(row.id),
                span: Span { start_ms: row.start_ms, end_ms: row.end_ms },
                faces: tracks::read_faces(&row.faces, &format!("the clip {}", row.id))?,
                size: (number(row.width)?, number(row.height)?),
            })
        })
        .collect()
}

/// Stores how a clip's face moves.
pub async fn set_motion(tx: &mut Transaction, clip: ClipId, motion: &[u8]) -> Result<()> {
    sqlx::query_file!("queries/catalog/clip/set_motion.sql", clip.0, motion).execute(tx.connection()).await?;
    Ok(())
}

/// Records that a clip was compared with all others, and the original if it is a duplicate. False, and nothing is recorded,
/// where another process removed one of the two meanwhile, replaced it or compared the clip: the next comparison has it.
pub async fn set_compared(
    tx: &mut Transaction,
    clip: &ClipMotion,
    original: Option<&ClipMotion>,
) -> Result<bool> {
    let (id, motion, now_ms) = (clip.clip.0, clip.motion.as_slice(), tx.now_ms());
    let (original, its_motion) = (original.map(|it| it.clip.0), original.map(|it| it.motion.as_slice()));
    let done =
        sqlx::query_file!("queries/catalog/clip/set_compared.sql", id, original, now_ms, motion, its_motion)
            .execute(tx.connection())
            .await?;
    Ok(done.rows_affected() == 1)
}

/// The number of duplicates among the clips of the videos' latest scans.
pub async fn count_duplicates(catalog: &Catalog) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/clip/count_duplicates.sql")
        .fetch_one(&catalog.reader)
        .await?;
    number(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{forget, samples, tests::empty, videos};

    #[tokio::test]
    async fn a_duplicate_is_compared_again_when_its_original_is_removed_or_cut_again() {
        for is_forgotten in [true, false] {
            let (_folder, catalog) = empty().await;
            let mut tx = catalog.begin().await.unwrap();
            let mut ids = vec![];
            for name in ["original", "copy", "other"] {
                let id = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
                samples::tests::fill(&mut tx, id, 1).await;
                ids.push(id);
            }
            tx.commit().await.unwrap();
            let [original, copy, other] = motions(&catalog).await.unwrap().try_into().unwrap();
            let mut tx = catalog.begin().await.unwrap();
            for (clip, first) in [(&original, None), (&copy, Some(&original)), (&other, None)] {
                assert!(set_compared(&mut tx, clip, first).await.unwrap());
            }
            if is_forgotten {
                forget::remove(&mut tx, &ids[..1], "asked for").await.unwrap();
            } else {
                samples::tests::fill(&mut tx, ids[0], 1).await;
            }
            tx.commit().await.unwrap();
            let known = motions(&catalog).await.unwrap();
            let is_new = |id| known.iter().find(|clip| clip.video == id).map(|clip| clip.is_new);
            assert_eq!((is_new(ids[1]), is_new(ids[2])), (Some(true), Some(false)));
            assert_eq!(is_new(ids[0]), (!is_forgotten).then_some(true));
            assert!(known.iter().all(|clip| clip.duplicate_of.is_none()));
        }
    }

    #[tokio::test]
    async fn what_another_process_changed_meanwhile_is_not_marked() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        for name in ["original", "copy"] {
            let id = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
            samples::tests::fill(&mut tx, id, 1).await;
        }
        tx.commit().await.unwrap();
        let [original, copy] = motions(&catalog).await.unwrap().try_into().unwrap();
        let other = ClipMotion { motion: vec![7], ..original.clone() };
        let gone = ClipMotion { clip: ClipId(original.clip.0 + 1_000), ..original.clone() };
        let mut tx = catalog.begin().await.unwrap();
        for no_longer in [&other, &gone] {
            assert!(!set_compared(&mut tx, &copy, Some(no_longer)).await.unwrap());
            assert!(!set_compared(&mut tx, no_longer, None).await.unwrap());
        }
        assert!(set_compared(&mut tx, &copy, Some(&original)).await.unwrap());
        assert!(!set_compared(&mut tx, &copy, None).await.unwrap(), "it is compared already");
        tx.commit().await.unwrap();
        let known = motions(&catalog).await.unwrap();
        assert_eq!((known[0].is_new, known[1].duplicate_of), (true, Some(original.clip)));
    }
}

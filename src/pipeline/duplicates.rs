//! Marks duplicates: clips that show footage of another video that was uploaded twice, perhaps encoded again, scaled or
//! trimmed. They are found by how faces move, see [`crate::face::motion`]; no video is opened.

use std::collections::HashMap;

use crate::catalog::{Catalog, clips, samples};
use crate::face::motion::{Motion, MotionIndex};
use crate::failure::Failure;
use crate::types::{ClipId, VideoId};

/// Clips filled in by one transaction.
const CHUNK: u32 = 200;

/// Marks the clips that are duplicates, after clips were added or removed. Their samples are in use only if duplicates
/// are kept. Sources get no split here: the first three of a catalog are chosen by their hashes, which takes all of
/// them.
pub(crate) async fn mark(catalog: &Catalog, keep_duplicates: bool) -> Result<(), Failure> {
    compare_new_clips(catalog).await?;
    samples::set_duplicates_rejected(catalog, !keep_duplicates).await?;
    Ok(())
}

/// Compares all new clips with those of other videos; returns how many of them are duplicates. The older clip is the
/// original; a duplicate of a duplicate is one of the original. Comparing takes long, and other processes go on meanwhile:
/// clips that they removed or cut again are left for the next time.
async fn compare_new_clips(catalog: &Catalog) -> Result<usize, Failure> {
    fill_in(catalog).await?;
    let known = clips::motions(catalog).await?;
    if known.is_empty() {
        return Ok(0);
    }
    // Many numbers are compared: not on the runtime's own threads.
    let found = tokio::task::spawn_blocking(move || (find(&known), known)).await;
    let (found, known) =
        found.map_err(|error| Failure::bug(format!("comparing clips ended early: {error}")))?;
    let by_id: HashMap<ClipId, &clips::ClipMotion> = known.iter().map(|clip| (clip.clip, clip)).collect();
    let mut tx = catalog.begin().await?;
    let mut duplicates = 0;
    for (clip, original) in &found {
        let original = original.and_then(|original| by_id.get(&original).copied());
        let Some(clip) = by_id.get(clip).copied() else { continue };
        let is_set = clips::set_compared(&mut tx, clip, original).await?;
        duplicates += usize::from(is_set && original.is_some());
    }
    tx.commit().await?;
    Ok(duplicates)
}

/// Stores the motion of clips that were cut before motions were kept, from the faces of their tracks.
async fn fill_in(catalog: &Catalog) -> Result<(), Failure> {
    loop {
        let some = clips::without_motion(catalog, CHUNK).await?;
        if some.is_empty() {
            return Ok(());
        }
        let mut tx = catalog.begin().await?;
        for clip in some {
            let motion = Motion::of(&clip.faces, clip.span, clip.size);
            clips::set_motion(&mut tx, clip.clip, &motion.to_bytes()).await?;
        }
        tx.commit().await?;
    }
}

/// The original of every new clip, where it has one; `known` ascends by clip.
fn find(known: &[clips::ClipMotion]) -> Vec<(ClipId, Option<ClipId>)> {
    let motions: Vec<Motion> = known.iter().map(|clip| Motion::from_bytes(&clip.motion)).collect();
    let index = MotionIndex::of(&motions);
    let mut originals: HashMap<ClipId, ClipId> =
        known.iter().filter_map(|clip| Some((clip.clip, clip.duplicate_of?))).collect();
    let videos: HashMap<ClipId, VideoId> = known.iter().map(|clip| (clip.clip, clip.video)).collect();
    let mut found = Vec::new();
    for (at, clip) in known.iter().enumerate().filter(|(_, clip)| clip.is_new) {
        let closest = index
            .candidates(&motions[at])
            .filter(|other| *other < at && known[*other].video != clip.video)
            .filter_map(|other| Some((known[other].clip, motions[other].best_match(&motions[at])?)))
            .inspect(|(other, best)| {
                tracing::debug!(clip = clip.clip.0, other = other.0, ?best, "compared");
            })
            .filter(|(_, best)| best.is_duplicate())
            .min_by(|(one, a), (other, b)| a.distance.total_cmp(&b.distance).then(one.0.cmp(&other.0)));
        let original = closest.map(|(other, _)| originals.get(&other).copied().unwrap_or(other));
        // Footage that a video shows twice may lead back to itself.
        let original = original.filter(|original| videos.get(original) != Some(&clip.video));
        if let Some(original) = original {
            originals.insert(clip.clip, original);
        }
        found.push((clip.clip, original));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{forget, funnel, splits, videos};
    use crate::clock::Clock;
    use crate::types::{Emotion, Face, FaceBox, SeenFace, Span};

    /// How a swaying head moves, as clips keep it.
    fn sway() -> Vec<u8> {
        let seen = |look: i64| {
            let t = look as f32 / 5.0;
            let (x, y) = (0.5 + 0.02 * (1.3 * t).sin(), 0.4 + 0.01 * (2.9 * t).sin());
            let landmarks =
                [[x - 0.03, y], [x + 0.03, y], [x, y + 0.05], [x - 0.02, y + 0.1], [x + 0.02, y + 0.1]];
            let face_box = FaceBox { x: x - 0.05, y: y - 0.1, width: 0.1, height: 0.25 };
            SeenFace { t_ms: look * 200, face: Face { face_box, landmarks, detector_score: 1.0 } }
        };
        let faces: Vec<SeenFace> = (0..45).map(seen).collect();
        Motion::of(&faces, Span { start_ms: 0, end_ms: 9_000 }, (1_280, 720)).to_bytes()
    }

    /// Videos that show the same footage, not yet compared.
    async fn with_duplicates(folder: &std::path::Path, names: &[&str]) -> (Catalog, Vec<VideoId>) {
        let path = folder.join("catalog.sqlite");
        let catalog = Catalog::open(&path, &Clock::fixed(1_000_000)).await.unwrap();
        let mut tx = catalog.begin().await.unwrap();
        let mut ids = vec![];
        for name in names {
            let id = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
            samples::tests::hit(&mut tx, id, Emotion::Fear, 1).await;
            samples::tests::fill(&mut tx, id, 1).await;
            ids.push(id);
        }
        tx.commit().await.unwrap();
        let mut tx = catalog.begin().await.unwrap();
        for clip in clips::motions(&catalog).await.unwrap() {
            clips::set_motion(&mut tx, clip.clip, &sway()).await.unwrap();
        }
        tx.commit().await.unwrap();
        (catalog, ids)
    }

    #[tokio::test]
    async fn duplicates_are_in_use_only_where_they_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (catalog, _) = with_duplicates(folder.path(), &["original", "copy"]).await;
        for (keep_duplicates, in_use) in [(false, 1), (true, 2)] {
            mark(&catalog, keep_duplicates).await.unwrap();
            splits::assign(&catalog).await.unwrap();
            assert_eq!(samples::for_training(&catalog).await.unwrap().len(), in_use);
            let counted = funnel::emotions(&catalog).await.unwrap()[Emotion::Fear.index()];
            assert_eq!((counted.clips, counted.samples), (in_use as u64, in_use as u64));
            let dropped = funnel::dropped(&catalog).await.unwrap();
            assert_eq!(dropped.iter().any(|count| count.what == "clip"), !keep_duplicates);
        }
    }

    #[tokio::test]
    async fn of_two_duplicates_one_becomes_the_original_when_theirs_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (catalog, ids) = with_duplicates(folder.path(), &["first", "second", "third"]).await;
        assert_eq!(compare_new_clips(&catalog).await.unwrap(), 2);

        let mut tx = catalog.begin().await.unwrap();
        forget::remove(&mut tx, &ids[..1], "asked for").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(compare_new_clips(&catalog).await.unwrap(), 1);
        let second = clips::of_video(&catalog, ids[1]).await.unwrap().remove(0);
        let third = clips::of_video(&catalog, ids[2]).await.unwrap().remove(0);
        assert_eq!((second.duplicate_of, third.duplicate_of), (None, Some(second.id)));
    }
}

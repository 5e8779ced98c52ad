//! Marks clips that show footage of another video: uploaded twice, under another name, maybe encoded again, smaller or
//! trimmed. What is compared is how faces move, see [`crate::face::footage`]; no video is opened.

use std::collections::HashMap;

use crate::catalog::{Catalog, clips};
use crate::face::footage::Motion;
use crate::failure::Failure;
use crate::types::{ClipId, VideoId};

/// Clips filled in by one transaction.
const CHUNK: u32 = 200;

/// Compares all new clips with those of other videos, and says how many of them are copies. The older clip is the
/// original; a copy of a copy is one of the original.
pub(crate) async fn mark(catalog: &Catalog) -> Result<usize, Failure> {
    fill_in(catalog).await?;
    let known = clips::motions(catalog).await?;
    if known.is_empty() {
        return Ok(0);
    }
    // Numbers only, but many of them: off the runtime's own threads.
    let found = tokio::task::spawn_blocking(move || find(&known)).await;
    let found = found.map_err(|error| Failure::bug(format!("comparing clips ended early: {error}")))?;
    let mut tx = catalog.begin().await?;
    for (clip, original) in &found {
        clips::set_compared(&mut tx, *clip, *original).await?;
    }
    tx.commit().await?;
    Ok(found.iter().filter(|(_, original)| original.is_some()).count())
}

/// Gives clips that were cut before motions were kept theirs, from the faces of their tracks.
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
    let mut originals: HashMap<ClipId, ClipId> =
        known.iter().filter_map(|clip| Some((clip.clip, clip.duplicate_of?))).collect();
    let videos: HashMap<ClipId, VideoId> = known.iter().map(|clip| (clip.clip, clip.video)).collect();
    let mut found = Vec::new();
    for (at, clip) in known.iter().enumerate().filter(|(_, clip)| clip.is_new) {
        let likest = known[..at]
            .iter()
            .zip(&motions)
            .filter(|(other, _)| other.video != clip.video)
            .filter_map(|(other, motion)| Some((other.clip, motion.likeness(&motions[at])?)))
            .inspect(|(other, likeness)| {
                tracing::debug!(clip = clip.clip.0, other = other.0, ?likeness, "compared");
            })
            .filter(|(_, likeness)| likeness.is_same())
            .min_by(|(_, a), (_, b)| a.apart.total_cmp(&b.apart));
        let original = likest.map(|(other, _)| originals.get(&other).copied().unwrap_or(other));
        // Footage that a video shows twice may lead back to itself.
        let original = original.filter(|original| videos.get(original) != Some(&clip.video));
        if let Some(original) = original {
            originals.insert(clip.clip, original);
        }
        found.push((clip.clip, original));
    }
    found
}

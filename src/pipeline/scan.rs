//! The stage file → face tracks: one scan of a video, in a worker. Every track is stored with its measurements, so that
//! other thresholds need no new scan. Most clips are cut on the way and left in staging for the stage `cut`.

use std::time::Instant;

use crate::catalog::jobs::MergedEnd;
use crate::catalog::{Catalog, CatalogError, Transaction, jobs, recipes, scans, tracks, videos};
use crate::config::ClipRecipe;
use crate::face::select;
use crate::failure::Failure;
use crate::store::Store;
use crate::types::{JobState, Scan, StageName, VideoId};

use super::cpu::Cpu;
use super::{Gain, JobContext, Outcome, Stage, cut};

/// The stage's name in the job table.
pub(crate) const NAME: StageName = StageName::Scan;
/// Raised when the same recipe gives another output.
const REV: &str = "4";
/// Videos whose earlier scans are restored in one transaction, during which nobody else can write.
const BATCH: u32 = 1_000;

/// The revision of scans with a recipe. With another one a video is scanned again.
pub(crate) fn rev(recipe: &ClipRecipe) -> String {
    format!("{REV}-{}", recipe_hash(recipe))
}

/// A recipe's hash, as stored in rows.
pub(crate) fn recipe_hash(recipe: &ClipRecipe) -> String {
    recipes::hash(recipes::CLIPS, &body(recipe))
}

/// Puts earlier scans with this recipe back in force, with their clips, samples and labels; returns how many. After a
/// return to earlier settings nothing is scanned twice.
pub(crate) async fn restore_earlier(catalog: &Catalog, recipe: &ClipRecipe) -> Result<u64, Failure> {
    let (hash, rev) = (recipe_hash(recipe), rev(recipe));
    restore_made_with(catalog, scans::MadeWith { recipe_hash: &hash, rev: &rev }).await
}

async fn restore_made_with(catalog: &Catalog, with: scans::MadeWith<'_>) -> Result<u64, Failure> {
    let done = MergedEnd { state: JobState::Done, reason: None, detail: None };
    let mut restored = 0;
    loop {
        let mut tx = catalog.begin().await?;
        let found = scans::of_rev(&mut tx, with, BATCH).await?;
        for (video, scan) in &found {
            scans::put_in_force(&mut tx, *video, *scan).await?;
            for stage in [NAME, cut::NAME] {
                jobs::record_merged_end(&mut tx, stage, video.0, with.rev, &done).await?;
            }
        }
        tx.commit().await?;
        restored += found.len() as u64;
        if found.len() < BATCH as usize {
            return Ok(restored);
        }
    }
}

fn body(recipe: &ClipRecipe) -> String {
    serde_json::to_string(recipe).expect("a recipe is plain numbers")
}

/// Scans videos.
pub(crate) struct ScanStage {
    /// The data folder.
    pub(crate) store: Store,
    /// The workers.
    pub(crate) cpu: Cpu,
    /// The thresholds.
    pub(crate) recipe: ClipRecipe,
}

/// A video to scan.
pub(crate) struct Unscanned {
    video: videos::Video,
    /// Lists name parts of it: only those become clips.
    is_in_parts: bool,
}

/// A finished scan.
pub(crate) struct Scanned {
    video: VideoId,
    scan: Scan,
    elapsed_ms: i64,
}

impl Stage for ScanStage {
    const NAME: StageName = NAME;
    const UNIT: &'static str = "videos";
    type Subject = Unscanned;
    type Output = Scanned;

    fn rev(&self) -> String {
        rev(&self.recipe)
    }

    async fn load(&self, catalog: &Catalog, subject_id: i64) -> Result<Self::Subject, Failure> {
        let video = videos::get(catalog, VideoId(subject_id)).await?;
        let is_in_parts = !cut::parts_of(catalog, video.id).await?.is_empty();
        Ok(Unscanned { video, is_in_parts })
    }

    async fn run(&self, unscanned: Unscanned, context: &JobContext<'_>) -> Result<Scanned, Failure> {
        let Unscanned { video, is_in_parts } = unscanned;
        let path = super::source(&self.store, &video)?;
        let began = Instant::now();
        // An earlier attempt may have left clips half written.
        let staging = cut::staging_name(video.id, &self.recipe);
        self.store.clear_staging(&staging)?;
        let clips = if is_in_parts { None } else { Some(self.store.staging(&staging)?) };
        let scan = self.cpu.scan(path, self.recipe.clone(), clips, context.stop).await;
        let scan = super::clear_staging_if_rejected(&self.store, &staging, scan)?;
        let elapsed_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Ok(Scanned { video: video.id, scan, elapsed_ms })
    }

    fn gain(&self, Scanned { scan, .. }: &Scanned) -> Gain {
        Gain { video_ms: scan.duration_ms, faces: scan.tracks.len() as u64 }
    }

    async fn commit(&self, tx: &mut Transaction, scanned: Scanned) -> Result<Outcome, CatalogError> {
        let Scanned { video, scan, elapsed_ms } = scanned;
        let hash = recipes::insert(tx, recipes::CLIPS, &body(&self.recipe)).await?;
        let with = scans::MadeWith { recipe_hash: &hash, rev: &self.rev() };
        let id = scans::insert(tx, video, with, &scan, elapsed_ms).await?;
        let (_, explain) = select::select(&scan, &self.recipe);
        for (track, reason) in scan.tracks.iter().zip(explain.verdicts) {
            let measured = tracks::MeasuredTrack {
                track: track.clone(),
                median_face_px: select::median_face_px(track, (scan.width, scan.height)),
                reason,
            };
            tracks::insert(tx, id, video, &measured).await?;
        }
        jobs::enqueue(tx, cut::NAME, &cut::rev_for(&self.rev(), id), 0, video.0).await?;
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::samples;
    use crate::clock::Clock;

    /// Scans and cuts a video with a recipe.
    async fn make(catalog: &Catalog, video: VideoId, recipe: &str) -> String {
        let rev = format!("1-{}", recipes::hash(recipes::CLIPS, recipe));
        let done = MergedEnd { state: JobState::Done, reason: None, detail: None };
        let mut tx = catalog.begin().await.unwrap();
        samples::tests::fill_by(recipe, &mut tx, video, 3).await;
        for stage in [NAME, cut::NAME] {
            jobs::record_merged_end(&mut tx, stage, video.0, &rev, &done).await.unwrap();
        }
        tx.commit().await.unwrap();
        rev
    }

    #[tokio::test]
    async fn settings_that_return_find_the_scan_and_the_samples_that_they_had() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db"), &Clock::fixed(0)).await.unwrap();
        let mut tx = catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let rev = make(&catalog, video, "first").await;
        let first = scans::latest(&catalog, video).await.unwrap().unwrap();
        let samples_of_first = samples::faces_of_video(&catalog, video).await.unwrap();
        make(&catalog, video, "second").await;
        assert_ne!(scans::latest(&catalog, video).await.unwrap().unwrap().id, first.id);

        let with = scans::MadeWith { recipe_hash: &first.recipe_hash, rev: &rev };
        let other = scans::MadeWith { rev: "2-of a later release", ..with };
        for (with, restored) in [(other, 0), (with, 1), (with, 0)] {
            assert_eq!(restore_made_with(&catalog, with).await.unwrap(), restored);
        }
        assert_eq!(scans::latest(&catalog, video).await.unwrap().unwrap(), first);
        let kept = samples::faces_of_video(&catalog, video).await.unwrap();
        assert!(samples_of_first.iter().all(|sample| kept.contains(sample)));
        // Asking for the same scan again finds it done.
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue(&mut tx, NAME, &rev, 0, video.0).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(jobs::count_due(&catalog, NAME).await.unwrap(), 0);

        // A fetch or a list asked for this very scan while another one was in force.
        make(&catalog, video, "second").await;
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue(&mut tx, NAME, &rev, 0, video.0).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(restore_made_with(&catalog, with).await.unwrap(), 1);
        assert_eq!(jobs::count_due(&catalog, NAME).await.unwrap(), 0);
        // Other settings cut its clips.
        make(&catalog, video, "second").await;
        let mut tx = catalog.begin().await.unwrap();
        scans::clear_rev(&mut tx, first.id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(restore_made_with(&catalog, with).await.unwrap(), 0);
    }
}

//! The stage file → face tracks: one look at a video's frames, in a worker; every track is stored with what it is
//! worth, so that a later threshold needs no new look. Clips that can be cut on the way lie ready for the stage `cut`.

use std::time::Instant;

use crate::catalog::{Catalog, CatalogError, Transaction, jobs, recipes, scans, tracks, videos};
use crate::config::ClipRecipe;
use crate::face::select;
use crate::failure::Failure;
use crate::store::Store;
use crate::types::{Scan, StageName, VideoId};

use super::cpu::{Cpu, Product, Task};
use super::{Gain, JobContext, Outcome, Stage, cut};

/// The stage's name in the job table.
pub(crate) const NAME: StageName = StageName::Scan;
/// Raised when its output would differ for the same recipe.
const REV: &str = "3";

/// The revision of looks with a recipe: another one makes the work new.
pub(crate) fn rev(recipe: &ClipRecipe) -> String {
    format!("{REV}-{}", recipe_hash(recipe))
}

const RECIPE_KIND: &str = "clips";

/// The hash of a recipe, as rows name it.
pub(crate) fn recipe_hash(recipe: &ClipRecipe) -> String {
    recipes::hash(RECIPE_KIND, &body(recipe))
}

fn body(recipe: &ClipRecipe) -> String {
    serde_json::to_string(recipe).expect("a recipe is plain numbers")
}

/// Looks at videos.
pub(crate) struct ScanStage {
    /// Where files are.
    pub(crate) store: Store,
    /// Who looks.
    pub(crate) cpu: Cpu,
    /// How.
    pub(crate) recipe: ClipRecipe,
}

/// A video to look at.
pub(crate) struct Unseen {
    video: videos::Video,
    /// Lists mean parts of it: the usual clips are not wanted.
    in_parts: bool,
}

/// What a look found.
pub(crate) struct Scanned {
    video: VideoId,
    scan: Scan,
    elapsed_ms: i64,
}

impl Stage for ScanStage {
    const NAME: StageName = NAME;
    const UNIT: &'static str = "videos";
    type Subject = Unseen;
    type Output = Scanned;

    fn rev(&self) -> String {
        rev(&self.recipe)
    }

    async fn load(&self, catalog: &Catalog, subject_id: i64) -> Result<Self::Subject, Failure> {
        let video = videos::get(catalog, VideoId(subject_id)).await?;
        let in_parts = !cut::parts_of(catalog, video.id).await?.is_empty();
        Ok(Unseen { video, in_parts })
    }

    async fn run(&self, unseen: Unseen, context: &JobContext<'_>) -> Result<Scanned, Failure> {
        let Unseen { video, in_parts } = unseen;
        let path = super::source(&self.store, &video)?;
        let began = Instant::now();
        // What an earlier attempt cut may be half written.
        let work = cut::work(video.id, &self.recipe);
        self.store.clear_staging(&work)?;
        let clips = if in_parts { None } else { Some(self.store.staging(&work)?) };
        let task = Task::Scan { path, recipe: self.recipe.clone(), clips };
        let seen = self.cpu.run(&task, context.stop).await;
        let Product::Scanned(scan) = super::settled(&self.store, &work, seen)? else {
            return Err(Failure::bug("a worker answered another question than `scan`"));
        };
        let elapsed_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Ok(Scanned { video: video.id, scan, elapsed_ms })
    }

    fn gain(&self, Scanned { scan, .. }: &Scanned) -> Gain {
        Gain { video_ms: scan.duration_ms, faces: scan.tracks.len() as u64 }
    }

    async fn commit(&self, tx: &mut Transaction, scanned: Scanned) -> Result<Outcome, CatalogError> {
        let Scanned { video, scan, elapsed_ms } = scanned;
        let hash = recipes::insert(tx, RECIPE_KIND, &body(&self.recipe)).await?;
        let id = scans::insert(tx, video, &hash, &scan, elapsed_ms).await?;
        let (_, explain) = select::select(&scan, &self.recipe);
        for (track, reason) in scan.tracks.iter().zip(explain.verdicts) {
            let measured = tracks::MeasuredTrack {
                track: track.clone(),
                median_face_px: select::median_face_px(track, (scan.width, scan.height)),
                reason,
            };
            tracks::insert(tx, id, video, &measured).await?;
        }
        jobs::enqueue(tx, cut::NAME, &format!("{}+{}", self.rev(), id.0), 0, video.0).await?;
        Ok(Outcome::Done)
    }
}

//! The stage file → face tracks: one look at a video's frames, in a worker; every track is stored with what it is
//! worth, so that a later threshold needs no new look. Clips that can be cut on the way lie ready for the stage `cut`.

use std::time::Instant;

use crate::catalog::{Catalog, CatalogError, Transaction, jobs, recipes, scans, tracks, videos};
use crate::config::ClipRecipe;
use crate::face::select;
use crate::failure::Failure;
use crate::store::Store;
use crate::types::{Scan, VideoId};

use super::cpu::{Cpu, Product, Task};
use super::{JobContext, Outcome, Stage, cut};

/// The stage's name in the job table.
pub(crate) const NAME: &str = "scan";
/// Raised when its output would differ for the same recipe.
const REV: &str = "2";

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

/// What a look found.
pub(crate) struct Scanned {
    video: VideoId,
    scan: Scan,
    elapsed_ms: i64,
}

impl Stage for ScanStage {
    const NAME: &'static str = NAME;
    const UNIT: &'static str = "videos";
    type Subject = videos::Video;
    type Output = Scanned;

    fn rev(&self) -> String {
        rev(&self.recipe)
    }

    async fn load(&self, catalog: &Catalog, subject_id: i64) -> Result<Self::Subject, Failure> {
        Ok(videos::get(catalog, VideoId(subject_id)).await?)
    }

    async fn run(&self, video: Self::Subject, context: &JobContext<'_>) -> Result<Scanned, Failure> {
        let path = super::source(&self.store, &video)?;
        let began = Instant::now();
        // What an earlier attempt cut may be half written.
        let work = cut::work(video.id, &self.recipe);
        self.store.clear_staging(&work)?;
        let clips = self.store.staging(&work)?;
        let task = Task::Scan { path, recipe: self.recipe.clone(), clips };
        let seen = self.cpu.run(&task, context.stop).await;
        let Product::Scanned(scan) = super::settled(&self.store, &work, seen)? else {
            return Err(Failure::bug("a worker answered another question than `scan`"));
        };
        let elapsed_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Ok(Scanned { video: video.id, scan, elapsed_ms })
    }

    async fn commit(&self, tx: &mut Transaction, scanned: Scanned) -> Result<Outcome, CatalogError> {
        let Scanned { video, scan, elapsed_ms } = scanned;
        let hash = recipes::insert(tx, RECIPE_KIND, &body(&self.recipe)).await?;
        let id = scans::insert(tx, video, &hash, &scan, elapsed_ms).await?;
        let (_, explain) = select::select(&scan, &self.recipe);
        for (track, reason) in scan.tracks.iter().zip(explain.verdicts) {
            let measured = tracks::MeasuredTrack {
                track: track.clone(),
                coverage: select::coverage(track, select::frame_ms(&scan), &self.recipe),
                median_face_px: select::median_face_px(track, (scan.width, scan.height)),
                reason,
            };
            tracks::insert(tx, id, video, &measured).await?;
        }
        jobs::enqueue(tx, cut::NAME, &format!("{}+{}", self.rev(), id.0), 0, video.0).await?;
        Ok(Outcome::Done)
    }
}

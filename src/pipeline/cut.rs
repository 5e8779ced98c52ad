//! The stage face track → clip and samples: plans the clips of a video's latest scan, has a worker cut each, and
//! commits files and rows together.

use std::path::PathBuf;

use crate::catalog::{Catalog, CatalogError, Transaction, clips, samples, scans, tracks, videos};
use crate::config::ClipRecipe;
use crate::face::quality;
use crate::face::select::{self, ClipPlan};
use crate::failure::{Failure, Reason};
use crate::store::{self, Store, StoredFile};
use crate::types::{Clip, Scan, TrackId, VideoId};

use super::cpu::{Cpu, Product, Task};
use super::{JobContext, Outcome, Stage, scan};

/// The stage's name in the job table.
pub(crate) const NAME: &str = "cut";

/// Cuts clips.
pub(crate) struct CutStage {
    /// Where files are.
    pub(crate) store: Store,
    /// Who cuts.
    pub(crate) cpu: Cpu,
    /// How.
    pub(crate) recipe: ClipRecipe,
}

/// A video, its latest scan, and the rows of the scan's tracks.
pub(crate) struct Looked {
    video: videos::Video,
    recipe_hash: String,
    scan: Scan,
    tracks: Vec<TrackId>,
}

/// A video's clips, with their files in place.
pub(crate) struct Cut {
    video: VideoId,
    recipe_hash: String,
    tracks: Vec<TrackId>,
    clips: Vec<(TrackId, Clip, StoredFile)>,
}

impl Stage for CutStage {
    const NAME: &'static str = NAME;
    const UNIT: &'static str = "videos";
    type Subject = Looked;
    type Output = Cut;

    fn rev(&self) -> String {
        scan::rev(&self.recipe)
    }

    async fn load(&self, catalog: &Catalog, subject_id: i64) -> Result<Looked, Failure> {
        let id = VideoId(subject_id);
        let video = videos::get(catalog, id).await?;
        let Some(stored) = scans::latest(catalog, id).await? else {
            return Err(Failure::bug(format!("video {subject_id} is to be cut and was never scanned")));
        };
        let (rows, found): (Vec<_>, Vec<_>) = tracks::of_scan(catalog, stored.id).await?.into_iter().unzip();
        let scan = Scan { tracks: found.into_iter().map(|measured| measured.track).collect(), ..stored.scan };
        Ok(Looked { video, recipe_hash: stored.recipe_hash, scan, tracks: rows })
    }

    async fn run(&self, looked: Looked, context: &JobContext<'_>) -> Result<Cut, Failure> {
        let Looked { video, recipe_hash, scan, tracks } = looked;
        let (plans, explain) = select::select(&scan, &self.recipe);
        if let Some(reason) = explain.verdict() {
            return Err(Failure::rejected(reason, explain_in_words(&explain)));
        }
        let source = super::source(&self.store, &video)?;
        let work = format!("cut-{}", video.id.0);
        let staging = self.store.staging(&work)?;
        let mut clips = Vec::new();
        let mut unsound = Vec::new();
        for plan in plans {
            let (track, start_ms) = (plan.track, plan.span.start_ms);
            let part = staging.join(format!("{track}-{start_ms}.mp4"));
            match self.cut(source.clone(), plan, &part, context).await {
                Ok(clip) => {
                    let found = &video.found;
                    let place = store::clip_path(&found.site, &found.site_id, &recipe_hash, track, start_ms);
                    clips.push((tracks[track], clip, self.store.publish(&part, &place)?));
                }
                Err(failure) if failure.reason == Reason::ClipUnsound => unsound.push(failure.detail),
                Err(failure) => return Err(failure),
            }
        }
        self.store.clear_staging(&work)?;
        if clips.is_empty() {
            return Err(Failure::rejected(Reason::ClipUnsound, unsound.join("; ")));
        }
        Ok(Cut { video: video.id, recipe_hash, tracks, clips })
    }

    async fn commit(&self, tx: &mut Transaction, cut: Cut) -> Result<Outcome, CatalogError> {
        for track in &cut.tracks {
            clips::delete_of_track(tx, *track).await?;
        }
        for (track, clip, file) in &cut.clips {
            let row = clips::NewClip {
                track: *track,
                video: cut.video,
                clip,
                path: file.path.as_ref(),
                size_bytes: file.size_bytes,
                sha256: &file.sha256,
                framing: FRAMING,
                recipe_hash: &cut.recipe_hash,
                duplicate_of: None,
            };
            let origin = samples::SampleOrigin {
                clip: clips::insert(tx, &row).await?,
                video: cut.video,
                side_px: self.recipe.sample_side_px,
            };
            for sample in &clip.samples {
                samples::insert(tx, origin, sample, quality::verdict(&sample.quality, &self.recipe)).await?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// How clips follow the face: one square window, smoothed over time.
const FRAMING: &str = "smooth";

impl CutStage {
    async fn cut(
        &self,
        source: PathBuf,
        plan: ClipPlan,
        part: &std::path::Path,
        context: &JobContext<'_>,
    ) -> Result<Clip, Failure> {
        let task = Task::Cut { path: source, plan, recipe: self.recipe.clone(), clip_path: part.to_owned() };
        match self.cpu.run(&task, context.stop).await? {
            Product::Cut(clip) => Ok(clip),
            _ => Err(Failure::bug("a worker answered another question than `cut`")),
        }
    }
}

fn explain_in_words(explain: &select::Explain) -> String {
    let removed: Vec<String> =
        explain.removed.iter().map(|(reason, count)| format!("{reason}: {count}")).collect();
    format!("{} face tracks, none becomes a clip ({})", explain.tracks, removed.join(", "))
}

//! The stage face track → clip and samples: plans the clips of a video's latest scan, takes those that were cut while it
//! was looked at, has a worker cut the others, and commits files and rows together.

use std::path::Path;

use crate::catalog::{Catalog, CatalogError, Transaction, clips, listed, samples, scans, tracks, videos};
use crate::config::ClipRecipe;
use crate::face::footage::Motion;
use crate::face::parts::{self, Part, Piece};
use crate::face::quality;
use crate::face::select::Explain;
use crate::failure::{Failure, Reason};
use crate::store::{self, Store, StoredFile};
use crate::types::{Clip, CropStyle, Emotion, Scan, StageName, TrackId, VideoId};

use super::cpu::{Cpu, Product, Task};
use super::{JobContext, Outcome, Stage, cuttings, scan};

/// The stage's name in the job table.
pub(crate) const NAME: StageName = StageName::Cut;

/// Cuts clips.
pub(crate) struct CutStage {
    /// Where files are.
    pub(crate) store: Store,
    /// Who cuts.
    pub(crate) cpu: Cpu,
    /// How.
    pub(crate) recipe: ClipRecipe,
}

/// A video, its latest scan, the rows of the scan's tracks, and the parts that lists mean.
pub(crate) struct Looked {
    video: videos::Video,
    recipe_hash: String,
    scan: Scan,
    tracks: Vec<TrackId>,
    parts: Vec<Part>,
}

/// A video's clips, with their files in place.
pub(crate) struct Cut {
    video: VideoId,
    recipe_hash: String,
    /// All tracks, each with the reason why it gives no clip.
    tracks: Vec<(TrackId, Option<Reason>)>,
    clips: Vec<CutClip>,
    outcome: Outcome,
}

/// A clip with its file in place.
struct CutClip {
    track: TrackId,
    emotion: Option<Emotion>,
    clip: Clip,
    file: StoredFile,
    motion: Motion,
}

impl Stage for CutStage {
    const NAME: StageName = NAME;
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
        let parts = parts_of(catalog, id).await?;
        Ok(Looked { video, recipe_hash: stored.recipe_hash, scan, tracks: rows, parts })
    }

    async fn run(&self, looked: Looked, context: &JobContext<'_>) -> Result<Cut, Failure> {
        let work = work(looked.video.id, &self.recipe);
        let cut = self.cut(looked, &work, context).await;
        super::settled(&self.store, &work, cut)
    }

    async fn commit(&self, tx: &mut Transaction, cut: Cut) -> Result<Outcome, CatalogError> {
        for (track, reason) in &cut.tracks {
            // A clip that is cut again has put its file in the old one's place; a file that no clip has is left to `gc`.
            clips::delete_of_track(tx, *track).await?;
            tracks::set_reason(tx, *track, *reason).await?;
        }
        for CutClip { track, emotion, clip, file, motion } in &cut.clips {
            let row = clips::NewClip {
                track: *track,
                video: cut.video,
                emotion: *emotion,
                clip,
                path: file.path.as_ref(),
                size_bytes: file.size_bytes,
                sha256: &file.sha256,
                framing: FRAMING,
                recipe_hash: &cut.recipe_hash,
                motion: &motion.to_bytes(),
            };
            let origin = samples::SampleOrigin {
                clip: clips::insert(tx, &row).await?,
                video: cut.video,
                style: CropStyle::plain(self.recipe.sample_side_px),
            };
            for sample in &clip.samples {
                samples::insert(tx, origin, sample, quality::verdict(&sample.quality, &self.recipe)).await?;
            }
        }
        Ok(cut.outcome)
    }
}

/// The parts of a video that lists mean, the same in every catalog; none where nobody named one.
pub(crate) async fn parts_of(catalog: &Catalog, video: VideoId) -> Result<Vec<Part>, Failure> {
    let rows = listed::of_video(catalog, video).await?.into_iter();
    let in_part = rows.filter(|row| row.span.is_some() || row.face.is_some());
    Ok(in_part.map(|row| Part { span: row.span, face: row.face, emotion: row.emotion }).collect())
}

/// How clips follow the face: one square window, smoothed over time.
const FRAMING: &str = "smooth";

/// The name of the unfinished work at a video's clips.
pub(crate) fn work(video: VideoId, recipe: &ClipRecipe) -> String {
    let hash = scan::recipe_hash(recipe);
    any_work(video) + hash.get(..8).unwrap_or(&hash)
}

/// How that name begins, whatever the recipe.
pub(crate) fn any_work(video: VideoId) -> String {
    format!("cut-{}-", video.0)
}

impl CutStage {
    async fn cut(&self, looked: Looked, work: &str, context: &JobContext<'_>) -> Result<Cut, Failure> {
        let (pieces, explain) = parts::select(&looked.scan, &self.recipe, &looked.parts);
        let folder = self.store.staging(work)?;
        self.cut_missing(&looked.video, &pieces, &folder, context).await?;
        let mut clips = Vec::new();
        let mut unsound = Vec::new();
        for piece in &pieces {
            match cuttings::read(&folder, &piece.plan)? {
                Some(Ok(clip)) => clips.push(self.publish(&looked, piece, clip, &folder)?),
                Some(Err(failure)) => unsound.push(failure.detail),
                None => return Err(Failure::bug(format!("nobody cut the clip {}", piece.plan.name()))),
            }
        }
        let outcome = match explain.verdict() {
            Some(reason) => Outcome::Rejected { reason, detail: explain_in_words(&explain) },
            None if clips.is_empty() => {
                Outcome::Rejected { reason: Reason::ClipUnsound, detail: unsound.join("; ") }
            }
            None => Outcome::Done,
        };
        self.store.clear_staging(work)?;
        let tracks = looked.tracks.into_iter().zip(explain.verdicts).collect();
        Ok(Cut { video: looked.video.id, recipe_hash: looked.recipe_hash, tracks, clips, outcome })
    }

    /// Has a worker cut what was not cut while the video was looked at.
    async fn cut_missing(
        &self,
        video: &videos::Video,
        pieces: &[Piece],
        folder: &Path,
        context: &JobContext<'_>,
    ) -> Result<(), Failure> {
        let mut missing = Vec::new();
        for Piece { plan, .. } in pieces {
            if cuttings::read(folder, plan)?.is_none() {
                missing.push(plan.clone());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let path = super::source(&self.store, video)?;
        let (recipe, clips) = (self.recipe.clone(), folder.to_owned());
        match self.cpu.run(&Task::Cut { path, plans: missing, recipe, clips }, context.stop).await? {
            Product::Cut => Ok(()),
            _ => Err(Failure::bug("a worker answered another question than `cut`")),
        }
    }

    /// Gives a clip's film its place.
    fn publish(
        &self,
        looked: &Looked,
        Piece { plan, emotion }: &Piece,
        clip: Clip,
        folder: &Path,
    ) -> Result<CutClip, Failure> {
        let found = &looked.video.found;
        let (track, start_ms) = (plan.track, plan.span.start_ms);
        let place = store::clip_path(&found.site, &found.site_id, &looked.recipe_hash, track, start_ms);
        let file = self.store.publish(&cuttings::film(folder, plan), &place)?;
        let size = (looked.scan.width, looked.scan.height);
        let motion = Motion::of(&looked.scan.tracks[track].faces, plan.span, size);
        Ok(CutClip { track: looked.tracks[track], emotion: *emotion, clip, file, motion })
    }
}

fn explain_in_words(explain: &Explain) -> String {
    if explain.tracks == 0 {
        return "no face was followed".to_owned();
    }
    let removed: Vec<String> =
        explain.removed.iter().map(|(reason, count)| format!("{reason}: {count}")).collect();
    format!("{} face tracks, none becomes a clip ({})", explain.tracks, removed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_without_a_face_is_not_told_of_tracks_and_rules() {
        let mut explain = Explain::default();
        assert_eq!(explain_in_words(&explain), "no face was followed");
        explain.tracks = 2;
        explain.removed.insert(Reason::FaceTooSmall, 2);
        let said = explain_in_words(&explain);
        assert_eq!(said, "2 face tracks, none becomes a clip (face-too-small: 2)");
    }
}

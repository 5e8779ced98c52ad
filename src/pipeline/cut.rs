//! The stage face track → clip and samples: plans the clips of a video's latest scan, takes those that were cut during the
//! scan, has a worker cut the others, and commits files and rows together.

use std::path::Path;

use crate::catalog::{
    Catalog, CatalogError, Transaction, clips, listed, runs, samples, scans, tracks, videos,
};
use crate::config::ClipRecipe;
use crate::face::motion::Motion;
use crate::face::parts::{self, LabelledPlan, Part};
use crate::face::quality;
use crate::face::select::{ClipPlan, Explain};
use crate::failure::{Failure, Reason};
use crate::store::{self, Store, StoredFile};
use crate::types::{Clip, CropStyle, Emotion, Scan, ScanId, StageName, TrackId, VideoId};

use super::cpu::{Cpu, CutTask};
use super::staged_clips::{self, StagedClip};
use super::{JobContext, Outcome, Stage, scan};

/// The stage's name in the job table.
pub(crate) const NAME: StageName = StageName::Cut;
/// How clips follow the face: one square window, smoothed over time.
const FRAMING: &str = "smooth";

/// The revision of a cut: that of the scan, and which scan it was.
pub(crate) fn rev_for(scan_rev: &str, scan: ScanId) -> String {
    format!("{scan_rev}+{}", scan.0)
}

/// The name of the folder for a video's unfinished clips.
pub(crate) fn staging_name(video: VideoId, recipe: &ClipRecipe) -> String {
    let hash = scan::recipe_hash(recipe);
    staging_prefix(video) + hash.get(..8).unwrap_or(&hash)
}

/// The beginning of that name, for all recipes.
pub(crate) fn staging_prefix(video: VideoId) -> String {
    format!("cut-{}-", video.0)
}

/// Cuts clips.
pub(crate) struct CutStage {
    /// The data folder.
    pub(crate) store: Store,
    /// The workers.
    pub(crate) cpu: Cpu,
    /// The thresholds.
    pub(crate) recipe: ClipRecipe,
}

/// A video, its latest scan, the rows of the scan's tracks, and the parts that lists name.
pub(crate) struct ScannedVideo {
    video: videos::Video,
    scan_id: ScanId,
    recipe_hash: String,
    scan: Scan,
    tracks: Vec<TrackId>,
    parts: Vec<Part>,
}

/// A video's clips, with their files in place.
pub(crate) struct Cut {
    video: VideoId,
    scan_id: ScanId,
    recipe_hash: String,
    /// All tracks; those without a clip have a reason.
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
    type Subject = ScannedVideo;
    type Output = Cut;

    fn rev(&self) -> String {
        scan::rev(&self.recipe)
    }

    async fn load(&self, catalog: &Catalog, subject_id: i64) -> Result<ScannedVideo, Failure> {
        let id = VideoId(subject_id);
        let video = videos::get(catalog, id).await?;
        let Some(stored) = scans::latest(catalog, id).await? else {
            return Err(Failure::bug(format!("video {subject_id} is to be cut and was never scanned")));
        };
        let (rows, found): (Vec<_>, Vec<_>) = tracks::of_scan(catalog, stored.id).await?.into_iter().unzip();
        let scan = Scan { tracks: found.into_iter().map(|measured| measured.track).collect(), ..stored.scan };
        let parts = parts_of(catalog, id).await?;
        let scan_id = stored.id;
        Ok(ScannedVideo { video, scan_id, recipe_hash: stored.recipe_hash, scan, tracks: rows, parts })
    }

    async fn run(&self, scanned: ScannedVideo, context: &JobContext<'_>) -> Result<Cut, Failure> {
        let staging = staging_name(scanned.video.id, &self.recipe);
        let folder = self.store.staging(&staging)?;
        let cut = self.cut(scanned, &folder, context).await;
        super::clear_staging_if_rejected(&self.store, &staging, unless_removed(&folder, cut))
    }

    async fn commit(&self, tx: &mut Transaction, cut: Cut) -> Result<Outcome, CatalogError> {
        runs::losses_of_scan(tx, cut.scan_id).await?.warn(cut.video);
        if cut.recipe_hash != scan::recipe_hash(&self.recipe) {
            // The settings changed between the scan and the cut.
            scans::clear_rev(tx, cut.scan_id).await?;
        }
        for (track, reason) in &cut.tracks {
            // A clip that is cut again has replaced the older one's file; `gc` removes files without a clip.
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

    fn clean_up(&self, subject_id: i64) -> Result<(), Failure> {
        Ok(self.store.clear_staging(&staging_name(VideoId(subject_id), &self.recipe))?)
    }
}

/// Returns `outcome`. If it failed and the staging folder is gone, another holder of this job has finished it meanwhile:
/// the work was interrupted, and the disk is not at fault.
fn unless_removed<T>(folder: &Path, outcome: Result<T, Failure>) -> Result<T, Failure> {
    if outcome.is_err() && !folder.is_dir() {
        let detail = format!("{} was removed while this worked in it", folder.display());
        return Err(Failure::transient(Reason::Interrupted, detail));
    }
    outcome
}

/// The parts of a video that lists name, in the same order in every catalog; empty where no list names one.
pub(crate) async fn parts_of(catalog: &Catalog, video: VideoId) -> Result<Vec<Part>, Failure> {
    let rows = listed::of_video(catalog, video).await?.into_iter();
    let in_part = rows.filter(|row| row.span.is_some() || row.face.is_some());
    Ok(in_part.map(|row| Part { span: row.span, face: row.face, emotion: row.emotion }).collect())
}

impl CutStage {
    async fn cut(
        &self,
        scanned: ScannedVideo,
        folder: &Path,
        context: &JobContext<'_>,
    ) -> Result<Cut, Failure> {
        let (plans, explain) = parts::select(&scanned.scan, &self.recipe, &scanned.parts);
        self.cut_missing(&scanned.video, &plans, folder, context).await?;
        let mut clips = Vec::new();
        let mut unsound = Vec::new();
        for labelled in &plans {
            match staged_clips::read(folder, &labelled.plan)? {
                StagedClip::Finished(clip) => clips.push(self.publish(&scanned, labelled, clip, folder)?),
                StagedClip::Unsound(failure) => unsound.push(failure.detail),
                StagedClip::Missing => return Err(missing_after_cut(folder, &labelled.plan)),
            }
        }
        let outcome = match explain.verdict() {
            Some(reason) => Outcome::Rejected { reason, detail: explain_in_words(&explain) },
            None if clips.is_empty() => {
                Outcome::Rejected { reason: Reason::ClipUnsound, detail: unsound.join("; ") }
            }
            None => Outcome::Done,
        };
        let tracks = scanned.tracks.into_iter().zip(explain.verdicts).collect();
        let ScannedVideo { video, scan_id, recipe_hash, .. } = scanned;
        Ok(Cut { video: video.id, scan_id, recipe_hash, tracks, clips, outcome })
    }

    /// Has a worker cut the clips that are not in staging yet.
    async fn cut_missing(
        &self,
        video: &videos::Video,
        plans: &[LabelledPlan],
        folder: &Path,
        context: &JobContext<'_>,
    ) -> Result<(), Failure> {
        let mut missing = Vec::new();
        for LabelledPlan { plan, .. } in plans {
            if staged_clips::read(folder, plan)? == StagedClip::Missing {
                missing.push(plan.clone());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let path = super::source(&self.store, video)?;
        let (recipe, clips) = (self.recipe.clone(), folder.to_owned());
        self.cpu.cut(CutTask { path, plans: missing, recipe, clips }, context.stop).await
    }

    /// Moves a clip's video from staging to its place.
    fn publish(
        &self,
        scanned: &ScannedVideo,
        LabelledPlan { plan, emotion }: &LabelledPlan,
        clip: Clip,
        folder: &Path,
    ) -> Result<CutClip, Failure> {
        let found = &scanned.video.found;
        let (track, start_ms) = (plan.track, plan.span.start_ms);
        let place = store::clip_path(&found.site, &found.site_id, &scanned.recipe_hash, track, start_ms);
        let staged = staged_clips::video_path(folder, plan);
        let file = self
            .store
            .publish(&staged, &place)
            .map_err(|error| if staged.exists() { Failure::from(error) } else { stored_meanwhile(plan) })?;
        let size = (scanned.scan.width, scanned.scan.height);
        let motion = Motion::of(&scanned.scan.tracks[track].faces, plan.span, size);
        Ok(CutClip { track: scanned.tracks[track], emotion: *emotion, clip, file, motion })
    }
}

/// The failure for a clip that is not in staging although a worker has cut it. A record without its video shows that
/// another holder of this job has stored the clip meanwhile.
fn missing_after_cut(folder: &Path, plan: &ClipPlan) -> Failure {
    if staged_clips::record_path(folder, plan).is_file() {
        return stored_meanwhile(plan);
    }
    Failure::bug(format!("no worker cut the clip {}", plan.name()))
}

/// The failure for a clip that another holder of this job has stored while this one worked on it.
fn stored_meanwhile(plan: &ClipPlan) -> Failure {
    let detail = format!("the clip {} was stored by another process meanwhile", plan.name());
    Failure::transient(Reason::Interrupted, detail)
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
    use crate::types::Span;

    #[test]
    fn a_folder_that_another_worker_removed_is_not_a_fault_of_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let reason = |folder: &Path| {
            let failed: Result<(), _> = Err(Failure::transient(Reason::Disk, "cannot write 0-0.mp4"));
            unless_removed(folder, failed).unwrap_err().reason
        };
        assert_eq!(reason(folder.path()), Reason::Disk);
        assert_eq!(reason(&folder.path().join("gone")), Reason::Interrupted);
    }

    #[test]
    fn a_clip_that_another_holder_stored_meanwhile_is_not_a_bug() {
        let folder = tempfile::tempdir().unwrap();
        let plan = ClipPlan { track: 0, span: Span { start_ms: 0, end_ms: 5_000 }, faces: Vec::new() };
        assert_eq!(missing_after_cut(folder.path(), &plan).reason, Reason::Bug);
        std::fs::write(staged_clips::record_path(folder.path(), &plan), b"a record").unwrap();
        assert_eq!(missing_after_cut(folder.path(), &plan).reason, Reason::Interrupted);
    }

    #[test]
    fn a_video_without_a_face_is_rejected_without_numbers_of_tracks() {
        let mut explain = Explain::default();
        assert_eq!(explain_in_words(&explain), "no face was followed");
        explain.tracks = 2;
        explain.removed.insert(Reason::FaceTooSmall, 2);
        let said = explain_in_words(&explain);
        assert_eq!(said, "2 face tracks, none becomes a clip (face-too-small: 2)");
    }
}

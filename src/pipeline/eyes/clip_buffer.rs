//! The framed pictures and samples of one face that are not cut yet, and the clips that are cut from them.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use image::RgbImage;

use super::background::{Background, Pending};
use super::face_check::FaceCheck;
use super::{framing, views};
use crate::config::ClipRecipe;
use crate::face::select::{ClipPlan, is_sample};
use crate::face::{Detector, quality};
use crate::failure::{Failure, Reason};
use crate::media::{ClipWriter, EncoderOptions, Still, VideoFrame, Written};
use crate::pipeline::staged_clips;
use crate::types::{Clip, CropStyle, Sample, SeenFace};

/// What all clips of a video are cut with.
#[derive(Clone, Copy)]
pub(super) struct CutSettings<'a> {
    /// The thresholds.
    pub(super) recipe: &'a ClipRecipe,
    /// Where clips are written.
    pub(super) folder: &'a Path,
    /// The source's frames per second.
    pub(super) frame_rate: f64,
}

/// Consecutive frames of one face, framed, with the samples among them.
pub(super) struct ClipBuffer {
    /// No frame is missing from here on.
    from_ms: i64,
    /// By time, ascending.
    stills: VecDeque<(i64, Pending<Still>)>,
    /// By time, ascending, not encoded yet.
    samples: VecDeque<(i64, Pending<(Sample, RgbImage)>)>,
    /// A look that is a sample whatever the rule says.
    sample_ms: Option<i64>,
    /// Width and height of the source's pictures.
    size: (u32, u32),
    /// Memory of one still.
    still_bytes: usize,
}

impl ClipBuffer {
    /// An empty buffer that begins with the first frame at or after this time. `size` is the width and height of the
    /// source's pictures.
    pub(super) fn new(from_ms: i64, size: (u32, u32), recipe: &ClipRecipe) -> Self {
        let still_bytes = Still::size_bytes(recipe.clip_side_px);
        let (stills, samples) = (VecDeque::new(), VecDeque::new());
        Self { from_ms, stills, samples, sample_ms: None, size, still_bytes }
    }

    /// An empty buffer for one clip.
    pub(super) fn of(plan: &ClipPlan, size: (u32, u32), recipe: &ClipRecipe) -> Self {
        Self { sample_ms: plan.only_sample_ms(recipe), ..Self::new(plan.span.start_ms, size, recipe) }
    }

    /// Earlier frames are cut already, or were never added.
    pub(super) fn start_ms(&self) -> i64 {
        self.from_ms
    }

    /// Memory of the stills.
    pub(super) fn bytes(&self) -> usize {
        self.still_bytes * self.stills.len()
    }

    /// Adds the next frame, to be framed on another thread; `faces` are the track's around its time.
    pub(super) fn add(
        &mut self,
        frame: &Arc<VideoFrame>,
        faces: &[SeenFace],
        recipe: &ClipRecipe,
        framing: &Background,
    ) {
        let (t_ms, size) = (frame.time_ms(), self.size);
        let window = framing::window(faces, size, recipe.clip_margin, t_ms);
        let (shown, side_px) = (Arc::clone(frame), recipe.clip_side_px);
        self.stills.push_back((t_ms, framing.submit(move || Ok(shown.still(window, side_px)?))));
        let Some(at) = faces.iter().position(|seen| seen.t_ms == t_ms) else { return };
        let before_ms = at.checked_sub(1).map(|before| faces[before].t_ms);
        if is_sample(before_ms, t_ms, recipe.sample_every_ms) || self.sample_ms == Some(t_ms) {
            let (shown, face) = (Arc::clone(frame), faces[at].face);
            let style = CropStyle::plain(recipe.sample_side_px);
            let sample = framing.submit(move || {
                let crop = views::crop(&shown, &face, style)?;
                let quality = quality::measure(&crop, &face, size);
                Ok((Sample { t_ms, face, quality, jpeg: Vec::new() }, crop))
            });
            self.samples.push_back((t_ms, sample));
        }
    }

    /// Removes everything before the plan's end from the buffer, checks the plan's clip, and has another thread encode
    /// and write it. `None` when the buffer begins after the plan does, or holds no frame of it: then no clip is made.
    pub(super) fn cut(
        &mut self,
        plan: &ClipPlan,
        settings: CutSettings<'_>,
        detector: &mut dyn Detector,
        encoding: &Background,
    ) -> Result<Option<Pending<()>>, Failure> {
        let is_whole = self.from_ms <= plan.span.start_ms;
        self.drop_before(plan.span.start_ms);
        let after = self.stills.partition_point(|(t_ms, _)| *t_ms < plan.span.end_ms);
        let stills: Vec<(i64, Pending<Still>)> = self.stills.drain(..after).collect();
        let after = self.samples.partition_point(|(t_ms, _)| *t_ms < plan.span.end_ms);
        let samples: Vec<(i64, Pending<(Sample, RgbImage)>)> = self.samples.drain(..after).collect();
        self.from_ms = plan.span.end_ms;
        if !is_whole || stills.is_empty() {
            return Ok(None);
        }
        let still = |(t_ms, still): (i64, Pending<Still>)| Ok((t_ms, still.wait()?));
        let stills = stills.into_iter().map(still).collect::<Result<Vec<_>, Failure>>()?;
        let samples = samples.into_iter().map(|(_, sample)| sample.wait()).collect::<Result<Vec<_>, _>>()?;
        let check = FaceCheck { plan, recipe: settings.recipe, size: self.size };
        let missing = check.missing_place(&stills, detector)?;
        let (plan, recipe, folder) = (plan.clone(), settings.recipe.clone(), settings.folder.to_owned());
        let frame_rate = settings.frame_rate;
        Ok(Some(encoding.submit(move || {
            let settings = CutSettings { recipe: &recipe, folder: &folder, frame_rate };
            let outcome = match missing {
                Some(place) => Err(unsound(&plan, &format!("shows no face in its {place} frames"))),
                None => encode(stills, &plan, settings)
                    .and_then(|written| Ok(clip(&plan, written, with_jpegs(samples, &recipe)?, &recipe))),
            };
            write_staged(&plan, settings, outcome)
        })))
    }

    fn drop_before(&mut self, before_ms: i64) {
        let first = self.stills.partition_point(|(t_ms, _)| *t_ms < before_ms);
        self.stills.drain(..first);
        let first = self.samples.partition_point(|(t_ms, _)| *t_ms < before_ms);
        self.samples.drain(..first);
    }
}

/// Writes a clip's record beside its video. Of an unsound clip only the record stays; any other failure is returned.
fn write_staged(
    plan: &ClipPlan,
    settings: CutSettings<'_>,
    outcome: Result<Clip, Failure>,
) -> Result<(), Failure> {
    match outcome {
        Err(failure) if failure.reason != Reason::ClipUnsound => Err(failure),
        outcome => {
            let video = staged_clips::video_path(settings.folder, plan);
            if outcome.is_err() && video.exists() {
                // Nothing refers to it; if it stays, it only takes space.
                let _ = std::fs::remove_file(&video);
            }
            staged_clips::write(settings.folder, plan, &outcome)
        }
    }
}

/// Encodes a clip's video and checks its duration.
fn encode(stills: Vec<(i64, Still)>, plan: &ClipPlan, settings: CutSettings<'_>) -> Result<Written, Failure> {
    let colours = stills.first().map(|(_, still)| still.colours()).unwrap_or_default();
    let options = EncoderOptions { colours, ..EncoderOptions::default() };
    let (video, side_px) = (staged_clips::video_path(settings.folder, plan), settings.recipe.clip_side_px);
    let mut writer = ClipWriter::create_with(&video, (side_px, side_px), settings.frame_rate, options)?;
    let tolerance_ms = tolerance_ms(&stills, settings);
    for (t_ms, still) in stills {
        writer.push_still(still, t_ms)?;
    }
    let written = writer.finish()?;
    if (written.duration_ms - plan.span.length_ms()).abs() > tolerance_ms {
        return Err(unsound(plan, &format!("lasts {} ms", written.duration_ms)));
    }
    Ok(written)
}

/// How much a clip's duration may differ from its span, milliseconds. The span may begin and end inside a frame. Such a
/// frame is taken to last as long as the clip's longest one, but no longer than a track may go without its face.
fn tolerance_ms(stills: &[(i64, Still)], settings: CutSettings<'_>) -> i64 {
    let gaps_ms = stills.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let longest_ms = gaps_ms.max().unwrap_or(0).min(settings.recipe.max_gap_ms);
    (2 * longest_ms).max((2_000.0 / settings.frame_rate) as i64) + 50
}

fn clip(plan: &ClipPlan, written: Written, samples: Vec<(Sample, RgbImage)>, recipe: &ClipRecipe) -> Clip {
    let middle = samples.get(samples.len() / 2);
    Clip {
        span: plan.span,
        side_px: recipe.clip_side_px,
        frames: written.frames,
        perceptual_hash: middle.map_or(0, |(_, crop)| quality::perceptual_hash(crop)),
        samples: samples.into_iter().map(|(sample, _)| sample).collect(),
    }
}

fn with_jpegs(
    mut samples: Vec<(Sample, RgbImage)>,
    recipe: &ClipRecipe,
) -> Result<Vec<(Sample, RgbImage)>, Failure> {
    for (sample, crop) in &mut samples {
        sample.jpeg = views::jpeg(crop, recipe.jpeg_quality)?;
    }
    Ok(samples)
}

fn unsound(plan: &ClipPlan, what: &str) -> Failure {
    let span = plan.span;
    Failure::rejected(Reason::ClipUnsound, format!("the clip {} to {} ms {what}", span.start_ms, span.end_ms))
}

//! One clip: decodes only its span, shows the face's steady window, writes the file, takes the samples, and checks
//! what came out. Knows nothing of where the clip is kept.

use std::path::Path;

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use super::framing::Framing;
use super::{DECODER_THREADS, Watch, tell};
use crate::config::ClipRecipe;
use crate::face::align::{aligned, warped};
use crate::face::select::ClipPlan;
use crate::face::shots::{ShotFinder, THUMBNAIL_WIDTH_PX};
use crate::face::{Detector, quality};
use crate::failure::{Failure, Reason};
use crate::media::{ClipWriter, Decoder, Written};
use crate::types::{Clip, Face, FaceBox, Sample};

/// The face must be found on one of so many frames at the clip's start, middle and end.
const CHECKED_FRAMES: u32 = 3;
/// A face found again must overlap by this much with where its track was.
const SAME_FACE_IOU: f32 = 0.3;

/// Cuts one clip into `clip_path`, which should be a name for unfinished files: on an error it may be left half written.
///
/// # Errors
/// When the video does not decode, the file cannot be written, the watcher stops the work, or (`ClipUnsound`) the
/// finished clip is not what was planned.
pub fn cut_clip(
    path: &Path,
    plan: &ClipPlan,
    recipe: &ClipRecipe,
    detector: &mut dyn Detector,
    clip_path: &Path,
    watch: &mut dyn Watch,
) -> Result<Clip, Failure> {
    let mut decoder = Decoder::open(path, DECODER_THREADS)?;
    let (width, height) = (decoder.probe().width, decoder.probe().height);
    let frame_rate = decoder.probe().frame_rate.clamp(1.0, 240.0);
    let mut cutter = Cutter {
        plan,
        recipe,
        detector,
        framing: Framing::follow(&plan.faces, (width, height), recipe.clip_margin),
        writer: ClipWriter::create(clip_path, recipe.clip_side_px, recipe.clip_side_px, frame_rate)?,
        shots: ShotFinder::new(recipe),
        first_ms: None,
        samples: Vec::new(),
        checks: Checks::default(),
    };
    decoder.seek(plan.span.start_ms)?;
    let mut latest: Vec<(i64, RgbImage)> = Vec::new();
    while let Some(frame) = decoder.next_frame()?.filter(|frame| frame.time_ms() < plan.span.end_ms) {
        let t_ms = frame.time_ms();
        tell(watch, (t_ms - plan.span.start_ms).max(0), plan.span.length_ms(), path)?;
        if t_ms < plan.span.start_ms {
            continue;
        }
        let picture = frame.picture()?;
        cutter.shots.push(t_ms, frame.thumbnail(THUMBNAIL_WIDTH_PX)?);
        cutter.take(t_ms, &picture)?;
        if latest.len() == CHECKED_FRAMES as usize {
            latest.remove(0);
        }
        latest.push((t_ms, picture));
    }
    cutter.finish(&latest, frame_rate)
}

/// A clip in the making.
struct Cutter<'a> {
    plan: &'a ClipPlan,
    recipe: &'a ClipRecipe,
    detector: &'a mut dyn Detector,
    framing: Framing,
    writer: ClipWriter,
    shots: ShotFinder,
    first_ms: Option<i64>,
    samples: Vec<Sample>,
    checks: Checks,
}

/// What the self-checks saw so far.
#[derive(Debug, Default)]
struct Checks {
    frames_at_start: u32,
    found_at_start: bool,
    frames_at_middle: u32,
    found_at_middle: bool,
    perceptual_hash: u64,
}

impl Cutter<'_> {
    fn take(&mut self, t_ms: i64, picture: &RgbImage) -> Result<(), Failure> {
        let first_ms = *self.first_ms.get_or_insert(t_ms);
        let side_px = self.recipe.clip_side_px;
        let shown = warped(picture, &self.framing.window(t_ms).to_source(side_px), side_px);
        self.writer.push(&shown, t_ms - first_ms)?;
        let sample_due = t_ms - first_ms >= self.samples_taken() * self.recipe.sample_every_ms.max(1);
        let at_start = !self.checks.found_at_start && self.checks.frames_at_start < CHECKED_FRAMES;
        let middle_ms = i64::midpoint(self.plan.span.start_ms, self.plan.span.end_ms);
        let at_middle = t_ms >= middle_ms
            && !self.checks.found_at_middle
            && self.checks.frames_at_middle < CHECKED_FRAMES;
        if !(sample_due || at_start || at_middle) {
            return Ok(());
        }
        self.checks.frames_at_start += u32::from(at_start);
        self.checks.frames_at_middle += u32::from(at_middle);
        let Some(face) = self.face_at(t_ms, picture)? else { return Ok(()) };
        self.checks.found_at_start |= at_start;
        let crop = aligned(picture, &face, self.recipe.sample_side_px);
        if at_middle {
            self.checks.found_at_middle = true;
            self.checks.perceptual_hash = quality::perceptual_hash(&crop);
        }
        if sample_due {
            let quality = quality::measure(&crop, &face, picture.dimensions());
            let jpeg = jpeg(&crop, self.recipe.jpeg_quality)?;
            self.samples.push(Sample { t_ms, face, quality, jpeg });
        }
        Ok(())
    }

    /// Samples that were taken, or passed over because no face was seen, up to the latest one taken.
    fn samples_taken(&self) -> i64 {
        let every_ms = self.recipe.sample_every_ms.max(1);
        match (self.samples.last(), self.first_ms) {
            (Some(last), Some(first_ms)) => (last.t_ms - first_ms) / every_ms + 1,
            _ => 0,
        }
    }

    /// The track's face on this very frame.
    fn face_at(&mut self, t_ms: i64, picture: &RgbImage) -> Result<Option<Face>, Failure> {
        let Some(expected) = self.expected(t_ms) else { return Ok(None) };
        let same = |face: &Face| face.face_box.iou(&expected) > SAME_FACE_IOU;
        let followed = self.detector.follow(picture, &[expected])?.pop().flatten().filter(same);
        if followed.is_some() {
            return Ok(followed);
        }
        let faces = self.detector.detect(std::slice::from_ref(picture))?.pop().unwrap_or_default();
        let overlap = |face: &Face| face.face_box.iou(&expected);
        Ok(faces.into_iter().filter(same).max_by(|a, b| overlap(a).total_cmp(&overlap(b))))
    }

    /// Where the track was when it was seen last before, or first after, this time.
    fn expected(&self, t_ms: i64) -> Option<FaceBox> {
        let nearest = self.plan.faces.iter().min_by_key(|seen| (seen.t_ms - t_ms).abs())?;
        Some(nearest.face.face_box)
    }

    fn finish(mut self, latest: &[(i64, RgbImage)], frame_rate: f64) -> Result<Clip, Failure> {
        let mut found_at_end = false;
        for (t_ms, picture) in latest.iter().rev() {
            found_at_end = found_at_end || self.face_at(*t_ms, picture)?.is_some();
        }
        let written = self.writer.finish()?;
        while self.shots.flush().is_some() {}
        let cuts = self.shots.hard_cuts();
        let places = [self.checks.found_at_start, self.checks.found_at_middle, found_at_end];
        check(self.plan, written, frame_rate, &cuts, places)?;
        Ok(Clip {
            span: self.plan.span,
            side_px: self.recipe.clip_side_px,
            frames: written.frames,
            perceptual_hash: self.checks.perceptual_hash,
            samples: self.samples,
        })
    }
}

/// Refuses a clip that is not what was planned.
fn check(
    plan: &ClipPlan,
    written: Written,
    frame_rate: f64,
    cuts: &[i64],
    found: [bool; 3],
) -> Result<(), Failure> {
    let unsound = |what: String| {
        let span = plan.span;
        let detail = format!("the clip {} to {} ms {what}", span.start_ms, span.end_ms);
        Err(Failure::rejected(Reason::ClipUnsound, detail))
    };
    let tolerance_ms = (2_000.0 / frame_rate) as i64 + 50;
    if (written.duration_ms - plan.span.length_ms()).abs() > tolerance_ms {
        return unsound(format!("lasts {} ms", written.duration_ms));
    }
    if let Some(cut_ms) = cuts.first() {
        return unsound(format!("holds a cut at {cut_ms} ms"));
    }
    match ["first", "middle", "last"].iter().zip(found).find(|(_, found)| !found) {
        Some((place, _)) => unsound(format!("shows no face in its {place} frames")),
        None => Ok(()),
    }
}

fn jpeg(picture: &RgbImage, quality: u8) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(picture)
        .map_err(|error| Failure::bug(format!("a sample cannot be encoded as JPEG: {error}")))?;
    Ok(bytes)
}

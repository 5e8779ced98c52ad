//! One face's film in the making: its framed stills and its samples, frame by frame, and the clips cut out of them.
//! Knows nothing of how the frames come, and of where the clips are kept only the folder.

use std::collections::VecDeque;
use std::sync::Arc;

use image::RgbImage;

use super::aside::{Aside, Later};
use super::{framing, views};
use crate::config::ClipRecipe;
use crate::face::select::{ClipPlan, is_sample};
use crate::face::{Detector, View, quality};
use crate::failure::{Failure, Reason};
use crate::media::{ClipWriter, EncoderOptions, Still, VideoFrame, Written};
use crate::pipeline::cuttings;
use crate::types::{Clip, CropStyle, FaceBox, Sample, SeenFace};

/// The face must be found on one of so many frames at the clip's start, middle and end.
const CHECKED_FRAMES: usize = 3;
/// A face found again must overlap by this much with where its track was.
const SAME_FACE_IOU: f32 = 0.3;

/// What clips are cut by.
#[derive(Clone, Copy)]
pub(super) struct Shears<'a> {
    /// The thresholds.
    pub(super) recipe: &'a ClipRecipe,
    /// Where clips are laid down.
    pub(super) folder: &'a std::path::Path,
    /// The source's frames a second.
    pub(super) frame_rate: f64,
}

/// The frames of one face that are not cut yet, without a gap.
pub(super) struct Reel {
    /// No frame is missing from here on.
    from_ms: i64,
    /// By time, ascending.
    stills: VecDeque<(i64, Later<Still>)>,
    /// By time, ascending, not encoded yet.
    samples: VecDeque<(i64, Later<(Sample, RgbImage)>)>,
    /// A look that is a sample whatever the rule says.
    sample_ms: Option<i64>,
    /// The size of the source's pictures.
    size: (u32, u32),
    /// The memory that one still takes.
    still_bytes: usize,
}

impl Reel {
    /// An empty reel, which begins with the first frame from this time on.
    pub(super) fn new(from_ms: i64) -> Self {
        let (stills, samples) = (VecDeque::new(), VecDeque::new());
        Self { from_ms, stills, samples, sample_ms: None, size: (1, 1), still_bytes: 0 }
    }

    /// An empty reel of one clip.
    pub(super) fn of(plan: &ClipPlan, recipe: &ClipRecipe) -> Self {
        Self { sample_ms: plan.only_sample_ms(recipe), ..Self::new(plan.span.start_ms) }
    }

    /// Frames before this time are cut already, or were never there.
    pub(super) fn start_ms(&self) -> i64 {
        self.from_ms
    }

    /// Memory that its stills take.
    pub(super) fn bytes(&self) -> usize {
        self.still_bytes * self.stills.len()
    }

    /// Adds the next frame; `faces` are those around its time. It is framed aside.
    pub(super) fn add(
        &mut self,
        frame: &Arc<VideoFrame>,
        faces: &[SeenFace],
        recipe: &ClipRecipe,
        framing: &Aside,
    ) {
        let t_ms = frame.time_ms();
        let size = (frame.width(), frame.height());
        self.size = size;
        self.still_bytes = Still::size_bytes(recipe.clip_side_px);
        let window = framing::window(faces, size, recipe.clip_margin, t_ms);
        let (shown, side_px) = (Arc::clone(frame), recipe.clip_side_px);
        self.stills.push_back((t_ms, framing.give(move || Ok(shown.still(window, side_px)?))));
        let Some(at) = faces.iter().position(|seen| seen.t_ms == t_ms) else { return };
        let before_ms = at.checked_sub(1).map(|before| faces[before].t_ms);
        if is_sample(before_ms, t_ms, recipe.sample_every_ms) || self.sample_ms == Some(t_ms) {
            let (shown, face) = (Arc::clone(frame), faces[at].face);
            let style = CropStyle::plain(recipe.sample_side_px);
            let sample = framing.give(move || {
                let crop = views::crop(&shown, &face, style)?;
                let quality = quality::measure(&crop, &face, size);
                Ok((Sample { t_ms, face, quality, jpeg: Vec::new() }, crop))
            });
            self.samples.push_back((t_ms, sample));
        }
    }

    /// Checks a plan's clip, and has it cut and laid down aside; what lies before its end is let go. A plan that begins
    /// before the reel does is left to others.
    pub(super) fn cut(
        &mut self,
        plan: &ClipPlan,
        shears: Shears<'_>,
        detector: &mut dyn Detector,
        cutting: &Aside,
    ) -> Result<Option<Later<()>>, Failure> {
        let is_whole = self.from_ms <= plan.span.start_ms;
        self.let_go(plan.span.start_ms);
        let after = self.stills.partition_point(|(t_ms, _)| *t_ms < plan.span.end_ms);
        let stills: Vec<(i64, Later<Still>)> = self.stills.drain(..after).collect();
        let after = self.samples.partition_point(|(t_ms, _)| *t_ms < plan.span.end_ms);
        let samples: Vec<(i64, Later<(Sample, RgbImage)>)> = self.samples.drain(..after).collect();
        self.from_ms = plan.span.end_ms;
        if !is_whole || stills.is_empty() {
            return Ok(None);
        }
        let still = |(t_ms, still): (i64, Later<Still>)| Ok((t_ms, still.take()?));
        let stills = stills.into_iter().map(still).collect::<Result<Vec<_>, Failure>>()?;
        let samples = samples.into_iter().map(|(_, sample)| sample.take()).collect::<Result<Vec<_>, _>>()?;
        let missing = missing_place(plan, &stills, self.size, shears.recipe, detector)?;
        let (plan, recipe, folder) = (plan.clone(), shears.recipe.clone(), shears.folder.to_owned());
        let frame_rate = shears.frame_rate;
        Ok(Some(cutting.give(move || {
            let shears = Shears { recipe: &recipe, folder: &folder, frame_rate };
            let outcome = match missing {
                Some(place) => Err(unsound(&plan, &format!("shows no face in its {place} frames"))),
                None => write(stills, &plan, shears)
                    .and_then(|written| Ok(finished(&plan, written, encoded(samples, &recipe)?, &recipe))),
            };
            lay_down(&plan, shears, outcome)
        })))
    }

    /// Lets go what lies before this time.
    fn let_go(&mut self, before_ms: i64) {
        let first = self.stills.partition_point(|(t_ms, _)| *t_ms < before_ms);
        self.stills.drain(..first);
        let first = self.samples.partition_point(|(t_ms, _)| *t_ms < before_ms);
        self.samples.drain(..first);
    }
}

/// Lays down what is known of a clip beside its film; or, without a film, why there is no clip.
fn lay_down(plan: &ClipPlan, shears: Shears<'_>, outcome: Result<Clip, Failure>) -> Result<(), Failure> {
    match outcome {
        Err(failure) if failure.reason != Reason::ClipUnsound => Err(failure),
        outcome => {
            let film = cuttings::film(shears.folder, plan);
            if outcome.is_err() && film.exists() {
                // It is no clip, and nobody will ask for it.
                let _ = std::fs::remove_file(&film);
            }
            cuttings::write(shears.folder, plan, &outcome)
        }
    }
}

/// Writes the film and checks how long it became.
fn write(stills: Vec<(i64, Still)>, plan: &ClipPlan, shears: Shears<'_>) -> Result<Written, Failure> {
    let colours = stills.first().map(|(_, still)| still.colours()).unwrap_or_default();
    let options = EncoderOptions { colours, ..EncoderOptions::default() };
    let (film, side_px) = (cuttings::film(shears.folder, plan), shears.recipe.clip_side_px);
    let mut writer = ClipWriter::create_with(&film, (side_px, side_px), shears.frame_rate, options)?;
    let tolerance_ms = tolerance_ms(&stills, shears);
    for (t_ms, still) in stills {
        writer.push_still(still, t_ms)?;
    }
    let written = writer.finish()?;
    if (written.duration_ms - plan.span.length_ms()).abs() > tolerance_ms {
        return Err(unsound(plan, &format!("lasts {} ms", written.duration_ms)));
    }
    Ok(written)
}

/// How much a film may differ from its span, milliseconds. The span may cut into a frame at both ends. Such a frame
/// lasts as long as the longest of the film, but no longer than a track may go without its face.
fn tolerance_ms(stills: &[(i64, Still)], shears: Shears<'_>) -> i64 {
    let gaps_ms = stills.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let longest_ms = gaps_ms.max().unwrap_or(0).min(shears.recipe.max_gap_ms);
    (2 * longest_ms).max((2_000.0 / shears.frame_rate) as i64) + 50
}

fn finished(
    plan: &ClipPlan,
    written: Written,
    samples: Vec<(Sample, RgbImage)>,
    recipe: &ClipRecipe,
) -> Clip {
    let middle = samples.get(samples.len() / 2);
    Clip {
        span: plan.span,
        side_px: recipe.clip_side_px,
        frames: written.frames,
        perceptual_hash: middle.map_or(0, |(_, crop)| quality::perceptual_hash(crop)),
        samples: samples.into_iter().map(|(sample, _)| sample).collect(),
    }
}

fn encoded(
    mut samples: Vec<(Sample, RgbImage)>,
    recipe: &ClipRecipe,
) -> Result<Vec<(Sample, RgbImage)>, Failure> {
    for (sample, crop) in &mut samples {
        sample.jpeg = views::jpeg(crop, recipe.jpeg_quality)?;
    }
    Ok(samples)
}

/// The place at which the framed pictures show no face, looked for anew; nothing when all is well.
fn missing_place(
    plan: &ClipPlan,
    stills: &[(i64, Still)],
    size: (u32, u32),
    recipe: &ClipRecipe,
    detector: &mut dyn Detector,
) -> Result<Option<&'static str>, Failure> {
    let middle = (stills.len() / 2).min(stills.len().saturating_sub(CHECKED_FRAMES));
    let few = |from: usize| &stills[from..stills.len().min(from + CHECKED_FRAMES)];
    let places = [
        ("first", few(0)),
        ("middle", few(middle)),
        ("last", few(stills.len().saturating_sub(CHECKED_FRAMES))),
    ];
    for (place, stills) in places {
        let mut found = false;
        for (t_ms, still) in stills {
            found = found || shows_face(plan, (*t_ms, still), size, recipe, detector)?;
        }
        if !found {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

fn shows_face(
    plan: &ClipPlan,
    (t_ms, still): (i64, &Still),
    size: (u32, u32),
    recipe: &ClipRecipe,
    detector: &mut dyn Detector,
) -> Result<bool, Failure> {
    let Some(nearest) = plan.faces.iter().min_by_key(|seen| (seen.t_ms - t_ms).abs()) else {
        return Ok(false);
    };
    let square = framing::window(&plan.faces, size, recipe.clip_margin, t_ms);
    let FaceBox { x, y, width, height } = nearest.face.face_box;
    let (across, down) = (size.0 as f32 / square.side, size.1 as f32 / square.side);
    let corner = [square.x - square.side / 2.0, square.y - square.side / 2.0];
    let expected = FaceBox {
        x: x * across - corner[0] / square.side,
        y: y * down - corner[1] / square.side,
        width: width * across,
        height: height * down,
    };
    let last = [(View::whole(still.picture()?), expected)];
    let is_same = |face: &crate::types::Face| face.face_box.iou(&expected) > SAME_FACE_IOU;
    if detector.follow(&last)?.pop().flatten().is_some_and(|face| is_same(&face)) {
        return Ok(true);
    }
    let [(view, _)] = last;
    Ok(detector.detect(&[view.picture])?.pop().unwrap_or_default().iter().any(is_same))
}

fn unsound(plan: &ClipPlan, what: &str) -> Failure {
    let span = plan.span;
    Failure::rejected(Reason::ClipUnsound, format!("the clip {} to {} ms {what}", span.start_ms, span.end_ms))
}

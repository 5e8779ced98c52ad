//! Whether a finished clip shows its face: the detector must find it again in the framed pictures.

use super::framing;
use crate::config::ClipRecipe;
use crate::face::select::ClipPlan;
use crate::face::{Detector, View};
use crate::failure::Failure;
use crate::media::Still;
use crate::types::{Face, FaceBox};

/// Frames that are searched at each of the start, the middle and the end; one of them must show the face.
const CHECKED_FRAMES: usize = 3;
/// The face that is found must overlap at least this much with the track's, framed alike.
const MIN_FOUND_IOU: f32 = 0.3;

/// What a clip must show.
pub(super) struct FaceCheck<'a> {
    pub(super) plan: &'a ClipPlan,
    pub(super) recipe: &'a ClipRecipe,
    /// Width and height of the source's pictures.
    pub(super) size: (u32, u32),
}

impl FaceCheck<'_> {
    /// The place (`first`, `middle` or `last`) whose frames do not show the face; `None` when all do. `stills` are all
    /// of the clip, with their times.
    pub(super) fn missing_place(
        &self,
        stills: &[(i64, Still)],
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
                found = found || self.is_shown(*t_ms, still, detector)?;
            }
            if !found {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn is_shown(&self, t_ms: i64, still: &Still, detector: &mut dyn Detector) -> Result<bool, Failure> {
        let Some(expected) = self.expected_box(t_ms) else { return Ok(false) };
        let last = [(View::whole(still.picture()?), expected)];
        let is_same = |face: &Face| face.face_box.iou(&expected) > MIN_FOUND_IOU;
        if detector.follow(&last)?.pop().flatten().is_some_and(|face| is_same(&face)) {
            return Ok(true);
        }
        let [(view, _)] = last;
        Ok(detector.detect(&[view.picture])?.pop().unwrap_or_default().iter().any(is_same))
    }

    /// The box of the track's nearest face within the clip's window at this time; `None` for a plan without faces.
    fn expected_box(&self, t_ms: i64) -> Option<FaceBox> {
        let nearest = self.plan.faces.iter().min_by_key(|seen| (seen.t_ms - t_ms).abs())?;
        let square = framing::window(&self.plan.faces, self.size, self.recipe.clip_margin, t_ms);
        let FaceBox { x, y, width, height } = nearest.face.face_box;
        let (across, down) = (self.size.0 as f32 / square.side, self.size.1 as f32 / square.side);
        let corner = [square.x - square.side / 2.0, square.y - square.side / 2.0];
        Some(FaceBox {
            x: x * across - corner[0] / square.side,
            y: y * down - corner[1] / square.side,
            width: width * across,
            height: height * down,
        })
    }
}

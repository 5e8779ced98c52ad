//! Which tracks become clips, and why the others do not. Pure: a scan and a recipe in, plans and reasons out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::ClipRecipe;
use crate::failure::Reason;
use crate::types::{Face, Scan, SeenFace, Span, Track};

/// One clip to be cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClipPlan {
    /// Index of its track in the scan.
    pub track: usize,
    /// What to cut, in the video's own time.
    pub span: Span,
    /// The track's faces, also those a little outside the span; ascending.
    pub faces: Vec<SeenFace>,
}

/// Faces this far outside a clip's span still say where its window is.
const BEYOND_MS: i64 = 2_000;

impl ClipPlan {
    /// One stretch of a track.
    pub fn new(at: usize, track: &Track, span: Span) -> Self {
        Self { track: at, span, faces: near(&track.faces, span).copied().collect() }
    }

    /// Whether it has all of these faces that say where its window is.
    pub fn has_all_of(&self, faces: &[SeenFace]) -> bool {
        near(faces, self.span).eq(&self.faces)
    }

    /// Tells it from every other plan of the same video and recipe, whatever place its track has in the scan.
    pub fn name(&self) -> String {
        let first = self.faces.first().map_or([0.0; 2], |seen| seen.face.landmarks[0]);
        let [x, y] = first.map(f32::to_bits);
        format!("{:07}-{:07}-{x:08x}{y:08x}", self.span.start_ms, self.span.end_ms)
    }

    /// The look that becomes the one sample of a clip which is too short for the usual ones: that in its middle.
    pub fn only_sample_ms(&self, recipe: &ClipRecipe) -> Option<i64> {
        let inside = |at: &usize| self.span.contains(self.faces[*at].t_ms);
        let looks: Vec<usize> = (0..self.faces.len()).filter(inside).collect();
        let is_sample = |at: &usize| {
            let before_ms = at.checked_sub(1).map(|before| self.faces[before].t_ms);
            is_sample(before_ms, self.faces[*at].t_ms, recipe.sample_every_ms)
        };
        if self.span.length_ms() >= recipe.min_clip_ms || looks.iter().any(is_sample) {
            return None;
        }
        looks.get(looks.len() / 2).map(|at| self.faces[*at].t_ms)
    }
}

/// The faces in a span and a little outside it.
fn near(faces: &[SeenFace], span: Span) -> impl Iterator<Item = &SeenFace> {
    let near = (span.start_ms - BEYOND_MS)..(span.end_ms + BEYOND_MS);
    faces.iter().filter(move |seen| near.contains(&seen.t_ms))
}

/// The rules that a track must pass, in the order in which they are asked; each is named after what it removes.
pub const RULES: [Reason; 3] = [Reason::FaceTooSmall, Reason::FaceTooBrief, Reason::FaceTooPatchy];
/// The same where lists name parts of the video, see [`super::parts`].
pub const RULES_OF_PARTS: [Reason; 3] = [Reason::NotListed, Reason::FaceTooSmall, Reason::FaceTooPatchy];

/// What became of every track.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Explain {
    /// Tracks that the scan found.
    pub tracks: usize,
    /// Tracks that gave at least one clip.
    pub kept: usize,
    /// Clips planned.
    pub clips: usize,
    /// For each track of the scan, why it gives no clip; `None` when it does.
    pub verdicts: Vec<Option<Reason>>,
    /// How many tracks each of the rules removed; rules that removed none are missing.
    pub removed: BTreeMap<Reason, usize>,
    /// Lists name parts of the video.
    pub in_parts: bool,
}

impl Explain {
    /// The rules that were asked, in their order.
    pub fn rules(&self) -> [Reason; 3] {
        if self.in_parts { RULES_OF_PARTS } else { RULES }
    }

    /// Counts the verdict on the next track; says whether it is kept.
    pub(super) fn keeps(&mut self, verdict: Option<Reason>) -> bool {
        self.verdicts.push(verdict);
        match verdict {
            Some(reason) => *self.removed.entry(reason).or_default() += 1,
            None => self.kept += 1,
        }
        verdict.is_none()
    }

    /// Why the whole video gives no clip: the reason of the track that came furthest; `None` when there are clips.
    pub fn verdict(&self) -> Option<Reason> {
        let furthest = [Reason::FaceTooPatchy, Reason::FaceTooBrief, Reason::FaceTooSmall, Reason::NotListed];
        match self.clips {
            0 => Some(
                furthest
                    .into_iter()
                    .find(|reason| self.removed.contains_key(reason))
                    .unwrap_or(Reason::NoFace),
            ),
            _ => None,
        }
    }
}

/// Plans the clips of a scan. Rules are asked in this order: face large enough, long enough in time, seen on
/// enough of the looked-at frames. What passes loses the guard at cuts and is split evenly where it is too long.
pub fn select(scan: &Scan, recipe: &ClipRecipe) -> (Vec<ClipPlan>, Explain) {
    let mut explain = Explain { tracks: scan.tracks.len(), ..Explain::default() };
    let mut plans = Vec::new();
    for (at, track) in scan.tracks.iter().enumerate() {
        let verdict = verdict(track, (scan.width, scan.height), recipe);
        if explain.keeps(verdict) {
            let spans = spans(track, &scan.shots, recipe, false).into_iter();
            plans.extend(spans.map(|span| ClipPlan::new(at, track, span)));
        }
    }
    explain.clips = plans.len();
    (plans, explain)
}

/// Why a track gives no clip; `None` when it does. `size` is that of the video's pictures.
pub fn verdict(track: &Track, size: (u32, u32), recipe: &ClipRecipe) -> Option<Reason> {
    if median_face_px(track, size) < recipe.min_clip_face_px {
        Some(Reason::FaceTooSmall)
    } else if track.span.length_ms() < recipe.min_clip_ms {
        Some(Reason::FaceTooBrief)
    } else if track.coverage < recipe.min_coverage {
        Some(Reason::FaceTooPatchy)
    } else {
        None
    }
}

/// Median of the shorter side of a track's boxes, pixels of the decoded picture, whose size is given.
pub fn median_face_px(track: &Track, size: (u32, u32)) -> f32 {
    let mut sides: Vec<f32> = track.faces.iter().map(|seen| shorter_side_px(&seen.face, size)).collect();
    sides.sort_by(f32::total_cmp);
    sides.get(sides.len() / 2).copied().unwrap_or(0.0)
}

/// The shorter side of a face's box, pixels.
pub fn shorter_side_px(face: &Face, (width, height): (u32, u32)) -> f32 {
    (face.face_box.width * width as f32).min(face.face_box.height * height as f32)
}

/// The stretches of a track that become clips: without the guard at cuts, none too long. Of a track that still goes on
/// (`goes_on`), only the stretches that cannot change any more.
pub fn spans(track: &Track, shots: &[Span], recipe: &ClipRecipe, goes_on: bool) -> Vec<Span> {
    let mut left = guarded(track, shots, recipe);
    if goes_on {
        // The track may still turn out to end at a cut.
        left.end_ms -= recipe.shot_guard_ms;
    }
    stretches(left, recipe, goes_on)
}

/// Parts a span. Stretches of the longest length are cut from the front, as long as at least the shortest length is left
/// behind each; what remains is divided evenly, or left (`goes_on`).
pub(super) fn stretches(mut left: Span, recipe: &ClipRecipe, goes_on: bool) -> Vec<Span> {
    let (shortest, longest) = (recipe.min_clip_ms.max(1), recipe.max_clip_ms.max(1));
    let mut spans = Vec::new();
    while left.length_ms() >= longest + shortest {
        let middle_ms = left.start_ms + longest;
        spans.push(Span { end_ms: middle_ms, ..left });
        left.start_ms = middle_ms;
    }
    if !goes_on {
        spans.extend(even_parts(left, shortest, longest));
    }
    spans
}

/// Divides a span evenly into as few parts as the longest length allows. No part is shorter than the shortest length,
/// even if the parts then are too long.
fn even_parts(span: Span, shortest: i64, longest: i64) -> impl Iterator<Item = Span> + use<> {
    let length_ms = span.length_ms();
    let fewest = (length_ms + longest - 1) / longest;
    let count = fewest.clamp(1, (length_ms / shortest).max(1));
    let border = move |at: i64| span.start_ms + length_ms * at / count;
    (0..count).map(move |at| Span { start_ms: border(at), end_ms: border(at + 1) })
}

/// A track's span without the guard at the cuts that bound it; the guard yields where the span would get too short.
pub(super) fn guarded(track: &Track, shots: &[Span], recipe: &ClipRecipe) -> Span {
    let Span { start_ms, end_ms } = track.span;
    let shot = shots.get(track.shot).copied().unwrap_or(track.span);
    let wanted = |at_cut: bool, distance_ms: i64| {
        if at_cut { (recipe.shot_guard_ms - distance_ms).max(0) } else { 0 }
    };
    let front_ms = wanted(track.shot > 0, start_ms - shot.start_ms);
    let back_ms = wanted(track.shot + 1 < shots.len(), shot.end_ms - end_ms);
    let spare_ms = (track.span.length_ms() - recipe.min_clip_ms).max(0);
    let share = |guard_ms: i64| match front_ms + back_ms {
        0 => 0,
        both_ms => guard_ms.min(spare_ms * guard_ms / both_ms),
    };
    Span { start_ms: start_ms + share(front_ms), end_ms: end_ms - share(back_ms) }
}

/// Whether a sample is taken of a face seen at `t_ms`, when the same track's face before it was seen at `before_ms`. It
/// is taken when a new stretch of `every_ms` of the video has begun in between; where there is no face before, only at
/// the very beginning of a stretch.
pub fn is_sample(before_ms: Option<i64>, t_ms: i64, every_ms: i64) -> bool {
    let every_ms = every_ms.max(1);
    match before_ms {
        Some(before_ms) => before_ms.div_euclid(every_ms) != t_ms.div_euclid(every_ms),
        None => t_ms.rem_euclid(every_ms) == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::fake::face_at;

    fn track(shot: usize, start_ms: i64, end_ms: i64, side: f32) -> Track {
        let times = (start_ms..end_ms).step_by(200);
        let faces = times.map(|t_ms| SeenFace { t_ms, face: face_at(0.3, 0.3, side, side) }).collect();
        Track { shot, span: Span { start_ms, end_ms }, faces, coverage: 1.0 }
    }

    fn scan(shots: &[(i64, i64)], tracks: Vec<Track>) -> Scan {
        let shots: Vec<Span> = shots.iter().map(|&(start_ms, end_ms)| Span { start_ms, end_ms }).collect();
        let duration_ms = shots[shots.len() - 1].end_ms;
        Scan { width: 1000, height: 1000, duration_ms, shots, tracks, frames_decoded: 0, frames_detected: 0 }
    }

    fn spans(scan: &Scan) -> Vec<(i64, i64)> {
        let plans = select(scan, &ClipRecipe::default()).0;
        plans.iter().map(|plan| (plan.span.start_ms, plan.span.end_ms)).collect()
    }

    #[test]
    fn five_seconds_are_enough_and_one_millisecond_less_is_not() {
        assert_eq!(spans(&scan(&[(0, 9_000)], vec![track(0, 1_000, 6_000, 0.2)])), [(1_000, 6_000)]);
        assert_eq!(spans(&scan(&[(0, 9_000)], vec![track(0, 1_000, 5_999, 0.2)])), []);
    }

    #[test]
    fn long_tracks_become_clips_of_five_to_ten_seconds() {
        let of = |length_ms| spans(&scan(&[(0, length_ms)], vec![track(0, 0, length_ms, 0.2)]));
        assert_eq!(of(10_000), [(0, 10_000)]);
        assert_eq!(of(10_002), [(0, 5_001), (5_001, 10_002)]);
        assert_eq!(of(19_700), [(0, 10_000), (10_000, 19_700)]);
        assert_eq!(of(31_000), [(0, 10_000), (10_000, 20_000), (20_000, 25_500), (25_500, 31_000)]);
    }

    #[test]
    fn what_a_track_gives_while_it_goes_on_stays_as_it_is() {
        let recipe = ClipRecipe::default();
        let shots = [Span { start_ms: 0, end_ms: 2_000 }, Span { start_ms: 2_000, end_ms: 60_000 }];
        let at_its_end = super::spans(&track(1, 2_000, 60_000, 0.2), &shots, &recipe, false);
        for end_ms in (4_000..60_000).step_by(200) {
            let so_far = super::spans(&track(1, 2_000, end_ms, 0.2), &shots, &recipe, true);
            assert_eq!(so_far, at_its_end[..so_far.len()], "{end_ms}");
            assert!(end_ms - so_far.last().map_or(2_000, |span| span.end_ms) < 15_300);
        }
    }

    #[test]
    fn the_first_look_of_every_second_is_a_sample() {
        let times = [840, 1_000, 1_200, 1_900, 2_300, 3_000];
        let mut before_ms = None;
        let taken = times.map(|t_ms| is_sample(before_ms.replace(t_ms), t_ms, 1_000));
        assert_eq!(taken, [false, true, false, false, true, true]);
        assert!(is_sample(None, 0, 1_000));
    }

    #[test]
    fn a_clip_in_which_no_second_begins_has_its_middle_look_for_a_sample() {
        let track = track(0, 0, 8_000, 0.2);
        let of = |start_ms, end_ms| {
            ClipPlan::new(0, &track, Span { start_ms, end_ms }).only_sample_ms(&ClipRecipe::default())
        };
        assert_eq!((of(1_100, 1_900), of(1_100, 1_300)), (Some(1_600), Some(1_200)));
        assert_eq!((of(1_100, 2_100), of(0, 500), of(1_100, 7_000)), (None, None, None));
    }

    #[test]
    fn the_guard_is_left_out_at_cuts_but_not_at_the_ends_of_the_video() {
        let shots = [(0, 8_000), (8_000, 16_000), (16_000, 24_000)];
        assert_eq!(spans(&scan(&shots, vec![track(1, 8_000, 16_000, 0.2)])), [(8_120, 15_880)]);
        assert_eq!(spans(&scan(&shots, vec![track(0, 0, 8_000, 0.2)])), [(0, 7_880)]);
        assert_eq!(spans(&scan(&shots, vec![track(1, 8_000, 15_950, 0.2)])), [(8_120, 15_880)]);
    }

    #[test]
    fn the_guard_yields_to_the_five_seconds() {
        let shots = [(0, 8_000), (8_000, 13_100), (13_100, 24_000)];
        let found = spans(&scan(&shots, vec![track(1, 8_000, 13_100, 0.2)]));
        assert_eq!(found, [(8_050, 13_050)]);
    }

    #[test]
    fn every_dropped_track_has_its_reason() {
        let patchy = Track { coverage: 0.89, ..track(0, 0, 8_000, 0.2) };
        let small = track(0, 0, 8_000, 0.03);
        let scan = scan(&[(0, 9_000)], vec![patchy, small, track(0, 0, 3_000, 0.2), track(0, 0, 8_000, 0.2)]);
        let (plans, explain) = select(&scan, &ClipRecipe::default());
        let reasons = [Reason::FaceTooPatchy, Reason::FaceTooSmall, Reason::FaceTooBrief].map(Some);
        assert_eq!(explain.verdicts[..3], reasons);
        assert_eq!((explain.verdicts[3], explain.kept, plans[0].track), (None, 1, 3));
        assert_eq!(explain.removed.values().sum::<usize>(), 3);
        assert_eq!(explain.verdict(), None);
    }

    #[test]
    fn a_video_without_clips_says_how_far_its_best_track_came() {
        let verdict = |tracks| select(&scan(&[(0, 9_000)], tracks), &ClipRecipe::default()).1.verdict();
        assert_eq!(verdict(vec![]), Some(Reason::NoFace));
        assert_eq!(
            verdict(vec![track(0, 0, 3_000, 0.2), track(0, 0, 8_000, 0.01)]),
            Some(Reason::FaceTooBrief)
        );
    }
}

//! Which tracks become clips, and why the others do not. Pure: a scan and a recipe in, plans and reasons out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::ClipRecipe;
use crate::failure::Reason;
use crate::types::{Face, Scan, SeenFace, Span, Track};

/// One clip to cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClipPlan {
    /// Index of its track in the scan.
    pub track: usize,
    /// The stretch to cut, in the video's own time.
    pub span: Span,
    /// The track's faces in the span, and those up to two seconds before and after it; ascending in time.
    pub faces: Vec<SeenFace>,
}

/// Faces up to this long before or after a time may affect how a clip is framed at that time, milliseconds.
pub(crate) const FRAMING_REACH_MS: i64 = 2_000;

impl ClipPlan {
    /// The plan for one stretch of the track with index `at`.
    pub fn new(at: usize, track: &Track, span: Span) -> Self {
        Self { track: at, span, faces: near(&track.faces, span).copied().collect() }
    }

    /// Whether the plan's faces are all of these that may affect its framing.
    pub fn has_all_of(&self, faces: &[SeenFace]) -> bool {
        near(faces, self.span).eq(&self.faces)
    }

    /// A name that differs for every two plans of one video and recipe, and does not depend on the track's index.
    pub fn name(&self) -> String {
        let first = self.faces.first().map_or([0.0; 2], |seen| seen.face.landmarks[0]);
        let [x, y] = first.map(f32::to_bits);
        format!("{:07}-{:07}-{x:08x}{y:08x}", self.span.start_ms, self.span.end_ms)
    }

    /// The time of the middle look in the span, which becomes the only sample of a clip that is shorter than the
    /// recipe's shortest and has no regular sample; `None` for other clips.
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

/// The faces in a span and up to [`FRAMING_REACH_MS`] outside it.
fn near(faces: &[SeenFace], span: Span) -> impl Iterator<Item = &SeenFace> {
    let near = (span.start_ms - FRAMING_REACH_MS)..(span.end_ms + FRAMING_REACH_MS);
    faces.iter().filter(move |seen| near.contains(&seen.t_ms))
}

/// The rules that a track must pass, in the order in which they are applied; each is named after what it removes.
const RULES: [Reason; 3] = [Reason::FaceTooSmall, Reason::FaceTooBrief, Reason::FaceTooPatchy];
/// The same for videos of which lists name parts, see [`super::parts`].
const RULES_OF_PARTS: [Reason; 3] = [Reason::NotListed, Reason::FaceTooSmall, Reason::FaceTooPatchy];

/// Which tracks became clips, and which rule removed each of the others.
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
    /// How many tracks each rule removed; rules that removed none are missing.
    pub removed: BTreeMap<Reason, usize>,
    /// Whether lists name parts of the video.
    pub in_parts: bool,
}

impl Explain {
    /// The rules that were applied, in order.
    pub fn rules(&self) -> [Reason; 3] {
        if self.in_parts { RULES_OF_PARTS } else { RULES }
    }

    /// Counts the verdict on the next track; returns whether the track is kept.
    pub(super) fn keeps(&mut self, verdict: Option<Reason>) -> bool {
        self.verdicts.push(verdict);
        match verdict {
            Some(reason) => *self.removed.entry(reason).or_default() += 1,
            None => self.kept += 1,
        }
        verdict.is_none()
    }

    /// Why the whole video gives no clip: the latest rule that removed a track, or that there is none; `None` when
    /// there are clips.
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

/// Plans the clips of a scan. A track must have a large enough face, last long enough, and show its face on enough of
/// the looks, checked in this order. A track that passes is trimmed by the guard at cuts, and split where it is too
/// long.
pub fn select(scan: &Scan, recipe: &ClipRecipe) -> (Vec<ClipPlan>, Explain) {
    let mut explain = Explain { tracks: scan.tracks.len(), ..Explain::default() };
    let mut plans = Vec::new();
    for (at, track) in scan.tracks.iter().enumerate() {
        let verdict = verdict(track, (scan.width, scan.height), recipe);
        if explain.keeps(verdict) {
            let spans = spans(track, &scan.shots, recipe).into_iter();
            plans.extend(spans.map(|span| ClipPlan::new(at, track, span)));
        }
    }
    explain.clips = plans.len();
    (plans, explain)
}

/// Why a track gives no clip; `None` when it does. `size` is the width and height of the video's pictures, pixels.
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

/// Median of the shorter side of a track's boxes, in pixels of the decoded picture, whose size is `size`; the upper
/// median of an even number.
pub fn median_face_px(track: &Track, size: (u32, u32)) -> f32 {
    let mut sides: Vec<f32> = track.faces.iter().map(|seen| shorter_side_px(&seen.face, size)).collect();
    sides.sort_by(f32::total_cmp);
    sides.get(sides.len() / 2).copied().unwrap_or(0.0)
}

/// The shorter side of a face's box, in pixels of a picture of this size.
pub fn shorter_side_px(face: &Face, (width, height): (u32, u32)) -> f32 {
    (face.face_box.width * width as f32).min(face.face_box.height * height as f32)
}

/// The stretches of a finished track that become clips: trimmed by the guard at cuts, and split where it is too long.
pub fn spans(track: &Track, shots: &[Span], recipe: &ClipRecipe) -> Vec<Span> {
    stretches(guarded(track, shots, recipe), recipe)
}

/// The first of the [`spans`] of a track that is still being followed: those that no later frame can change.
pub fn final_spans(track: &Track, shots: &[Span], recipe: &ClipRecipe) -> Vec<Span> {
    let mut so_far = guarded(track, shots, recipe);
    // The track may still turn out to end at a cut.
    so_far.end_ms -= recipe.shot_guard_ms;
    split_front(so_far, recipe).0
}

/// Splits a span into stretches that are neither too short nor too long for a clip: first as [`split_front`] does, then
/// the rest as [`even_parts`] does.
pub(super) fn stretches(span: Span, recipe: &ClipRecipe) -> Vec<Span> {
    let (mut spans, rest) = split_front(span, recipe);
    spans.extend(even_parts(rest, recipe));
    spans
}

/// The least and the greatest length of a clip, at least 1 ms each.
fn clip_lengths_ms(recipe: &ClipRecipe) -> (i64, i64) {
    (recipe.min_clip_ms.max(1), recipe.max_clip_ms.max(1))
}

/// Splits stretches of the greatest length off the front of a span while at least the least length remains behind them.
/// Returns the stretches and the rest.
fn split_front(mut rest: Span, recipe: &ClipRecipe) -> (Vec<Span>, Span) {
    let (shortest_ms, longest_ms) = clip_lengths_ms(recipe);
    let mut spans = Vec::new();
    while rest.length_ms() >= longest_ms + shortest_ms {
        let border_ms = rest.start_ms + longest_ms;
        spans.push(Span { end_ms: border_ms, ..rest });
        rest.start_ms = border_ms;
    }
    (spans, rest)
}

/// Splits a span evenly into as few parts as the greatest length allows. If they would be shorter than the least
/// length, there are fewer, and they may be too long.
fn even_parts(span: Span, recipe: &ClipRecipe) -> impl Iterator<Item = Span> + use<> {
    let (shortest_ms, longest_ms) = clip_lengths_ms(recipe);
    let length_ms = span.length_ms();
    let fewest = (length_ms + longest_ms - 1) / longest_ms;
    let count = fewest.clamp(1, (length_ms / shortest_ms).max(1));
    let border = move |at: i64| span.start_ms + length_ms * at / count;
    (0..count).map(move |at| Span { start_ms: border(at), end_ms: border(at + 1) })
}

/// A track's span, trimmed so that it keeps the recipe's guard from the cuts that bound its shot. The trim is reduced
/// where the span would become shorter than a clip.
pub(super) fn guarded(track: &Track, shots: &[Span], recipe: &ClipRecipe) -> Span {
    let Span { start_ms, end_ms } = track.span;
    let shot = shots.get(track.shot).copied().unwrap_or(track.span);
    let wanted = |at_cut: bool, distance_ms: i64| {
        if at_cut { (recipe.shot_guard_ms - distance_ms).max(0) } else { 0 }
    };
    let front_ms = wanted(track.shot > 0, start_ms - shot.start_ms);
    let back_ms = wanted(track.shot + 1 < shots.len(), shot.end_ms - end_ms);
    let spare_ms = (track.span.length_ms() - recipe.min_clip_ms).max(0);
    let allowed = |wanted_ms: i64| match front_ms + back_ms {
        0 => 0,
        both_ms => wanted_ms.min(spare_ms * wanted_ms / both_ms),
    };
    Span { start_ms: start_ms + allowed(front_ms), end_ms: end_ms - allowed(back_ms) }
}

/// Whether a face seen at `t_ms` becomes a sample, when its track's previous face was seen at `before_ms`. The video's
/// time is divided into intervals of `every_ms`; the first face of each becomes a sample. A track's very first face
/// only does where an interval begins with it.
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
    fn final_spans_of_an_open_track_are_the_first_spans_of_the_finished_one() {
        let recipe = ClipRecipe::default();
        let shots = [Span { start_ms: 0, end_ms: 2_000 }, Span { start_ms: 2_000, end_ms: 60_000 }];
        let at_its_end = super::spans(&track(1, 2_000, 60_000, 0.2), &shots, &recipe);
        for end_ms in (4_000..60_000).step_by(200) {
            let so_far = final_spans(&track(1, 2_000, end_ms, 0.2), &shots, &recipe);
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
    fn a_short_clip_without_a_regular_sample_samples_its_middle_look() {
        let track = track(0, 0, 8_000, 0.2);
        let of = |start_ms, end_ms| {
            ClipPlan::new(0, &track, Span { start_ms, end_ms }).only_sample_ms(&ClipRecipe::default())
        };
        assert_eq!((of(1_100, 1_900), of(1_100, 1_300)), (Some(1_600), Some(1_200)));
        assert_eq!((of(1_100, 2_100), of(0, 500), of(1_100, 7_000)), (None, None, None));
    }

    #[test]
    fn the_guard_trims_at_cuts_but_not_at_the_ends_of_the_video() {
        let shots = [(0, 8_000), (8_000, 16_000), (16_000, 24_000)];
        assert_eq!(spans(&scan(&shots, vec![track(1, 8_000, 16_000, 0.2)])), [(8_120, 15_880)]);
        assert_eq!(spans(&scan(&shots, vec![track(0, 0, 8_000, 0.2)])), [(0, 7_880)]);
        assert_eq!(spans(&scan(&shots, vec![track(1, 8_000, 15_950, 0.2)])), [(8_120, 15_880)]);
    }

    #[test]
    fn the_guard_is_reduced_where_a_clip_would_become_too_short() {
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
    fn a_video_without_clips_names_the_latest_rule_that_removed_a_track() {
        let verdict = |tracks| select(&scan(&[(0, 9_000)], tracks), &ClipRecipe::default()).1.verdict();
        assert_eq!(verdict(vec![]), Some(Reason::NoFace));
        assert_eq!(
            verdict(vec![track(0, 0, 3_000, 0.2), track(0, 0, 8_000, 0.01)]),
            Some(Reason::FaceTooBrief)
        );
    }
}

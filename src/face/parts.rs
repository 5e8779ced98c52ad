//! Which stretches of tracks become clips where lists name parts of the video. Pure: a scan, a recipe and the parts in,
//! plans and reasons out.
//!
//! A part is a stretch of time, a face in it, or both. It selects what lies inside that time of every track, or of the
//! one track with that face. A part may be short, so tracks need no minimum length; the rules about the size of the
//! face and the share of looks that show it still apply.

use std::collections::BTreeMap;

use super::select::{self, ClipPlan, Explain};
use crate::config::ClipRecipe;
use crate::failure::Reason;
use crate::types::{Emotion, FaceBox, Scan, Span, Track};

/// A part of a video that a list names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// When; `None` is the whole video.
    pub span: Option<Span>,
    /// Where the face is when the part begins; `None` selects every face.
    pub face: Option<FaceBox>,
    /// The emotion that the list gives it.
    pub emotion: Emotion,
}

/// A clip to cut, and its emotion.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledPlan {
    /// What to cut.
    pub plan: ClipPlan,
    /// The emotion of its part; `None` where the clip takes its video's.
    pub emotion: Option<Emotion>,
}

/// Minimum IoU of a track's face with the face that a list names.
const MIN_FACE_IOU: f32 = 0.3;
/// The track's face is compared at its look nearest to the part's beginning, if that is no farther away than this,
/// milliseconds.
const MAX_LOOK_DISTANCE_MS: i64 = 1_000;
/// A track and a part must share this much time, or half of the part if that is less, milliseconds.
const MIN_SHARED_MS: i64 = 1_000;

/// Plans the clips of a scan: those of the parts, or without any by the usual rules ([`super::select`]). Where two
/// parts select stretches of a track that begin at the same time, that of the first part counts.
pub fn select(scan: &Scan, recipe: &ClipRecipe, parts: &[Part]) -> (Vec<LabelledPlan>, Explain) {
    if parts.is_empty() {
        let (plans, explain) = select::select(scan, recipe);
        return (plans.into_iter().map(|plan| LabelledPlan { plan, emotion: None }).collect(), explain);
    }
    let of_any_length = ClipRecipe { min_clip_ms: 0, ..recipe.clone() };
    let size = (scan.width, scan.height);
    let selected = selected(scan, recipe, parts);
    let mut explain = Explain { tracks: scan.tracks.len(), in_parts: true, ..Explain::default() };
    let mut plans = Vec::new();
    for (at, track) in scan.tracks.iter().enumerate() {
        let of_track = selected.range((at, i64::MIN)..=(at, i64::MAX));
        let mut stretches = of_track.map(|(_, stretch)| *stretch).peekable();
        let verdict = match stretches.peek() {
            Some(_) => select::verdict(track, size, &of_any_length),
            None => Some(Reason::NotListed),
        };
        if explain.keeps(verdict) {
            plans.extend(stretches.map(|(span, emotion)| {
                let plan = ClipPlan::new(at, track, span);
                LabelledPlan { plan, emotion: Some(emotion) }
            }));
        }
    }
    explain.clips = plans.len();
    (plans, explain)
}

/// The stretches of tracks that the parts select, by the track's index and the time at which a stretch begins.
fn selected(scan: &Scan, recipe: &ClipRecipe, parts: &[Part]) -> BTreeMap<(usize, i64), (Span, Emotion)> {
    let mut selected = BTreeMap::new();
    for part in parts {
        let tracks = scan.tracks.iter().enumerate();
        let shared = tracks.filter_map(|(at, track)| Some((at, shared(track, &scan.shots, recipe, part)?)));
        let shared: Vec<(usize, Span)> = match part.face {
            None => shared.collect(),
            Some(face) => best_match(scan, face, part, shared).into_iter().collect(),
        };
        for (at, span) in shared {
            for stretch in select::stretches(span, recipe) {
                selected.entry((at, stretch.start_ms)).or_insert((stretch, part.emotion));
            }
        }
    }
    selected
}

/// The time that a track, trimmed by the guard at cuts, shares with a part; `None` where it is too short or has no look
/// that shows the face.
fn shared(track: &Track, shots: &[Span], recipe: &ClipRecipe, part: &Part) -> Option<Span> {
    let whole = select::guarded(track, shots, recipe);
    let part = part.span.unwrap_or(whole);
    let start_ms = whole.start_ms.max(part.start_ms);
    let shared = Span { start_ms, end_ms: whole.end_ms.min(part.end_ms) };
    let is_seen = track.faces.iter().any(|seen| shared.contains(seen.t_ms));
    (is_seen && shared.length_ms() >= MIN_SHARED_MS.min(part.length_ms() / 2)).then_some(shared)
}

/// The one of some tracks whose face overlaps best with the part's when the part begins; `None` where no overlap
/// reaches [`MIN_FACE_IOU`].
fn best_match(
    scan: &Scan,
    face: FaceBox,
    part: &Part,
    tracks: impl Iterator<Item = (usize, Span)>,
) -> Option<(usize, Span)> {
    let start_ms = part.span.map_or(0, |span| span.start_ms);
    let overlap = |at: usize| {
        let nearest = scan.tracks[at].faces.iter().min_by_key(|seen| (seen.t_ms - start_ms).abs());
        let nearest = nearest.filter(|seen| (seen.t_ms - start_ms).abs() <= MAX_LOOK_DISTANCE_MS);
        nearest.map_or(0.0, |seen| seen.face.face_box.iou(&face))
    };
    let overlaps = tracks.map(|(at, span)| (overlap(at), at, span));
    let matches = overlaps.filter(|(overlap, ..)| *overlap >= MIN_FACE_IOU);
    matches.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, at, span)| (at, span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::fake::face_at;
    use crate::types::SeenFace;

    /// A face that keeps still, with its left edge at `x`.
    fn track(x: f32, start_ms: i64, end_ms: i64, side: f32) -> Track {
        let times = (start_ms..end_ms).step_by(200);
        let faces = times.map(|t_ms| SeenFace { t_ms, face: face_at(x, 0.3, side, side) }).collect();
        Track { shot: 0, span: Span { start_ms, end_ms }, faces, coverage: 1.0 }
    }

    fn scan(tracks: Vec<Track>) -> Scan {
        let shots = vec![Span { start_ms: 0, end_ms: 60_000 }];
        let (duration_ms, frames_decoded, frames_detected) = (60_000, 0, 0);
        Scan { width: 1_000, height: 1_000, duration_ms, shots, tracks, frames_decoded, frames_detected }
    }

    fn part(span: Option<(i64, i64)>, x: Option<f32>, emotion: Emotion) -> Part {
        let span = span.map(|(start_ms, end_ms)| Span { start_ms, end_ms });
        Part { span, face: x.map(|x| FaceBox { x, y: 0.3, width: 0.2, height: 0.2 }), emotion }
    }

    /// Track, start, end and emotion of every plan.
    fn plans(scan: &Scan, parts: &[Part]) -> Vec<(usize, i64, i64, Emotion)> {
        let plans = select(scan, &ClipRecipe::default(), parts).0;
        let of = |LabelledPlan { plan, emotion }: LabelledPlan| {
            (plan.track, plan.span.start_ms, plan.span.end_ms, emotion.unwrap())
        };
        plans.into_iter().map(of).collect()
    }

    #[test]
    fn without_parts_a_video_is_cut_by_the_usual_rules() {
        let scan = scan(vec![track(0.1, 0, 8_000, 0.2), track(0.6, 0, 3_000, 0.2)]);
        let recipe = ClipRecipe::default();
        let (plans, explain) = select::select(&scan, &recipe);
        let (labelled, same) = select(&scan, &recipe, &[]);
        assert_eq!(explain, same);
        assert!(labelled.iter().all(|labelled| labelled.emotion.is_none()));
        assert_eq!(labelled.into_iter().map(|labelled| labelled.plan).collect::<Vec<_>>(), plans);
    }

    #[test]
    fn a_part_with_a_face_selects_that_face_however_short_it_is() {
        let scan = scan(vec![track(0.1, 0, 8_000, 0.2), track(0.6, 0, 8_000, 0.2)]);
        let parts = [
            part(Some((0, 500)), Some(0.62), Emotion::Anger),
            part(Some((5_000, 5_500)), Some(0.1), Emotion::Fear),
        ];
        assert_eq!(plans(&scan, &parts), [(0, 5_000, 5_500, Emotion::Fear), (1, 0, 500, Emotion::Anger)]);
        assert_eq!(plans(&scan, &[part(Some((0, 500)), Some(0.35), Emotion::Fear)]), []);
    }

    #[test]
    fn a_part_without_a_face_selects_every_face_and_one_without_a_time_the_whole_track() {
        let scan = scan(vec![track(0.1, 0, 4_000, 0.2), track(0.6, 0, 12_000, 0.2)]);
        let sad = Emotion::Sadness;
        assert_eq!(
            plans(&scan, &[part(Some((1_000, 3_000)), None, sad)]),
            [(0, 1_000, 3_000, sad), (1, 1_000, 3_000, sad)]
        );
        assert_eq!(
            plans(&scan, &[part(None, Some(0.6), sad)]),
            [(1, 0, 6_000, sad), (1, 6_000, 12_000, sad)]
        );
    }

    #[test]
    fn a_track_must_share_a_second_with_a_part_or_half_of_a_short_one() {
        let fear = Emotion::Fear;
        let scan = scan(vec![track(0.1, 0, 5_200, 0.2), track(0.1, 5_200, 12_000, 0.2)]);
        assert_eq!(plans(&scan, &[part(Some((4_800, 9_000)), None, fear)]), [(1, 5_200, 9_000, fear)]);
        assert_eq!(plans(&scan, &[part(Some((5_000, 5_500)), None, fear)]), [(1, 5_200, 5_500, fear)]);
    }

    #[test]
    fn where_two_parts_select_the_same_stretch_the_first_gives_the_emotion() {
        let scan = scan(vec![track(0.1, 0, 8_000, 0.2)]);
        let parts = [Emotion::Anger, Emotion::Fear].map(|emotion| part(Some((1_000, 2_000)), None, emotion));
        assert_eq!(plans(&scan, &parts), [(0, 1_000, 2_000, Emotion::Anger)]);
    }

    #[test]
    fn every_track_outside_the_parts_has_its_reason() {
        let patchy = Track { coverage: 0.5, ..track(0.1, 0, 8_000, 0.2) };
        let scan = scan(vec![
            track(0.1, 20_000, 30_000, 0.2),
            track(0.4, 0, 8_000, 0.03),
            patchy,
            track(0.6, 0, 3_000, 0.2),
        ]);
        let parts = [part(Some((0, 3_000)), None, Emotion::Fear)];
        let (plans, explain) = select(&scan, &ClipRecipe::default(), &parts);
        let reasons = [Reason::NotListed, Reason::FaceTooSmall, Reason::FaceTooPatchy].map(Some);
        assert_eq!(explain.verdicts[..3], reasons);
        assert_eq!((explain.verdicts[3], explain.kept, plans.len(), explain.clips), (None, 1, 1, 1));
        let elsewhere = [part(Some((50_000, 51_000)), None, Emotion::Fear)];
        let explain = select(&scan, &ClipRecipe::default(), &elsewhere).1;
        assert_eq!(explain.verdict(), Some(Reason::NotListed));
    }
}

//! Which stretches of tracks a list means, where it names parts of a video. Pure: a scan, a recipe and the parts in, plans
//! and reasons out.
//!
//! A part is a stretch of time, a face in it, or both. Of every track that goes on in that time, else of the one whose
//! face is meant, it means what lies inside. Who names a part means it however short it is: no length is asked of the
//! track, but a size of its face and a share of looks that show it.

use std::collections::BTreeMap;

use super::select::{self, ClipPlan, Explain};
use crate::config::ClipRecipe;
use crate::failure::Reason;
use crate::types::{Emotion, FaceBox, Scan, Span, Track};

/// A part of a video that a list names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// When; none is all of the video.
    pub span: Option<Span>,
    /// Where the face is when the part begins; none is every face.
    pub face: Option<FaceBox>,
    /// The label it has.
    pub emotion: Emotion,
}

/// One clip to be cut.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// What to cut.
    pub plan: ClipPlan,
    /// The emotion of the part; none where the clip has its video's.
    pub emotion: Option<Emotion>,
}

/// A face that overlaps less than this with the one in the list is another.
const SAME_FACE_IOU: f32 = 0.3;
/// A face seen this far from the beginning of a part still tells where it was then.
const NEAR_MS: i64 = 1_000;
/// A stretch of a track that is shorter is a sliver at the edge of the part, unless it is half of the part.
const SLIVER_MS: i64 = 1_000;

/// Plans the clips of a scan: those of the parts, or by the usual rules where there is none. Of two stretches of a track
/// that begin together the one of the first part counts.
pub fn select(scan: &Scan, recipe: &ClipRecipe, parts: &[Part]) -> (Vec<Piece>, Explain) {
    if parts.is_empty() {
        let (plans, explain) = select::select(scan, recipe);
        return (plans.into_iter().map(|plan| Piece { plan, emotion: None }).collect(), explain);
    }
    let of_any_length = ClipRecipe { min_clip_ms: 0, ..recipe.clone() };
    let size = (scan.width, scan.height);
    let meant = meant(scan, recipe, parts);
    let mut explain = Explain { tracks: scan.tracks.len(), in_parts: true, ..Explain::default() };
    let mut pieces = Vec::new();
    for (at, track) in scan.tracks.iter().enumerate() {
        let mut stretches = meant.range((at, i64::MIN)..=(at, i64::MAX)).map(|(_, meant)| *meant).peekable();
        let verdict = match stretches.peek() {
            Some(_) => select::verdict(track, size, &of_any_length),
            None => Some(Reason::NotListed),
        };
        if explain.keeps(verdict) {
            pieces.extend(stretches.map(|(span, emotion)| {
                let plan = ClipPlan::new(at, track, span);
                Piece { plan, emotion: Some(emotion) }
            }));
        }
    }
    explain.clips = pieces.len();
    (pieces, explain)
}

/// What the parts mean, by the track and where it begins.
fn meant(scan: &Scan, recipe: &ClipRecipe, parts: &[Part]) -> BTreeMap<(usize, i64), (Span, Emotion)> {
    let mut meant = BTreeMap::new();
    for part in parts {
        let tracks = scan.tracks.iter().enumerate();
        let held = tracks.filter_map(|(at, track)| Some((at, inside(track, &scan.shots, recipe, part)?)));
        let held: Vec<(usize, Span)> = match part.face {
            None => held.collect(),
            Some(face) => the_one(scan, face, part, held).into_iter().collect(),
        };
        for (at, span) in held {
            for stretch in select::stretches(span, recipe, false) {
                meant.entry((at, stretch.start_ms)).or_insert((stretch, part.emotion));
            }
        }
    }
    meant
}

/// What of a track lies inside a part; nothing where that is a sliver, or shows no face.
fn inside(track: &Track, shots: &[Span], recipe: &ClipRecipe, part: &Part) -> Option<Span> {
    let whole = select::guarded(track, shots, recipe);
    let part = part.span.unwrap_or(whole);
    let start_ms = whole.start_ms.max(part.start_ms);
    let inside = Span { start_ms, end_ms: whole.end_ms.min(part.end_ms) };
    let is_seen = track.faces.iter().any(|seen| inside.contains(seen.t_ms));
    (is_seen && inside.length_ms() >= SLIVER_MS.min(part.length_ms() / 2)).then_some(inside)
}

/// The track whose face overlaps best with that of a part when it begins.
fn the_one(
    scan: &Scan,
    face: FaceBox,
    part: &Part,
    held: impl Iterator<Item = (usize, Span)>,
) -> Option<(usize, Span)> {
    let start_ms = part.span.map_or(0, |span| span.start_ms);
    let overlap = |at: usize| {
        let nearest = scan.tracks[at].faces.iter().min_by_key(|seen| (seen.t_ms - start_ms).abs());
        let nearest = nearest.filter(|seen| (seen.t_ms - start_ms).abs() <= NEAR_MS);
        nearest.map_or(0.0, |seen| seen.face.face_box.iou(&face))
    };
    let overlaps = held.map(|(at, span)| (overlap(at), at, span));
    let alike = overlaps.filter(|(overlap, ..)| *overlap >= SAME_FACE_IOU);
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, at, span)| (at, span))
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

    /// Track, start, end and emotion of every piece.
    fn pieces(scan: &Scan, parts: &[Part]) -> Vec<(usize, i64, i64, Emotion)> {
        let pieces = select(scan, &ClipRecipe::default(), parts).0;
        let of = |Piece { plan, emotion }: Piece| {
            (plan.track, plan.span.start_ms, plan.span.end_ms, emotion.unwrap())
        };
        pieces.into_iter().map(of).collect()
    }

    #[test]
    fn a_video_that_no_list_names_in_parts_is_cut_by_the_usual_rules() {
        let scan = scan(vec![track(0.1, 0, 8_000, 0.2), track(0.6, 0, 3_000, 0.2)]);
        let recipe = ClipRecipe::default();
        let (plans, explain) = select::select(&scan, &recipe);
        let (pieces, same) = select(&scan, &recipe, &[]);
        assert_eq!(explain, same);
        assert!(pieces.iter().all(|piece| piece.emotion.is_none()));
        assert_eq!(pieces.into_iter().map(|piece| piece.plan).collect::<Vec<_>>(), plans);
    }

    #[test]
    fn of_two_faces_each_part_means_its_own_however_short_it_is() {
        let scan = scan(vec![track(0.1, 0, 8_000, 0.2), track(0.6, 0, 8_000, 0.2)]);
        let parts = [
            part(Some((0, 500)), Some(0.62), Emotion::Anger),
            part(Some((5_000, 5_500)), Some(0.1), Emotion::Fear),
        ];
        assert_eq!(pieces(&scan, &parts), [(0, 5_000, 5_500, Emotion::Fear), (1, 0, 500, Emotion::Anger)]);
        assert_eq!(pieces(&scan, &[part(Some((0, 500)), Some(0.35), Emotion::Fear)]), []);
    }

    #[test]
    fn a_part_without_a_face_means_every_face_and_one_without_a_time_the_whole_track() {
        let scan = scan(vec![track(0.1, 0, 4_000, 0.2), track(0.6, 0, 12_000, 0.2)]);
        let sad = Emotion::Sadness;
        assert_eq!(
            pieces(&scan, &[part(Some((1_000, 3_000)), None, sad)]),
            [(0, 1_000, 3_000, sad), (1, 1_000, 3_000, sad)]
        );
        assert_eq!(
            pieces(&scan, &[part(None, Some(0.6), sad)]),
            [(1, 0, 6_000, sad), (1, 6_000, 12_000, sad)]
        );
    }

    #[test]
    fn a_sliver_at_the_edge_of_a_part_is_not_meant_and_half_of_a_short_part_is() {
        let fear = Emotion::Fear;
        let scan = scan(vec![track(0.1, 0, 5_200, 0.2), track(0.1, 5_200, 12_000, 0.2)]);
        assert_eq!(pieces(&scan, &[part(Some((4_800, 9_000)), None, fear)]), [(1, 5_200, 9_000, fear)]);
        assert_eq!(pieces(&scan, &[part(Some((5_000, 5_500)), None, fear)]), [(1, 5_200, 5_500, fear)]);
    }

    #[test]
    fn of_parts_that_mean_the_same_stretch_the_first_gives_the_label() {
        let scan = scan(vec![track(0.1, 0, 8_000, 0.2)]);
        let parts = [Emotion::Anger, Emotion::Fear].map(|emotion| part(Some((1_000, 2_000)), None, emotion));
        assert_eq!(pieces(&scan, &parts), [(0, 1_000, 2_000, Emotion::Anger)]);
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
        let (pieces, explain) = select(&scan, &ClipRecipe::default(), &parts);
        let reasons = [Reason::NotListed, Reason::FaceTooSmall, Reason::FaceTooPatchy].map(Some);
        assert_eq!(explain.verdicts[..3], reasons);
        assert_eq!((explain.verdicts[3], explain.kept, pieces.len(), explain.clips), (None, 1, 1, 1));
        let elsewhere = [part(Some((50_000, 51_000)), None, Emotion::Fear)];
        let explain = select(&scan, &ClipRecipe::default(), &elsewhere).1;
        assert_eq!(explain.verdict(), Some(Reason::NotListed));
    }
}

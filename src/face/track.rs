//! Faces of single frames in, tracks of single people out. Knows boxes and time, no pictures and no cuts but those
//! it is told of.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use super::cadence::Cadence;
use super::open_track::{OpenTrack, centre};
use crate::config::ClipRecipe;
use crate::types::{Face, FaceBox, SeenFace, Span, Track};

/// Tracks whose faces overlap by this much may be two people passing each other.
const CROSSING_IOU: f32 = 0.1;
/// A track that was seen on fewer looks may be a false alarm; it does not count as hiding another face.
const ESTABLISHED_LOOKS: usize = 3;
/// Mean distance of the landmarks from where they are expected, in face widths, at which a match is worth nothing.
const FARTHEST: f32 = 1.0;
/// Matches are weighed in whole millionths.
const WHOLE: f32 = 1_000_000.0;

/// Follows the faces of one video. Tell it of every shot, every frame and every looked-at frame, in order. Two of its
/// tracks never have the same face at the same time, and none goes without its face for longer than the recipe allows.
#[derive(Debug)]
pub struct Tracker {
    min_iou: f32,
    max_gap_ms: i64,
    cadence: Cadence,
    shot: usize,
    open: Vec<OpenTrack>,
    ended: Vec<OpenTrack>,
    begun: usize,
}

/// What one look did to the tracks: indices into [`Tracker::open_tracks`] as it is after the look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Tracks that began.
    pub began: Vec<usize>,
    /// Tracks that were there before and whose face was not seen.
    pub missed: Vec<usize>,
}

impl Tracker {
    /// A tracker with a recipe's limits, before the first shot. Until frames have gone by, each is presumed to last
    /// `frame_ms`.
    pub fn new(recipe: &ClipRecipe, frame_ms: i64) -> Self {
        Self {
            min_iou: recipe.min_iou,
            max_gap_ms: recipe.max_gap_ms,
            cadence: Cadence::new(frame_ms),
            shot: 0,
            open: Vec::new(),
            ended: Vec::new(),
            begun: 0,
        }
    }

    /// Ends all tracks: the next frame belongs to the shot with this index.
    pub fn begin_shot(&mut self, shot: usize) {
        self.end_where(|_| true);
        self.shot = shot;
    }

    /// A frame begins. Tell of it before anything that is seen on it. Says whether it comes after so long a pause that
    /// no track goes on.
    pub fn pass(&mut self, t_ms: i64) -> bool {
        for track in &mut self.open {
            track.end_ms = track.end_ms.min(t_ms);
        }
        let before_ms = self.cadence.pass(t_ms);
        before_ms.is_some_and(|before_ms| t_ms - before_ms > self.max_gap_ms)
    }

    /// How long a frame usually lasts, milliseconds.
    pub fn frame_ms(&self) -> i64 {
        self.cadence.frame_ms()
    }

    /// The tracks that may still go on.
    pub fn open_tracks(&self) -> &[OpenTrack] {
        &self.open
    }

    /// The tracks that have ended; the latest come last.
    pub fn ended_tracks(&self) -> &[OpenTrack] {
        &self.ended
    }

    /// Where each open track's face was last.
    pub fn last_boxes(&self) -> Vec<FaceBox> {
        self.open.iter().map(|track| track.last().face.face_box).collect()
    }

    /// Whether a track of this shot, open or ended, has this face already.
    fn is_taken(&self, seen: &SeenFace) -> bool {
        let ended = self.ended.iter().rev().take_while(|track| track.shot == self.shot);
        let overlap = |track: &OpenTrack| {
            let at = track.faces.binary_search_by_key(&seen.t_ms, |other| other.t_ms).ok()?;
            Some(track.faces[at].face.face_box.iou(&seen.face.face_box))
        };
        self.open.iter().chain(ended).filter_map(overlap).any(|overlap| overlap >= self.min_iou)
    }

    /// Takes all faces of one frame: each goes on with the track that it fits best, one to one, or begins one.
    pub fn see(&mut self, t_ms: i64, faces: &[Face]) -> Seen {
        let max_gap_ms = self.max_gap_ms;
        self.end_where(|track| t_ms - track.last().t_ms > max_gap_ms);
        let mut matches = self.matches(t_ms, faces);
        let crossing = self.crossings(faces, &matches);
        for at in crossing.iter().rev() {
            matches.remove(*at);
        }
        self.end_at(&crossing);
        let end_ms = self.cadence.end_of(t_ms);
        for (track, face) in self.open.iter_mut().zip(&matches) {
            match face {
                Some(at) => track.push(SeenFace { t_ms, face: faces[*at] }, end_ms),
                None => track.missed.push(t_ms),
            }
        }
        let missed = (0..self.open.len()).filter(|at| self.open[*at].last().t_ms != t_ms).collect();
        let unmatched: Vec<usize> = (0..faces.len()).filter(|at| !matches.contains(&Some(*at))).collect();
        let first_new = self.open.len();
        for at in unmatched {
            let first = SeenFace { t_ms, face: faces[at] };
            self.open.push(OpenTrack::new((self.begun, self.shot), first, end_ms));
            self.begun += 1;
        }
        Seen { began: (first_new..self.open.len()).collect(), missed }
    }

    /// Adds a face that was found afterwards before the first one of an open track. Times must fall; says whether the
    /// track may have the face: not over too long a gap, and not when another track has it.
    pub fn extend_back(&mut self, track: usize, face: SeenFace) -> bool {
        let gap_ms = self.open[track].first().t_ms - face.t_ms;
        let may = (1..=self.max_gap_ms).contains(&gap_ms) && !self.is_taken(&face);
        if may {
            self.open[track].faces.insert(0, face);
        }
        may
    }

    /// Adds a face that was found afterwards behind the last one of an open track. Times must rise; says whether the
    /// track may have the face, as for [`Tracker::extend_back`].
    pub fn extend(&mut self, track: usize, face: SeenFace) -> bool {
        let gap_ms = face.t_ms - self.open[track].last().t_ms;
        let may = (1..=self.max_gap_ms).contains(&gap_ms) && !self.is_taken(&face);
        if may {
            self.open[track].push(face, self.cadence.end_of(face.t_ms));
        }
        may
    }

    /// All tracks, cut where shots begin, by start.
    pub fn finish(mut self, shots: &[Span]) -> Vec<Track> {
        self.end_where(|_| true);
        let mut tracks: Vec<Track> = self.ended.iter().flat_map(|track| track.pieces(shots)).collect();
        tracks.sort_by_key(|track| (track.span.start_ms, track.span.end_ms));
        tracks
    }

    /// For each open track the index of its face.
    fn matches(&self, t_ms: i64, faces: &[Face]) -> Vec<Option<usize>> {
        if self.open.is_empty() || faces.is_empty() {
            return vec![None; self.open.len()];
        }
        let expected: Vec<FaceBox> = self.open.iter().map(|track| track.expected(t_ms)).collect();
        // One spare column for each track, worth 0: the track may stay without a face.
        let columns = faces.len() + self.open.len();
        let weights = Matrix::from_fn(self.open.len(), columns, |(track, at)| {
            faces.get(at).map_or(0, |face| self.weight(&self.open[track], &expected[track], face))
        });
        let (_, columns) = kuhn_munkres(&weights);
        let fits = |(track, at): (usize, usize)| (at < faces.len() && weights[(track, at)] > 0).then_some(at);
        columns.into_iter().enumerate().map(fits).collect()
    }

    /// How well a track would go on with a face, the more the better; 0 or less when it cannot.
    fn weight(&self, track: &OpenTrack, expected: &FaceBox, face: &Face) -> i64 {
        let last = track.last().face;
        let overlap = expected.iou(&face.face_box).max(last.face_box.iou(&face.face_box));
        if overlap < self.min_iou {
            return -1;
        }
        let moved = [0, 1].map(|axis| centre(expected)[axis] - centre(&last.face_box)[axis]);
        let width = last.face_box.width.max(f32::EPSILON);
        let aspect = last.face_box.height.max(f32::EPSILON) / width;
        let pairs = last.landmarks.iter().zip(&face.landmarks);
        let apart: f32 = pairs
            .map(|(a, b)| ((b[0] - a[0] - moved[0]) / width).hypot((b[1] - a[1] - moved[1]) / width / aspect))
            .sum();
        ((overlap + (FARTHEST - apart / 5.0).max(-0.9 * overlap)) * WHOLE) as i64
    }

    /// Open tracks that must end: where one face hides another, nobody can say whose face comes out again.
    fn crossings(&self, faces: &[Face], matches: &[Option<usize>]) -> Vec<usize> {
        let established = |at: &usize| self.open[*at].faces.len() >= ESTABLISHED_LOOKS;
        let hidden = (0..self.open.len()).filter(|at| matches[*at].is_none()).filter(established);
        let mut ending = Vec::new();
        for hidden in hidden {
            let hidden_box = self.open[hidden].last().face.face_box;
            for (other, face) in matches.iter().enumerate() {
                let Some(face) = face else { continue };
                let before = self.open[other].last().face.face_box;
                if hidden_box.iou(&faces[*face].face_box) > CROSSING_IOU
                    || hidden_box.iou(&before) > CROSSING_IOU
                {
                    ending.extend([hidden, other]);
                }
            }
        }
        ending.sort_unstable();
        ending.dedup();
        ending
    }

    fn end_where(&mut self, ends: impl Fn(&OpenTrack) -> bool) {
        let at: Vec<usize> = (0..self.open.len()).filter(|at| ends(&self.open[*at])).collect();
        self.end_at(&at);
    }

    fn end_at(&mut self, ascending: &[usize]) {
        for at in ascending.iter().rev() {
            self.ended.push(self.open.remove(*at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::fake::face_at;

    const LOOK_MS: i64 = 200;
    const ONE_SHOT: [Span; 1] = [Span { start_ms: 0, end_ms: i64::MAX }];

    fn tracker() -> Tracker {
        Tracker::new(&ClipRecipe::default(), 40)
    }

    /// Lets a tracker see the faces of each look and gives its tracks.
    fn tracks(looks: &[Vec<Face>]) -> Vec<Track> {
        let mut tracker = tracker();
        for (at, faces) in looks.iter().enumerate() {
            tracker.see(at as i64 * LOOK_MS, faces);
        }
        tracker.finish(&ONE_SHOT)
    }

    fn still_at(t_ms: i64) -> SeenFace {
        SeenFace { t_ms, face: still() }
    }

    fn still() -> Face {
        face_at(0.4, 0.4, 0.2, 0.2)
    }

    #[test]
    fn a_still_face_is_one_track_that_ends_after_its_last_frame() {
        let found = tracks(&vec![vec![still()]; 10]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].span, Span { start_ms: 0, end_ms: 9 * LOOK_MS + 40 });
        assert_eq!(found[0].faces.len(), 10);
    }

    #[test]
    fn a_gap_of_half_a_second_is_bridged_and_a_longer_one_is_not() {
        let with_gap = |missing: usize| {
            let looks: Vec<Vec<Face>> = (0..12)
                .map(|at| if (4..4 + missing).contains(&at) { vec![] } else { vec![still()] })
                .collect();
            tracks(&looks).len()
        };
        assert_eq!(with_gap(1), 1);
        assert_eq!(with_gap(2), 2);
    }

    #[test]
    fn no_track_crosses_a_shot() {
        let mut tracker = tracker();
        for at in 0..10 {
            if at == 5 {
                tracker.begin_shot(1);
            }
            tracker.see(at * LOOK_MS, &[still()]);
        }
        let found =
            tracker.finish(&[Span { start_ms: 0, end_ms: 1_000 }, Span { start_ms: 1_000, end_ms: 2_000 }]);
        assert_eq!(
            found.iter().map(|track| (track.shot, track.faces.len())).collect::<Vec<_>>(),
            [(0, 5), (1, 5)]
        );
    }

    #[test]
    fn two_people_who_pass_each_other_are_never_one_track() {
        // The left one walks right and the right one left; in the middle one face hides the other. Heights tell
        // them apart: the first person's face is 0.2 high, the second's 0.24.
        let looks: Vec<Vec<Face>> = (0..21)
            .map(|at| {
                let x = 0.1 + 0.03 * at as f32;
                let first = face_at(x, 0.4, 0.2, 0.2);
                let second = face_at(0.7 - 0.03 * at as f32, 0.4, 0.2, 0.24);
                if first.face_box.iou(&second.face_box) > 0.4 { vec![first] } else { vec![second, first] }
            })
            .collect();
        let found = tracks(&looks);
        for track in &found {
            let heights: Vec<f32> = track.faces.iter().map(|seen| seen.face.face_box.height).collect();
            assert!(heights.iter().all(|height| (height - heights[0]).abs() < 1e-6), "{heights:?}");
        }
        assert!(found.len() >= 4, "both end where one hides the other: {}", found.len());
    }

    #[test]
    fn a_slip_of_the_detector_beside_a_face_does_not_end_its_track() {
        let slip = face_at(0.45, 0.5, 0.15, 0.15);
        let looks: Vec<Vec<Face>> =
            (0..10).map(|at| if at == 5 { vec![still(), slip] } else { vec![still()] }).collect();
        assert_eq!(tracks(&looks).iter().map(|track| track.faces.len()).collect::<Vec<_>>(), [10, 1]);
    }

    #[test]
    fn two_people_who_are_both_seen_all_the_time_keep_their_tracks() {
        let looks: Vec<Vec<Face>> = (0..20)
            .map(|at| {
                let sway = 0.02 * (at % 3) as f32;
                vec![face_at(0.2 + sway, 0.4, 0.2, 0.2), face_at(0.38 - sway, 0.42, 0.2, 0.2)]
            })
            .collect();
        let found = tracks(&looks);
        assert_eq!(found.iter().map(|track| track.faces.len()).collect::<Vec<_>>(), [20, 20]);
    }

    #[test]
    fn no_frame_gives_a_track_two_faces_and_no_face_two_tracks() {
        // Four faces that wander by a rule without pattern.
        let looks: Vec<Vec<Face>> = (0..60_u32)
            .map(|at| {
                let place = |k: u32| {
                    ((at * 7 + k * 31).wrapping_mul(2_654_435_761).wrapping_mul(k + 1) % 97) as f32 / 97.0
                };
                (0..4).map(|k| face_at(place(k) * 0.7, place(k + 9) * 0.7, 0.25, 0.25)).collect()
            })
            .collect();
        let found = tracks(&looks);
        assert_eq!(found.iter().map(|track| track.faces.len()).sum::<usize>(), 240);
        for track in &found {
            assert!(track.faces.windows(2).all(|pair| pair[0].t_ms < pair[1].t_ms));
        }
    }

    #[test]
    fn what_is_found_afterwards_lengthens_a_track_only_outwards() {
        let mut tracker = tracker();
        assert_eq!(tracker.see(400, &[still()]), Seen { began: vec![0], missed: vec![] });
        assert!(tracker.extend_back(0, still_at(320)) && !tracker.extend_back(0, still_at(360)));
        assert_eq!(tracker.see(600, &[]), Seen { began: vec![], missed: vec![0] });
        assert!(tracker.extend(0, still_at(440)) && !tracker.extend(0, still_at(420)));
        let times: Vec<i64> = tracker.finish(&ONE_SHOT)[0].faces.iter().map(|seen| seen.t_ms).collect();
        assert_eq!(times, [320, 400, 440]);
    }

    #[test]
    fn what_is_found_afterwards_does_not_lengthen_a_track_over_a_long_gap() {
        let mut tracker = tracker();
        tracker.see(1_000, &[still()]);
        assert!(!tracker.extend_back(0, still_at(499)) && tracker.extend_back(0, still_at(500)));
        assert!(!tracker.extend(0, still_at(1_501)) && tracker.extend(0, still_at(1_500)));
    }

    #[test]
    fn a_face_that_an_ended_track_has_is_not_given_to_the_next_one() {
        let mut tracker = tracker();
        tracker.see(0, &[still()]);
        tracker.see(200, &[still()]);
        assert_eq!(tracker.see(701, &[still()]), Seen { began: vec![0], missed: vec![] });
        assert!(tracker.extend_back(0, still_at(400)), "nobody had it then");
        assert!(!tracker.extend_back(0, still_at(200)));
        let beside = SeenFace { t_ms: 200, face: face_at(0.7, 0.4, 0.2, 0.2) };
        assert!(tracker.extend_back(0, beside), "another face");
        let lengths: Vec<usize> = tracker.finish(&ONE_SHOT).iter().map(|track| track.faces.len()).collect();
        assert_eq!(lengths, [2, 3]);
    }

    #[test]
    fn a_face_that_another_shot_showed_at_its_place_takes_nothing_away() {
        let mut tracker = tracker();
        tracker.see(0, &[still()]);
        tracker.begin_shot(1);
        tracker.see(200, &[still()]);
        assert!(tracker.extend_back(0, still_at(100)));
    }

    #[test]
    fn a_border_that_is_found_afterwards_cuts_a_track_in_two() {
        let mut tracker = tracker();
        for at in 0..10 {
            let seen = if at == 7 { vec![] } else { vec![still()] };
            tracker.see(at * LOOK_MS, &seen);
        }
        let pieces =
            tracker.finish(&[Span { start_ms: 0, end_ms: 900 }, Span { start_ms: 900, end_ms: 2_000 }]);
        let spans: Vec<_> =
            pieces.iter().map(|t| (t.shot, t.span.start_ms, t.span.end_ms, t.faces.len())).collect();
        assert_eq!(spans, [(0, 0, 900, 5), (1, 1_000, 1_840, 4)]);
        assert_eq!([pieces[0].coverage, pieces[1].coverage], [1.0, 0.8]);
    }

    #[test]
    fn a_pause_makes_no_track_end_later_than_its_frame() {
        let mut tracker = Tracker::new(&ClipRecipe::default(), 9_000);
        // 0.4 s of frames of 40 ms, two minutes of nothing, and a frame of 10 ms.
        for t_ms in (0..=10).map(|at| at * 40).chain([120_400, 120_410]) {
            assert_eq!(tracker.pass(t_ms), t_ms == 120_400, "{t_ms}");
            if t_ms % LOOK_MS == 0 {
                tracker.see(t_ms, &[still()]);
            }
        }
        let found = tracker.finish(&ONE_SHOT);
        let spans: Vec<_> = found.iter().map(|track| (track.span.start_ms, track.span.end_ms)).collect();
        assert_eq!(spans, [(0, 440), (120_400, 120_410)]);
    }

    #[test]
    fn coverage_is_the_share_of_looks_that_saw_the_face_however_far_they_are_apart() {
        let coverage = |looks_ms: &[i64], misses: &[usize]| {
            let mut tracker = tracker();
            for (at, t_ms) in looks_ms.iter().enumerate() {
                let seen = if misses.contains(&at) { vec![] } else { vec![still()] };
                tracker.see(*t_ms, &seen);
            }
            tracker.finish(&ONE_SHOT)[0].coverage
        };
        assert_eq!(coverage(&[0, 200, 400, 600, 800], &[]), 1.0);
        assert_eq!(coverage(&[0, 200, 400, 600, 800], &[2]), 0.8);
        assert_eq!(coverage(&[0, 200, 400, 600, 800], &[4]), 1.0, "after its end nobody asks");
        // At three frames a second, and where that is so for a while.
        assert_eq!(coverage(&[0, 333, 667, 1_000], &[]), 1.0);
        assert_eq!(coverage(&[0, 200, 400, 733, 1_067], &[1]), 0.8);
    }
}

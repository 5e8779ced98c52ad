//! Links the faces of single frames to tracks, each of one person. Takes boxes and times; the caller says where shots
//! begin, and [`FaceCuts`] where another face takes a tracked one's place.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use super::cadence::Cadence;
use super::face_cuts::FaceCuts;
use super::open_track::{OpenTrack, centre};
use crate::config::ClipRecipe;
use crate::types::{Face, FaceBox, SeenFace, Span, Track};

/// If a face is not found and another track's face overlaps its last box by more than this IoU, the two people may be
/// passing each other.
const CROSSING_IOU: f32 = 0.1;
/// A track with fewer faces may be a false detection: that its face is gone does not mean that another hides it.
const ESTABLISHED_LOOKS: usize = 3;
/// Mean distance of the landmarks, in box sizes, at which a match gains nothing over its IoU.
const NEUTRAL_DISTANCE: f32 = 1.0;
/// Share of the IoU that distant landmarks can cost a match at most.
const MAX_PENALTY: f32 = 0.9;
/// Weights of matches are integers, in millionths.
const WEIGHT_SCALE: f32 = 1_000_000.0;

/// Follows the faces of one video. It must be given every shot, every frame and every look, in order. No two of its
/// tracks have the same face at the same time, and none is without its face for longer than the recipe's `max_gap_ms`.
#[derive(Debug)]
pub struct Tracker {
    min_iou: f32,
    max_gap_ms: i64,
    cadence: Cadence,
    shot: usize,
    open: Vec<OpenTrack>,
    ended: Vec<OpenTrack>,
    /// Tracks begun so far: the number of the next one.
    begun: usize,
}

/// What one look changed: indices into [`Tracker::open_tracks`] as it is after the look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Tracks that began.
    pub began: Vec<usize>,
    /// Older tracks whose face was not seen.
    pub missed: Vec<usize>,
}

impl Tracker {
    /// A tracker with a recipe's limits, before the first shot. Frames are presumed to last `frame_ms` until two are
    /// known.
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

    /// Ends all tracks; the next frame belongs to the shot with this index.
    pub fn begin_shot(&mut self, shot: usize) {
        self.end_where(|_| true);
        self.shot = shot;
    }

    /// Adds a frame, which must come before the faces that are seen on it. Returns whether the pause before it is too long
    /// for any track to go on.
    pub fn begin_frame(&mut self, t_ms: i64) -> bool {
        for track in &mut self.open {
            track.end_ms = track.end_ms.min(t_ms);
        }
        let previous_ms = self.cadence.push(t_ms);
        previous_ms.is_some_and(|previous_ms| t_ms - previous_ms > self.max_gap_ms)
    }

    /// Length of the video's last frame, which no other follows, milliseconds.
    pub fn last_frame_ms(&self) -> i64 {
        self.cadence.last_frame_ms()
    }

    /// The tracks that may still go on.
    pub fn open_tracks(&self) -> &[OpenTrack] {
        &self.open
    }

    /// The tracks that have ended, in the order in which they ended.
    pub fn ended_tracks(&self) -> &[OpenTrack] {
        &self.ended
    }

    /// The last box of each open track.
    pub fn last_boxes(&self) -> Vec<FaceBox> {
        self.open.iter().map(|track| track.last().face.face_box).collect()
    }

    /// Whether a track of this shot, open or ended, already has this face at this time.
    fn is_taken(&self, seen: &SeenFace) -> bool {
        let ended = self.ended.iter().rev().take_while(|track| track.shot == self.shot);
        let overlap = |track: &OpenTrack| {
            let at = track.faces.binary_search_by_key(&seen.t_ms, |other| other.t_ms).ok()?;
            Some(track.faces[at].face.face_box.iou(&seen.face.face_box))
        };
        self.open.iter().chain(ended).filter_map(overlap).any(|overlap| overlap >= self.min_iou)
    }

    /// Adds all faces of one look. Each continues at most one track, by the assignment with the greatest total weight, or
    /// begins a new one.
    pub fn see(&mut self, t_ms: i64, faces: &[Face]) -> Changes {
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
            self.open.push(OpenTrack::new(self.begun, self.shot, first, end_ms));
            self.begun += 1;
        }
        Changes { began: (first_new..self.open.len()).collect(), missed }
    }

    /// Adds a face before the first one of an open track, unless the gap is too long, the face is not earlier, or another
    /// track has it. Returns whether it was added.
    pub fn extend_back(&mut self, track: usize, face: SeenFace) -> bool {
        let gap_ms = self.open[track].first().t_ms - face.t_ms;
        let fits = (1..=self.max_gap_ms).contains(&gap_ms) && !self.is_taken(&face);
        if fits {
            self.open[track].faces.insert(0, face);
        }
        fits
    }

    /// Adds a face after the last one of an open track, unless the gap is too long, the face is not later, or another
    /// track has it. Returns whether it was added.
    pub fn extend(&mut self, track: usize, face: SeenFace) -> bool {
        let gap_ms = face.t_ms - self.open[track].last().t_ms;
        let fits = (1..=self.max_gap_ms).contains(&gap_ms) && !self.is_taken(&face);
        if fits {
            self.open[track].push(face, self.cadence.end_of(face.t_ms));
        }
        fits
    }

    /// Splits tracks where another picture begins in the place of their face.
    pub fn split_at(&mut self, cuts: &FaceCuts) {
        let ended = self.ended.iter_mut().rev().take_while(|track| track.last().t_ms >= cuts.oldest_ms());
        self.open.iter_mut().chain(ended).for_each(|track| track.split_at(cuts));
    }

    /// All tracks, split by these shots and where other pictures begin in their faces' places, in order of their starts.
    pub fn finish(mut self, shots: &[Span]) -> Vec<Track> {
        self.end_where(|_| true);
        let mut tracks: Vec<Track> = self.ended.iter().flat_map(|track| track.pieces(shots)).collect();
        tracks.sort_by_key(|track| (track.span.start_ms, track.span.end_ms));
        tracks
    }

    /// The index of each open track's face: the assignment with the greatest total weight (Kuhn–Munkres).
    fn matches(&self, t_ms: i64, faces: &[Face]) -> Vec<Option<usize>> {
        if self.open.is_empty() || faces.is_empty() {
            return vec![None; self.open.len()];
        }
        let expected: Vec<FaceBox> = self.open.iter().map(|track| track.expected(t_ms)).collect();
        // One spare column for each track, of weight 0: the track may stay without a face.
        let columns = faces.len() + self.open.len();
        let weights = Matrix::from_fn(self.open.len(), columns, |(track, at)| {
            faces.get(at).map_or(0, |face| self.weight(&self.open[track], &expected[track], face))
        });
        let (_, columns) = kuhn_munkres(&weights);
        let fits = |(track, at): (usize, usize)| (at < faces.len() && weights[(track, at)] > 0).then_some(at);
        columns.into_iter().enumerate().map(fits).collect()
    }

    /// Weight of continuing a track with a face: `o + max(1 − d, −0.9·o)` in millionths, or −1 if `o < min_iou`.
    ///
    /// `o` is the IoU of the face's box with the track's expected or its last box, whichever is greater. `d` is the mean
    /// distance of the five landmarks from their last places, moved as the box is expected to move; horizontally in widths
    /// and vertically in heights of the last box. The weight is at least `o/10`, so that any face that overlaps enough
    /// beats none.
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
        let distances: f32 = pairs
            .map(|(a, b)| ((b[0] - a[0] - moved[0]) / width).hypot((b[1] - a[1] - moved[1]) / width / aspect))
            .sum();
        let gain = (NEUTRAL_DISTANCE - distances / 5.0).max(-MAX_PENALTY * overlap);
        ((overlap + gain) * WEIGHT_SCALE) as i64
    }

    /// Indices of open tracks that must end, ascending: where one face hides another, it is unknown whose face appears
    /// next.
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

    /// Ends the open tracks for which `ends` holds.
    fn end_where(&mut self, ends: impl Fn(&OpenTrack) -> bool) {
        let at: Vec<usize> = (0..self.open.len()).filter(|at| ends(&self.open[*at])).collect();
        self.end_at(&at);
    }

    /// Ends the open tracks with these indices, which ascend.
    fn end_at(&mut self, ascending: &[usize]) {
        for at in ascending.iter().rev() {
            self.ended.push(self.open.remove(*at));
        }
    }
}

#[cfg(test)]
mod tests;

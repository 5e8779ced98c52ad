//! Finds duplicate footage by how faces move: whether two clips show the same recording. Pure; knows no catalog.
//!
//! Aligned faces all look alike, but nobody moves twice in the same way at the same place of the picture. Another
//! encoding or size hardly changes the motion, and a trimmed start only shifts it. Three limits: a face that keeps still
//! cannot be compared; a cropped or mirrored copy is not found, as its face is at another place; nor may be a copy with
//! another frame rate.

use crate::types::{SeenFace, Span};

/// Moments of a [`Motion`] a second.
const MOMENTS_PER_S: i64 = 10;
const STEP_MS: i64 = 1_000 / MOMENTS_PER_S;
/// Left eye, right eye and the middle of the mouth, x and y of each.
const VALUES: usize = 6;
/// Two motions must overlap in at least this many moments, which is 4 s.
const MIN_MOMENTS: usize = 4 * MOMENTS_PER_S as usize;
/// Maximum [`MotionMatch::distance`] of duplicates. Measured on 239 clips of 96 drawn films: among the 12,491 pairs of
/// clips of different films whose faces come close, the least distance is 0.066, and 0.091 among those that also
/// correlate. Copies of real videos stay below 0.061, except those with another frame rate.
const MAX_DISTANCE: f32 = 0.065;
/// Minimum [`MotionMatch::correlation`] of duplicates.
const MIN_CORRELATION: f32 = 0.95;
/// Share of the moments that count for the distance, the closest ones; in the others landmarks may jump, as those of
/// faces that are half turned away do.
const COUNTED_SHARE: f32 = 0.8;
/// A face that moves less than this keeps still: root mean square deviation of the values from their means, in
/// distances between the eyes.
const MIN_MOTION: f32 = 0.04;
/// Stored values lie between `STORED_FROM` and `STORED_FROM + STORED_RANGE`, in widths of the picture.
const STORED_FROM: f32 = -1.0;
const STORED_RANGE: f32 = 4.0;

/// Where a face's eyes and mouth are, ten times a second from the clip's start, in widths of the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Motion {
    moments: Vec<[f32; VALUES]>,
    /// The least and the greatest of each value.
    bounds: [[f32; 2]; VALUES],
}

/// How two motions compare at the shift at which they are closest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MotionMatch {
    /// By how much the second clip begins later in the footage than the first, milliseconds.
    pub shift_ms: i64,
    /// Distance of the points, in distances between the first face's eyes: root mean square over the closest four
    /// fifths of the moments.
    pub distance: f32,
    /// Pearson's r over all values, each less its mean.
    pub correlation: f32,
}

impl MotionMatch {
    /// Whether the clips are duplicates: their footage is the same.
    pub fn is_duplicate(&self) -> bool {
        self.distance <= MAX_DISTANCE && self.correlation >= MIN_CORRELATION
    }
}

impl Motion {
    fn new(moments: Vec<[f32; VALUES]>) -> Self {
        let bounds = std::array::from_fn(|at| {
            let values = moments.iter().map(|moment| moment[at]);
            values.fold([f32::MAX, f32::MIN], |[least, most], value| [least.min(value), most.max(value)])
        });
        Self { moments, bounds }
    }

    /// The motion of a clip's face, in pictures of this width and height. Between looks, values are interpolated.
    pub fn of(faces: &[SeenFace], span: Span, (width, height): (u32, u32)) -> Self {
        let aspect = height as f32 / width.max(1) as f32;
        let moments = span.length_ms() / STEP_MS;
        let at = |moment: i64| values_at(faces, span.start_ms + moment * STEP_MS, aspect);
        Self::new((0..moments).map_while(at).collect())
    }

    /// The values of all moments as little-endian `u16`, `round((value + 1) / 4 · 65,535)`, clamped.
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored = |value: &f32| {
            ((value - STORED_FROM) / STORED_RANGE * f32::from(u16::MAX)).round().clamp(0.0, 65_535.0) as u16
        };
        self.moments.iter().flatten().flat_map(|value| stored(value).to_le_bytes()).collect()
    }

    /// The motion that [`Motion::to_bytes`] wrote; an incomplete last moment is dropped.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let value = |pair: &[u8]| {
            f32::from(u16::from_le_bytes([pair[0], pair[1]])) / f32::from(u16::MAX) * STORED_RANGE
                + STORED_FROM
        };
        let moment = |bytes: &[u8]| std::array::from_fn(|at| value(&bytes[2 * at..2 * at + 2]));
        Self::new(bytes.chunks_exact(2 * VALUES).map(moment).collect())
    }

    /// Compares two motions at every shift and returns the closest match. `None` if they are never close, one is
    /// shorter than 4 s, or a face keeps still.
    pub fn best_match(&self, other: &Self) -> Option<MotionMatch> {
        let (mine, theirs) = (self.moments.len(), other.moments.len());
        if mine < MIN_MOMENTS || theirs < MIN_MOMENTS || !self.may_match(other) {
            return None;
        }
        let latest = (mine - MIN_MOMENTS) as i64;
        let earliest = -((theirs - MIN_MOMENTS) as i64);
        let shifted = |shift: i64| {
            let (a, b) = (&self.moments[shift.max(0) as usize..], &other.moments[(-shift).max(0) as usize..]);
            let length = a.len().min(b.len());
            compare(&a[..length], &b[..length]).map(|(distance, correlation)| MotionMatch {
                shift_ms: shift * STEP_MS,
                distance,
                correlation,
            })
        };
        (earliest..=latest).filter_map(shifted).min_by(|a, b| a.distance.total_cmp(&b.distance))
    }

    /// Whether the ranges of every value overlap, or nearly do.
    fn may_match(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.bounds, other.bounds);
        (0..VALUES).all(|at| {
            mine[at][0] <= theirs[at][1] + MAX_DISTANCE && theirs[at][0] <= mine[at][1] + MAX_DISTANCE
        })
    }
}

/// An index of motions by the leftmost position of the left eye, so that not all pairs must be compared.
pub struct MotionIndex {
    /// The leftmost position of a motion's left eye, and the motion's index; ascending.
    by_left: Vec<(f32, usize)>,
    /// The greatest horizontal range of a left eye.
    max_range: f32,
}

impl MotionIndex {
    /// An index of these motions.
    pub fn of(motions: &[Motion]) -> Self {
        let of_left_eye = motions.iter().map(|motion| motion.bounds[0]);
        let max_range = of_left_eye.clone().map(|[least, most]| most - least).fold(0.0, f32::max);
        let mut by_left: Vec<(f32, usize)> = of_left_eye.map(|[least, _]| least).zip(0..).collect();
        by_left.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        Self { by_left, max_range }
    }

    /// The indices of all motions that may match this one, unordered. For all others [`Motion::best_match`] is `None`.
    pub fn candidates(&self, motion: &Motion) -> impl Iterator<Item = usize> {
        let [least, most] = motion.bounds[0];
        // The margin covers rounding errors.
        let slack = MAX_DISTANCE + 0.001;
        let first = self.by_left.partition_point(|(left, _)| *left < least - self.max_range - slack);
        let after = self.by_left.partition_point(|(left, _)| *left <= most + slack);
        self.by_left[first.min(after)..after].iter().map(|(_, at)| *at)
    }
}

/// [`MotionMatch::distance`] and [`MotionMatch::correlation`] of two motions of one length; `None` if a face keeps
/// still.
fn compare(a: &[[f32; VALUES]], b: &[[f32; VALUES]]) -> Option<(f32, f32)> {
    let count = (a.len() * VALUES) as f32;
    let mean = |moments: &[[f32; VALUES]]| -> [f32; VALUES] {
        std::array::from_fn(|at| moments.iter().map(|moment| moment[at]).sum::<f32>() / moments.len() as f32)
    };
    let (mean_a, mean_b) = (mean(a), mean(b));
    let eye_distance = (mean_a[2] - mean_a[0]).hypot(mean_a[3] - mean_a[1]).max(1e-6);
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    let mut squares = Vec::with_capacity(a.len());
    for (x, y) in a.iter().zip(b) {
        squares.push(x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f32>());
        for at in 0..VALUES {
            let (from_a, from_b) = (x[at] - mean_a[at], y[at] - mean_b[at]);
            both += from_a * from_b;
            of_a += from_a * from_a;
            of_b += from_b * from_b;
        }
    }
    let moves = |sum: f32| (sum / count).sqrt() / eye_distance >= MIN_MOTION;
    if !moves(of_a) || !moves(of_b) {
        return None;
    }
    squares.sort_unstable_by(f32::total_cmp);
    let counted = &squares[..((squares.len() as f32 * COUNTED_SHARE) as usize).max(1)];
    // Each moment has VALUES / 2 points.
    let mean_square = counted.iter().sum::<f32>() / (counted.len() * VALUES / 2) as f32;
    Some((mean_square.sqrt() / eye_distance, both / (of_a * of_b).sqrt()))
}

/// The values at a time, interpolated between the looks before and after it; `None` without looks.
fn values_at(faces: &[SeenFace], t_ms: i64, aspect: f32) -> Option<[f32; VALUES]> {
    let after = faces.partition_point(|seen| seen.t_ms <= t_ms);
    let (before, next) = match (after.checked_sub(1).map(|at| &faces[at]), faces.get(after)) {
        (Some(before), Some(next)) => (before, next),
        (Some(only), None) | (None, Some(only)) => (only, only),
        (None, None) => return None,
    };
    let share = (t_ms - before.t_ms).max(0) as f32 / (next.t_ms - before.t_ms).max(1) as f32;
    let (a, b) = (values(before, aspect), values(next, aspect));
    Some(std::array::from_fn(|at| a[at] * (1.0 - share) + b[at] * share))
}

/// The values of one face, in widths of the picture.
fn values(seen: &SeenFace, aspect: f32) -> [f32; VALUES] {
    let [left, right, _, mouth_left, mouth_right] = seen.face.landmarks;
    let mouth = [(mouth_left[0] + mouth_right[0]) / 2.0, (mouth_left[1] + mouth_right[1]) / 2.0];
    [left[0], left[1] * aspect, right[0], right[1] * aspect, mouth[0], mouth[1] * aspect]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Face, FaceBox};

    const SIZE: (u32, u32) = (1_280, 720);

    /// A head that sways differently for each `person`, seen every `every_ms` from `from_ms` of its motion on.
    fn faces(person: u64, from_ms: i64, length_ms: i64, every_ms: i64) -> Vec<SeenFace> {
        let sway = |t_ms: i64, of: u64| {
            let t = t_ms as f32 / 1_000.0;
            let waves = (1..5_u64).map(|wave| {
                let chance = (person * 7 + of * 3 + wave).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                (t * (0.5 + (chance % 97) as f32 / 97.0) * wave as f32 + chance as f32 / 1e5).sin()
                    / wave as f32
            });
            waves.sum::<f32>() * 0.01
        };
        (0..length_ms / every_ms)
            .map(|look| {
                let (t_ms, motion_ms) = (look * every_ms, from_ms + look * every_ms);
                let (x, y) = (0.5 + sway(motion_ms, 1), 0.4 + sway(motion_ms, 2));
                let landmarks =
                    [[x - 0.03, y], [x + 0.03, y], [x, y + 0.05], [x - 0.02, y + 0.1], [x + 0.02, y + 0.1]];
                let face_box = FaceBox { x: x - 0.05, y: y - 0.1, width: 0.1, height: 0.25 };
                SeenFace { t_ms, face: Face { face_box, landmarks, detector_score: 1.0 } }
            })
            .collect()
    }

    fn motion(person: u64, from_ms: i64, length_ms: i64, every_ms: i64) -> Motion {
        let faces = faces(person, from_ms, length_ms, every_ms);
        Motion::of(&faces, Span { start_ms: 0, end_ms: length_ms }, SIZE)
    }

    #[test]
    fn a_trimmed_copy_with_other_looks_is_a_duplicate() {
        let first = motion(1, 0, 9_000, 200);
        let copy = Motion::from_bytes(&motion(1, 2_370, 6_500, 167).to_bytes());
        let best = first.best_match(&copy).unwrap();
        assert!(best.is_duplicate() && (2_300..=2_400).contains(&best.shift_ms), "{best:?}");
        assert_eq!(copy.best_match(&first).unwrap().shift_ms, -best.shift_ms);
    }

    #[test]
    fn another_head_at_the_same_place_is_not_a_duplicate() {
        for person in 2..40 {
            let best = motion(1, 0, 9_000, 200).best_match(&motion(person, 0, 9_000, 200));
            assert!(!best.is_some_and(|best| best.is_duplicate()), "{person}: {best:?}");
        }
    }

    #[test]
    fn a_face_that_keeps_still_and_a_short_motion_match_nothing() {
        let still: Vec<SeenFace> = faces(1, 0, 9_000, 200)
            .into_iter()
            .map(|seen| SeenFace { face: faces(1, 0, 200, 200)[0].face, ..seen })
            .collect();
        let still = Motion::of(&still, Span { start_ms: 0, end_ms: 9_000 }, SIZE);
        assert_eq!(still.best_match(&still), None);
        let brief = motion(1, 0, 3_900, 200);
        assert_eq!(brief.best_match(&motion(1, 0, 9_000, 200)), None);
    }

    #[test]
    fn the_index_gives_every_match_and_not_every_motion() {
        let mut motions: Vec<Motion> = (0..60)
            .map(|person| {
                let mut motion = motion(person % 20, 0, 6_000, 200);
                let aside = (person * 7 % 11) as f32 * 0.05;
                motion.moments.iter_mut().flatten().for_each(|value| *value += aside);
                Motion::from_bytes(&Motion::new(motion.moments).to_bytes())
            })
            .collect();
        motions.extend([Motion::from_bytes(&[]), motion(1, 0, 1_000, 200)]);
        let index = MotionIndex::of(&motions);
        let (mut candidates, mut matches) = (0, 0);
        for motion in &motions {
            let mut found: Vec<usize> = index.candidates(motion).collect();
            found.sort_unstable();
            let has_match = |at: &usize| motion.best_match(&motions[*at]).is_some();
            let expected: Vec<usize> = (0..motions.len()).filter(has_match).collect();
            candidates += found.len();
            matches += expected.len();
            found.retain(has_match);
            assert_eq!(found, expected);
        }
        let pairs = motions.len() * motions.len();
        assert!(matches > 60 && candidates < pairs * 3 / 4, "{matches} {candidates}");
    }
}

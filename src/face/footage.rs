//! Whether two clips show the same footage, told from how a face moves and not from how it looks: aligned faces all look
//! alike, but nobody nods twice in the same way at the same place of the picture. Encoding again, another size and another
//! frame rate change little of it; a trimmed beginning only shifts it. Pure; knows no catalog.
//!
//! A face that keeps still says nothing, and a cropped or mirrored copy is another place: neither is ever the same.

use crate::types::{SeenFace, Span};

/// Moments a second of a [`Motion`].
const PER_S: i64 = 10;
const STEP_MS: i64 = 1_000 / PER_S;
/// Left eye, right eye and the middle of the mouth, x and y of each.
const VALUES: usize = 6;
/// Two clips must agree for at least so many moments.
const LEAST_MOMENTS: usize = 4 * PER_S as usize;
/// Same footage is the same place: the points may be this far apart, in eye distances (root mean square over the nearest
/// [`HEEDED`] of the moments). Of 239 clips of 96 drawn films, 12,491 pairs whose faces meet, no pair of different films
/// comes below 0.066, and none that also moves together below 0.091; copies of real videos stay below 0.061, but for
/// those of another frame rate.
const MOST_APART: f32 = 0.065;
/// And it moves together: Pearson's r over all values.
const LEAST_CORRELATION: f32 = 0.95;
/// Share of the moments that count: on the others landmarks may jump, as they do on faces half turned away.
const HEEDED: f32 = 0.8;
/// A face that moves less than this says nothing, in eye distances (standard deviation).
const LEAST_MOTION: f32 = 0.04;
/// Values are stored from this far left of and above the picture, to this far beyond it, in widths of the picture.
const FROM: f32 = -1.0;
const REACH: f32 = 4.0;

/// Where a face's eyes and mouth are, ten times a second from a clip's start, in widths of the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Motion {
    moments: Vec<[f32; VALUES]>,
    /// The least and the greatest of each value.
    bounds: [[f32; 2]; VALUES],
}

/// How alike two motions are where they are most alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// The second one begins so much later than the first, milliseconds of the footage.
    pub shift_ms: i64,
    /// How far their points are apart, eye distances (root mean square over the nearest four fifths of the moments).
    pub apart: f32,
    /// Pearson's r of all values, their means taken away.
    pub correlation: f32,
}

impl Likeness {
    /// Whether it is the same footage.
    pub fn is_same(&self) -> bool {
        self.apart <= MOST_APART && self.correlation >= LEAST_CORRELATION
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

    /// The motion of a clip's face in pictures of this size; between looks it is taken to move in a straight line.
    pub fn of(faces: &[SeenFace], span: Span, (width, height): (u32, u32)) -> Self {
        let aspect = height as f32 / width.max(1) as f32;
        let moments = span.length_ms() / STEP_MS;
        let at = |moment: i64| values_at(faces, span.start_ms + moment * STEP_MS, aspect);
        Self::new((0..moments).map_while(at).collect())
    }

    /// Two bytes a value.
    pub fn to_bytes(&self) -> Vec<u8> {
        let byte =
            |value: &f32| ((value - FROM) / REACH * f32::from(u16::MAX)).round().clamp(0.0, 65_535.0) as u16;
        self.moments.iter().flatten().flat_map(|value| byte(value).to_le_bytes()).collect()
    }

    /// What [`Motion::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let value = |pair: &[u8]| {
            f32::from(u16::from_le_bytes([pair[0], pair[1]])) / f32::from(u16::MAX) * REACH + FROM
        };
        let moment = |bytes: &[u8]| std::array::from_fn(|at| value(&bytes[2 * at..2 * at + 2]));
        Self::new(bytes.chunks_exact(2 * VALUES).map(moment).collect())
    }

    /// How alike two motions are at best; nothing when one of them is too short, or says nothing.
    pub fn likeness(&self, other: &Self) -> Option<Likeness> {
        let (mine, theirs) = (self.moments.len(), other.moments.len());
        if mine < LEAST_MOMENTS || theirs < LEAST_MOMENTS || !self.may_meet(other) {
            return None;
        }
        let latest = (mine - LEAST_MOMENTS) as i64;
        let earliest = -((theirs - LEAST_MOMENTS) as i64);
        let shifted = |shift: i64| {
            let (a, b) = (&self.moments[shift.max(0) as usize..], &other.moments[(-shift).max(0) as usize..]);
            let length = a.len().min(b.len());
            compare(&a[..length], &b[..length]).map(|(apart, correlation)| Likeness {
                shift_ms: shift * STEP_MS,
                apart,
                correlation,
            })
        };
        (earliest..=latest).filter_map(shifted).min_by(|a, b| a.apart.total_cmp(&b.apart))
    }

    /// False when the faces are never at the same place.
    fn may_meet(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.bounds, other.bounds);
        (0..VALUES)
            .all(|at| mine[at][0] <= theirs[at][1] + MOST_APART && theirs[at][0] <= mine[at][1] + MOST_APART)
    }
}

/// Motions in the order of their leftmost places, so that one of them need not be compared with all others.
pub struct Places {
    /// The leftmost place of a left eye, and which motion's it is; ascending.
    by_left: Vec<(f32, usize)>,
    /// No left eye moves farther than this.
    farthest: f32,
}

impl Places {
    /// Those of many motions.
    pub fn of(motions: &[Motion]) -> Self {
        let of_left_eye = motions.iter().map(|motion| motion.bounds[0]);
        let farthest = of_left_eye.clone().map(|[least, most]| most - least).fold(0.0, f32::max);
        let mut by_left: Vec<(f32, usize)> = of_left_eye.map(|[least, _]| least).zip(0..).collect();
        by_left.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        Self { by_left, farthest }
    }

    /// Which motions may be at the place of this one, in no order; of those that are left out, [`Motion::likeness`] is
    /// `None`.
    pub fn near(&self, motion: &Motion) -> impl Iterator<Item = usize> {
        let [least, most] = motion.bounds[0];
        // A little more on both sides: sums of such numbers are rounded.
        let slack = MOST_APART + 0.001;
        let first = self.by_left.partition_point(|(left, _)| *left < least - self.farthest - slack);
        let after = self.by_left.partition_point(|(left, _)| *left <= most + slack);
        self.by_left[first.min(after)..after].iter().map(|(_, at)| *at)
    }
}

/// How far two stretches of one length are apart, and how they move together; nothing where one keeps still.
fn compare(a: &[[f32; VALUES]], b: &[[f32; VALUES]]) -> Option<(f32, f32)> {
    let count = (a.len() * VALUES) as f32;
    let mean = |moments: &[[f32; VALUES]]| -> [f32; VALUES] {
        std::array::from_fn(|at| moments.iter().map(|moment| moment[at]).sum::<f32>() / moments.len() as f32)
    };
    let (mean_a, mean_b) = (mean(a), mean(b));
    let eyes = (mean_a[2] - mean_a[0]).hypot(mean_a[3] - mean_a[1]).max(1e-6);
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    let mut apart = Vec::with_capacity(a.len());
    for (x, y) in a.iter().zip(b) {
        apart.push(x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f32>());
        for at in 0..VALUES {
            let (from_a, from_b) = (x[at] - mean_a[at], y[at] - mean_b[at]);
            both += from_a * from_b;
            of_a += from_a * from_a;
            of_b += from_b * from_b;
        }
    }
    let moves = |sum: f32| (sum / count).sqrt() / eyes >= LEAST_MOTION;
    if !moves(of_a) || !moves(of_b) {
        return None;
    }
    apart.sort_unstable_by(f32::total_cmp);
    let heeded = &apart[..((apart.len() as f32 * HEEDED) as usize).max(1)];
    // A point has two values.
    let mean_square = heeded.iter().sum::<f32>() / (heeded.len() * VALUES / 2) as f32;
    Some((mean_square.sqrt() / eyes, both / (of_a * of_b).sqrt()))
}

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

    /// A head that sways in a way of its own, looked at every 200 ms from `from_ms` of its life on.
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
                let (t_ms, life_ms) = (look * every_ms, from_ms + look * every_ms);
                let (x, y) = (0.5 + sway(life_ms, 1), 0.4 + sway(life_ms, 2));
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
    fn a_trimmed_copy_looked_at_in_another_beat_is_the_same_footage() {
        let first = motion(1, 0, 9_000, 200);
        let copy = Motion::from_bytes(&motion(1, 2_370, 6_500, 167).to_bytes());
        let likeness = first.likeness(&copy).unwrap();
        assert!(likeness.is_same() && (2_300..=2_400).contains(&likeness.shift_ms), "{likeness:?}");
        assert_eq!(copy.likeness(&first).unwrap().shift_ms, -likeness.shift_ms);
    }

    #[test]
    fn another_head_at_the_same_place_is_not() {
        for person in 2..40 {
            let likeness = motion(1, 0, 9_000, 200).likeness(&motion(person, 0, 9_000, 200));
            assert!(!likeness.is_some_and(|likeness| likeness.is_same()), "{person}: {likeness:?}");
        }
    }

    #[test]
    fn a_face_that_keeps_still_and_a_brief_one_say_nothing() {
        let still: Vec<SeenFace> = faces(1, 0, 9_000, 200)
            .into_iter()
            .map(|seen| SeenFace { face: faces(1, 0, 200, 200)[0].face, ..seen })
            .collect();
        let still = Motion::of(&still, Span { start_ms: 0, end_ms: 9_000 }, SIZE);
        assert_eq!(still.likeness(&still), None);
        let brief = motion(1, 0, 3_900, 200);
        assert_eq!(brief.likeness(&motion(1, 0, 9_000, 200)), None);
    }

    #[test]
    fn all_that_are_like_one_are_near_it_and_not_all_are_near() {
        let mut motions: Vec<Motion> = (0..60)
            .map(|person| {
                let mut motion = motion(person % 20, 0, 6_000, 200);
                let aside = (person * 7 % 11) as f32 * 0.05;
                motion.moments.iter_mut().flatten().for_each(|value| *value += aside);
                Motion::from_bytes(&Motion::new(motion.moments).to_bytes())
            })
            .collect();
        motions.extend([Motion::from_bytes(&[]), motion(1, 0, 1_000, 200)]);
        let places = Places::of(&motions);
        let (mut near, mut meet) = (0, 0);
        for motion in &motions {
            let mut found: Vec<usize> = places.near(motion).collect();
            found.sort_unstable();
            let alike = |at: &usize| motion.likeness(&motions[*at]).is_some();
            let plainly: Vec<usize> = (0..motions.len()).filter(alike).collect();
            near += found.len();
            meet += plainly.len();
            found.retain(alike);
            assert_eq!(found, plainly);
        }
        assert!(meet > 60 && near < motions.len() * motions.len() * 3 / 4, "{meet} {near}");
    }
}

//! The steady window that a clip shows of its video: square, sub-pixel, following the face slowly. Pure.
//!
//! Declared as `smooth`: the face's centre and size are taken every 40 ms (between looks in a straight line), freed of
//! jumps by a median over half a second, then smoothed by a Gaussian of 0.2 s, and the window is moved inside the
//! picture where it fits.

use crate::face::align::Similarity;
use crate::types::SeenFace;

const STEP_MS: i64 = 40;
/// Half of the median's window, steps: 13 steps are half a second.
const MEDIAN_REACH: usize = 6;
/// The Gaussian's standard deviation, steps: 0.2 s.
const SIGMA_STEPS: f32 = 5.0;

/// A square in pixels of the source picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    /// Its middle, x.
    pub(super) x: f32,
    /// Its middle, y.
    pub(super) y: f32,
    /// Its width and height.
    pub(super) side: f32,
}

impl Window {
    /// Maps the pixels of a picture `side_px` wide to the source's pixels under this window.
    pub(super) fn to_source(self, side_px: u32) -> Similarity {
        let scale = self.side / side_px as f32;
        let corner = |middle: f32| middle - self.side / 2.0 + scale / 2.0 - 0.5;
        Similarity { a: scale, b: 0.0, dx: corner(self.x), dy: corner(self.y) }
    }
}

/// The window at every time of one clip.
#[derive(Debug)]
pub(super) struct Framing {
    start_ms: i64,
    /// Centre x, centre y and side, every `STEP_MS`, in pixels.
    path: Vec<[f32; 3]>,
    picture: (f32, f32),
}

impl Framing {
    /// Follows `faces` (ascending, not empty) in pictures of this size; the window is `margin` times the face's box.
    pub(super) fn follow(faces: &[SeenFace], (width, height): (u32, u32), margin: f32) -> Self {
        let picture = (width as f32, height as f32);
        let place = |seen: &SeenFace| {
            let face_box = seen.face.face_box;
            let side = (face_box.width * picture.0).max(face_box.height * picture.1) * margin;
            let x = (face_box.x + face_box.width / 2.0) * picture.0;
            [x, (face_box.y + face_box.height / 2.0) * picture.1, side]
        };
        let start_ms = faces.first().map_or(0, |seen| seen.t_ms);
        let end_ms = faces.last().map_or(0, |seen| seen.t_ms);
        let points: Vec<(i64, [f32; 3])> = faces.iter().map(|seen| (seen.t_ms, place(seen))).collect();
        let times = (start_ms..=end_ms + STEP_MS).step_by(STEP_MS as usize);
        let path: Vec<[f32; 3]> = times.map(|t_ms| between(&points, t_ms)).collect();
        Self { start_ms, path: gaussian(&median(&path)), picture }
    }

    /// The window at one time; before and after the faces it stands still.
    pub(super) fn window(&self, t_ms: i64) -> Window {
        let last = self.path.len() - 1;
        let step = ((t_ms - self.start_ms) as f32 / STEP_MS as f32).clamp(0.0, last as f32);
        let (at, share) = (step as usize, step.fract());
        let (a, b) = (self.path[at], self.path[(at + 1).min(last)]);
        let [x, y, side] = std::array::from_fn(|axis| a[axis] * (1.0 - share) + b[axis] * share);
        let side = f32::max(side, 2.0);
        Window { x: inside(x, side, self.picture.0), y: inside(y, side, self.picture.1), side }
    }
}

fn inside(middle: f32, side: f32, length: f32) -> f32 {
    if side >= length { length / 2.0 } else { middle.clamp(side / 2.0, length - side / 2.0) }
}

fn between(points: &[(i64, [f32; 3])], t_ms: i64) -> [f32; 3] {
    let after = points.partition_point(|(at_ms, _)| *at_ms <= t_ms);
    match (after.checked_sub(1).map(|before| points[before]), points.get(after)) {
        (Some((a_ms, a)), Some((b_ms, b))) => {
            let share = (t_ms - a_ms) as f32 / (b_ms - a_ms).max(1) as f32;
            std::array::from_fn(|axis| a[axis] * (1.0 - share) + b[axis] * share)
        }
        (Some((_, only)), None) => only,
        (None, first) => first.map_or([0.0; 3], |(_, only)| *only),
    }
}

fn median(path: &[[f32; 3]]) -> Vec<[f32; 3]> {
    let of_step = |at: usize| {
        // The same reach to both sides, so that the ends are not pulled inwards.
        let reach = MEDIAN_REACH.min(at).min(path.len() - 1 - at);
        std::array::from_fn(|axis| {
            let mut values: Vec<f32> =
                path[at - reach..=at + reach].iter().map(|point| point[axis]).collect();
            values.sort_by(f32::total_cmp);
            values[reach]
        })
    };
    (0..path.len()).map(of_step).collect()
}

fn gaussian(path: &[[f32; 3]]) -> Vec<[f32; 3]> {
    let reach = (3.0 * SIGMA_STEPS) as i64;
    let weight = |distance: i64| (-0.5 * (distance as f32 / SIGMA_STEPS).powi(2)).exp();
    let total: f32 = (-reach..=reach).map(weight).sum();
    let last = path.len() as i64 - 1;
    let of_step = |at: i64| {
        std::array::from_fn(|axis| {
            let value =
                |distance: i64| path[(at + distance).clamp(0, last) as usize][axis] * weight(distance);
            (-reach..=reach).map(value).sum::<f32>() / total
        })
    };
    (0..=last).map(of_step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::fake::face_at;

    fn seen(t_ms: i64, x: f32) -> SeenFace {
        SeenFace { t_ms, face: face_at(x, 0.4, 0.2, 0.2) }
    }

    #[test]
    fn a_still_face_has_a_still_window_of_the_asked_margin() {
        let faces: Vec<SeenFace> = (0..30).map(|at| seen(at * 200, 0.4)).collect();
        let framing = Framing::follow(&faces, (500, 500), 1.6);
        for t_ms in [0, 1_234, 5_800, 9_999] {
            let window = framing.window(t_ms);
            assert!((window.x - 250.0).abs() < 0.01 && (window.side - 160.0).abs() < 0.01, "{window:?}");
        }
    }

    #[test]
    fn a_single_wrong_box_does_not_move_the_window() {
        let mut faces: Vec<SeenFace> = (0..30).map(|at| seen(at * 200, 0.4)).collect();
        faces.insert(16, seen(3_040, 0.55));
        let framing = Framing::follow(&faces, (500, 500), 1.6);
        let farthest = (0..150).map(|at| (framing.window(at * 40).x - 250.0).abs()).fold(0.0, f32::max);
        assert!(farthest < 20.0, "{farthest}");
    }

    #[test]
    fn a_jittering_face_gives_a_path_without_jerks() {
        let faces: Vec<SeenFace> = (0..60).map(|at| seen(at * 200, 0.4 + 0.01 * (at % 2) as f32)).collect();
        let framing = Framing::follow(&faces, (500, 500), 1.6);
        let xs: Vec<f32> = (10..200).map(|at| framing.window(at * 40).x).collect();
        let jerk = xs.windows(3).map(|x| (x[0] - 2.0 * x[1] + x[2]).abs()).fold(0.0, f32::max);
        assert!(jerk < 0.2, "{jerk}");
    }

    #[test]
    fn the_window_stays_in_the_picture_where_it_fits() {
        let faces: Vec<SeenFace> = (0..30).map(|at| seen(at * 200, 0.0)).collect();
        let window = Framing::follow(&faces, (500, 500), 1.6).window(1_000);
        assert!((window.x - window.side / 2.0).abs() < 0.01);
        let first = window.to_source(160).apply([0.0, 0.0]);
        assert!(first[0].abs() < 0.01, "{first:?}");
    }
}

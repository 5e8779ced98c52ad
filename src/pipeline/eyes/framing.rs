//! The window that a clip shows of its video: square, at sub-pixel positions, following the face smoothly. Pure.
//!
//! Stored as the framing `smooth`: the face's centre and size every 40 ms (interpolated linearly between looks), through a
//! median over half a second against outliers, then a Gaussian with σ = 0.2 s. The window is no larger than the picture
//! and lies inside it. At any time it depends only on where the face is within [`REACH_MS`] before and after.

use crate::face::select::FRAMING_REACH_MS;
use crate::media::Square;
use crate::types::SeenFace;

const STEP_MS: i64 = 40;
/// Half of the median's window, steps: the whole 13 steps are half a second.
const MEDIAN_REACH: i64 = 6;
/// The Gaussian's standard deviation, steps: 0.2 s.
const SIGMA_STEPS: f32 = 5.0;
/// Half of the Gaussian's window, steps.
const GAUSSIAN_REACH: i64 = 12;
/// The window at a time depends on the faces within this time before and after, and on the next face beyond on either
/// side.
pub(super) const REACH_MS: i64 = STEP_MS * (MEDIAN_REACH + GAUSSIAN_REACH);
const _: () = assert!(REACH_MS < FRAMING_REACH_MS, "plans keep all faces that a window depends on");

/// Centre x, centre y and side, in pixels.
type Place = [f32; 3];

/// The window at one time: a square, `margin` times the longer side of the face's box. `faces` are ascending and not
/// empty; before the first and after the last the window does not move.
pub(super) fn window(faces: &[SeenFace], (width, height): (u32, u32), margin: f32, t_ms: i64) -> Square {
    let picture = (width as f32, height as f32);
    let place = |seen: &SeenFace| {
        let face_box = seen.face.face_box;
        let side = (face_box.width * picture.0).max(face_box.height * picture.1) * margin;
        let x = (face_box.x + face_box.width / 2.0) * picture.0;
        [x, (face_box.y + face_box.height / 2.0) * picture.1, side]
    };
    let (first_ms, last_ms) =
        (faces.first().map_or(0, |seen| seen.t_ms), faces.last().map_or(0, |seen| seen.t_ms));
    let t_ms = t_ms.clamp(first_ms, last_ms);
    let reach = GAUSSIAN_REACH + MEDIAN_REACH;
    let path: Vec<Place> = (-reach..=reach)
        .map(|step| between(faces, (t_ms + step * STEP_MS).clamp(first_ms, last_ms), place))
        .collect();
    // Steps to the first and to the last face: no median reaches beyond them.
    let ends = [(t_ms - first_ms) / STEP_MS, (last_ms - t_ms) / STEP_MS];
    let [x, y, side] = gaussian(|step| median(&path, step, ends));
    let side = side.clamp(2.0, picture.0.min(picture.1).max(2.0));
    Square { x: inside(x, side, picture.0), y: inside(y, side, picture.1), side }
}

/// The middle, moved as little as needed for the window to lie inside the picture.
fn inside(middle: f32, side: f32, length: f32) -> f32 {
    if side >= length { length / 2.0 } else { middle.clamp(side / 2.0, length - side / 2.0) }
}

/// The place at a time, interpolated linearly between the faces before and after it.
fn between(faces: &[SeenFace], t_ms: i64, place: impl Fn(&SeenFace) -> Place) -> Place {
    let after = faces.partition_point(|seen| seen.t_ms <= t_ms);
    match (after.checked_sub(1).map(|before| &faces[before]), faces.get(after)) {
        (Some(before), Some(next)) => {
            let share = (t_ms - before.t_ms) as f32 / (next.t_ms - before.t_ms).max(1) as f32;
            let (a, b) = (place(before), place(next));
            std::array::from_fn(|axis| a[axis] * (1.0 - share) + b[axis] * share)
        }
        (Some(only), None) | (None, Some(only)) => place(only),
        (None, None) => [0.0; 3],
    }
}

/// The median place around a step; steps count from the middle of `path`.
fn median(path: &[Place], step: i64, ends: [i64; 2]) -> Place {
    let step = step.clamp(-ends[0], ends[1]);
    // As many steps on either side, so that the ends are not pulled inwards.
    let reach = MEDIAN_REACH.min(step + ends[0]).min(ends[1] - step) as usize;
    let at = (path.len() as i64 / 2 + step) as usize;
    std::array::from_fn(|axis| {
        let mut values = [0.0; 2 * MEDIAN_REACH as usize + 1];
        let values = &mut values[..=2 * reach];
        for (value, point) in values.iter_mut().zip(&path[at - reach..=at + reach]) {
            *value = point[axis];
        }
        values.sort_unstable_by(f32::total_cmp);
        values[reach]
    })
}

/// The places around step 0, averaged with the Gaussian's weights.
fn gaussian(place_at: impl Fn(i64) -> Place) -> Place {
    let steps = -GAUSSIAN_REACH..=GAUSSIAN_REACH;
    let weight = |step: i64| (-0.5 * (step as f32 / SIGMA_STEPS).powi(2)).exp();
    let total: f32 = steps.clone().map(weight).sum();
    steps.fold([0.0; 3], |sum, step| {
        let (place, share) = (place_at(step), weight(step) / total);
        std::array::from_fn(|axis| sum[axis] + place[axis] * share)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::fake::face_at;

    fn seen(t_ms: i64, x: f32) -> SeenFace {
        SeenFace { t_ms, face: face_at(x, 0.4, 0.2, 0.2) }
    }

    #[test]
    fn a_still_face_has_a_still_window_with_the_given_margin() {
        let faces: Vec<SeenFace> = (0..30).map(|at| seen(at * 200, 0.4)).collect();
        for t_ms in [0, 1_234, 5_800, 9_999] {
            let window = window(&faces, (500, 500), 1.6, t_ms);
            assert!((window.x - 250.0).abs() < 0.01 && (window.side - 160.0).abs() < 0.01, "{window:?}");
        }
    }

    #[test]
    fn a_single_wrong_box_does_not_move_the_window() {
        let mut faces: Vec<SeenFace> = (0..30).map(|at| seen(at * 200, 0.4)).collect();
        faces.insert(16, seen(3_040, 0.55));
        let x = |at: i64| window(&faces, (500, 500), 1.6, at * 40).x;
        let farthest = (0..150).map(|at| (x(at) - 250.0).abs()).fold(0.0, f32::max);
        assert!(farthest < 20.0, "{farthest}");
    }

    #[test]
    fn a_jittering_face_gives_a_smooth_path() {
        let faces: Vec<SeenFace> = (0..60).map(|at| seen(at * 200, 0.4 + 0.01 * (at % 2) as f32)).collect();
        let xs: Vec<f32> = (10..200).map(|at| window(&faces, (500, 500), 1.6, at * 40).x).collect();
        let jerk = xs.windows(3).map(|x| (x[0] - 2.0 * x[1] + x[2]).abs()).fold(0.0, f32::max);
        assert!(jerk < 0.2, "{jerk}");
    }

    #[test]
    fn the_window_lies_in_the_picture_and_is_no_larger_than_it() {
        let faces: Vec<SeenFace> = (0..30).map(|at| seen(at * 200, 0.0)).collect();
        let at_the_edge = window(&faces, (500, 500), 1.6, 1_000);
        assert!((at_the_edge.x - at_the_edge.side / 2.0).abs() < 0.01);
        let large = window(&faces, (500, 500), 9.0, 1_000);
        assert_eq!((large.x, large.y, large.side), (250.0, 250.0, 500.0));
    }

    #[test]
    fn faces_beyond_the_reach_do_not_move_the_window() {
        let faces: Vec<SeenFace> =
            (0..60).map(|at| seen(at * 200, 0.4 + 0.05 * (at as f32 / 7.0).sin())).collect();
        let whole = window(&faces, (500, 500), 1.6, 6_000);
        // With a look every 0.2 s, the nearest beyond the reach on both sides are at 5.2 and 6.8 s.
        let near = faces.iter().position(|seen| seen.t_ms == 5_200).unwrap();
        assert_eq!(window(&faces[near..=near + 8], (500, 500), 1.6, 6_000), whole);
    }
}

//! The image pyramid of the P-net: its scales, and the windows of a picture that its outputs stand for. Numbers as in
//! facenet-pytorch 2.6.0; knows no net.

use super::boxes::Candidate;

/// The ratio of each scale to the one before.
const PYRAMID_FACTOR: f64 = 0.709;
/// Side of the P-net's window in pixels of the scaled picture.
const WINDOW_PX: f64 = 12.0;
/// Stride of the P-net's windows in pixels of the scaled picture.
const STRIDE_PX: usize = 2;

/// The scales at which a window covers faces from `min_face_px` up to the picture's shorter side.
pub(crate) fn pyramid((width, height): (u32, u32), min_face_px: f64) -> impl Iterator<Item = f64> {
    let first = WINDOW_PX / min_face_px;
    let shorter = f64::from(width.min(height));
    std::iter::successors(Some((first, shorter * first)), |(scale, side)| {
        Some((scale * PYRAMID_FACTOR, side * PYRAMID_FACTOR))
    })
    .take_while(|(_, side)| *side >= WINDOW_PX)
    .map(|(scale, _)| scale)
}

/// The windows whose score reaches the threshold, in pixels of the picture (`generateBoundingBox`). `scores` are
/// `[n, rows, columns]`, `shifts` `[n, 4, rows, columns]`; `grid` is rows and columns.
pub(crate) fn windows(
    scores: &[f32],
    shifts: &[f32],
    grid: (usize, usize),
    scale: f32,
    threshold: f32,
) -> Vec<Candidate> {
    let (rows, columns) = grid;
    let plane = rows * columns;
    let reached = scores.iter().enumerate().filter(|(_, score)| **score >= threshold);
    let candidate = |(at, score): (usize, &f32)| {
        let (picture, place) = (at / plane, at % plane);
        let (row, column) = (place / columns, place % columns);
        let first = |step: usize| ((STRIDE_PX * step + 1) as f32 / scale).floor();
        let last = |step: usize| ((STRIDE_PX * step + WINDOW_PX as usize) as f32 / scale).floor();
        Candidate {
            picture,
            corners: [first(column), first(row), last(column), last(row)],
            score: *score,
            shift: std::array::from_fn(|side| shifts[(picture * 4 + side) * plane + place]),
        }
    };
    reached.map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pyramid_begins_at_the_smallest_face_and_ends_at_the_shorter_side() {
        let scales: Vec<f64> = pyramid((100, 48), 20.0).collect();
        // 48 px · 0.6 = 28.8, · 0.709 = 20.4, · 0.709 = 14.5, · 0.709 = 10.3 < 12.
        assert_eq!(scales.len(), 3);
        assert!((scales[0] - 0.6).abs() < 1e-9 && (scales[2] - 0.6 * 0.709 * 0.709).abs() < 1e-9);
        assert_eq!(pyramid((100, 19), 20.0).count(), 0);
    }

    #[test]
    fn a_score_that_reaches_the_threshold_gives_its_window() {
        let scores = [0.1, 0.2, 0.3, 0.9, 0.1, 0.1];
        let shifts: Vec<f32> = (0..24_u8).map(f32::from).collect();
        let found = windows(&scores, &shifts, (2, 3), 0.5, 0.6);
        // Row 1, column 0: (2 · 0 + 1) / 0.5 = 2, (2 · 1 + 1) / 0.5 = 6, (0 + 12) / 0.5 = 24, (2 + 12) / 0.5 = 28.
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].corners, [2.0, 6.0, 24.0, 28.0]);
        assert_eq!(found[0].shift, [3.0, 9.0, 15.0, 21.0]);
    }
}

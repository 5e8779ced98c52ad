//! Aligns faces: turns and scales each to a template by its five landmarks. Pure picture arithmetic; knows no net.
//!
//! The template is ArcFace's (112 × 112 pixels, eyes 35.2 px apart), scaled by 1.6 about (56, 62), which becomes the
//! centre of a 224 × 224 picture. There the eyes are 56 px apart at y = 95 and the mouth is at y = 160. The chin of a
//! frontal face is near y = 213 and its brows near y = 77, so that every part of a face that shows emotion is in the
//! picture, as in RAF-DB's aligned pictures.

use std::array;

use image::RgbImage;

use super::detector::{Placement, View};
use crate::types::{CropStyle, Face, Landmarks};

/// Where the five landmarks go, in pixels of a 224 × 224 picture, image-left first.
pub(super) const TEMPLATE_224: Landmarks =
    [[83.67, 95.51], [140.05, 95.20], [112.04, 127.58], [88.88, 160.58], [135.57, 160.33]];

/// A picture is shrunk by at most this factor before it is warped.
const MAX_SHRINK: u32 = 4;
/// Red, green and blue.
const CHANNELS: usize = 3;
/// Numbers that are computed side by side: four fit a SIMD register, three do not.
const LANES: usize = 4;

/// A similarity transform (rotation, scaling and translation): `x' = a·x − b·y + dx`, `y' = b·x + a·y + dy`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// Scale times the cosine of the rotation.
    pub a: f32,
    /// Scale times the sine of the rotation.
    pub b: f32,
    /// Translation to the right.
    pub dx: f32,
    /// Translation down.
    pub dy: f32,
}

impl Similarity {
    /// The transform that maps `from` closest to `to` by least squares, without reflection (Umeyama 1991).
    pub fn between(from: &Landmarks, to: &Landmarks) -> Self {
        let mean =
            |points: &Landmarks| [0, 1].map(|axis| points.iter().map(|point| point[axis]).sum::<f32>() / 5.0);
        let (from_mean, to_mean) = (mean(from), mean(to));
        let (mut dot, mut cross, mut spread) = (0.0, 0.0, 0.0);
        for (p, q) in from.iter().zip(to) {
            let (px, py) = (p[0] - from_mean[0], p[1] - from_mean[1]);
            let (qx, qy) = (q[0] - to_mean[0], q[1] - to_mean[1]);
            dot += px * qx + py * qy;
            cross += px * qy - py * qx;
            spread += px * px + py * py;
        }
        let spread = if spread > 0.0 { spread } else { 1.0 };
        let (a, b) = (dot / spread, cross / spread);
        let [mx, my] = from_mean;
        Self { a, b, dx: to_mean[0] - a * mx + b * my, dy: to_mean[1] - b * mx - a * my }
    }

    /// The image of a point.
    pub fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.a * x - self.b * y + self.dx, self.b * x + self.a * y + self.dy]
    }

    /// The transform after its argument is scaled by `margin` about the point (`centre`, `centre`).
    fn scaled_about(self, centre: f32, margin: f32) -> Self {
        let (a, b) = (self.a * margin, self.b * margin);
        // With a margin of 1, `dx` and `dy` stay the same to the last bit.
        let rest = (1.0 - margin) * centre;
        Self { a, b, dx: self.dx + (self.a - self.b) * rest, dy: self.dy + (self.a + self.b) * rest }
    }

    /// The transform into a picture that was shrunk by this factor; points are counted from the centres of pixels.
    fn shrunk(self, factor: u32) -> Self {
        let share = 1.0 / factor as f32;
        let moved = |by: f32| (by + 0.5) * share - 0.5;
        Self { a: self.a * share, b: self.b * share, dx: moved(self.dx), dy: moved(self.dy) }
    }

    /// By how much it enlarges lengths.
    pub fn scale(&self) -> f32 {
        self.a.hypot(self.b)
    }
}

/// A face's aligned crop, `side_px` wide and high.
pub fn aligned(picture: &RgbImage, face: &Face, side_px: u32) -> RgbImage {
    let placement = Placement::whole(picture.dimensions());
    warped(picture, &to_picture(face, placement, CropStyle::plain(side_px)), side_px)
}

/// A face's aligned crop, made of a view. Outside the view its pixels are mirrored.
pub fn aligned_in(view: &View, face: &Face, style: CropStyle) -> RgbImage {
    warped(&view.picture, &to_picture(face, view.placement, style), style.side_px)
}

/// The transform from the pixels of a face's crop to those of a view with this placement.
pub fn to_picture(face: &Face, placement: Placement, style: CropStyle) -> Similarity {
    let landmarks = face.landmarks.map(|point| placement.to_pixels(point));
    let scale = style.side_px as f32 / 224.0;
    let template = TEMPLATE_224.map(|point| point.map(|value| value * scale));
    Similarity::between(&template, &landmarks).scaled_about(style.side_px as f32 / 2.0, style.margin)
}

/// A square picture whose pixel at `p` is the source's at `to_source(p)`, interpolated bilinearly and mirrored outside
/// the source. If `to_source` enlarges, the source is first shrunk by a whole factor, so that few of its pixels are
/// skipped.
fn warped(picture: &RgbImage, to_source: &Similarity, side_px: u32) -> RgbImage {
    let factor = (to_source.scale() as u32).clamp(1, MAX_SHRINK).min(picture.width()).min(picture.height());
    if factor == 1 {
        return interpolated(picture, to_source, side_px);
    }
    interpolated(&shrunk(picture, factor), &to_source.shrunk(factor), side_px)
}

/// A picture shrunk by a factor of at most [`MAX_SHRINK`], each pixel the mean of a block. Incomplete blocks at the
/// right and at the bottom are left out.
fn shrunk(picture: &RgbImage, factor: u32) -> RgbImage {
    let (width, height) = (picture.width() / factor, picture.height() / factor);
    let (stride, factor) = (picture.width() as usize * CHANNELS, factor as usize);
    let (mut line, block) = (vec![0_u16; width as usize * factor * CHANNELS], (factor * factor) as u16);
    let mut bytes = Vec::with_capacity((width * height) as usize * CHANNELS);
    for rows in picture.as_raw().chunks_exact(stride * factor) {
        line.fill(0);
        for row in rows.chunks_exact(stride) {
            line.iter_mut().zip(row).for_each(|(sum, byte)| *sum += u16::from(*byte));
        }
        for columns in line.chunks_exact(factor * CHANNELS) {
            let sum = |channel: usize| columns.iter().skip(channel).step_by(CHANNELS).sum::<u16>();
            bytes.extend([0, 1, 2].map(|channel| ((sum(channel) + block / 2) / block) as u8));
        }
    }
    RgbImage::from_raw(width, height, bytes).unwrap_or_default()
}

/// As [`warped`], without shrinking the source.
fn interpolated(picture: &RgbImage, to_source: &Similarity, side_px: u32) -> RgbImage {
    let mut bytes = Vec::with_capacity((side_px * side_px) as usize * CHANNELS);
    for y in 0..side_px {
        for x in 0..side_px {
            let [red, green, blue, _] = colours_at(picture, to_source.apply([x as f32, y as f32]));
            bytes.extend([red, green, blue].map(|value| (value + 0.5) as u8));
        }
    }
    RgbImage::from_raw(side_px, side_px, bytes).unwrap_or_default()
}

/// The colours at a point, 0 to 255, interpolated bilinearly; the fourth of the [`LANES`] is meaningless.
fn colours_at(picture: &RgbImage, [x, y]: [f32; 2]) -> [f32; LANES] {
    let (left, top) = (floor(x), floor(y));
    let (across, down) = (x - left as f32, y - top as f32);
    let (width, height) = (picture.width() as i32, picture.height() as i32);
    let (bytes, stride) = (picture.as_raw(), width as usize * CHANNELS);
    let mix = |[nw, ne, sw, se]: [[u8; LANES]; 4]| -> [f32; LANES] {
        let [nw, ne, sw, se] = [nw, ne, sw, se].map(|quad| quad.map(f32::from));
        array::from_fn(|lane| {
            let north = nw[lane] + (ne[lane] - nw[lane]) * across;
            let south = sw[lane] + (se[lane] - sw[lane]) * across;
            north + (south - north) * down
        })
    };
    // Not in the last two columns: the byte after each pixel is read with it.
    if (0..width - 2).contains(&left) && (0..height - 1).contains(&top) {
        let at = top as usize * stride + left as usize * CHANNELS;
        let pair = |at: usize| -> [u8; CHANNELS + LANES] {
            let mut pair = [0; CHANNELS + LANES];
            pair.copy_from_slice(&bytes[at..at + CHANNELS + LANES]);
            pair
        };
        let ([nw @ .., _, _, _], [_, _, _, ne @ ..]) = (pair(at), pair(at));
        let ([sw @ .., _, _, _], [_, _, _, se @ ..]) = (pair(at + stride), pair(at + stride));
        return mix([nw, ne, sw, se]);
    }
    let columns = [left, left + 1].map(|column| mirrored(i64::from(column), picture.width()) * CHANNELS);
    let rows = [top, top + 1].map(|row| mirrored(i64::from(row), picture.height()) * stride);
    let colours = |row: usize, column: usize| {
        let at = rows[row] + columns[column];
        [bytes[at], bytes[at + 1], bytes[at + 2], 0]
    };
    mix([colours(0, 0), colours(0, 1), colours(1, 0), colours(1, 1)])
}

/// As `f32::floor`, which is a call to the C library when compiled for any x86-64 processor; this is not.
fn floor(value: f32) -> i32 {
    let whole = value as i32;
    whole - i32::from(whole as f32 > value)
}

/// A position, reflected into `0..length` at the border pixel, which is not repeated: −1 becomes 1.
fn mirrored(position: i64, length: u32) -> usize {
    let last = i64::from(length) - 1;
    if (0..=last).contains(&position) {
        return position as usize;
    }
    if last == 0 {
        return 0;
    }
    let folded = position.rem_euclid(2 * last);
    (if folded > last { 2 * last - folded } else { folded }) as usize
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::types::FaceBox;

    #[test]
    fn a_rotated_and_scaled_template_is_mapped_back() {
        let moved = Similarity { a: 0.4, b: 0.3, dx: 50.0, dy: -20.0 };
        let landmarks = TEMPLATE_224.map(|point| moved.apply(point));
        let back = Similarity::between(&landmarks, &TEMPLATE_224);
        for (landmark, wanted) in landmarks.iter().zip(TEMPLATE_224) {
            let [x, y] = back.apply(*landmark);
            assert!((x - wanted[0]).abs() < 1e-3 && (y - wanted[1]).abs() < 1e-3, "{x} {y} {wanted:?}");
        }
        assert!((back.scale() - 2.0).abs() < 1e-4);
    }

    #[test]
    fn the_best_transform_is_never_a_reflection() {
        let mirrored = TEMPLATE_224.map(|[x, y]| [224.0 - x, y]);
        let best = Similarity::between(&mirrored, &TEMPLATE_224);
        // Its determinant a² + b² is positive: it cannot put mirrored eyes in place.
        let [x, _] = best.apply(mirrored[0]);
        assert!((x - TEMPLATE_224[0][0]).abs() > 20.0, "{x}");
    }

    #[test]
    fn landmarks_are_mapped_to_the_template() {
        let place = Similarity { a: 1.2, b: 0.2, dx: 60.0, dy: 10.0 };
        let landmarks = TEMPLATE_224.map(|point| place.apply(point));
        let picture = RgbImage::from_fn(400, 320, |x, y| {
            let near = |[px, py]: &[f32; 2]| (x as f32 - px).hypot(y as f32 - py) < 4.0;
            if landmarks.iter().any(near) { Rgb([255, 0, 0]) } else { Rgb([0, 0, 0]) }
        });
        let face = Face {
            face_box: FaceBox { x: 0.0, y: 0.0, width: 1.0, height: 1.0 },
            landmarks: landmarks.map(|[x, y]| [x / 400.0, y / 320.0]),
            detector_score: 1.0,
        };
        let crop = aligned(&picture, &face, 224);
        for [x, y] in TEMPLATE_224 {
            assert!(crop.get_pixel(x.round() as u32, y.round() as u32)[0] > 200);
        }
        assert_eq!(crop.get_pixel(10, 10)[0], 0);
    }

    #[test]
    fn a_margin_shows_more_about_the_same_centre() {
        let face = Face {
            face_box: FaceBox { x: 0.0, y: 0.0, width: 1.0, height: 1.0 },
            landmarks: TEMPLATE_224.map(|[x, y]| [(x + 30.0) / 400.0, (y + 20.0) / 320.0]),
            detector_score: 1.0,
        };
        let placement = Placement::whole((400, 320));
        let map = |margin| to_picture(&face, placement, CropStyle { side_px: 112, margin });
        let (plain, wide) = (map(1.0), map(1.5));
        assert_eq!(
            plain,
            Similarity::between(
                &TEMPLATE_224.map(|p| p.map(|v| v / 2.0)),
                &face.landmarks.map(|p| placement.to_pixels(p))
            )
        );
        for (at, wanted) in [([56.0, 56.0], [142.0, 132.0]), ([0.0, 0.0], [-26.0, -36.0])] {
            let [x, y] = wide.apply(at);
            assert!((x - wanted[0]).abs() < 0.01 && (y - wanted[1]).abs() < 0.01, "{x} {y} {wanted:?}");
        }
    }

    #[test]
    fn a_picture_that_is_shrunk_first_shows_the_same_at_the_same_place() {
        let picture = RgbImage::from_fn(900, 700, |x, y| Rgb([(x / 4) as u8, (y / 4) as u8, 9]));
        for scale in [1.9_f32, 2.0, 2.7, 3.0, 4.0] {
            let to_source = Similarity { a: scale, b: 0.2 * scale, dx: 101.3, dy: 8.7 };
            let crop = warped(&picture, &to_source, 120);
            for at in [[0, 0], [60, 60], [119, 30], [119, 0]] {
                let [x, y] = to_source.apply(at.map(|value| value as f32));
                let Rgb([red, green, blue]) = *crop.get_pixel(at[0], at[1]);
                // Four columns have the same value; their centre is 1.5 columns after the first.
                let apart = |value: u8, place: f32| (f32::from(value) - (place - 1.5) / 4.0).abs();
                assert!(apart(red, x) < 1.0 && apart(green, y) < 1.0 && blue == 9, "{scale} {at:?}");
            }
        }
    }

    #[test]
    fn positions_outside_are_reflected_at_the_border() {
        assert_eq!([-2, -1, 0, 3, 4, 5].map(|at| mirrored(at, 4)), [2, 1, 0, 3, 2, 1]);
        assert_eq!(mirrored(7, 1), 0);
    }

    #[test]
    fn the_template_is_that_of_arcface_scaled_by_1_6() {
        let arcface: Landmarks = [
            [38.2946, 51.6963],
            [73.5318, 51.5014],
            [56.0252, 71.7366],
            [41.5493, 92.3655],
            [70.7299, 92.2041],
        ];
        for ([x, y], [tx, ty]) in arcface.into_iter().zip(TEMPLATE_224) {
            assert!(((x - 56.0) * 1.6 + 112.0 - tx).abs() < 0.01);
            assert!(((y - 62.0) * 1.6 + 112.0 - ty).abs() < 0.01);
        }
    }
}

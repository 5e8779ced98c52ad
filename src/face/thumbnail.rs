//! Measures by which small pictures are compared. Pure arithmetic; knows no time.

use image::RgbImage;
use image::imageops::crop_imm;

use crate::types::FaceBox;

/// A picture with a smaller mean luma is black, 0 to 255.
pub(super) const BLACK_LUMA: f64 = 14.0;
/// See [`usual_step`].
const REPEATED: f64 = 0.2;

/// Mean over all pixels of the change of the channel that changed most, 0 to 255. Both pictures have the same size.
pub(super) fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    let sum: u64 = changes(a, b).map(u64::from).sum();
    sum as f64 / count(a)
}

/// The share of the pixels of which a channel changed by at least `least`, 0 to 1.
pub(super) fn changed_share(a: &RgbImage, b: &RgbImage, least: f64) -> f64 {
    changes(a, b).filter(|change| f64::from(*change) >= least).count() as f64 / count(a)
}

/// The pixels of a picture, in one row, of those places where two others differ by at least `least`. All have the same size.
pub(super) fn where_changed(picture: &RgbImage, a: &RgbImage, b: &RgbImage, least: f64) -> RgbImage {
    let pixels = changes(a, b).zip(picture.as_raw().chunks_exact(3));
    let changed = pixels.filter(|(change, _)| f64::from(*change) >= least);
    let bytes: Vec<u8> = changed.flat_map(|(_, pixel)| pixel.iter().copied()).collect();
    RgbImage::from_raw((bytes.len() / 3) as u32, 1, bytes).unwrap_or_default()
}

/// Mean luma, 0 to 255.
pub(super) fn mean_luma(picture: &RgbImage) -> f64 {
    lumas(picture).sum::<f64>() / count(picture)
}

/// Variance of the luma, which this program calls the contrast of a thumbnail.
pub(super) fn contrast(picture: &RgbImage) -> f64 {
    let squares: f64 = lumas(picture).map(|luma| luma * luma).sum();
    squares / count(picture) - mean_luma(picture).powi(2)
}

/// The lumas `x` and `y` of two pictures compared, whatever the light.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparison {
    /// Pearson's r, -1 to 1; 0 if one of the pictures is uniform.
    pub(super) correlation: f64,
    /// The share of their root mean square difference that a change of brightness and contrast does not explain:
    /// `√(min(Var x, Var y)·(1 − r²) / E[(x − y)²])`. 0 if nothing but the light changed.
    pub(super) unexplained: f64,
    /// `Var x` and `Var y`.
    contrasts: [f64; 2],
    /// `Var(x − y)`.
    contrast_between: f64,
}

impl Comparison {
    /// Compares two pictures of one size.
    pub(super) fn of(a: &RgbImage, b: &RgbImage) -> Self {
        let of_pixel = |(x, y): (f64, f64)| [x, y, x * x, y * y, x * y];
        let add = |sums: [f64; 5], terms: [f64; 5]| std::array::from_fn(|at| sums[at] + terms[at]);
        let sums: [f64; 5] = lumas(a).zip(lumas(b)).map(of_pixel).fold([0.0; 5], add);
        let [x, y, xx, yy, xy] = sums.map(|sum| sum / count(a));
        let contrasts @ [of_x, of_y] = [xx - x * x, yy - y * y];
        let shared = xy - x * y;
        let correlation = shared / (of_x * of_y).max(1e-6).sqrt();
        let left = of_x.min(of_y) * (1.0 - correlation * correlation);
        let unexplained = (left.max(0.0) / (xx + yy - 2.0 * xy).max(1e-6)).sqrt();
        Self { correlation, unexplained, contrasts, contrast_between: of_x + of_y - 2.0 * shared }
    }

    /// The contrast that a picture has lost, as a share of what a mix of the two with this share `s` of the second loses:
    /// `((1 − s)·Var x + s·Var y − contrast) / (s·(1 − s)·Var(x − y))`. 1 if it is that mix, 0 if it lost nothing.
    pub(super) fn contrast_loss(&self, contrast: f64, share: f64) -> f64 {
        let unmixed = (1.0 - share) * self.contrasts[0] + share * self.contrasts[1];
        (unmixed - contrast) / (share * (1.0 - share) * self.contrast_between).max(1e-6)
    }
}

/// The mean difference of successive pictures, without those of repeated frames; 0 if no others are left. Repeated are those
/// that differ by at most [`REPEATED`] of what the others differ by at most: not always 0, as something may move beside a
/// picture that is repeated.
pub(super) fn usual_step(steps: &[f64]) -> f64 {
    let greatest = steps.iter().copied().fold(0.0, f64::max);
    let moving = || steps.iter().filter(|step| **step > REPEATED * greatest);
    moving().sum::<f64>() / moving().count().max(1) as f64
}

/// The greatest correlation of the lumas of two pictures of one size where one of them is moved against the other, by up to a
/// third of the width and a sixth of the height, and they overlap: near 1 if a camera or somebody moved, -1 to 1.
pub(super) fn correlation_when_moved(a: &RgbImage, b: &RgbImage) -> f64 {
    let (width, height) = a.dimensions();
    let (most_across, most_down) = (i64::from(width / 3), i64::from(height / 6));
    let moves = (-most_down..=most_down)
        .step_by(2)
        .flat_map(|down| (-most_across..=most_across).map(move |across| (across, down)));
    let moved = |(across, down): (i64, i64)| {
        let size = (width - across.unsigned_abs() as u32, height - down.unsigned_abs() as u32);
        let overlap = |picture: &RgbImage, across: i64, down: i64| {
            crop_imm(picture, across.max(0) as u32, down.max(0) as u32, size.0, size.1).to_image()
        };
        Comparison::of(&overlap(a, across, down), &overlap(b, -across, -down)).correlation
    };
    moves.map(moved).fold(-1.0, f64::max)
}

/// What a picture shows in a box that is made `ratio` times wider and higher around its middle; at least one pixel.
pub(super) fn part_around(picture: &RgbImage, face_box: &FaceBox, ratio: f32) -> RgbImage {
    let span = |from: f32, length: f32, size: u32| {
        let (middle, half) = (from + length / 2.0, length / 2.0 * ratio);
        let first = ((middle - half) * size as f32).floor().clamp(0.0, size.max(1) as f32 - 1.0) as u32;
        let after = ((middle + half) * size as f32).ceil().clamp(0.0, size as f32) as u32;
        (first, after.saturating_sub(first).max(1))
    };
    let (left, width) = span(face_box.x, face_box.width, picture.width());
    let (top, height) = span(face_box.y, face_box.height, picture.height());
    crop_imm(picture, left, top, width, height).to_image()
}

/// The least [`difference`] of two pictures' quarters: that of the part that changed least. Quarters of an odd side share its
/// middle.
pub(super) fn least_difference_of_quarters(a: &RgbImage, b: &RgbImage) -> f64 {
    let (width, height) = (a.width().div_ceil(2), a.height().div_ceil(2));
    let corners = [(0, 0), (1, 0), (0, 1), (1, 1)];
    let of_quarter = |(right, down): (u32, u32)| {
        let (left, top) = (right * (a.width() - width), down * (a.height() - height));
        let quarter = |picture: &RgbImage| crop_imm(picture, left, top, width, height).to_image();
        difference(&quarter(a), &quarter(b))
    };
    corners.into_iter().map(of_quarter).fold(f64::INFINITY, f64::min)
}

/// For each pixel the change of the channel that changed most.
fn changes(a: &RgbImage, b: &RgbImage) -> impl Iterator<Item = u8> {
    let of_pixel = |(a, b): (&[u8], &[u8])| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    a.as_raw().chunks_exact(3).zip(b.as_raw().chunks_exact(3)).map(of_pixel)
}

/// The luma of each pixel, 0 to 255 (BT.601).
fn lumas(picture: &RgbImage) -> impl Iterator<Item = f64> {
    let luma = |p: &[u8]| u32::from(p[0]) * 299 + u32::from(p[1]) * 587 + u32::from(p[2]) * 114;
    picture.as_raw().chunks_exact(3).map(move |pixel| f64::from(luma(pixel)) / 1000.0)
}

/// The number of pixels; 1 for an empty picture.
fn count(picture: &RgbImage) -> f64 {
    (picture.as_raw().len() / 3).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripes(dark: u8, light: u8, turned: bool) -> RgbImage {
        let is_light = |x: u32, y: u32| if turned { y < 4 } else { x < 4 };
        RgbImage::from_fn(8, 8, |x, y| image::Rgb([if is_light(x, y) { light } else { dark }; 3]))
    }

    #[test]
    fn a_change_of_light_is_explained_and_another_picture_is_not() {
        let bright = stripes(40, 200, false);
        let dim = Comparison::of(&bright, &stripes(20, 100, false));
        assert!(dim.correlation > 0.999 && dim.unexplained < 0.01, "{dim:?}");
        let other = Comparison::of(&bright, &stripes(40, 200, true));
        assert!(other.correlation.abs() < 0.001 && other.unexplained > 0.5, "{other:?}");
        let white = Comparison::of(&bright, &stripes(255, 255, false));
        assert!(white.correlation.abs() < 1e-6, "{white:?}");
    }

    #[test]
    fn a_mix_has_lost_contrast_and_its_ends_have_not() {
        let (first, last) = (stripes(40, 200, false), stripes(40, 200, true));
        let mean = |(a, b): (&u8, &u8)| a.midpoint(*b);
        let bytes = first.as_raw().iter().zip(last.as_raw()).map(mean).collect();
        let mixed = RgbImage::from_raw(8, 8, bytes).unwrap();
        let ends = Comparison::of(&first, &last);
        assert!((ends.contrast_loss(contrast(&mixed), 0.5) - 1.0).abs() < 1e-6);
        assert!(ends.contrast_loss(contrast(&first), 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_difference_is_that_of_the_channel_that_changed_most() {
        let (before, mut after) = (stripes(10, 10, false), stripes(10, 10, false));
        for pixel in after.pixels_mut().take(16) {
            *pixel = image::Rgb([10, 90, 50]);
        }
        assert_eq!(difference(&before, &after), 20.0);
        assert_eq!(changed_share(&before, &after, 80.0), 0.25);
        assert_eq!(changed_share(&before, &after, 81.0), 0.0);
        let changed = where_changed(&before, &before, &after, 80.0);
        assert_eq!(changed, RgbImage::from_pixel(16, 1, image::Rgb([10; 3])));
        assert_eq!(least_difference_of_quarters(&before, &after), 0.0);
        assert_eq!(least_difference_of_quarters(&stripes(0, 0, false), &stripes(0, 80, false)), 0.0);
        assert_eq!(least_difference_of_quarters(&stripes(10, 10, false), &stripes(40, 40, false)), 30.0);
    }

    #[test]
    fn a_picture_that_moved_correlates_when_it_is_moved_back_and_another_one_does_not() {
        let of = |moved: u32, turned: bool| {
            RgbImage::from_fn(24, 12, |x, y| {
                let at = if turned { 5 * y + x / 9 } else { (x + moved) * (x + moved) / 7 };
                image::Rgb([(at * 31 % 200) as u8; 3])
            })
        };
        assert!(correlation_when_moved(&of(0, false), &of(6, false)) > 0.999);
        assert!(Comparison::of(&of(0, false), &of(6, false)).correlation < 0.5);
        assert!(correlation_when_moved(&of(0, false), &of(0, true)) < 0.5);
    }

    #[test]
    fn a_part_around_a_box_ends_at_the_picture_and_has_at_least_one_pixel() {
        let picture = stripes(10, 90, false);
        let of = |x, y, side, ratio| {
            let part = part_around(&picture, &FaceBox { x, y, width: side, height: side }, ratio);
            (part.width(), part.height(), part.get_pixel(0, 0)[0])
        };
        assert_eq!(of(0.25, 0.25, 0.5, 1.0), (4, 4, 90));
        assert_eq!(of(0.5, 0.5, 0.5, 1.5), (5, 5, 90));
        assert_eq!(of(0.5, 0.5, 0.5, 1.0), (4, 4, 10));
        assert_eq!(of(1.5, -2.0, 0.1, 1.0), (1, 1, 10));
    }
}

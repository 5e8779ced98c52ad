//! What small pictures are compared by. Pure arithmetic; knows no time.

use image::RgbImage;

/// Mean over the pixels of the channel that changed most, 0 to 255.
pub(super) fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    let sum: u64 = changes(a, b).map(u64::from).sum();
    sum as f64 / count(a)
}

/// The share of the pixels that changed by this much or more, 0 to 1.
pub(super) fn changed_share(a: &RgbImage, b: &RgbImage, least: f64) -> f64 {
    changes(a, b).filter(|change| f64::from(*change) >= least).count() as f64 / count(a)
}

/// Mean luma, 0 to 255.
pub(super) fn mean_luma(picture: &RgbImage) -> f64 {
    lumas(picture).sum::<f64>() / count(picture)
}

/// Variance of the luma.
pub(super) fn contrast(picture: &RgbImage) -> f64 {
    let squares: f64 = lumas(picture).map(|luma| luma * luma).sum();
    squares / count(picture) - mean_luma(picture).powi(2)
}

/// How far two pictures show the same, whatever the light.
#[derive(Debug, Clone, Copy)]
pub(super) struct Likeness {
    /// Of their lumas, -1 to 1; 0 where one of them is of one grey.
    pub(super) correlation: f64,
    /// What brightness and contrast leave unexplained, as a share of the difference of their lumas: 0 where nothing but
    /// the light changed.
    pub(super) unexplained: f64,
    /// Contrast of each.
    contrasts: [f64; 2],
    /// Contrast of the difference of their lumas.
    contrast_between: f64,
}

impl Likeness {
    /// That of two pictures of one size.
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

    /// Of the contrast that is lost where the two are mixed with this share of the second, what a picture with this
    /// contrast has lost: 1 if it is that mix, and 0 if it has as much as they.
    pub(super) fn faded(&self, contrast: f64, share: f64) -> f64 {
        let unmixed = (1.0 - share) * self.contrasts[0] + share * self.contrasts[1];
        (unmixed - contrast) / (share * (1.0 - share) * self.contrast_between).max(1e-6)
    }
}

/// How much each pixel's channel changed that changed most.
fn changes(a: &RgbImage, b: &RgbImage) -> impl Iterator<Item = u8> {
    let of_pixel = |(a, b): (&[u8], &[u8])| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    a.as_raw().chunks_exact(3).zip(b.as_raw().chunks_exact(3)).map(of_pixel)
}

fn lumas(picture: &RgbImage) -> impl Iterator<Item = f64> {
    let luma = |p: &[u8]| u32::from(p[0]) * 299 + u32::from(p[1]) * 587 + u32::from(p[2]) * 114;
    picture.as_raw().chunks_exact(3).map(move |pixel| f64::from(luma(pixel)) / 1000.0)
}

/// Pixels of a picture; 1 where it has none.
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
    fn a_picture_in_another_light_is_explained_and_another_picture_is_not() {
        let bright = stripes(40, 200, false);
        let dim = Likeness::of(&bright, &stripes(20, 100, false));
        assert!(dim.correlation > 0.999 && dim.unexplained < 0.01, "{dim:?}");
        let other = Likeness::of(&bright, &stripes(40, 200, true));
        assert!(other.correlation.abs() < 0.001 && other.unexplained > 0.5, "{other:?}");
        let white = Likeness::of(&bright, &stripes(255, 255, false));
        assert!(white.correlation.abs() < 1e-6, "{white:?}");
    }

    #[test]
    fn a_mix_has_lost_contrast_and_what_moved_has_not() {
        let (first, last) = (stripes(40, 200, false), stripes(40, 200, true));
        let mean = |(a, b): (&u8, &u8)| a.midpoint(*b);
        let bytes = first.as_raw().iter().zip(last.as_raw()).map(mean).collect();
        let mixed = RgbImage::from_raw(8, 8, bytes).unwrap();
        let likeness = Likeness::of(&first, &last);
        assert!((likeness.faded(contrast(&mixed), 0.5) - 1.0).abs() < 1e-6);
        assert!(likeness.faded(contrast(&first), 0.5).abs() < 1e-6);
    }

    #[test]
    fn differences_are_counted_by_the_channel_that_changed_most() {
        let (before, mut after) = (stripes(10, 10, false), stripes(10, 10, false));
        for pixel in after.pixels_mut().take(16) {
            *pixel = image::Rgb([10, 90, 50]);
        }
        assert_eq!(difference(&before, &after), 20.0);
        assert_eq!(changed_share(&before, &after, 80.0), 0.25);
        assert_eq!(changed_share(&before, &after, 81.0), 0.0);
    }
}

//! Measures the quality of one face's picture, and says which of the measures a recipe refuses. Pure; knows no emotion.

use image::RgbImage;

use crate::config::ClipRecipe;
use crate::failure::Reason;
use crate::types::{Face, Landmarks, Quality};

/// How far the tip of the nose lies before the plane of eyes and mouth, in distances between the eyes. A rough value
/// without a source: see [`pose_deg`].
const NOSE_DEPTH: f32 = 0.6;
/// Height of a level face's nose between the eyes (0) and the mouth (1), as in ArcFace's template.
const LEVEL_NOSE: f32 = 0.49;
/// Distance from the eyes to the mouth of a frontal face, in distances between the eyes, as in ArcFace's template.
const MOUTH_BELOW: f32 = 1.15;

/// Mean luma of a usable crop, 0 to 255.
const LUMA: std::ops::RangeInclusive<f32> = 25.0..=235.0;
/// Minimum standard deviation of a usable crop's luma.
const MIN_CONTRAST: f32 = 10.0;

/// Measures an aligned crop and the face that it shows, which was found in a picture of this width and height, pixels.
pub fn measure(crop: &RgbImage, face: &Face, (width, height): (u32, u32)) -> Quality {
    let luma = luma(crop);
    let (brightness, variance) = mean_and_variance(luma.iter().copied());
    let landmarks = face.landmarks.map(|[x, y]| [x * width as f32, y * height as f32]);
    let [yaw_deg, pitch_deg, roll_deg] = pose_deg(&landmarks);
    Quality {
        sharpness: sharpness(&luma, crop.width() as usize),
        brightness,
        contrast: variance.sqrt(),
        face_px: (face.face_box.width * width as f32).min(face.face_box.height * height as f32),
        yaw_deg,
        pitch_deg,
        roll_deg,
    }
}

/// Why a recipe rejects a sample; `None` if it does not.
pub fn verdict(quality: &Quality, recipe: &ClipRecipe) -> Option<Reason> {
    if quality.sharpness < recipe.min_sharpness {
        Some(Reason::Blurred)
    } else if !LUMA.contains(&quality.brightness) || quality.contrast < MIN_CONTRAST {
        Some(Reason::BadLight)
    } else if quality.yaw_deg.abs() > recipe.max_yaw_deg {
        Some(Reason::Turned)
    } else {
        None
    }
}

/// A difference hash (dHash), which changes little when a crop is resized or encoded again: for each of 8 × 8 cells one
/// bit, which is set if the cell is brighter than its right neighbour. Compare two by their Hamming distance.
pub fn perceptual_hash(crop: &RgbImage) -> u64 {
    let (width, luma) = (crop.width() as usize, luma(crop));
    let height = luma.len() / width.max(1);
    let cell = |row: usize, column: usize| {
        let rows = row * height / 8..(row + 1) * height / 8;
        let columns = column * width / 9..(column + 1) * width / 9;
        let values = rows.flat_map(|y| columns.clone().map(move |x| y * width + x)).map(|at| luma[at]);
        mean_and_variance(values).0
    };
    let bits = (0..64).filter(|bit| cell(bit / 8, bit % 8) > cell(bit / 8, bit % 8 + 1));
    bits.fold(0, |hash, bit| hash | 1 << bit)
}

/// Yaw, pitch and roll in degrees from landmarks in pixels, under orthographic projection.
///
/// Roll is the angle of the line through the eyes. In the face turned upright, `yaw = atan(offset / (d·NOSE_DEPTH))`
/// and `pitch = atan((n − LEVEL_NOSE)·MOUTH_BELOW / NOSE_DEPTH)`, where `d` is the distance between the eyes, `offset`
/// that of the nose from the line through the middles of eyes and mouth, and `n` the height of the nose between eyes
/// (0) and mouth (1).
///
/// A face whose nose is flatter than [`NOSE_DEPTH`] by some factor reads as turned less, by that factor in `tan`: with
/// a depth of 0.5, 60° read as 55°. Differences in [`LEVEL_NOSE`] between people shift the pitch. No error was measured
/// on real faces; it is meant to reject faces that are turned far, not to measure poses.
fn pose_deg(landmarks: &Landmarks) -> [f32; 3] {
    let [left_eye, right_eye, nose, left_mouth, right_mouth] = *landmarks;
    let middle = |a: [f32; 2], b: [f32; 2]| [f32::midpoint(a[0], b[0]), f32::midpoint(a[1], b[1])];
    let (eyes, mouth) = (middle(left_eye, right_eye), middle(left_mouth, right_mouth));
    let roll = (right_eye[1] - left_eye[1]).atan2(right_eye[0] - left_eye[0]);
    let upright = |[x, y]: [f32; 2]| {
        let (x, y) = (x - eyes[0], y - eyes[1]);
        [x * roll.cos() + y * roll.sin(), y * roll.cos() - x * roll.sin()]
    };
    let (nose, mouth) = (upright(nose), upright(mouth));
    let eye_distance = (right_eye[0] - left_eye[0]).hypot(right_eye[1] - left_eye[1]).max(f32::EPSILON);
    let mouth_below = mouth[1].max(f32::EPSILON);
    // Measured horizontally.
    let offset = nose[0] - mouth[0] * nose[1] / mouth_below;
    let yaw = (offset / eye_distance / NOSE_DEPTH).atan();
    let pitch = ((nose[1] / mouth_below - LEVEL_NOSE) * MOUTH_BELOW / NOSE_DEPTH).atan();
    [yaw, pitch, roll].map(f32::to_degrees)
}

/// The luma of each pixel, row by row, 0 to 255 (BT.601).
fn luma(picture: &RgbImage) -> Vec<f32> {
    let of_pixel = |p: &[u8]| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
    picture.as_raw().chunks_exact(3).map(of_pixel).collect()
}

/// Variance of the Laplacian (up + down + left + right − 4 × centre) over all pixels but those at the border.
fn sharpness(luma: &[f32], width: usize) -> f32 {
    let height = luma.len() / width.max(1);
    let rows = 1..height.saturating_sub(1);
    let inner = rows.flat_map(|y| (1..width.saturating_sub(1)).map(move |x| y * width + x));
    let laplacian =
        inner.map(|at| luma[at - 1] + luma[at + 1] + luma[at - width] + luma[at + width] - 4.0 * luma[at]);
    mean_and_variance(laplacian).1
}

/// The mean and the population variance; both 0 without values.
fn mean_and_variance(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let (mut count, mut sum, mut squares) = (0_u32, 0.0_f64, 0.0_f64);
    for value in values.map(f64::from) {
        count += 1;
        sum += value;
        squares += value * value;
    }
    let count = f64::from(count.max(1));
    let mean = sum / count;
    (mean as f32, (squares / count - mean * mean).max(0.0) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::align::{Similarity, TEMPLATE_224};
    use crate::face::fake::face_at;

    #[test]
    fn a_checkered_crop_is_sharper_than_its_blur_and_a_uniform_one_has_no_sharpness() {
        let checkered = RgbImage::from_fn(64, 64, |x, y| {
            image::Rgb([if (x / 4 + y / 4) % 2 == 0 { 60 } else { 180 }; 3])
        });
        let flat = RgbImage::from_pixel(64, 64, image::Rgb([120; 3]));
        let face = face_at(0.25, 0.25, 0.5, 0.4);
        let sharp = measure(&checkered, &face, (200, 100));
        let blurred = measure(&image::imageops::blur(&checkered, 2.0), &face, (200, 100));
        assert!(sharp.sharpness > 4.0 * blurred.sharpness);
        assert_eq!(measure(&flat, &face, (200, 100)).sharpness, 0.0);
        assert!((sharp.brightness - 120.0).abs() < 0.5 && (sharp.contrast - 60.0).abs() < 0.5);
        assert!((sharp.face_px - 40.0).abs() < 1e-3);
    }

    #[test]
    fn a_tilted_frontal_face_has_roll_and_no_yaw_or_pitch() {
        let tilt = 20.0_f32.to_radians();
        let turn = Similarity { a: tilt.cos(), b: tilt.sin(), dx: 0.0, dy: 0.0 };
        let [yaw, pitch, roll] = pose_deg(&TEMPLATE_224.map(|point| turn.apply(point)));
        assert!(yaw.abs() < 2.0 && pitch.abs() < 2.0, "{yaw} {pitch}");
        assert!((roll - 20.0).abs() < 1.0, "{roll}");
    }

    #[test]
    fn a_nose_to_the_right_gives_positive_yaw_and_a_low_nose_positive_pitch() {
        let mut landmarks = TEMPLATE_224;
        landmarks[2][0] += 20.0;
        landmarks[2][1] += 12.0;
        let [yaw, pitch, _] = pose_deg(&landmarks);
        assert!(yaw > 20.0 && pitch > 10.0, "{yaw} {pitch}");
    }

    #[test]
    fn a_verdict_names_the_measure_that_is_out_of_bounds() {
        let good = Quality {
            sharpness: 50.0,
            brightness: 120.0,
            contrast: 40.0,
            face_px: 100.0,
            yaw_deg: 5.0,
            pitch_deg: 0.0,
            roll_deg: 0.0,
        };
        let recipe = ClipRecipe::default();
        assert_eq!(verdict(&good, &recipe), None);
        assert_eq!(verdict(&Quality { sharpness: 1.0, ..good }, &recipe), Some(Reason::Blurred));
        assert_eq!(verdict(&Quality { brightness: 10.0, ..good }, &recipe), Some(Reason::BadLight));
        assert_eq!(verdict(&Quality { yaw_deg: -80.0, ..good }, &recipe), Some(Reason::Turned));
    }

    #[test]
    fn a_hash_changes_little_with_the_size_and_much_with_the_picture() {
        let wave = |k: u32| {
            RgbImage::from_fn(96, 96, |x, y| {
                let value =
                    (f64::from(x * k) / 11.0).sin() + (f64::from(y * 3 + x) / (7.0 + f64::from(k))).cos();
                image::Rgb([(120.0 + 55.0 * value) as u8; 3])
            })
        };
        let smaller = image::imageops::thumbnail(&wave(1), 80, 80);
        let apart = |a: &RgbImage, b: &RgbImage| (perceptual_hash(a) ^ perceptual_hash(b)).count_ones();
        assert!(apart(&wave(1), &smaller) <= 4, "{}", apart(&wave(1), &smaller));
        assert!(apart(&wave(1), &wave(5)) >= 12, "{}", apart(&wave(1), &wave(5)));
    }
}

//! What can be measured of one face's picture without knowing the emotion, and which measures a recipe refuses. Pure.

use image::RgbImage;

use crate::config::ClipRecipe;
use crate::failure::Reason;
use crate::types::{Face, Landmarks, Quality};

/// How far the nose stands out before the eyes, in distances between the eyes.
const NOSE_DEPTH: f32 = 0.6;
/// Where the nose of a level face lies between the eyes (0) and the mouth (1): as in the ArcFace template.
const LEVEL_NOSE: f32 = 0.49;
/// Distance from the eyes to the mouth of a frontal face, in distances between the eyes.
const MOUTH_BELOW: f32 = 1.15;

/// Darkest and brightest mean luma, and least contrast, of a usable crop.
const LIGHT: std::ops::RangeInclusive<f32> = 25.0..=235.0;
const MIN_CONTRAST: f32 = 10.0;

/// Measures an aligned crop, and the face that it was made of in a picture of `size` pixels.
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

/// Why a recipe would not use a sample; `None` when it would.
pub fn verdict(quality: &Quality, recipe: &ClipRecipe) -> Option<Reason> {
    if quality.sharpness < recipe.min_sharpness {
        Some(Reason::Blurred)
    } else if !LIGHT.contains(&quality.brightness) || quality.contrast < MIN_CONTRAST {
        Some(Reason::BadLight)
    } else if quality.yaw_deg.abs() > recipe.max_yaw_deg {
        Some(Reason::Turned)
    } else {
        None
    }
}

/// 64 bits that change little when a crop is encoded again or resized: is each of 8 × 8 cells brighter than its
/// right neighbour? Compare two by the number of bits that differ.
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

/// Yaw, pitch and roll in degrees from landmarks in pixels, as if the head were far away.
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
    let apart = (right_eye[0] - left_eye[0]).hypot(right_eye[1] - left_eye[1]).max(f32::EPSILON);
    let below = mouth[1].max(f32::EPSILON);
    // The nose's place across is measured from the line between the eyes' and the mouth's middle.
    let across = nose[0] - mouth[0] * nose[1] / below;
    let yaw = (across / apart / NOSE_DEPTH).atan();
    let pitch = ((nose[1] / below - LEVEL_NOSE) * MOUTH_BELOW / NOSE_DEPTH).atan();
    [yaw, pitch, roll].map(f32::to_degrees)
}

fn luma(picture: &RgbImage) -> Vec<f32> {
    let of_pixel = |p: &[u8]| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
    picture.as_raw().chunks_exact(3).map(of_pixel).collect()
}

/// Variance of the Laplacian (up + down + left + right − 4 × centre).
fn sharpness(luma: &[f32], width: usize) -> f32 {
    let height = luma.len() / width.max(1);
    let rows = 1..height.saturating_sub(1);
    let inner = rows.flat_map(|y| (1..width.saturating_sub(1)).map(move |x| y * width + x));
    let laplacian =
        inner.map(|at| luma[at - 1] + luma[at + 1] + luma[at - width] + luma[at + width] - 4.0 * luma[at]);
    mean_and_variance(laplacian).1
}

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
    fn a_checkered_crop_is_sharper_than_its_blur_and_a_flat_one_is_not_sharp_at_all() {
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
    fn a_frontal_face_looks_straight_and_a_tilted_one_is_only_tilted() {
        let tilt = 20.0_f32.to_radians();
        let turn = Similarity { a: tilt.cos(), b: tilt.sin(), dx: 0.0, dy: 0.0 };
        let [yaw, pitch, roll] = pose_deg(&TEMPLATE_224.map(|point| turn.apply(point)));
        assert!(yaw.abs() < 2.0 && pitch.abs() < 2.0, "{yaw} {pitch}");
        assert!((roll - 20.0).abs() < 1.0, "{roll}");
    }

    #[test]
    fn a_nose_to_the_right_looks_right_and_a_low_one_looks_down() {
        let mut landmarks = TEMPLATE_224;
        landmarks[2][0] += 20.0;
        landmarks[2][1] += 12.0;
        let [yaw, pitch, _] = pose_deg(&landmarks);
        assert!(yaw > 20.0 && pitch > 10.0, "{yaw} {pitch}");
    }

    #[test]
    fn a_verdict_names_the_first_thing_that_is_wrong() {
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
    fn a_hash_hardly_changes_with_size_and_much_with_the_picture() {
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

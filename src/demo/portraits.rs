//! A data set of drawn faces whose true labels are known: one picture a person, easy to tell apart or as hard as small
//! real ones. It makes noise experiments possible without a licence-gated data set. Knows nothing of films and of labels
//! that are wrong.

use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma, RgbImage};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::backdrop;
use super::chance::{Purpose, chance};
use super::draw::{Pose, draw_person};
use super::expression::Expression;
use super::person::Person;
use crate::types::Emotion;

/// How hard a set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Difficulty {
    /// Faces as the demo's films show them, in colour, as many of each emotion.
    Easy,
    /// Grey, between two emotions, faint, turned, blurred and noisy; emotions as unequal as in FERPlus.
    Hard,
}

/// Drawn faces, all different people. The same seed and difficulty are the same set.
#[derive(Debug, Clone)]
pub struct Portraits {
    difficulty: Difficulty,
    seed: u64,
    emotions: Vec<Emotion>,
}

/// Side of a picture in pixels.
pub const SIDE: u32 = 48;

/// Shares of FERPlus's emotions, in percent and in the order of [`Emotion::ALL`]. The two rarest are doubled: a class of
/// a dozen pictures would measure chance alone.
const FERPLUS_SHARES: [f64; 8] = [35.0, 26.0, 12.5, 12.0, 8.5, 1.5, 3.0, 1.5];

impl Portraits {
    /// Plans `count` portraits.
    pub fn new(difficulty: Difficulty, count: usize, seed: u64) -> Self {
        let shares = match difficulty {
            Difficulty::Easy => [1.0; 8],
            Difficulty::Hard => FERPLUS_SHARES,
        };
        let all: f64 = shares.iter().sum();
        let mut emotions = Vec::with_capacity(count);
        let mut bound = 0.0;
        for (emotion, share) in Emotion::ALL.into_iter().zip(shares) {
            bound += share / all * count as f64;
            emotions.resize((bound.round() as usize).max(emotions.len()), emotion);
        }
        emotions.shuffle(&mut chance(seed, Purpose::World));
        Self { difficulty, seed, emotions }
    }

    /// The emotion that each portrait truly shows.
    pub fn emotions(&self) -> &[Emotion] {
        &self.emotions
    }

    /// One portrait as a PNG file.
    pub fn png(&self, index: usize) -> Vec<u8> {
        let mut png = Cursor::new(Vec::new());
        let picture = self.draw(index);
        picture.write_to(&mut png, ImageFormat::Png).expect("memory takes a picture");
        png.into_inner()
    }

    /// Draws one portrait.
    pub fn draw(&self, index: usize) -> RgbImage {
        let seed = self.seed.wrapping_mul(0x9e37_79b9).wrapping_add(index as u64);
        let mut chance = chance(seed, Purpose::Motion);
        let emotion = self.emotions[index];
        let person = Person::from_seed(seed);
        match self.difficulty {
            Difficulty::Easy => {
                let mut picture = backdrop::room(SIDE, SIDE, seed);
                draw_person(&mut picture, &person, pose(&mut chance, 1.0), Expression::of(emotion, seed));
                picture
            }
            Difficulty::Hard => {
                let expression = between(emotion, seed, &mut chance);
                let mut picture = backdrop::room(SIDE, SIDE, seed);
                draw_person(&mut picture, &person, pose(&mut chance, 1.8), expression);
                spoil(&picture, &mut chance)
            }
        }
    }
}

/// A head that fills the picture, moved and turned by up to `reach` times what a film shows.
fn pose(chance: &mut ChaCha8Rng, reach: f32) -> Pose {
    let side = SIDE as f32;
    let mut around = |most: f32| reach * chance.random_range(-most..most);
    Pose {
        x_px: side * (0.5 + around(0.03)),
        y_px: side * (0.5 + around(0.03)),
        half_width_px: side * 0.34 * (1.0 + around(0.06)),
        yaw_rad: around(0.2),
        pitch_rad: around(0.1),
        roll_rad: around(0.08),
        gaze: around(0.45),
    }
}

/// A faint expression with a good part of another emotion in it, but less than half.
fn between(emotion: Emotion, seed: u64, chance: &mut ChaCha8Rng) -> Expression {
    let other = Emotion::ALL[(emotion.index() + chance.random_range(1..8)) % 8];
    let of = |emotion, salt| Expression::of(emotion, seed ^ salt);
    let mixed = of(emotion, 0).towards(of(other, 1), chance.random_range(0.0..HARD_MOST_OTHER));
    of(Emotion::Neutral, 2).towards(mixed, chance.random_range(HARD_FAINTEST..1.0))
}

/// The greatest share of another emotion in a hard portrait.
const HARD_MOST_OTHER: f32 = 0.5;
/// The least strength of a hard portrait's expression.
const HARD_FAINTEST: f32 = 0.4;
/// Standard deviation of a hard portrait's noise, of 255, and of its blur, in pixels: each up to this.
const HARD_NOISE: f32 = 12.0;
const HARD_BLUR: f32 = 0.9;

/// Grey, blurred, in another light, and noisy.
fn spoil(picture: &RgbImage, chance: &mut ChaCha8Rng) -> RgbImage {
    let grey: GrayImage = image::imageops::grayscale(picture);
    let blurred = image::imageops::blur(&grey, chance.random_range(0.3..HARD_BLUR));
    let (gain, light) = (chance.random_range(0.7..1.2_f32), chance.random_range(-40.0..40.0_f32));
    let noise = chance.random_range(2.0..HARD_NOISE);
    let slant: [f32; 2] = std::array::from_fn(|_| chance.random_range(-0.8..0.8));
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let Luma([value]) = *blurred.get_pixel(x, y);
        let from_middle = |at: u32| at as f32 - 0.5 * SIDE as f32;
        let lit = light + slant[0] * from_middle(x) + slant[1] * from_middle(y);
        // The sum of four even chances: near enough to a normal one.
        let stray: f32 = (0..4).map(|_| chance.random_range(-0.87..0.87_f32)).sum();
        let value = (f32::from(value) - 128.0).mul_add(gain, 128.0 + lit) + noise * stray;
        image::Rgb([value.clamp(0.0, 255.0) as u8; 3])
    })
}

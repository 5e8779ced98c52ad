//! A small synthetic data set for tests: shapes on noisy backgrounds, 32 px.

use std::io::Cursor;
use std::sync::Arc;

use image::{ImageFormat, Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::data::{Identity, Pictures, TrainingSet, identity_of};
use crate::types::Split;

const SIDE: u32 = 32;

/// Image files in memory.
pub(crate) struct InMemory(pub(crate) Vec<Vec<u8>>);

impl Pictures for InMemory {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn encoded(&self, index: usize) -> std::io::Result<Vec<u8>> {
        Ok(self.0[index].clone())
    }

    fn name(&self, index: usize) -> String {
        format!("drawn {index}")
    }

    fn identity(&self) -> Identity {
        identity_of(self.0.concat())
    }
}

/// `count` pictures of three classes (square, cross, ring); of each five, the fourth is for validation and the fifth
/// for testing.
pub(crate) fn shapes(count: usize, seed: u64) -> TrainingSet {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<usize> = (0..count).map(|sample| sample % 3).collect();
    let pictures = labels.iter().map(|&label| draw(label, &mut rng)).collect();
    let split = |sample: usize| match sample % 5 {
        3 => Split::Validation,
        4 => Split::Test,
        _ => Split::Train,
    };
    TrainingSet {
        name: "shapes".to_owned(),
        classes: ["square", "cross", "ring"].map(str::to_owned).to_vec(),
        labels,
        splits: (0..count).map(split).collect(),
        ..TrainingSet::of(Arc::new(InMemory(pictures)))
    }
}

fn draw(label: usize, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let (x0, y0) = (rng.random_range(12..20_i32), rng.random_range(12..20_i32));
    let size = rng.random_range(6..10_i32);
    let ink = rng.random_range(150..255_u8);
    let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (dx, dy) = ((x.cast_signed() - x0).abs(), (y.cast_signed() - y0).abs());
        let inside = match label {
            0 => dx.max(dy) < size,
            1 => dx.min(dy) < 2 && dx.max(dy) < size,
            _ => ((dx * dx + dy * dy).isqrt() - size).abs() < 2,
        };
        let noise = rng.random_range(0..60_u8);
        let grey = if inside { ink.saturating_sub(noise) } else { noise };
        Rgb([grey; 3])
    });
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).expect("memory takes a picture");
    png.into_inner()
}

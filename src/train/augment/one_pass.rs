//! Augmentation on a CPU: one thread takes a picture from bytes to the net's input within the CPU's caches. That takes
//! a fraction of the time of the tensor operations with which `augment` does the same on a GPU.

use std::array;
use std::num::NonZero;
use std::thread;

use tch::Tensor;

use super::super::host::filled;
use super::super::loader::Batch;
use super::super::recipe::{Normalise, Recipe};
use super::Draw;

const CHANNELS: usize = 3;
/// Numbers computed at once, for the vector instructions: four whole pixels.
const LANES: usize = 4 * CHANNELS;

/// A point between two pixels of a row or a column.
struct Between {
    first: usize,
    second: usize,
    /// 0 at the first, 1 at the second.
    share: f32,
}

/// Normalised, augmented pictures, N×3×side×side; the memory stays channels-last.
pub(super) fn varied(batch: &Batch, recipe: &Recipe, draws: &[Draw]) -> Tensor {
    let (side, how) = (recipe.image_size as usize, recipe.normalise);
    let length = side * side * CHANNELS;
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = draws.len().div_ceil(threads).max(1);
    let fill = |output: &mut [f32]| {
        thread::scope(|scope| {
            let parts = draws.chunks(share).zip(batch.pixels.chunks(share * length));
            for ((draws, pixels), output) in parts.zip(output.chunks_mut(share * length)) {
                scope.spawn(move || {
                    for ((draw, pixels), output) in
                        draws.iter().zip(pixels.chunks(length)).zip(output.chunks_mut(length))
                    {
                        vary(draw, pixels, side, how, output);
                    }
                });
            }
        });
    };
    let [count, side] = [draws.len(), side].map(|length| length.cast_signed() as i64);
    filled(&[count, side, side, CHANNELS as i64], fill).permute([0, 3, 1, 2])
}

/// One picture: side×side×3 bytes to as many floats.
fn vary(draw: &Draw, pixels: &[u8], side: usize, how: Normalise, output: &mut [f32]) {
    window(draw, pixels, side, output);
    colour(draw, how, output);
    erase(draw, side, output);
}

/// Flip, shift and zoom by bilinear interpolation; the numbers stay 0 to 255.
fn window(draw: &Draw, pixels: &[u8], side: usize, output: &mut [f32]) {
    let across = sources(side, draw.flip * draw.zoom, draw.shift[0]);
    let down = sources(side, draw.zoom, draw.shift[1]);
    let width = side * CHANNELS;
    // Four numbers fill a vector register, three do not: each pixel reads and writes one number too many, which the
    // next pixel overwrites.
    let mut row = vec![0.0; width + 1];
    let mut line = vec![0.0; width + 1];
    for (output, at) in output.chunks_exact_mut(width).zip(&down) {
        let [above, below] = [at.first, at.second].map(|y| &pixels[y * width..][..width]);
        for ((blended, &above), &below) in row.iter_mut().zip(above).zip(below) {
            *blended = between(f32::from(above), f32::from(below), at.share);
        }
        for (x, at) in across.iter().enumerate() {
            let [left, right] = [at.first, at.second].map(|x| quad(&row, x * CHANNELS));
            let blended: [f32; 4] = array::from_fn(|lane| between(left[lane], right[lane], at.share));
            line[x * CHANNELS..][..4].copy_from_slice(&blended);
        }
        output.copy_from_slice(&line[..width]);
    }
}

fn quad(row: &[f32], at: usize) -> [f32; 4] {
    let mut quad = [0.0; 4];
    quad.copy_from_slice(&row[at..at + 4]);
    quad
}

/// The point that each pixel of a row or a column is sampled from; pixels at the border repeat beyond it.
fn sources(side: usize, scale: f32, shift: f32) -> Vec<Between> {
    let (middle, last) = (side as f32 / 2.0, side - 1);
    let source = |at: usize| {
        let source = scale * (at as f32 + 0.5 - middle) + shift * middle + middle - 0.5;
        let source = source.clamp(0.0, last as f32);
        let first = source as usize;
        Between { first, second: last.min(first + 1), share: source - first as f32 }
    };
    (0..side).map(source).collect()
}

fn between(first: f32, second: f32, share: f32) -> f32 {
    first + (second - first) * share
}

/// Contrast around the picture's mean, brightness, clamping to 0 to 1, and normalisation.
fn colour(draw: &Draw, how: Normalise, output: &mut [f32]) {
    let factor = draw.contrast * draw.brightness / 255.0;
    let offset = mean(output) / 255.0 * (1.0 - draw.contrast) * draw.brightness;
    let (means, deviations) = how.mean_and_deviation();
    let means: [f32; LANES] = array::from_fn(|lane| means[lane % CHANNELS]);
    let factors: [f32; LANES] = array::from_fn(|lane| 1.0 / deviations[lane % CHANNELS]);
    let number =
        |number: f32, lane: usize| ((number * factor + offset).clamp(0.0, 1.0) - means[lane]) * factors[lane];
    let (whole, rest) = output.as_chunks_mut::<LANES>();
    for numbers in whole {
        *numbers = array::from_fn(|lane| number(numbers[lane], lane));
    }
    for (lane, last) in rest.iter_mut().enumerate() {
        *last = number(*last, lane);
    }
}

fn mean(numbers: &[f32]) -> f32 {
    let (whole, rest) = numbers.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for numbers in whole {
        sums = array::from_fn(|lane| sums[lane] + numbers[lane]);
    }
    sums.iter().chain(rest).sum::<f32>() / numbers.len() as f32
}

fn erase(draw: &Draw, side: usize, output: &mut [f32]) {
    let [left, top, right, bottom] = draw.erased.map(|edge| {
        // The first pixel whose middle is on or beyond the edge.
        ((edge * side as f32 - 0.5).ceil().max(0.0) as usize).min(side)
    });
    let width = side * CHANNELS;
    for line in output.chunks_mut(width).take(bottom).skip(top) {
        line[left * CHANNELS..right.max(left) * CHANNELS].fill(0.0);
    }
}

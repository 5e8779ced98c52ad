//! Augmentation on a CPU: each picture goes from bytes to what the net sees in one pass, by one thread and within the
//! caches. That takes a fraction of the time of the tensor operations with which `augment` does the same on a GPU.

use std::array;
use std::num::NonZero;
use std::thread;

use tch::Tensor;

use super::super::host::written;
use super::super::loader::Batch;
use super::super::recipe::Normalise;
use super::View;

const CHANNELS: usize = 3;
/// Numbers that are computed side by side: four whole pixels.
const LANES: usize = 4 * CHANNELS;

/// A place between two pixels of a row or a column.
struct Between {
    first: usize,
    second: usize,
    /// 0 at the first, 1 at the second.
    share: f32,
}

/// Pictures as training sees them, N×3×side×side; the memory stays channels-last.
pub(super) fn varied(batch: &Batch, side: u32, how: Normalise, views: &[View]) -> Tensor {
    let length = (side * side) as usize * CHANNELS;
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = views.len().div_ceil(threads).max(1);
    let write = |seen: &mut [f32]| {
        thread::scope(|scope| {
            let parts = views.chunks(share).zip(batch.pixels.chunks(share * length));
            for ((views, pixels), seen) in parts.zip(seen.chunks_mut(share * length)) {
                scope.spawn(move || {
                    for ((view, pixels), seen) in
                        views.iter().zip(pixels.chunks(length)).zip(seen.chunks_mut(length))
                    {
                        vary(view, pixels, side as usize, how, seen);
                    }
                });
            }
        });
    };
    let side = i64::from(side);
    written(&[views.len().cast_signed() as i64, side, side, CHANNELS as i64], write).permute([0, 3, 1, 2])
}

/// One picture: bytes side×side×3 to as many numbers.
fn vary(view: &View, pixels: &[u8], side: usize, how: Normalise, seen: &mut [f32]) {
    window(view, pixels, side, seen);
    colour(view, how, seen);
    erase(view, side, seen);
}

/// Flip, shift and zoom; the numbers stay 0 to 255.
fn window(view: &View, pixels: &[u8], side: usize, seen: &mut [f32]) {
    let across = places(side, view.flip * view.zoom, view.shift[0]);
    let down = places(side, view.zoom, view.shift[1]);
    let width = side * CHANNELS;
    // Four numbers fit one instruction, three do not: one number more is read and written for each pixel, and the next
    // pixel overwrites it.
    let mut row = vec![0.0; width + 1];
    let mut line = vec![0.0; width + 1];
    for (seen, at) in seen.chunks_exact_mut(width).zip(&down) {
        let [above, below] = [at.first, at.second].map(|y| &pixels[y * width..][..width]);
        for ((blended, &above), &below) in row.iter_mut().zip(above).zip(below) {
            *blended = between(f32::from(above), f32::from(below), at.share);
        }
        for (x, at) in across.iter().enumerate() {
            let [left, right] = [at.first, at.second].map(|x| quad(&row, x * CHANNELS));
            let blended: [f32; 4] = array::from_fn(|lane| between(left[lane], right[lane], at.share));
            line[x * CHANNELS..][..4].copy_from_slice(&blended);
        }
        seen.copy_from_slice(&line[..width]);
    }
}

fn quad(row: &[f32], at: usize) -> [f32; 4] {
    let mut quad = [0.0; 4];
    quad.copy_from_slice(&row[at..at + 4]);
    quad
}

/// Where each pixel of a row or a column is taken from; beyond the border the pixel at the border repeats.
fn places(side: usize, scale: f32, shift: f32) -> Vec<Between> {
    let (middle, last) = (side as f32 / 2.0, side - 1);
    let place = |at: usize| {
        let place = scale * (at as f32 + 0.5 - middle) + shift * middle + middle - 0.5;
        let place = place.clamp(0.0, last as f32);
        let first = place as usize;
        Between { first, second: last.min(first + 1), share: place - first as f32 }
    };
    (0..side).map(place).collect()
}

fn between(first: f32, second: f32, share: f32) -> f32 {
    first + (second - first) * share
}

/// Contrast around the picture's mean, brightness, and the numbers of a [`Normalise`].
fn colour(view: &View, how: Normalise, seen: &mut [f32]) {
    let factor = view.contrast * view.brightness / 255.0;
    let offset = mean(seen) / 255.0 * (1.0 - view.contrast) * view.brightness;
    let (means, deviations) = how.mean_and_deviation();
    let means: [f32; LANES] = array::from_fn(|lane| means[lane % CHANNELS]);
    let factors: [f32; LANES] = array::from_fn(|lane| 1.0 / deviations[lane % CHANNELS]);
    let number =
        |number: f32, lane: usize| ((number * factor + offset).clamp(0.0, 1.0) - means[lane]) * factors[lane];
    let (whole, rest) = seen.as_chunks_mut::<LANES>();
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

fn erase(view: &View, side: usize, seen: &mut [f32]) {
    let [left, top, right, bottom] = view.erased.map(|edge| {
        // The first pixel whose middle is not before the edge.
        ((edge * side as f32 - 0.5).ceil().max(0.0) as usize).min(side)
    });
    let width = side * CHANNELS;
    for line in seen.chunks_mut(width).take(bottom).skip(top) {
        line[left * CHANNELS..right.max(left) * CHANNELS].fill(0.0);
    }
}

//! One plane of a picture as a square of another size, placed to fractions of a pixel: a triangle filter, as wide as a
//! pixel of the larger of the two, first down and then across. Knows no colours and no frames.
//!
//! It runs once for every plane of every frame of every clip, so it is written for what all processors have: bytes,
//! weights of a 256th and 16-bit sums, sixteen pixels at a time. Results are the same on each of them, and less than two
//! of 255 steps from those of exact weights.

use std::array;

/// Rows of the result that are made side by side: across, their pixels are weighted alike.
const ROWS: usize = 16;
/// Columns that are summed side by side.
const COLUMNS: usize = 32;
/// The sum of all weights of a pixel. A sum of bytes with these weights is at most 65,280, which 16 bits hold.
const ONE: u16 = 256;

/// Sixteen rows of sixteen bytes.
type Block = [[u8; ROWS]; ROWS];

/// Rows of bytes that begin `stride` bytes apart; the first `width` bytes of each are pixels.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Makes squares; keeps its memory for the next one.
#[derive(Default)]
pub(super) struct Resampler {
    down: Weights,
    across: Weights,
    /// Rows that are filtered downwards.
    lines: Vec<u8>,
    /// The same, column after column.
    columns: Vec<Block>,
    /// Columns of the result.
    made: Vec<Block>,
}

/// Which pixels of a column (or row) make each pixel of the result's, and with which weights.
#[derive(Default)]
struct Weights {
    /// For each pixel of the result, the first pixel that it is made of, and where its weights begin; one more entry
    /// marks the end.
    places: Vec<(usize, usize)>,
    weights: Vec<u16>,
}

impl Resampler {
    /// The part of a plane that begins at `corner` and has these sides, `to` pixels wide and high, row by row. The part
    /// lies in the plane and is not empty.
    pub(super) fn square(&mut self, plane: Plane, corner: [f64; 2], sides: [f64; 2], to: usize) -> Vec<u8> {
        let Self { down, across, lines, columns, made } = self;
        across.set(corner[0], sides[0], to, plane.width);
        down.set(corner[1], sides[1], to, plane.height);
        let (first, after) = across.range();
        // Whole vectors are read: from a little earlier or later than asked, where rows are long enough.
        let length = (after - first).next_multiple_of(COLUMNS);
        let left = first.min(plane.stride.saturating_sub(length));
        let read = length.min(plane.stride - left);
        lines.resize(length * ROWS, 0);
        columns.resize(length / ROWS, Block::default());
        made.resize(to.div_ceil(ROWS), Block::default());
        let mut square = vec![0; to * to];
        for (top, rows) in (0..).step_by(ROWS).zip(square.chunks_mut(to * ROWS)) {
            for (at, line) in (top..to).zip(lines.chunks_exact_mut(length)) {
                plane.sum_down(left, down.of(at), &mut line[..read]);
            }
            let (lines, _) = lines.as_chunks::<ROWS>();
            for (at, block) in columns.iter_mut().enumerate() {
                *block = turned(array::from_fn(|row| lines[row * (length / ROWS) + at]));
            }
            let columns = columns.as_flattened();
            for (at, column) in made.as_flattened_mut().iter_mut().enumerate().take(to) {
                let (first, weights) = across.of(at);
                *column = weighted(columns[first - left..].iter().zip(weights));
            }
            for (at, block) in made.iter().enumerate() {
                for (row, pixels) in rows.chunks_exact_mut(to).zip(turned(*block)) {
                    let row = &mut row[at * ROWS..];
                    let length = row.len().min(ROWS);
                    row[..length].copy_from_slice(&pixels[..length]);
                }
            }
        }
        square
    }
}

impl Plane<'_> {
    /// A row of the result's height: pixels from column `left` on.
    fn sum_down(&self, left: usize, (first, weights): (usize, &[u16]), line: &mut [u8]) {
        let mut rest = left;
        let (whole, last) = line.as_chunks_mut::<COLUMNS>();
        for pixels in whole {
            *pixels = self.sum_columns(rest, first, weights);
            rest += COLUMNS;
        }
        for (column, pixel) in (rest..).zip(last) {
            [*pixel] = self.sum_columns(column, first, weights);
        }
    }

    fn sum_columns<const N: usize>(&self, column: usize, first: usize, weights: &[u16]) -> [u8; N] {
        let rows = self.bytes[first * self.stride..].chunks(self.stride);
        weighted(rows.filter_map(|row| row[column..].first_chunk()).zip(weights))
    }
}

impl Weights {
    /// Sets the weights of `to` pixels that show `side` pixels from `from` on; there are `limit` pixels.
    fn set(&mut self, from: f64, side: f64, to: usize, limit: usize) {
        self.places.clear();
        self.weights.clear();
        let scale = side / to as f64;
        let reach = scale.max(1.0);
        for at in 0..to {
            let middle = from + (at as f64 + 0.5) * scale;
            // All pixels whose middles lie nearer than the reach; `as usize` cuts the fraction off.
            let first = ((middle - reach + 0.5).max(0.0) as usize).min(limit - 1);
            let after = ((middle + reach + 0.5).max(0.0) as usize).clamp(first + 1, limit);
            let height = |pixel: usize| (1.0 - (pixel as f64 + 0.5 - middle).abs() / reach).max(0.0);
            let share = f64::from(ONE) / (first..after).map(height).sum::<f64>();
            self.places.push((first, self.weights.len()));
            // What rounding leaves over goes to the next weight, so that together they are `ONE`.
            let (mut sum, mut given) = (0.0, 0);
            for pixel in first..after {
                sum += height(pixel);
                let due = (sum * share + 0.5) as u16;
                self.weights.push(due - given);
                given = due;
            }
        }
        self.places.push((limit, self.weights.len()));
    }

    fn of(&self, at: usize) -> (usize, &[u16]) {
        let (first, begin) = self.places[at];
        (first, &self.weights[begin..self.places[at + 1].1])
    }

    /// The first pixel that matters, and the one after the last.
    fn range(&self) -> (usize, usize) {
        let (first, weights) = self.of(self.places.len() - 2);
        (self.places[0].0, first + weights.len())
    }
}

/// Pixels side by side, each the weighted mean of its column.
fn weighted<'a, const N: usize>(rows: impl Iterator<Item = (&'a [u8; N], &'a u16)>) -> [u8; N] {
    let mut sums = [ONE / 2; N];
    for (row, weight) in rows {
        for (sum, byte) in sums.iter_mut().zip(row) {
            *sum += weight * u16::from(*byte);
        }
    }
    sums.map(|sum| (sum / ONE) as u8)
}

/// Turns rows into columns. The place of a byte is a number of eight bits: four for its row, four for its column. Each
/// of four rounds makes the highest bit the lowest; after all of them row and column have changed places.
#[inline(always)]
fn turned(mut block: Block) -> Block {
    for _ in 0..ROWS.ilog2() {
        let before = block;
        for at in 0..ROWS / 2 {
            [block[2 * at], block[2 * at + 1]] = by_turns(before[at], before[at + ROWS / 2]);
        }
    }
    block
}

/// Bytes of the two by turns, which is one instruction of the processor.
#[inline(always)]
fn by_turns(a: [u8; ROWS], b: [u8; ROWS]) -> [[u8; ROWS]; 2] {
    let from =
        |first: usize| array::from_fn(|at| if at % 2 == 0 { a[first + at / 2] } else { b[first + at / 2] });
    [from(0), from(ROWS / 2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(plane: Plane, corner: [f64; 2], sides: [f64; 2], to: usize) -> Vec<u8> {
        Resampler::default().square(plane, corner, sides, to)
    }

    /// What the filter says, in fractions.
    fn exact(plane: Plane, corner: [f64; 2], sides: [f64; 2], to: usize) -> Vec<f64> {
        let weights = |axis: usize, at: usize, limit: usize| -> Vec<f64> {
            let scale = sides[axis] / to as f64;
            let middle = corner[axis] + (at as f64 + 0.5) * scale;
            let height = |pixel: usize| (1.0 - (pixel as f64 + 0.5 - middle).abs() / scale.max(1.0)).max(0.0);
            let total: f64 = (0..limit).map(height).sum();
            (0..limit).map(|pixel| height(pixel) / total).collect()
        };
        let value = |(x, y): (usize, usize)| {
            let (across, down) = (weights(0, x, plane.width), weights(1, y, plane.height));
            let row = |y: usize| &plane.bytes[y * plane.stride..];
            let of_row =
                |y: usize| across.iter().zip(row(y)).map(|(w, byte)| w * f64::from(*byte)).sum::<f64>();
            down.iter().enumerate().map(|(y, weight)| weight * of_row(y)).sum()
        };
        (0..to * to).map(|at| value((at % to, at / to))).collect()
    }

    fn noise(length: usize) -> Vec<u8> {
        (0..length as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
    }

    #[test]
    fn larger_smaller_and_at_every_rim_it_is_the_exact_filter_within_two_steps() {
        let bytes = noise(96 * 60);
        let plane = Plane { bytes: &bytes, stride: 96, width: 90, height: 60 };
        for (corner, sides, to) in [
            ([0.0, 0.0], [90.0, 60.0], 20),
            ([12.3, 7.8], [21.7, 21.7], 37),
            ([60.2, 30.1], [29.8, 29.9], 16),
            ([89.0, 0.0], [1.0, 1.0], 5),
            ([3.5, 2.25], [33.0, 44.0], 33),
        ] {
            let (ours, exact) = (square(plane, corner, sides, to), exact(plane, corner, sides, to));
            let apart = ours.iter().zip(&exact).map(|(ours, exact)| (f64::from(*ours) - exact).abs());
            let most = apart.fold(0.0, f64::max);
            assert!(ours.len() == to * to && most < 2.0, "{most} apart for {corner:?} {sides:?} to {to}");
        }
    }

    #[test]
    fn a_plane_narrower_than_what_is_read_at_once_does() {
        let bytes = noise(3 * 5);
        let plane = Plane { bytes: &bytes, stride: 3, width: 3, height: 5 };
        assert_eq!(square(plane, [0.0, 1.0], [3.0, 3.0], 3), bytes[3..12]);
    }

    #[test]
    fn what_is_of_one_grey_stays_of_it() {
        for grey in [0, 1, 128, 254, 255] {
            let bytes = vec![grey; 64 * 64];
            let plane = Plane { bytes: &bytes, stride: 64, width: 64, height: 64 };
            assert!(square(plane, [3.3, 4.4], [51.7, 51.7], 24).iter().all(|byte| *byte == grey));
        }
    }

    #[test]
    fn rows_become_columns() {
        let block: Block = array::from_fn(|row| array::from_fn(|column| (16 * row + column) as u8));
        let turned = turned(block);
        assert!((0..256).all(|at| turned[at % 16][at / 16] == block[at / 16][at % 16]));
    }
}

//! Resamples an area of a plane, with subpixel placement, to a square of another size: a separable triangle filter,
//! whose half-width is the larger of a source and a target pixel, applied down and then across. Knows no colours and no
//! frames.
//!
//! It runs for every plane of every frame of every clip, so it is written for the vector instructions that all
//! processors have: bytes, weights in 256ths and 16-bit sums, sixteen pixels at a time. Results are the same on all
//! processors, and less than 2 (of 255) from those of exact weights.

use std::array;

/// Rows of the result that are computed side by side: across, their pixels have the same weights.
const ROWS: usize = 16;
/// Columns that are summed side by side.
const COLUMNS: usize = 32;
/// The sum of a pixel's weights. A weighted sum of bytes plus half of it for rounding is at most 65,408, which fits 16
/// bits.
const ONE: u16 = 256;

/// Sixteen rows of sixteen bytes.
type Block = [[u8; ROWS]; ROWS];

/// A plane of pixels of one byte: `height` rows that begin `stride` bytes apart, of which the first `width` bytes are
/// pixels.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// A rectangle of a plane, in pixels, with (0, 0) at the corner of the first one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    /// The top left corner, x and y.
    pub(super) corner: [f64; 2],
    /// Width and height.
    pub(super) sides: [f64; 2],
}

impl Area {
    /// The area made to fit a plane of this width and height: sides of at least 1 pixel, shrunk to the plane's, and the
    /// corner moved so that all of it is inside.
    pub(super) fn within(self, limits: [f64; 2]) -> Self {
        let sides = [0, 1].map(|axis| self.sides[axis].clamp(1.0, limits[axis]));
        let corner = [0, 1].map(|axis| self.corner[axis].clamp(0.0, limits[axis] - sides[axis]));
        Self { corner, sides }
    }
}

/// Resamples squares; keeps its buffers for the next one.
#[derive(Default)]
pub(super) struct Resampler {
    down: Weights,
    across: Weights,
    /// Rows filtered downwards.
    lines: Vec<u8>,
    /// The same rows, transposed.
    columns: Vec<Block>,
    /// Columns of the result.
    results: Vec<Block>,
}

/// The pixels of a column (or row) of the plane of which each pixel of the result is made, and their weights.
#[derive(Default)]
struct Weights {
    /// For each pixel of the result, the first pixel of the plane, and the index of its weight; one more entry marks
    /// the end.
    starts: Vec<(usize, usize)>,
    weights: Vec<u16>,
}

impl Resampler {
    /// An area of a plane as `to` × `to` pixels, row by row. The area must be inside the plane and not empty.
    pub(super) fn square(&mut self, plane: Plane, area: Area, to: usize) -> Vec<u8> {
        let Area { corner, sides } = area;
        let Self { down, across, lines, columns, results } = self;
        across.set(corner[0], sides[0], to, plane.width);
        down.set(corner[1], sides[1], to, plane.height);
        let (first, after) = across.range();
        // Whole vectors are read, so a little more than needed, where rows are long enough.
        let length = (after - first).next_multiple_of(COLUMNS);
        let left = first.min(plane.stride.saturating_sub(length));
        let read = length.min(plane.stride - left);
        lines.resize(length * ROWS, 0);
        columns.resize(length / ROWS, Block::default());
        results.resize(to.div_ceil(ROWS), Block::default());
        let mut square = vec![0; to * to];
        for (top, rows) in (0..).step_by(ROWS).zip(square.chunks_mut(to * ROWS)) {
            for (at, line) in (top..to).zip(lines.chunks_exact_mut(length)) {
                plane.sum_down(left, down.of(at), &mut line[..read]);
            }
            let (lines, _) = lines.as_chunks::<ROWS>();
            for (at, block) in columns.iter_mut().enumerate() {
                *block = transposed(array::from_fn(|row| lines[row * (length / ROWS) + at]));
            }
            let columns = columns.as_flattened();
            for (at, column) in results.as_flattened_mut().iter_mut().enumerate().take(to) {
                let (first, weights) = across.of(at);
                *column = weighted(columns[first - left..].iter().zip(weights));
            }
            for (at, block) in results.iter().enumerate() {
                for (row, pixels) in rows.chunks_exact_mut(to).zip(transposed(*block)) {
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
    /// Fills `line` with one row of the result, filtered downwards only, from column `left` on. `first` is the first
    /// row of the plane that has a weight.
    fn sum_down(&self, left: usize, (first, weights): (usize, &[u16]), line: &mut [u8]) {
        let mut column = left;
        let (whole, last) = line.as_chunks_mut::<COLUMNS>();
        for pixels in whole {
            *pixels = self.sum_columns(column, first, weights);
            column += COLUMNS;
        }
        for (column, pixel) in (column..).zip(last) {
            [*pixel] = self.sum_columns(column, first, weights);
        }
    }

    /// The weighted means of `N` columns, over the rows from `first` on.
    fn sum_columns<const N: usize>(&self, column: usize, first: usize, weights: &[u16]) -> [u8; N] {
        let rows = self.bytes[first * self.stride..].chunks(self.stride);
        weighted(rows.filter_map(|row| row[column..].first_chunk()).zip(weights))
    }
}

impl Weights {
    /// Computes the weights of `to` pixels that cover `side` pixels from `from` on, of the plane's `limit` pixels.
    fn set(&mut self, from: f64, side: f64, to: usize, limit: usize) {
        self.starts.clear();
        self.weights.clear();
        let scale = side / to as f64;
        let reach = scale.max(1.0);
        for at in 0..to {
            let middle = from + (at as f64 + 0.5) * scale;
            // All pixels whose centres are closer than the reach; `as usize` truncates.
            let first = ((middle - reach + 0.5).max(0.0) as usize).min(limit - 1);
            let after = ((middle + reach + 0.5).max(0.0) as usize).clamp(first + 1, limit);
            let height = |pixel: usize| (1.0 - (pixel as f64 + 0.5 - middle).abs() / reach).max(0.0);
            let share = f64::from(ONE) / (first..after).map(height).sum::<f64>();
            self.starts.push((first, self.weights.len()));
            // The rounding error is carried to the next weight, so that the sum is `ONE`.
            let (mut sum, mut given) = (0.0, 0);
            for pixel in first..after {
                sum += height(pixel);
                let due = (sum * share + 0.5) as u16;
                self.weights.push(due - given);
                given = due;
            }
        }
        self.starts.push((limit, self.weights.len()));
    }

    /// The first pixel of the plane for a pixel of the result, and the weights from it on.
    fn of(&self, at: usize) -> (usize, &[u16]) {
        let (first, begin) = self.starts[at];
        (first, &self.weights[begin..self.starts[at + 1].1])
    }

    /// The pixels of the plane that have a weight: the first one, and the one after the last.
    fn range(&self) -> (usize, usize) {
        let (first, weights) = self.of(self.starts.len() - 2);
        (self.starts[0].0, first + weights.len())
    }
}

/// The weighted means of `N` columns, rounded.
fn weighted<'a, const N: usize>(rows: impl Iterator<Item = (&'a [u8; N], &'a u16)>) -> [u8; N] {
    let mut sums = [ONE / 2; N];
    for (row, weight) in rows {
        for (sum, byte) in sums.iter_mut().zip(row) {
            *sum += weight * u16::from(*byte);
        }
    }
    sums.map(|sum| (sum / ONE) as u8)
}

/// Transposes a block. The index of a byte has eight bits, four of its row and four of its column. Each of four rounds
/// rotates them left by one, so that in the end row and column have changed places.
#[inline(always)]
fn transposed(mut block: Block) -> Block {
    for _ in 0..ROWS.ilog2() {
        let before = block;
        for at in 0..ROWS / 2 {
            [block[2 * at], block[2 * at + 1]] = interleaved(before[at], before[at + ROWS / 2]);
        }
    }
    block
}

/// The bytes of two rows by turns: the `unpack` instructions of x86, `zip` of ARM.
#[inline(always)]
fn interleaved(a: [u8; ROWS], b: [u8; ROWS]) -> [[u8; ROWS]; 2] {
    let from =
        |first: usize| array::from_fn(|at| if at % 2 == 0 { a[first + at / 2] } else { b[first + at / 2] });
    [from(0), from(ROWS / 2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(plane: Plane, corner: [f64; 2], sides: [f64; 2], to: usize) -> Vec<u8> {
        Resampler::default().square(plane, Area { corner, sides }, to)
    }

    /// The filter with exact weights and without rounding.
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
    fn results_are_within_two_of_the_exact_filter_also_at_the_borders() {
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
    fn a_plane_may_be_narrower_than_a_vector() {
        let bytes = noise(3 * 5);
        let plane = Plane { bytes: &bytes, stride: 3, width: 3, height: 5 };
        assert_eq!(square(plane, [0.0, 1.0], [3.0, 3.0], 3), bytes[3..12]);
    }

    #[test]
    fn a_uniform_plane_stays_uniform() {
        for grey in [0, 1, 128, 254, 255] {
            let bytes = vec![grey; 64 * 64];
            let plane = Plane { bytes: &bytes, stride: 64, width: 64, height: 64 };
            assert!(square(plane, [3.3, 4.4], [51.7, 51.7], 24).iter().all(|byte| *byte == grey));
        }
    }

    #[test]
    fn transposing_exchanges_rows_and_columns() {
        let block: Block = array::from_fn(|row| array::from_fn(|column| (16 * row + column) as u8));
        let transposed = transposed(block);
        assert!((0..256).all(|at| transposed[at % 16][at / 16] == block[at / 16][at % 16]));
    }
}

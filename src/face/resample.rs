//! Area averages of picture regions, from exact integer sums, in the layout that nets take. Knows no net.

use std::ops::Range;

use image::RgbImage;

use super::boxes::Region;

/// Prefix sums of each column of a picture. An average over rows then costs two look-ups a column, so that the whole
/// pyramid and all crops read the picture once.
pub(crate) struct ColumnSums {
    /// `rows + 1` rows of `columns × 3` sums.
    sums: Vec<u32>,
    columns: u32,
    rows: u32,
}

impl ColumnSums {
    /// The sums of a region of a picture.
    pub(crate) fn of(picture: &RgbImage, region: Region) -> Self {
        let (columns, rows) = (region.width(), region.height());
        let width = columns as usize * 3;
        let stride = picture.width() as usize * 3;
        let mut sums = Vec::with_capacity(width * (rows as usize + 1));
        let mut line = vec![0_u32; width];
        sums.extend_from_slice(&line);
        for row in 0..rows as usize {
            let start = (region.top as usize + row) * stride + region.left as usize * 3;
            for (sum, byte) in line.iter_mut().zip(&picture.as_raw()[start..start + width]) {
                *sum += u32::from(*byte);
            }
            sums.extend_from_slice(&line);
        }
        Self { sums, columns, rows }
    }

    /// The whole of the summed region, counted from its own corner.
    pub(crate) fn whole(&self) -> Region {
        Region::whole((self.columns, self.rows))
    }

    /// Resizes a part of the summed region to `width` × `height` and appends it to `values`: row by row, red, green and
    /// blue interleaved, as `(value − 127.5) / 128`. Each output pixel is the mean of the window that PyTorch's
    /// `interpolate(mode="area")` takes; if `part` is smaller, pixels are repeated.
    pub(crate) fn push_average(&self, values: &mut Vec<f32>, part: Region, (width, height): (u32, u32)) {
        let windows: Vec<Range<usize>> = (0..width).map(|at| window(at, part.width(), width)).collect();
        let stride = self.columns as usize * 3;
        let (left, columns) = (part.left as usize * 3, part.width() as usize * 3);
        let sums_above = |row: usize| &self.sums[(part.top as usize + row) * stride + left..][..columns];
        let mut line = vec![0_u32; columns];
        for row in 0..height {
            let rows = window(row, part.height(), height);
            let (above, below) = (sums_above(rows.start), sums_above(rows.end));
            for ((sum, below), above) in line.iter_mut().zip(below).zip(above) {
                *sum = below - above;
            }
            for range in &windows {
                let mut total = [0_u32; 3];
                for pixel in line[range.start * 3..range.end * 3].chunks_exact(3) {
                    total = [total[0] + pixel[0], total[1] + pixel[1], total[2] + pixel[2]];
                }
                let share = 1.0 / (rows.len() * range.len()) as f32;
                values.extend(total.map(|sum| (sum as f32 * share - 127.5) * 0.007_812_5));
            }
        }
    }
}

/// The input positions that output position `at` of `to` averages: `⌊at·from/to⌋ .. ⌈(at + 1)·from/to⌉`.
fn window(at: u32, from: u32, to: u32) -> Range<usize> {
    let (at, from, to) = (at as usize, from as usize, to as usize);
    at * from / to..((at + 1) * from).div_ceil(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reds(values: &[f32]) -> Vec<f32> {
        values.iter().step_by(3).map(|value| value * 128.0 + 127.5).collect()
    }

    #[test]
    fn five_columns_become_three_with_overlapping_windows() {
        // The windows of 5 → 3, as in adaptive average pooling: [0,2), [1,4), [3,5).
        let picture = RgbImage::from_fn(5, 1, |x, _| image::Rgb([x as u8 * 10, 0, 255]));
        let mut values = Vec::new();
        let sums = ColumnSums::of(&picture, Region::whole((5, 1)));
        sums.push_average(&mut values, sums.whole(), (3, 1));
        assert_eq!(reds(&values), [5.0, 20.0, 35.0]);
        assert_eq!(values[2], (255.0 - 127.5) / 128.0);
    }

    #[test]
    fn a_region_is_enlarged_by_repeating_pixels() {
        let picture = RgbImage::from_fn(4, 4, |x, y| image::Rgb([(x + 4 * y) as u8, 0, 0]));
        let region = Region { left: 1, top: 1, right: 3, bottom: 2 };
        let (part, whole) =
            (ColumnSums::of(&picture, region), ColumnSums::of(&picture, Region::whole((4, 4))));
        for (sums, region) in [(&part, part.whole()), (&whole, region)] {
            let mut values = Vec::new();
            sums.push_average(&mut values, region, (4, 2));
            assert_eq!(reds(&values), [5.0, 5.0, 6.0, 6.0, 5.0, 5.0, 6.0, 6.0]);
        }
    }
}

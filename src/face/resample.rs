//! Area averages of picture regions, exact in integers, in the layout that nets take. Knows no net.

use std::ops::Range;

use image::RgbImage;

use super::boxes::Region;

/// Averages a region down (or repeats it up) to `width` × `height` and appends it to `planes` as three planes
/// (red, green, blue) of `(value − 127.5) / 128`. The same windows as PyTorch's `interpolate(mode="area")`.
pub(crate) fn push_area_average(
    planes: &mut Vec<f32>,
    picture: &RgbImage,
    region: Region,
    (width, height): (u32, u32),
) {
    let columns: Vec<Range<usize>> = (0..width).map(|at| window(at, region.width(), width)).collect();
    let plane = (width * height) as usize;
    let start = planes.len();
    planes.resize(start + 3 * plane, 0.0);
    let mut sums = vec![0_u32; region.width() as usize * 3];
    for row in 0..height {
        let rows = window(row, region.height(), height);
        sum_rows(&mut sums, picture, region, &rows);
        for (column, range) in columns.iter().enumerate() {
            let mut total = [0_u32; 3];
            for pixel in sums[range.start * 3..range.end * 3].chunks_exact(3) {
                total[0] += pixel[0];
                total[1] += pixel[1];
                total[2] += pixel[2];
            }
            let count = (rows.len() * range.len()) as f32;
            let at = start + row as usize * width as usize + column;
            for (channel, sum) in total.into_iter().enumerate() {
                planes[at + channel * plane] = (sum as f32 / count - 127.5) * 0.007_812_5;
            }
        }
    }
}

/// The input positions that one output position averages: from the floor of its start to the ceiling of its end.
fn window(at: u32, from: u32, to: u32) -> Range<usize> {
    let (at, from, to) = (at as usize, from as usize, to as usize);
    at * from / to..((at + 1) * from).div_ceil(to)
}

fn sum_rows(sums: &mut [u32], picture: &RgbImage, region: Region, rows: &Range<usize>) {
    let stride = picture.width() as usize * 3;
    let bytes = picture.as_raw();
    sums.fill(0);
    for row in rows.clone() {
        let start = (region.top as usize + row) * stride + region.left as usize * 3;
        for (sum, byte) in sums.iter_mut().zip(&bytes[start..]) {
            *sum += u32::from(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_columns_become_three_with_overlapping_windows() {
        // Windows of 5 → 3: [0,2), [1,4), [3,5), as adaptive average pooling takes them.
        let picture = RgbImage::from_fn(5, 1, |x, _| image::Rgb([x as u8 * 10, 0, 255]));
        let mut planes = Vec::new();
        push_area_average(&mut planes, &picture, Region::whole((5, 1)), (3, 1));
        let red: Vec<f32> = planes[..3].iter().map(|value| value * 128.0 + 127.5).collect();
        assert_eq!(red, [5.0, 20.0, 35.0]);
        assert_eq!(planes[6], (255.0 - 127.5) / 128.0);
    }

    #[test]
    fn a_region_grows_by_repetition() {
        let picture = RgbImage::from_fn(4, 4, |x, y| image::Rgb([(x + 4 * y) as u8, 0, 0]));
        let mut planes = Vec::new();
        let region = Region { left: 1, top: 1, right: 3, bottom: 2 };
        push_area_average(&mut planes, &picture, region, (4, 2));
        let red: Vec<f32> = planes[..8].iter().map(|value| value * 128.0 + 127.5).collect();
        assert_eq!(red, [5.0, 5.0, 6.0, 6.0, 5.0, 5.0, 6.0, 6.0]);
    }
}

//! Turns decoded pictures upright. Pure; knows no FFmpeg.

use image::RgbImage;
use image::imageops::{flip_horizontal, rotate90, rotate180, rotate270};

/// A rectangle of whole pixels in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// The same part of a picture enlarged by this factor.
    pub(crate) fn times(self, factor: u32) -> Self {
        let Self { left, top, width, height } = self;
        Self { left: left * factor, top: top * factor, width: width * factor, height: height * factor }
    }
}

/// The transform that turns a decoded picture upright: it is first mirrored left to right, if at all, then rotated
/// clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Orientation {
    is_mirrored: bool,
    quarter_turns: u8,
}

impl Orientation {
    /// Reads FFmpeg's display matrix: nine 32-bit integers in native byte order, `a b u c d v x y w`, with
    /// `x' = ax + cy` and `y' = bx + dy`. Too few bytes are taken for upright.
    pub(crate) fn from_display_matrix(bytes: &[u8]) -> Self {
        let number = |at: usize| -> Option<f64> {
            let bytes = bytes.get(4 * at..4 * at + 4)?;
            Some(f64::from(i32::from_ne_bytes(bytes.try_into().ok()?)))
        };
        let (Some(a), Some(b), Some(c), Some(d)) = (number(0), number(1), number(3), number(4)) else {
            return Self::default();
        };
        let is_mirrored = a * d - b * c < 0.0;
        let (a, b) = if is_mirrored { (-a, -b) } else { (a, b) };
        let quarters = (b.atan2(a) / std::f64::consts::FRAC_PI_2).round() as i32;
        Self { is_mirrored, quarter_turns: quarters.rem_euclid(4) as u8 }
    }

    /// Clockwise rotation in degrees: 0, 90, 180 or 270.
    pub(crate) fn rotation_deg(self) -> i32 {
        i32::from(self.quarter_turns) * 90
    }

    /// Width and height after the rotation; also from after it to before it.
    pub(crate) fn turned_size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.quarter_turns % 2 == 1 { (height, width) } else { (width, height) }
    }

    /// Maps a point of the upright picture to the decoded one, which has this size; in pixels, with (0, 0) at the
    /// corner of the first one.
    pub(crate) fn source_of(self, [x, y]: [f64; 2], (width, height): (u32, u32)) -> [f64; 2] {
        let (width, height) = (f64::from(width), f64::from(height));
        let [x, y] = match self.quarter_turns {
            1 => [y, height - x],
            2 => [width - x, height - y],
            3 => [width - y, x],
            _ => [x, y],
        };
        [if self.is_mirrored { width - x } else { x }, y]
    }

    /// Maps a part of the upright picture to the decoded one, which has this size.
    pub(crate) fn source_part(self, part: Rect, size: (u32, u32)) -> Rect {
        let corner = |x: u32, y: u32| self.source_of([f64::from(x), f64::from(y)], size);
        let [one, other] =
            [corner(part.left, part.top), corner(part.left + part.width, part.top + part.height)];
        let (width, height) = self.turned_size((part.width, part.height));
        Rect { left: one[0].min(other[0]) as u32, top: one[1].min(other[1]) as u32, width, height }
    }

    /// Turns one plane of a square picture upright; `side` is its width and height, pixels.
    pub(crate) fn apply_to_square(self, pixels: Vec<u8>, side: u32) -> Vec<u8> {
        if self == Self::default() {
            return pixels;
        }
        let last = side as usize - 1;
        let source = |x: usize, y: usize| {
            let (x, y) = match self.quarter_turns {
                1 => (y, last - x),
                2 => (last - x, last - y),
                3 => (last - y, x),
                _ => (x, y),
            };
            pixels[y * side as usize + if self.is_mirrored { last - x } else { x }]
        };
        (0..=last).flat_map(|y| (0..=last).map(move |x| (x, y))).map(|(x, y)| source(x, y)).collect()
    }

    /// Turns a decoded picture upright.
    pub(crate) fn apply(self, picture: RgbImage) -> RgbImage {
        let picture = if self.is_mirrored { flip_horizontal(&picture) } else { picture };
        match self.quarter_turns {
            1 => rotate90(&picture),
            2 => rotate180(&picture),
            3 => rotate270(&picture),
            _ => picture,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(a: i32, b: i32, c: i32, d: i32) -> Vec<u8> {
        let one = 1 << 16;
        [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]
            .iter()
            .flat_map(|n| n.to_ne_bytes())
            .collect()
    }

    #[test]
    fn a_display_matrix_gives_rotation_and_mirroring() {
        let read = |a, b, c, d| {
            let orientation = Orientation::from_display_matrix(&matrix(a, b, c, d));
            (orientation.rotation_deg(), orientation.is_mirrored)
        };
        assert_eq!(read(1, 0, 0, 1), (0, false));
        assert_eq!(read(0, 1, -1, 0), (90, false));
        assert_eq!(read(-1, 0, 0, -1), (180, false));
        assert_eq!(read(0, -1, 1, 0), (270, false));
        assert_eq!(read(-1, 0, 0, 1), (0, true));
        assert_eq!(read(1, 0, 0, -1), (180, true));
    }

    #[test]
    fn a_quarter_turn_moves_the_top_left_corner_to_the_top_right() {
        let mut picture = RgbImage::new(3, 2);
        picture.put_pixel(0, 0, image::Rgb([255, 0, 0]));
        let orientation = Orientation::from_display_matrix(&matrix(0, 1, -1, 0));
        let turned = orientation.apply(picture);
        assert_eq!(turned.dimensions(), orientation.turned_size((3, 2)));
        assert_eq!(turned.get_pixel(1, 0).0, [255, 0, 0]);
    }

    #[test]
    fn points_and_squares_turn_as_pictures_do() {
        for (a, b, c, d) in [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1)] {
            let orientation = Orientation::from_display_matrix(&matrix(a, b, c, d));
            let picture = RgbImage::from_fn(4, 4, |x, y| image::Rgb([(x + 4 * y) as u8; 3]));
            let plane: Vec<u8> = picture.pixels().map(|pixel| pixel[0]).collect();
            let upright = orientation.apply(picture.clone());
            let turned: Vec<u8> = upright.pixels().map(|pixel| pixel[0]).collect();
            assert_eq!(orientation.apply_to_square(plane, 4), turned);
            let [x, y] = orientation.source_of([3.5, 1.5], (4, 4));
            assert_eq!(picture.get_pixel(x as u32, y as u32), upright.get_pixel(3, 1));
        }
    }

    #[test]
    fn a_part_turns_as_its_picture_does() {
        let picture = RgbImage::from_fn(5, 3, |x, y| image::Rgb([(x + 5 * y) as u8; 3]));
        let cut = |picture: &RgbImage, part: Rect| {
            image::imageops::crop_imm(picture, part.left, part.top, part.width, part.height).to_image()
        };
        for (a, b, c, d) in [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (1, 0, 0, -1)] {
            let orientation = Orientation::from_display_matrix(&matrix(a, b, c, d));
            let part = Rect { left: 1, top: 0, width: 2, height: 3 };
            let source = cut(&picture, orientation.source_part(part, (5, 3)));
            assert_eq!(orientation.apply(source), cut(&orientation.apply(picture.clone()), part));
        }
    }

    #[test]
    fn too_few_bytes_give_no_rotation() {
        assert_eq!(Orientation::from_display_matrix(&[1, 2, 3]), Orientation::default());
    }
}

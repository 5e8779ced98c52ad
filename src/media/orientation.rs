//! How a decoded picture must be turned to stand upright. Pure; knows no FFmpeg.

use image::RgbImage;
use image::imageops::{flip_horizontal, rotate90, rotate180, rotate270};

/// First mirrored left to right if so, then turned clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Orientation {
    mirrored: bool,
    quarter_turns: u8,
}

impl Orientation {
    /// Reads a display matrix: nine 32-bit integers of this machine's byte order, `a b u c d v x y w`, where
    /// `x' = ax + cy` and `y' = bx + dy`. Anything else stands upright.
    pub(crate) fn from_display_matrix(bytes: &[u8]) -> Self {
        let number = |at: usize| -> Option<f64> {
            let bytes = bytes.get(4 * at..4 * at + 4)?;
            Some(f64::from(i32::from_ne_bytes(bytes.try_into().ok()?)))
        };
        let (Some(a), Some(b), Some(c), Some(d)) = (number(0), number(1), number(3), number(4)) else {
            return Self::default();
        };
        let mirrored = a * d - b * c < 0.0;
        let (a, b) = if mirrored { (-a, -b) } else { (a, b) };
        let quarters = (b.atan2(a) / std::f64::consts::FRAC_PI_2).round() as i32;
        Self { mirrored, quarter_turns: quarters.rem_euclid(4) as u8 }
    }

    /// Clockwise turn in degrees: 0, 90, 180 or 270.
    pub(crate) fn rotation_deg(self) -> i32 {
        i32::from(self.quarter_turns) * 90
    }

    /// Width and height after the turn.
    pub(crate) fn turned_size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.quarter_turns % 2 == 1 { (height, width) } else { (width, height) }
    }

    /// Stands a decoded picture upright.
    pub(crate) fn apply(self, picture: RgbImage) -> RgbImage {
        let picture = if self.mirrored { flip_horizontal(&picture) } else { picture };
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
    fn a_matrix_is_read_as_turn_and_mirror() {
        let read = |a, b, c, d| {
            let orientation = Orientation::from_display_matrix(&matrix(a, b, c, d));
            (orientation.rotation_deg(), orientation.mirrored)
        };
        assert_eq!(read(1, 0, 0, 1), (0, false));
        assert_eq!(read(0, 1, -1, 0), (90, false));
        assert_eq!(read(-1, 0, 0, -1), (180, false));
        assert_eq!(read(0, -1, 1, 0), (270, false));
        assert_eq!(read(-1, 0, 0, 1), (0, true));
        assert_eq!(read(1, 0, 0, -1), (180, true));
    }

    #[test]
    fn a_quarter_turn_moves_the_left_top_corner_to_the_right_top() {
        let mut picture = RgbImage::new(3, 2);
        picture.put_pixel(0, 0, image::Rgb([255, 0, 0]));
        let orientation = Orientation::from_display_matrix(&matrix(0, 1, -1, 0));
        let turned = orientation.apply(picture);
        assert_eq!(turned.dimensions(), orientation.turned_size((3, 2)));
        assert_eq!(turned.get_pixel(1, 0).0, [255, 0, 0]);
    }

    #[test]
    fn too_few_bytes_stand_upright() {
        assert_eq!(Orientation::from_display_matrix(&[1, 2, 3]), Orientation::default());
    }
}

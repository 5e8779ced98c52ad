//! Draws a simple face, for tests of the real detector.

use image::{Rgb, RgbImage};

/// A picture with one drawn face; its centre is `x`, `y` and its half-width `r`, pixels.
pub(crate) fn drawn_face(width: u32, height: u32, (x, y, r): (f32, f32, f32)) -> RgbImage {
    let mut picture = RgbImage::from_fn(width, height, |_, row| {
        let shade = 120 + (row * 60 / height) as u8;
        Rgb([shade, shade, shade.saturating_add(12)])
    });
    let mut oval = |dx: f32, dy: f32, across: f32, down: f32, colour: [u8; 3]| {
        for (px, py, pixel) in picture.enumerate_pixels_mut() {
            let reach = ((px as f32 - x - dx * r) / across / r).powi(2)
                + ((py as f32 - y - dy * r) / down / r).powi(2);
            if reach <= 1.0 {
                // Darker towards the rim, as a head is.
                *pixel = Rgb(colour.map(|value| (f32::from(value) * (1.0 - 0.25 * reach)) as u8));
            }
        }
    };
    oval(0.0, -0.25, 1.12, 1.3, [60, 40, 30]);
    oval(0.0, 0.1, 1.0, 1.3, [225, 180, 150]);
    for side in [-1.0, 1.0] {
        oval(side * 0.42, -0.38, 0.26, 0.06, [70, 45, 30]);
        oval(side * 0.42, -0.15, 0.22, 0.12, [245, 245, 245]);
        oval(side * 0.42, -0.15, 0.11, 0.11, [80, 55, 35]);
        oval(side * 0.42, -0.15, 0.05, 0.05, [10, 10, 10]);
        oval(side * 0.1, 0.42, 0.07, 0.05, [130, 80, 65]);
    }
    oval(0.0, 0.3, 0.12, 0.16, [205, 155, 125]);
    oval(0.0, 0.8, 0.42, 0.12, [180, 70, 75]);
    oval(0.0, 0.79, 0.34, 0.03, [90, 30, 35]);
    image::imageops::blur(&picture, 1.2)
}

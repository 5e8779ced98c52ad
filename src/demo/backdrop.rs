//! What is behind people, and shots without any: rooms, landscapes, pages of text. Knows nothing of faces.

use image::{Rgb, RgbImage};
use rand::Rng;

use super::canvas::{Colour, Lens, Profile, Shape, View, blend, paint, shade};
use super::chance::{Purpose, chance};

/// A wall with some soft, large things on it.
pub(super) fn room(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut chance = chance(seed, Purpose::Backdrop);
    let wall: Colour = std::array::from_fn(|_| chance.random_range(60.0..200.0));
    let mut picture = gradient(width, height, shade(wall, 1.1), shade(wall, 0.75));
    let view = whole(width, height);
    for _ in 0..chance.random_range(2..6) {
        let colour = std::array::from_fn(|channel| wall[channel] + chance.random_range(-50.0..50.0));
        let (x, y) = (chance.random_range(-1.0..1.0_f32), chance.random_range(-0.6..0.6_f32));
        let (half_width, half_height) =
            (chance.random_range(0.1..0.5_f32), chance.random_range(0.1..0.5_f32));
        let thing = if chance.random_bool(0.5) {
            Shape::ellipse(x, y, half_width, half_height)
        } else {
            rectangle(x, y, half_width, half_height)
        };
        paint(&mut picture, view, &[thing], 0.7, |_, _| colour);
    }
    picture
}

/// Sky, sun and hills; wider than asked, so that the camera can move over it.
pub(super) fn landscape(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut chance = chance(seed, Purpose::Backdrop);
    let sky: Colour = [chance.random_range(90.0..180.0), chance.random_range(140.0..200.0), 225.0];
    let mut picture = gradient(width, height, sky, shade(sky, 1.25));
    let view = whole(width, height);
    let sun = Shape::ellipse(chance.random_range(-1.0..1.0), -0.3, 0.09, 0.09);
    paint(&mut picture, view, &[sun], 0.9, |_, _| [255.0, 240.0, 190.0]);
    for layer in 0..4_u8 {
        let near = f32::from(layer) / 3.0;
        let green = blend([130.0, 160.0, 170.0], [40.0, 92.0, 44.0], near);
        for _ in 0..3 {
            let hill = Lens {
                x: chance.random_range(-1.6..1.6),
                y: 0.55,
                half_width: chance.random_range(0.5..1.2),
                above: chance.random_range(0.25..0.7) * (1.1 - 0.7 * near),
                below: 0.8,
                ..Lens::default()
            };
            let tone = chance.random_range(0.85..1.15);
            paint(&mut picture, view, &[Shape::Lens(hill)], 1.0, |_, y| shade(green, tone * (1.0 - 0.2 * y)));
        }
    }
    picture
}

/// A page of lines of little bars, as writing looks from afar.
pub(super) fn page(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut chance = chance(seed, Purpose::Backdrop);
    let dark = chance.random_bool(0.5);
    let (paper, ink) =
        if dark { ([24.0, 28.0, 44.0], [220.0; 3]) } else { ([238.0, 236.0, 228.0], [36.0; 3]) };
    let mut picture = gradient(width, height, paper, shade(paper, 0.95));
    let view = whole(width, height);
    for line in 0..6_u8 {
        let y = -0.4 + 0.15 * f32::from(line);
        let end = chance.random_range(0.3..0.8);
        let mut x = -0.8;
        while x < end {
            let half_width = chance.random_range(0.02..0.08);
            paint(&mut picture, view, &[rectangle(x + half_width, y, half_width, 0.03)], 0.9, |_, _| ink);
            x += 2.0 * half_width + 0.03;
        }
    }
    picture
}

/// The plane of a whole picture: origin in its middle, its height is 1.2.
fn whole(width: u32, height: u32) -> View {
    let (width, height) = (width as f32, height as f32);
    View { x_px: width / 2.0, y_px: height / 2.0, unit_px: height / 1.2, turn_rad: 0.0 }
}

fn rectangle(x: f32, y: f32, half_width: f32, half_height: f32) -> Shape {
    let band = Lens {
        x,
        y,
        half_width,
        above: half_height,
        below: half_height,
        profile: Profile::Flat,
        ..Lens::default()
    };
    Shape::Lens(band)
}

fn gradient(width: u32, height: u32, top: Colour, bottom: Colour) -> RgbImage {
    RgbImage::from_fn(width, height, |_, y| {
        let colour = blend(top, bottom, y as f32 / height as f32);
        Rgb(colour.map(|channel| channel.clamp(0.0, 255.0) as u8))
    })
}

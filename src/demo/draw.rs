//! Draws one person at one moment: body, hair, head. Knows nothing of time and films.

use image::RgbImage;

use super::canvas::{Lens, Profile, Shape, View, blend, paint, shade, wave};
use super::expression::Expression;
use super::features::draw_features;
use super::person::{HairStyle, Person};

/// Where a head is and how it is turned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    /// The head's middle, in pixels.
    pub(super) x_px: f32,
    pub(super) y_px: f32,
    /// Half the head's width, in pixels.
    pub(super) half_width_px: f32,
    /// Turned to image-right, radians.
    pub(super) yaw_rad: f32,
    /// Turned downwards, radians.
    pub(super) pitch_rad: f32,
    /// Tilted clockwise, radians.
    pub(super) roll_rad: f32,
    /// Where the eyes look, -1 (image left) to 1.
    pub(super) gaze: f32,
}

/// A head in its pose: its plane is in half widths of the head, with the origin in its middle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) person: &'a Person,
    pub(super) view: View,
    pose: Pose,
}

impl<'a> Head<'a> {
    pub(super) fn new(person: &'a Person, pose: Pose) -> Self {
        let view =
            View { x_px: pose.x_px, y_px: pose.y_px, unit_px: pose.half_width_px, turn_rad: pose.roll_rad };
        Self { person, view, pose }
    }

    /// Where a point of the face goes when the head turns, and how much narrower things are there.
    pub(super) fn place(&self, x: f32, y: f32) -> (f32, f32, f32) {
        let v = y / self.person.head_height;
        let depth = 0.85 * (1.0 - x * x - v * v).max(0.08).sqrt();
        let (sin, cos) = self.pose.yaw_rad.sin_cos();
        let narrower = (cos - sin * x / depth).clamp(0.45, 1.15);
        (x * cos + depth * sin, y + depth * self.pose.pitch_rad.sin(), narrower)
    }

    pub(super) fn gaze(&self) -> f32 {
        self.pose.gaze
    }

    fn outline(&self) -> Shape {
        let person = self.person;
        let (half_height, taper) = (person.head_height, person.jaw_taper);
        Shape::Ellipse { x: 0.0, y: 0.0, half_width: 1.0, half_height, taper }
    }
}

/// Draws a person over whatever the picture shows.
pub(super) fn draw_person(picture: &mut RgbImage, person: &Person, pose: Pose, expression: Expression) {
    let head = Head::new(person, pose);
    draw_hair_behind(picture, &head);
    draw_body(picture, &head);
    draw_ears(picture, &head);
    draw_skull(picture, &head);
    draw_beard(picture, &head);
    draw_features(picture, &head, expression);
    draw_hair_before(picture, &head);
}

/// Neck and shoulders, which do not tilt with the head.
fn draw_body(picture: &mut RgbImage, head: &Head) {
    let person = head.person;
    let upright = View { turn_rad: 0.3 * head.view.turn_rad, ..head.view };
    let chin = person.head_height;
    let neck = Shape::ellipse(0.0, chin + 0.05, 0.5, 0.95);
    paint(picture, upright, &[neck], 1.0, |_, y| shade(person.skin, 0.58 + 0.3 * (y - chin).clamp(0.0, 0.7)));
    let shoulders = Shape::ellipse(0.0, chin + 1.6, 2.05, 1.35);
    let neckline = Shape::ellipse(0.0, chin + 0.32, 0.56, 0.36);
    paint(picture, upright, &[shoulders], 1.0, |x, _| shade(person.clothes, 1.0 - 0.2 * x.abs()));
    paint(picture, upright, &[neckline, shoulders], 1.0, |_, _| shade(person.skin, 0.76));
}

fn draw_hair_behind(picture: &mut RgbImage, head: &Head) {
    let person = head.person;
    let top = person.head_height;
    let dark = shade(person.hair_colour, 0.75);
    let mass = match person.hair {
        HairStyle::Long => Shape::ellipse(0.0, 0.28, 1.26, top + 0.3),
        HairStyle::Bun => Shape::ellipse(0.0, -top - 0.12, 0.42, 0.36),
        HairStyle::Curly => Shape::ellipse(0.0, -0.42, 1.3, top - 0.1),
        HairStyle::Bald => return,
        _ => Shape::ellipse(0.0, -0.2, 1.08, top - 0.1),
    };
    paint(picture, head.view, &[mass], 1.0, |x, y| {
        let strand = 0.06 * wave(x * 3.7 + 0.16 * wave(y * 1.4));
        shade(dark, 1.0 + strand)
    });
}

fn draw_ears(picture: &mut RgbImage, head: &Head) {
    let person = head.person;
    if matches!(person.hair, HairStyle::Long | HairStyle::Curly) {
        return;
    }
    let turn = 0.22 * head.pose.yaw_rad.sin();
    for side in [-1.0, 1.0] {
        let x = side * 1.0 - turn;
        let (half_width, half_height) = (0.14 * person.ear_size, 0.27 * person.ear_size);
        let ear = Shape::ellipse(x, 0.06, half_width, half_height);
        paint(picture, head.view, &[ear], 1.0, |_, _| shade(person.skin, 0.72));
        let hollow = Shape::ellipse(x, 0.06, 0.5 * half_width, 0.6 * half_height);
        paint(picture, head.view, &[hollow], 0.5, |_, _| shade(person.skin, 0.5));
    }
}

/// The head's skin, lit from above and from image left, darkened towards the rim.
fn draw_skull(picture: &mut RgbImage, head: &Head) {
    let person = head.person;
    let half_height = person.head_height;
    paint(picture, head.view, &[head.outline()], 1.0, |x, y| {
        let v = y / half_height;
        let rim = (x * x + v * v).min(1.2);
        let light = 1.04 - 0.36 * rim * rim - 0.05 * x - 0.06 * v;
        shade(person.skin, light)
    });
    for side in [-1.0, 1.0] {
        let (x, y, narrower) = head.place(side * 0.56, 0.34);
        let cheek = Shape::ellipse(x, y, 0.24 * narrower, 0.2);
        paint(picture, head.view, &[cheek], 0.22, |_, _| blend(person.skin, [214.0, 92.0, 84.0], 0.6));
    }
}

fn draw_beard(picture: &mut RgbImage, head: &Head) {
    let person = head.person;
    if person.beard <= 0.0 {
        return;
    }
    let (x, y, _) = head.place(0.0, 0.9);
    let chin = Lens {
        x,
        y,
        half_width: 0.95,
        bend: -0.75,
        below: 0.8,
        above: -0.02,
        profile: Profile::Blunt,
        ..Lens::default()
    };
    paint(picture, head.view, &[head.outline(), Shape::Lens(chin)], person.beard, |_, _| person.hair_colour);
}

fn draw_hair_before(picture: &mut RgbImage, head: &Head) {
    let person = head.person;
    let top = person.head_height;
    let turn = 0.3 * head.pose.yaw_rad.sin();
    // The hairline, at the middle and how far it falls towards the temples.
    let (line, fall, slope) = match person.hair {
        HairStyle::Bald => return,
        HairStyle::Fringe => (-0.52, 0.12, 0.0),
        HairStyle::SideParting => (-0.78, 0.45, 0.2),
        HairStyle::Short | HairStyle::Bun => (-0.86, 0.5, 0.0),
        HairStyle::Long => (-0.84, 0.9, 0.0),
        HairStyle::Curly => (-0.74, 0.5, 0.0),
    };
    let grown = if person.hair == HairStyle::Curly { 1.12 } else { 1.04 };
    let crown = Shape::Ellipse { x: 0.0, y: -0.02, half_width: grown, half_height: top * 1.05, taper: 0.0 };
    let cap = Lens {
        x: turn,
        y: line,
        half_width: 1.35,
        slope,
        bend: fall * 1.8,
        above: 2.2,
        below: 0.0,
        ..Lens::default()
    };
    paint(picture, head.view, &[crown, Shape::Lens(cap)], 1.0, |x, y| {
        let strand = 0.08 * wave(x * 3.0 + 0.24 * wave(y * 1.1));
        let from_gloss = 3.0 * (y + 0.8 * top);
        let gloss = 0.25 * (1.0 - from_gloss * from_gloss).max(0.0);
        shade(person.hair_colour, 0.92 + strand + gloss)
    });
}

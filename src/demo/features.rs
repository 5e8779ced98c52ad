//! Draws what moves in a face: brows, eyes, nose, mouth. Knows nothing of hair and body.

use image::RgbImage;

use super::canvas::{Lens, Profile, Shape, blend, paint, shade};
use super::draw::Head;
use super::expression::Expression;

const EYE_Y: f32 = -0.1;
const MOUTH_Y: f32 = 0.68;

/// Draws the features over a bare head.
pub(super) fn draw_features(picture: &mut RgbImage, head: &Head, expression: Expression) {
    for side in [-1.0, 1.0] {
        draw_eye(picture, head, expression, side);
        draw_brow(picture, head, expression, side);
    }
    draw_nose(picture, head, expression);
    draw_mouth(picture, head, expression);
}

fn draw_eye(picture: &mut RgbImage, head: &Head, expression: Expression, side: f32) {
    let person = head.person;
    let (x, y, narrower) = head.place(side * person.eye_spacing, EYE_Y);
    let half_width = 0.205 * person.eye_size * narrower;
    let socket = Shape::ellipse(x, y - 0.03, 1.5 * half_width, 0.2);
    paint(picture, head.view, &[socket], 0.3, |_, _| shade(person.skin, 0.6));

    let open = 0.105 * person.eye_size * expression.eye_open;
    let below = 0.085 * person.eye_size * expression.eye_open.min(1.2) * (1.0 - 0.55 * expression.squint);
    let slope = -0.02 * side;
    let opening = Lens { x, y, half_width, slope, above: open, below, ..Lens::default() };
    let white = Shape::Lens(opening);
    paint(picture, head.view, &[white], 1.0, |_, _| [236.0, 234.0, 230.0]);
    let gaze = 0.3 * head.gaze() * half_width;
    let (iris_x, iris_y) = (x + gaze, y - 0.012);
    let disc = |radius: f32| Shape::ellipse(iris_x, iris_y, radius * narrower, radius);
    paint(picture, head.view, &[disc(0.098), white], 1.0, |_, _| person.iris);
    paint(picture, head.view, &[disc(0.05), white], 1.0, |_, _| [14.0, 12.0, 12.0]);
    let glint = Shape::ellipse(iris_x - 0.03, iris_y - 0.035, 0.02, 0.02);
    paint(picture, head.view, &[glint, white], 0.9, |_, _| [250.0; 3]);
    draw_lids(picture, head, opening, expression.squint);
}

/// The dark line of the upper lashes, the fold above it, and the bag that a raised lower lid makes.
fn draw_lids(picture: &mut RgbImage, head: &Head, opening: Lens, squint: f32) {
    let skin = head.person.skin;
    // A thin lens whose middle line is the opening's upper arc.
    let half_width = 1.1 * opening.half_width;
    let lid = Lens {
        y: opening.y - opening.above,
        half_width,
        bend: opening.above,
        above: 0.03,
        below: 0.022,
        ..opening
    };
    paint(picture, head.view, &[Shape::Lens(lid)], 0.9, |_, _| shade(skin, 0.22));
    let fold = Lens { y: lid.y - 0.07, above: 0.012, below: 0.012, ..lid };
    paint(picture, head.view, &[Shape::Lens(fold)], 0.5, |_, _| shade(skin, 0.55));
    let lower = Lens {
        y: opening.y + opening.below,
        half_width,
        bend: -opening.below,
        above: 0.01,
        below: 0.012,
        ..opening
    };
    paint(picture, head.view, &[Shape::Lens(lower)], 0.5, |_, _| shade(skin, 0.45));
    let bag = Lens { y: lower.y + 0.07, above: 0.015, below: 0.02, ..lower };
    paint(picture, head.view, &[Shape::Lens(bag)], 0.6 * squint, |_, _| shade(skin, 0.55));
}

fn draw_brow(picture: &mut RgbImage, head: &Head, expression: Expression, side: f32) {
    let person = head.person;
    let alone = 0.07 * (expression.asymmetry * side).max(0.0);
    let rise = 0.13 * expression.brow_raise + alone;
    // Lowered brows also draw together.
    let inward = 0.05 * (-expression.brow_raise).max(0.0);
    let (x, y, narrower) = head.place(side * (person.eye_spacing + 0.02 - inward), EYE_Y - 0.27 - rise);
    let thickness = person.brow_thickness;
    let brow = Lens {
        x,
        y,
        half_width: 0.26 * narrower,
        slope: side * 0.125 * expression.brow_slant,
        bend: 0.05 + 0.05 * expression.brow_raise.max(0.0),
        lift: 0.0,
        above: thickness,
        below: thickness,
        profile: Profile::Blunt,
    };
    let colour = blend(shade(person.hair_colour, 0.7), shade(person.skin, 0.3), 0.35);
    paint(picture, head.view, &[Shape::Lens(brow)], 0.92, |_, _| colour);
    let frown = 0.6 * (-expression.brow_slant).clamp(0.0, 1.0);
    let crease = Lens {
        x: 0.35 * x,
        y: y + 0.04,
        half_width: 0.02,
        above: 0.1,
        below: 0.1,
        profile: Profile::Blunt,
        ..brow
    };
    let crease = Lens { slope: 0.0, bend: 0.0, ..crease };
    paint(picture, head.view, &[Shape::Lens(crease)], frown, |_, _| shade(person.skin, 0.5));
}

fn draw_nose(picture: &mut RgbImage, head: &Head, expression: Expression) {
    let person = head.person;
    let wrinkle = expression.nose_wrinkle;
    let tip_y = person.nose_length - 0.03 * wrinkle;
    let (tip_x, tip_y, narrower) = head.place(0.0, tip_y);
    let (root_x, root_y, _) = head.place(0.0, -0.1);
    let ridge = Shape::ellipse(0.5 * (tip_x + root_x) + 0.07, 0.5 * (tip_y + root_y), 0.07, 0.28);
    paint(picture, head.view, &[ridge], 0.4, |_, _| shade(person.skin, 0.66));
    let light = Shape::ellipse(0.5 * (tip_x + root_x) - 0.01, 0.5 * (tip_y + root_y) + 0.02, 0.05, 0.28);
    paint(picture, head.view, &[light], 0.35, |_, _| shade(person.skin, 1.16));
    let half_width = person.nose_width * narrower * (1.0 + 0.2 * wrinkle);
    let base =
        Lens { x: tip_x, y: tip_y + 0.06, half_width: 1.25 * half_width, bend: -0.05, ..Lens::default() };
    let shadow = Lens { above: 0.03, below: 0.07, ..base };
    paint(picture, head.view, &[Shape::Lens(shadow)], 0.6, |_, _| shade(person.skin, 0.5));
    for side in [-1.0, 1.0] {
        let nostril = Shape::ellipse(tip_x + side * 0.52 * half_width, tip_y + 0.065, 0.045, 0.028);
        paint(picture, head.view, &[nostril], 0.85, |_, _| shade(person.skin, 0.28));
        let wing = Lens {
            x: tip_x + side * half_width * 0.75,
            y: root_y + 0.06,
            half_width: 0.11,
            slope: side * 0.07,
            above: 0.02,
            below: 0.02,
            ..Lens::default()
        };
        paint(picture, head.view, &[Shape::Lens(wing)], 0.7 * wrinkle, |_, _| shade(person.skin, 0.45));
        draw_cheek_line(picture, head, expression, (tip_x, tip_y), side);
    }
}

/// The line from the nose to the mouth's corner, deep in a smile and in disgust.
fn draw_cheek_line(
    picture: &mut RgbImage,
    head: &Head,
    expression: Expression,
    (tip_x, tip_y): (f32, f32),
    side: f32,
) {
    let depth = expression.nose_wrinkle.max(expression.mouth_curve).max(0.6 * expression.asymmetry * side);
    let line = Lens {
        x: tip_x + side * 0.34,
        y: tip_y + 0.2,
        half_width: 0.13,
        slope: side * 0.19,
        above: 0.03,
        below: 0.03,
        ..Lens::default()
    };
    let skin = head.person.skin;
    paint(picture, head.view, &[Shape::Lens(line)], 0.6 * depth.clamp(0.0, 1.0), |_, _| shade(skin, 0.55));
}

fn draw_mouth(picture: &mut RgbImage, head: &Head, expression: Expression) {
    let person = head.person;
    let raised = 0.06 * expression.lip_raise;
    let (x, y, narrower) = head.place(0.0, MOUTH_Y - raised + 0.05 * expression.mouth_open);
    let half_width = person.mouth_width * expression.mouth_width * narrower;
    let curve = 0.2 * expression.mouth_curve;
    let (bend, lift) = (-curve, 0.2 * expression.asymmetry);
    let line =
        Lens { x, y: y + 0.5 * curve, half_width, bend, lift, profile: Profile::Blunt, ..Lens::default() };

    let gap_above = 0.06 * expression.mouth_open + 0.07 * expression.teeth * expression.mouth_open.min(0.4);
    let gap_below = 0.27 * expression.mouth_open + 0.05 * expression.teeth;
    let full = person.lip_fullness;
    let lips = Lens {
        above: gap_above + full * (1.0 - 0.5 * expression.lip_raise),
        below: gap_below + 1.25 * full,
        ..line
    };
    let lower_shadow = Lens { y: lips.y + 0.1, half_width: 0.7 * half_width, ..lips };
    paint(picture, head.view, &[Shape::Lens(lower_shadow)], 0.3, |_, _| shade(person.skin, 0.6));
    paint(picture, head.view, &[Shape::Lens(lips)], 0.95, |_, _| person.lips);

    let inner =
        Lens { half_width: 0.88 * half_width, above: gap_above + 0.012, below: gap_below + 0.012, ..line };
    paint(picture, head.view, &[Shape::Lens(inner)], 0.95, |_, _| [62.0, 22.0, 24.0]);
    let shown = expression.teeth * 0.13_f32.min(gap_above + gap_below);
    let teeth = Lens { half_width: 0.8 * half_width, above: gap_above, below: shown - gap_above, ..line };
    if shown > 0.02 {
        paint(picture, head.view, &[Shape::Lens(teeth)], 0.95, |_, _| [232.0, 228.0, 218.0]);
    }
}

//! Soft-edged shapes on a picture. Knows nothing of faces.

use image::RgbImage;

/// A colour: red, green, blue, 0 to 255.
pub(super) type Colour = [f32; 3];

/// A colour made lighter (above 1) or darker (below 1).
pub(super) fn shade(colour: Colour, factor: f32) -> Colour {
    colour.map(|channel| (channel * factor).clamp(0.0, 255.0))
}

/// Part of the way from one colour to another.
pub(super) fn blend(from: Colour, to: Colour, share: f32) -> Colour {
    std::array::from_fn(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

/// A wave between -1 and 1 with a period of 1; cheaper than a sine, and nobody looks that close.
pub(super) fn wave(at: f32) -> f32 {
    4.0 * (at - at.floor() - 0.5).abs() - 1.0
}

/// Where shapes lie on the picture: their origin, their unit in pixels, and a clockwise turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) x_px: f32,
    pub(super) y_px: f32,
    pub(super) unit_px: f32,
    pub(super) turn_rad: f32,
}

impl View {
    /// A point of the shapes' plane in pixels.
    pub(super) fn to_pixels(self, (x, y): (f32, f32)) -> (f32, f32) {
        let (sin, cos) = self.turn_rad.sin_cos();
        (self.x_px + (x * cos - y * sin) * self.unit_px, self.y_px + (x * sin + y * cos) * self.unit_px)
    }
}

/// A shape in its own plane, x to the right and y down.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// An ellipse; `taper` narrows it towards its lower end.
    Ellipse { x: f32, y: f32, half_width: f32, half_height: f32, taper: f32 },
    /// What lies between two arcs over a bent line, from `x - half_width` to `x + half_width`.
    Lens(Lens),
}

/// At `t` from -1 to 1 the middle line is at `y + slope·t + bend·t²`, and one end alone is raised by `lift`·t²: the right
/// one, or the left one where `lift` is negative. The arcs lie `above` and `below` it, times what the `profile` leaves of
/// them there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lens {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) half_width: f32,
    pub(super) slope: f32,
    pub(super) bend: f32,
    pub(super) lift: f32,
    pub(super) above: f32,
    pub(super) below: f32,
    pub(super) profile: Profile,
}

/// How a lens narrows towards its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Profile {
    /// To a point.
    #[default]
    Pointed,
    /// To a round end.
    Blunt,
    /// Not at all.
    Flat,
}

impl Shape {
    /// An ellipse that does not narrow.
    pub(super) fn ellipse(x: f32, y: f32, half_width: f32, half_height: f32) -> Self {
        Self::Ellipse { x, y, half_width, half_height, taper: 0.0 }
    }

    /// About how far a point lies outside; negative inside.
    fn distance(&self, px: f32, py: f32) -> f32 {
        match *self {
            Self::Ellipse { x, y, half_width, half_height, taper } => {
                let v = (py - y) / half_height;
                let narrowed = half_width * (1.0 - taper * v.max(0.0) * v.max(0.0));
                let u = (px - x) / narrowed;
                let squared = u * u + v * v;
                if squared < 0.5 {
                    // Deep inside a bound does, without the roots.
                    return 0.5 * (squared - 1.0) * half_width.min(half_height);
                }
                let (du, dv) = (u / narrowed, v / half_height);
                let root = squared.sqrt();
                root * (root - 1.0) / (du * du + dv * dv).sqrt()
            }
            Self::Lens(lens) => lens.distance(px, py),
        }
    }

    /// Left, top, right, bottom.
    fn bounds(&self) -> [f32; 4] {
        match *self {
            Self::Ellipse { x, y, half_width, half_height, .. } => {
                [x - half_width, y - half_height, x + half_width, y + half_height]
            }
            Self::Lens(lens) => {
                let sway = lens.slope.abs() + lens.bend.abs() + lens.lift.abs();
                let (above, below) = (lens.above.max(0.0) + sway, lens.below.max(0.0) + sway);
                let (left, right) = (lens.x - lens.half_width, lens.x + lens.half_width);
                [left, lens.y - above, right, lens.y + below]
            }
        }
    }
}

impl Lens {
    fn distance(&self, px: f32, py: f32) -> f32 {
        let t = (px - self.x) / self.half_width;
        let beside = (t.abs() - 1.0) * self.half_width;
        let t = t.clamp(-1.0, 1.0);
        let lifted = (t * self.lift.signum()).max(0.0);
        let middle = self.y + self.slope * t + self.bend * t * t - self.lift.abs() * lifted * lifted;
        let room = match self.profile {
            Profile::Pointed => 1.0 - t * t,
            Profile::Blunt => (1.0 - t * t).sqrt(),
            Profile::Flat => 1.0,
        };
        let (up, down) = (middle - self.above * room - py, py - middle - self.below * room);
        up.max(down).max(beside)
    }
}

/// Half the width of an edge in pixels: the softness of a cheap lens.
const EDGE_PX: f32 = 1.6;

/// Paints where all the shapes overlap, in the colour that `colour_at` gives for a point of their plane.
pub(super) fn paint(
    picture: &mut RgbImage,
    view: View,
    shapes: &[Shape],
    opacity: f32,
    colour_at: impl Fn(f32, f32) -> Colour,
) {
    let Some((first, others)) = shapes.split_first() else { return };
    let [left, top, right, bottom] = pixel_bounds(picture, view, first.bounds());
    let (sin, cos) = view.turn_rad.sin_cos();
    let (step_x, step_y) = (cos / view.unit_px, -sin / view.unit_px);
    let stride = 3 * picture.width() as usize;
    for row in top..bottom {
        let (across, down) = (left as f32 + 0.5 - view.x_px, row as f32 + 0.5 - view.y_px);
        let mut x = (across * cos + down * sin) / view.unit_px;
        let mut y = (down * cos - across * sin) / view.unit_px;
        let pixels =
            &mut picture.as_flat_samples_mut().samples[row * stride + 3 * left..row * stride + 3 * right];
        for pixel in pixels.chunks_exact_mut(3) {
            let mut distance = first.distance(x, y);
            for shape in others {
                distance = distance.max(shape.distance(x, y));
            }
            let cover = (0.5 - distance * view.unit_px / (2.0 * EDGE_PX)).clamp(0.0, 1.0);
            if cover > 0.0 {
                let share = opacity * cover * cover * (3.0 - 2.0 * cover);
                for (channel, colour) in pixel.iter_mut().zip(colour_at(x, y)) {
                    let below = f32::from(*channel);
                    *channel = (below + (colour - below) * share + 0.5) as u8;
                }
            }
            x += step_x;
            y += step_y;
        }
    }
}

/// The columns and rows that a rectangle of the shapes' plane may touch.
fn pixel_bounds(picture: &RgbImage, view: View, [left, top, right, bottom]: [f32; 4]) -> [usize; 4] {
    let corners =
        [(left, top), (right, top), (left, bottom), (right, bottom)].map(|corner| view.to_pixels(corner));
    let low = corners.iter().fold((f32::MAX, f32::MAX), |low, c| (low.0.min(c.0), low.1.min(c.1)));
    let high = corners.iter().fold((f32::MIN, f32::MIN), |high, c| (high.0.max(c.0), high.1.max(c.1)));
    let within = |at: f32, limit: u32| at.clamp(0.0, limit as f32) as usize;
    [
        within(low.0 - EDGE_PX, picture.width()),
        within(low.1 - EDGE_PX, picture.height()),
        within((high.0 + EDGE_PX).ceil(), picture.width()),
        within((high.1 + EDGE_PX).ceil(), picture.height()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View = View { x_px: 20.0, y_px: 20.0, unit_px: 10.0, turn_rad: 0.0 };

    #[test]
    fn a_shape_covers_its_inside_and_leaves_the_rest() {
        let mut picture = RgbImage::new(40, 40);
        paint(&mut picture, VIEW, &[Shape::ellipse(0.0, 0.0, 1.0, 0.5)], 1.0, |_, _| [200.0, 100.0, 50.0]);
        assert_eq!(picture.get_pixel(20, 20).0, [200, 100, 50]);
        assert_eq!(picture.get_pixel(20, 30).0, [0, 0, 0]);
        let edge = picture.get_pixel(30, 20).0[0];
        assert!((20..180).contains(&edge), "the edge is soft: {edge}");
    }

    #[test]
    fn a_turn_is_clockwise_and_shapes_may_leave_the_picture() {
        let mut picture = RgbImage::new(40, 40);
        let view = View { turn_rad: std::f32::consts::FRAC_PI_2, ..VIEW };
        paint(&mut picture, view, &[Shape::ellipse(3.0, 0.0, 2.0, 0.5)], 1.0, |_, _| [255.0; 3]);
        assert_eq!(picture.get_pixel(20, 38).0, [255, 255, 255]);
        assert_eq!(picture.get_pixel(38, 20).0, [0, 0, 0]);
    }

    #[test]
    fn shapes_overlap_where_all_of_them_are() {
        let mut picture = RgbImage::new(40, 40);
        let lens = Lens { half_width: 1.5, above: 0.0, below: 1.0, ..Lens::default() };
        let shapes = [Shape::ellipse(0.0, 0.0, 1.5, 1.5), Shape::Lens(lens)];
        paint(&mut picture, VIEW, &shapes, 1.0, |_, _| [255.0; 3]);
        assert_eq!(picture.get_pixel(20, 25).0, [255, 255, 255]);
        assert_eq!(picture.get_pixel(20, 14).0, [0, 0, 0]);
    }
}

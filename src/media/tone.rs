//! How the numbers of a film in high dynamic range (HDR) become those of a usual one, for whoever looks at pictures: faces
//! are learnt from usual films, and look washed out otherwise. Pure; knows no FFmpeg.

use std::sync::LazyLock;

use image::RgbImage;

/// How the numbers of an HDR film stand for light: the two ways of ITU-R BT.2100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    /// Hybrid log-gamma, its table 5.
    Hlg,
    /// Perceptual quantisation, its table 4.
    Pq,
}

/// What light the numbers of an HDR film mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HighRange {
    /// How much.
    pub(super) curve: Curve,
    /// Whether of the wide colours of BT.2020; of those of BT.709 otherwise.
    pub(super) is_wide: bool,
}

/// The light of a white sheet, to which a usual film's white corresponds, cd/m²: BT.2408, table 1.
const WHITE: f64 = 203.0;
/// The brightest light that is told apart, cd/m²; the peak of the screen that hybrid log-gamma is meant for.
const PEAK: f64 = 1_000.0;
/// What a usual film's numbers are raised to: BT.1886.
const GAMMA: f64 = 2.4;

/// From BT.2020's colours to those of BT.709, in light: BT.2407, section 2.
const NARROWED: [[f32; 3]; 3] =
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]];

/// Steps of light for which the usual number is known.
const STEPS: usize = 1 << 16;

/// The usual film's number for each step of light, from none to white.
static NUMBERS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let number = |step| 255.0 * (step as f64 / (STEPS - 1) as f64).powf(1.0 / GAMMA);
    (0..STEPS).map(|step| number(step).round() as u8).collect()
});

/// Maps pictures of one HDR film.
pub(super) struct ToneMap {
    /// The light of each number as the usual film shows it, 1 is white.
    light: [f32; 256],
    is_wide: bool,
}

impl ToneMap {
    pub(super) fn new(HighRange { curve, is_wide }: HighRange) -> Self {
        let meant = |number: usize| curve.light(number as f64 / 255.0);
        let light = std::array::from_fn(|number| (dimmed(meant(number)) / WHITE) as f32);
        Self { light, is_wide }
    }

    /// Gives a picture the numbers that a usual film has for what it shows.
    pub(super) fn apply(&self, picture: &mut RgbImage) {
        for pixel in picture.pixels_mut() {
            let mut light = pixel.0.map(|number| self.light[usize::from(number)]);
            if self.is_wide {
                light = NARROWED.map(|row| row.iter().zip(light).map(|(share, one)| share * one).sum());
            }
            pixel.0 = light.map(|one| NUMBERS[(one.clamp(0.0, 1.0) * (STEPS - 1) as f32).round() as usize]);
        }
    }
}

impl Curve {
    /// The light that a screen gives for a number from 0 to 1, cd/m². Of hybrid log-gamma each colour is taken by itself,
    /// which is exact for greys.
    fn light(self, number: f64) -> f64 {
        match self {
            Self::Hlg => {
                let [a, b, c] = [0.178_832_77, 0.284_668_92, 0.559_910_73];
                let scene =
                    if number <= 0.5 { number * number / 3.0 } else { (((number - c) / a).exp() + b) / 12.0 };
                PEAK * scene.powf(1.2)
            }
            Self::Pq => quantised_light(number),
        }
    }
}

/// The numbers m1, m2, c1, c2 and c3 of perceptual quantisation.
const PQ: [f64; 5] =
    [2_610.0 / 16_384.0, 2_523.0 / 32.0, 3_424.0 / 4_096.0, 2_413.0 / 128.0, 2_392.0 / 128.0];

fn quantised_light(number: f64) -> f64 {
    let [m1, m2, c1, c2, c3] = PQ;
    let root = number.powf(1.0 / m2);
    10_000.0 * ((root - c1).max(0.0) / (c2 - c3 * root)).powf(1.0 / m1)
}

fn quantised(light: f64) -> f64 {
    let [m1, m2, c1, c2, c3] = PQ;
    let root = (light / 10_000.0).powf(m1);
    ((c1 + c2 * root) / (1.0 + c3 * root)).powf(m2)
}

/// Light of up to [`PEAK`] as a screen shows it that ends at [`WHITE`]: as it is up to a knee, then ever less of it. The
/// EETF of BT.2390, section 5.4.1, between screens whose black is 0.
fn dimmed(light: f64) -> f64 {
    let (top, white) = (quantised(PEAK), quantised(WHITE) / quantised(PEAK));
    let knee = 1.5 * white - 0.5;
    let share = (quantised(light) / top).min(1.0);
    if share < knee {
        return light;
    }
    let t = (share - knee) / (1.0 - knee);
    let (t2, t3) = (t * t, t * t * t);
    let bent = (2.0 * t3 - 3.0 * t2 + 1.0) * knee
        + (t3 - 2.0 * t2 + t) * (1.0 - knee)
        + (3.0 * t2 - 2.0 * t3) * white;
    quantised_light(bent * top)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    const CURVES: [Curve; 2] = [Curve::Hlg, Curve::Pq];

    fn mapped(curve: Curve, is_wide: bool, pixel: [u8; 3]) -> [u8; 3] {
        let mut picture = RgbImage::from_pixel(1, 1, Rgb(pixel));
        ToneMap::new(HighRange { curve, is_wide }).apply(&mut picture);
        picture.get_pixel(0, 0).0
    }

    /// The number whose light comes nearest to what a usual film's number means.
    fn number_for(curve: Curve, usual: u8) -> u8 {
        let meant = WHITE * (f64::from(usual) / 255.0).powf(GAMMA);
        let off = |number: &u8| (curve.light(f64::from(*number) / 255.0) - meant).abs();
        (0..=255).min_by(|one, other| off(one).total_cmp(&off(other))).unwrap()
    }

    #[test]
    fn a_white_sheet_has_the_numbers_that_the_standard_gives() {
        // BT.2408, table 1: 75 % of hybrid log-gamma, 58 % of perceptual quantisation.
        for (curve, number) in [(Curve::Hlg, 0.75), (Curve::Pq, 0.58)] {
            assert!((curve.light(number) - WHITE).abs() < 2.0, "{curve:?}: {}", curve.light(number));
        }
        assert!((quantised(quantised_light(0.4)) - 0.4).abs() < 1e-9);
    }

    #[test]
    fn what_a_usual_film_shows_comes_back_up_to_its_bright_parts() {
        for curve in CURVES {
            for usual in (20..=170).step_by(10) {
                let [seen, ..] = mapped(curve, true, [number_for(curve, usual); 3]);
                assert!(seen.abs_diff(usual) <= 3, "{curve:?} {usual}: {seen}");
            }
            let [white, ..] = mapped(curve, true, [number_for(curve, 255); 3]);
            assert!((225..250).contains(&white), "{curve:?}: {white}");
        }
    }

    #[test]
    fn more_light_is_never_darker_and_greys_stay_grey() {
        for curve in CURVES {
            let greys: Vec<[u8; 3]> = (0..=255).map(|number| mapped(curve, true, [number; 3])).collect();
            assert!(greys.windows(2).all(|pair| pair[0][0] <= pair[1][0]), "{curve:?}");
            assert!(
                greys.iter().all(|[red, green, blue]| red.abs_diff(*green).max(red.abs_diff(*blue)) <= 1)
            );
            assert_eq!((greys[0], greys[255]), ([0; 3], [255; 3]), "{curve:?}");
        }
    }

    #[test]
    fn wide_colours_grow_stronger_in_narrow_ones() {
        let skin = [120, 100, 90];
        for curve in CURVES {
            let (wide, narrow) = (mapped(curve, true, skin), mapped(curve, false, skin));
            assert!(wide[0] > narrow[0] && wide[2] < narrow[2], "{curve:?}: {wide:?} {narrow:?}");
        }
    }
}

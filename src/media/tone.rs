//! Tone mapping: converts pictures of high dynamic range (HDR) to standard dynamic range (SDR). Face detectors and
//! classifiers are trained on SDR; HDR values taken for SDR look washed out. Pure; knows no FFmpeg.

use std::sync::LazyLock;

use image::RgbImage;

/// The transfer functions of HDR, from ITU-R BT.2100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transfer {
    /// Hybrid log-gamma (HLG), table 5.
    Hlg,
    /// Perceptual quantisation (PQ), table 4.
    Pq,
}

/// A kind of HDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hdr {
    /// From signal to light.
    pub(super) transfer: Transfer,
    /// Whether its primaries are those of BT.2020; those of BT.709 otherwise.
    pub(super) is_wide: bool,
}

/// Luminance of SDR's white, HDR's reference white, cd/m²: BT.2408, table 1.
const WHITE: f64 = 203.0;
/// Luminance above which everything is white, cd/m²: the nominal peak of an HLG display.
const PEAK: f64 = 1_000.0;
/// Exponent from an SDR signal to light: BT.1886.
const GAMMA: f64 = 2.4;

/// From BT.2020's primaries to those of BT.709, in linear light: BT.2407, section 2.
const BT2020_TO_BT709: [[f32; 3]; 3] =
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]];

/// Length of [`SDR_VALUES`].
const STEPS: usize = 1 << 16;

/// The SDR value for each step of light from black to white: `round(255 · light^(1/2.4))`.
static SDR_VALUES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let value = |step| 255.0 * (step as f64 / (STEPS - 1) as f64).powf(1.0 / GAMMA);
    (0..STEPS).map(|step| value(step).round() as u8).collect()
});

/// Maps pictures of one kind of HDR to SDR.
pub(super) struct ToneMap {
    /// The light for each HDR value after tone mapping; 1 is white.
    light: [f32; 256],
    is_wide: bool,
}

impl ToneMap {
    pub(super) fn new(Hdr { transfer, is_wide }: Hdr) -> Self {
        let displayed = |value: usize| transfer.light(value as f64 / 255.0);
        let light = std::array::from_fn(|value| (tone_mapped(displayed(value)) / WHITE) as f32);
        Self { light, is_wide }
    }

    /// Converts a picture from HDR to SDR.
    pub(super) fn apply(&self, picture: &mut RgbImage) {
        for pixel in picture.pixels_mut() {
            let mut light = pixel.0.map(|value| self.light[usize::from(value)]);
            if self.is_wide {
                light =
                    BT2020_TO_BT709.map(|row| row.iter().zip(light).map(|(share, one)| share * one).sum());
            }
            pixel.0 =
                light.map(|one| SDR_VALUES[(one.clamp(0.0, 1.0) * (STEPS - 1) as f32).round() as usize]);
        }
    }
}

impl Transfer {
    /// The luminance that a display gives for a signal from 0 to 1, cd/m² (EOTF). HLG's system gamma of 1.2 is applied
    /// to each channel instead of the luminance, which is exact for greys.
    fn light(self, signal: f64) -> f64 {
        match self {
            Self::Hlg => {
                let [a, b, c] = [0.178_832_77, 0.284_668_92, 0.559_910_73];
                let scene =
                    if signal <= 0.5 { signal * signal / 3.0 } else { (((signal - c) / a).exp() + b) / 12.0 };
                PEAK * scene.powf(1.2)
            }
            Self::Pq => pq_light(signal),
        }
    }
}

/// PQ's constants m1, m2, c1, c2 and c3.
const PQ: [f64; 5] =
    [2_610.0 / 16_384.0, 2_523.0 / 32.0, 3_424.0 / 4_096.0, 2_413.0 / 128.0, 2_392.0 / 128.0];

/// PQ's EOTF: from a signal of 0 to 1 to cd/m².
fn pq_light(signal: f64) -> f64 {
    let [m1, m2, c1, c2, c3] = PQ;
    let root = signal.powf(1.0 / m2);
    10_000.0 * ((root - c1).max(0.0) / (c2 - c3 * root)).powf(1.0 / m1)
}

/// The inverse of [`pq_light`].
fn pq_signal(light: f64) -> f64 {
    let [m1, m2, c1, c2, c3] = PQ;
    let root = (light / 10_000.0).powf(m1);
    ((c1 + c2 * root) / (1.0 + c3 * root)).powf(m2)
}

/// Compresses light of up to [`PEAK`] to at most [`WHITE`], cd/m²: unchanged up to a knee, then along a Hermite spline
/// in PQ's signal. The EETF of BT.2390, section 5.4.1, for displays whose black is 0.
fn tone_mapped(light: f64) -> f64 {
    let (peak, white) = (pq_signal(PEAK), pq_signal(WHITE) / pq_signal(PEAK));
    let knee = 1.5 * white - 0.5;
    let signal = (pq_signal(light) / peak).min(1.0);
    if signal < knee {
        return light;
    }
    let t = (signal - knee) / (1.0 - knee);
    let (t2, t3) = (t * t, t * t * t);
    let spline = (2.0 * t3 - 3.0 * t2 + 1.0) * knee
        + (t3 - 2.0 * t2 + t) * (1.0 - knee)
        + (3.0 * t2 - 2.0 * t3) * white;
    pq_light(spline * peak)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    const BOTH: [Transfer; 2] = [Transfer::Hlg, Transfer::Pq];

    fn mapped(transfer: Transfer, is_wide: bool, pixel: [u8; 3]) -> [u8; 3] {
        let mut picture = RgbImage::from_pixel(1, 1, Rgb(pixel));
        ToneMap::new(Hdr { transfer, is_wide }).apply(&mut picture);
        picture.get_pixel(0, 0).0
    }

    /// The HDR value whose light is closest to that of an SDR value.
    fn hdr_value(transfer: Transfer, sdr: u8) -> u8 {
        let meant = WHITE * (f64::from(sdr) / 255.0).powf(GAMMA);
        let off = |value: &u8| (transfer.light(f64::from(*value) / 255.0) - meant).abs();
        (0..=255).min_by(|one, other| off(one).total_cmp(&off(other))).unwrap()
    }

    #[test]
    fn reference_white_has_the_signals_of_the_standard() {
        // BT.2408, table 1: 75 % for HLG, 58 % for PQ.
        for (transfer, signal) in [(Transfer::Hlg, 0.75), (Transfer::Pq, 0.58)] {
            let light = transfer.light(signal);
            assert!((light - WHITE).abs() < 2.0, "{transfer:?}: {light}");
        }
        assert!((pq_signal(pq_light(0.4)) - 0.4).abs() < 1e-9);
    }

    #[test]
    fn sdr_values_come_back_below_the_knee_and_white_is_slightly_dimmed() {
        for transfer in BOTH {
            for sdr in (20..=170).step_by(10) {
                let [seen, ..] = mapped(transfer, true, [hdr_value(transfer, sdr); 3]);
                assert!(seen.abs_diff(sdr) <= 3, "{transfer:?} {sdr}: {seen}");
            }
            let [white, ..] = mapped(transfer, true, [hdr_value(transfer, 255); 3]);
            assert!((225..250).contains(&white), "{transfer:?}: {white}");
        }
    }

    #[test]
    fn more_light_is_never_darker_and_greys_stay_grey() {
        for transfer in BOTH {
            let greys: Vec<[u8; 3]> = (0..=255).map(|value| mapped(transfer, true, [value; 3])).collect();
            assert!(greys.windows(2).all(|pair| pair[0][0] <= pair[1][0]), "{transfer:?}");
            assert!(
                greys.iter().all(|[red, green, blue]| red.abs_diff(*green).max(red.abs_diff(*blue)) <= 1)
            );
            assert_eq!((greys[0], greys[255]), ([0; 3], [255; 3]), "{transfer:?}");
        }
    }

    #[test]
    fn wide_primaries_give_more_saturated_colours() {
        let skin = [120, 100, 90];
        for transfer in BOTH {
            let (wide, narrow) = (mapped(transfer, true, skin), mapped(transfer, false, skin));
            assert!(wide[0] > narrow[0] && wide[2] < narrow[2], "{transfer:?}: {wide:?} {narrow:?}");
        }
    }
}

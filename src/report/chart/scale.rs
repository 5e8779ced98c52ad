//! Maps values to coordinates, and places ticks.

use crate::words;

/// A linear map from a range of values to a range of coordinates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Lowest and highest value.
    pub(super) values: (f64, f64),
    /// Their coordinates, in units of the view box.
    pub(super) coordinates: (f64, f64),
}

impl Scale {
    /// The coordinate of a value; the middle, when lowest and highest value are equal.
    pub(super) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let (start, end) = self.coordinates;
        let part = if high > low { (value - low) / (high - low) } else { 0.5 };
        start + part * (end - start)
    }
}

/// The kind of an axis's values, which decides how its ticks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Unit {
    /// 0 to 1, written as per cent.
    Share,
    /// Whole numbers.
    Count,
    /// Any number.
    Number,
}

impl Unit {
    /// A tick's text, with as many decimals as `step` needs.
    pub(super) fn write(self, value: f64, step: f64) -> String {
        let decimals =
            |step: f64| usize::from(step < 0.9) + usize::from(step < 0.09) + usize::from(step < 0.009);
        match self {
            Self::Share => format!("{:.*} %", decimals(step * 100.0), value * 100.0),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "ticks of counts are whole"
            )]
            Self::Count => words::count(value.max(0.0).round() as u64),
            Self::Number => format!("{:.*}", decimals(step), value),
        }
    }
}

/// Round values at steps of 1, 2 or 5 times a power of ten that enclose `low` to `high` in about `wanted` steps.
pub(super) fn ticks(low: f64, high: f64, wanted: f64) -> Vec<f64> {
    let width = if high > low { high - low } else { 1.0 };
    let rough = width / wanted;
    let power = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step + 1e-9).floor();
    let last = ((first * step + width).max(high) / step - 1e-9).ceil();
    std::iter::successors(Some(first), |tick| Some(tick + 1.0))
        .take_while(|tick| *tick <= last)
        .map(|tick| tick * step)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(ticks: &[f64]) -> Vec<String> {
        ticks.iter().map(|tick| format!("{tick:.2}")).collect()
    }

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        assert_eq!(rounded(&ticks(0.0, 1.0, 5.0)), ["0.00", "0.20", "0.40", "0.60", "0.80", "1.00"]);
        assert_eq!(rounded(&ticks(0.13, 0.87, 4.0)), ["0.00", "0.20", "0.40", "0.60", "0.80", "1.00"]);
        assert_eq!(rounded(&ticks(0.0, 36.0, 4.0)), ["0.00", "10.00", "20.00", "30.00", "40.00"]);
    }

    #[test]
    fn equal_values_still_have_an_axis() {
        assert!(ticks(0.5, 0.5, 4.0).len() >= 2);
        let scale = Scale { values: (1.0, 1.0), coordinates: (0.0, 10.0) };
        assert!((scale.at(1.0) - 5.0).abs() < 1e-12);
    }

    #[test]
    fn an_inverted_scale_puts_high_values_up() {
        let scale = Scale { values: (0.0, 2.0), coordinates: (100.0, 0.0) };
        assert!((scale.at(0.5) - 75.0).abs() < 1e-12);
    }

    #[test]
    fn a_tick_has_as_many_decimals_as_its_step_needs() {
        assert_eq!(Unit::Share.write(0.25, 0.05), "25 %");
        assert_eq!(Unit::Share.write(0.255, 0.005), "25.5 %");
        assert_eq!(Unit::Number.write(0.25, 0.05), "0.25");
        assert_eq!(Unit::Count.write(2_000.0, 500.0), "2,000");
    }
}

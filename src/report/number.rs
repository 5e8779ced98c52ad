//! Numbers, times and spans as people write them. It knows nothing of what they count.

use jiff::Timestamp;

/// What stands where a number is missing.
pub(super) const NOT_KNOWN: &str = "not known";

/// A whole number with commas between thousands: `12,271`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of 0 to 1 as per cent with one decimal: `87.0 %`.
pub(super) fn share(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", share * 100.0) } else { NOT_KNOWN.to_owned() }
}

/// `part` of `whole` as per cent, or nothing where there is no whole.
pub(super) fn share_of(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let ratio = part as f64 / whole as f64;
    (whole > 0).then_some(ratio)
}

/// A number with so many decimals, or "not known" when it is none.
pub(super) fn decimal(number: f64, places: usize) -> String {
    if number.is_finite() { format!("{number:.places$}") } else { NOT_KNOWN.to_owned() }
}

/// A value where there is one, "not known" where not.
pub(super) fn known<T>(value: Option<T>, write: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NOT_KNOWN.to_owned(), write)
}

/// Milliseconds since 1970 as a date and time: `2026-11-23 22:25 UTC`.
pub fn date(at_ms: i64) -> String {
    match Timestamp::from_millisecond(at_ms) {
        Ok(timestamp) => timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => NOT_KNOWN.to_owned(),
    }
}

/// A stretch of time in its two largest units: `2 h 05 min`, `3 min 20 s`, `4.2 s`.
pub fn span(span_ms: i64) -> String {
    let seconds = span_ms.max(0) / 1_000;
    match seconds {
        0..60 => format!("{}.{} s", seconds, span_ms.max(0) % 1_000 / 100),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// What a number of last epochs is a mean of.
pub(super) fn mean_of(epochs: u64) -> String {
    match epochs {
        0 => "no epoch measured it".to_owned(),
        1 => "of one epoch".to_owned(),
        epochs => format!("mean of the last {}", plural(epochs, "epoch")),
    }
}

/// A difference with its sign: "+12", "−3" or "0".
pub(super) fn signed(difference: i64) -> String {
    match difference {
        0 => "0".to_owned(),
        more @ 1.. => format!("+{}", count(more.unsigned_abs())),
        fewer => format!("−{}", count(fewer.unsigned_abs())),
    }
}

/// "1 epoch", "2 epochs".
pub(super) fn plural(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{} {noun}s", count(number)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted_by_commas() {
        let texts = [0, 7, 999, 1_000, 12_271, 1_000_000].map(count);
        assert_eq!(texts, ["0", "7", "999", "1,000", "12,271", "1,000,000"]);
    }

    #[test]
    fn a_difference_carries_its_sign() {
        assert_eq!([2, -1_200, 0].map(signed), ["+2", "−1,200", "0"]);
    }

    #[test]
    fn a_mean_says_of_how_many_epochs_it_is_one() {
        let words = [1, 2, 5].map(mean_of);
        assert_eq!(words, ["of one epoch", "mean of the last 2 epochs", "mean of the last 5 epochs"]);
    }

    #[test]
    fn a_share_has_one_decimal_and_nonsense_is_not_known() {
        assert_eq!(share(0.87), "87.0 %");
        assert_eq!(share(f64::NAN), "not known");
        assert_eq!(share_of(1, 0), None);
        assert_eq!(share_of(1, 4), Some(0.25));
    }

    #[test]
    fn times_are_written_in_their_two_largest_units() {
        assert_eq!(date(1_795_472_700_000), "2026-11-23 22:25 UTC");
        let texts = [4_250, 200_000, 7_500_000, 100_000_000].map(span);
        assert_eq!(texts, ["4.2 s", "3 min 20 s", "2 h 05 min", "1 d 03 h"]);
    }
}

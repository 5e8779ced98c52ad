//! Formats numbers, sizes, times and spans for people, and reads sizes and spans.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What is written where a number is missing.
pub(crate) const NOT_KNOWN: &str = "not known";

/// Units of sizes: decimal, as disks are sold.
const SIZES: [(&str, u64); 4] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];

/// A whole number with commas between thousands: `12,271`.
pub(crate) fn count(number: u64) -> String {
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
pub(crate) fn share(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", share * 100.0) } else { NOT_KNOWN.to_owned() }
}

/// `part / whole`, 0 to 1; none when `whole` is 0.
pub(crate) fn share_of(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let ratio = part as f64 / whole as f64;
    (whole > 0).then_some(ratio)
}

/// A number with this many decimals, or "not known" when it is not finite.
pub(crate) fn decimal(number: f64, places: usize) -> String {
    if number.is_finite() { format!("{number:.places$}") } else { NOT_KNOWN.to_owned() }
}

/// A value as `write` formats it, or "not known" when there is none.
pub(crate) fn known<T>(value: Option<T>, write: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NOT_KNOWN.to_owned(), write)
}

/// A size in its largest unit: `812 kB`, `340 MB`, `1.2 GB`, `81 GB`. Rounded down, so that a disk never looks freer than
/// it is.
pub(crate) fn bytes(size: u64) -> String {
    let Some((name, unit)) = SIZES.into_iter().find(|(_, unit)| size >= *unit) else {
        return plural(size, "byte");
    };
    match size / unit {
        few @ ..10 => format!("{few}.{} {name}", size % unit * 10 / unit),
        many => format!("{} {name}", count(many)),
    }
}

/// Reads a size such as `500MB`, `20GB` or `1TB` into bytes.
pub(crate) fn read_bytes(text: &str) -> Result<u64, String> {
    let read = || {
        let (number, unit) = SIZES.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
        number.trim().parse::<u64>().ok()?.checked_mul(unit).filter(|size| *size > 0)
    };
    read().ok_or_else(|| format!("'{text}' is no size; say 500MB, 20GB or 1TB"))
}

/// Milliseconds since 1970 as a date and time: `2026-11-23 22:25 UTC`.
pub(crate) fn date(at_ms: i64) -> String {
    match Timestamp::from_millisecond(at_ms) {
        Ok(timestamp) => timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => NOT_KNOWN.to_owned(),
    }
}

/// The same in the names of files, which then sort by time: `20261123T222500Z`.
pub(crate) fn stamp(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Milliseconds since 1970 as the user's clock shows them: `2026-11-23 23:25 CET`.
pub(crate) fn wall_clock(at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or_default().to_zoned(TimeZone::system());
    at.strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// A stretch of time in its two largest units: `2 h 05 min`, `3 min 20 s`, `4.2 s`.
pub(crate) fn span(span_ms: i64) -> String {
    let seconds = span_ms.max(0) / 1_000;
    match seconds {
        0..60 => format!("{}.{} s", seconds, span_ms.max(0) % 1_000 / 100),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Reads a stretch of time such as `90s`, `30m` or `8h` into milliseconds.
pub(crate) fn read_span(text: &str) -> Result<i64, String> {
    let complaint = || format!("'{text}' is no time; say 90s, 30m or 8h");
    let (number, unit_ms) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('s') => (number, 1_000),
        Some(number) if text.ends_with('m') => (number, 60_000),
        Some(number) => (number, 3_600_000),
        None => return Err(complaint()),
    };
    let number: i64 = number.parse().map_err(|_| complaint())?;
    number.checked_mul(unit_ms).filter(|time_ms| *time_ms > 0).ok_or_else(complaint)
}

/// A difference with its sign: "+12", "−3" or "0".
pub(crate) fn signed(difference: i64) -> String {
    match difference {
        0 => "0".to_owned(),
        more @ 1.. => format!("+{}", count(more.unsigned_abs())),
        fewer => format!("−{}", count(fewer.unsigned_abs())),
    }
}

/// A count with its noun: "1 epoch", "2 epochs".
pub(crate) fn plural(number: impl TryInto<u64>, noun: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        number => format!("{} {noun}s", count(number)),
    }
}

/// The form of a noun that fits a number, from its plural in -s or -ches: "search" for 1, else "searches".
pub(crate) fn noun(number: u64, nouns: &str) -> &str {
    let end = if nouns.ends_with("ches") { "es" } else { "s" };
    if number == 1 { nouns.strip_suffix(end).unwrap_or(nouns) } else { nouns }
}

/// The verb that fits a number: "is" for 1, else "are".
pub(crate) fn are(number: u64) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

/// The verb that fits a number: "was" for 1, else "were".
pub(crate) fn were(number: u64) -> &'static str {
    if number == 1 { "was" } else { "were" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated_by_commas() {
        let texts = [0, 7, 999, 1_000, 12_271, 1_000_000].map(count);
        assert_eq!(texts, ["0", "7", "999", "1,000", "12,271", "1,000,000"]);
    }

    #[test]
    fn one_is_singular_and_zero_is_plural() {
        let texts = [0_usize, 1, 2, 1_200].map(|number| plural(number, "video"));
        assert_eq!(texts, ["0 videos", "1 video", "2 videos", "1,200 videos"]);
        assert_eq!([0, 1, 2].map(|number| noun(number, "searches")), ["searches", "search", "searches"]);
        assert_eq!((noun(1, "videos"), noun(1, "data")), ("video", "data"));
        assert_eq!([1, 2].map(are), ["is", "are"]);
        assert_eq!([1, 2].map(were), ["was", "were"]);
    }

    #[test]
    fn a_size_has_its_largest_unit_and_a_decimal_only_below_ten() {
        let small = [0, 1, 812, 9_999, 812_000].map(bytes);
        assert_eq!(small, ["0 bytes", "1 byte", "812 bytes", "9.9 kB", "812 kB"]);
        let large =
            [340_999_999, 1_200_000_000, 81_000_000_000, 1_400_000_000_000, 1_200 * 1_000_000_000_000];
        assert_eq!(large.map(bytes), ["340 MB", "1.2 GB", "81 GB", "1.4 TB", "1,200 TB"]);
    }

    #[test]
    fn sizes_and_spans_are_read_as_they_are_typed() {
        let sizes = [500_000_000, 20_000_000_000, 1_000_000_000_000];
        assert_eq!(["500MB", "20 GB", "1TB"].map(read_bytes), sizes.map(Ok));
        assert_eq!(["90s", "30m", "8h"].map(read_span), [90_000, 1_800_000, 28_800_000].map(Ok));
        for text in ["", "0MB", "12", "-1GB", "99999999999TB", "MB"] {
            assert!(read_bytes(text).is_err_and(|complaint| complaint.contains("is no size")), "{text}");
        }
        for text in ["", "0s", "12", "h", "9223372036854775807h"] {
            assert!(read_span(text).is_err_and(|complaint| complaint.contains("is no time")), "{text}");
        }
    }

    #[test]
    fn a_difference_carries_its_sign() {
        assert_eq!([2, -1_200, 0].map(signed), ["+2", "−1,200", "0"]);
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

//! The Data API's budget of a day, and when the day ends: at midnight in California. The ledger of what was spent is
//! the catalog's.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

/// The day's budget of a project without a raised quota, as of June 2026.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// `search.list` calls; each page is one.
    pub search_calls: u32,
    /// Units for all other calls; `videos.list` costs one.
    pub units: u32,
}

impl Quota {
    /// What every project has.
    pub const DEFAULT: Self = Self { search_calls: 100, units: 10_000 };

    /// The Pacific date that an instant belongs to, by which spending is counted: `2026-11-23`.
    pub fn day(now_ms: i64) -> String {
        pacific_date(now_ms).map_or_else(|| "unknown".to_owned(), |date| date.to_string())
    }
}

const DAY_MS: i64 = 86_400_000;

/// The next midnight in California, in milliseconds since 1970.
pub(in crate::youtube) fn next_reset_ms(now_ms: i64) -> i64 {
    let midnight = || {
        let tomorrow = pacific_date(now_ms)?.checked_add(1.day()).ok()?;
        Some(tomorrow.in_tz("America/Los_Angeles").ok()?.timestamp().as_millisecond())
    };
    midnight().unwrap_or(now_ms.saturating_add(DAY_MS))
}

fn pacific_date(now_ms: i64) -> Option<Date> {
    let now = Timestamp::from_millisecond(now_ms).ok()?;
    Some(now.in_tz("America/Los_Angeles").ok()?.date())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn the_day_ends_at_midnight_in_california_also_when_clocks_change() {
        assert_eq!(next_reset_ms(ms("2026-11-23T23:00:00Z")), ms("2026-11-24T08:00:00Z"));
        assert_eq!(next_reset_ms(ms("2026-07-01T06:59:59Z")), ms("2026-07-01T07:00:00Z"));
        // A day of 25 hours.
        assert_eq!(next_reset_ms(ms("2026-11-01T07:00:00Z")), ms("2026-11-02T08:00:00Z"));
        assert_eq!(Quota::day(ms("2026-11-24T07:59:59Z")), "2026-11-23");
    }
}

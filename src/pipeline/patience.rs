//! How long to wait: the backoff of one job and the pause of a whole stage. Pure; knows no catalog.

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::failure::Reason;
use crate::types::JobId;

const HOUR_MS: i64 = 3_600_000;

/// Waiting times; the default suits the public site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Before the second attempt of a job; doubled for each further one, plus up to half of it at random.
    pub first_backoff_ms: i64,
    /// The longest backoff, without the random part.
    pub longest_backoff_ms: i64,
    /// After the site asked for a pause.
    pub rate_limited_ms: i64,
    /// After several requests in a row got no response.
    pub offline_ms: i64,
    /// After the disk was found full.
    pub disk_ms: i64,
    /// After a tool no longer understood the site; the next run may find a newer one.
    pub tool_outdated_ms: i64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_backoff_ms: 60_000,
            longest_backoff_ms: 6 * HOUR_MS,
            rate_limited_ms: HOUR_MS,
            offline_ms: 300_000,
            disk_ms: 600_000,
            tool_outdated_ms: 6 * HOUR_MS,
        }
    }
}

impl Patience {
    /// How long a job waits after this attempt failed, milliseconds; always the same for one job and attempt.
    pub fn backoff_ms(&self, job: JobId, attempt: u32) -> i64 {
        let doublings = attempt.saturating_sub(1).min(30);
        let backoff = self.first_backoff_ms.saturating_mul(1 << doublings).min(self.longest_backoff_ms);
        backoff + jitter(job, attempt, backoff / 2)
    }

    /// When a stage that pauses for a reason resumes, milliseconds since 1970; none: when a person lifts the pause.
    pub fn resume_at(&self, reason: Reason, now_ms: i64) -> Option<i64> {
        match reason {
            Reason::RateLimited => Some(now_ms + self.rate_limited_ms),
            Reason::Quota => Some(next_midnight_pacific_ms(now_ms)),
            Reason::Offline => Some(now_ms + self.offline_ms),
            Reason::Disk => Some(now_ms + self.disk_ms),
            Reason::ToolOutdated => Some(now_ms + self.tool_outdated_ms),
            _ => None,
        }
    }
}

/// A pseudo-random number from 0 to `most`: SplitMix64 of job and attempt.
fn jitter(job: JobId, attempt: u32, most: i64) -> i64 {
    let mut bits = job.0.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(attempt));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits % (most.max(0).unsigned_abs() + 1)).cast_signed()
}

/// When the Data API's quota is refilled, milliseconds since 1970. If the time zone's rules are missing, a day from
/// now, which is never much too early.
fn next_midnight_pacific_ms(now_ms: i64) -> i64 {
    let midnight = || {
        let now = Timestamp::from_millisecond(now_ms)?.to_zoned(TimeZone::get("America/Los_Angeles")?);
        now.checked_add(1.day())?.start_of_day()
    };
    midnight().map_or(now_ms + 24 * HOUR_MS, |at: jiff::Zoned| at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_and_ends_somewhere() {
        let patience = Patience::default();
        let around = |attempt, least: i64| {
            let wait = patience.backoff_ms(JobId(7), attempt);
            assert!((least..=least + least / 2).contains(&wait), "{wait}");
        };
        around(1, 60_000);
        around(2, 120_000);
        around(40, 6 * HOUR_MS);
        assert_ne!(
            patience.backoff_ms(JobId(1), 1),
            patience.backoff_ms(JobId(2), 1),
            "jobs come back one by one"
        );
    }

    #[test]
    fn quota_comes_back_at_midnight_in_california_also_when_the_clocks_change() {
        let midnight = |now: &str| {
            let now_ms = now.parse::<Timestamp>().unwrap().as_millisecond();
            Timestamp::from_millisecond(next_midnight_pacific_ms(now_ms)).unwrap().to_string()
        };
        assert_eq!(midnight("2026-11-23T22:00:00Z"), "2026-11-24T08:00:00Z");
        assert_eq!(midnight("2026-07-01T06:59:59Z"), "2026-07-01T07:00:00Z");
        assert_eq!(midnight("2026-11-01T07:30:00Z"), "2026-11-02T08:00:00Z");
    }

    #[test]
    fn who_is_taken_for_a_robot_waits_for_a_person() {
        assert_eq!(Patience::default().resume_at(Reason::Blocked, 5), None);
        assert_eq!(Patience::default().resume_at(Reason::RateLimited, 5), Some(5 + HOUR_MS));
    }
}

//! Decides when a child has taken too long. It does not end it.

use std::time::{Duration, Instant};

use super::super::Limits;
use super::StopCause;

/// Watches one child.
pub(super) struct Watchdog<'a> {
    limits: &'a Limits,
    began: Instant,
    last_output: Instant,
    window: Option<(Instant, u64)>,
    has_moved: bool,
}

impl<'a> Watchdog<'a> {
    pub(super) fn new(limits: &'a Limits, now: Instant) -> Self {
        Self { limits, began: now, last_output: now, window: None, has_moved: false }
    }

    /// The child printed something.
    pub(super) fn record_output(&mut self, now: Instant) {
        self.last_output = now;
    }

    /// Whether it must be ended now; `downloaded` is `None` while nothing is being downloaded.
    pub(super) fn check(&mut self, downloaded: Option<u64>) -> Option<StopCause> {
        self.check_at(Instant::now(), downloaded)
    }

    fn check_at(&mut self, now: Instant, downloaded: Option<u64>) -> Option<StopCause> {
        let limits = self.limits;
        self.has_moved |= downloaded.is_some_and(|bytes| bytes > 0);
        if now - self.began >= limits.wall_clock {
            return self.timed_out(format!("took more than {}", in_seconds(limits.wall_clock)));
        }
        if now - self.last_output >= limits.silence {
            return self.timed_out(format!("said nothing for {}", in_seconds(limits.silence)));
        }
        let Some(downloaded) = downloaded else {
            self.window = None;
            return None;
        };
        let (since, before) = *self.window.get_or_insert((now, downloaded));
        let window = now - since;
        if window < limits.rate_window {
            return None;
        }
        self.window = Some((now, downloaded));
        let rate = downloaded.saturating_sub(before) as f64 / window.as_secs_f64();
        let is_slow = rate < limits.min_bytes_per_s as f64;
        if is_slow { self.timed_out(format!("downloaded only {rate:.0} bytes a second")) } else { None }
    }

    fn timed_out(&self, detail: String) -> Option<StopCause> {
        Some(StopCause::TimedOut { detail, has_moved: self.has_moved })
    }
}

fn in_seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CrawlConfig;

    #[test]
    fn a_slow_download_is_ended_and_a_steady_one_is_not() {
        let limits = Limits::of(&CrawlConfig::default());
        let start = Instant::now();
        let mut watch = Watchdog::new(&limits, start);
        for second in 0..120 {
            watch.record_output(start + Duration::from_secs(second));
            assert_eq!(watch.check_at(start + Duration::from_secs(second), Some(second * 5_000)), None);
        }
        let cause = (120..200).find_map(|second| {
            watch.record_output(start + Duration::from_secs(second));
            watch.check_at(start + Duration::from_secs(second), Some(600_000 + second))
        });
        assert!(
            matches!(cause, Some(StopCause::TimedOut { detail, .. }) if detail.contains("bytes a second"))
        );
    }

    #[test]
    fn silence_and_the_wall_clock_end_it_too() {
        let limits = Limits::of(&CrawlConfig::default());
        let start = Instant::now();
        let mut watch = Watchdog::new(&limits, start);
        assert_eq!(watch.check_at(start + Duration::from_secs(179), None), None);
        assert!(watch.check_at(start + Duration::from_secs(180), None).is_some());
        watch.record_output(start + Duration::from_secs(899));
        assert!(watch.check_at(start + Duration::from_secs(900), None).is_some());
    }

    #[test]
    fn a_time_out_says_whether_anything_was_downloaded() {
        let limits = Limits::of(&CrawlConfig::default());
        let start = Instant::now();
        let end = start + Duration::from_secs(900);
        let has_moved = |downloaded| {
            let mut watch = Watchdog::new(&limits, start);
            assert_eq!(watch.check_at(start, downloaded), None);
            // The file is whole, and is being worked on.
            match watch.check_at(end, None) {
                Some(StopCause::TimedOut { has_moved, .. }) => has_moved,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([None, Some(0), Some(1)].map(has_moved), [false, false, true]);
    }
}

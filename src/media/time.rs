//! Converts a stream's timestamps to milliseconds since its first frame. Pure; knows no FFmpeg.

/// Converts the timestamps of one stream, in ticks, to milliseconds. Timestamps may be missing, repeat or jump back;
/// the results ascend strictly.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    /// One tick lasts `numerator / denominator` seconds.
    numerator: i64,
    denominator: i64,
    /// Usual length of a frame, ticks.
    step: i64,
    /// The first frame, ticks.
    first: Option<i64>,
    /// The last frame since the last seek, ticks.
    last: Option<i64>,
    /// The same, milliseconds since the first frame.
    last_ms: Option<i64>,
    /// Where the first frame after a seek is if it has no timestamp, ticks.
    resume: i64,
    /// Added to timestamps since the clock last restarted, ticks.
    shift: i64,
}

/// A timestamp that jumps back by more than this means that the clock restarted, and not that a frame is out of order.
const RESTART_MS: i64 = 1_000;

impl Timeline {
    /// A timeline with ticks of `numerator / denominator` seconds and about `frame_rate` frames a second.
    pub(crate) fn new(numerator: i32, denominator: i32, frame_rate: f64) -> Self {
        let (numerator, denominator) = (i64::from(numerator.max(1)), i64::from(denominator.max(1)));
        let step = (denominator as f64 / (numerator as f64 * frame_rate)).round().max(1.0) as i64;
        Self { numerator, denominator, step, first: None, last: None, last_ms: None, resume: 0, shift: 0 }
    }

    /// Milliseconds since the first frame, of the next frame; at least 1 more than for the frame before. Without a
    /// timestamp, it is taken to come one usual length after that.
    pub(crate) fn place(&mut self, stamp: Option<i64>) -> i64 {
        let expected = self.last.map_or(self.resume, |last| last.saturating_add(self.step));
        let mut ticks = stamp.map_or(expected, |stamp| stamp.saturating_add(self.shift));
        if let Some(last) = self.last
            && ticks <= last
        {
            if self.ms_of(last.saturating_sub(ticks)) > RESTART_MS {
                self.shift = self.shift.saturating_add(expected.saturating_sub(ticks));
                ticks = expected;
            } else {
                ticks = last.saturating_add(1);
            }
        }
        let first = *self.first.get_or_insert(ticks);
        self.last = Some(ticks);
        let ms = self.ms_of(ticks.saturating_sub(first));
        *self.last_ms.insert(self.last_ms.map_or(ms, |last_ms| ms.max(last_ms.saturating_add(1))))
    }

    /// The time of the last frame, milliseconds; `None` before the first one, and after a seek.
    pub(crate) fn now_ms(&self) -> Option<i64> {
        self.last_ms
    }

    /// After a seek: if the next frame has no timestamp, it is taken to be at `ms`.
    pub(crate) fn jump(&mut self, ms: i64) {
        let ticks = i128::from(ms) * i128::from(self.denominator) / (i128::from(self.numerator) * 1_000);
        self.resume = self.first.unwrap_or(0).saturating_add(i64::try_from(ticks).unwrap_or(0));
        self.last = None;
        self.last_ms = None;
        self.shift = 0;
    }

    /// The timestamp at `ms` after the first frame, microseconds.
    pub(crate) fn stamp_us(&self, ms: i64) -> i64 {
        let first_us = i128::from(self.first.unwrap_or(0)) * i128::from(self.numerator) * 1_000_000;
        let first_us = first_us.div_euclid(i128::from(self.denominator));
        i64::try_from(first_us).unwrap_or(0).saturating_add(ms.saturating_mul(1_000))
    }

    /// Converts ticks to milliseconds, rounded.
    pub(crate) fn ms_of(&self, ticks: i64) -> i64 {
        let thousandths = i128::from(ticks) * i128::from(self.numerator) * 1_000;
        let half = i128::from(self.denominator) / 2;
        i64::try_from((thousandths + half).div_euclid(i128::from(self.denominator))).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_frame_is_at_zero_whatever_its_timestamp() {
        let mut line = Timeline::new(1, 90_000, 30.0);
        assert_eq!(line.place(Some(126_000)), 0);
        assert_eq!(line.place(Some(129_000)), 33);
        assert_eq!(line.place(Some(132_000)), 67);
    }

    #[test]
    fn a_frame_without_a_timestamp_is_one_frame_after_the_last() {
        let mut line = Timeline::new(1, 1_000, 25.0);
        assert_eq!(
            [line.place(None), line.place(None), line.place(Some(100)), line.place(None)],
            [0, 40, 100, 140]
        );
    }

    #[test]
    fn a_frame_out_of_order_does_not_go_back_in_time() {
        let mut line = Timeline::new(1, 1_000, 25.0);
        assert_eq!([0, 40, 20, 80].map(|stamp| line.place(Some(stamp))), [0, 40, 41, 80]);
    }

    #[test]
    fn frames_within_a_millisecond_become_one_millisecond_apart() {
        let mut line = Timeline::new(1, 90_000, 25.0);
        assert_eq!([0, 3_600, 3_600, 3_603, 7_200].map(|stamp| line.place(Some(stamp))), [0, 40, 41, 42, 80]);
    }

    #[test]
    fn a_clock_that_restarts_continues_one_frame_after_the_last() {
        let mut line = Timeline::new(1, 1_000, 25.0);
        assert_eq!([0, 5_000, 0, 40].map(|stamp| line.place(Some(stamp))), [0, 5_000, 5_040, 5_080]);
    }

    #[test]
    fn after_a_seek_the_timestamp_counts_or_without_one_the_target() {
        let mut line = Timeline::new(1, 1_000, 25.0);
        line.place(Some(500));
        line.jump(2_000);
        assert_eq!(line.place(Some(2_300)), 1_800);
        line.jump(2_000);
        assert_eq!(line.place(None), 2_000);
    }

    #[test]
    fn absurd_timestamps_and_rates_do_not_overflow() {
        let mut line = Timeline::new(i32::MAX, 0, f64::NAN);
        line.place(Some(i64::MIN));
        line.place(Some(i64::MAX));
        assert!(line.stamp_us(i64::MAX) > 0);
    }
}

//! How long a video's frames last. Pure; knows no pictures.

use std::collections::VecDeque;

/// The usual length of a frame is taken over this many latest frames.
const RECENT_FRAMES: usize = 64;
/// A frame without a next one lasts no longer than this, milliseconds: of a film that shows a few stills for a minute each,
/// the last look at a face says nothing of the minute after it.
const MAX_LAST_FRAME_MS: i64 = 1_000;

/// Tracks frame times and durations. Must see every frame of a video, in order.
#[derive(Debug)]
pub(super) struct Cadence {
    /// Length of a frame until two frames are known, milliseconds.
    presumed_ms: i64,
    /// When the latest frames began, ascending.
    starts_ms: VecDeque<i64>,
}

impl Cadence {
    /// Before the first frame of a video whose frames presumably last `presumed_ms`.
    pub(super) fn new(presumed_ms: i64) -> Self {
        Self { presumed_ms, starts_ms: VecDeque::new() }
    }

    /// Adds a frame that begins at `t_ms`. Returns when the previous one began.
    pub(super) fn push(&mut self, t_ms: i64) -> Option<i64> {
        let previous_ms = self.starts_ms.back().copied();
        if self.starts_ms.len() == RECENT_FRAMES {
            self.starts_ms.pop_front();
        }
        self.starts_ms.push_back(t_ms);
        previous_ms
    }

    /// Usual length of a frame, milliseconds: the median of the latest ones, so pauses do not affect it.
    fn frame_ms(&self) -> i64 {
        let next = self.starts_ms.iter().skip(1);
        let mut lengths_ms: Vec<i64> = next.zip(&self.starts_ms).map(|(next, this)| next - this).collect();
        lengths_ms.sort_unstable();
        lengths_ms.get(lengths_ms.len() / 2).copied().unwrap_or(self.presumed_ms)
    }

    /// Length of a frame that no other follows yet, milliseconds.
    pub(super) fn last_frame_ms(&self) -> i64 {
        self.frame_ms().min(MAX_LAST_FRAME_MS)
    }

    /// When the frame that began at `t_ms` ends: when the next one begins, but at most a usual length or
    /// [`MAX_LAST_FRAME_MS`] later.
    pub(super) fn end_of(&self, t_ms: i64) -> i64 {
        let usual_ms = t_ms + self.last_frame_ms();
        let next = self.starts_ms.partition_point(|start_ms| *start_ms <= t_ms);
        self.starts_ms.get(next).map_or(usual_ms, |next_ms| usual_ms.min(*next_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cadence(times_ms: impl IntoIterator<Item = i64>) -> Cadence {
        let mut cadence = Cadence::new(9_000);
        for t_ms in times_ms {
            cadence.push(t_ms);
        }
        cadence
    }

    #[test]
    fn at_a_steady_rate_the_usual_length_is_the_rounded_length_of_a_frame() {
        for length_ms in [1_000.0 / 24.0, 1_000.0 / 30.0, 1_001.0 / 30.0, 1_000.0 / 60.0, 250.0_f64] {
            let start_ms = |at: u8| (f64::from(at) * length_ms).round() as i64;
            let cadence = cadence((0..240).map(start_ms));
            assert_eq!(cadence.frame_ms(), length_ms.round() as i64);
            assert_eq!(cadence.end_of(start_ms(239)), start_ms(239) + length_ms.round() as i64);
            assert_eq!(cadence.end_of(start_ms(200)), start_ms(201).min(start_ms(200) + cadence.frame_ms()));
        }
    }

    #[test]
    fn a_pause_does_not_lengthen_frames() {
        let cadence = cadence([0, 40, 80, 120, 120_120, 120_160, 120_170]);
        assert_eq!(cadence.frame_ms(), 40);
        let ends_ms = [80, 120, 120_160, 120_170].map(|t_ms| cadence.end_of(t_ms));
        assert_eq!(ends_ms, [120, 160, 120_170, 120_210]);
    }

    #[test]
    fn until_two_frames_are_known_their_length_is_presumed() {
        assert_eq!(cadence([]).frame_ms(), 9_000);
        assert_eq!(Cadence::new(40).end_of(70), 110);
    }

    #[test]
    fn a_still_that_is_shown_for_a_minute_is_one_short_look() {
        let stills = cadence([0, 60_000, 120_000]);
        assert_eq!([0, 60_000, 120_000].map(|t_ms| stills.end_of(t_ms)), [1_000, 61_000, 121_000]);
    }

    #[test]
    fn only_the_latest_frames_count() {
        let cadence = cadence((0..1_000).map(|at| at * 20).chain((0..100).map(|at| 20_000 + at * 250)));
        assert_eq!((cadence.frame_ms(), cadence.starts_ms.len()), (250, RECENT_FRAMES));
    }
}

//! When the latest frames of a video began, and how long they usually last. Pure; knows no pictures.

use std::collections::VecDeque;

/// How long a frame usually lasts is told by so many that went by last.
const RECENT_FRAMES: usize = 64;

/// Hears of every frame of a video, in order.
#[derive(Debug)]
pub(super) struct Cadence {
    /// How long a frame lasts while no two have gone by, milliseconds.
    presumed_ms: i64,
    /// When the latest frames began, ascending.
    begun_ms: VecDeque<i64>,
}

impl Cadence {
    /// That of a video whose frames presumably last so long, milliseconds.
    pub(super) fn new(presumed_ms: i64) -> Self {
        Self { presumed_ms, begun_ms: VecDeque::new() }
    }

    /// A frame begins. Says when the one before it did.
    pub(super) fn pass(&mut self, t_ms: i64) -> Option<i64> {
        let before_ms = self.begun_ms.back().copied();
        if self.begun_ms.len() == RECENT_FRAMES {
            self.begun_ms.pop_front();
        }
        self.begun_ms.push_back(t_ms);
        before_ms
    }

    /// How long a frame usually lasts, milliseconds: the median of the latest ones, of which a pause changes nothing.
    pub(super) fn frame_ms(&self) -> i64 {
        let next = self.begun_ms.iter().skip(1);
        let mut lengths_ms: Vec<i64> = next.zip(&self.begun_ms).map(|(next, this)| next - this).collect();
        lengths_ms.sort_unstable();
        lengths_ms.get(lengths_ms.len() / 2).copied().unwrap_or(self.presumed_ms)
    }

    /// When a frame ends that began at `t_ms`: when the next one begins, but no later than frames usually do.
    pub(super) fn end_of(&self, t_ms: i64) -> i64 {
        let usual_ms = t_ms + self.frame_ms();
        let next = self.begun_ms.partition_point(|begun_ms| *begun_ms <= t_ms);
        self.begun_ms.get(next).map_or(usual_ms, |next_ms| usual_ms.min(*next_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cadence(times_ms: impl IntoIterator<Item = i64>) -> Cadence {
        let mut cadence = Cadence::new(9_000);
        for t_ms in times_ms {
            cadence.pass(t_ms);
        }
        cadence
    }

    #[test]
    fn at_a_steady_rate_it_is_the_rounded_length_of_a_frame() {
        for length_ms in [1_000.0 / 24.0, 1_000.0 / 30.0, 1_001.0 / 30.0, 1_000.0 / 60.0, 250.0_f64] {
            let begun_ms = |at: u8| (f64::from(at) * length_ms).round() as i64;
            let cadence = cadence((0..240).map(begun_ms));
            assert_eq!(cadence.frame_ms(), length_ms.round() as i64);
            assert_eq!(cadence.end_of(begun_ms(239)), begun_ms(239) + length_ms.round() as i64);
            assert_eq!(cadence.end_of(begun_ms(200)), begun_ms(201).min(begun_ms(200) + cadence.frame_ms()));
        }
    }

    #[test]
    fn a_pause_makes_no_frame_longer() {
        let cadence = cadence([0, 40, 80, 120, 120_120, 120_160, 120_170]);
        assert_eq!(cadence.frame_ms(), 40);
        let ends_ms = [80, 120, 120_160, 120_170].map(|t_ms| cadence.end_of(t_ms));
        assert_eq!(ends_ms, [120, 160, 120_170, 120_210]);
    }

    #[test]
    fn until_two_frames_have_gone_by_their_length_is_presumed() {
        assert_eq!(cadence([]).frame_ms(), 9_000);
        assert_eq!(cadence([70]).end_of(70), 9_070);
    }

    #[test]
    fn what_went_by_long_ago_is_forgotten() {
        let cadence = cadence((0..1_000).map(|at| at * 20).chain((0..100).map(|at| 20_000 + at * 250)));
        assert_eq!((cadence.frame_ms(), cadence.begun_ms.len()), (250, RECENT_FRAMES));
    }
}

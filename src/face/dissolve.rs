//! Finds dissolves (cross-fades) in a stream of thumbnails. Knows times and small pictures; knows no cuts.
//!
//! In a dissolve from scene `a` to scene `b` each picture is a mix `p ≈ (1 − s)·a + s·b` whose share `s` rises from 0
//! to 1. For every frame and each of [`WINDOWS_MS`], the pictures at the two ends of the window are taken for `a` and
//! `b`, and `s` of the picture halfway through, and of those a quarter and three quarters through, is fitted by least
//! squares: `s = Σ(p − a)(b − a) / Σ(b − a)²` over all bytes. The window shows a dissolve if
//! - `a` and `b` differ enough: [`MIN_DIFFERENCE_RATIO`];
//! - each of the three is a mix: the mean of `|p − a − s·(b − a)|` is below [`MAX_RESIDUAL`] of the difference of `a`
//!   and `b`;
//! - the shares rise, and halfway neither scene prevails: [`MIN_SHARE_STEP`], [`HALFWAY_SHARE`];
//! - `a` and `b` are two scenes, not one that moved, changed its light or got a title: see `Ends::are_two_scenes`.
//!
//! Motion gives no mixes, as what moves is halfway in neither of its places; only in blurred pictures it nearly does,
//! and so does a change of light. But then `a` and `b` are alike, or the picture halfway has not lost the contrast that
//! a mix of two scenes loses.

use std::collections::VecDeque;

use image::RgbImage;

use super::thumbnail::{Comparison, changed_share, contrast, difference};
use crate::types::Span;

/// Lengths of the windows in which a dissolve is looked for, milliseconds, ascending. In a window that is much longer
/// than the dissolve, people move too far; in one that is much shorter, the share hardly rises.
const WINDOWS_MS: [i64; 5] = [320, 640, 1_280, 2_000, LONGEST_WINDOW_MS];
const LONGEST_WINDOW_MS: i64 = 3_000;
/// Frames closer than this to the last one that was used are skipped, milliseconds: thirty a second are enough.
const MIN_STEP_MS: i64 = 30;
/// A window needs this many pictures, its ends included.
const MIN_PICTURES: usize = 4;
/// Greatest mean residual of a mix, as a share of the difference of the ends.
const MAX_RESIDUAL: f64 = 0.18;
/// The share of the last picture halfway through the window.
const HALFWAY_SHARE: std::ops::RangeInclusive<f64> = 0.3..=0.7;
/// Minimum rise of the share within a quarter of the window, before halfway and after.
const MIN_SHARE_STEP: f64 = 0.08;
/// Minimum difference of the ends, in units of `cut_min_difference`.
const MIN_DIFFERENCE_RATIO: f64 = 1.5;
/// Minimum share of the pixels that differ by at least half the ends' difference; otherwise a title or a person appeared.
const MIN_CHANGED_SHARE: f64 = 0.4;
/// Ends whose lumas correlate at least this much are one scene that moved.
const MAX_CORRELATION: f64 = 0.65;
/// Ends whose lumas correlate at least this much are two scenes only if [`MIN_UNEXPLAINED`] holds too.
const LIGHT_CORRELATION: f64 = 0.45;
/// Minimum share of the ends' difference that a change of light leaves unexplained.
const MIN_UNEXPLAINED: f64 = 0.35;
/// Minimum contrast that is lost halfway, as a share of what a perfect mix loses.
const MIN_CONTRAST_LOSS: f64 = 0.5;
/// A single window may look like a dissolve by chance.
const MIN_WINDOWS: u32 = 2;

/// Finds the dissolves of one video. Must see every frame's thumbnail, in order.
#[derive(Debug)]
pub(super) struct Dissolves {
    /// Minimum difference of a dissolve's ends, 0 to 255.
    min_difference: f64,
    /// The latest pictures, back to the one at which the longest window begins.
    recent: VecDeque<TimedPicture>,
    /// When a picture was last black, milliseconds.
    black_ms: Option<i64>,
    /// In order, without overlaps.
    found: Vec<Found>,
}

#[derive(Debug)]
struct TimedPicture {
    t_ms: i64,
    picture: RgbImage,
}

#[derive(Debug)]
struct Found {
    span: Span,
    /// The number of windows that show it.
    windows: u32,
}

impl Dissolves {
    /// A finder for videos whose cuts differ by at least `cut_min_difference`, 0 to 255.
    pub(super) fn new(cut_min_difference: f64) -> Self {
        let min_difference = MIN_DIFFERENCE_RATIO * cut_min_difference;
        Self { min_difference, recent: VecDeque::new(), black_ms: None, found: Vec::new() }
    }

    /// Adds the next frame. A fade to or from black is not a dissolve.
    pub(super) fn push(&mut self, t_ms: i64, picture: &RgbImage, is_black: bool) {
        if is_black {
            self.black_ms = Some(t_ms);
        }
        if self.recent.back().is_some_and(|last| t_ms - last.t_ms < MIN_STEP_MS) {
            return;
        }
        self.recent.push_back(TimedPicture { t_ms, picture: picture.clone() });
        while self.recent.get(1).is_some_and(|second| second.t_ms <= t_ms - LONGEST_WINDOW_MS) {
            self.recent.pop_front();
        }
        for window_ms in WINDOWS_MS {
            if let Some(span) = self.dissolve_from(t_ms - window_ms) {
                self.add(span);
            }
        }
    }

    /// The dissolves found so far, in order; each from its first mixed frame to its last.
    pub(super) fn found(&self) -> impl Iterator<Item = Span> {
        self.found.iter().filter(|found| found.windows >= MIN_WINDOWS).map(|found| found.span)
    }

    /// Joins a span with those that overlap it.
    fn add(&mut self, span: Span) {
        let Span { mut start_ms, mut end_ms } = span;
        let mut windows = 1;
        while let Some(latest) = self.found.pop_if(|latest| start_ms <= latest.span.end_ms) {
            start_ms = start_ms.min(latest.span.start_ms);
            end_ms = end_ms.max(latest.span.end_ms);
            windows += latest.windows;
        }
        self.found.push(Found { span: Span { start_ms, end_ms }, windows });
    }

    /// The dissolve in the window from `from_ms` to the latest frame, by the rule at the top of this file.
    fn dissolve_from(&self, from_ms: i64) -> Option<Span> {
        let (oldest, last) = (self.recent.front()?, self.recent.back()?);
        let first_at = self.recent.partition_point(|seen| seen.t_ms < from_ms);
        let holds_black = self.black_ms.is_some_and(|black_ms| black_ms >= from_ms);
        if holds_black || oldest.t_ms > from_ms || self.recent.len() - first_at < MIN_PICTURES {
            return None;
        }
        let first = &self.recent[first_at];
        let ends = Ends::if_different(&first.picture, &last.picture, self.min_difference)?;
        let after = |quarters: i64| {
            let t_ms = first.t_ms + (last.t_ms - first.t_ms) * quarters / 4;
            let nearest = self.recent.range(first_at..).min_by_key(|seen| (seen.t_ms - t_ms).abs());
            nearest.map(|seen| &seen.picture)
        };
        let halfway = after(2)?;
        let share = ends.share(halfway).filter(|share| HALFWAY_SHARE.contains(share))?;
        let rises = ends.share(after(1)?)? < share - MIN_SHARE_STEP
            && ends.share(after(3)?)? > share + MIN_SHARE_STEP;
        (rises && ends.are_two_scenes(halfway, share)).then(|| self.ramp(first_at, &ends)).flatten()
    }

    /// From when to when the share rises from 0 to 1: a straight line through the times at which it reaches a quarter
    /// and three quarters, cut to the window. Closer to 0 and 1 motion hides the rise.
    fn ramp(&self, first_at: usize, ends: &Ends<'_>) -> Option<Span> {
        let shares = self.recent.range(first_at..).map(|seen| (seen.t_ms, ends.mix(&seen.picture).share));
        let shares: Vec<(i64, f64)> = shares.collect();
        let reaches = |least: f64| shares.iter().find(|(_, share)| *share >= least).map(|(t_ms, _)| *t_ms);
        let (quarter_ms, three_quarters_ms) = (reaches(0.25)?, reaches(0.75)?);
        let (first_ms, last_ms) = (shares.first()?.0, shares.last()?.0);
        let rest_ms = (three_quarters_ms - quarter_ms) / 2;
        Some(Span {
            start_ms: (quarter_ms - rest_ms).max(first_ms),
            end_ms: (three_quarters_ms + rest_ms).min(last_ms),
        })
    }
}

/// The pictures at the two ends of a window, `a` and `b`.
struct Ends<'a> {
    first: &'a RgbImage,
    last: &'a RgbImage,
    /// Their [`difference`], 0 to 255.
    difference: f64,
    /// `Σ(b − a)²` over all bytes.
    square_sum: f64,
}

/// A picture as a mix of two others.
#[derive(Debug, Clone, Copy)]
struct Mix {
    /// The share of the second one, by least squares.
    share: f64,
    /// Mean distance of the picture's bytes from that mix, 0 to 255.
    residual: f64,
}

impl<'a> Ends<'a> {
    /// Two pictures of one size; `None` if they differ by less than `least`.
    fn if_different(first: &'a RgbImage, last: &'a RgbImage, least: f64) -> Option<Self> {
        let difference = difference(first, last);
        let square = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b)).pow(2);
        let square_sum = || first.as_raw().iter().zip(last.as_raw()).map(square).sum::<u64>() as f64;
        (difference >= least).then(|| Self { first, last, difference, square_sum: square_sum() })
    }

    /// The share of the last picture in another one; `None` if that is not a mix of the two.
    fn share(&self, picture: &RgbImage) -> Option<f64> {
        let mix = self.mix(picture);
        (mix.residual < MAX_RESIDUAL * self.difference).then_some(mix.share)
    }

    /// The mix of the two that is closest to a picture.
    fn mix(&self, picture: &RgbImage) -> Mix {
        let bytes = || {
            let ends = self.first.as_raw().iter().zip(self.last.as_raw());
            ends.zip(picture.as_raw()).map(|((a, b), p)| [a, b, p].map(|byte| f64::from(*byte)))
        };
        let dot: f64 = bytes().map(|[a, b, p]| (p - a) * (b - a)).sum();
        let share = dot / self.square_sum.max(1.0);
        let residuals: f64 = bytes().map(|[a, b, p]| (p - a - share * (b - a)).abs()).sum();
        Mix { share, residual: residuals / picture.as_raw().len().max(1) as f64 }
    }

    /// Whether they show two scenes: they hardly correlate, a change of light does not explain their difference, they
    /// differ over much of the picture, and `halfway`, a picture with this share of the last one, has lost contrast as
    /// a mix does.
    fn are_two_scenes(&self, halfway: &RgbImage, share: f64) -> bool {
        let comparison = Comparison::of(self.first, self.last);
        let Comparison { correlation, unexplained, .. } = comparison;
        correlation < MAX_CORRELATION
            && (correlation < LIGHT_CORRELATION || unexplained >= MIN_UNEXPLAINED)
            && comparison.contrast_loss(contrast(halfway), share) >= MIN_CONTRAST_LOSS
            && changed_share(self.first, self.last, self.difference / 2.0) >= MIN_CHANGED_SHARE
    }
}

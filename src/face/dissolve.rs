//! Cross-fades in a stream of thumbnails. Knows time and small pictures only, and nothing of cuts.
//!
//! In a dissolve each picture is a mix of those at its two ends, more and more of the latter. What moves is, halfway,
//! in neither of its places, so that motion gives no mixes; but where all is blurred it nearly does, and so does a
//! change of light. Then the two ends are alike, or no contrast is lost halfway, as it is where two scenes are mixed.

use std::collections::VecDeque;

use image::RgbImage;

use super::thumbnail::{Likeness, changed_share, contrast, difference};
use crate::types::Span;

/// Dissolves are looked for over all these stretches of time, milliseconds, ascending. In one that is too long people
/// have moved too far, and in one that is too short too little of the dissolve goes by.
const REACHES_MS: [i64; 5] = [320, 640, 1_280, 2_000, LONGEST_REACH_MS];
const LONGEST_REACH_MS: i64 = 3_000;
/// Pictures that come sooner after the one before are passed over, milliseconds: what a dissolve does can be seen at
/// thirty frames a second.
const STEP_MS: i64 = 30;
/// A stretch with fewer pictures, its two ends counted, tells nothing.
const FEWEST_PICTURES: usize = 4;
/// Each picture of a dissolve is a mix of the two at its ends, but for less than this share of the ends' difference.
const MISS: f64 = 0.18;
/// Halfway through the stretch the mix is between even shares; a quarter of the way before and after, this much away.
const EVEN: std::ops::RangeInclusive<f64> = 0.3..=0.7;
const ADVANCE: f64 = 0.08;
/// The ends differ by at least this many times the least difference of a cut.
const DIFFERENCE: f64 = 1.5;
/// On at least this share of the picture the ends differ by half as much as on average: else a title came, or somebody.
const CHANGED_SHARE: f64 = 0.4;
/// Ends that are more alike are one scene that moved.
const ALIKE: f64 = 0.65;
/// So are ends that are somewhat alike, and of whose difference brightness leaves less than this unexplained.
const SOMEWHAT_ALIKE: f64 = 0.45;
const UNEXPLAINED: f64 = 0.35;
/// Halfway, at least this share of the contrast is lost that a perfect mix loses.
const FADED: f64 = 0.5;
/// One stretch alone may look like a dissolve by chance.
const FEWEST_STRETCHES: u32 = 2;

/// Looks for dissolves. Give it every frame's thumbnail in order.
#[derive(Debug)]
pub(super) struct Dissolves {
    /// Least difference of a dissolve's ends, 0 to 255.
    min_difference: f64,
    /// The latest pictures, as far back as the longest reach.
    recent: VecDeque<Seen>,
    /// When a picture was black for the last time, milliseconds.
    black_ms: Option<i64>,
    found: Vec<Found>,
}

#[derive(Debug)]
struct Seen {
    t_ms: i64,
    picture: RgbImage,
}

#[derive(Debug)]
struct Found {
    span: Span,
    /// In how many stretches it was seen.
    stretches: u32,
}

impl Dissolves {
    /// A finder of dissolves where cuts differ by at least this much, 0 to 255.
    pub(super) fn new(cut_min_difference: f64) -> Self {
        let min_difference = DIFFERENCE * cut_min_difference;
        Self { min_difference, recent: VecDeque::new(), black_ms: None, found: Vec::new() }
    }

    /// Takes the next frame; nothing dissolves into black or out of it.
    pub(super) fn push(&mut self, t_ms: i64, picture: &RgbImage, is_black: bool) {
        if is_black {
            self.black_ms = Some(t_ms);
        }
        if self.recent.back().is_some_and(|last| t_ms - last.t_ms < STEP_MS) {
            return;
        }
        self.recent.push_back(Seen { t_ms, picture: picture.clone() });
        while self.recent.get(1).is_some_and(|second| second.t_ms <= t_ms - LONGEST_REACH_MS) {
            self.recent.pop_front();
        }
        for reach_ms in REACHES_MS {
            if let Some(span) = self.mixed(t_ms - reach_ms) {
                self.add(span);
            }
        }
    }

    /// From the first to the last mixed frame of each dissolve, in order.
    pub(super) fn found(&self) -> impl Iterator<Item = Span> {
        self.found.iter().filter(|found| found.stretches >= FEWEST_STRETCHES).map(|found| found.span)
    }

    fn add(&mut self, span: Span) {
        let Span { mut start_ms, mut end_ms } = span;
        let mut stretches = 1;
        while let Some(latest) = self.found.pop_if(|latest| start_ms <= latest.span.end_ms) {
            start_ms = start_ms.min(latest.span.start_ms);
            end_ms = end_ms.max(latest.span.end_ms);
            stretches += latest.stretches;
        }
        self.found.push(Found { span: Span { start_ms, end_ms }, stretches });
    }

    /// What of the time from `from_ms` to the latest frame is mixed, if it shows a dissolve.
    fn mixed(&self, from_ms: i64) -> Option<Span> {
        let (oldest, last) = (self.recent.front()?, self.recent.back()?);
        let first_at = self.recent.partition_point(|seen| seen.t_ms < from_ms);
        let holds_black = self.black_ms.is_some_and(|black_ms| black_ms >= from_ms);
        if holds_black || oldest.t_ms > from_ms || self.recent.len() - first_at < FEWEST_PICTURES {
            return None;
        }
        let first = &self.recent[first_at];
        let ends = Ends::apart(&first.picture, &last.picture, self.min_difference)?;
        let after = |quarters: i64| {
            let t_ms = first.t_ms + (last.t_ms - first.t_ms) * quarters / 4;
            let nearest = self.recent.range(first_at..).min_by_key(|seen| (seen.t_ms - t_ms).abs());
            nearest.map(|seen| &seen.picture)
        };
        let halfway = after(2)?;
        let share = ends.share(halfway).filter(|share| EVEN.contains(share))?;
        let advances = ends.share(after(1)?)? < share - ADVANCE && ends.share(after(3)?)? > share + ADVANCE;
        (advances && ends.are_two_scenes(halfway, share)).then(|| self.ramp(first_at, &ends)).flatten()
    }

    /// When the share of the last picture begins and ends to rise, as the quarters of its rise tell: nearer to its ends
    /// it drowns in motion.
    fn ramp(&self, first_at: usize, ends: &Ends<'_>) -> Option<Span> {
        let shares = self.recent.range(first_at..).map(|seen| (seen.t_ms, ends.mix(&seen.picture).share));
        let shares: Vec<(i64, f64)> = shares.collect();
        let reaches = |least: f64| shares.iter().find(|(_, share)| *share >= least).map(|(t_ms, _)| *t_ms);
        let (quarter_ms, most_ms) = (reaches(0.25)?, reaches(0.75)?);
        let (first_ms, last_ms) = (shares.first()?.0, shares.last()?.0);
        let rest_ms = (most_ms - quarter_ms) / 2;
        Some(Span {
            start_ms: (quarter_ms - rest_ms).max(first_ms),
            end_ms: (most_ms + rest_ms).min(last_ms),
        })
    }
}

/// The pictures at the two ends of a stretch.
struct Ends<'a> {
    first: &'a RgbImage,
    last: &'a RgbImage,
    /// Their difference, 0 to 255.
    apart: f64,
    /// Sum of the squares of all differences.
    spread: f64,
}

/// A picture as a mix of two others.
#[derive(Debug, Clone, Copy)]
struct Mix {
    /// The share of the second one, by least squares.
    share: f64,
    /// Mean distance of the picture from that mix, 0 to 255.
    miss: f64,
}

impl<'a> Ends<'a> {
    /// Two pictures, if they differ by at least `least`.
    fn apart(first: &'a RgbImage, last: &'a RgbImage, least: f64) -> Option<Self> {
        let apart = difference(first, last);
        let square = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b)).pow(2);
        let spread = || first.as_raw().iter().zip(last.as_raw()).map(square).sum::<u64>() as f64;
        (apart >= least).then(|| Self { first, last, apart, spread: spread() })
    }

    /// The share of the last one in a picture that is a mix of the two.
    fn share(&self, picture: &RgbImage) -> Option<f64> {
        let mix = self.mix(picture);
        (mix.miss < MISS * self.apart).then_some(mix.share)
    }

    fn mix(&self, picture: &RgbImage) -> Mix {
        let bytes = || {
            let ends = self.first.as_raw().iter().zip(self.last.as_raw());
            ends.zip(picture.as_raw()).map(|((a, b), p)| [a, b, p].map(|byte| f64::from(*byte)))
        };
        let dot: f64 = bytes().map(|[a, b, p]| (p - a) * (b - a)).sum();
        let share = dot / self.spread.max(1.0);
        let miss: f64 = bytes().map(|[a, b, p]| (p - a - share * (b - a)).abs()).sum();
        Mix { share, miss: miss / picture.as_raw().len().max(1) as f64 }
    }

    /// Whether they show two scenes, and not one that moved, is lit in another way, or got a title; `halfway` is a
    /// picture with that share of the last one.
    fn are_two_scenes(&self, halfway: &RgbImage, share: f64) -> bool {
        let likeness = Likeness::of(self.first, self.last);
        let Likeness { correlation, unexplained, .. } = likeness;
        correlation < ALIKE
            && (correlation < SOMEWHAT_ALIKE || unexplained >= UNEXPLAINED)
            && likeness.faded(contrast(halfway), share) >= FADED
            && changed_share(self.first, self.last, self.apart / 2.0) >= CHANGED_SHARE
    }
}

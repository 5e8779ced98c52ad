//! Finds short transitions between two scenes in a stream of thumbnails, whatever their form: wipes, slides, flashes of white,
//! pictures that dissolve into noise, fades under a title. It finds about a quarter of them (see below). Takes times and small
//! pictures; cuts are found elsewhere.
//!
//! A transition is a burst of change between two calm scenes. For every frame and each of [`WINDOWS_MS`], the window that ends
//! with the frame shows one if
//! - the pictures at its two ends differ by at least [`MIN_DIFFERENCE_RATIO`], and [`MIN_ENDS_RATIO`] times as much as two
//!   successive pictures of the calm before and after it usually do;
//! - within it successive pictures differ [`MIN_BURST_RATIO`] times as much as in the calm;
//! - both ends show a scene ([`MIN_CONTRAST`]), they differ over much of the picture ([`MIN_CHANGED_SHARE`]), and hardly
//!   correlate, even when one of them is moved ([`MAX_CORRELATION`]): it is not one scene that changed its light, nor one in
//!   which the camera or somebody moved. Where all that differs is black in between, as in a fade under a title, only what
//!   differs must not correlate.
//!
//! The thresholds are for 200 edits of two people of real videos, half of them in a part of the picture, in dim light or with
//! a person who never keeps still, and 312 undisturbed and disturbed films of one person: they find 54 of the former and
//! break 2 of the latter, both with a title or a hand over the face before an empty wall.

use std::collections::VecDeque;

use image::RgbImage;

use super::thumbnail::{
    BLACK_LUMA, Comparison, changed_share, contrast, correlation_when_moved, difference, mean_luma,
    usual_step, where_changed,
};
use crate::types::Span;

/// Lengths of the windows in which a transition is looked for, milliseconds, ascending.
const WINDOWS_MS: [i64; 6] = [200, 320, 480, 640, 840, LONGEST_WINDOW_MS];
const LONGEST_WINDOW_MS: i64 = 1_120;
/// The calm before a window and after it, milliseconds.
const CALM_BEFORE_MS: i64 = 400;
const CALM_AFTER_MS: i64 = 200;
/// Minimum number of pictures in the calm after a window.
const MIN_CALM_PICTURES: usize = 2;
/// Frames closer than this to the last one that was used are skipped, milliseconds: thirty a second are enough.
const MIN_STEP_MS: i64 = 30;
/// A scene is never calmer than this, 0 to 255: the noise of a still picture.
const MIN_CALM: f64 = 0.5;
/// Minimum difference of the ends, in units of `cut_min_difference`.
const MIN_DIFFERENCE_RATIO: f64 = 1.5;
/// Minimum difference of the ends, in mean steps of the calm.
const MIN_ENDS_RATIO: f64 = 8.0;
/// Minimum mean step within the window, in mean steps of the calm.
const MIN_BURST_RATIO: f64 = 2.0;
/// Ends whose lumas correlate at least this much when one is moved are one scene. Of plain transitions in real videos they
/// stay below 0.4, and in those videos themselves they are above 0.57.
const MAX_CORRELATION: f64 = 0.45;
/// Where all that differs is black in between, the ends must differ this many times more. At fades between people of real
/// videos they differ by 48 to 105; while one who moves is black for a moment, by at most 29.
const MIN_RATIO_UNDER_TITLE: f64 = 2.0;
/// An end with less contrast shows no scene.
const MIN_CONTRAST: f64 = 100.0;
/// Minimum share of the pixels that differ by at least half the ends' difference.
const MIN_CHANGED_SHARE: f64 = 0.45;

/// Finds the short transitions of one video. Must see every frame's thumbnail, in order.
#[derive(Debug)]
pub(super) struct Transitions {
    /// Minimum difference of a transition's ends, 0 to 255.
    min_difference: f64,
    /// The latest pictures, back to the calm before the longest window.
    recent: VecDeque<Step>,
    /// In order, without overlaps.
    found: Vec<Span>,
}

#[derive(Debug)]
struct Step {
    t_ms: i64,
    picture: RgbImage,
    /// From the picture before, 0 to 255; 0 for the first one.
    difference: f64,
}

impl Transitions {
    /// A finder for videos whose cuts differ by at least `cut_min_difference`, 0 to 255.
    pub(super) fn new(cut_min_difference: f64) -> Self {
        let min_difference = MIN_DIFFERENCE_RATIO * cut_min_difference;
        Self { min_difference, recent: VecDeque::new(), found: Vec::new() }
    }

    /// Adds the next frame.
    pub(super) fn push(&mut self, t_ms: i64, picture: &RgbImage) {
        let last = self.recent.back();
        if last.is_some_and(|last| t_ms - last.t_ms < MIN_STEP_MS) {
            return;
        }
        let difference = last.map_or(0.0, |last| difference(&last.picture, picture));
        self.recent.push_back(Step { t_ms, picture: picture.clone(), difference });
        let oldest_ms = t_ms - CALM_AFTER_MS - LONGEST_WINDOW_MS - CALM_BEFORE_MS;
        while self.recent.get(1).is_some_and(|second| second.t_ms <= oldest_ms) {
            self.recent.pop_front();
        }
        let after_window = self.recent.partition_point(|step| step.t_ms <= t_ms - CALM_AFTER_MS);
        let has_calm = self.recent.len() >= after_window + MIN_CALM_PICTURES;
        let Some(last_at) = after_window.checked_sub(1).filter(|_| has_calm) else { return };
        for window_ms in WINDOWS_MS {
            if let Some(span) = self.transition(window_ms, last_at) {
                self.add(span);
            }
        }
    }

    /// The transitions found so far, in order; each from the last frame before it to the first one after it.
    pub(super) fn found(&self) -> impl Iterator<Item = Span> {
        self.found.iter().copied()
    }

    /// Windows that overlap show one transition, which lies in all of them.
    fn add(&mut self, span: Span) {
        match self.found.last_mut() {
            Some(last) if span.start_ms < last.end_ms => {
                last.start_ms = last.start_ms.max(span.start_ms);
                last.end_ms = last.end_ms.min(span.end_ms);
            }
            _ => self.found.push(span),
        }
    }

    /// The window of this length that ends with the picture of this index, if it shows a transition by the rule at the top
    /// of this file.
    fn transition(&self, window_ms: i64, last_at: usize) -> Option<Span> {
        let last = &self.recent[last_at];
        let first_at =
            self.recent.partition_point(|step| step.t_ms <= last.t_ms - window_ms).checked_sub(1)?;
        let first = &self.recent[first_at];
        let span = Span { start_ms: first.t_ms, end_ms: last.t_ms };
        let holds = |found: &Span| span.start_ms <= found.start_ms && found.end_ms <= span.end_ms;
        if self.found.last().is_some_and(holds) {
            // It would tell nothing new.
            return None;
        }
        let calm = self.calm(first_at, last_at)?;
        let steps = self.recent.range(first_at + 1..=last_at).map(|step| step.difference);
        let burst = steps.sum::<f64>() / (last_at - first_at) as f64;
        if burst < MIN_BURST_RATIO * calm {
            return None;
        }
        let between = difference(&first.picture, &last.picture);
        let differ = between >= self.min_difference.max(MIN_ENDS_RATIO * calm);
        let are_two_scenes = || {
            contrast(&first.picture).min(contrast(&last.picture)) >= MIN_CONTRAST
                && changed_share(&first.picture, &last.picture, between / 2.0) >= MIN_CHANGED_SHARE
                && (is_unlike(&first.picture, &last.picture)
                    || (between >= MIN_RATIO_UNDER_TITLE * self.min_difference
                        && self.fades_through_black(first_at, last_at, between / 2.0)))
        };
        (differ && are_two_scenes()).then_some(span)
    }

    /// Whether what differs by at least `least` between the ends of a window is black in between, and does not correlate.
    fn fades_through_black(&self, first_at: usize, last_at: usize, least: f64) -> bool {
        let (first, last) = (&self.recent[first_at].picture, &self.recent[last_at].picture);
        let changed = |picture: &RgbImage| where_changed(picture, first, last, least);
        let mut between = self.recent.range(first_at + 1..last_at);
        between.any(|step| mean_luma(&changed(&step.picture)) < BLACK_LUMA)
            && Comparison::of(&changed(first), &changed(last)).correlation < MAX_CORRELATION
    }

    /// The mean step before a window and after it; `None` if too little is known of what was before.
    fn calm(&self, first_at: usize, last_at: usize) -> Option<f64> {
        let from_ms = self.recent[first_at].t_ms - CALM_BEFORE_MS;
        let before = self.recent.iter().take(first_at + 1).filter(|step| step.t_ms > from_ms).skip(1);
        let steps: Vec<f64> =
            before.chain(self.recent.range(last_at + 1..)).map(|step| step.difference).collect();
        (steps.len() > MIN_CALM_PICTURES + 1).then(|| usual_step(&steps).max(MIN_CALM))
    }
}

/// Whether two pictures hardly correlate, even when one of them is moved.
fn is_unlike(one: &RgbImage, other: &RgbImage) -> bool {
    // Most pictures that are alike are so without being moved, which is soon known.
    Comparison::of(one, other).correlation < MAX_CORRELATION
        && correlation_when_moved(one, other) < MAX_CORRELATION
}

//! Finds shots in a stream of thumbnails. Takes times, small pictures and the boxes of tracked faces.
//!
//! A shot begins with the first frame, at a hard cut, and where a fade-in from black is complete. The frames of a fade-in,
//! and those of a dissolve or another transition, which may show two people, belong to no shot.
//!
//! A hard cut is a frame whose difference `d` from the frame before is at least `cut_min_difference`, and at least
//! `cut_ratio` times the mean difference of its neighbours (0 if none counts), so that fast motion is no cut. `d` is the
//! mean over all pixels of the change of the channel that changed most, 0 to 255.
//!
//! This is the rule of PySceneDetect's `AdaptiveDetector` with another `d`, other neighbours, and an exception:
//! - The neighbours are 2 frames after it, and before it 6 frames or all within 400 ms, whichever are more. Those that begin
//!   a shot, or whose difference is at most a fifth of `d`, do not count.
//! - If a picture from just before it comes back just after it, something only flashed or passed, and it is no cut. Nor is a
//!   flash or black of up to 300 ms after which the scene goes on.
//! - If only a small part of the picture changes, a title came or went, and it is no cut.
//! - It begins no shot if it spares all faces that are tracked: then only a page was turned beside them.

use std::collections::VecDeque;

use image::RgbImage;

use super::dissolve::Dissolves;
use super::thumbnail::{BLACK_LUMA, Comparison, changed_share, contrast, difference, mean_luma, part_around};
use super::transition::Transitions;
use crate::config::ClipRecipe;
use crate::types::{FaceBox, Span};

/// The width that [`ShotFinder`]'s thresholds are tuned for, pixels.
pub const THUMBNAIL_WIDTH_PX: u32 = 48;

/// Neighbours after a frame; it is placed once they are known.
const NEIGHBOURS: usize = 2;
/// Minimum number of neighbours before a frame.
const PAST_NEIGHBOURS: usize = 6;
/// Minimum time that the neighbours before a frame span, milliseconds. A video whose frames are repeated to a higher rate has
/// few distinct ones.
const PAST_MS: i64 = 400;
/// Neighbours with at most this share of the frame's own difference are repeated frames, or still: they tell nothing about
/// usual motion. They are not always 0, as something may move beside a picture that is repeated.
const REPEATED: f64 = 0.2;
/// A fade-in is complete at this mean luma. Well above black: a dark scene that flickers about black is one shot.
const LIT_LUMA: f64 = 32.0;
/// A scene that stays darker than [`LIT_LUMA`] for longer than this after black is a dark scene, not a fade-in,
/// milliseconds.
const LONGEST_FADE_IN_MS: i64 = 3_000;

/// At a cut at least this share of the pixels changes by half of what the picture changes. At cuts between people of real
/// videos the least share was 0.31; of titles that came or went 82 of 88 stayed below 0.25.
const MIN_CHANGED_SHARE: f64 = 0.28;
/// What flashes or is black for no longer than this ends no shot if the scene goes on after it, milliseconds: a camera's
/// flash, a frame that was lost.
const LONGEST_FLASH_MS: i64 = 300;
/// The scene goes on if the difference is less than this share of what the flash changed.
const RETURNED: f64 = 0.3;
/// A picture with less contrast shows no scene.
const MIN_CONTRAST: f64 = 100.0;
/// A picture whose luma correlates with a scene's at least this much may show that scene in another light.
const LIGHT_CORRELATION: f64 = 0.8;
/// The lumas of a scene before a short black and after it correlate at least this much.
const SAME_SCENE_CORRELATION: f64 = 0.65;
/// A cut spares a face if its box changes by at most this share of what the picture changes, and at most by
/// [`SPARED_OF_LEAST`].
const SPARED: f64 = 0.25;
/// The same, as a share of `cut_min_difference`.
const SPARED_OF_LEAST: f64 = 0.5;

/// A frame, once it is known whether a shot begins with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The frame's time.
    pub t_ms: i64,
    /// Whether a shot begins with it.
    pub begins_shot: bool,
}

/// Finds the shots of one video. [`ShotFinder::push`] every frame's thumbnail in order, then [`ShotFinder::end`]; after each,
/// [`ShotFinder::place_next`] until it gives nothing.
#[derive(Debug)]
pub struct ShotFinder {
    cut_ratio: f64,
    min_difference: f64,
    min_shot_ms: i64,
    /// The latest frames. The last ones are not placed yet: [`NEIGHBOURS`], or more where the scene may go on after a flash.
    window: VecDeque<WindowFrame>,
    placed_in_window: usize,
    has_ended: bool,
    /// Starts of shots, ascending, milliseconds; the first one is the first frame.
    starts: Vec<i64>,
    /// Cuts that begin no shot as they spare every tracked face, ascending, milliseconds.
    spared: Vec<i64>,
    brightness: Brightness,
    /// The fade-ins, each up to the start of a shot, in order.
    fade_ins: Vec<Span>,
    dissolves: Dissolves,
    transitions: Transitions,
}

/// A frame in the window.
#[derive(Debug)]
struct WindowFrame {
    t_ms: i64,
    thumbnail: RgbImage,
    /// From the frame before, 0 to 255; 0 for the first frame.
    difference: f64,
    /// When the fade-in began that is complete with this frame, milliseconds.
    fade_in_ms: Option<i64>,
}

/// How bright the latest picture is.
#[derive(Debug, Clone, Copy, Default)]
enum Brightness {
    #[default]
    Lit,
    Black,
    /// Brighter than black since this time, milliseconds, and not yet lit.
    FadingIn(i64),
}

impl Brightness {
    /// Takes the next picture's mean luma. If a fade-in is complete with it, returns when that began, milliseconds.
    fn update(&mut self, t_ms: i64, luma: f64) -> Option<i64> {
        let since_ms = match *self {
            _ if luma < BLACK_LUMA => {
                *self = Self::Black;
                return None;
            }
            Self::Lit => return None,
            Self::Black => t_ms,
            Self::FadingIn(since_ms) => since_ms,
        };
        let (is_lit, is_late) = (luma >= LIT_LUMA, t_ms - since_ms > LONGEST_FADE_IN_MS);
        *self = if is_lit || is_late { Self::Lit } else { Self::FadingIn(since_ms) };
        (is_lit && !is_late).then_some(since_ms)
    }
}

impl ShotFinder {
    /// A finder with a recipe's thresholds.
    pub fn new(recipe: &ClipRecipe) -> Self {
        Self {
            cut_ratio: recipe.cut_ratio,
            min_difference: recipe.cut_min_difference,
            min_shot_ms: recipe.min_shot_ms,
            window: VecDeque::new(),
            placed_in_window: 0,
            has_ended: false,
            starts: Vec::new(),
            spared: Vec::new(),
            brightness: Brightness::default(),
            fade_ins: Vec::new(),
            dissolves: Dissolves::new(recipe.cut_min_difference),
            transitions: Transitions::new(recipe.cut_min_difference),
        }
    }

    /// Adds the next frame.
    pub fn push(&mut self, t_ms: i64, thumbnail: RgbImage) {
        let difference = self.window.back().map_or(0.0, |before| difference(&before.thumbnail, &thumbnail));
        let luma = mean_luma(&thumbnail);
        let fade_in_ms = self.brightness.update(t_ms, luma);
        self.dissolves.push(t_ms, &thumbnail, luma < BLACK_LUMA);
        self.transitions.push(t_ms, &thumbnail);
        self.window.push_back(WindowFrame { t_ms, thumbnail, difference, fade_in_ms });
        while self.placed_in_window > PAST_NEIGHBOURS
            && self.window[self.placed_in_window].t_ms - self.window[0].t_ms > PAST_MS
        {
            self.window.pop_front();
            self.placed_in_window -= 1;
        }
    }

    /// No more frames come: all that are left can be placed.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Places the next frame; `None` while it needs later ones, or when there is none. `tracked` are the boxes of the faces
    /// that are followed up to it: a cut that spares them all, such as a page turned beside a speaker, begins no shot.
    pub fn place_next(&mut self, tracked: &[FaceBox]) -> Option<Placed> {
        let at = self.placed_in_window;
        let needed = if self.has_ended { 0 } else { NEIGHBOURS };
        let WindowFrame { t_ms, fade_in_ms, .. } =
            *self.window.get(at).filter(|_| at + needed < self.window.len())?;
        let begins_shot = match self.starts.last() {
            None => true,
            Some(last)
                if fade_in_ms.is_some() && t_ms - last >= self.min_shot_ms && !self.is_lit_again(at) =>
            {
                true
            }
            Some(_) if self.is_cut_candidate(at) && !self.is_undone(at)? => {
                let is_spared = self.spares(at, tracked);
                self.spared.extend(is_spared.then_some(t_ms));
                !is_spared
            }
            Some(_) => false,
        };
        self.placed_in_window += 1;
        if begins_shot {
            self.starts.push(t_ms);
            self.fade_ins.extend(fade_in_ms.map(|start_ms| Span { start_ms, end_ms: t_ms }));
        }
        Some(Placed { t_ms, begins_shot })
    }

    /// The shots up to `end_ms` by the frames so far, in order. A gap between two of them is a transition or a fade-in.
    ///
    /// Until all frames are placed, the latest shots may still change: a fade-in or transition is found only at its end,
    /// often three seconds after it began, and is then taken out of shots that were given before.
    pub fn shots(&self, end_ms: i64) -> Vec<Span> {
        let cuts = self.starts.iter().chain([&end_ms]).map(|&at_ms| Span { start_ms: at_ms, end_ms: at_ms });
        let gaps = self.fade_ins.iter().copied().chain(self.dissolves()).chain(self.transitions());
        let mut borders: Vec<Span> = cuts.chain(gaps).collect();
        borders.sort_by_key(|border| (border.start_ms, border.end_ms));
        let mut shots = Vec::new();
        let mut from_ms = self.starts.first().copied().unwrap_or(end_ms);
        for border in borders {
            if from_ms < border.start_ms {
                shots.push(Span { start_ms: from_ms, end_ms: border.start_ms });
            }
            from_ms = from_ms.max(border.end_ms);
        }
        shots
    }

    /// The dissolves, in order. A cut within one ends it or begins it, so that its longer part remains. Two with less than
    /// the recipe's `min_shot_ms` and no cut between them are one, as when a film fades through white.
    fn dissolves(&self) -> Vec<Span> {
        let mut dissolves: Vec<Span> = Vec::new();
        for found in self.dissolves.found() {
            let span = self.starts.iter().fold(found, |span, at_ms| longer_part(span, *at_ms));
            let continues = |before: &Span| {
                let between = before.end_ms..=span.start_ms;
                span.start_ms - before.end_ms < self.min_shot_ms
                    && !self.starts.iter().any(|at_ms| between.contains(at_ms))
            };
            match dissolves.last_mut() {
                Some(before) if continues(before) => before.end_ms = span.end_ms,
                _ => dissolves.push(span),
            }
        }
        dissolves
    }

    /// The short transitions, without those that are cuts or end with a fade-in.
    fn transitions(&self) -> impl Iterator<Item = Span> {
        let cuts = || self.starts.iter().chain(&self.spared);
        let is_cut = move |span: &Span| cuts().any(|at_ms| span.start_ms < *at_ms && *at_ms <= span.end_ms);
        self.transitions.found().filter(move |span| !is_cut(span))
    }

    /// Whether the frame of this index in the window differs from the frame before it as a hard cut does.
    fn is_cut_candidate(&self, at: usize) -> bool {
        let difference = self.window[at].difference;
        if difference < self.min_difference {
            return false;
        }
        // The difference of a shot's first frame is that of the cut, and the video's first frame has none.
        let counted = self.window.iter().enumerate().filter(|(other, frame)| {
            *other != at && !self.starts.contains(&frame.t_ms) && frame.difference > REPEATED * difference
        });
        let (sum, count) = counted.fold((0.0, 0_u32), |(sum, n), (_, frame)| (sum + frame.difference, n + 1));
        let mean = sum / f64::from(count.max(1));
        let changed = || {
            let [before, here] = [at - 1, at].map(|at| &self.window[at].thumbnail);
            changed_share(before, here, difference / 2.0)
        };
        difference >= self.cut_ratio * mean && changed() >= MIN_CHANGED_SHARE
    }

    /// Whether one of the three frames before this one and one of the three from it on are alike: then something only
    /// flashed or passed, and the shot goes on. So it does if only the light changed between them, for as long as a flash
    /// lasts. `None` while later frames must tell.
    fn is_undone(&self, at: usize) -> Option<bool> {
        let WindowFrame { t_ms, difference: cut_difference, .. } = self.window[at];
        let between = |a: usize, b: usize| difference(&self.window[a].thumbnail, &self.window[b].thumbnail);
        let alike = |a: usize, b: usize| between(a, b) < self.min_difference.max(RETURNED * cut_difference);
        let before = at.saturating_sub(NEIGHBOURS + 1)..at;
        let from_here = at..(at + NEIGHBOURS + 1).min(self.window.len());
        if before.clone().any(|a| from_here.clone().any(|b| alike(a, b))) {
            return Some(true);
        }
        let is_near = |other: &usize| t_ms - self.window[other + 1].t_ms <= LONGEST_FLASH_MS;
        for earlier in (0..at).rev().take_while(is_near) {
            if from_here.clone().any(|b| alike(earlier, b)) {
                return Some(true);
            }
            if !self.may_be_relit(earlier, at) {
                break;
            }
        }
        for later in at..self.window.len() {
            if before.clone().any(|a| alike(a, later)) {
                return Some(true);
            }
            if self.window[later].t_ms - t_ms > LONGEST_FLASH_MS || !self.may_be_relit(later, at - 1) {
                return Some(false);
            }
        }
        self.has_ended.then_some(false)
    }

    /// Whether a frame may be the scene of another one in another light: it shows no scene, or the same one.
    fn may_be_relit(&self, at: usize, scene: usize) -> bool {
        let (picture, scene) = (&self.window[at].thumbnail, &self.window[scene].thumbnail);
        contrast(picture) < MIN_CONTRAST || Comparison::of(picture, scene).correlation >= LIGHT_CORRELATION
    }

    /// Whether the scene of a frame, with which it is light again after black, is the one that was lit shortly before.
    fn is_lit_again(&self, at: usize) -> bool {
        let WindowFrame { t_ms, thumbnail, .. } = &self.window[at];
        let frames = self.window.range(..at).zip(self.window.range(1..));
        let recent = frames.filter(|(_, next)| t_ms - next.t_ms <= LONGEST_FLASH_MS);
        recent.map(|(frame, _)| (frame, mean_luma(&frame.thumbnail))).any(|(frame, luma)| {
            let most = self.min_difference.max(RETURNED * luma);
            luma >= LIT_LUMA
                && difference(&frame.thumbnail, thumbnail) < most
                && Comparison::of(&frame.thumbnail, thumbnail).correlation >= SAME_SCENE_CORRELATION
        })
    }

    /// Whether a cut at this frame spares all these boxes, of which there is one at least.
    fn spares(&self, at: usize, boxes: &[FaceBox]) -> bool {
        let (before, here) = (&self.window[at - 1].thumbnail, &self.window[at]);
        let most = (SPARED * here.difference).min(SPARED_OF_LEAST * self.min_difference);
        let change = |face_box: &FaceBox| {
            difference(&part_around(before, face_box, 1.0), &part_around(&here.thumbnail, face_box, 1.0))
        };
        !boxes.is_empty() && boxes.iter().all(|face_box| change(face_box) <= most)
    }
}

/// The longer part of a span that is split at a time; the first one of two equal parts, the whole span if the time lies
/// outside it.
fn longer_part(span: Span, at_ms: i64) -> Span {
    if at_ms <= span.start_ms || span.end_ms <= at_ms {
        span
    } else if at_ms - span.start_ms >= span.end_ms - at_ms {
        Span { end_ms: at_ms, ..span }
    } else {
        Span { start_ms: at_ms, ..span }
    }
}

#[cfg(test)]
mod tests;

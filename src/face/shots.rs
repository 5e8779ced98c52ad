//! Cuts and fades from a stream of thumbnails. Knows time and small pictures only, no files and no faces.
//!
//! A hard cut is a frame that differs from the one before far more than its neighbours differ among themselves
//! (adaptive, so that fast motion is no cut). A fade through black ends where light comes back. A dissolve shows
//! in pictures that are mixes of those before and after, which motion never gives.

use std::collections::VecDeque;

use image::RgbImage;

use crate::config::ClipRecipe;
use crate::types::Span;

/// Width of the thumbnails in pixels that [`ShotFinder`] is tuned for.
pub const THUMBNAIL_WIDTH_PX: u32 = 48;

/// Frames behind a difference that it is compared with.
const NEIGHBOURS: usize = 2;
/// Frames before a difference that it is compared with.
const PAST_NEIGHBOURS: usize = 6;
/// Smaller shares of a difference are a repeated frame (a slower film in a faster container) or stillness, which
/// say nothing about how much usual motion differs.
const REPEATED: f64 = 0.05;
/// Mean luma below which a picture is black.
const BLACK_LUMA: f64 = 14.0;
/// Half of the stretch over which a dissolve is looked for, milliseconds.
const DISSOLVE_REACH_MS: i64 = 320;
/// Pictures of a dissolve miss a mix of its ends by less than this share of the ends' difference.
const DISSOLVE_MISS: f64 = 0.12;
/// Ends of a dissolve differ by at least this many times the least difference of a cut.
const DISSOLVE_DIFFERENCE: f64 = 1.5;

/// A frame whose place is known: [`ShotFinder::push`] gives it as soon as the frames after it are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The frame's time.
    pub t_ms: i64,
    /// Whether a shot begins with it.
    pub begins_shot: bool,
}

/// Finds shots in one video. Give it every frame's thumbnail in order, then call [`ShotFinder::finish`].
#[derive(Debug)]
pub struct ShotFinder {
    cut_ratio: f64,
    min_difference: f64,
    min_shot_ms: i64,
    /// The latest frames; the last `NEIGHBOURS` are not placed yet.
    window: VecDeque<Step>,
    placed_in_window: usize,
    /// Starts of shots, hard cuts and fades, ascending; the first is the first frame.
    starts: Vec<i64>,
    was_black: bool,
    dissolve: Dissolve,
}

#[derive(Debug)]
struct Step {
    t_ms: i64,
    thumbnail: RgbImage,
    /// From the frame before.
    difference: f64,
    /// Light comes back with this frame.
    lights_up: bool,
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
            starts: Vec::new(),
            was_black: false,
            dissolve: Dissolve::default(),
        }
    }

    /// Frames that were pushed but not yet placed, at most.
    pub const DELAY: usize = NEIGHBOURS;

    /// Takes the next frame; gives the frame [`ShotFinder::DELAY`] before it.
    pub fn push(&mut self, t_ms: i64, thumbnail: RgbImage) -> Option<Placed> {
        let difference = self.window.back().map_or(0.0, |before| difference(&before.thumbnail, &thumbnail));
        let is_black = mean_luma(&thumbnail) < BLACK_LUMA;
        let lights_up = self.was_black && !is_black;
        self.was_black = is_black;
        self.dissolve.push(t_ms, &thumbnail, self.min_difference);
        self.window.push_back(Step { t_ms, thumbnail, difference, lights_up });
        if self.window.len() > PAST_NEIGHBOURS + 1 + NEIGHBOURS {
            self.window.pop_front();
            self.placed_in_window -= 1;
        }
        (self.window.len() - self.placed_in_window > NEIGHBOURS).then(|| self.place_next())
    }

    /// Places the frames that still wait, in order. Call until `None` before [`ShotFinder::finish`].
    pub fn flush(&mut self) -> Option<Placed> {
        (self.placed_in_window < self.window.len()).then(|| self.place_next())
    }

    /// All shots up to `end_ms`, in order and without gaps; dissolves are borders too.
    pub fn finish(mut self, end_ms: i64) -> Vec<Span> {
        self.dissolve.close();
        self.so_far(end_ms)
    }

    /// The shots as far as they are known; what lies a second back will not change any more.
    pub fn so_far(&self, end_ms: i64) -> Vec<Span> {
        let mut starts = self.starts.clone();
        for middle_ms in &self.dissolve.middles {
            if starts.iter().all(|start| (middle_ms - start).abs() >= self.min_shot_ms) {
                starts.push(*middle_ms);
            }
        }
        starts.sort_unstable();
        let ends = starts.iter().skip(1).copied().chain([end_ms]);
        starts.iter().zip(ends).map(|(&start_ms, end_ms)| Span { start_ms, end_ms }).collect()
    }

    fn place_next(&mut self) -> Placed {
        let at = self.placed_in_window;
        self.placed_in_window += 1;
        let step = &self.window[at];
        let t_ms = step.t_ms;
        let begins_shot = match self.starts.last() {
            None => true,
            Some(last) => t_ms - last >= self.min_shot_ms && (step.lights_up || self.is_cut(at)),
        };
        if begins_shot {
            self.starts.push(t_ms);
        }
        Placed { t_ms, begins_shot }
    }

    fn is_cut(&self, at: usize) -> bool {
        let difference = self.window[at].difference;
        // The first frame of all has no difference of its own, and a shot's first frame that of the cut.
        let telling = self.window.iter().enumerate().filter(|(other, step)| {
            *other != at && !self.starts.contains(&step.t_ms) && step.difference > REPEATED * difference
        });
        let (sum, count) = telling.fold((0.0, 0_u32), |(sum, n), (_, step)| (sum + step.difference, n + 1));
        let usual = sum / f64::from(count.max(1));
        difference >= self.min_difference && difference >= self.cut_ratio * usual && !self.is_flash(at)
    }

    /// Whether what is shown from this frame on was shown just before it: something passed, the shot went on.
    fn is_flash(&self, at: usize) -> bool {
        let before = || self.window.range(at.saturating_sub(NEIGHBOURS + 1)..at);
        let mut from_here = self.window.range(at..);
        from_here.any(|step| {
            before().any(|other| difference(&other.thumbnail, &step.thumbnail) < self.min_difference)
        })
    }
}

/// Looks for cross-fades: a stretch in which each picture is a mix of the two at its ends, more and more of the latter.
#[derive(Debug, Default)]
struct Dissolve {
    recent: VecDeque<(i64, RgbImage)>,
    /// Middle and strength of the stretch that is open now.
    open: Option<(i64, i64)>,
    middles: Vec<i64>,
}

impl Dissolve {
    fn push(&mut self, t_ms: i64, thumbnail: &RgbImage, min_difference: f64) {
        self.recent.push_back((t_ms, thumbnail.clone()));
        while self.recent.front().is_some_and(|(first_ms, _)| t_ms - first_ms > 2 * DISSOLVE_REACH_MS) {
            self.recent.pop_front();
        }
        let Some((first_ms, first)) = self.recent.front() else { return };
        let full = t_ms - first_ms > DISSOLVE_REACH_MS;
        let apart = if full { difference(first, thumbnail) } else { 0.0 };
        let inner = [1, 2, 3].map(|quarter| &self.recent[self.recent.len() * quarter / 4]);
        let middle_ms = inner[1].0;
        let fades = apart >= DISSOLVE_DIFFERENCE * min_difference && {
            let mixes = inner.map(|(_, picture)| mix(first, picture, thumbnail));
            let [early, middle, late] = mixes.map(|mix| mix.share);
            mixes.iter().all(|mix| mix.miss < DISSOLVE_MISS * apart)
                && (0.3..=0.7).contains(&middle)
                && early < middle - 0.08
                && late > middle + 0.08
        };
        match (&mut self.open, fades) {
            (Some((_, last_ms)), true) => *last_ms = middle_ms,
            (None, true) => self.open = Some((middle_ms, middle_ms)),
            (Some(_), false) => self.close(),
            (None, false) => {}
        }
    }

    fn close(&mut self) {
        // One picture alone may be a mix by chance.
        self.middles.extend(self.open.take().filter(|(a, b)| a != b).map(|(a, b)| i64::midpoint(a, b)));
    }
}

/// Mean over the pixels of the channel that changed most, 0 to 255.
fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    let of_pixel = |(a, b): (&[u8], &[u8])| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    let pairs = a.as_raw().chunks_exact(3).zip(b.as_raw().chunks_exact(3));
    let sum: u64 = pairs.map(of_pixel).map(u64::from).sum();
    sum as f64 / (a.as_raw().len() / 3).max(1) as f64
}

/// A picture as a mix of two others.
#[derive(Debug, Clone, Copy)]
struct Mix {
    /// Of the second one, by least squares.
    share: f64,
    /// Mean distance of the picture from that mix, 0 to 255.
    miss: f64,
}

fn mix(first: &RgbImage, picture: &RgbImage, last: &RgbImage) -> Mix {
    let bytes = || {
        let ends = first.as_raw().iter().zip(last.as_raw());
        ends.zip(picture.as_raw()).map(|((a, b), p)| [a, b, p].map(|byte| f64::from(*byte)))
    };
    let (dot, spread) = bytes()
        .fold((0.0, 0.0), |(dot, spread), [a, b, p]| (dot + (p - a) * (b - a), spread + (b - a) * (b - a)));
    let share = dot / f64::max(spread, 1.0);
    let miss: f64 = bytes().map(|[a, b, p]| (p - a - share * (b - a)).abs()).sum();
    Mix { share, miss: miss / first.as_raw().len().max(1) as f64 }
}

fn mean_luma(picture: &RgbImage) -> f64 {
    let luma = |p: &[u8]| u64::from(p[0]) * 299 + u64::from(p[1]) * 587 + u64::from(p[2]) * 114;
    let sum: u64 = picture.as_raw().chunks_exact(3).map(luma).sum();
    sum as f64 / 1000.0 / (picture.as_raw().len() / 3).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_MS: i64 = 40;

    /// A textured scene that drifts `speed` pixels a frame.
    fn scene(seed: u32, frame: i64, speed: i64) -> RgbImage {
        RgbImage::from_fn(48, 27, |x, y| {
            let x = x + (frame * speed) as u32;
            let wave = |k: u32| {
                let phase = f64::from(x * (1 + seed % 3) + y * 2) / 9.0 + f64::from(k * seed);
                (128.0 + 90.0 * phase.sin()) as u8
            };
            image::Rgb([wave(1), wave(2), wave(3)])
        })
    }

    fn blend(a: &RgbImage, b: &RgbImage, share: f64) -> RgbImage {
        let mix = |(a, b): (&u8, &u8)| (f64::from(*a) * (1.0 - share) + f64::from(*b) * share).round() as u8;
        let bytes = a.as_raw().iter().zip(b.as_raw()).map(mix).collect();
        RgbImage::from_raw(a.width(), a.height(), bytes).unwrap()
    }

    fn starts_of(frames: impl IntoIterator<Item = RgbImage>) -> Vec<i64> {
        let mut finder = ShotFinder::new(&ClipRecipe::default());
        let mut t_ms = 0;
        let mut placed = Vec::new();
        for frame in frames {
            placed.extend(finder.push(t_ms, frame));
            t_ms += FRAME_MS;
        }
        placed.extend(std::iter::from_fn(|| finder.flush()));
        assert_eq!(placed.len() as i64, t_ms / FRAME_MS, "every frame is placed once");
        assert!(placed.windows(2).all(|pair| pair[0].t_ms < pair[1].t_ms));
        let shots = finder.finish(t_ms);
        assert_eq!(shots.last().unwrap().end_ms, t_ms);
        shots.iter().map(|shot| shot.start_ms).collect()
    }

    #[test]
    fn a_hard_cut_is_found_at_its_frame() {
        let frames = (0..100).map(|at| if at < 37 { scene(1, at, 1) } else { scene(2, at, 1) });
        assert_eq!(starts_of(frames), [0, 37 * FRAME_MS]);
    }

    #[test]
    fn fast_motion_is_no_cut() {
        assert_eq!(starts_of((0..100).map(|at| scene(1, at, 9))), [0]);
    }

    #[test]
    fn motion_in_which_each_frame_comes_twice_is_no_cut() {
        assert_eq!(starts_of((0..100).map(|at| scene(1, at / 2, 5 + at % 7))), [0]);
    }

    #[test]
    fn a_flash_is_no_cut() {
        let white = RgbImage::from_pixel(48, 27, image::Rgb([255; 3]));
        let frames = (0..80).map(|at| if at == 40 { white.clone() } else { scene(1, at, 0) });
        assert_eq!(starts_of(frames), [0]);
    }

    #[test]
    fn a_cut_that_follows_too_soon_is_passed_over() {
        let frames = (0..80).map(|at| match at {
            0..30 => scene(1, at, 0),
            30..35 => scene(2, at, 0),
            _ => scene(4, at, 0),
        });
        assert_eq!(starts_of(frames), [0, 30 * FRAME_MS]);
    }

    #[test]
    fn a_fade_through_black_begins_a_shot_where_light_comes_back() {
        let black = RgbImage::new(48, 27);
        let frames = (0..100).map(|at| match at {
            0..30 => scene(1, 0, 0),
            30..45 => blend(&scene(1, 0, 0), &black, f64::from(at - 29) / 15.0),
            45..60 => blend(&black, &scene(2, 0, 0), f64::from(at - 44) / 15.0),
            _ => scene(2, 0, 0),
        });
        let starts = starts_of(frames);
        assert_eq!(starts.len(), 2, "{starts:?}");
        assert!((44 * FRAME_MS..=50 * FRAME_MS).contains(&starts[1]), "{starts:?}");
    }

    #[test]
    fn a_dissolve_is_found_near_its_middle() {
        let (a, b) = (scene(1, 0, 0), scene(2, 0, 0));
        let frames = (0..120).map(|at| blend(&a, &b, f64::from((at - 50).clamp(0, 20)) / 20.0));
        let starts = starts_of(frames);
        assert_eq!(starts.len(), 2, "{starts:?}");
        assert!((starts[1] - 60 * FRAME_MS).abs() <= 4 * FRAME_MS, "{starts:?}");
    }
}

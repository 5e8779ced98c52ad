//! Cuts and fades from a stream of thumbnails. Knows time and small pictures only, no files and no faces.
//!
//! A hard cut is a frame that differs from the one before far more than its neighbours differ among themselves
//! (adaptive, so that fast motion is no cut). A fade through black ends where light comes back. The frames of a
//! dissolve, which may show two people, and those on which light is still coming back belong to no shot.

use std::collections::VecDeque;

use image::RgbImage;

use super::dissolve::Dissolves;
use super::thumbnail::{difference, mean_luma};
use crate::config::ClipRecipe;
use crate::types::Span;

/// Width of the thumbnails in pixels that [`ShotFinder`] is tuned for.
pub const THUMBNAIL_WIDTH_PX: u32 = 48;

/// A difference is compared with those of so many frames after it.
const NEIGHBOURS: usize = 2;
/// And with those of so many frames before it, and of all within this time, milliseconds: a slow film in a fast
/// container has few frames of its own.
const PAST_NEIGHBOURS: usize = 6;
const PAST_MS: i64 = 400;
/// Neighbours below this share of the difference in question are repeated frames (a slower film in a faster container)
/// or stillness: they say nothing about how much usual motion differs. Somebody may stir beside a film that repeats its
/// frames.
const REPEATED: f64 = 0.2;
/// Mean luma below which a picture is black.
const BLACK_LUMA: f64 = 14.0;
/// Light has come back from black at this mean luma: a dark scene that flickers about black goes on.
const LIT_LUMA: f64 = 32.0;
/// Where light takes longer than this to come back, milliseconds, it does not: the scene after the black is dark.
const LONGEST_DAWN_MS: i64 = 3_000;

/// A frame of which it is known whether a shot begins with it. [`ShotFinder::push`] gives it as soon as the frames
/// after it are in.
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
    light: Light,
    /// Where light came back, up to the start of a shot, in order.
    dawns: Vec<Span>,
    dissolves: Dissolves,
}

#[derive(Debug)]
struct Step {
    t_ms: i64,
    thumbnail: RgbImage,
    /// From the frame before.
    difference: f64,
    /// With this frame light is back; since when it was coming, milliseconds.
    dawn_ms: Option<i64>,
}

/// Whether the latest picture was black.
#[derive(Debug, Clone, Copy, Default)]
enum Light {
    #[default]
    Lit,
    Black,
    /// No longer black since this time, milliseconds, and not yet lit.
    Coming(i64),
}

impl Light {
    /// Takes the next picture's mean luma. Where light is back from black, says since when it was coming, milliseconds.
    fn pass(&mut self, t_ms: i64, luma: f64) -> Option<i64> {
        let since_ms = match *self {
            _ if luma < BLACK_LUMA => {
                *self = Self::Black;
                return None;
            }
            Self::Lit => return None,
            Self::Black => t_ms,
            Self::Coming(since_ms) => since_ms,
        };
        let (is_back, is_late) = (luma >= LIT_LUMA, t_ms - since_ms > LONGEST_DAWN_MS);
        *self = if is_back || is_late { Self::Lit } else { Self::Coming(since_ms) };
        (is_back && !is_late).then_some(since_ms)
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
            starts: Vec::new(),
            light: Light::default(),
            dawns: Vec::new(),
            dissolves: Dissolves::new(recipe.cut_min_difference),
        }
    }

    /// Frames that were pushed but not yet placed, at most.
    pub const DELAY: usize = NEIGHBOURS;

    /// Takes the next frame; gives the frame [`ShotFinder::DELAY`] before it.
    pub fn push(&mut self, t_ms: i64, thumbnail: RgbImage) -> Option<Placed> {
        let difference = self.window.back().map_or(0.0, |before| difference(&before.thumbnail, &thumbnail));
        let luma = mean_luma(&thumbnail);
        let dawn_ms = self.light.pass(t_ms, luma);
        self.dissolves.push(t_ms, &thumbnail, luma < BLACK_LUMA);
        self.window.push_back(Step { t_ms, thumbnail, difference, dawn_ms });
        while self.placed_in_window > PAST_NEIGHBOURS
            && self.window[self.placed_in_window].t_ms - self.window[0].t_ms > PAST_MS
        {
            self.window.pop_front();
            self.placed_in_window -= 1;
        }
        (self.window.len() - self.placed_in_window > NEIGHBOURS).then(|| self.place_next())
    }

    /// Places the frames that still wait, in order. Call until `None` before [`ShotFinder::finish`].
    pub fn flush(&mut self) -> Option<Placed> {
        (self.placed_in_window < self.window.len()).then(|| self.place_next())
    }

    /// All shots up to `end_ms`, in order. What lies between two of them is a dissolve, or light that was coming back.
    pub fn finish(self, end_ms: i64) -> Vec<Span> {
        self.so_far(end_ms)
    }

    /// The shots as far as they are known; what lies four seconds back will not change any more.
    pub fn so_far(&self, end_ms: i64) -> Vec<Span> {
        let cuts = self.starts.iter().chain([&end_ms]).map(|&at_ms| Span { start_ms: at_ms, end_ms: at_ms });
        let mut borders: Vec<Span> = cuts.chain(self.dawns.iter().copied()).chain(self.dissolves()).collect();
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

    /// The dissolves, in order. A cut within one is where it ends or begins; two that leave no time for a shot are one,
    /// as when a film fades through white.
    fn dissolves(&self) -> Vec<Span> {
        let mut dissolves: Vec<Span> = Vec::new();
        for found in self.dissolves.found() {
            let span = self.starts.iter().fold(found, |span, at_ms| longer_part(span, *at_ms));
            let one = |before: &Span| {
                let between = before.end_ms..=span.start_ms;
                span.start_ms - before.end_ms < self.min_shot_ms
                    && !self.starts.iter().any(|at_ms| between.contains(at_ms))
            };
            match dissolves.last_mut() {
                Some(before) if one(before) => before.end_ms = span.end_ms,
                _ => dissolves.push(span),
            }
        }
        dissolves
    }

    fn place_next(&mut self) -> Placed {
        let at = self.placed_in_window;
        self.placed_in_window += 1;
        let Step { t_ms, dawn_ms, .. } = self.window[at];
        let begins_shot = match self.starts.last() {
            None => true,
            Some(last) => (dawn_ms.is_some() && t_ms - last >= self.min_shot_ms) || self.is_cut(at),
        };
        if begins_shot {
            self.starts.push(t_ms);
            self.dawns.extend(dawn_ms.map(|dawn_ms| Span { start_ms: dawn_ms, end_ms: t_ms }));
        }
        Placed { t_ms, begins_shot }
    }

    fn is_cut(&self, at: usize) -> bool {
        let difference = self.window[at].difference;
        if difference < self.min_difference {
            return false;
        }
        // A shot's first frame tells nothing of usual motion: its difference is that of the cut, and the video's first
        // frame has none.
        let telling = self.window.iter().enumerate().filter(|(other, step)| {
            *other != at && !self.starts.contains(&step.t_ms) && step.difference > REPEATED * difference
        });
        let (sum, count) = telling.fold((0.0, 0_u32), |(sum, n), (_, step)| (sum + step.difference, n + 1));
        let usual = sum / f64::from(count.max(1));
        difference >= self.cut_ratio * usual && !self.is_flash(at)
    }

    /// Whether the pictures from just before this frame come back just after it: then something only flashed or passed,
    /// and the shot goes on.
    fn is_flash(&self, at: usize) -> bool {
        let before = || self.window.range(at.saturating_sub(NEIGHBOURS + 1)..at);
        let mut from_here = self.window.range(at..);
        from_here.any(|step| {
            before().any(|other| difference(&other.thumbnail, &step.thumbnail) < self.min_difference)
        })
    }
}

/// What is longer of a span: before a time, or from there on. All of it if the time is not within.
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

    /// One of two people before a wall of her or his own, who sways and talks.
    fn person(seed: u32, t_ms: i64) -> RgbImage {
        let s = t_ms as f64 / 1000.0;
        let phase = f64::from(seed);
        let (middle, height) =
            (24.0 + 3.0 * (2.3 * s + phase).sin(), 14.0 + 2.0 * (3.1 * s + 2.0 * phase).cos());
        RgbImage::from_fn(48, 27, |x, y| {
            let brick = (x / 6 * (5 + seed) + y / 5 * (3 + 2 * seed) + seed * 4) % 9;
            let wall = [0, 10, 20].map(|more| 40 + brick * (12 + 4 * seed) + more * seed);
            let (across, down) = (f64::from(x) - middle, f64::from(y) - height);
            let is_mouth = across.abs() < 4.0 && (down - 5.0).abs() < 1.0 + (9.0 * s).sin();
            let skin =
                if is_mouth { [90, 20, 30] } else { [225 - 50 * seed, 170 - 45 * seed, 140 - 40 * seed] };
            let is_head = (across / 8.0).powi(2) + (down / 10.0).powi(2) < 1.0;
            image::Rgb(if is_head { skin } else { wall }.map(|byte| byte.min(255) as u8))
        })
    }

    /// How far something is that begins and ends at these times, 0 to 1.
    fn progress(t_ms: i64, from_ms: i64, to_ms: i64) -> f64 {
        ((t_ms - from_ms) as f64 / (to_ms - from_ms) as f64).clamp(0.0, 1.0)
    }

    fn shots_of(frames: impl IntoIterator<Item = (i64, RgbImage)>) -> Vec<Span> {
        let mut finder = ShotFinder::new(&ClipRecipe::default());
        let (mut times_ms, mut placed) = (Vec::new(), Vec::new());
        for (t_ms, frame) in frames {
            times_ms.push(t_ms);
            placed.extend(finder.push(t_ms, frame));
        }
        placed.extend(std::iter::from_fn(|| finder.flush()));
        let placed_ms: Vec<i64> = placed.iter().map(|placed| placed.t_ms).collect();
        assert_eq!(placed_ms, times_ms, "every frame is placed once, in order");
        let end_ms = times_ms.last().unwrap() + FRAME_MS;
        let shots = finder.finish(end_ms);
        assert_eq!(shots.last().unwrap().end_ms, end_ms);
        assert!(shots.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms), "{shots:?}");
        shots
    }

    /// The shots of frames at these times, each drawn by its time.
    fn shots_drawn(times_ms: impl Iterator<Item = i64>, draw: impl Fn(i64) -> RgbImage) -> Vec<Span> {
        shots_of(times_ms.map(|t_ms| (t_ms, draw(t_ms))))
    }

    fn starts_of(frames: impl IntoIterator<Item = RgbImage>) -> Vec<i64> {
        let frames = (0..).map(|at: i64| at * FRAME_MS).zip(frames);
        shots_of(frames).iter().map(|shot| shot.start_ms).collect()
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
    fn a_cut_may_follow_another_at_once() {
        let frames = (0..80).map(|at| match at {
            0..30 => scene(1, at, 0),
            30..35 => scene(2, at, 0),
            _ => scene(4, at, 0),
        });
        assert_eq!(starts_of(frames), [0, 30 * FRAME_MS, 35 * FRAME_MS]);
    }

    /// A picture beside which somebody stirs on each frame.
    fn with_neighbour(mut picture: RgbImage, at: i64) -> RgbImage {
        for (x, _, pixel) in picture.enumerate_pixels_mut() {
            if x >= 40 {
                *pixel = image::Rgb([if at % 2 > 0 { 120 } else { 129 }; 3]);
            }
        }
        picture
    }

    #[test]
    fn a_move_in_repeated_frames_beside_somebody_is_no_cut() {
        let of_frame = |at: i64| scene(3, at / 2 + if at < 40 { 0 } else { 2 }, 1);
        assert_eq!(starts_of((0..80).map(|at| with_neighbour(of_frame(at), at))), [0]);
        let cut = |at: i64| scene(if at < 40 { 1 } else { 2 }, 0, 0);
        assert_eq!(starts_of((0..80).map(|at| with_neighbour(cut(at), at))), [0, 40 * FRAME_MS]);
    }

    #[test]
    fn a_slow_film_in_a_fast_container_is_one_shot() {
        let drift = |at: i64| if at < 16 { at * at / 8 } else { 32 + 4 * (at - 16) };
        let frames = (0..400).map(|at| (at * 1000 / 60, scene(3, drift(at / 8), 1)));
        assert_eq!(shots_of(frames).len(), 1);
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
    fn frames_on_which_light_comes_back_belong_to_no_shot() {
        let black = RgbImage::new(48, 27);
        let dawn = |t_ms| blend(&black, &person(1, t_ms), progress(t_ms, 1_000, 3_000));
        let shots = shots_drawn((0..120).map(|at| at * FRAME_MS), dawn);
        let [dark, light] = shots[..] else { panic!("{shots:?}") };
        assert!(dark.end_ms < light.start_ms && light.start_ms < 1_800, "{shots:?}");
    }

    #[test]
    fn a_dark_scene_after_black_belongs_to_a_shot_whatever_follows_it() {
        let black = RgbImage::new(48, 27);
        let shots = shots_drawn((0..300).map(|at| at * FRAME_MS), |t_ms| match t_ms {
            ..1_000 => black.clone(),
            1_000..9_000 => blend(&black, &person(1, t_ms), 22.0 / mean_luma(&person(1, t_ms))),
            _ => person(2, t_ms),
        });
        let is_in_a_shot = |t_ms: i64| shots.iter().any(|shot| shot.contains(t_ms));
        assert!([1_500, 5_000, 8_900].into_iter().all(is_in_a_shot), "{shots:?}");
    }

    #[test]
    fn a_dark_scene_that_flickers_about_black_is_one_shot() {
        let flicker = |t_ms: i64| {
            let picture = person(1, t_ms);
            let luma = 15.5 + 10.5 * (t_ms as f64 / 170.0).sin();
            blend(&RgbImage::new(48, 27), &picture, luma / mean_luma(&picture))
        };
        assert_eq!(shots_drawn((0..200).map(|at| at * FRAME_MS), flicker).len(), 1);
    }

    #[test]
    fn a_dissolve_between_people_who_move_is_left_out_of_both_shots() {
        for (rate, length_ms) in
            [12, 25, 30, 60].into_iter().flat_map(|rate| [200, 500, 1_000, 2_000, 3_000].map(|ms| (rate, ms)))
        {
            let times_ms = (0..(6_000 + length_ms) * rate / 1000).map(|at| at * 1000 / rate);
            let mixed =
                |t_ms| blend(&person(1, t_ms), &person(2, t_ms), progress(t_ms, 3_000, 3_000 + length_ms));
            let shots = shots_drawn(times_ms, mixed);
            let [before, after] = shots[..] else { panic!("{rate}, {length_ms}: {shots:?}") };
            // A tenth of the other one cannot be seen, and the guard at cuts does the rest.
            let (early_ms, late_ms) = (before.end_ms - 3_000, 3_000 + length_ms - after.start_ms);
            assert!((-500..=84).contains(&early_ms), "{rate}, {length_ms}: {shots:?}");
            assert!((-500..=84).contains(&late_ms), "{rate}, {length_ms}: {shots:?}");
        }
    }

    #[test]
    fn a_cut_soon_after_a_dissolve_is_found_too() {
        let frames = |t_ms| match t_ms {
            4_200.. => scene(1, 0, 0),
            _ => blend(&person(1, t_ms), &person(2, t_ms), progress(t_ms, 3_000, 4_000)),
        };
        let shots = shots_drawn((0..180).map(|at| at * FRAME_MS), frames);
        assert_eq!((shots.len(), shots[2].start_ms), (3, 4_200), "{shots:?}");
    }

    #[test]
    fn a_fade_through_white_is_one_border() {
        let white = RgbImage::from_pixel(48, 27, image::Rgb([255; 3]));
        let frames = |t_ms| match t_ms {
            ..3_500 => blend(&person(1, t_ms), &white, progress(t_ms, 3_000, 3_500)),
            _ => blend(&white, &person(2, t_ms), progress(t_ms, 3_500, 4_000)),
        };
        assert_eq!(shots_drawn((0..180).map(|at| at * FRAME_MS), frames).len(), 2);
    }

    #[test]
    fn a_lamp_that_is_turned_up_is_no_dissolve() {
        let black = RgbImage::new(48, 27);
        let frames = |t_ms| blend(&black, &person(1, t_ms), 0.35 + 0.65 * progress(t_ms, 2_000, 3_000));
        assert_eq!(shots_drawn((0..150).map(|at| at * FRAME_MS), frames).len(), 1);
    }

    #[test]
    fn of_a_dissolve_that_a_cut_ends_the_longer_part_is_left() {
        let span = Span { start_ms: 1_000, end_ms: 2_000 };
        let parts = [900, 1_000, 1_100, 1_800, 2_000].map(|at_ms| longer_part(span, at_ms));
        let spans = parts.map(|part| (part.start_ms, part.end_ms));
        assert_eq!(spans, [(1_000, 2_000), (1_000, 2_000), (1_100, 2_000), (1_000, 1_800), (1_000, 2_000)]);
    }
}

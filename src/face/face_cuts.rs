//! Finds hard cuts that change the picture around a face, so that no track holds two people: even those that change only a
//! part of the picture, or a dim one, which are no cuts of the whole picture. Knows thumbnails and tracks.
//!
//! Such a cut is a frame that, inside the box of the track's face,
//! - differs from the frame before by at least `cut_min_difference`, and by `cut_ratio` times as much as its neighbours
//!   usually do;
//! - differs in every quarter (`MIN_EVENNESS`), as another face does, and a title or a hand does not;
//! - hardly correlates with the frame before (`MAX_CORRELATION`), as motion and another light do;
//! - is not undone within `RETURN_MS`, as a flash is.

use std::collections::VecDeque;

use image::RgbImage;

use super::open_track::OpenTrack;
use super::thumbnail::{Comparison, difference, least_difference_of_quarters, part_around, usual_step};
use crate::config::ClipRecipe;

/// Minimum difference in each quarter, as a share of that in the whole. At 22 cuts between people of real videos, each laid
/// out in another way, it was at least 0.63; where a title came or went over a face, less than 0.5, unless the face moved
/// fast on the same frame.
const MIN_EVENNESS: f64 = 0.5;
/// Frames whose lumas correlate at least this much inside the box show one face. At the same cuts the greatest was 0.5, and
/// 0.54 between two dim people beside black bars; changes of light stay above 0.9.
const MAX_CORRELATION: f64 = 0.6;
/// The part of the picture that is compared is this many times wider and higher than the face's box.
const PART_RATIO: f32 = 1.3;
/// If a picture from just before a frame comes back within this time, it was no cut, milliseconds.
const RETURN_MS: i64 = 300;
/// It is back if it differs by less than this share of what the frame differed.
const RETURNED: f64 = 0.6;
/// How many pictures before a frame, or from it on, may come back, or have been there before.
const NEAREST: usize = 3;
/// Neighbours before a frame: at least so many, or all within this time, milliseconds.
const PAST_NEIGHBOURS: usize = 6;
const PAST_MS: i64 = 400;
/// Neighbours after a frame.
const NEIGHBOURS: usize = 2;
/// How long pictures are kept, milliseconds: a track that is found late is followed back in time.
const KEPT_MS: i64 = 6_000;

/// Finds the cuts in the places of faces of one video. [`FaceCuts::push`] every frame's thumbnail in order, then
/// [`FaceCuts::end`].
#[derive(Debug)]
pub struct FaceCuts {
    cut_ratio: f64,
    min_difference: f64,
    recent: VecDeque<TimedPicture>,
    has_ended: bool,
}

#[derive(Debug)]
struct TimedPicture {
    t_ms: i64,
    picture: RgbImage,
}

impl FaceCuts {
    /// A finder with a recipe's thresholds.
    pub fn new(recipe: &ClipRecipe) -> Self {
        let (cut_ratio, min_difference) = (recipe.cut_ratio, recipe.cut_min_difference);
        Self { cut_ratio, min_difference, recent: VecDeque::new(), has_ended: false }
    }

    /// Adds the next frame.
    pub fn push(&mut self, t_ms: i64, picture: RgbImage) {
        self.recent.push_back(TimedPicture { t_ms, picture });
        while self.recent.front().is_some_and(|oldest| oldest.t_ms < t_ms - KEPT_MS) {
            self.recent.pop_front();
        }
    }

    /// No more frames come.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// When the oldest picture that is kept was shown, milliseconds.
    pub(super) fn oldest_ms(&self) -> i64 {
        self.recent.front().map_or(i64::MAX, |oldest| oldest.t_ms)
    }

    /// Later frames do not change what is found up to this time, milliseconds.
    pub(super) fn settled_ms(&self) -> i64 {
        let last_ms = self.recent.back().map_or(i64::MIN, |last| last.t_ms);
        let settled = self.recent.iter().rev().skip(NEIGHBOURS).find(|seen| seen.t_ms <= last_ms - RETURN_MS);
        if self.has_ended { last_ms } else { settled.map_or(i64::MIN, |seen| seen.t_ms) }
    }

    /// The frames that begin another picture in the place of a track's face, of those later than both its first face and
    /// `after_ms`, up to `until_ms`, which must be settled; milliseconds, ascending.
    pub(super) fn cuts_in(&self, track: &OpenTrack, after_ms: i64, until_ms: i64) -> Vec<i64> {
        let from_ms = after_ms.max(track.first().t_ms);
        let first = self.recent.partition_point(|seen| seen.t_ms <= from_ms).max(1);
        let after = self.recent.partition_point(|seen| seen.t_ms <= until_ms);
        let mut cuts: Vec<i64> = Vec::new();
        for at in first..after.max(first) {
            let known = cuts.last().copied().into_iter().chain(track.borders().last().copied()).max();
            let begins_ms = known.unwrap_or(i64::MIN).max(track.first().t_ms);
            if self.is_cut(at, track, begins_ms) {
                cuts.push(self.recent[at].t_ms);
            }
        }
        cuts
    }

    /// Whether the frame of this index is a cut, by the rule at the top of this file. The picture that it would end began at
    /// `begins_ms`.
    fn is_cut(&self, at: usize, track: &OpenTrack, begins_ms: i64) -> bool {
        let t_ms = self.recent[at].t_ms;
        let earlier = track.faces().partition_point(|seen| seen.t_ms < t_ms);
        let Some(last_seen) = earlier.checked_sub(1).map(|index| &track.faces()[index]) else { return false };
        let face_box = &last_seen.face.face_box;
        let part = |index: usize| part_around(&self.recent[index].picture, face_box, PART_RATIO);
        let (before, here) = (part(at - 1), part(at));
        let change = difference(&before, &here);
        if change < self.min_difference {
            return false;
        }
        let began = self.recent.partition_point(|seen| seen.t_ms <= begins_ms);
        let recently = self.recent.partition_point(|seen| seen.t_ms < t_ms - PAST_MS);
        let first = recently.min(at.saturating_sub(PAST_NEIGHBOURS)).max(began).max(1);
        let after = (at + 1 + NEIGHBOURS).min(self.recent.len());
        let neighbours = (first..at).chain(at + 1..after);
        let steps: Vec<f64> = neighbours.map(|index| difference(&part(index - 1), &part(index))).collect();
        change >= self.cut_ratio * usual_step(&steps)
            && least_difference_of_quarters(&before, &here) >= MIN_EVENNESS * change
            && Comparison::of(&before, &here).correlation < MAX_CORRELATION
            && !self.is_undone(at, &part, RETURNED * change)
    }

    /// Whether a picture from before a frame and one from then on differ by less than `tolerance`: one of the nearest three on
    /// one side, and any within [`RETURN_MS`] on the other.
    fn is_undone(&self, at: usize, part: &dyn Fn(usize) -> RgbImage, tolerance: f64) -> bool {
        let t_ms = self.recent[at].t_ms;
        let oldest = self.recent.partition_point(|seen| seen.t_ms < t_ms - RETURN_MS);
        let latest = self.recent.partition_point(|seen| seen.t_ms <= t_ms + RETURN_MS).max(at + 1);
        let before: Vec<RgbImage> = (oldest..at).rev().map(part).collect();
        let from_here: Vec<RgbImage> = (at..latest).map(part).collect();
        let nearest = |pictures: &[RgbImage]| pictures.len().min(NEAREST);
        let alike = |one: &[RgbImage], other: &[RgbImage]| {
            one.iter().any(|a| other.iter().any(|b| difference(a, b) < tolerance))
        };
        alike(&before[..nearest(&before)], &from_here) || alike(&before, &from_here[..nearest(&from_here)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::fake::face_at;
    use crate::types::SeenFace;

    const FRAME_MS: i64 = 40;

    /// A small face before a wall, a twelfth of the picture; the other person is the same face upside down.
    fn person(is_turned: bool, moved: i64) -> RgbImage {
        RgbImage::from_fn(48, 27, |x, y| {
            let (across, down) = (f64::from(x) - 23.5 - moved as f64, f64::from(y) - 13.0);
            let is_face = across.hypot(down) < 5.5;
            let is_dark = (down < 0.0) != is_turned;
            image::Rgb(
                [if !is_face {
                    120
                } else if is_dark {
                    50
                } else {
                    190
                }; 3],
            )
        })
    }

    fn lit(picture: &RgbImage, light: f64) -> RgbImage {
        let bytes = picture.as_raw().iter().map(|byte| (f64::from(*byte) * light).min(255.0) as u8);
        RgbImage::from_raw(picture.width(), picture.height(), bytes.collect()).unwrap()
    }

    /// The cuts in the place of a face that is seen on every fifth of these frames.
    fn cuts_of(frames: impl IntoIterator<Item = RgbImage>) -> Vec<i64> {
        let mut cuts = FaceCuts::new(&ClipRecipe::default());
        let frames: Vec<RgbImage> = frames.into_iter().collect();
        let seen_at =
            |t_ms| SeenFace { t_ms, face: face_at(18.0 / 48.0, 8.0 / 27.0, 11.0 / 48.0, 11.0 / 27.0) };
        let mut track = OpenTrack::new(0, 0, seen_at(0), FRAME_MS);
        for (at, frame) in frames.into_iter().enumerate() {
            let t_ms = at as i64 * FRAME_MS;
            cuts.push(t_ms, frame);
            if at > 0 && at % 5 == 0 {
                track.push(seen_at(t_ms), t_ms + FRAME_MS);
            }
            track.split_at(&cuts);
        }
        cuts.end();
        track.split_at(&cuts);
        track.borders().to_vec()
    }

    #[test]
    fn another_face_in_the_same_place_is_found_at_its_first_frame_also_in_dim_light() {
        for light in [1.0, 0.4] {
            let frames = (0..80).map(|at| lit(&person(at >= 42, at % 2), light));
            assert_eq!(cuts_of(frames), [42 * FRAME_MS], "{light}");
        }
    }

    #[test]
    fn two_changes_of_a_face_are_found_when_they_are_more_than_a_flash_apart() {
        let frames = (0..80).map(|at| person((30..45).contains(&at), 0));
        assert_eq!(cuts_of(frames), [30 * FRAME_MS, 45 * FRAME_MS]);
    }

    #[test]
    fn what_flashes_or_hides_a_face_for_a_moment_is_not_a_cut() {
        let white = RgbImage::from_pixel(48, 27, image::Rgb([255; 3]));
        for hidden in [1, 3, 6] {
            let frames = (0..80).map(|at| match at - 40 {
                other if (0..hidden).contains(&other) => white.clone(),
                _ => person(false, at % 2),
            });
            assert_eq!(cuts_of(frames), [0; 0], "{hidden} frames");
        }
    }

    #[test]
    fn another_light_and_a_jerk_are_not_cuts() {
        let light = (0..80).map(|at| lit(&person(false, 0), if at < 40 { 1.0 } else { 0.55 }));
        assert_eq!(cuts_of(light), [0; 0]);
        let jerk = (0..80).map(|at| person(false, if at < 40 { 0 } else { 2 }));
        assert_eq!(cuts_of(jerk), [0; 0]);
    }
}

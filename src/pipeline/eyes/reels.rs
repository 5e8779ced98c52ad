//! Cuts clips while the video is being looked at, so that it is decoded only once. Each frame waits about a second: how
//! it is framed depends on where its faces are until then, and whether it is cut, on what its track has come to.
//!
//! It never holds more than a bounded number of bytes. A clip for which that is not enough is not cut here; whoever
//! plans the clips of the finished scan then has it cut from the file.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::aside::{Aside, Later};
use super::frames_aside;
use super::framing::REACH_MS;
use super::looker::Looker;
use super::reel::{Reel, Shears};
use crate::face::open_track::OpenTrack;
use crate::face::select::{self, ClipPlan};
use crate::face::shots::ShotFinder;
use crate::face::track::Tracker;
use crate::failure::Failure;
use crate::media::VideoFrame;
use crate::types::{SeenFace, Span};

/// A frame waits so long for what comes after it: the reach of its window, two looks, and a short gap in a track.
const HOLD_MS: i64 = REACH_MS + 500;
/// A track whose face is smaller than this share of what a clip needs is not worth framing.
const HOPELESS: f32 = 0.6;
/// Faces this far away from a frame still say where its window is.
const NEAR_MS: i64 = 2_000;
/// Memory of all frames that wait, bytes; where they take more, clips are cut afterwards.
const MOST_HELD_BYTES: usize = 1 << 30;
/// Memory of all stills that wait to be cut, bytes.
const MOST_BYTES: usize = 160 << 20;
/// So many clips are encoded at once: the clips of two people in one shot end together.
const CLIPS_ASIDE: usize = 2;

/// The reels of all tracks that are going on.
pub(super) struct Reels<'a> {
    shears: Shears<'a>,
    /// Frames that wait, oldest first.
    held: VecDeque<Arc<VideoFrame>>,
    /// By the track's number.
    reels: BTreeMap<usize, Reel>,
    framing: Aside,
    cutting: Aside,
    /// Clips that are being laid down, oldest first.
    uncertain: VecDeque<Later<()>>,
}

/// A track as it is around one frame.
struct Near {
    number: usize,
    faces: Vec<SeenFace>,
    /// It ended before or with this frame.
    is_over: bool,
    start_ms: i64,
}

impl<'a> Reels<'a> {
    pub(super) fn new(shears: Shears<'a>, frame_bytes: u64) -> Self {
        Self {
            shears,
            held: VecDeque::new(),
            reels: BTreeMap::new(),
            framing: Aside::new(1, frames_aside(frame_bytes)),
            cutting: Aside::new(CLIPS_ASIDE, 0),
            uncertain: VecDeque::new(),
        }
    }

    /// Takes the frame that was just looked at.
    pub(super) fn take(
        &mut self,
        frame: Arc<VideoFrame>,
        looker: &mut Looker<'_>,
        finder: &ShotFinder,
    ) -> Result<(), Failure> {
        let now_ms = frame.time_ms();
        self.held.push_back(frame);
        while let Some(frame) = self.held.pop_front_if(|frame| frame.time_ms() + HOLD_MS <= now_ms) {
            self.develop(&frame, looker, finder)?;
        }
        if self.held.iter().map(|frame| frame.size_bytes()).sum::<usize>() > MOST_HELD_BYTES {
            // The frames that go now would leave a gap in every reel.
            self.held.clear();
            self.reels.clear();
        }
        Ok(())
    }

    /// The video has come to its end, and all its tracks with it.
    pub(super) fn finish(&mut self, looker: &mut Looker<'_>, finder: &ShotFinder) -> Result<(), Failure> {
        while let Some(frame) = self.held.pop_front() {
            self.develop(&frame, looker, finder)?;
        }
        self.uncertain.drain(..).try_for_each(Later::take)
    }

    fn develop(
        &mut self,
        frame: &Arc<VideoFrame>,
        looker: &mut Looker<'_>,
        finder: &ShotFinder,
    ) -> Result<(), Failure> {
        let t_ms = frame.time_ms();
        let (recipe, size) = (self.shears.recipe, (frame.width(), frame.height()));
        let all_near = self.near(looker.tracker(), t_ms);
        // The other tracks are over, and gave no clip.
        self.reels.retain(|number, _| all_near.iter().any(|near| near.number == *number));
        for near in all_near {
            let face = near.faces.iter().min_by_key(|seen| (seen.t_ms - t_ms).abs());
            let side_px = face.map_or(0.0, |seen| select::shorter_side_px(&seen.face, size));
            if side_px < recipe.min_clip_face_px * HOPELESS {
                self.reels.remove(&near.number);
                continue;
            }
            let reel = self.reels.entry(near.number).or_insert_with(|| Reel::new(t_ms));
            reel.add(frame, &near.faces, recipe, &self.framing);
            let waiting_ms = t_ms - reel.start_ms().max(near.start_ms);
            if near.is_over || waiting_ms > recipe.max_clip_ms + recipe.min_clip_ms {
                self.cut(&near, t_ms, looker, finder, size)?;
            }
        }
        self.keep_small();
        Ok(())
    }

    /// The tracks that a frame belongs to, but for those that are too brief already.
    fn near(&self, tracker: &Tracker, t_ms: i64) -> Vec<Near> {
        let min_clip_ms = self.shears.recipe.min_clip_ms;
        let of = |track: &OpenTrack, ended: bool| Near {
            number: track.number,
            faces: close_to(track.faces(), t_ms).to_vec(),
            is_over: ended && track.last().t_ms <= t_ms,
            start_ms: track.first().t_ms,
        };
        let here = |track: &&OpenTrack| track.first().t_ms <= t_ms && t_ms <= track.last().t_ms;
        let latest =
            tracker.ended_tracks().iter().rev().take_while(|track| track.last().t_ms + NEAR_MS > t_ms);
        let long = |track: &&OpenTrack| track.span().length_ms() >= min_clip_ms;
        let ended = latest.filter(here).filter(long).map(|track| of(track, true));
        ended.chain(tracker.open_tracks().iter().filter(here).map(|track| of(track, false))).collect()
    }

    /// Cuts what is sure of a track by now; all of it when it is over.
    fn cut(
        &mut self,
        near: &Near,
        t_ms: i64,
        looker: &mut Looker<'_>,
        finder: &ShotFinder,
        size: (u32, u32),
    ) -> Result<(), Failure> {
        let recipe = self.shears.recipe;
        let Some(reel) = self.reels.get_mut(&near.number) else { return Ok(()) };
        for plan in plans(near, looker.tracker(), finder, (recipe, size)) {
            // When a track is over, the reel has its last frame.
            if reel.start_ms() < plan.span.end_ms && (near.is_over || plan.span.end_ms <= t_ms) {
                self.uncertain.extend(reel.cut(&plan, self.shears, looker.detector(), &self.cutting)?);
                // No more clips may be on their way: waits for the oldest one.
                while self.uncertain.len() > CLIPS_ASIDE {
                    self.uncertain.pop_front().map_or(Ok(()), Later::take)?;
                }
            }
        }
        if near.is_over {
            self.reels.remove(&near.number);
        }
        Ok(())
    }

    /// Lets the fullest reel go while there is too much in all.
    fn keep_small(&mut self) {
        while self.reels.values().map(Reel::bytes).sum::<usize>() > MOST_BYTES {
            let fullest = self.reels.iter().max_by_key(|(_, reel)| reel.bytes()).map(|(number, _)| *number);
            if let Some(number) = fullest {
                self.reels.remove(&number);
            }
        }
    }
}

/// The clips of a track as far as they are sure. Left to others is what was framed by faces that a border which was
/// found afterwards has taken away: on the other side of a dissolve may be somebody else.
fn plans(
    near: &Near,
    tracker: &Tracker,
    finder: &ShotFinder,
    (recipe, size): (&crate::config::ClipRecipe, (u32, u32)),
) -> Vec<ClipPlan> {
    let all = tracker.open_tracks().iter().chain(tracker.ended_tracks().iter().rev());
    let Some(track) = all.into_iter().find(|track| track.number == near.number) else { return Vec::new() };
    let shots: Vec<Span> = finder.so_far(i64::MAX);
    let pieces = track.pieces(&shots);
    let last = pieces.len().saturating_sub(1);
    let of_piece = |(at, piece): (usize, &crate::types::Track)| {
        let goes_on = !near.is_over && at == last;
        let spans = match select::verdict(piece, size, recipe) {
            Some(_) => Vec::new(),
            None => select::spans(piece, &shots, recipe, goes_on),
        };
        let plans = spans.into_iter().map(|span| ClipPlan::new(0, piece, span));
        plans.filter(|plan| plan.has_all_of(track.faces())).collect::<Vec<_>>()
    };
    pieces.iter().enumerate().flat_map(of_piece).collect()
}

/// The faces near a time, and the nearest beyond.
fn close_to(faces: &[SeenFace], t_ms: i64) -> &[SeenFace] {
    let first = faces.partition_point(|seen| seen.t_ms < t_ms - NEAR_MS).saturating_sub(1);
    let after = (faces.partition_point(|seen| seen.t_ms <= t_ms + NEAR_MS) + 1).min(faces.len());
    &faces[first..after]
}

//! Cuts clips during the scan, so that the video is decoded only once. Each frame waits about a second: its window
//! depends on where the face is until then, and whether it is cut depends on how its track continues.
//!
//! Memory is bounded. A clip that would need more is not cut here; the stage `cut`, which plans the clips of the
//! finished scan, then has it cut from the file.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::background::{Background, Pending};
use super::clip_buffer::{ClipBuffer, CutSettings};
use super::framing::REACH_MS;
use super::framing_queue_len;
use super::looker::Looker;
use crate::config::ClipRecipe;
use crate::face::open_track::OpenTrack;
use crate::face::select::{self, ClipPlan, FRAMING_REACH_MS};
use crate::face::shots::ShotFinder;
use crate::face::track::Tracker;
use crate::failure::Failure;
use crate::media::VideoFrame;
use crate::types::{SeenFace, Span, Track};

/// How long a frame waits for later ones: the reach of its window, two looks, and a short gap in a track.
const HOLD_MS: i64 = REACH_MS + 500;
/// A track whose face is smaller than this share of what a clip needs is not framed.
const MIN_SIZE_SHARE: f32 = 0.6;
/// Memory of all frames that wait, bytes; where they take more, clips are cut from the file afterwards.
const MAX_HELD_BYTES: usize = 1 << 30;
/// Memory of all stills that wait to be cut, bytes.
const MAX_BUFFERED_BYTES: usize = 160 << 20;
/// Clips that are encoded at once: the clips of two people in one shot end together.
const ENCODING_THREADS: usize = 2;

/// Buffers the frames of all current tracks, and cuts their clips.
pub(super) struct LiveCutter<'a> {
    settings: CutSettings<'a>,
    /// Frames that wait, oldest first.
    held: VecDeque<Arc<VideoFrame>>,
    /// By the track's number.
    buffers: BTreeMap<usize, ClipBuffer>,
    framing: Background,
    encoding: Background,
    /// Clips that are being encoded, oldest first.
    unfinished: VecDeque<Pending<()>>,
}

/// A track around one frame.
struct NearTrack {
    number: usize,
    /// Those around the frame's time.
    faces: Vec<SeenFace>,
    /// The track has ended, at this frame or before.
    is_over: bool,
    start_ms: i64,
}

impl<'a> LiveCutter<'a> {
    pub(super) fn new(settings: CutSettings<'a>, frame_bytes: u64) -> Self {
        Self {
            settings,
            held: VecDeque::new(),
            buffers: BTreeMap::new(),
            framing: Background::new(1, framing_queue_len(frame_bytes)),
            encoding: Background::new(ENCODING_THREADS, 0),
            unfinished: VecDeque::new(),
        }
    }

    /// Takes the next frame, which the looker has taken.
    pub(super) fn push(
        &mut self,
        frame: Arc<VideoFrame>,
        looker: &mut Looker<'_>,
        finder: &ShotFinder,
    ) -> Result<(), Failure> {
        let now_ms = frame.time_ms();
        self.held.push_back(frame);
        while let Some(frame) = self.held.pop_front_if(|frame| frame.time_ms() + HOLD_MS <= now_ms) {
            self.process(&frame, looker, finder)?;
        }
        if self.held.iter().map(|frame| frame.size_bytes()).sum::<usize>() > MAX_HELD_BYTES {
            // Without the held frames every buffer has a gap.
            self.held.clear();
            self.buffers.clear();
        }
        Ok(())
    }

    /// The video and all its tracks have ended: cuts what is left, and waits until every clip is written.
    pub(super) fn finish(&mut self, looker: &mut Looker<'_>, finder: &ShotFinder) -> Result<(), Failure> {
        while let Some(frame) = self.held.pop_front() {
            self.process(&frame, looker, finder)?;
        }
        self.unfinished.drain(..).try_for_each(Pending::wait)
    }

    /// Adds a frame to the buffers of its tracks, and cuts where a track is over or a buffer is long enough.
    fn process(
        &mut self,
        frame: &Arc<VideoFrame>,
        looker: &mut Looker<'_>,
        finder: &ShotFinder,
    ) -> Result<(), Failure> {
        let t_ms = frame.time_ms();
        let recipe = self.settings.recipe;
        let all_near = self.near(looker.tracker(), t_ms);
        // All other tracks are over, and their last frames gave no clip.
        self.buffers.retain(|number, _| all_near.iter().any(|near| near.number == *number));
        for near in all_near {
            let face = near.faces.iter().min_by_key(|seen| (seen.t_ms - t_ms).abs());
            let side_px = face.map_or(0.0, |seen| select::shorter_side_px(&seen.face, size(frame)));
            if side_px < recipe.min_clip_face_px * MIN_SIZE_SHARE {
                self.buffers.remove(&near.number);
                continue;
            }
            let empty = || ClipBuffer::new(t_ms, size(frame), recipe);
            let buffer = self.buffers.entry(near.number).or_insert_with(empty);
            buffer.add(frame, &near.faces, recipe, &self.framing);
            let waiting_ms = t_ms - buffer.start_ms().max(near.start_ms);
            // Only looks change what can be cut.
            let is_look = near.faces.iter().any(|seen| seen.t_ms == t_ms);
            if near.is_over || (is_look && waiting_ms > recipe.max_clip_ms + recipe.min_clip_ms) {
                self.cut(&near, frame, looker, finder)?;
            }
        }
        self.limit_memory();
        Ok(())
    }

    /// The tracks that a frame belongs to, without those that have ended too short for a clip.
    fn near(&self, tracker: &Tracker, t_ms: i64) -> Vec<NearTrack> {
        let min_clip_ms = self.settings.recipe.min_clip_ms;
        let of = |track: &OpenTrack, ended: bool| NearTrack {
            number: track.number,
            faces: close_to(track.faces(), t_ms).to_vec(),
            is_over: ended && track.last().t_ms <= t_ms,
            start_ms: track.first().t_ms,
        };
        let here = |track: &&OpenTrack| track.first().t_ms <= t_ms && t_ms <= track.last().t_ms;
        let is_recent = |track: &&OpenTrack| track.last().t_ms + FRAMING_REACH_MS > t_ms;
        let latest = tracker.ended_tracks().iter().rev().take_while(is_recent);
        let long = |track: &&OpenTrack| track.span().length_ms() >= min_clip_ms;
        let ended = latest.filter(here).filter(long).map(|track| of(track, true));
        ended.chain(tracker.open_tracks().iter().filter(here).map(|track| of(track, false))).collect()
    }

    /// Cuts the clips of a track that later frames cannot change; all of them when it is over.
    fn cut(
        &mut self,
        near: &NearTrack,
        frame: &VideoFrame,
        looker: &mut Looker<'_>,
        finder: &ShotFinder,
    ) -> Result<(), Failure> {
        let (recipe, t_ms) = (self.settings.recipe, frame.time_ms());
        let Some(buffer) = self.buffers.get_mut(&near.number) else { return Ok(()) };
        for plan in plans(near, looker.tracker(), finder, recipe, size(frame)) {
            // When a track is over, its last frame is in the buffer.
            if buffer.start_ms() < plan.span.end_ms && (near.is_over || plan.span.end_ms <= t_ms) {
                self.unfinished.extend(buffer.cut(
                    &plan,
                    self.settings,
                    looker.detector(),
                    &self.encoding,
                )?);
                while self.unfinished.len() > ENCODING_THREADS {
                    self.unfinished.pop_front().map_or(Ok(()), Pending::wait)?;
                }
            }
        }
        if near.is_over {
            self.buffers.remove(&near.number);
        }
        Ok(())
    }

    /// Drops the largest buffers while all together take too much memory.
    fn limit_memory(&mut self) {
        while self.buffers.values().map(ClipBuffer::bytes).sum::<usize>() > MAX_BUFFERED_BYTES {
            let largest =
                self.buffers.iter().max_by_key(|(_, buffer)| buffer.bytes()).map(|(number, _)| *number);
            if let Some(number) = largest {
                self.buffers.remove(&number);
            }
        }
    }
}

fn size(frame: &VideoFrame) -> (u32, u32) {
    (frame.width(), frame.height())
}

/// The clips of a track that later frames cannot change. Leaves out a clip framed by faces beyond a border that was found
/// later: on the other side of a dissolve may be another person. The stage `cut` has such a clip cut from the file.
fn plans(
    near: &NearTrack,
    tracker: &Tracker,
    finder: &ShotFinder,
    recipe: &ClipRecipe,
    size: (u32, u32),
) -> Vec<ClipPlan> {
    let all = tracker.open_tracks().iter().chain(tracker.ended_tracks().iter().rev());
    let Some(track) = all.into_iter().find(|track| track.number == near.number) else { return Vec::new() };
    let shots: Vec<Span> = finder.shots(i64::MAX);
    let pieces = track.pieces(&shots);
    let last = pieces.len().saturating_sub(1);
    let of_piece = |(at, piece): (usize, &Track)| {
        let goes_on = !near.is_over && at == last;
        let spans = match select::verdict(piece, size, recipe) {
            Some(_) => Vec::new(),
            None if goes_on => select::final_spans(piece, &shots, recipe),
            None => select::spans(piece, &shots, recipe),
        };
        // The track's index in the scan is not known yet; names of staged clips do not contain it.
        let plans = spans.into_iter().map(|span| ClipPlan::new(0, piece, span));
        plans.filter(|plan| plan.has_all_of(track.faces())).collect::<Vec<_>>()
    };
    pieces.iter().enumerate().flat_map(of_piece).collect()
}

/// The faces within [`FRAMING_REACH_MS`] of a time, and the next one beyond on either side.
fn close_to(faces: &[SeenFace], t_ms: i64) -> &[SeenFace] {
    let first = faces.partition_point(|seen| seen.t_ms < t_ms - FRAMING_REACH_MS).saturating_sub(1);
    let after = (faces.partition_point(|seen| seen.t_ms <= t_ms + FRAMING_REACH_MS) + 1).min(faces.len());
    &faces[first..after]
}

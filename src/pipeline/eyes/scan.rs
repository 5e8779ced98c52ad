//! One streaming decode of a video: every frame's thumbnail to the shot finder, some frames to the detector, and what
//! becomes clips to the reels. Memory is bounded whatever the video's length.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::looker::Looker;
use super::reel::Shears;
use super::reels::Reels;
use super::{DECODER_THREADS, Watch, tell};
use crate::config::ClipRecipe;
use crate::face::Detector;
use crate::face::shots::{Placed, ShotFinder, THUMBNAIL_WIDTH_PX};
use crate::failure::Failure;
use crate::media::{Decoder, VideoFrame};
use crate::types::Scan;

/// Finds all shots and all face tracks of a video. With a folder, clips are laid down there on the way, as
/// `pipeline::cuttings` says; those that are missing can be cut later.
///
/// # Errors
/// When the file does not decode, the detector fails, a clip cannot be written, or the watcher stops the work.
pub fn scan_video(
    path: &Path,
    recipe: &ClipRecipe,
    detector: &mut dyn Detector,
    clips: Option<&Path>,
    watch: &mut dyn Watch,
) -> Result<Scan, Failure> {
    let mut decoder = Decoder::open(path, DECODER_THREADS)?.read_ahead();
    let (total_ms, frame_rate) = (decoder.probe().duration_ms, decoder.probe().frame_rate);
    let (width, height) = (decoder.probe().width, decoder.probe().height);
    let frame_ms = (1000.0 / frame_rate.max(1.0)).round() as i64;
    let frame_rate = frame_rate.clamp(1.0, 240.0);
    let shears = |folder| Shears { recipe, folder, frame_rate };
    let frame_bytes = decoder.probe().frame_bytes;
    let reels = clips.map(|folder| Reels::new(shears(folder), frame_bytes));
    let (finder, looker) = (ShotFinder::new(recipe), Looker::new(recipe, detector, frame_ms));
    let mut walk = Walk { finder, looker, reels, unplaced: VecDeque::new() };
    let (mut frames_decoded, mut last_ms) = (0, 0);
    while let Some(frame) = decoder.next_frame()? {
        frames_decoded += 1;
        last_ms = frame.time_ms();
        tell(watch, last_ms, total_ms, path)?;
        walk.take(frame)?;
    }
    walk.end()?;
    let duration_ms = last_ms + walk.looker.tracker().frame_ms();
    let shots = walk.finder.finish(duration_ms);
    let (tracks, frames_detected) = walk.looker.finish(&shots);
    Ok(Scan { width, height, duration_ms, shots, tracks, frames_decoded, frames_detected })
}

/// What every frame goes through, in this order.
struct Walk<'a> {
    finder: ShotFinder,
    looker: Looker<'a>,
    reels: Option<Reels<'a>>,
    /// Frames of which nobody knows yet whether a shot begins with them.
    unplaced: VecDeque<VideoFrame>,
}

impl Walk<'_> {
    fn take(&mut self, frame: VideoFrame) -> Result<(), Failure> {
        let placed = self.finder.push(frame.time_ms(), frame.thumbnail(THUMBNAIL_WIDTH_PX)?);
        self.unplaced.push_back(frame);
        placed.map_or(Ok(()), |placed| self.look(placed))
    }

    fn look(&mut self, placed: Placed) -> Result<(), Failure> {
        let Some(frame) = self.unplaced.pop_front().map(Arc::new) else { return Ok(()) };
        self.looker.take(&frame, placed.begins_shot)?;
        match &mut self.reels {
            Some(reels) => reels.take(frame, &mut self.looker, &self.finder),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        while let Some(placed) = self.finder.flush() {
            self.look(placed)?;
        }
        self.looker.end()?;
        match &mut self.reels {
            Some(reels) => reels.finish(&mut self.looker, &self.finder),
            None => Ok(()),
        }
    }
}

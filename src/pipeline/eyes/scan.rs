//! One streaming decode of a video: every frame's thumbnail goes to the finders of cuts, and every frame to the looker
//! and, if clips are wanted, to the live cutter. Memory is bounded, however long the video.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::clip_buffer::CutSettings;
use super::live_cutter::LiveCutter;
use super::looker::Looker;
use super::{DECODER_THREADS, Watch, notify};
use crate::config::ClipRecipe;
use crate::face::Detector;
use crate::face::face_cuts::FaceCuts;
use crate::face::shots::{Placed, ShotFinder, THUMBNAIL_WIDTH_PX};
use crate::failure::Failure;
use crate::media::{Decoder, VideoFrame};
use crate::types::Scan;

/// Finds all shots and all face tracks of a video. Given a folder, it also writes clips there on the way, in the format
/// of `pipeline::staged_clips`; it may leave some out, which can be cut from the file later.
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
    let settings = |folder| CutSettings { recipe, folder, frame_rate };
    let frame_bytes = decoder.probe().frame_bytes;
    let cutter = clips.map(|folder| LiveCutter::new(settings(folder), frame_bytes));
    let (finder, face_cuts) = (ShotFinder::new(recipe), FaceCuts::new(recipe));
    let looker = Looker::new(recipe, detector, frame_ms);
    let mut pass = Pass { finder, face_cuts, looker, cutter, unplaced: VecDeque::new() };
    let (mut frames_decoded, mut last_ms) = (0, 0);
    while let Some(frame) = decoder.next_frame()? {
        frames_decoded += 1;
        last_ms = frame.time_ms();
        notify(watch, last_ms, total_ms, path)?;
        pass.push(frame)?;
    }
    pass.end()?;
    let duration_ms = last_ms + pass.looker.tracker().last_frame_ms();
    let shots = pass.finder.shots(duration_ms);
    let (tracks, frames_detected) = pass.looker.finish(&shots);
    Ok(Scan { width, height, duration_ms, shots, tracks, frames_decoded, frames_detected })
}

/// What every frame goes through, in this order.
struct Pass<'a> {
    finder: ShotFinder,
    face_cuts: FaceCuts,
    looker: Looker<'a>,
    cutter: Option<LiveCutter<'a>>,
    /// Frames of which the shot finder does not know yet whether a shot begins with them.
    unplaced: VecDeque<VideoFrame>,
}

impl Pass<'_> {
    fn push(&mut self, frame: VideoFrame) -> Result<(), Failure> {
        let thumbnail = frame.thumbnail(THUMBNAIL_WIDTH_PX)?;
        self.face_cuts.push(frame.time_ms(), thumbnail.clone());
        self.finder.push(frame.time_ms(), thumbnail);
        self.unplaced.push_back(frame);
        self.process_placed()
    }

    fn process_placed(&mut self) -> Result<(), Failure> {
        while let Some(placed) = self.finder.place_next(&self.looker.tracker().last_boxes()) {
            self.process(placed)?;
        }
        Ok(())
    }

    fn process(&mut self, placed: Placed) -> Result<(), Failure> {
        let Some(frame) = self.unplaced.pop_front().map(Arc::new) else { return Ok(()) };
        self.looker.push(&frame, placed.begins_shot)?;
        self.looker.split_at(&self.face_cuts);
        match &mut self.cutter {
            Some(cutter) => cutter.push(frame, &mut self.looker, &self.finder),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.finder.end();
        self.face_cuts.end();
        self.process_placed()?;
        self.looker.end()?;
        self.looker.split_at(&self.face_cuts);
        match &mut self.cutter {
            Some(cutter) => cutter.finish(&mut self.looker, &self.finder),
            None => Ok(()),
        }
    }
}

//! One streaming decode of a video: every frame's thumbnail to the shot finder, some frames to the detector.
//! Memory is bounded by a look's interval, whatever the video's length.

use std::collections::VecDeque;
use std::path::Path;

use super::looker::Looker;
use super::{DECODER_THREADS, Watch, tell};
use crate::config::ClipRecipe;
use crate::face::shots::{ShotFinder, THUMBNAIL_WIDTH_PX};
use crate::face::{Detector, track};
use crate::failure::Failure;
use crate::media::{Decoder, VideoFrame};
use crate::types::Scan;

/// Finds all shots and all face tracks of a video.
///
/// # Errors
/// When the file does not decode, the detector fails, or the watcher stops the work.
pub fn scan_video(
    path: &Path,
    recipe: &ClipRecipe,
    detector: &mut dyn Detector,
    watch: &mut dyn Watch,
) -> Result<Scan, Failure> {
    let mut decoder = Decoder::open(path, DECODER_THREADS)?;
    let (total_ms, frame_rate) = (decoder.probe().duration_ms, decoder.probe().frame_rate);
    let (width, height) = (decoder.probe().width, decoder.probe().height);
    let frame_ms = (1000.0 / frame_rate.max(1.0)).round() as i64;
    let mut finder = ShotFinder::new(recipe);
    let mut looker = Looker::new(recipe, detector);
    let mut unplaced: VecDeque<VideoFrame> = VecDeque::new();
    let (mut frames_decoded, mut last_ms) = (0, 0);
    while let Some(frame) = decoder.next_frame()? {
        frames_decoded += 1;
        last_ms = frame.time_ms();
        tell(watch, last_ms, total_ms, path)?;
        let placed = finder.push(last_ms, frame.thumbnail(THUMBNAIL_WIDTH_PX)?);
        unplaced.push_back(frame);
        if let Some((placed, frame)) = placed.and_then(|placed| Some((placed, unplaced.pop_front()?))) {
            looker.take(frame, placed.begins_shot)?;
        }
    }
    for frame in unplaced {
        let begins_shot = finder.flush().is_some_and(|placed| placed.begins_shot);
        looker.take(frame, begins_shot)?;
    }
    let duration_ms = last_ms + frame_ms;
    let shots = finder.finish(duration_ms);
    let (tracks, frames_detected) = looker.finish(frame_ms)?;
    let tracks = track::split_at_shots(tracks, &shots);
    Ok(Scan { width, height, duration_ms, shots, tracks, frames_decoded, frames_detected })
}

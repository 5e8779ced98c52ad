//! Cuts planned clips from a file in one pass, skipping what no plan asks for. Knows nothing of who planned them.

use std::path::Path;
use std::sync::Arc;

use super::aside::{Aside, Later};
use super::jump::Jumper;
use super::reel::{Reel, Shears};
use super::{DECODER_THREADS, Watch, frames_aside, tell};
use crate::config::ClipRecipe;
use crate::face::Detector;
use crate::face::select::ClipPlan;
use crate::failure::Failure;
use crate::media::Decoder;

/// Cuts clips into `folder`, each as `pipeline::cuttings` says.
///
/// # Errors
/// When the video does not decode, a file cannot be written, or the watcher stops the work.
pub fn cut_clips(
    path: &Path,
    plans: &[ClipPlan],
    recipe: &ClipRecipe,
    detector: &mut dyn Detector,
    folder: &Path,
    watch: &mut dyn Watch,
) -> Result<(), Failure> {
    let decoder = Decoder::open(path, DECODER_THREADS)?;
    let frame_bytes = decoder.probe().frame_bytes;
    let frame_rate = decoder.probe().frame_rate.clamp(1.0, 240.0);
    let mut frames = Jumper::new(decoder);
    let shears = Shears { recipe, folder, frame_rate };
    let (framing, cutting) = (Aside::new(1, frames_aside(frame_bytes)), Aside::new(1, 0));
    let mut waiting: Vec<&ClipPlan> = plans.iter().collect();
    waiting.sort_by_key(|plan| std::cmp::Reverse(plan.span.start_ms));
    let last_ms = plans.iter().map(|plan| plan.span.end_ms).max().unwrap_or(0);
    let mut in_hand: Vec<(&ClipPlan, Reel)> = Vec::new();
    loop {
        let next = waiting.last().filter(|_| in_hand.is_empty());
        let frame = frames.next_frame(next.map(|plan| plan.span.start_ms))?;
        let now_ms = frame.as_ref().map_or(i64::MAX, |frame| frame.time_ms());
        tell(watch, now_ms.min(last_ms), last_ms, path)?;
        while waiting.last().is_some_and(|plan| plan.span.start_ms <= now_ms) {
            in_hand.extend(waiting.pop().map(|plan| (plan, Reel::of(plan, recipe))));
        }
        for (plan, reel) in in_hand.iter_mut().filter(|(plan, _)| plan.span.end_ms <= now_ms) {
            reel.cut(plan, shears, detector, &cutting)?.map_or(Ok(()), Later::take)?;
        }
        in_hand.retain(|(plan, _)| plan.span.end_ms > now_ms);
        let Some(frame) = frame.map(Arc::new) else { return Ok(()) };
        for (plan, reel) in &mut in_hand {
            reel.add(&frame, &plan.faces, recipe, &framing);
        }
        if in_hand.is_empty() && waiting.is_empty() {
            return Ok(());
        }
    }
}

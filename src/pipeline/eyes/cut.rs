//! Cuts planned clips from a file, and skips what no plan needs. One pass over the file, or several where clips that
//! overlap in time would together take too much memory.

use std::cmp::Reverse;
use std::sync::Arc;

use super::background::{Background, Pending};
use super::clip_buffer::{ClipBuffer, CutSettings};
use super::jump::Jumper;
use super::{DECODER_THREADS, Watch, framing_queue_len, notify};
use crate::face::Detector;
use crate::face::select::ClipPlan;
use crate::failure::Failure;
use crate::media::Decoder;
use crate::pipeline::cpu::CutTask;

/// Memory of all stills that wait to be cut, bytes. A single clip may take more.
const MAX_BUFFERED_BYTES: usize = 512 << 20;

/// Cuts clips into the task's folder, in the format of `pipeline::staged_clips`.
///
/// # Errors
/// When the video does not decode, a file cannot be written, or the watcher stops the work.
pub fn cut_clips(task: &CutTask, detector: &mut dyn Detector, watch: &mut dyn Watch) -> Result<(), Failure> {
    cut_within(task, MAX_BUFFERED_BYTES, detector, watch)
}

/// [`cut_clips`], with another limit on memory, bytes.
pub(super) fn cut_within(
    task: &CutTask,
    max_bytes: usize,
    detector: &mut dyn Detector,
    watch: &mut dyn Watch,
) -> Result<(), Failure> {
    let mut plans: Vec<&ClipPlan> = task.plans.iter().collect();
    let mut done_ms = 0;
    loop {
        let last_ms = plans.iter().map(|plan| plan.span.end_ms).max().unwrap_or(0);
        let mut progress =
            |now_ms: i64| notify(watch, done_ms + now_ms.min(last_ms), done_ms + last_ms, &task.path);
        plans = Pass::new(task, plans)?.run(max_bytes, detector, &mut progress)?;
        if plans.is_empty() {
            return Ok(());
        }
        done_ms += last_ms;
    }
}

/// One pass over the file.
struct Pass<'a> {
    settings: CutSettings<'a>,
    /// Width and height of the source's pictures.
    size: (u32, u32),
    frames: Jumper,
    framing: Background,
    encoding: Background,
    /// Plans that have not begun, the earliest last.
    waiting: Vec<&'a ClipPlan>,
    /// Plans that have begun, the earliest first.
    open: Vec<(&'a ClipPlan, ClipBuffer)>,
    /// Plans that are left to another pass.
    postponed: Vec<&'a ClipPlan>,
}

impl<'a> Pass<'a> {
    fn new(task: &'a CutTask, mut plans: Vec<&'a ClipPlan>) -> Result<Self, Failure> {
        let decoder = Decoder::open(&task.path, DECODER_THREADS)?;
        let probe = decoder.probe();
        let frame_rate = probe.frame_rate.clamp(1.0, 240.0);
        plans.sort_by_key(|plan| Reverse(plan.span.start_ms));
        Ok(Self {
            settings: CutSettings { recipe: &task.recipe, folder: &task.clips, frame_rate },
            size: (probe.width, probe.height),
            framing: Background::new(1, framing_queue_len(probe.frame_bytes)),
            encoding: Background::new(1, 0),
            frames: Jumper::new(decoder),
            waiting: plans,
            open: Vec::new(),
            postponed: Vec::new(),
        })
    }

    /// Cuts at least one of the plans, if there are any; returns the postponed ones.
    fn run(
        mut self,
        max_bytes: usize,
        detector: &mut dyn Detector,
        progress: &mut dyn FnMut(i64) -> Result<(), Failure>,
    ) -> Result<Vec<&'a ClipPlan>, Failure> {
        loop {
            let next = self.waiting.last().filter(|_| self.open.is_empty());
            let frame = self.frames.next_frame(next.map(|plan| plan.span.start_ms))?;
            let now_ms = frame.as_ref().map_or(i64::MAX, |frame| frame.time_ms());
            progress(now_ms)?;
            self.advance(now_ms, detector)?;
            let Some(frame) = frame.map(Arc::new) else { return Ok(self.postponed) };
            for (plan, buffer) in &mut self.open {
                buffer.add(&frame, &plan.faces, self.settings.recipe, &self.framing);
            }
            self.limit_memory(max_bytes);
            if self.open.is_empty() && self.waiting.is_empty() {
                return Ok(self.postponed);
            }
        }
    }

    /// Opens the plans that have begun by now, and cuts those that have ended.
    fn advance(&mut self, now_ms: i64, detector: &mut dyn Detector) -> Result<(), Failure> {
        while let Some(plan) = self.waiting.pop_if(|plan| plan.span.start_ms <= now_ms) {
            self.open.push((plan, ClipBuffer::of(plan, self.size, self.settings.recipe)));
        }
        for (plan, buffer) in self.open.iter_mut().filter(|(plan, _)| plan.span.end_ms <= now_ms) {
            buffer.cut(plan, self.settings, detector, &self.encoding)?.map_or(Ok(()), Pending::wait)?;
        }
        self.open.retain(|(plan, _)| plan.span.end_ms > now_ms);
        Ok(())
    }

    /// Postpones the latest open plans while all buffers together take too much memory.
    fn limit_memory(&mut self, max_bytes: usize) {
        while self.open.len() > 1 && self.buffered_bytes() > max_bytes {
            self.postponed.extend(self.open.pop().map(|(plan, _)| plan));
        }
    }

    fn buffered_bytes(&self) -> usize {
        self.open.iter().map(|(_, buffer)| buffer.bytes()).sum()
    }
}

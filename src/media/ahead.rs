//! Decodes ahead on another thread, while the caller works on earlier frames. Knows nothing of what the frames show.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::decode::{Source, TimedFrame};
use super::error::MediaError;
use super::frame::{Renderer, VideoFrame};
use super::probe::Probe;

/// Memory of the decoded frames that wait to be taken, bytes, as far as [`WAITING_FRAMES`] allows.
const WAITING_BYTES: u64 = 64 << 20;
/// Capacity of the queue of decoded frames.
const WAITING_FRAMES: std::ops::RangeInclusive<u64> = 2..=128;

/// A [`super::Decoder`] that decodes ahead on its own thread.
pub struct ReadAhead {
    probe: Probe,
    renderer: Arc<Renderer>,
    /// `None` once the stream has ended or failed.
    frames: Option<Receiver<Result<Option<TimedFrame>, MediaError>>>,
    thread: Option<JoinHandle<()>>,
}

impl ReadAhead {
    pub(super) fn new(source: Source, renderer: Arc<Renderer>) -> Self {
        let probe = source.probe().clone();
        let waiting =
            (WAITING_BYTES / probe.frame_bytes.max(1)).clamp(*WAITING_FRAMES.start(), *WAITING_FRAMES.end());
        let (sender, receiver) = sync_channel(waiting as usize);
        let thread = std::thread::spawn(move || decode(source, &sender));
        Self { probe, renderer, frames: Some(receiver), thread: Some(thread) }
    }

    /// Facts about the file.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// As for [`super::Decoder::next_frame`]; after an error it returns `None`.
    pub fn next_frame(&mut self) -> Result<Option<VideoFrame>, MediaError> {
        let Some(frames) = &self.frames else { return Ok(None) };
        let received = frames.recv().unwrap_or_else(|_| {
            Err(MediaError::bug(&self.renderer.display().path, "the decoding thread ended without a result"))
        });
        if !matches!(received, Ok(Some(_))) {
            self.frames = None;
        }
        Ok(received?.map(|(frame, time_ms)| VideoFrame::new(frame, time_ms, Arc::clone(&self.renderer))))
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        // The thread's next send fails, and it returns.
        self.frames = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, `next_frame` returned an error.
            let _ = thread.join();
        }
    }
}

/// Sends all frames, then `None` or the error that ended the stream; stops early if the receiver is dropped.
fn decode(mut source: Source, sender: &SyncSender<Result<Option<TimedFrame>, MediaError>>) {
    loop {
        let next = source.next();
        let is_last = !matches!(next, Ok(Some(_)));
        if sender.send(next).is_err() || is_last {
            return;
        }
    }
}

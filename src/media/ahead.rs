//! Decoding ahead: a thread decodes while whoever takes the frames looks at those before. Knows nothing of what the
//! frames show.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::decode::{Placed, Source};
use super::error::MediaError;
use super::frame::{Renderer, VideoFrame};
use super::probe::Probe;

/// Frames that wait to be taken hold no more memory than this, bytes; how many they are stays within [`WAITING_FRAMES`]
/// all the same.
const WAITING_BYTES: u64 = 64 << 20;
/// How few and how many frames may wait.
const WAITING_FRAMES: std::ops::RangeInclusive<u64> = 2..=128;

/// A [`super::Decoder`] that decodes ahead.
pub struct ReadAhead {
    probe: Probe,
    renderer: Arc<Renderer>,
    /// `None` once the stream has ended or failed.
    frames: Option<Receiver<Result<Option<Placed>, MediaError>>>,
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

    /// What the file is.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// The next frame, or none at the end.
    ///
    /// # Errors
    /// As for [`super::Decoder::next_frame`]; after an error there are no more frames.
    pub fn next_frame(&mut self) -> Result<Option<VideoFrame>, MediaError> {
        let Some(frames) = &self.frames else { return Ok(None) };
        let told = frames.recv().unwrap_or_else(|_| {
            Err(MediaError::bug(&self.renderer.display().path, "the decoding thread ended without a word"))
        });
        if !matches!(told, Ok(Some(_))) {
            self.frames = None;
        }
        let frame = told?;
        Ok(frame.map(|(frame, time_ms)| VideoFrame::new(frame, time_ms, Arc::clone(&self.renderer))))
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        // Nobody receives the thread's next frame, which ends it.
        self.frames = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, `next_frame` found the channel broken, and said so.
            let _ = thread.join();
        }
    }
}

fn decode(mut source: Source, sender: &SyncSender<Result<Option<Placed>, MediaError>>) {
    loop {
        let placed = source.next();
        let is_last = !matches!(placed, Ok(Some(_)));
        if sender.send(placed).is_err() || is_last {
            return;
        }
    }
}

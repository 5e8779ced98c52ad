//! Media and faces put together: a whole video in; a scan, clips or crops out. Blocking; knows no catalog and no job.
//! The caller chooses the thread and the process.
//!
//! ```text
//! scan → looker · views                        one decode: which frames are detected, and how thoroughly
//! live_cutter → clip_buffer · framing          clips cut during the scan; the window that follows the face
//! cut · recrop · faces                         clips, other crops, and faces for a net: from the file, after a scan
//! face_check                                   whether a finished clip shows its face
//! inspect → draw                               for people
//! jump · background                            seeking; work on other threads
//! ```

mod background;
mod clip_buffer;
mod cut;
mod draw;
mod face_check;
mod faces;
mod framing;
mod inspect;
mod jump;
mod live_cutter;
mod looker;
mod recrop;
mod scan;
#[cfg(test)]
mod tests;
mod views;

use std::ops::ControlFlow;
use std::path::Path;

use crate::failure::{Failure, Reason};

pub use cut::cut_clips;
pub use faces::{FaceSink, faces_of_video};
pub use inspect::inspect_file;
pub use recrop::recrop_video;
pub use scan::scan_video;

/// Threads that decode one video.
const DECODER_THREADS: u32 = 2;

/// Memory of the frames that wait to be framed on another thread, bytes.
const MAX_QUEUED_BYTES: u64 = 32 << 20;
/// How many of them may wait, whatever [`MAX_QUEUED_BYTES`] says.
const QUEUED_FRAMES: std::ops::RangeInclusive<u64> = 2..=16;

/// Is called for every decoded frame, and may stop the work there.
pub trait Watch {
    /// About `done_ms` of `total_ms` milliseconds are decoded; a second pass continues the count. `Break` stops the
    /// work.
    fn frame(&mut self, done_ms: i64, total_ms: i64) -> ControlFlow<()>;
}

/// Never stops the work.
#[derive(Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn frame(&mut self, _done_ms: i64, _total_ms: i64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// How many frames of this size may wait to be framed.
fn framing_queue_len(frame_bytes: u64) -> usize {
    (MAX_QUEUED_BYTES / frame_bytes.max(1)).clamp(*QUEUED_FRAMES.start(), *QUEUED_FRAMES.end()) as usize
}

/// Calls the watcher.
///
/// # Errors
/// [`Reason::Interrupted`] when it stops the work.
fn notify(watch: &mut dyn Watch, done_ms: i64, total_ms: i64, path: &Path) -> Result<(), Failure> {
    match watch.frame(done_ms, total_ms) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let detail = format!("stopped at {done_ms} ms of {}", path.display());
            Err(Failure::transient(Reason::Interrupted, detail))
        }
    }
}

//! The glue of media and faces: a whole video in, a scan or a clip out. Blocking; knows no catalog and no job, and
//! whoever calls it decides on which thread and in which process.

mod aside;
mod cut;
mod draw;
mod faces;
mod framing;
mod inspect;
mod jump;
mod looker;
mod recrop;
mod reel;
mod reels;
mod scan;
#[cfg(test)]
mod tests;
mod views;

use std::ops::ControlFlow;
use std::path::Path;

use crate::failure::{Failure, Reason};

pub use cut::cut_clips;
pub use faces::faces_of_video;
pub use inspect::inspect_file;
pub use recrop::recrop_video;
pub use scan::scan_video;

/// Threads that decode one video.
const DECODER_THREADS: u32 = 2;

/// Frames that wait to be framed on another thread hold no more memory than this, bytes; how many they are stays within
/// [`FRAMES_ASIDE`] all the same.
const BYTES_ASIDE: u64 = 32 << 20;
const FRAMES_ASIDE: std::ops::RangeInclusive<u64> = 2..=16;

/// Hears of every decoded frame and may stop the work there.
pub trait Watch {
    /// `done_ms` of about `total_ms` milliseconds are decoded; a second pass goes on counting. `Break` stops the work.
    fn frame(&mut self, done_ms: i64, total_ms: i64) -> ControlFlow<()>;
}

/// Nobody watches.
#[derive(Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn frame(&mut self, _done_ms: i64, _total_ms: i64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// How many frames of this size may wait to be framed.
fn frames_aside(frame_bytes: u64) -> usize {
    (BYTES_ASIDE / frame_bytes.max(1)).clamp(*FRAMES_ASIDE.start(), *FRAMES_ASIDE.end()) as usize
}

/// Tells a watcher; its wish to stop becomes the failure that ends the work.
fn tell(watch: &mut dyn Watch, done_ms: i64, total_ms: i64, path: &Path) -> Result<(), Failure> {
    match watch.frame(done_ms, total_ms) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let detail = format!("stopped at {done_ms} ms of {}", path.display());
            Err(Failure::transient(Reason::Interrupted, detail))
        }
    }
}

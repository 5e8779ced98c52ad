//! FFmpeg behind one wall: probes, decodes and encodes videos. Knows no faces, no catalog and no network. No FFmpeg
//! type leaves this room: pictures leave as `RgbImage`, times as milliseconds since a video's first frame.
//!
//! ```text
//! probe → decode → ahead                         facts about a file; its frames in order; the same on another thread
//! frame · time                                   one decoded frame as pictures; its time
//! scale · tone · orientation                     conversion to upright RGB of one size and standard dynamic range
//! still · resample                               a square of a frame in the encoder's format
//! encode                                         pictures and their times to an MP4 file
//! hardware                                       decoding on a CUDA device
//! ffi · error                                    FFmpeg calls that `ffmpeg-next` does not wrap; errors
//! ```

mod ahead;
mod decode;
mod encode;
mod error;
mod ffi;
mod frame;
mod hardware;
mod orientation;
mod probe;
mod resample;
mod scale;
mod still;
#[cfg(test)]
mod tests;
mod time;
mod tone;

pub use ahead::ReadAhead;
pub use decode::Decoder;
pub use encode::{ClipWriter, EncoderOptions, Preset, Written};
pub use error::MediaError;
pub use frame::{SHRINKS, VideoFrame};
pub use hardware::{decode_on, has_device, why_in_software};
pub use orientation::Rect;
pub use probe::{Probe, check, probe};
pub use still::{Colours, Square, Still};

/// Pictures wider or higher than this are refused, pixels: no real video is that large, and a forged header must not
/// cost gigabytes of memory.
pub const MAX_SIDE_PX: u32 = 8_192;

/// The version of the linked libavcodec, such as `61.19.100`.
pub fn version() -> String {
    let version = ffmpeg_next::codec::version();
    format!("{}.{}.{}", version >> 16, version >> 8 & 0xff, version & 0xff)
}

/// Initialises FFmpeg, and silences its log: failures are returned as errors. May be called again.
fn begin() -> Result<(), ffmpeg_next::Error> {
    ffmpeg_next::init()?;
    ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Quiet);
    Ok(())
}

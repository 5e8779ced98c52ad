//! FFmpeg behind one wall: probe, decode, encode. Knows no faces, no catalog and no network; no AVFrame leaves, pictures
//! leave as `RgbImage` and times as milliseconds since a video's first frame.
//!
//! ```text
//! probe → decode → ahead                         what a file is; its frames in order; the same on a thread of its own
//! frame · time                                   one decoded frame: what it shows, and when
//! scale · tone · orientation                     how it becomes usual RGB of one size, and upright
//! still · resample                               a square of it, as the encoder takes it
//! encode                                         pictures and their times to an MP4 file
//! hardware                                       what decodes: a device, or the processor
//! ffi · error                                    FFmpeg calls that nobody wraps; what can go wrong
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
pub use hardware::{decode_on, why_in_software};
pub use orientation::Part;
pub use probe::{Probe, check, probe};
pub use still::{Colours, Square, Still};

/// Pictures wider or higher than this are refused: nothing that faces are looked for in is that large, and a forged
/// header must not cost gigabytes.
pub const MAX_SIDE_PX: u32 = 8_192;

/// Which FFmpeg this program is linked with: libavcodec's version, as `61.19.100`.
pub fn version() -> String {
    let version = ffmpeg_next::codec::version();
    format!("{}.{}.{}", version >> 16, version >> 8 & 0xff, version & 0xff)
}

/// Readies FFmpeg once for the process; its own log is silent, what matters comes back as errors.
fn begin() -> Result<(), ffmpeg_next::Error> {
    ffmpeg_next::init()?;
    ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Quiet);
    Ok(())
}

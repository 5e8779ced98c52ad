//! What a file is, without reading all of it. Knows nothing of where the file came from.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::decode::Decoder;
use super::error::MediaError;

/// What a video file is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// FFmpeg's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// FFmpeg's name of the video codec, such as `h264`.
    pub video_codec: String,
    /// Width as displayed, in square pixels, rotation applied.
    pub width: u32,
    /// Height as displayed, in square pixels, rotation applied.
    pub height: u32,
    /// Clockwise turn from the stored to the displayed picture: 0, 90, 180 or 270.
    pub rotation_deg: i32,
    /// Length by the container's own account, milliseconds; 0 if it does not say.
    pub duration_ms: i64,
    /// Mean frames a second.
    pub frame_rate: f64,
    /// Whether it has sound.
    pub has_audio: bool,
}

/// Measured and promised durations may differ by this much, or by [`DURATION_TOLERANCE`] if that is more: sites round to
/// seconds, and sound often outlasts the picture.
const DURATION_TOLERANCE_MS: i64 = 2_000;

/// Share of the promised duration that may be missing or too much.
const DURATION_TOLERANCE: f64 = 0.02;

/// Where in a video [`check`] decodes, as shares of its duration; its first frame is always decoded.
const CHECKED_AT: [f64; 2] = [0.5, 0.95];

/// Opens a file, finds its video stream and decodes a first frame.
///
/// # Errors
/// [`MediaError::NotAVideo`], [`MediaError::Undecodable`], or [`MediaError::Disk`] if the file cannot be read.
pub fn probe(path: &Path) -> Result<Probe, MediaError> {
    Ok(Decoder::open(path, 1)?.probe().clone())
}

/// [`probe`], and more: frames decode at the start, the middle and near the end, and the duration is as promised.
///
/// # Errors
/// As for [`probe`], and [`MediaError::DurationMismatch`].
pub fn check(path: &Path, promised_duration_ms: Option<i64>) -> Result<Probe, MediaError> {
    let mut decoder = Decoder::open(path, 1)?;
    let probe = decoder.probe().clone();
    if let Some(promised_ms) = promised_duration_ms {
        let measured_ms = probe.duration_ms;
        let tolerance_ms = DURATION_TOLERANCE_MS.max((promised_ms as f64 * DURATION_TOLERANCE) as i64);
        if (measured_ms - promised_ms).abs() > tolerance_ms {
            return Err(MediaError::DurationMismatch { path: path.to_owned(), measured_ms, promised_ms });
        }
    }
    for share in CHECKED_AT {
        decode_until(&mut decoder, path, (probe.duration_ms as f64 * share) as i64)?;
    }
    Ok(probe)
}

/// Decodes from the key frame before `ms` to the frame shown at `ms`.
fn decode_until(decoder: &mut Decoder, path: &Path, ms: i64) -> Result<(), MediaError> {
    decoder.seek(ms)?;
    let frame_ms = (1_000.0 / decoder.probe().frame_rate).ceil() as i64;
    let mut reached_ms = -1;
    while reached_ms < ms - 2 * frame_ms {
        let Some(frame) = decoder.next_frame()? else {
            return Err(MediaError::undecodable(
                path,
                format!("no frame at {ms} ms, though it should last longer"),
            ));
        };
        reached_ms = frame.time_ms();
    }
    Ok(())
}

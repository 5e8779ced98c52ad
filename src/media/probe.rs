//! What a file is, without reading all of it. Knows nothing of where the file came from.

use std::path::Path;

use ffmpeg_next::Packet;
use serde::{Deserialize, Serialize};

use super::decode::{Decoder, open_input};
use super::error::MediaError;
use super::time::Timeline;

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
    /// What a decoded frame takes of memory, bytes.
    pub frame_bytes: u64,
    /// Whether it has sound.
    pub has_audio: bool,
}

/// Measured and promised durations may differ by this much, or by [`DURATION_TOLERANCE`] if that is more: sites round to
/// seconds, and sound often outlasts the picture.
const DURATION_TOLERANCE_MS: i64 = 2_000;

/// Share of the promised duration that may be missing or too much.
const DURATION_TOLERANCE: f64 = 0.02;

/// Where in a video [`check`] decodes, as shares of its duration; its first frame is always decoded.
const CHECKED_AT: [f64; 2] = [0.5, NEAR_THE_END];

/// A file with something at this share of its duration, or after it, is not cut short.
const NEAR_THE_END: f64 = 0.95;

/// Opens a file, finds its video stream and decodes a first frame.
///
/// # Errors
/// As for [`Decoder::open`].
pub fn probe(path: &Path) -> Result<Probe, MediaError> {
    Ok(Decoder::open(path, 1)?.probe().clone())
}

/// [`probe`], and more: frames decode at the start, the middle and near the end, and the duration is as promised. Where
/// only the whole file's duration is known, the pictures may begin later than the sound, and end before it.
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
    let at = |share: f64| (probe.duration_ms as f64 * share) as i64;
    for ms in CHECKED_AT.map(at) {
        let is_as_long = decode_until(&mut decoder, ms)?
            || (decoder.may_end_early() && goes_on_until(path, at(NEAR_THE_END))?);
        if !is_as_long {
            let detail = format!("no frame at {ms} ms, though it should last longer");
            return Err(MediaError::undecodable(path, detail));
        }
    }
    Ok(probe)
}

/// Decodes from the key frame before `ms` to the frame shown at `ms`; false where the pictures end before. It trusts the
/// container's index: to decode all that comes before would take as long as to look at it.
fn decode_until(decoder: &mut Decoder, ms: i64) -> Result<bool, MediaError> {
    decoder.jump(ms)?;
    let frame_ms = (1_000.0 / decoder.probe().frame_rate).ceil() as i64;
    let mut reached_ms = -1;
    while reached_ms < ms - 2 * frame_ms {
        let Some(frame) = decoder.next_frame()? else { return Ok(false) };
        reached_ms = frame.time_ms();
    }
    Ok(true)
}

/// Whether any stream has a packet at this time of the file's own clock, or after it.
fn goes_on_until(path: &Path, ms: i64) -> Result<bool, MediaError> {
    let mut input = open_input(path)?;
    let target_us = ms.saturating_mul(1_000);
    // Without an index the file is read from its start, which tells the same.
    let _ = input.seek(target_us, ..target_us);
    let mut packet = Packet::empty();
    while packet.read(&mut input).is_ok() {
        let stamp = packet.pts().or_else(|| packet.dts());
        let base = input.stream(packet.stream()).map(|stream| stream.time_base());
        let clock = base.map(|base| Timeline::new(base.numerator(), base.denominator(), 1.0));
        if stamp.zip(clock).is_some_and(|(stamp, clock)| clock.ms_of(stamp) >= ms) {
            return Ok(true);
        }
    }
    Ok(false)
}

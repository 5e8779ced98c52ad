//! Facts about a file, and whether it is whole, without reading all of it. Knows nothing of where the file came from.

use std::path::Path;

use ffmpeg_next::Packet;
use serde::{Deserialize, Serialize};

use super::decode::{Decoder, open_input};
use super::error::MediaError;
use super::time::Timeline;

/// Facts about a video file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// FFmpeg's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// FFmpeg's name of the video codec, such as `h264`.
    pub video_codec: String,
    /// Width as displayed, in square pixels, after rotation.
    pub width: u32,
    /// Height as displayed, in square pixels, after rotation.
    pub height: u32,
    /// Clockwise rotation from the stored to the displayed picture, degrees: 0, 90, 180 or 270.
    pub rotation_deg: i32,
    /// Duration that the container states, milliseconds; 0 if it states none.
    pub duration_ms: i64,
    /// Mean frames a second.
    pub frame_rate: f64,
    /// Memory of a decoded frame, bytes.
    pub frame_bytes: u64,
    /// Whether it has an audio stream.
    pub has_audio: bool,
}

/// Measured and promised durations may differ by this, or by [`DURATION_TOLERANCE`] if that is more, milliseconds:
/// sites round to seconds, and audio often lasts longer than the pictures.
const DURATION_TOLERANCE_MS: i64 = 2_000;

/// As [`DURATION_TOLERANCE_MS`], as a share of the promised duration.
const DURATION_TOLERANCE: f64 = 0.02;

/// Where in a video [`check`] decodes, as shares of its duration; the first frame is always decoded.
const CHECKED_AT: [f64; 2] = [0.5, NEAR_THE_END];

/// A file with a packet at or after this share of its duration is not cut short.
const NEAR_THE_END: f64 = 0.95;

/// Opens a file, finds its video stream and decodes a first frame.
///
/// # Errors
/// As for [`Decoder::open`].
pub fn probe(path: &Path) -> Result<Probe, MediaError> {
    Ok(Decoder::open(path, 1)?.probe().clone())
}

/// [`probe`], which also checks that frames decode at the start, in the middle and near the end, and that the duration
/// is as promised. If only the whole file's duration is known, the pictures may begin after the audio and end before
/// it.
///
/// A file with few key frames is decoded from far before each of these places: `on_progress` is called for every frame
/// with the milliseconds decoded so far, which never fall.
///
/// # Errors
/// As for [`probe`], and [`MediaError::DurationMismatch`].
pub fn check(
    path: &Path,
    promised_duration_ms: Option<i64>,
    on_progress: &mut dyn FnMut(i64),
) -> Result<Probe, MediaError> {
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
    let mut progress = Progress { earlier_ms: 0, pass_ms: 0, on_progress };
    for ms in CHECKED_AT.map(at) {
        let is_whole = decode_until(&mut decoder, ms, &mut progress)?
            || (decoder.may_end_early() && has_packets_at(path, at(NEAR_THE_END), &mut progress)?);
        if !is_whole {
            let detail = format!("no frame at {ms} ms, though it should last longer");
            return Err(MediaError::undecodable(path, detail));
        }
    }
    Ok(probe)
}

/// Adds up the milliseconds that several passes over one file have reached.
struct Progress<'a> {
    /// In the passes before this one.
    earlier_ms: i64,
    /// In this pass.
    pass_ms: i64,
    on_progress: &'a mut dyn FnMut(i64),
}

impl Progress<'_> {
    fn begin_pass(&mut self) {
        self.earlier_ms = self.earlier_ms.saturating_add(self.pass_ms);
        self.pass_ms = 0;
    }

    fn reach(&mut self, ms: i64) {
        self.pass_ms = self.pass_ms.max(ms);
        (self.on_progress)(self.earlier_ms.saturating_add(self.pass_ms));
    }
}

/// Decodes from the key frame before `ms` to within two frames of `ms`; false if the pictures end before. It trusts the
/// container's index, as decoding everything before would take too long.
fn decode_until(decoder: &mut Decoder, ms: i64, progress: &mut Progress<'_>) -> Result<bool, MediaError> {
    progress.begin_pass();
    decoder.jump(ms)?;
    let frame_ms = (1_000.0 / decoder.probe().frame_rate).ceil() as i64;
    let mut reached_ms = -1;
    while reached_ms < ms - 2 * frame_ms {
        let Some(frame) = decoder.next_frame()? else { return Ok(false) };
        reached_ms = frame.time_ms();
        progress.reach(reached_ms);
    }
    Ok(true)
}

/// Whether any stream has a packet at or after this time of the file's own clock.
fn has_packets_at(path: &Path, ms: i64, progress: &mut Progress<'_>) -> Result<bool, MediaError> {
    progress.begin_pass();
    let mut input = open_input(path)?;
    let target_us = ms.saturating_mul(1_000);
    // If the seek fails, the file is read from its start, with the same result.
    let _ = input.seek(target_us, ..target_us);
    let mut packet = Packet::empty();
    while packet.read(&mut input).is_ok() {
        let stamp = packet.pts().or_else(|| packet.dts());
        let base = input.stream(packet.stream()).map(|stream| stream.time_base());
        let clock = base.map(|base| Timeline::new(base.numerator(), base.denominator(), 1.0));
        let Some((stamp, clock)) = stamp.zip(clock) else { continue };
        let packet_ms = clock.ms_of(stamp);
        if packet_ms >= ms {
            return Ok(true);
        }
        progress.reach(packet_ms);
    }
    Ok(false)
}

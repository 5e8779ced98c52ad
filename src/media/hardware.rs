//! Decodes on a device if there is one, and records why software was used instead. Knows no files.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ffmpeg_next::format::Pixel;
use ffmpeg_next::{Error, frame};

use super::ffi::{self, Device};
use crate::config::Hwaccel;

/// A device that decodes, or none if it could not be opened.
pub(super) struct Hardware {
    device: Option<Device>,
    /// The first reason why something was decoded in software.
    why_not: OnceLock<String>,
    /// Whether that reason was returned.
    is_reported: AtomicBool,
}

/// The hardware that this process decodes on; unset for software.
static CHOSEN: OnceLock<Arc<Hardware>> = OnceLock::new();

/// Sets the hardware for all decoders that this process opens from now on. They use software where it fails.
pub fn decode_on(hwaccel: Hwaccel) {
    match hwaccel {
        Hwaccel::None => {}
        Hwaccel::Cuda => {
            CHOSEN.get_or_init(|| Arc::new(Hardware::open(None)));
        }
    }
}

/// Whether this process has a device that decodes.
pub fn has_device() -> bool {
    chosen().is_some_and(|hardware| hardware.device().is_some())
}

/// The first reason why something was decoded in software, if [`decode_on`] asked for hardware. Returned only once.
pub fn why_in_software() -> Option<String> {
    chosen()?.why_in_software()
}

/// The hardware that [`decode_on`] set.
pub(super) fn chosen() -> Option<Arc<Hardware>> {
    CHOSEN.get().cloned()
}

impl Hardware {
    /// The CUDA device with this number, or the first one.
    pub(super) fn open(number: Option<u32>) -> Self {
        let opened = super::begin().and_then(|()| Device::open_cuda(number));
        let hardware = Self { device: None, why_not: OnceLock::new(), is_reported: AtomicBool::new(false) };
        match opened {
            Ok(device) => Self { device: Some(device), ..hardware },
            Err(error) => {
                hardware.record_failure(&format!(
                    "no CUDA device opens ({error}); it needs NVIDIA's driver, libcuda.so.1"
                ));
                hardware
            }
        }
    }

    pub(super) fn device(&self) -> Option<&Device> {
        self.device.as_ref()
    }

    /// Records why something is decoded in software; only the first reason is kept.
    pub(super) fn record_failure(&self, why: &impl ToString) {
        let _ = self.why_not.set(why.to_string());
    }

    fn why_in_software(&self) -> Option<String> {
        let why = self.why_not.get()?;
        (!self.is_reported.swap(true, Ordering::Relaxed)).then(|| why.clone())
    }
}

/// A device's frame in system memory, in the format of a software decoder and with the same timestamps.
pub(super) fn downloaded(frame: &frame::Video) -> Result<frame::Video, Error> {
    planar(ffi::from_device(frame)?)
}

/// Converts a device's format to that of software decoders. Devices interleave the two chroma planes, and store values
/// of more than 8 bits in the upper bits of 16.
fn planar(packed: frame::Video) -> Result<frame::Video, Error> {
    let (format, shift) = match packed.format() {
        Pixel::NV12 => (Pixel::YUV420P, 0),
        Pixel::P010LE => (Pixel::YUV420P10LE, 6),
        Pixel::P016LE => (Pixel::YUV420P12LE, 4),
        _ => return Ok(packed),
    };
    let mut planes = frame::Video::new(format, packed.width(), packed.height());
    ffi::copy_properties(&mut planes, &packed)?;
    for plane in 0..3 {
        // The packed plane that holds this plane's values, the index of the first one, and the step between them.
        let (from, first, step) = [(0, 0, 1), (1, 0, 2), (1, 1, 2)][plane];
        let (from_stride, to_stride) = (packed.stride(from), planes.stride(plane));
        let (width, height) = (planes.plane_width(plane) as usize, planes.plane_height(plane) as usize);
        let rows = packed.data(from).chunks(from_stride).zip(planes.data_mut(plane).chunks_mut(to_stride));
        for (from, to) in rows.take(height) {
            if shift == 0 {
                let values = from[first..].iter().step_by(step);
                to[..width].iter_mut().zip(values).for_each(|(to, value)| *to = *value);
            } else {
                let values = from.chunks_exact(2).skip(first).step_by(step);
                for (to, value) in to[..2 * width].chunks_exact_mut(2).zip(values) {
                    let value = u16::from_le_bytes([value[0], value[1]]) >> shift;
                    to.copy_from_slice(&value.to_le_bytes());
                }
            }
        }
    }
    Ok(planes)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use image::{Rgb, RgbImage};

    use super::super::decode::{Decoder, Source};
    use super::super::{ClipWriter, MediaError};
    use super::*;

    /// A device number that no machine has.
    const MISSING: Option<u32> = Some(9_999);

    #[test]
    fn a_missing_device_is_reported_once() {
        let hardware = Hardware::open(MISSING);
        assert!(hardware.device().is_none());
        hardware.record_failure(&"something else");
        let why = hardware.why_in_software().unwrap();
        assert!(why.starts_with("no CUDA device opens ("), "{why}");
        assert_eq!(hardware.why_in_software(), None);
    }

    /// A video of three seconds whose frames last 50 and 40 ms by turns.
    fn film(folder: &Path) -> (PathBuf, Vec<i64>) {
        let path = folder.join("film.mp4");
        let times_ms: Vec<i64> = (0..66).map(|number| 45 * number + 5 * (number % 2)).collect();
        let mut writer = ClipWriter::create(&path, 64, 48, 25.0).unwrap();
        for (number, time_ms) in times_ms.iter().enumerate() {
            writer.push(&RgbImage::from_pixel(64, 48, Rgb([3 * number as u8; 3])), *time_ms).unwrap();
        }
        writer.finish().unwrap();
        (path, times_ms)
    }

    #[test]
    fn without_a_device_frames_and_times_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (path, times_ms) = film(folder.path());
        let frames = |hardware| {
            let mut decoder = Decoder::open_on(&path, 2, hardware).unwrap();
            let all = std::iter::from_fn(|| decoder.next_frame().unwrap());
            all.map(|frame| (frame.time_ms(), frame.picture().unwrap())).collect::<Vec<_>>()
        };
        let hardware = Arc::new(Hardware::open(MISSING));
        let seen = frames(Some(Arc::clone(&hardware)));
        assert!(seen == frames(None), "another frame or time");
        assert!(seen.iter().map(|(time_ms, _)| *time_ms).eq(times_ms));
        assert!(hardware.why_in_software().is_some());
    }

    #[test]
    fn after_the_device_failed_decoding_continues_with_the_next_frame() {
        let folder = tempfile::tempdir().unwrap();
        let (path, times_ms) = film(folder.path());
        for seen in [1, 30, 65, 66] {
            let mut source = Source::open(&path, 1, None).unwrap();
            for time_ms in &times_ms[..seen] {
                assert_eq!(source.next().unwrap().map(|(_, seen_ms)| seen_ms), Some(*time_ms));
            }
            let error = MediaError::undecodable(&path, "the device went away");
            let mut next = source.go_on_in_software(&error).unwrap();
            for time_ms in &times_ms[seen..] {
                assert_eq!(next.map(|(_, seen_ms)| seen_ms), Some(*time_ms), "after {seen}");
                next = source.next().unwrap();
            }
            assert!(next.is_none());
        }
    }

    #[test]
    fn a_frame_of_a_device_gets_the_format_of_a_software_decoder() {
        for (packed, planes, bytes) in
            [(Pixel::NV12, Pixel::YUV420P, 1), (Pixel::P010LE, Pixel::YUV420P10LE, 2)]
        {
            let mut frame = frame::Video::new(packed, 6, 4);
            frame.set_pts(Some(1_234));
            let (luma_stride, chroma_stride) = (frame.stride(0), frame.stride(1));
            // With ten bits these are 4, 8 and 12: the lower six of the sixteen bits are unused.
            frame.data_mut(0)[luma_stride..][..6].copy_from_slice(&[0, 1, 0, 2, 0, 3]);
            frame.data_mut(1)[chroma_stride..][..12].copy_from_slice(&[0, 7, 0, 8, 0, 9, 0, 7, 0, 8, 0, 9]);
            let frame = planar(frame).unwrap();
            assert_eq!((frame.format(), frame.pts()), (planes, Some(1_234)));
            let row = |plane: usize| &frame.data(plane)[frame.stride(plane)..][..3 * bytes];
            let seen = [row(0), row(1), row(2)];
            if bytes == 1 {
                assert_eq!(seen, [[0, 1, 0], [0, 0, 0], [7, 8, 9]]);
            } else {
                assert_eq!(seen, [[4, 0, 8, 0, 12, 0], [28, 0, 36, 0, 32, 0], [32, 0, 28, 0, 36, 0]]);
            }
        }
    }
}

//! Decoding on a device where there is one, and why something is decoded in software all the same. Knows no files.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ffmpeg_next::format::Pixel;
use ffmpeg_next::{Error, frame};

use super::ffi::{self, Device};
use crate::config::Hwaccel;

/// A device that decodes, or the place of one that is not there.
pub(super) struct Hardware {
    device: Option<Device>,
    /// Why something is decoded in software: the first reason.
    why_not: OnceLock<String>,
    is_told: AtomicBool,
}

/// What this process decodes on; nothing is set where that is the processor.
static CHOSEN: OnceLock<Arc<Hardware>> = OnceLock::new();

/// Has all decoders of this process that are opened from now on decode on this, as far as it can.
pub fn decode_on(hwaccel: Hwaccel) {
    match hwaccel {
        Hwaccel::None => {}
        Hwaccel::Cuda => {
            CHOSEN.get_or_init(|| Arc::new(Hardware::open(None)));
        }
    }
}

/// Why something was decoded in software though [`decode_on`] was asked for more; the first reason, told once.
pub fn why_in_software() -> Option<String> {
    chosen()?.why_in_software()
}

pub(super) fn chosen() -> Option<Arc<Hardware>> {
    CHOSEN.get().cloned()
}

impl Hardware {
    /// The CUDA device of this number, the first one otherwise.
    pub(super) fn open(number: Option<u32>) -> Self {
        let opened = super::begin().and_then(|()| Device::open_cuda(number));
        let hardware = Self { device: None, why_not: OnceLock::new(), is_told: AtomicBool::new(false) };
        match opened {
            Ok(device) => Self { device: Some(device), ..hardware },
            Err(error) => {
                hardware
                    .note(&format!("no CUDA device opens ({error}); it needs NVIDIA's driver, libcuda.so.1"));
                hardware
            }
        }
    }

    pub(super) fn device(&self) -> Option<&Device> {
        self.device.as_ref()
    }

    /// Remembers why something is decoded in software.
    pub(super) fn note(&self, why: &impl ToString) {
        // One line says it: what comes later is not heard.
        let _ = self.why_not.set(why.to_string());
    }

    fn why_in_software(&self) -> Option<String> {
        let why = self.why_not.get()?;
        (!self.is_told.swap(true, Ordering::Relaxed)).then(|| why.clone())
    }
}

/// A frame as a decoder in software gives it, with the same stamps.
pub(super) fn fetched(frame: &frame::Video) -> Result<frame::Video, Error> {
    planar(ffi::from_device(frame)?)
}

/// Devices keep both kinds of chroma in one plane, and numbers of more than 8 bits at the upper end of theirs.
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
        // Where the plane's numbers begin in the packed one, and how far they lie apart there.
        let (from, first, step) = [(0, 0, 1), (1, 0, 2), (1, 1, 2)][plane];
        let (from_stride, to_stride) = (packed.stride(from), planes.stride(plane));
        let (width, height) = (planes.plane_width(plane) as usize, planes.plane_height(plane) as usize);
        let rows = packed.data(from).chunks(from_stride).zip(planes.data_mut(plane).chunks_mut(to_stride));
        for (from, to) in rows.take(height) {
            if shift == 0 {
                let numbers = from[first..].iter().step_by(step);
                to[..width].iter_mut().zip(numbers).for_each(|(to, number)| *to = *number);
            } else {
                let numbers = from.chunks_exact(2).skip(first).step_by(step);
                for (to, number) in to[..2 * width].chunks_exact_mut(2).zip(numbers) {
                    let number = u16::from_le_bytes([number[0], number[1]]) >> shift;
                    to.copy_from_slice(&number.to_le_bytes());
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

    /// No machine has so many.
    const NOWHERE: Option<u32> = Some(9_999);

    #[test]
    fn a_device_that_is_not_there_is_said_once() {
        let hardware = Hardware::open(NOWHERE);
        assert!(hardware.device().is_none());
        hardware.note(&"something else");
        let why = hardware.why_in_software().unwrap();
        assert!(why.starts_with("no CUDA device opens ("), "{why}");
        assert_eq!(hardware.why_in_software(), None);
    }

    /// Three seconds of film, whose frames come at 40 and 50 ms in turn.
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
    fn without_a_device_the_same_frames_come_at_the_same_times() {
        let folder = tempfile::tempdir().unwrap();
        let (path, times_ms) = film(folder.path());
        let frames = |hardware| {
            let mut decoder = Decoder::open_on(&path, 2, hardware).unwrap();
            let all = std::iter::from_fn(|| decoder.next_frame().unwrap());
            all.map(|frame| (frame.time_ms(), frame.picture().unwrap())).collect::<Vec<_>>()
        };
        let hardware = Arc::new(Hardware::open(NOWHERE));
        let seen = frames(Some(Arc::clone(&hardware)));
        assert!(seen == frames(None), "another frame or time");
        assert!(seen.iter().map(|(time_ms, _)| *time_ms).eq(times_ms));
        assert!(hardware.why_in_software().is_some());
    }

    #[test]
    fn a_film_at_which_the_device_fails_goes_on_with_the_frame_that_is_due() {
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
    fn a_frame_of_a_device_becomes_the_one_of_a_decoder_in_software() {
        for (packed, planes, bytes) in
            [(Pixel::NV12, Pixel::YUV420P, 1), (Pixel::P010LE, Pixel::YUV420P10LE, 2)]
        {
            let mut frame = frame::Video::new(packed, 6, 4);
            frame.set_pts(Some(1_234));
            let (luma_stride, chroma_stride) = (frame.stride(0), frame.stride(1));
            // As numbers of ten bits these are 4, 8 and 12: six more lie below them.
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

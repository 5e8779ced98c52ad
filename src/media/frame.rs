//! One decoded frame: its time, and its pictures, which are converted on demand and only as far as asked. Knows nothing
//! of streams and packets.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ffmpeg_next::software::scaling::Flags;
use ffmpeg_next::{Error, frame};
use image::RgbImage;

use super::error::MediaError;
use super::ffi;
use super::orientation::{Orientation, Rect};
use super::scale::Scaler;
use super::still::{Square, Still, StillMaker};

/// Rows of a frame that are read for each row of its thumbnail.
const ROWS_PER_THUMBNAIL_ROW: u32 = 4;

/// Converted parts begin and end at multiples of this, pixels, so that they hold whole chroma samples.
const GRID_PX: u32 = 16;

/// The factors by which [`VideoFrame::part`] can shrink, the greatest first.
pub const SHRINKS: [u32; 3] = [8, 4, 2];

/// One frame of a video. It holds a buffer of the decoder, so drop it soon. Several threads may use it at once.
pub struct VideoFrame {
    frame: frame::Video,
    time_ms: i64,
    shared: Arc<Renderer>,
    width: u32,
    height: u32,
}

/// How a video's frames are displayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Display {
    /// The file, for errors.
    pub(super) path: PathBuf,
    /// How the decoded picture is turned upright.
    pub(super) orientation: Orientation,
    /// Width and height before that, in square pixels.
    pub(super) size: (u32, u32),
}

/// Converts the frames of one decoder to pictures. Threads that need the same scaler wait for each other.
pub(super) struct Renderer {
    display: Display,
    full: Mutex<Scaler>,
    small: Mutex<Option<Scaler>>,
    part: Mutex<Option<Scaler>>,
    small_part: Mutex<Option<Scaler>>,
    stills: Mutex<StillMaker>,
}

impl Renderer {
    pub(super) fn new(display: Display) -> Self {
        let (width, height) = display.size;
        Self {
            display,
            full: Mutex::new(Scaler::new(width, height, Flags::BILINEAR)),
            small: Mutex::default(),
            part: Mutex::default(),
            small_part: Mutex::default(),
            stills: Mutex::default(),
        }
    }

    /// How the video is displayed.
    pub(super) fn display(&self) -> &Display {
        &self.display
    }

    fn picture(&self, frame: &frame::Video) -> Result<RgbImage, Error> {
        Ok(self.display.orientation.apply(locked(&self.full).run(frame)?))
    }

    fn thumbnail(&self, frame: &frame::Video, width: u32) -> Result<RgbImage, Error> {
        let Display { orientation, size, .. } = self.display;
        let (turned_width, turned_height) = orientation.turned_size(size);
        let width = width.clamp(1, turned_width);
        let height = (u64::from(turned_height) * u64::from(width)).div_ceil(u64::from(turned_width)) as u32;
        let (width, height) = orientation.turned_size((width, height));
        let mut small = locked(&self.small);
        let small = reused(&mut small, (width, height), Flags::FAST_BILINEAR);
        let coarse = ffi::every_nth_row(frame, frame.height() / (height * ROWS_PER_THUMBNAIL_ROW).max(1))?;
        Ok(orientation.apply(small.run(&coarse)?))
    }

    /// `part` is in pixels of the picture shrunk by `shrink`, which divides its sides.
    fn part(&self, frame: &frame::Video, part: Rect, shrink: u32) -> Result<RgbImage, Error> {
        let Display { orientation, size, .. } = self.display;
        let small_size = (size.0 / shrink, size.1 / shrink);
        if size != (frame.width(), frame.height()) {
            let small = match shrink {
                1 => locked(&self.full).run(frame)?,
                _ => reused(&mut locked(&self.small_part), small_size, Flags::AREA).run(frame)?,
            };
            return Ok(cut_out(&orientation.apply(small), part));
        }
        let part = orientation.source_part(part, small_size);
        let grid_px = GRID_PX / shrink;
        let snapped = |from: u32, length: u32, limit: u32| {
            let first = from / grid_px * grid_px;
            (first, (from + length).next_multiple_of(grid_px).min(limit) - first)
        };
        let (left, width) = snapped(part.left, part.width, small_size.0);
        let (top, height) = snapped(part.top, part.height, small_size.1);
        let snapped = Rect { left, top, width, height };
        let cropped = ffi::cropped(frame, snapped.times(shrink))?;
        let around = match shrink {
            1 => reused(&mut locked(&self.part), (width, height), Flags::BILINEAR).run(&cropped)?,
            _ => reused(&mut locked(&self.small_part), (width, height), Flags::AREA).run(&cropped)?,
        };
        Ok(orientation.apply(cut_out(&around, Rect { left: part.left - left, top: part.top - top, ..part })))
    }
}

/// A copy of a part of a picture.
fn cut_out(picture: &RgbImage, part: Rect) -> RgbImage {
    let (stride, width) = (3 * picture.width() as usize, 3 * part.width as usize);
    let mut pixels = Vec::with_capacity(width * part.height as usize);
    for row in picture.as_raw().chunks_exact(stride).skip(part.top as usize).take(part.height as usize) {
        pixels.extend_from_slice(&row[3 * part.left as usize..][..width]);
    }
    RgbImage::from_raw(part.width, part.height, pixels).unwrap_or_default()
}

/// Locks a tool. That a thread panicked while it held the lock does not matter: every tool starts afresh for each
/// frame.
fn locked<T>(tool: &Mutex<T>) -> MutexGuard<'_, T> {
    tool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The scaler for this size: the kept one if it has that size, else a new one.
fn reused(kept: &mut Option<Scaler>, size: (u32, u32), flags: Flags) -> &mut Scaler {
    match kept {
        Some(scaler) if scaler.size() == size => {}
        _ => *kept = None,
    }
    kept.get_or_insert_with(|| Scaler::new(size.0, size.1, flags))
}

impl VideoFrame {
    pub(super) fn new(frame: frame::Video, time_ms: i64, shared: Arc<Renderer>) -> Self {
        let (width, height) = {
            let Display { orientation, size, .. } = shared.display;
            orientation.turned_size(size)
        };
        Self { frame, time_ms, shared, width, height }
    }

    /// Milliseconds since the video's first frame.
    pub fn time_ms(&self) -> i64 {
        self.time_ms
    }

    /// Width of [`VideoFrame::picture`] in pixels; the same for all frames of a video.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height of [`VideoFrame::picture`] in pixels; the same for all frames of a video.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Memory of its pixels without padding, bytes.
    pub fn size_bytes(&self) -> usize {
        ffi::size_bytes(&self.frame)
    }

    /// The whole picture as displayed: upright, with square pixels.
    ///
    /// # Errors
    /// [`MediaError::Undecodable`] if the frame's pixel format cannot be converted to RGB.
    pub fn picture(&self) -> Result<RgbImage, MediaError> {
        self.render(|renderer| renderer.picture(&self.frame))
    }

    /// A part of [`VideoFrame::picture`], shrunk by `shrink`: 1, or one of [`SHRINKS`] that divides both sides. The
    /// part is in pixels of the shrunk picture and must be inside it. Little more than the part is converted.
    ///
    /// # Errors
    /// As for [`VideoFrame::picture`].
    pub fn part(&self, part: Rect, shrink: u32) -> Result<RgbImage, MediaError> {
        self.render(|renderer| renderer.part(&self.frame, part, shrink))
    }

    /// A coarse small picture of this width and the same shape, cheap enough to compare all frames.
    ///
    /// # Errors
    /// As for [`VideoFrame::picture`].
    pub fn thumbnail(&self, width: u32) -> Result<RgbImage, MediaError> {
        self.render(|renderer| renderer.thumbnail(&self.frame, width))
    }

    /// A square of the picture, with subpixel placement, as a still of `side_px` × `side_px` for a clip.
    ///
    /// # Errors
    /// As for [`VideoFrame::picture`].
    pub fn still(&self, square: Square, side_px: u32) -> Result<Still, MediaError> {
        self.render(|Renderer { display, stills, .. }| {
            locked(stills).make(&self.frame, display, square, side_px)
        })
    }

    fn render<T>(&self, by: impl FnOnce(&Renderer) -> Result<T, Error>) -> Result<T, MediaError> {
        by(&self.shared).map_err(|error| MediaError::undecodable(&self.shared.display.path, error))
    }
}

impl Display {
    /// Of pictures of this size that are upright as decoded.
    pub(super) fn upright(path: &Path, size: (u32, u32)) -> Self {
        Self { path: path.to_owned(), orientation: Orientation::default(), size }
    }
}

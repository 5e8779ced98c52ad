//! One decoded frame: when it is, and what it shows, converted only when and where asked. Knows nothing of streams and
//! packets.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ffmpeg_next::software::scaling::Flags;
use ffmpeg_next::{Error, frame};
use image::RgbImage;

use super::error::MediaError;
use super::ffi;
use super::orientation::{Orientation, Part};
use super::scale::Scaler;
use super::still::{Square, Still, StillMaker};

/// Rows of a frame that a thumbnail looks at, for each of its own rows.
const ROWS_PER_THUMBNAIL_ROW: u32 = 4;

/// Parts begin and end at multiples of this, so that colour samples are not torn apart.
const GRID_PX: u32 = 16;

/// How many times smaller [`VideoFrame::part`] can make what it shows, the most first.
pub const SHRINKS: [u32; 3] = [8, 4, 2];

/// One frame of a video. It keeps a decoder's buffer: drop it soon. Several threads may look at it at once.
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
    /// Named in errors.
    pub(super) path: PathBuf,
    /// The turn.
    pub(super) orientation: Orientation,
    /// Width and height before the turn, in square pixels.
    pub(super) size: (u32, u32),
}

/// What all frames of one decoder share to become pictures; each tool serves one thread at a time.
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

    /// For whom this renders.
    pub(super) fn display(&self) -> &Display {
        &self.display
    }

    fn picture(&self, frame: &frame::Video) -> Result<RgbImage, Error> {
        Ok(self.display.orientation.apply(used(&self.full).run(frame)?))
    }

    fn thumbnail(&self, frame: &frame::Video, width: u32) -> Result<RgbImage, Error> {
        let Display { orientation, size, .. } = self.display;
        let (turned_width, turned_height) = orientation.turned_size(size);
        let width = width.clamp(1, turned_width);
        let height = (u64::from(turned_height) * u64::from(width)).div_ceil(u64::from(turned_width)) as u32;
        let (width, height) = orientation.turned_size((width, height));
        let mut small = used(&self.small);
        let small = reused(&mut small, (width, height), Flags::FAST_BILINEAR);
        let coarse = ffi::every_nth_row(frame, frame.height() / (height * ROWS_PER_THUMBNAIL_ROW).max(1))?;
        Ok(orientation.apply(small.run(&coarse)?))
    }

    /// `part` is counted in pixels of the picture made `shrink` times smaller, which divides its sides.
    fn part(&self, frame: &frame::Video, part: Part, shrink: u32) -> Result<RgbImage, Error> {
        let Display { orientation, size, .. } = self.display;
        let small_size = (size.0 / shrink, size.1 / shrink);
        if size != (frame.width(), frame.height()) {
            let small = match shrink {
                1 => used(&self.full).run(frame)?,
                _ => reused(&mut used(&self.small_part), small_size, Flags::AREA).run(frame)?,
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
        let snapped = Part { left, top, width, height };
        let cropped = ffi::cropped(frame, snapped.times(shrink))?;
        let around = match shrink {
            1 => reused(&mut used(&self.part), (width, height), Flags::BILINEAR).run(&cropped)?,
            _ => reused(&mut used(&self.small_part), (width, height), Flags::AREA).run(&cropped)?,
        };
        Ok(orientation.apply(cut_out(&around, Part { left: part.left - left, top: part.top - top, ..part })))
    }
}

/// A part's pixels, copied row by row.
fn cut_out(picture: &RgbImage, part: Part) -> RgbImage {
    let (stride, width) = (3 * picture.width() as usize, 3 * part.width as usize);
    let mut pixels = Vec::with_capacity(width * part.height as usize);
    for row in picture.as_raw().chunks_exact(stride).skip(part.top as usize).take(part.height as usize) {
        pixels.extend_from_slice(&row[3 * part.left as usize..][..width]);
    }
    RgbImage::from_raw(part.width, part.height, pixels).unwrap_or_default()
}

/// Waits until a tool is free. If a thread panicked while it had the tool, that does not matter: every tool begins anew
/// with each frame.
fn used<T>(tool: &Mutex<T>) -> MutexGuard<'_, T> {
    tool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The scaler for this size; the last one where it fits.
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

    /// What it takes of memory.
    pub fn size_bytes(&self) -> usize {
        ffi::size_bytes(&self.frame)
    }

    /// The whole picture as displayed: square pixels, upright.
    ///
    /// # Errors
    /// [`MediaError::Undecodable`] if the frame's pixel format has no way to RGB.
    pub fn picture(&self) -> Result<RgbImage, MediaError> {
        self.render(|renderer| renderer.picture(&self.frame))
    }

    /// A part of [`VideoFrame::picture`] made `shrink` times smaller: 1, or one of [`SHRINKS`] that divides both sides.
    /// The part is counted in the smaller picture's pixels and must lie in it; the rest is not even converted.
    ///
    /// # Errors
    /// As for [`VideoFrame::picture`].
    pub fn part(&self, part: Part, shrink: u32) -> Result<RgbImage, MediaError> {
        self.render(|renderer| renderer.part(&self.frame, part, shrink))
    }

    /// A small picture of `width` pixels across and the same shape, cheap and coarse, to compare frames by.
    ///
    /// # Errors
    /// As for [`VideoFrame::picture`].
    pub fn thumbnail(&self, width: u32) -> Result<RgbImage, MediaError> {
        self.render(|renderer| renderer.thumbnail(&self.frame, width))
    }

    /// A square part of the picture, placed to fractions of a pixel, as a still of `side_px` for a clip.
    ///
    /// # Errors
    /// As for [`VideoFrame::picture`].
    pub fn still(&self, square: Square, side_px: u32) -> Result<Still, MediaError> {
        self.render(|Renderer { display, stills, .. }| {
            used(stills).make(&self.frame, (display.orientation, display.size), square, side_px)
        })
    }

    fn render<T>(&self, by: impl FnOnce(&Renderer) -> Result<T, Error>) -> Result<T, MediaError> {
        by(&self.shared).map_err(|error| MediaError::undecodable(&self.shared.display.path, error))
    }
}

impl Display {
    /// Pictures of this size that stand upright already.
    pub(super) fn upright(path: &Path, size: (u32, u32)) -> Self {
        Self { path: path.to_owned(), orientation: Orientation::default(), size }
    }
}

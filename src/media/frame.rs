//! One decoded frame: when it is, and what it shows, converted only when asked. Knows nothing of streams and packets.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ffmpeg_next::frame;
use ffmpeg_next::software::scaling::Flags;
use image::RgbImage;

use super::error::MediaError;
use super::orientation::Orientation;
use super::scale::Scaler;

/// One frame of a video. It keeps a decoder's buffer: drop it soon. Frames stay on the thread of their decoder.
pub struct VideoFrame {
    frame: frame::Video,
    time_ms: i64,
    shared: Rc<RefCell<Renderer>>,
    width: u32,
    height: u32,
}

/// What all frames of one decoder share to become pictures.
pub(super) struct Renderer {
    path: PathBuf,
    orientation: Orientation,
    /// The displayed size before the turn.
    width: u32,
    height: u32,
    full: Scaler,
    small: Option<Scaler>,
}

impl Renderer {
    /// For pictures of `size` as displayed, before the turn.
    pub(super) fn new(path: &Path, size: (u32, u32), orientation: Orientation) -> Self {
        let (width, height) = size;
        let full = Scaler::new(width, height, Flags::BILINEAR);
        Self { path: path.to_owned(), orientation, width, height, full, small: None }
    }

    fn picture(&mut self, frame: &frame::Video) -> Result<RgbImage, MediaError> {
        let picture = self.full.run(frame).map_err(|error| MediaError::undecodable(&self.path, error))?;
        Ok(self.orientation.apply(picture))
    }

    fn thumbnail(&mut self, frame: &frame::Video, width: u32) -> Result<RgbImage, MediaError> {
        let (turned_width, turned_height) = self.orientation.turned_size((self.width, self.height));
        let width = width.clamp(1, turned_width);
        let height = (u64::from(turned_height) * u64::from(width)).div_ceil(u64::from(turned_width)) as u32;
        let (width, height) = self.orientation.turned_size((width, height));
        if self.small.as_ref().is_none_or(|small| small.width() != width) {
            self.small = Some(Scaler::new(width, height, Flags::FAST_BILINEAR));
        }
        let Some(small) = self.small.as_mut() else { return Err(MediaError::bug(&self.path, "no scaler")) };
        let picture = small.run(frame).map_err(|error| MediaError::undecodable(&self.path, error))?;
        Ok(self.orientation.apply(picture))
    }
}

impl VideoFrame {
    pub(super) fn new(frame: frame::Video, time_ms: i64, shared: Rc<RefCell<Renderer>>) -> Self {
        let (width, height) = {
            let shared = shared.borrow();
            shared.orientation.turned_size((shared.width, shared.height))
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

    /// The whole picture as displayed: square pixels, upright.
    ///
    /// # Errors
    /// [`MediaError::Undecodable`] if the frame's pixel format has no way to RGB.
    pub fn picture(&self) -> Result<RgbImage, MediaError> {
        self.shared.borrow_mut().picture(&self.frame)
    }

    /// A small picture of `width` pixels across and the same shape, cheap and coarse, to compare frames by.
    ///
    /// # Errors
    /// As for [`VideoFrame::picture`].
    pub fn thumbnail(&self, width: u32) -> Result<RgbImage, MediaError> {
        self.shared.borrow_mut().thumbnail(&self.frame, width)
    }
}

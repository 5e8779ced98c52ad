//! Any pixel format and size to RGB of one size, through swscale. Knows no times and no orientation.

use ffmpeg_next::color::Range;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::{Context, Flags};
use ffmpeg_next::{Error, color, frame};
use image::RgbImage;

use super::ffi::{Scaling, set_source_colours};

/// Converts frames to RGB pictures of one size; rebuilds itself when the frames change their kind.
pub(super) struct Scaler {
    width: u32,
    height: u32,
    flags: Flags,
    /// What the frames were when `context` was built.
    source: Option<Source>,
    context: Option<Scaling>,
    target: frame::Video,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Source {
    format: Pixel,
    width: u32,
    height: u32,
    space: color::Space,
    full_range: bool,
}

impl Source {
    fn of(frame: &frame::Video) -> Self {
        Self {
            format: frame.format(),
            width: frame.width(),
            height: frame.height(),
            space: frame.color_space(),
            full_range: has_full_range(frame),
        }
    }
}

/// Whether a frame's numbers go from 0 to 255.
pub(super) fn has_full_range(frame: &frame::Video) -> bool {
    is_of_jpeg(frame.format()) || frame.color_range() == Range::JPEG
}

/// Whether a pixel format alone says so.
pub(super) fn is_of_jpeg(format: Pixel) -> bool {
    matches!(format, Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P | Pixel::YUVJ440P)
}

impl Scaler {
    /// To `width` × `height`, by the method that `flags` say.
    pub(super) fn new(width: u32, height: u32, flags: Flags) -> Self {
        let target = frame::Video::new(Pixel::RGB24, width, height);
        Self { width, height, flags, source: None, context: None, target }
    }

    /// Width and height of its pictures.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// One frame as a picture.
    pub(super) fn run(&mut self, frame: &frame::Video) -> Result<RgbImage, Error> {
        let source = Source::of(frame);
        if self.source != Some(source) {
            self.context = Some(self.build(source)?);
            self.source = Some(source);
        }
        let context = self.context.as_mut().ok_or(Error::Bug)?;
        context.0.run(frame, &mut self.target)?;
        Ok(copy_rows(&self.target))
    }

    fn build(&self, source: Source) -> Result<Scaling, Error> {
        let Source { format, width, height, space, full_range } = source;
        let (to_width, to_height) = (self.width, self.height);
        let mut context = Context::get(format, width, height, Pixel::RGB24, to_width, to_height, self.flags)?;
        set_source_colours(&mut context, space, full_range);
        Ok(Scaling(context))
    }
}

/// Copies an RGB frame, whose rows are padded, to a picture, whose rows are not.
fn copy_rows(frame: &frame::Video) -> RgbImage {
    let mut picture = RgbImage::new(frame.width(), frame.height());
    let row_bytes = 3 * frame.width() as usize;
    let rows = frame.data(0).chunks(frame.stride(0));
    for (to, from) in picture.chunks_exact_mut(row_bytes).zip(rows) {
        to.copy_from_slice(&from[..row_bytes]);
    }
    picture
}

//! Any pixel format, size and dynamic range to usual RGB of one size, through swscale. Knows no times and no
//! orientation.

use ffmpeg_next::color::{Primaries, Range, TransferCharacteristic};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::{Context, Flags};
use ffmpeg_next::{Error, color, frame};
use image::RgbImage;

use super::ffi::{Scaling, set_source_colours};
use super::tone::{Curve, HighRange, ToneMap};

/// Converts frames to RGB pictures of one size; rebuilds itself when the frames change their kind.
pub(super) struct Scaler {
    width: u32,
    height: u32,
    flags: Flags,
    /// What the frames were when `context` was built.
    source: Option<Source>,
    context: Option<Scaling>,
    /// Of HDR films.
    tone: Option<ToneMap>,
    target: frame::Video,
}

/// A kind of frames.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Source {
    format: Pixel,
    width: u32,
    height: u32,
    space: color::Space,
    full_range: bool,
    high_range: Option<HighRange>,
}

impl Source {
    pub(super) fn of(frame: &frame::Video) -> Self {
        Self {
            format: frame.format(),
            width: frame.width(),
            height: frame.height(),
            space: frame.color_space(),
            full_range: has_full_range(frame),
            high_range: high_range(frame),
        }
    }
}

/// Whether a frame's numbers go from 0 to 255.
pub(super) fn has_full_range(frame: &frame::Video) -> bool {
    let means_it = [Pixel::YUVJ420P, Pixel::YUVJ422P, Pixel::YUVJ444P, Pixel::YUVJ440P];
    means_it.contains(&frame.format()) || frame.color_range() == Range::JPEG
}

/// What light a frame's numbers mean, where it is an HDR film's.
fn high_range(frame: &frame::Video) -> Option<HighRange> {
    let curve = match frame.color_transfer_characteristic() {
        TransferCharacteristic::ARIB_STD_B67 => Curve::Hlg,
        TransferCharacteristic::SMPTE2084 => Curve::Pq,
        _ => return None,
    };
    Some(HighRange { curve, is_wide: frame.color_primaries() == Primaries::BT2020 })
}

impl Scaler {
    /// To `width` × `height`, by the method that `flags` say.
    pub(super) fn new(width: u32, height: u32, flags: Flags) -> Self {
        let target = frame::Video::new(Pixel::RGB24, width, height);
        Self { width, height, flags, source: None, context: None, tone: None, target }
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
            self.tone = source.high_range.map(ToneMap::new);
            self.source = Some(source);
        }
        let context = self.context.as_mut().ok_or(Error::Bug)?;
        context.0.run(frame, &mut self.target)?;
        let mut picture = copy_rows(&self.target);
        if let Some(tone) = &self.tone {
            tone.apply(&mut picture);
        }
        Ok(picture)
    }

    fn build(&self, source: Source) -> Result<Scaling, Error> {
        let Source { format, width, height, space, full_range, .. } = source;
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

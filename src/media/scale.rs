//! Converts frames of any pixel format, size and dynamic range to RGB of one size and standard dynamic range, by
//! swscale. Knows no times and no orientation.

use ffmpeg_next::color::{Primaries, Range, TransferCharacteristic};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::{Context, Flags};
use ffmpeg_next::{Error, color, frame};
use image::RgbImage;

use super::ffi::{Scaling, set_source_colours};
use super::tone::{Hdr, ToneMap, Transfer};

/// Converts frames to RGB pictures of one size; rebuilt when the kind of the frames changes.
pub(super) struct Scaler {
    width: u32,
    height: u32,
    flags: Flags,
    /// The kind of frames for which `context` was built.
    kind: Option<FrameKind>,
    context: Option<Scaling>,
    /// For HDR frames.
    tone: Option<ToneMap>,
    target: frame::Video,
}

/// The properties of a frame that decide how it is converted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameKind {
    format: Pixel,
    width: u32,
    height: u32,
    space: color::Space,
    full_range: bool,
    hdr: Option<Hdr>,
}

impl FrameKind {
    pub(super) fn of(frame: &frame::Video) -> Self {
        Self {
            format: frame.format(),
            width: frame.width(),
            height: frame.height(),
            space: frame.color_space(),
            full_range: has_full_range(frame),
            hdr: hdr(frame),
        }
    }
}

/// Whether a frame's values have full range: black is 0 and white 255.
pub(super) fn has_full_range(frame: &frame::Video) -> bool {
    let full = [Pixel::YUVJ420P, Pixel::YUVJ422P, Pixel::YUVJ444P, Pixel::YUVJ440P];
    full.contains(&frame.format()) || frame.color_range() == Range::JPEG
}

/// The kind of HDR of a frame; `None` for standard dynamic range.
fn hdr(frame: &frame::Video) -> Option<Hdr> {
    let transfer = match frame.color_transfer_characteristic() {
        TransferCharacteristic::ARIB_STD_B67 => Transfer::Hlg,
        TransferCharacteristic::SMPTE2084 => Transfer::Pq,
        _ => return None,
    };
    Some(Hdr { transfer, is_wide: frame.color_primaries() == Primaries::BT2020 })
}

impl Scaler {
    /// A scaler to `width` × `height`; `flags` choose swscale's method.
    pub(super) fn new(width: u32, height: u32, flags: Flags) -> Self {
        let target = frame::Video::new(Pixel::RGB24, width, height);
        Self { width, height, flags, kind: None, context: None, tone: None, target }
    }

    /// Width and height of its pictures.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Converts one frame.
    pub(super) fn run(&mut self, frame: &frame::Video) -> Result<RgbImage, Error> {
        let kind = FrameKind::of(frame);
        if self.kind != Some(kind) {
            self.context = Some(self.build(kind)?);
            self.tone = kind.hdr.map(ToneMap::new);
            self.kind = Some(kind);
        }
        let context = self.context.as_mut().ok_or(Error::Bug)?;
        context.0.run(frame, &mut self.target)?;
        let mut picture = copy_rows(&self.target);
        if let Some(tone) = &self.tone {
            tone.apply(&mut picture);
        }
        Ok(picture)
    }

    fn build(&self, kind: FrameKind) -> Result<Scaling, Error> {
        let FrameKind { format, width, height, space, full_range, .. } = kind;
        let (to_width, to_height) = (self.width, self.height);
        let mut context = Context::get(format, width, height, Pixel::RGB24, to_width, to_height, self.flags)?;
        set_source_colours(&mut context, space, full_range);
        Ok(Scaling(context))
    }
}

/// Copies an RGB frame, whose rows are padded, to a picture.
fn copy_rows(frame: &frame::Video) -> RgbImage {
    let mut picture = RgbImage::new(frame.width(), frame.height());
    let row_bytes = 3 * frame.width() as usize;
    let rows = frame.data(0).chunks(frame.stride(0));
    for (to, from) in picture.chunks_exact_mut(row_bytes).zip(rows) {
        to.copy_from_slice(&from[..row_bytes]);
    }
    picture
}

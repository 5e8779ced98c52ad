//! Squares of frames, with subpixel placement, in the encoder's format: luma and chroma are resampled directly, without
//! conversion to RGB. Knows nothing of what a square shows.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::{Context, Flags};
use ffmpeg_next::{Error, color, frame};
use image::RgbImage;

use super::ffi::{Scaling, keep_colours};
use super::frame::Display;
use super::resample::{Area, Plane, Resampler};
use super::scale::{FrameKind, Scaler, has_full_range};

/// A square of the displayed picture, in pixels, with (0, 0) at the corner of the first one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Square {
    /// Its centre, x.
    pub x: f32,
    /// Its centre, y.
    pub y: f32,
    /// Its width and height.
    pub side: f32,
}

/// The colour space of a picture, as FFmpeg describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours {
    pub(super) space: color::Space,
    pub(super) range: color::Range,
    pub(super) primaries: color::Primaries,
    pub(super) transfer: color::TransferCharacteristic,
}

impl Default for Colours {
    /// Those of standard-definition television, BT.601.
    fn default() -> Self {
        Self {
            space: color::Space::SMPTE170M,
            range: color::Range::MPEG,
            primaries: color::Primaries::Unspecified,
            transfer: color::TransferCharacteristic::Unspecified,
        }
    }
}

impl Colours {
    /// The colours of a frame after conversion to 4:2:0.
    fn of(frame: &frame::Video) -> Self {
        let range = if has_full_range(frame) { color::Range::JPEG } else { color::Range::MPEG };
        let (primaries, transfer) = (frame.color_primaries(), frame.color_transfer_characteristic());
        match frame.color_space() {
            color::Space::RGB => Self { primaries, transfer, ..Self::default() },
            space => Self { space, range, primaries, transfer },
        }
    }

    /// Writes them to a frame's properties.
    fn set_on(self, still: &mut frame::Video) {
        still.set_color_space(self.space);
        still.set_color_range(self.range);
        still.set_color_primaries(self.primaries);
        still.set_color_transfer_characteristic(self.transfer);
    }
}

/// One picture of a clip that is not encoded yet: 4:2:0 of 8 bits, in the colours of its source.
pub struct Still(pub(super) frame::Video);

impl Still {
    /// Its colours: those of the frame that it was made of.
    pub fn colours(&self) -> Colours {
        Colours {
            space: self.0.color_space(),
            range: self.0.color_range(),
            primaries: self.0.color_primaries(),
            transfer: self.0.color_transfer_characteristic(),
        }
    }

    /// The still as an RGB picture.
    ///
    /// # Errors
    /// [`super::MediaError::Bug`] if FFmpeg cannot convert it.
    pub fn picture(&self) -> Result<RgbImage, super::MediaError> {
        Scaler::new(self.0.width(), self.0.height(), Flags::BILINEAR)
            .run(&self.0)
            .map_err(|error| super::MediaError::bug(std::path::Path::new("a still"), error))
    }

    /// Memory of the pixels of a still with this side, bytes.
    pub fn size_bytes(side_px: u32) -> usize {
        let (luma, chroma) = (side_px as usize, side_px.div_ceil(2) as usize);
        luma * luma + 2 * chroma * chroma
    }
}

/// Makes stills; keeps its buffers and converter for the next one.
#[derive(Default)]
pub(super) struct StillMaker {
    resampler: Resampler,
    /// Converts frames of this kind to 4:2:0 of 8 bits.
    converter: Option<(FrameKind, Scaling)>,
}

impl StillMaker {
    /// A square of a frame that is displayed in this way.
    pub(super) fn make(
        &mut self,
        frame: &frame::Video,
        display: &Display,
        square: Square,
        side_px: u32,
    ) -> Result<Still, Error> {
        let Display { orientation, size, .. } = *display;
        let colours = Colours::of(frame);
        let converted = self.planes_of(frame, colours)?;
        let planes = converted.as_ref().unwrap_or(frame);
        let centre = orientation.source_of([f64::from(square.x), f64::from(square.y)], size);
        let stored = [frame.width(), frame.height()].map(f64::from);
        // Stored pixels for each displayed one.
        let share = [stored[0] / f64::from(size.0), stored[1] / f64::from(size.1)];
        let mut still = frame::Video::new(Pixel::YUV420P, side_px, side_px);
        colours.set_on(&mut still);
        for plane in 0..3 {
            let halved = if plane == 0 { 1.0 } else { 0.5 };
            let sides = share.map(|share| f64::from(square.side) * share * halved);
            let corner = [0, 1].map(|axis| centre[axis] * share[axis] * halved - sides[axis] / 2.0);
            let to = still.plane_width(plane);
            let pixels = self.plane(planes, plane, Area { corner, sides }, to);
            fill(&mut still, plane, &orientation.apply_to_square(pixels, to));
        }
        Ok(Still(still))
    }

    /// An area of a plane as a square of `to` × `to` pixels; moved and shrunk where it reaches beyond the plane.
    fn plane(&mut self, planes: &frame::Video, plane: usize, area: Area, to: u32) -> Vec<u8> {
        let limits = [planes.plane_width(plane), planes.plane_height(plane)].map(f64::from);
        let [width, height] = limits.map(|limit| limit as usize);
        let plane = Plane { bytes: planes.data(plane), stride: planes.stride(plane), width, height };
        self.resampler.square(plane, area.within(limits), to as usize)
    }

    /// The frame as 4:2:0 of 8 bits in these colours; `None` if it already is.
    fn planes_of(&mut self, frame: &frame::Video, colours: Colours) -> Result<Option<frame::Video>, Error> {
        let format = frame.format();
        if matches!(format, Pixel::YUV420P | Pixel::YUVJ420P) {
            return Ok(None);
        }
        let (width, height) = (frame.width(), frame.height());
        let kind = FrameKind::of(frame);
        if self.converter.as_ref().is_none_or(|(of, _)| *of != kind) {
            let mut context =
                Context::get(format, width, height, Pixel::YUV420P, width, height, Flags::FAST_BILINEAR)?;
            keep_colours(&mut context, colours.space, colours.range == color::Range::JPEG);
            self.converter = Some((kind, Scaling(context)));
        }
        let (_, Scaling(context)) = self.converter.as_mut().ok_or(Error::Bug)?;
        let mut planes = frame::Video::empty();
        context.run(frame, &mut planes)?;
        Ok(Some(planes))
    }
}

/// Copies pixels to a plane, whose rows are padded.
fn fill(still: &mut frame::Video, plane: usize, pixels: &[u8]) {
    let (width, stride) = (still.plane_width(plane) as usize, still.stride(plane));
    for (to, from) in still.data_mut(plane).chunks_mut(stride).zip(pixels.chunks_exact(width)) {
        to[..width].copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ffmpeg_next::color::{Primaries, Range, Space, TransferCharacteristic};
    use tempfile::TempDir;

    use super::super::{ClipWriter, Decoder, EncoderOptions};
    use super::*;

    const SIDE_PX: u32 = 64;

    fn still_of(frame: &frame::Video) -> Still {
        let display = Display::upright(Path::new("film.mp4"), (SIDE_PX, SIDE_PX));
        let square = Square { x: 32.0, y: 32.0, side: 64.0 };
        StillMaker::default().make(frame, &display, square, SIDE_PX).unwrap()
    }

    /// A grey frame with a dark left and a bright right half.
    fn grey(dark: u8, bright: u8, range: Range) -> frame::Video {
        let mut frame = frame::Video::new(Pixel::GRAY8, SIDE_PX, SIDE_PX);
        let stride = frame.stride(0);
        for row in frame.data_mut(0).chunks_mut(stride) {
            row[..32].fill(dark);
            row[32..].fill(bright);
        }
        frame.set_color_range(range);
        frame
    }

    #[test]
    fn a_grey_frame_keeps_its_contrast_and_range() {
        for (dark, bright, range) in [(0, 255, Range::JPEG), (16, 235, Range::MPEG)] {
            let frame = grey(dark, bright, range);
            let still = still_of(&frame);
            assert_eq!(still.colours().range, range);
            let luma = still.0.data(0);
            assert_eq!((luma[4], luma[60]), (dark, bright), "{range:?}");
            assert!(still.0.data(1)[..32].iter().all(|chroma| *chroma == 128), "{range:?}");
            let picture = still.picture().unwrap();
            let seen = [4, 60].map(|x| picture.get_pixel(x, 30).0[0]);
            assert!(seen[0] <= 1 && seen[1] >= 254, "{range:?}: {seen:?}");
        }
    }

    /// A uniform grey HDR frame of ten bits, with this luma.
    fn hdr(luma: u16, transfer: TransferCharacteristic) -> frame::Video {
        let mut frame = frame::Video::new(Pixel::YUV420P10LE, SIDE_PX, SIDE_PX);
        for plane in 0..3 {
            let value = if plane == 0 { luma } else { 512 };
            for pair in frame.data_mut(plane).chunks_exact_mut(2) {
                pair.copy_from_slice(&value.to_le_bytes());
            }
        }
        frame.set_color_space(Space::BT2020NCL);
        frame.set_color_range(Range::MPEG);
        frame.set_color_primaries(Primaries::BT2020);
        frame.set_color_transfer_characteristic(transfer);
        frame
    }

    /// BT.2408, table 1: an 18 % grey card has a signal of 38 % with both transfer functions, and 26 cd/m².
    #[test]
    fn an_hdr_frame_and_its_clip_look_like_standard_dynamic_range() {
        for transfer in [TransferCharacteristic::ARIB_STD_B67, TransferCharacteristic::SMPTE2084] {
            let frame = hdr(64 + (0.38 * 876.0) as u16, transfer);
            let still = still_of(&frame);
            let whole = Scaler::new(SIDE_PX, SIDE_PX, Flags::BILINEAR).run(&frame).unwrap();
            let usual = 255.0 * (26.0_f32 / 203.0).powf(1.0 / 2.4);
            for picture in [whole, still.picture().unwrap()] {
                let [red, green, blue] = picture.get_pixel(30, 30).0.map(f32::from);
                assert!((green - usual).abs() < 0.05 * usual, "{transfer:?}: {green} is not {usual}");
                assert!((red - green).abs() <= 3.0 && (blue - green).abs() <= 3.0, "{transfer:?}");
            }
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("clip.mp4");
            let options = EncoderOptions { colours: still.colours(), ..EncoderOptions::default() };
            let mut writer = ClipWriter::create_with(&path, (SIDE_PX, SIDE_PX), 25.0, options).unwrap();
            writer.push_still(still, 0).unwrap();
            writer.finish().unwrap();
            let mut decoder = Decoder::open(&path, 1).unwrap();
            let clip = decoder.next_frame().unwrap().unwrap();
            let [_, seen, _] = clip.picture().unwrap().get_pixel(30, 30).0.map(f32::from);
            assert!((seen - usual).abs() < 0.06 * usual, "{transfer:?}: {seen} is not {usual}");
        }
    }
}

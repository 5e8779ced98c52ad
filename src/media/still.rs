//! A square of a frame at one size, placed to fractions of a pixel and kept as the encoder takes it: luma and chroma are
//! resampled as they are, without a way through RGB. Knows nothing of what the square shows.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::{Context, Flags};
use ffmpeg_next::{Error, color, frame};
use image::RgbImage;

use super::ffi::Scaling;
use super::orientation::Orientation;
use super::resample::{Plane, Resampler};
use super::scale::{Scaler, has_full_range, is_of_jpeg};

/// A square of the picture as displayed, in its pixels, counted from the corners of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Square {
    /// Its middle, x.
    pub x: f32,
    /// Its middle, y.
    pub y: f32,
    /// Its width and height.
    pub side: f32,
}

/// Which colours the numbers of a picture mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours {
    pub(super) space: color::Space,
    pub(super) range: color::Range,
}

impl Default for Colours {
    /// Those of standard television, BT.601.
    fn default() -> Self {
        Self { space: color::Space::SMPTE170M, range: color::Range::MPEG }
    }
}

impl Colours {
    /// Those of a frame, which was perhaps converted to 4:2:0 of 8 bits.
    fn of(frame: &frame::Video, converted: bool) -> Self {
        // From a format that says so by itself the converter goes to the usual range.
        let full = has_full_range(frame) && !(converted && is_of_jpeg(frame.format()));
        match frame.color_space() {
            color::Space::RGB => Self::default(),
            space => Self { space, range: if full { color::Range::JPEG } else { color::Range::MPEG } },
        }
    }

    fn put_on(self, still: &mut frame::Video) {
        still.set_color_space(self.space);
        still.set_color_range(self.range);
    }
}

/// One picture of a clip in the making, as it goes to the encoder: 4:2:0, in its source's colours.
pub struct Still(pub(super) frame::Video);

impl Still {
    /// Its colours: those of the frame it was made of.
    pub fn colours(&self) -> Colours {
        Colours { space: self.0.color_space(), range: self.0.color_range() }
    }

    /// What it shows.
    ///
    /// # Errors
    /// Whatever FFmpeg says; it should not.
    pub fn picture(&self) -> Result<RgbImage, super::MediaError> {
        Scaler::new(self.0.width(), self.0.height(), Flags::BILINEAR)
            .run(&self.0)
            .map_err(|error| super::MediaError::bug(std::path::Path::new("a still"), error))
    }

    /// What one of this side takes of memory, at least.
    pub fn size_bytes(side_px: u32) -> usize {
        let (luma, chroma) = (side_px as usize, side_px.div_ceil(2) as usize);
        luma * luma + 2 * chroma * chroma
    }
}

/// Makes stills; keeps what the next one can use again.
#[derive(Default)]
pub(super) struct StillMaker {
    resampler: Resampler,
    /// For frames of other kinds than 4:2:0 of 8 bits.
    converter: Option<(Pixel, Scaling)>,
}

impl StillMaker {
    /// The square of a frame that is displayed turned so and, before the turn, in that size.
    pub(super) fn make(
        &mut self,
        frame: &frame::Video,
        (orientation, shown): (Orientation, (u32, u32)),
        square: Square,
        side_px: u32,
    ) -> Result<Still, Error> {
        let converted = self.planes_of(frame)?;
        let planes = converted.as_ref().unwrap_or(frame);
        let centre = orientation.source_of([f64::from(square.x), f64::from(square.y)], shown);
        let stored = [frame.width(), frame.height()].map(f64::from);
        let share = [stored[0] / f64::from(shown.0), stored[1] / f64::from(shown.1)];
        let mut still = frame::Video::new(Pixel::YUV420P, side_px, side_px);
        Colours::of(frame, converted.is_some()).put_on(&mut still);
        for plane in 0..3 {
            let halved = if plane == 0 { 1.0 } else { 0.5 };
            let sides = share.map(|share| f64::from(square.side) * share * halved);
            let corner = [0, 1].map(|axis| centre[axis] * share[axis] * halved - sides[axis] / 2.0);
            let to = still.plane_width(plane);
            let pixels = self.plane(planes, plane, (corner, sides), to);
            fill(&mut still, plane, &orientation.apply_to_square(pixels, to));
        }
        Ok(Still(still))
    }

    /// One plane's part, `to` pixels wide and high.
    fn plane(
        &mut self,
        planes: &frame::Video,
        plane: usize,
        (corner, sides): ([f64; 2], [f64; 2]),
        to: u32,
    ) -> Vec<u8> {
        let limits = [planes.plane_width(plane), planes.plane_height(plane)].map(f64::from);
        let sides = [0, 1].map(|axis| sides[axis].clamp(1.0, limits[axis]));
        let corner = [0, 1].map(|axis| corner[axis].clamp(0.0, limits[axis] - sides[axis]));
        let [width, height] = limits.map(|limit| limit as usize);
        let plane = Plane { bytes: planes.data(plane), stride: planes.stride(plane), width, height };
        self.resampler.square(plane, corner, sides, to as usize)
    }

    /// The frame as 4:2:0 of 8 bits; nothing where it is already.
    fn planes_of(&mut self, frame: &frame::Video) -> Result<Option<frame::Video>, Error> {
        let format = frame.format();
        if matches!(format, Pixel::YUV420P | Pixel::YUVJ420P) {
            return Ok(None);
        }
        let (width, height) = (frame.width(), frame.height());
        let fits = |(of, Scaling(context)): &(Pixel, Scaling)| {
            *of == format && (context.input().width, context.input().height) == (width, height)
        };
        if !self.converter.as_ref().is_some_and(fits) {
            let context =
                Context::get(format, width, height, Pixel::YUV420P, width, height, Flags::FAST_BILINEAR)?;
            self.converter = Some((format, Scaling(context)));
        }
        let (_, Scaling(context)) = self.converter.as_mut().ok_or(Error::Bug)?;
        let mut planes = frame::Video::empty();
        context.run(frame, &mut planes)?;
        Ok(Some(planes))
    }
}

/// Copies pixels without padding to a plane with it.
fn fill(still: &mut frame::Video, plane: usize, pixels: &[u8]) {
    let (width, stride) = (still.plane_width(plane) as usize, still.stride(plane));
    for (to, from) in still.data_mut(plane).chunks_mut(stride).zip(pixels.chunks_exact(width)) {
        to[..width].copy_from_slice(from);
    }
}

//! Encodes pictures and their times to an MP4 file, to the same bytes every time. Knows nothing of what the pictures
//! show.

use std::path::{Path, PathBuf};

use ffmpeg_next::codec::{Context, Flags as CodecFlags, threading};
use ffmpeg_next::error::EAGAIN;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::format::context::Output;
use ffmpeg_next::software::scaling::{self, Flags};
use ffmpeg_next::{Codec, Dictionary, Error, Packet, Rational, codec, encoder, format, frame};
use image::RgbImage;

use super::error::MediaError;
use super::still::{Colours, Still};

/// How pictures are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderOptions {
    /// H.264's constant rate factor, 0 (lossless) to 51; 20 is hard to distinguish from the source.
    pub crf: u8,
    /// The trade-off between time and size.
    pub preset: Preset,
    /// Greatest time between key frames at the nominal frame rate, seconds.
    pub key_frame_every_s: u32,
    /// The colours of stills; pictures are converted to the default ones.
    pub colours: Colours,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self { crf: 22, preset: Preset::SuperFast, key_frame_every_s: 2, colours: Colours::default() }
    }
}

/// How much time is spent to reduce the size of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// For temporary videos.
    UltraFast,
    /// For clips that are kept.
    SuperFast,
}

impl Preset {
    fn as_str(self) -> &'static str {
        match self {
            Self::UltraFast => "ultrafast",
            Self::SuperFast => "superfast",
        }
    }
}

/// Facts about the file that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Frames in the file.
    pub frames: u64,
    /// From the first frame to the end of the last, which lasts as long as the nominal frame rate says.
    pub duration_ms: i64,
}

/// Encoders in order of preference; the first one that FFmpeg has and that opens is used.
const ENCODERS: [&str; 4] = ["libx264", "libopenh264", "h264", "mpeg4"];

/// Timestamps are milliseconds, as everywhere in this program; the container may use finer ticks.
const TIME_BASE: (i32, i32) = (1, 1_000);

/// Writes H.264 (or MPEG-4 if there is no H.264 encoder) to an MP4 file with its index first, so that it plays while it
/// loads. Frames keep their exact times.
pub struct ClipWriter {
    path: PathBuf,
    output: Output,
    encoder: encoder::video::Encoder,
    scaler: scaling::Context,
    rgb: frame::Video,
    picture_size: (u32, u32),
    frame_ms: i64,
    first_ms: Option<i64>,
    last_ms: i64,
    frames: u64,
}

impl ClipWriter {
    /// [`ClipWriter::create_with`] the default options.
    ///
    /// # Errors
    /// As for [`ClipWriter::create_with`].
    pub fn create(path: &Path, width: u32, height: u32, nominal_frame_rate: f64) -> Result<Self, MediaError> {
        Self::create_with(path, (width, height), nominal_frame_rate, EncoderOptions::default())
    }

    /// Begins a file for pictures of this width and height; the last row or column of an odd side is dropped. The
    /// nominal frame rate decides how long the last frame lasts and how many frames are between key frames; other
    /// frames have the times with which they are pushed.
    ///
    /// # Errors
    /// [`MediaError::Disk`] if the file cannot be created, [`MediaError::Bug`] for sides below 2, a frame rate outside
    /// 0.1 to 1,000, or without any encoder.
    pub fn create_with(
        path: &Path,
        (width, height): (u32, u32),
        nominal_frame_rate: f64,
        options: EncoderOptions,
    ) -> Result<Self, MediaError> {
        super::begin().map_err(|error| MediaError::bug(path, error))?;
        let even = (width & !1, height & !1);
        if even.0 == 0 || even.1 == 0 || !(0.1..=1_000.0).contains(&nominal_frame_rate) {
            let detail = format!("cannot encode {width}x{height} at {nominal_frame_rate} frames a second");
            return Err(MediaError::bug(path, detail));
        }
        let mut output = open_output(path)?;
        let encoder = open_first(even, nominal_frame_rate, options)
            .ok_or_else(|| MediaError::bug(path, "FFmpeg has no H.264 or MPEG-4 encoder"))?;
        begin_file(&mut output, &encoder).map_err(|error| MediaError::disk(path, error))?;
        let scaler = rgb_to_yuv(even).map_err(|error| MediaError::bug(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            output,
            encoder,
            scaler,
            rgb: frame::Video::new(Pixel::RGB24, even.0, even.1),
            picture_size: (width, height),
            frame_ms: (1_000.0 / nominal_frame_rate).round().max(1.0) as i64,
            first_ms: None,
            last_ms: 0,
            frames: 0,
        })
    }

    /// Adds a picture that is shown from `time_ms` on. Times must ascend; the first one becomes 0 in the file.
    ///
    /// # Errors
    /// [`MediaError::Bug`] for a picture of another size or a time that does not ascend, [`MediaError::Disk`] if
    /// writing fails.
    pub fn push(&mut self, picture: &RgbImage, time_ms: i64) -> Result<(), MediaError> {
        if picture.dimensions() != self.picture_size {
            let detail =
                format!("a picture of {:?} in a file of {:?}", picture.dimensions(), self.picture_size);
            return Err(MediaError::bug(&self.path, detail));
        }
        let stamp = self.accept(time_ms)?;
        fill_rows(&mut self.rgb, picture);
        let mut yuv = frame::Video::empty();
        let scaled = self.scaler.run(&self.rgb, &mut yuv);
        scaled.and_then(|()| self.encode(yuv, stamp)).map_err(|error| MediaError::disk(&self.path, error))
    }

    /// As [`ClipWriter::push`], for a still, which should have the colours of the options.
    ///
    /// # Errors
    /// As for [`ClipWriter::push`].
    pub fn push_still(&mut self, still: Still, time_ms: i64) -> Result<(), MediaError> {
        let size = (still.0.width(), still.0.height());
        if size != self.picture_size {
            let detail = format!("a still of {size:?} in a file of {:?}", self.picture_size);
            return Err(MediaError::bug(&self.path, detail));
        }
        let stamp = self.accept(time_ms)?;
        self.encode(still.0, stamp).map_err(|error| MediaError::disk(&self.path, error))
    }

    /// The time of the next picture in the file, milliseconds.
    fn accept(&mut self, time_ms: i64) -> Result<i64, MediaError> {
        let first_ms = *self.first_ms.get_or_insert(time_ms);
        if self.frames > 0 && time_ms <= self.last_ms {
            let detail = format!("a frame at {time_ms} ms after one at {} ms", self.last_ms);
            return Err(MediaError::bug(&self.path, detail));
        }
        self.last_ms = time_ms;
        self.frames += 1;
        Ok(time_ms - first_ms)
    }

    /// Writes the remaining frames and closes the file.
    ///
    /// # Errors
    /// [`MediaError::Bug`] if nothing was pushed, [`MediaError::Disk`] if writing fails.
    pub fn finish(mut self) -> Result<Written, MediaError> {
        let Some(first_ms) = self.first_ms else {
            return Err(MediaError::bug(&self.path, "a clip without frames"));
        };
        self.close().map_err(|error| MediaError::disk(&self.path, error))?;
        Ok(Written { frames: self.frames, duration_ms: self.last_ms - first_ms + self.frame_ms })
    }

    fn encode(&mut self, mut yuv: frame::Video, stamp: i64) -> Result<(), Error> {
        yuv.set_pts(Some(stamp));
        self.encoder.send_frame(&yuv)?;
        self.write_packets()
    }

    fn close(&mut self) -> Result<(), Error> {
        self.encoder.send_eof()?;
        self.write_packets()?;
        self.output.write_trailer()
    }

    fn write_packets(&mut self) -> Result<(), Error> {
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {}
                Err(Error::Eof | Error::Other { errno: EAGAIN }) => return Ok(()),
                Err(error) => return Err(error),
            }
            packet.set_stream(0);
            // The muxer derives durations from the timestamps; only the last frame's is taken from here.
            packet.set_duration(self.frame_ms);
            let to = self.output.stream(0).map_or(Rational(1, 1_000), |stream| stream.time_base());
            packet.rescale_ts(TIME_BASE, to);
            packet.write_interleaved(&mut self.output)?;
        }
    }
}

fn open_output(path: &Path) -> Result<Output, MediaError> {
    let refused = |detail: String| MediaError::disk(path, detail);
    let name = path.to_str().filter(|name| !name.contains('\0'));
    let name = name.ok_or_else(|| refused("the path is not UTF-8".to_owned()))?;
    format::output_as(&format!("file:{name}"), "mp4").map_err(|error| refused(error.to_string()))
}

fn rgb_to_yuv((width, height): (u32, u32)) -> Result<scaling::Context, Error> {
    let flags = Flags::BILINEAR | Flags::BITEXACT;
    scaling::Context::get(Pixel::RGB24, width, height, Pixel::YUV420P, width, height, flags)
}

/// The first encoder that opens.
fn open_first(size: (u32, u32), frame_rate: f64, options: EncoderOptions) -> Option<encoder::video::Encoder> {
    let named = ENCODERS.iter().filter_map(|name| encoder::find_by_name(name));
    let any = [codec::Id::H264, codec::Id::MPEG4].into_iter().filter_map(encoder::find);
    named.chain(any).find_map(|codec| open_encoder(codec, size, frame_rate, options).ok())
}

fn open_encoder(
    codec: Codec,
    (width, height): (u32, u32),
    frame_rate: f64,
    options: EncoderOptions,
) -> Result<encoder::video::Encoder, Error> {
    let mut context = Context::new_with_codec(codec);
    context.set_flags(CodecFlags::GLOBAL_HEADER | CodecFlags::BITEXACT);
    // With more threads the bytes would depend on the machine.
    context.set_threading(threading::Config::count(1));
    let mut video = context.encoder().video()?;
    video.set_width(width);
    video.set_height(height);
    video.set_format(Pixel::YUV420P);
    video.set_time_base(TIME_BASE);
    video.set_frame_rate(Some(Rational::from(frame_rate)));
    video.set_gop((f64::from(options.key_frame_every_s) * frame_rate).round().max(1.0) as u32);
    // Without B-frames, frames are stored in the order in which they are shown, so times are exact in every reader
    // without an edit list.
    video.set_max_b_frames(0);
    video.set_colorspace(options.colours.space);
    video.set_color_range(options.colours.range);
    video.set_color_primaries(options.colours.primaries);
    video.set_color_transfer_characteristic(options.colours.transfer);
    let mut settings = Dictionary::new();
    if codec.name() == "libx264" {
        settings.set("preset", options.preset.as_str());
        settings.set("crf", &options.crf.to_string());
        settings.set("bf", "0");
    } else {
        // The fallbacks have no constant rate factor: a fifth of a bit for each pixel.
        let bits_per_second = f64::from(width * height) * frame_rate * 0.2;
        video.set_bit_rate(bits_per_second as usize);
    }
    video.open_as_with(codec, settings)
}

/// Adds the video stream and writes the header.
fn begin_file(output: &mut Output, encoder: &encoder::video::Encoder) -> Result<(), Error> {
    let mut stream = output.add_stream_with(encoder)?;
    stream.set_time_base(TIME_BASE);
    let mut settings = Dictionary::new();
    settings.set("movflags", "+faststart");
    settings.set("fflags", "+bitexact");
    output.write_header_with(settings)?;
    Ok(())
}

/// Copies a picture to an RGB frame, whose rows are padded.
fn fill_rows(rgb: &mut frame::Video, picture: &RgbImage) {
    let (kept_bytes, stride) = (3 * rgb.width() as usize, rgb.stride(0));
    let rows = picture.chunks_exact(3 * picture.width() as usize);
    for (to, from) in rgb.data_mut(0).chunks_mut(stride).zip(rows) {
        to[..kept_bytes].copy_from_slice(&from[..kept_bytes]);
    }
}

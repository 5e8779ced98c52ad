//! Decodes a video file to frames, in order of time. Knows nothing of what the frames show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ffmpeg_next::codec::{Context, packet, threading};
use ffmpeg_next::error::EAGAIN;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::frame::side_data;
use ffmpeg_next::{Dictionary, Error, Packet, Stream, decoder, format, frame, media};

use super::MAX_SIDE_PX;
use super::ahead::ReadAhead;
use super::error::MediaError;
use super::ffi;
use super::frame::{Display, Renderer, VideoFrame};
use super::hardware::{self, Hardware};
use super::orientation::Orientation;
use super::probe::Probe;
use super::time::Timeline;

/// Pixels count as square if their aspect ratio differs from 1 by less than this.
const NEARLY_SQUARE: f64 = 0.01;
/// The picture's shape may change by this share: stored sides are multiples of a block.
const SAME_SHAPE: f64 = 0.03;
/// A file with more broken packets than this is undecodable.
const MAX_BROKEN_PACKETS: u32 = 100;

/// Containers that may be opened. Playlists (HLS, concat …) are not among them: a download must not make this program
/// open the files that it names.
const CONTAINERS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,ogg,asf,h264,hevc,ivf,\
                          obu,m4v,gif,nut,mxf,dv,yuv4mpegpipe";
/// Those of them whose clock may restart in the middle, so that a timestamp does not tell where in the file its frame
/// is.
const MAY_RESTART: [&str; 3] = ["mpegts", "mpeg", "ogg"];

/// Reads one file's frames in order, with bounded memory.
pub struct Decoder {
    source: Source,
    renderer: Arc<Renderer>,
}

/// The part of a decoder that may move to another thread: it gives frames, but does not render them.
pub(super) struct Source {
    path: PathBuf,
    threads: u32,
    input: Input,
    stream_index: usize,
    codec: decoder::Video,
    /// The device that decodes this file; `None` for software.
    hardware: Option<Arc<Hardware>>,
    timeline: Timeline,
    display: Display,
    /// Width over height of the first picture, before rotation.
    shape: f64,
    probe: Probe,
    /// Whether the probe's duration is the video stream's own, and not the whole file's.
    is_own_duration: bool,
    /// A frame that was already decoded, on opening or seeking.
    waiting: Option<TimedFrame>,
    /// Target of the last seek of the container, milliseconds.
    sought_ms: i64,
    broken_packets: u32,
}

/// A frame and its time since the video's first frame, milliseconds.
pub(super) type TimedFrame = (frame::Video, i64);

impl Decoder {
    /// Opens a file and decodes its first frame, with this number of threads (0 means 1).
    ///
    /// # Errors
    /// [`MediaError::NotAVideo`] without a container or video stream, [`MediaError::Undecodable`] without a first frame
    /// or if a side exceeds [`MAX_SIDE_PX`], [`MediaError::Unreadable`] if the file is missing or its permissions
    /// forbid reading, [`MediaError::Disk`] if reading fails.
    pub fn open(path: &Path, threads: u32) -> Result<Self, MediaError> {
        Self::open_on(path, threads, hardware::chosen())
    }

    /// [`Decoder::open`] on this hardware, or in software where that fails.
    pub(super) fn open_on(
        path: &Path,
        threads: u32,
        hardware: Option<Arc<Hardware>>,
    ) -> Result<Self, MediaError> {
        let source = Source::open(path, threads, hardware)?;
        let renderer = Arc::new(Renderer::new(source.display.clone()));
        Ok(Self { source, renderer })
    }

    /// Facts about the file.
    pub fn probe(&self) -> &Probe {
        &self.source.probe
    }

    /// Continues from a key frame at or before `ms`, if possible the last one. If the container's clock may restart, it
    /// continues from the current place if that is before `ms`, else from the start.
    ///
    /// # Errors
    /// As for [`Decoder::next_frame`] and [`Decoder::open`].
    pub fn seek(&mut self, ms: i64) -> Result<(), MediaError> {
        self.source.seek(ms)
    }

    /// As [`Decoder::seek`], but trusts the container's timestamps even if its clock may restart. The frames that
    /// follow may then have wrong times: enough to see that they decode.
    pub(super) fn jump(&mut self, ms: i64) -> Result<(), MediaError> {
        self.source.jump(ms)
    }

    /// Whether the pictures may end before the probe's duration: it is the whole file's, and no packet was broken.
    pub(super) fn may_end_early(&self) -> bool {
        !self.source.is_own_duration && self.source.broken_packets == 0
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// [`MediaError::Undecodable`] after too many broken packets, or if the picture has another shape than the first
    /// one, [`MediaError::Disk`] if reading fails.
    pub fn next_frame(&mut self) -> Result<Option<VideoFrame>, MediaError> {
        let next = self.source.next()?;
        Ok(next.map(|(frame, time_ms)| VideoFrame::new(frame, time_ms, Arc::clone(&self.renderer))))
    }

    /// Moves decoding to another thread, which works some frames ahead of the caller.
    pub fn read_ahead(self) -> ReadAhead {
        ReadAhead::new(self.source, self.renderer)
    }
}

impl Source {
    pub(super) fn open(
        path: &Path,
        threads: u32,
        hardware: Option<Arc<Hardware>>,
    ) -> Result<Self, MediaError> {
        let Some(hardware) = hardware.filter(|hardware| hardware.device().is_some()) else {
            return Self::open_with(path, threads, None);
        };
        Self::open_with(path, threads, Some(Arc::clone(&hardware))).or_else(|error| {
            // If software fails too, the file is at fault and not the hardware.
            Self::open_with(path, threads, None).inspect(|_| hardware.record_failure(&error))
        })
    }

    fn open_with(path: &Path, threads: u32, hardware: Option<Arc<Hardware>>) -> Result<Self, MediaError> {
        super::begin().map_err(|error| MediaError::bug(path, error))?;
        let mut input = open_input(path)?;
        let stream = input
            .streams()
            .best(media::Type::Video)
            .filter(|stream| !stream.disposition().contains(Disposition::ATTACHED_PIC))
            .ok_or_else(|| MediaError::not_a_video(path, "no video stream"))?;
        let stream_index = stream.index();
        let codec = open_codec(path, &stream, threads, hardware.as_deref())?;
        let time_base = stream.time_base();
        let timeline = Timeline::new(time_base.numerator(), time_base.denominator(), frame_rate(&stream));
        let probe = describe(&input, &stream, &timeline);
        // Matroska has no duration of a stream: one that FFmpeg reports is the file's.
        let is_own_duration = stream.duration() > 0 && !probe.container.contains("matroska");
        let stream_orientation = orientation_of(&stream);
        ffi::keep_only_stream(&mut input, stream_index);

        let mut source = Self {
            path: path.to_owned(),
            threads,
            input,
            stream_index,
            codec,
            hardware,
            timeline,
            display: Display::upright(path, (1, 1)),
            shape: 1.0,
            probe,
            is_own_duration,
            waiting: None,
            sought_ms: 0,
            broken_packets: 0,
        };
        source.decode_first(stream_orientation)?;
        Ok(source)
    }

    /// Facts about the file.
    pub(super) fn probe(&self) -> &Probe {
        &self.probe
    }

    fn seek(&mut self, ms: i64) -> Result<(), MediaError> {
        if MAY_RESTART.contains(&self.probe.container.as_str()) { self.read_on_to(ms) } else { self.jump(ms) }
    }

    fn jump(&mut self, ms: i64) -> Result<(), MediaError> {
        let ms = ms.max(0);
        let mut back_ms = 0;
        while back_ms <= ms {
            if self.seek_container(ms - back_ms).is_err() {
                break;
            }
            // An index by decode time may lead to a key frame that is shown after `ms`, and a container without an
            // index to a place that no key frame follows: try further back.
            if let Some(first) = self.decode_frame()?.filter(|(_, time_ms)| *time_ms <= ms) {
                self.waiting = Some(first);
                return Ok(());
            }
            back_ms = (2 * back_ms).max(500);
        }
        self.reopen()
    }

    /// As [`Source::seek`], for a clock that may restart: a frame's time is known only if all frames before it were
    /// decoded.
    fn read_on_to(&mut self, ms: i64) -> Result<(), MediaError> {
        let is_before = self.waiting.is_some() || self.timeline.now_ms().is_some_and(|now_ms| now_ms < ms);
        if is_before { Ok(()) } else { self.reopen() }
    }

    /// Starts again from the first frame.
    fn reopen(&mut self) -> Result<(), MediaError> {
        *self = Self::open(&self.path, self.threads, self.hardware.take())?;
        Ok(())
    }

    /// The next frame and its time; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<TimedFrame>, MediaError> {
        match self.waiting.take() {
            Some(waiting) => Ok(Some(waiting)),
            None => self.decode_frame(),
        }
    }

    /// Decodes the first frame, which tells how the video is displayed.
    fn decode_first(&mut self, orientation: Option<Orientation>) -> Result<(), MediaError> {
        let Some(mut first) = self.receive()? else {
            return Err(MediaError::undecodable(&self.path, "no frame decodes"));
        };
        let orientation = orientation.or_else(|| {
            first
                .side_data(side_data::Type::DisplayMatrix)
                .map(|matrix| Orientation::from_display_matrix(matrix.data()))
        });
        let orientation = orientation.unwrap_or_default();
        let ratio = ffi::sample_aspect_ratio(&mut self.input, self.stream_index, &mut first);
        let size = (widen(first.width(), f64::from(ratio)), first.height());
        if size.0 > MAX_SIDE_PX {
            return Err(too_large(&self.path, size));
        }
        (self.probe.width, self.probe.height) = orientation.turned_size(size);
        self.probe.rotation_deg = orientation.rotation_deg();
        self.probe.frame_bytes = ffi::size_bytes(&first) as u64;
        self.display = Display { orientation, size, ..Display::upright(&self.path, size) };
        self.shape = shape_of(&first);
        self.waiting = Some(self.timed(first));
        Ok(())
    }

    /// Seeks the container to the key frame at or before `ms`, by its own index.
    fn seek_container(&mut self, ms: i64) -> Result<(), Error> {
        let stamp_us = self.timeline.stamp_us(ms);
        self.input.seek(stamp_us, ..stamp_us)?;
        self.codec.flush();
        self.waiting = None;
        self.timeline.jump(ms);
        self.sought_ms = ms;
        Ok(())
    }

    fn decode_frame(&mut self) -> Result<Option<TimedFrame>, MediaError> {
        let received = match self.receive() {
            Err(error) if self.hardware.is_some() => return self.go_on_in_software(&error),
            received => received?,
        };
        let Some(frame) = received else { return Ok(None) };
        let (frame, time_ms) = self.timed(frame);
        if (shape_of(&frame) / self.shape - 1.0).abs() > SAME_SHAPE {
            let detail = format!("the picture changes its shape at {time_ms} ms");
            return Err(MediaError::undecodable(&self.path, detail));
        }
        Ok(Some((frame, time_ms)))
    }

    /// After the hardware failed on this file: continues in software, and returns the next frame.
    pub(super) fn go_on_in_software(&mut self, error: &MediaError) -> Result<Option<TimedFrame>, MediaError> {
        let (last_ms, sought_ms) = (self.timeline.now_ms(), self.sought_ms);
        if let Some(hardware) = self.hardware.take() {
            hardware.record_failure(error);
        }
        *self = Self::open_with(&self.path, self.threads, None)?;
        let Some(last_ms) = last_ms else {
            return match self.seek_container(sought_ms) {
                Ok(()) => self.decode_frame(),
                Err(_) => self.reopen().and_then(|()| self.next()),
            };
        };
        self.seek(last_ms)?;
        loop {
            match self.next()? {
                Some((_, time_ms)) if time_ms <= last_ms => {}
                next => return Ok(next),
            }
        }
    }

    fn timed(&mut self, frame: frame::Video) -> TimedFrame {
        let time_ms = self.timeline.place(frame.pts().or_else(|| frame.timestamp()));
        (frame, time_ms)
    }

    /// The codec's next frame, after as many packets as it needs; `None` at the end.
    fn receive(&mut self) -> Result<Option<frame::Video>, MediaError> {
        let mut frame = frame::Video::empty();
        loop {
            match self.codec.receive_frame(&mut frame) {
                Ok(()) => {
                    let size = (frame.width(), frame.height());
                    if size.0.max(size.1) > MAX_SIDE_PX || size.0.min(size.1) == 0 {
                        return Err(too_large(&self.path, size));
                    }
                    return self.downloaded(frame).map(Some);
                }
                Err(Error::Eof) => return Ok(None),
                Err(Error::Other { errno: EAGAIN }) => self.feed()?,
                Err(error) => self.count_broken(error)?,
            }
        }
    }

    /// The frame in system memory, wherever it was decoded.
    fn downloaded(&self, frame: frame::Video) -> Result<frame::Video, MediaError> {
        if self.hardware.is_none() {
            return Ok(frame);
        }
        if frame.format() != Pixel::CUDA {
            return Err(MediaError::undecodable(&self.path, "the CUDA device does not take it"));
        }
        hardware::downloaded(&frame).map_err(|error| MediaError::undecodable(&self.path, error))
    }

    /// Reads one packet and sends it to the codec if it is of the video stream; at the end of the file sends that.
    fn feed(&mut self) -> Result<(), MediaError> {
        let mut packet = Packet::empty();
        let sent = match packet.read(&mut self.input) {
            Ok(()) if packet.stream() != self.stream_index => Ok(()),
            Ok(()) => self.codec.send_packet(&packet),
            Err(Error::Eof) => self.codec.send_eof(),
            Err(Error::Other { errno }) => {
                return Err(read_error(&self.path, &Error::Other { errno }));
            }
            Err(error) => Err(error),
        };
        sent.or_else(|error| self.count_broken(error))
    }

    fn count_broken(&mut self, error: Error) -> Result<(), MediaError> {
        self.broken_packets += 1;
        if self.hardware.is_some() {
            // Decoding in software will show whether the packet is broken or the hardware failed.
            return Err(MediaError::undecodable(&self.path, error));
        }
        if self.broken_packets > MAX_BROKEN_PACKETS {
            let detail = format!("more than {MAX_BROKEN_PACKETS} broken packets, the last: {error}");
            return Err(MediaError::undecodable(&self.path, detail));
        }
        Ok(())
    }
}

/// The error of a file at which FFmpeg reports a system error. Demuxers report these for invalid bytes too, so the disk
/// is at fault only if the system cannot read the file.
fn read_error(path: &Path, error: &Error) -> MediaError {
    let read = std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut std::io::sink()));
    match read {
        Ok(_) => MediaError::undecodable(path, error),
        Err(error) => MediaError::unread(path, &error),
    }
}

/// Opens a container, if it is one of [`CONTAINERS`].
pub(super) fn open_input(path: &Path) -> Result<Input, MediaError> {
    // The system is asked first: its messages are better, and a missing file says nothing about the video.
    std::fs::File::open(path).map_err(|error| MediaError::unread(path, &error))?;
    let Some(name) = path.to_str().filter(|name| !name.contains('\0')) else {
        return Err(MediaError::disk(path, "the path is not UTF-8"));
    };
    let mut options = Dictionary::new();
    options.set("protocol_whitelist", "file");
    options.set("format_whitelist", CONTAINERS);
    // With the protocol given, no file name is taken for a URL.
    format::input_with_dictionary(&format!("file:{name}"), options)
        .map_err(|error| MediaError::not_a_video(path, error))
}

/// Opens the decoder of a stream, on the device of `hardware` if there is one.
fn open_codec(
    path: &Path,
    stream: &Stream,
    threads: u32,
    hardware: Option<&Hardware>,
) -> Result<decoder::Video, MediaError> {
    let undecodable = |error: Error| MediaError::undecodable(path, error);
    let id = stream.parameters().id();
    let mut context = Context::from_parameters(stream.parameters()).map_err(undecodable)?;
    let codec = match hardware.and_then(Hardware::device) {
        Some(device) => ffi::put_on(device, &mut context, id),
        None => {
            let (count, kind) = (threads.max(1) as usize, threading::Type::Frame);
            context.set_threading(threading::Config { count, ..threading::Config::kind(kind) });
            decoder::find(id)
        }
    };
    let place = if hardware.is_some() { " on the CUDA device" } else { "" };
    let missing = || MediaError::undecodable(path, format!("no decoder for {}{place}", id.name()));
    let codec = codec.ok_or_else(missing)?;
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(stream.time_base());
    let mut options = Dictionary::new();
    options.set("max_pixels", &(u64::from(MAX_SIDE_PX) * u64::from(MAX_SIDE_PX)).to_string());
    decoder.open_as_with(codec, options).and_then(decoder::Opened::video).map_err(undecodable)
}

/// The facts that the container gives; the rest is 0 until the first frame is decoded.
fn describe(input: &Input, stream: &Stream, timeline: &Timeline) -> Probe {
    let duration_ms = if stream.duration() > 0 {
        timeline.ms_of(stream.duration())
    } else {
        input.duration().max(0) / 1_000
    };
    Probe {
        container: input.format().name().to_owned(),
        video_codec: stream.parameters().id().name().to_owned(),
        width: 0,
        height: 0,
        rotation_deg: 0,
        duration_ms,
        frame_rate: frame_rate(stream),
        frame_bytes: 0,
        has_audio: input.streams().any(|other| other.parameters().medium() == media::Type::Audio),
    }
}

/// The orientation that the container gives, if any.
fn orientation_of(stream: &Stream) -> Option<Orientation> {
    let mut side_data = stream.side_data();
    let matrix = side_data.find(|data| data.kind() == packet::side_data::Type::DisplayMatrix)?;
    Some(Orientation::from_display_matrix(matrix.data()))
}

/// Mean frames a second; 25 if the container gives none.
fn frame_rate(stream: &Stream) -> f64 {
    let rates = [stream.avg_frame_rate(), stream.rate()];
    let known = rates.into_iter().find(|rate| rate.numerator() > 0 && rate.denominator() > 0);
    known.map_or(25.0, f64::from)
}

/// A width in square pixels. Ratios outside 1:4 to 4:1 are taken for an error, and those close to 1 (such as 1280:1281,
/// of 854x480 for 16:9) for square.
fn widen(width: u32, sample_aspect_ratio: f64) -> u32 {
    if !(0.25..=4.0).contains(&sample_aspect_ratio) || (sample_aspect_ratio - 1.0).abs() < NEARLY_SQUARE {
        return width;
    }
    (f64::from(width) * sample_aspect_ratio).round().max(1.0) as u32
}

/// Width over height of a frame's picture, with the codec's aspect ratio of the pixels.
fn shape_of(frame: &frame::Video) -> f64 {
    f64::from(widen(frame.width(), f64::from(frame.aspect_ratio()))) / f64::from(frame.height())
}

fn too_large(path: &Path, (width, height): (u32, u32)) -> MediaError {
    MediaError::undecodable(path, format!("a picture of {width}x{height} pixels is out of bounds"))
}

//! A video file as a stream of frames, in order of time. Knows nothing of what the frames show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ffmpeg_next::codec::{Context, packet, threading};
use ffmpeg_next::error::EAGAIN;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::frame::side_data;
use ffmpeg_next::{Dictionary, Error, Packet, Stream, decoder, format, frame, media};

use super::MAX_SIDE_PX;
use super::ahead::ReadAhead;
use super::error::MediaError;
use super::ffi;
use super::frame::{Display, Renderer, VideoFrame};
use super::orientation::Orientation;
use super::probe::Probe;
use super::time::Timeline;

/// Pixels that are wider or higher by a smaller share than this count as square.
const NEARLY_SQUARE: f64 = 0.01;
/// A file with more broken packets than this is given up.
const MAX_BROKEN_PACKETS: u32 = 100;

/// Containers that may be opened. Lists of other files (HLS, concat …) are not among them: a download must not make us
/// open what it names.
const CONTAINERS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,ogg,asf,h264,hevc,ivf,\
                          obu,m4v,gif,nut,mxf,dv,yuv4mpegpipe";

/// Reads one file's frames in order, with bounded memory. It stays on the thread that opened it.
pub struct Decoder {
    source: Source,
    renderer: Arc<Renderer>,
}

/// The part of a decoder that may move to another thread: it gives frames that nobody can render yet.
pub(super) struct Source {
    path: PathBuf,
    threads: u32,
    input: Input,
    stream_index: usize,
    codec: decoder::Video,
    timeline: Timeline,
    display: Display,
    probe: Probe,
    /// Whether the probe's duration is that of the pictures, and not of the whole file.
    is_own_duration: bool,
    /// A frame that was decoded early, by opening or seeking.
    waiting: Option<Placed>,
    broken_packets: u32,
}

/// A frame and its milliseconds since the video's first one.
pub(super) type Placed = (frame::Video, i64);

impl Decoder {
    /// Opens a file and decodes its first frame, with so many threads (0 is taken as 1).
    ///
    /// # Errors
    /// [`MediaError::NotAVideo`] without a container or video stream, [`MediaError::Undecodable`] without a first frame
    /// or with a picture beyond [`MAX_SIDE_PX`], [`MediaError::Unreadable`] if the file is not there or may not be read,
    /// [`MediaError::Disk`] if reading fails.
    pub fn open(path: &Path, threads: u32) -> Result<Self, MediaError> {
        let source = Source::open(path, threads)?;
        let renderer = Arc::new(Renderer::new(source.display.clone()));
        Ok(Self { source, renderer })
    }

    /// What the file is.
    pub fn probe(&self) -> &Probe {
        &self.source.probe
    }

    /// Goes on from the last key frame at or before `ms`; from the start where the container cannot be searched.
    ///
    /// # Errors
    /// As for [`Decoder::next_frame`] and [`Decoder::open`].
    pub fn seek(&mut self, ms: i64) -> Result<(), MediaError> {
        self.source.seek(ms)
    }

    /// Whether the pictures may end before the probe's duration: it is that of the whole file, and no packet was broken.
    pub(super) fn may_end_early(&self) -> bool {
        !self.source.is_own_duration && self.source.broken_packets == 0
    }

    /// The next frame, or none at the end.
    ///
    /// # Errors
    /// [`MediaError::Undecodable`] after too many broken packets, [`MediaError::Disk`] if reading fails.
    pub fn next_frame(&mut self) -> Result<Option<VideoFrame>, MediaError> {
        let placed = self.source.next()?;
        Ok(placed.map(|(frame, time_ms)| VideoFrame::new(frame, time_ms, Arc::clone(&self.renderer))))
    }

    /// Goes on decoding on a thread of its own, some frames ahead of whoever takes them.
    pub fn read_ahead(self) -> ReadAhead {
        ReadAhead::new(self.source, self.renderer)
    }
}

impl Source {
    fn open(path: &Path, threads: u32) -> Result<Self, MediaError> {
        super::begin().map_err(|error| MediaError::bug(path, error))?;
        let mut input = open_input(path)?;
        let stream = input
            .streams()
            .best(media::Type::Video)
            .filter(|stream| !stream.disposition().contains(Disposition::ATTACHED_PIC))
            .ok_or_else(|| MediaError::not_a_video(path, "no video stream"))?;
        let stream_index = stream.index();
        let codec = open_codec(path, &stream, threads)?;
        let time_base = stream.time_base();
        let timeline = Timeline::new(time_base.numerator(), time_base.denominator(), frame_rate(&stream));
        let probe = describe(&input, &stream, &timeline);
        // Matroska knows no duration of a stream; one that FFmpeg tells all the same is the file's.
        let is_own_duration = stream.duration() > 0 && !probe.container.contains("matroska");
        let stream_orientation = orientation_of(&stream);
        ffi::keep_only_stream(&mut input, stream_index);

        let mut source = Self {
            path: path.to_owned(),
            threads,
            input,
            stream_index,
            codec,
            timeline,
            display: Display::upright(path, (1, 1)),
            probe,
            is_own_duration,
            waiting: None,
            broken_packets: 0,
        };
        source.settle_display(stream_orientation)?;
        Ok(source)
    }

    /// What the file is.
    pub(super) fn probe(&self) -> &Probe {
        &self.probe
    }

    fn seek(&mut self, ms: i64) -> Result<(), MediaError> {
        let ms = ms.max(0);
        let mut back_ms = 0;
        while back_ms <= ms {
            if self.seek_container(ms - back_ms).is_err() {
                break;
            }
            // An index by decode time may lead to a key frame that is shown later than asked, and a container without
            // an index to where no key frame follows: look further back.
            if let Some(placed) = self.decode_frame()?.filter(|(_, time_ms)| *time_ms <= ms) {
                self.waiting = Some(placed);
                return Ok(());
            }
            back_ms = (2 * back_ms).max(500);
        }
        *self = Self::open(&self.path, self.threads)?;
        Ok(())
    }

    /// The next frame and its time, or none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Placed>, MediaError> {
        match self.waiting.take() {
            Some(placed) => Ok(Some(placed)),
            None => self.decode_frame(),
        }
    }

    /// Decodes the first frame and learns from it how the video is displayed.
    fn settle_display(&mut self, orientation: Option<Orientation>) -> Result<(), MediaError> {
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
        self.waiting = Some(self.place(first));
        Ok(())
    }

    fn seek_container(&mut self, ms: i64) -> Result<(), Error> {
        let stamp_us = self.timeline.stamp_us(ms);
        self.input.seek(stamp_us, ..stamp_us)?;
        self.codec.flush();
        self.waiting = None;
        self.timeline.jump(ms);
        Ok(())
    }

    fn decode_frame(&mut self) -> Result<Option<Placed>, MediaError> {
        let frame = self.receive()?;
        Ok(frame.map(|frame| self.place(frame)))
    }

    fn place(&mut self, frame: frame::Video) -> Placed {
        let time_ms = self.timeline.place(frame.pts().or_else(|| frame.timestamp()));
        (frame, time_ms)
    }

    /// The codec's next frame, fed with as many packets as it takes.
    fn receive(&mut self) -> Result<Option<frame::Video>, MediaError> {
        let mut frame = frame::Video::empty();
        loop {
            match self.codec.receive_frame(&mut frame) {
                Ok(()) => {
                    let size = (frame.width(), frame.height());
                    if size.0.max(size.1) > MAX_SIDE_PX || size.0.min(size.1) == 0 {
                        return Err(too_large(&self.path, size));
                    }
                    return Ok(Some(frame));
                }
                Err(Error::Eof) => return Ok(None),
                Err(Error::Other { errno: EAGAIN }) => self.feed()?,
                Err(error) => self.count_broken(error)?,
            }
        }
    }

    /// Hands the codec one packet of the video stream, or the end.
    fn feed(&mut self) -> Result<(), MediaError> {
        let mut packet = Packet::empty();
        let sent = match packet.read(&mut self.input) {
            Ok(()) if packet.stream() != self.stream_index => Ok(()),
            Ok(()) => self.codec.send_packet(&packet),
            Err(Error::Eof) => self.codec.send_eof(),
            Err(Error::Other { errno }) => {
                return Err(blamed(&self.path, &Error::Other { errno }));
            }
            Err(error) => Err(error),
        };
        sent.or_else(|error| self.count_broken(error))
    }

    fn count_broken(&mut self, error: Error) -> Result<(), MediaError> {
        self.broken_packets += 1;
        if self.broken_packets > MAX_BROKEN_PACKETS {
            let detail = format!("more than {MAX_BROKEN_PACKETS} broken packets, the last: {error}");
            return Err(MediaError::undecodable(&self.path, detail));
        }
        Ok(())
    }
}

/// Formats name the system's errors also for what is wrong with their own bytes: only when the system itself cannot read
/// the file is it the disk's fault.
fn blamed(path: &Path, error: &Error) -> MediaError {
    let read = std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut std::io::sink()));
    match read {
        Ok(_) => MediaError::undecodable(path, error),
        Err(error) => MediaError::unread(path, &error),
    }
}

pub(super) fn open_input(path: &Path) -> Result<Input, MediaError> {
    // Ask the system first: its words are better, and a missing file is not a verdict about a video.
    std::fs::File::open(path).map_err(|error| MediaError::unread(path, &error))?;
    let Some(name) = path.to_str().filter(|name| !name.contains('\0')) else {
        return Err(MediaError::disk(path, "the path is not UTF-8"));
    };
    let mut options = Dictionary::new();
    options.set("protocol_whitelist", "file");
    options.set("format_whitelist", CONTAINERS);
    // With the protocol named, no file name is taken for an address.
    format::input_with_dictionary(&format!("file:{name}"), options)
        .map_err(|error| MediaError::not_a_video(path, error))
}

fn open_codec(path: &Path, stream: &Stream, threads: u32) -> Result<decoder::Video, MediaError> {
    let undecodable = |error: Error| MediaError::undecodable(path, error);
    let mut context = Context::from_parameters(stream.parameters()).map_err(undecodable)?;
    let kind = threading::Type::Frame;
    context
        .set_threading(threading::Config { count: threads.max(1) as usize, ..threading::Config::kind(kind) });
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(stream.time_base());
    let codec = decoder::find(decoder.id())
        .ok_or_else(|| MediaError::undecodable(path, format!("no decoder for {}", decoder.id().name())))?;
    let mut options = Dictionary::new();
    options.set("max_pixels", &(u64::from(MAX_SIDE_PX) * u64::from(MAX_SIDE_PX)).to_string());
    decoder.open_as_with(codec, options).and_then(decoder::Opened::video).map_err(undecodable)
}

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

fn orientation_of(stream: &Stream) -> Option<Orientation> {
    let mut side_data = stream.side_data();
    let matrix = side_data.find(|data| data.kind() == packet::side_data::Type::DisplayMatrix)?;
    Some(Orientation::from_display_matrix(matrix.data()))
}

/// Mean frames a second; 25 where the container does not say.
fn frame_rate(stream: &Stream) -> f64 {
    let rates = [stream.avg_frame_rate(), stream.rate()];
    let known = rates.into_iter().find(|rate| rate.numerator() > 0 && rate.denominator() > 0);
    known.map_or(25.0, f64::from)
}

/// A width in square pixels; ratios that no camera makes are taken for a slip, and those that nobody sees (1280:1281 of
/// 854x480 for 16:9) for square.
fn widen(width: u32, sample_aspect_ratio: f64) -> u32 {
    if !(0.25..=4.0).contains(&sample_aspect_ratio) || (sample_aspect_ratio - 1.0).abs() < NEARLY_SQUARE {
        return width;
    }
    (f64::from(width) * sample_aspect_ratio).round().max(1.0) as u32
}

fn too_large(path: &Path, (width, height): (u32, u32)) -> MediaError {
    MediaError::undecodable(path, format!("a picture of {width}x{height} pixels is out of bounds"))
}

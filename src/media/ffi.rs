//! The few FFmpeg calls that `ffmpeg-next` does not wrap: all `unsafe` of the room. Knows nothing of times and files.

use std::ptr::{self, NonNull};

use ffmpeg_next::color::Space;
use ffmpeg_next::ffi::AVPixelFormat::{AV_PIX_FMT_CUDA, AV_PIX_FMT_NONE};
use ffmpeg_next::ffi::{self, AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA};
use ffmpeg_next::format::context::Input;
use ffmpeg_next::software::scaling;
use ffmpeg_next::{Codec, Error, Rational, codec, frame};

use super::orientation::Part;

/// Makes the demuxer drop the packets of every stream but one, so that sound is not even read.
pub(super) fn keep_only_stream(input: &mut Input, kept: usize) {
    for mut stream in input.streams_mut() {
        if stream.index() != kept {
            // SAFETY: the stream belongs to `input`, which outlives this borrow; the field is a plain enum.
            unsafe { (*stream.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL };
        }
    }
}

/// Width of a pixel over its height, from container or codec; 1 where neither says.
pub(super) fn sample_aspect_ratio(input: &mut Input, index: usize, frame: &mut frame::Video) -> Rational {
    // SAFETY: only the address is taken here.
    let context = unsafe { input.as_mut_ptr() };
    let Some(mut stream) = input.stream_mut(index) else { return Rational::new(1, 1) };
    // SAFETY: the three pointers are valid for the call, and it keeps none of them.
    let ratio =
        unsafe { ffi::av_guess_sample_aspect_ratio(context, stream.as_mut_ptr(), frame.as_mut_ptr()) };
    if ratio.num > 0 && ratio.den > 0 { Rational::from(ratio) } else { Rational::new(1, 1) }
}

/// A scaler that may go from thread to thread.
pub(super) struct Scaling(pub(super) scaling::Context);

// SAFETY: swscale keeps nothing of the thread that made a context or used it last, and whoever runs it holds it alone.
unsafe impl Send for Scaling {}

/// Tells a scaler to RGB which YUV its source holds; it takes BT.601 with limited range otherwise.
pub(super) fn set_source_colours(scaler: &mut scaling::Context, space: Space, full_range: bool) {
    set_colours(scaler, (matrix_of(space), full_range), (ffi::SWS_CS_DEFAULT, true));
}

/// Tells a scaler from one YUV to another, or from RGB to YUV, which colours its target has: those of its source, whose
/// numbers stay as they are. It takes grey for full range otherwise, and makes limited range of it.
pub(super) fn keep_colours(scaler: &mut scaling::Context, space: Space, full_range: bool) {
    let colours = (matrix_of(space), full_range);
    set_colours(scaler, colours, colours);
}

fn matrix_of(space: Space) -> i32 {
    match space {
        Space::BT709 => ffi::SWS_CS_ITU709,
        Space::BT2020NCL | Space::BT2020CL => ffi::SWS_CS_BT2020,
        Space::SMPTE240M => ffi::SWS_CS_SMPTE240M,
        Space::FCC => ffi::SWS_CS_FCC,
        _ => ffi::SWS_CS_DEFAULT,
    }
}

/// Each of `source` and `target` is a matrix and whether numbers go from 0 to 255.
fn set_colours(scaler: &mut scaling::Context, source: (i32, bool), target: (i32, bool)) {
    const ONE: i32 = 1 << 16;
    // SAFETY: the scaler is valid, and the coefficient tables are static; a scaler between two RGB formats answers -1,
    // which is no harm.
    unsafe {
        ffi::sws_setColorspaceDetails(
            scaler.as_mut_ptr(),
            ffi::sws_getCoefficients(source.0),
            i32::from(source.1),
            ffi::sws_getCoefficients(target.0),
            i32::from(target.1),
            0,
            ONE,
            ONE,
        );
    }
}

/// What a frame's pixels take of memory, bytes; its rows may be padded.
pub(super) fn size_bytes(frame: &frame::Video) -> usize {
    let sides = [frame.width(), frame.height()].map(|side| i32::try_from(side).unwrap_or(i32::MAX));
    // SAFETY: it only computes with numbers; for sizes and formats that do not exist the answer is negative.
    let size = unsafe { ffi::av_image_get_buffer_size(frame.format().into(), sides[0], sides[1], 1) };
    usize::try_from(size).unwrap_or(0)
}

/// One more reference to the same pixels: no copy is made.
fn shared(frame: &frame::Video) -> Result<frame::Video, Error> {
    let mut other = frame::Video::empty();
    // SAFETY: both are valid frames, and the new one is empty.
    let code = unsafe { ffi::av_frame_ref(other.as_mut_ptr(), frame.as_ptr()) };
    if code < 0 { Err(Error::from(code)) } else { Ok(other) }
}

/// A part of a frame, without a copy; the part lies in the frame.
pub(super) fn cropped(frame: &frame::Video, part: Part) -> Result<frame::Video, Error> {
    let mut other = shared(frame)?;
    let (right, bottom) = (part.left + part.width, part.top + part.height);
    if right > frame.width() || bottom > frame.height() || part.width == 0 || part.height == 0 {
        return Err(Error::InvalidData);
    }
    // SAFETY: the frame is valid, and FFmpeg checks that what is cut off leaves something.
    let code = unsafe {
        let raw = other.as_mut_ptr();
        (*raw).crop_left = part.left as usize;
        (*raw).crop_top = part.top as usize;
        (*raw).crop_right = (frame.width() - right) as usize;
        (*raw).crop_bottom = (frame.height() - bottom) as usize;
        ffi::av_frame_apply_cropping(raw, ffi::AV_FRAME_CROP_UNALIGNED as i32)
    };
    if code < 0 { Err(Error::from(code)) } else { Ok(other) }
}

/// A frame of every `step`th row only, without a copy: a coarse picture of a large frame costs little.
pub(super) fn every_nth_row(frame: &frame::Video, step: u32) -> Result<frame::Video, Error> {
    let mut other = shared(frame)?;
    let step = step.clamp(1, frame.height().max(1)) as i32;
    // SAFETY: the frame is valid; rows that lie `step` times as far apart are fewer by as much.
    unsafe {
        let raw = other.as_mut_ptr();
        (*raw).height /= step;
        for stride in &mut (*raw).linesize {
            *stride *= step;
        }
    }
    Ok(other)
}

/// A device that decodes.
pub(super) struct Device(NonNull<ffi::AVBufferRef>);

// SAFETY: FFmpeg counts references to its buffers atomically, and nothing of the device is changed once it is open.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    /// The CUDA device of this number, the first one otherwise.
    pub(super) fn open_cuda(number: Option<u32>) -> Result<Self, Error> {
        let name = number.map(|number| std::ffi::CString::new(number.to_string()).unwrap_or_default());
        let name = name.as_ref().map_or(ptr::null(), |name| name.as_ptr());
        let mut buffer = ptr::null_mut();
        // SAFETY: the name, where there is one, outlives the call; FFmpeg fills the pointer or answers with an error.
        let code = unsafe {
            ffi::av_hwdevice_ctx_create(&raw mut buffer, AV_HWDEVICE_TYPE_CUDA, name, ptr::null_mut(), 0)
        };
        if code < 0 { Err(Error::from(code)) } else { NonNull::new(buffer).map(Self).ok_or(Error::Bug) }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let mut buffer = self.0.as_ptr();
        // SAFETY: this is our reference; decoders hold their own.
        unsafe { ffi::av_buffer_unref(&raw mut buffer) };
    }
}

/// Has a decoder that is not yet open decode on a device; answers with the codec that can, if there is one.
pub(super) fn put_on(device: &Device, context: &mut codec::Context, id: codec::Id) -> Option<Codec> {
    let codec = cuda_codec(id)?;
    // SAFETY: the context is valid and not yet open; it owns the new reference.
    unsafe {
        let raw = context.as_mut_ptr();
        (*raw).hw_device_ctx = ffi::av_buffer_ref(device.0.as_ptr());
        (*raw).get_format = Some(prefer_cuda);
    }
    Some(codec)
}

/// Kinds of video whose standards say every bit of a frame. Frames of others may differ a little from those of FFmpeg's
/// own decoders, and what is made of a video must not depend on the machine.
const EXACT: [codec::Id; 5] =
    [codec::Id::H264, codec::Id::HEVC, codec::Id::VP8, codec::Id::VP9, codec::Id::AV1];

fn cuda_codec(id: codec::Id) -> Option<Codec> {
    if !EXACT.contains(&id) {
        return None;
    }
    let (id, mut place) = (ffi::AVCodecID::from(id), ptr::null_mut());
    loop {
        // SAFETY: FFmpeg keeps its place there, and its codecs are static.
        let codec = unsafe { ffi::av_codec_iterate(&raw mut place).as_ref() }?;
        // SAFETY: the codec is valid.
        if codec.id == id && unsafe { ffi::av_codec_is_decoder(codec) } != 0 && takes_cuda(codec) {
            // SAFETY: the codec is static.
            return Some(unsafe { Codec::wrap(codec) });
        }
    }
}

fn takes_cuda(codec: &ffi::AVCodec) -> bool {
    let by_device = ffi::AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX as i32;
    // SAFETY: the codec is valid; after its last way FFmpeg answers with nothing.
    let mut ways = (0..).map_while(|at| unsafe { ffi::avcodec_get_hw_config(codec, at).as_ref() });
    ways.any(|way| way.device_type == AV_HWDEVICE_TYPE_CUDA && way.methods & by_device != 0)
}

/// Which of its formats a decoder is to use: the device's, where it offers it for this film.
unsafe extern "C" fn prefer_cuda(
    context: *mut ffi::AVCodecContext,
    formats: *const ffi::AVPixelFormat,
) -> ffi::AVPixelFormat {
    let mut format = formats;
    // SAFETY: FFmpeg's list ends with NONE.
    unsafe {
        while *format != AV_PIX_FMT_NONE && *format != AV_PIX_FMT_CUDA {
            format = format.add(1);
        }
        if *format == AV_PIX_FMT_CUDA {
            AV_PIX_FMT_CUDA
        } else {
            ffi::avcodec_default_get_format(context, formats)
        }
    }
}

/// A frame that a device decoded, in this process's memory; stamps and colours stay.
pub(super) fn from_device(frame: &frame::Video) -> Result<frame::Video, Error> {
    let mut other = frame::Video::empty();
    // SAFETY: both are valid frames, and the new one is empty: FFmpeg finds it memory. It refuses a frame of no device.
    let code = unsafe { ffi::av_hwframe_transfer_data(other.as_mut_ptr(), frame.as_ptr(), 0) };
    if code < 0 {
        return Err(Error::from(code));
    }
    copy_properties(&mut other, frame)?;
    // SAFETY: the frame is valid. What is to be cut off at the left and the top is left to us.
    let code =
        unsafe { ffi::av_frame_apply_cropping(other.as_mut_ptr(), ffi::AV_FRAME_CROP_UNALIGNED as i32) };
    if code < 0 { Err(Error::from(code)) } else { Ok(other) }
}

/// Gives a frame the stamps, colours and side data of another.
pub(super) fn copy_properties(to: &mut frame::Video, from: &frame::Video) -> Result<(), Error> {
    // SAFETY: both are valid frames.
    let code = unsafe { ffi::av_frame_copy_props(to.as_mut_ptr(), from.as_ptr()) };
    if code < 0 { Err(Error::from(code)) } else { Ok(()) }
}

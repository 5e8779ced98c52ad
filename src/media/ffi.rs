//! The FFmpeg calls that `ffmpeg-next` does not wrap: all `unsafe` code of the room. Knows nothing of times and files.

use std::ptr::{self, NonNull};

use ffmpeg_next::color::Space;
use ffmpeg_next::ffi::AVPixelFormat::{AV_PIX_FMT_CUDA, AV_PIX_FMT_NONE};
use ffmpeg_next::ffi::{self, AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA};
use ffmpeg_next::format::context::Input;
use ffmpeg_next::software::scaling;
use ffmpeg_next::{Codec, Error, Rational, codec, frame};

use super::orientation::Rect;

/// Makes the demuxer discard the packets of every stream but one, so that audio is not even read.
pub(super) fn keep_only_stream(input: &mut Input, kept: usize) {
    for mut stream in input.streams_mut() {
        if stream.index() != kept {
            // SAFETY: the stream belongs to `input`, which outlives this borrow; the field is a plain enum.
            unsafe { (*stream.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL };
        }
    }
}

/// Width of a pixel over its height, from the container or the codec; 1 if neither gives it.
pub(super) fn sample_aspect_ratio(input: &mut Input, index: usize, frame: &mut frame::Video) -> Rational {
    // SAFETY: only the address is taken here.
    let context = unsafe { input.as_mut_ptr() };
    let Some(mut stream) = input.stream_mut(index) else { return Rational::new(1, 1) };
    // SAFETY: the three pointers are valid for the call, and it keeps none of them.
    let ratio =
        unsafe { ffi::av_guess_sample_aspect_ratio(context, stream.as_mut_ptr(), frame.as_mut_ptr()) };
    if ratio.num > 0 && ratio.den > 0 { Rational::from(ratio) } else { Rational::new(1, 1) }
}

/// A scaler that may be sent to another thread.
pub(super) struct Scaling(pub(super) scaling::Context);

// SAFETY: a swscale context is not bound to a thread, and running it takes `&mut`.
unsafe impl Send for Scaling {}

/// Sets the YUV matrix and range of the source of a scaler to RGB, which are otherwise BT.601 and limited.
pub(super) fn set_source_colours(scaler: &mut scaling::Context, space: Space, full_range: bool) {
    set_colours(scaler, (matrix_of(space), full_range), (ffi::SWS_CS_DEFAULT, true));
}

/// Sets the same matrix and range for the source and the target of a scaler to YUV, so that values are not converted.
/// Otherwise swscale takes grey for full range, and converts it to limited range.
pub(super) fn keep_colours(scaler: &mut scaling::Context, space: Space, full_range: bool) {
    let colours = (matrix_of(space), full_range);
    set_colours(scaler, colours, colours);
}

/// The number of swscale's coefficient table for a matrix.
fn matrix_of(space: Space) -> i32 {
    match space {
        Space::BT709 => ffi::SWS_CS_ITU709,
        Space::BT2020NCL | Space::BT2020CL => ffi::SWS_CS_BT2020,
        Space::SMPTE240M => ffi::SWS_CS_SMPTE240M,
        Space::FCC => ffi::SWS_CS_FCC,
        _ => ffi::SWS_CS_DEFAULT,
    }
}

/// `source` and `target` are a matrix, and whether the range is full.
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

/// Memory of a frame's pixels without padding, bytes; 0 for an unknown format.
pub(super) fn size_bytes(frame: &frame::Video) -> usize {
    let sides = [frame.width(), frame.height()].map(|side| i32::try_from(side).unwrap_or(i32::MAX));
    // SAFETY: it only computes with numbers; for invalid sizes and formats the result is negative.
    let size = unsafe { ffi::av_image_get_buffer_size(frame.format().into(), sides[0], sides[1], 1) };
    usize::try_from(size).unwrap_or(0)
}

/// Another reference to the same pixels, without a copy.
fn shared(frame: &frame::Video) -> Result<frame::Video, Error> {
    let mut other = frame::Video::empty();
    // SAFETY: both are valid frames, and the new one is empty.
    let code = unsafe { ffi::av_frame_ref(other.as_mut_ptr(), frame.as_ptr()) };
    if code < 0 { Err(Error::from(code)) } else { Ok(other) }
}

/// A part of a frame, without a copy.
///
/// # Errors
/// If the part is empty or not inside the frame.
pub(super) fn cropped(frame: &frame::Video, part: Rect) -> Result<frame::Video, Error> {
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

/// Every `step`th row of a frame, without a copy: makes thumbnails of large frames cheap.
pub(super) fn every_nth_row(frame: &frame::Video, step: u32) -> Result<frame::Video, Error> {
    let mut other = shared(frame)?;
    let step = step.clamp(1, frame.height().max(1)) as i32;
    // SAFETY: the frame is valid. With rows `step` times as far apart and `step` times fewer, the last one is inside
    // it.
    unsafe {
        let raw = other.as_mut_ptr();
        (*raw).height /= step;
        for stride in &mut (*raw).linesize {
            *stride *= step;
        }
    }
    Ok(other)
}

/// A device that decodes: a reference to an `AVHWDeviceContext`.
pub(super) struct Device(NonNull<ffi::AVBufferRef>);

// SAFETY: FFmpeg counts references atomically, and the device is not changed after it was opened.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    /// Opens the CUDA device with this number, or the first one.
    pub(super) fn open_cuda(number: Option<u32>) -> Result<Self, Error> {
        let name = number.map(|number| std::ffi::CString::new(number.to_string()).unwrap_or_default());
        let name = name.as_ref().map_or(ptr::null(), |name| name.as_ptr());
        let mut buffer = ptr::null_mut();
        // SAFETY: the name, if any, outlives the call; FFmpeg sets the pointer or returns an error.
        let code = unsafe {
            ffi::av_hwdevice_ctx_create(&raw mut buffer, AV_HWDEVICE_TYPE_CUDA, name, ptr::null_mut(), 0)
        };
        if code < 0 { Err(Error::from(code)) } else { NonNull::new(buffer).map(Self).ok_or(Error::Bug) }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let mut buffer = self.0.as_ptr();
        // SAFETY: this reference is ours; decoders hold their own.
        unsafe { ffi::av_buffer_unref(&raw mut buffer) };
    }
}

/// Prepares a decoder, which is not open yet, for a device. Returns the codec to open it with; `None` if no codec of
/// this id works on the device.
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

/// Codecs whose standards define every bit of a decoded frame. With others, a device's frames may differ a little from
/// those of FFmpeg's own decoders, and the clips made of a video must not depend on the machine.
const EXACT: [codec::Id; 5] =
    [codec::Id::H264, codec::Id::HEVC, codec::Id::VP8, codec::Id::VP9, codec::Id::AV1];

/// A decoder for this id that works on CUDA devices.
fn cuda_codec(id: codec::Id) -> Option<Codec> {
    if !EXACT.contains(&id) {
        return None;
    }
    let (id, mut place) = (ffi::AVCodecID::from(id), ptr::null_mut());
    loop {
        // SAFETY: FFmpeg keeps its iteration state in `place`, and its codecs are static.
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
    // SAFETY: the codec is valid; after the last configuration FFmpeg returns null.
    let mut configs = (0..).map_while(|at| unsafe { ffi::avcodec_get_hw_config(codec, at).as_ref() });
    configs.any(|config| config.device_type == AV_HWDEVICE_TYPE_CUDA && config.methods & by_device != 0)
}

/// A decoder's `get_format` callback: chooses CUDA if the decoder offers it for this stream.
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

/// Copies a device's frame to system memory, with its timestamps and colours.
pub(super) fn from_device(frame: &frame::Video) -> Result<frame::Video, Error> {
    let mut other = frame::Video::empty();
    // SAFETY: both are valid frames; FFmpeg allocates memory for the new one, and refuses a frame that no device holds.
    let code = unsafe { ffi::av_hwframe_transfer_data(other.as_mut_ptr(), frame.as_ptr(), 0) };
    if code < 0 {
        return Err(Error::from(code));
    }
    copy_properties(&mut other, frame)?;
    // SAFETY: the frame is valid. FFmpeg leaves cropping at the left and the top to the caller.
    let code =
        unsafe { ffi::av_frame_apply_cropping(other.as_mut_ptr(), ffi::AV_FRAME_CROP_UNALIGNED as i32) };
    if code < 0 { Err(Error::from(code)) } else { Ok(other) }
}

/// Copies the timestamps, colours and side data of a frame to another.
pub(super) fn copy_properties(to: &mut frame::Video, from: &frame::Video) -> Result<(), Error> {
    // SAFETY: both are valid frames.
    let code = unsafe { ffi::av_frame_copy_props(to.as_mut_ptr(), from.as_ptr()) };
    if code < 0 { Err(Error::from(code)) } else { Ok(()) }
}

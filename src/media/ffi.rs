//! The few FFmpeg calls that `ffmpeg-next` does not wrap: all `unsafe` of the room. Knows nothing of times and files.

use ffmpeg_next::color::Space;
use ffmpeg_next::ffi;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::software::scaling;
use ffmpeg_next::{Error, Rational, frame};

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
    let matrix = match space {
        Space::BT709 => ffi::SWS_CS_ITU709,
        Space::BT2020NCL | Space::BT2020CL => ffi::SWS_CS_BT2020,
        Space::SMPTE240M => ffi::SWS_CS_SMPTE240M,
        Space::FCC => ffi::SWS_CS_FCC,
        _ => ffi::SWS_CS_DEFAULT,
    };
    const ONE: i32 = 1 << 16;
    // SAFETY: the scaler is valid, and the coefficient tables are static; a scaler between two RGB formats answers -1,
    // which is no harm.
    unsafe {
        let source = ffi::sws_getCoefficients(matrix);
        let target = ffi::sws_getCoefficients(ffi::SWS_CS_DEFAULT);
        ffi::sws_setColorspaceDetails(
            scaler.as_mut_ptr(),
            source,
            i32::from(full_range),
            target,
            1,
            0,
            ONE,
            ONE,
        );
    }
}

/// What a frame's pixels take of memory, bytes; its rows may be padded.
pub(super) fn size_bytes(frame: &frame::Video) -> usize {
    let sides = [frame.width(), frame.height()].map(|side| i32::try_from(side).unwrap_or(i32::MAX));
    // SAFETY: a question about numbers; of sizes and formats that there are not the answer is negative.
    let size = unsafe { ffi::av_image_get_buffer_size(frame.format().into(), sides[0], sides[1], 1) };
    usize::try_from(size).unwrap_or(0)
}

/// The same pixels, counted once more: no copy is made.
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

//! The few FFmpeg calls that `ffmpeg-next` does not wrap: all `unsafe` of the room. Knows nothing of times and files.

use ffmpeg_next::color::Space;
use ffmpeg_next::ffi;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::software::scaling;
use ffmpeg_next::{Rational, frame};

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

//! Views of frames: the part around a face, and a face's crop. Only that part of the frame is converted to RGB.

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use crate::face::align::{self, Similarity, aligned_in};
use crate::face::{Placement, View};
use crate::failure::Failure;
use crate::media::{MediaError, Rect, SHRINKS, VideoFrame};
use crate::types::{CropStyle, Face, FaceBox};

/// A face is searched for this far around its last box, in widths and heights of the box.
const AROUND: f32 = 0.75;
/// Where the picture is shrunk, a face keeps at least this many pixels: twice the 48 that MTCNN's last net takes.
const MIN_SHRUNK_FACE_PX: f32 = 96.0;

/// The part of a frame in which to search for a face that was in this box a moment ago, shrunk where the face is large.
pub(super) fn around(frame: &VideoFrame, face_box: &FaceBox) -> Result<View, MediaError> {
    let size = (frame.width(), frame.height());
    let side_px = (face_box.width * size.0 as f32).min(face_box.height * size.1 as f32);
    let fits = |shrink: &u32| {
        size.0.is_multiple_of(*shrink)
            && size.1.is_multiple_of(*shrink)
            && side_px >= MIN_SHRUNK_FACE_PX * *shrink as f32
    };
    let shrink = SHRINKS.into_iter().find(fits).unwrap_or(1);
    let placement = Placement::whole((size.0 / shrink, size.1 / shrink));
    let (across, down) = (face_box.width * AROUND, face_box.height * AROUND);
    let (right, bottom) = (face_box.x + face_box.width, face_box.y + face_box.height);
    let corners = [[face_box.x - across, face_box.y - down], [right + across, bottom + down]];
    view(frame, corners.into_iter().map(|corner| placement.to_pixels(corner)), shrink)
}

/// A face's upright crop.
pub(super) fn crop(frame: &VideoFrame, face: &Face, style: CropStyle) -> Result<RgbImage, MediaError> {
    Ok(aligned_in(&under_crop(frame, face, style)?, face, style))
}

/// Encodes a crop as JPEG, with a quality of 1 to 100.
pub(super) fn jpeg(crop: &RgbImage, quality: u8) -> Result<Vec<u8>, Failure> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, quality)
        .encode_image(crop)
        .map_err(|error| Failure::bug(format!("a sample cannot be encoded as JPEG: {error}")))?;
    Ok(file)
}

/// The part of a frame that a face's crop shows.
fn under_crop(frame: &VideoFrame, face: &Face, style: CropStyle) -> Result<View, MediaError> {
    let to_picture: Similarity =
        align::to_picture(face, Placement::whole((frame.width(), frame.height())), style);
    // Two pixels of the crop and one of the frame more on each side: interpolation reads neighbouring pixels, and
    // shrinking reads whole blocks.
    let (first, last) =
        (-2.0 - 1.0 / to_picture.scale(), style.side_px as f32 + 1.0 + 1.0 / to_picture.scale());
    let corners = [[first, first], [last, first], [first, last], [last, last]];
    view(frame, corners.into_iter().map(|corner| to_picture.apply(corner)), 1)
}

/// The smallest view that contains these points, clipped to the picture. Points and view are in pixels of the picture
/// made `shrink` times smaller; both of its sides must be multiples of that.
fn view(frame: &VideoFrame, points: impl Iterator<Item = [f32; 2]>, shrink: u32) -> Result<View, MediaError> {
    let size = (frame.width() / shrink, frame.height() / shrink);
    let none = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
    let [left, top, right, bottom] = points.fold(none, |[left, top, right, bottom], [x, y]| {
        [left.min(x), top.min(y), right.max(x), bottom.max(y)]
    });
    let first = |edge: f32, length: u32| (edge.floor().max(0.0) as u32).min(length - 1);
    let (left, top) = (first(left, size.0), first(top, size.1));
    let after = |edge: f32, length: u32, first: u32| (edge.ceil().max(0.0) as u32).clamp(first + 1, length);
    let (right, bottom) = (after(right, size.0, left), after(bottom, size.1, top));
    let picture = frame.part(Rect { left, top, width: right - left, height: bottom - top }, shrink)?;
    Ok(View { picture, placement: Placement { left, top, size } })
}

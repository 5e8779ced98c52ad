//! A detector for tests, which finds rectangles of certain colours.

use image::RgbImage;

use super::detector::{Detector, FaceError, View};
use super::fake::face_at;
use crate::types::{Face, FaceBox};

/// Every pixel with a red value of at least 250 is part of a face; the green value tells faces apart.
#[derive(Debug)]
pub(crate) struct FakeDetector {
    /// Pictures given to [`Detector::detect`].
    pub detected: usize,
    /// Calls of [`Detector::follow`].
    pub followed: usize,
    /// A face is followed if its IoU with its last box is greater than this.
    pub follows_to_iou: f32,
}

impl Default for FakeDetector {
    fn default() -> Self {
        Self { detected: 0, followed: 0, follows_to_iou: 0.3 }
    }
}

fn faces_of(picture: &RgbImage) -> Vec<Face> {
    let mut extents = std::collections::BTreeMap::<u8, [u32; 4]>::new();
    for (x, y, pixel) in picture.enumerate_pixels().filter(|(_, _, pixel)| pixel[0] >= 250) {
        // Video codecs change values a little, so green is read in steps of 64.
        let extent = extents.entry(pixel[1] / 64).or_insert([x, y, x, y]);
        *extent = [extent[0].min(x), extent[1].min(y), extent[2].max(x), extent[3].max(y)];
    }
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let face = |[left, top, right, bottom]: [u32; 4]| {
        let size = ((right - left + 1) as f32 / width, (bottom - top + 1) as f32 / height);
        face_at(left as f32 / width, top as f32 / height, size.0, size.1)
    };
    extents.into_values().filter(|[left, _, right, _]| right - left > 4).map(face).collect()
}

impl Detector for FakeDetector {
    fn detect(&mut self, pictures: &[RgbImage]) -> Result<Vec<Vec<Face>>, FaceError> {
        self.detected += pictures.len();
        Ok(pictures.iter().map(faces_of).collect())
    }

    fn follow(&mut self, last: &[(View, FaceBox)]) -> Result<Vec<Option<Face>>, FaceError> {
        self.followed += 1;
        let near = |(view, last): &(View, FaceBox)| {
            let mut faces = faces_of(&view.picture).into_iter().map(|face| view.to_whole(face));
            faces.find(|face| face.face_box.iou(last) > self.follows_to_iou)
        };
        Ok(last.iter().map(near).collect())
    }
}

//! A detector for tests: it finds squares of one colour. Knows nothing of real faces.

use image::RgbImage;

use super::detector::{Detector, FaceError, View};
use super::fake::face_at;
use crate::types::{Face, FaceBox};

/// Takes every pixel whose red is 250 or more as part of a face; the green value tells the faces apart.
#[derive(Debug)]
pub(crate) struct FakeDetector {
    /// Pictures that were looked through.
    pub detected: usize,
    /// Pictures on which faces were followed.
    pub followed: usize,
    /// A face is followed as far as its last box overlaps with it by more than this.
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
        // Video codecs change values a little: green is read in steps of 64.
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

//! Faces for tests.

use crate::types::{Face, FaceBox};

/// A face with this box, in fractions of the picture, and landmarks at fixed places in it.
pub(crate) fn face_at(x: f32, y: f32, width: f32, height: f32) -> Face {
    let shares = [[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]];
    Face {
        face_box: FaceBox { x, y, width, height },
        landmarks: shares.map(|[across, down]| [x + across * width, y + down * height]),
        detector_score: 0.99,
    }
}

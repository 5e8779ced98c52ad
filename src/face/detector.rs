//! What a face detector must do, and how it fails. Knows no net.

use std::path::PathBuf;

use image::RgbImage;

use crate::config::ClipRecipe;
use crate::failure::{Failure, Reason};
use crate::types::{Face, FaceBox};

/// Finds faces in pictures.
pub trait Detector {
    /// All faces of each picture, largest first. The pictures must be of one size.
    ///
    /// # Errors
    /// When the sizes differ or the net refuses to run.
    fn detect(&mut self, pictures: &[RgbImage]) -> Result<Vec<Vec<Face>>, FaceError>;

    /// Looks for each face again, in its own view, near where it was last, which is far cheaper than
    /// [`Detector::detect`]. One answer for each face, in that order; `None` when it is not there any more.
    ///
    /// # Errors
    /// When the net refuses to run.
    fn follow(&mut self, last: &[(View, FaceBox)]) -> Result<Vec<Option<Face>>, FaceError>;
}

/// A picture, or a part of one that holds all that matters, in its own size or a smaller one.
#[derive(Debug, Clone)]
pub struct View {
    /// The pixels.
    pub picture: RgbImage,
    /// Where they lie.
    pub placement: Placement,
}

/// Where a view lies in its whole picture. The size of the whole picture is counted on the view's scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The view's first column, as a column of the whole picture.
    pub left: u32,
    /// Row likewise.
    pub top: u32,
    /// Width and height of the whole picture.
    pub size: (u32, u32),
}

impl View {
    /// All of a picture.
    pub fn whole(picture: RgbImage) -> Self {
        let placement = Placement::whole(picture.dimensions());
        Self { picture, placement }
    }

    /// A face that was found in the view's picture, as it lies in the whole picture.
    pub fn to_whole(&self, face: Face) -> Face {
        let (width, height) = (self.picture.width() as f32, self.picture.height() as f32);
        let place = |[x, y]: [f32; 2]| self.placement.to_fractions([x * width, y * height]);
        let FaceBox { x, y, width: across, height: down } = face.face_box;
        let ([x, y], [end_x, end_y]) = (place([x, y]), place([x + across, y + down]));
        let face_box = FaceBox { x, y, width: end_x - x, height: end_y - y };
        Face { face_box, landmarks: face.landmarks.map(place), ..face }
    }
}

impl Placement {
    /// Of a whole picture of this size.
    pub fn whole(size: (u32, u32)) -> Self {
        Self { left: 0, top: 0, size }
    }

    /// A point in fractions of the whole picture, in pixels of the view.
    pub fn to_pixels(self, [x, y]: [f32; 2]) -> [f32; 2] {
        [x * self.size.0 as f32 - self.left as f32, y * self.size.1 as f32 - self.top as f32]
    }

    /// A point in pixels of the view, in fractions of the whole picture.
    pub fn to_fractions(self, [x, y]: [f32; 2]) -> [f32; 2] {
        [(x + self.left as f32) / self.size.0 as f32, (y + self.top as f32) / self.size.1 as f32]
    }
}

/// How thoroughly to look.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorSettings {
    /// Smallest face that is looked for, pixels of the picture.
    pub min_face_px: f32,
    /// Least probability that the P-, R- and O-net must give, 0 to 1.
    pub thresholds: [f32; 3],
    /// Threads of the nets; 0 leaves the library's choice.
    pub threads: u32,
}

impl DetectorSettings {
    /// Those that a recipe asks for.
    pub fn of(recipe: &ClipRecipe, threads: u32) -> Self {
        Self { min_face_px: recipe.min_face_px, thresholds: recipe.detector_thresholds, threads }
    }
}

/// Why no faces could be looked for.
#[derive(Debug, thiserror::Error)]
pub enum FaceError {
    /// The file of params is missing, damaged or another net's.
    #[error("the face detector's params {path} cannot be used: {detail}")]
    Params {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Pictures of two sizes in one batch.
    #[error("a batch holds pictures of {first:?} and {other:?} pixels; all must be of one size")]
    MixedSizes {
        /// Width and height of the first picture.
        first: (u32, u32),
        /// Width and height of another.
        other: (u32, u32),
    },
    /// The net library gave an error.
    #[error("the face detector failed: {0}")]
    Net(String),
}

impl From<FaceError> for Failure {
    fn from(error: FaceError) -> Self {
        let detail = error.to_string();
        match error {
            FaceError::Params { .. } => Self::permanent(Reason::ToolMissing, detail)
                .with_hint("run scripts/setup to make the file again"),
            FaceError::MixedSizes { .. } | FaceError::Net(_) => Self::bug(detail),
        }
    }
}

//! The interface of a face detector, and its errors. Knows no net.

use std::path::PathBuf;

use image::RgbImage;

use crate::config::ClipRecipe;
use crate::failure::{Failure, Reason};
use crate::types::{Face, FaceBox};

/// Finds faces in pictures.
pub trait Detector {
    /// All faces of each picture, largest first. The pictures must have the same size.
    ///
    /// # Errors
    /// [`FaceError::MixedSizes`] if sizes differ, [`FaceError::Net`] if the net fails.
    fn detect(&mut self, pictures: &[RgbImage]) -> Result<Vec<Vec<Face>>, FaceError>;

    /// Finds each face again near its last box, in its own view; far cheaper than [`Detector::detect`]. Returns one
    /// entry for each of `last`, in order: the face in fractions of the whole picture, or `None` if it is no longer
    /// there.
    ///
    /// # Errors
    /// [`FaceError::Net`] if the net fails.
    fn follow(&mut self, last: &[(View, FaceBox)]) -> Result<Vec<Option<Face>>, FaceError>;
}

/// A picture or a part of one, possibly scaled down.
#[derive(Debug, Clone)]
pub struct View {
    /// The pixels.
    pub picture: RgbImage,
    /// Their place in the whole picture.
    pub placement: Placement,
}

/// Where a view lies in its whole picture; in pixels of the view, so those of the scaled picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Column of the whole picture at which the view begins.
    pub left: u32,
    /// Row of the whole picture at which the view begins.
    pub top: u32,
    /// Width and height of the whole picture.
    pub size: (u32, u32),
}

impl View {
    /// A view of a whole picture.
    pub fn whole(picture: RgbImage) -> Self {
        let placement = Placement::whole(picture.dimensions());
        Self { picture, placement }
    }

    /// A face in fractions of the view, in fractions of the whole picture.
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
    /// The placement of a whole picture of this size.
    pub fn whole(size: (u32, u32)) -> Self {
        Self { left: 0, top: 0, size }
    }

    /// Converts a point from fractions of the whole picture to pixels of the view.
    pub fn to_pixels(self, [x, y]: [f32; 2]) -> [f32; 2] {
        [x * self.size.0 as f32 - self.left as f32, y * self.size.1 as f32 - self.top as f32]
    }

    /// Converts a point from pixels of the view to fractions of the whole picture.
    pub fn to_fractions(self, [x, y]: [f32; 2]) -> [f32; 2] {
        [(x + self.left as f32) / self.size.0 as f32, (y + self.top as f32) / self.size.1 as f32]
    }
}

/// How a detector works.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorSettings {
    /// Side of the smallest face to find, pixels of the picture.
    pub min_face_px: f32,
    /// Probability of a face that a box needs from the P-, R- and O-net, 0 to 1.
    pub thresholds: [f32; 3],
    /// Threads of the nets; 0 leaves the choice to the library.
    pub threads: u32,
}

impl DetectorSettings {
    /// The settings of a recipe, with this many threads.
    pub fn of(recipe: &ClipRecipe, threads: u32) -> Self {
        Self { min_face_px: recipe.min_face_px, thresholds: recipe.detector_thresholds, threads }
    }
}

/// Why a detector could not be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum FaceError {
    /// The file of params is missing, damaged or of another net.
    #[error("the face detector's params {path} cannot be used: {detail}")]
    Params {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The pictures of one batch differ in size.
    #[error("a batch holds pictures of {first:?} and {other:?} pixels; all must be of one size")]
    MixedSizes {
        /// Width and height of the first picture.
        first: (u32, u32),
        /// Width and height of another.
        other: (u32, u32),
    },
    /// The net library failed.
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

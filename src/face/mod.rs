//! Finds faces in frames, follows them, and plans and measures clips and samples. Pure except for the detector; knows
//! no files and no catalog.
//!
//! ```text
//! detector → mtcnn                               faces of one picture: the interface, and its implementation
//! pyramid · resample · boxes                     the input of mtcnn's nets, and the arithmetic on their output
//! thumbnail → dissolve · transition → shots      small pictures compared; gradual transitions; shots
//! thumbnail → face_cuts ↔ track                  hard cuts that change only the picture around a face
//! shots → track                                  the faces of one shot linked to tracks of one person each
//! open_track · cadence                           a track while it is built, and how long frames last
//! select                                         which stretches of tracks become clips, and why others do not
//! parts                                          the same where lists name parts of a video
//! align → quality                                samples of a clip: aligned to a template, and measured
//! motion                                         whether two clips are duplicates, by how their faces move
//! fake · fake_detector · drawn                   faces for tests
//! ```
//!
//! Pictures go to a [`Detector`], their faces to a [`track::Tracker`], and thumbnails to a [`shots::ShotFinder`].

pub mod align;
#[cfg(feature = "train")]
pub(crate) mod boxes;
mod cadence;
pub mod detector;
mod dissolve;
#[cfg(all(test, feature = "train"))]
pub(crate) mod drawn;
pub mod face_cuts;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(all(test, feature = "train"))]
pub(crate) mod fake_detector;
pub mod motion;
#[cfg(feature = "train")]
pub mod mtcnn;
pub mod open_track;
pub mod parts;
#[cfg(feature = "train")]
pub(crate) mod pyramid;
pub mod quality;
#[cfg(feature = "train")]
pub(crate) mod resample;
pub mod select;
pub mod shots;
mod thumbnail;
pub mod track;
mod transition;

pub use detector::{Detector, DetectorSettings, FaceError, Placement, View};
#[cfg(feature = "train")]
pub use mtcnn::Mtcnn;

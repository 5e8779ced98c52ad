//! Frames in, tracks and spans out. Pure but for the detector; knows no files and no catalog.
//!
//! ```text
//! detector → mtcnn                               faces of one picture: what a detector must do, and the one that does
//! pyramid · resample · boxes                     what mtcnn's nets are shown, and the arithmetic on what they answer
//! thumbnail → dissolve → shots                   what small pictures are compared by, and where a video is cut or fades
//! shots → track                                  which faces between two cuts are one person
//! open_track · cadence                           a track in the making, and how long the frames last that it ends with
//! select                                         which stretches of tracks become clips, and why the others do not
//! parts                                          the same where lists mean parts of a video
//! align → quality                                the samples of a clip: made upright and of one size, and measured
//! footage                                        whether two clips show the same footage, uploaded twice
//! fake · fake_detector · drawn                   faces for tests
//! ```
//!
//! A picture goes to a [`Detector`], its faces to a [`track::Tracker`], its thumbnail to a [`shots::ShotFinder`].

pub mod align;
#[cfg(feature = "train")]
pub(crate) mod boxes;
mod cadence;
pub mod detector;
mod dissolve;
#[cfg(all(test, feature = "train"))]
pub(crate) mod drawn;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(all(test, feature = "train"))]
pub(crate) mod fake_detector;
pub mod footage;
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

pub use detector::{Detector, DetectorSettings, FaceError, Placement, View};
#[cfg(feature = "train")]
pub use mtcnn::Mtcnn;

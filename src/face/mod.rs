//! Frames in, tracks and spans out. Pure but for the detector; knows no files and no catalog.
//!
//! A picture goes to a [`Detector`], its faces to a [`track::Tracker`], its thumbnail to a [`shots::ShotFinder`];
//! [`select`] then says which stretches become clips, [`align`] and [`quality`] make and measure their samples, and
//! [`footage`] tells those that were uploaded twice.

pub mod align;
#[cfg(feature = "train")]
pub(crate) mod boxes;
pub mod detector;
#[cfg(all(test, feature = "train"))]
pub(crate) mod drawn;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(all(test, feature = "train"))]
pub(crate) mod fake_detector;
pub mod footage;
#[cfg(feature = "train")]
pub mod mtcnn;
#[cfg(feature = "train")]
pub(crate) mod pyramid;
pub mod quality;
#[cfg(feature = "train")]
pub(crate) mod resample;
pub mod select;
pub mod shots;
pub mod track;

pub use detector::{Detector, DetectorSettings, FaceError, Placement, View};
#[cfg(feature = "train")]
pub use mtcnn::Mtcnn;

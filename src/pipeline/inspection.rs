//! What `inspect` is asked and what it says: the documented JSON of one file. Plain data that crosses to a worker and
//! back, and how a picture is read; who looks is [`super::eyes`].

use std::path::{Path, PathBuf};

use image::{ImageError, ImageReader, RgbImage};
use serde::{Deserialize, Serialize};

use crate::config::ClipRecipe;
use crate::failure::{Failure, Reason};
use crate::picture::upright;
use crate::types::{FaceBox, Landmarks};

/// Smallest face that is looked for in pictures, pixels; videos take the recipe's.
pub(crate) const PICTURE_MIN_FACE_PX: f32 = 20.0;

/// What to look for and what to leave behind.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct InspectOptions {
    /// Smallest face, pixels of the decoded picture.
    pub min_face_px: Option<f32>,
    /// Minimum detector score, 0 to 1, instead of the recipe's thresholds; low ones let all three nets pass more.
    pub min_score: Option<f32>,
    /// Shorter tracks are left out, seconds.
    pub min_seconds: f64,
    /// Where to draw what was found: `.png` or, for videos, `.mp4`.
    pub draw: Option<PathBuf>,
}

impl InspectOptions {
    /// The recipe to look at this file with; [`crate::face::DetectorSettings::of`] it is the detector to use.
    pub fn recipe(&self, path: &Path, base: &ClipRecipe) -> ClipRecipe {
        let usual = if is_picture(path) { PICTURE_MIN_FACE_PX } else { base.min_face_px };
        let [proposal, refinement, output] = base.detector_thresholds;
        let detector_thresholds = match self.min_score {
            Some(score) => [proposal.min(score), refinement.min(score), score],
            None => [proposal, refinement, output],
        };
        ClipRecipe { min_face_px: self.min_face_px.unwrap_or(usual), detector_thresholds, ..base.clone() }
    }
}

/// What was seen in one file; serialises to the documented JSON object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Inspection {
    /// A picture.
    Image {
        /// The file as it was named.
        file: String,
        /// Width in pixels, rotation applied.
        width: u32,
        /// Height in pixels, rotation applied.
        height: u32,
        /// Largest first.
        faces: Vec<FaceSeen>,
    },
    /// A video.
    Video {
        /// The file as it was named.
        file: String,
        /// Width in pixels, rotation applied.
        width: u32,
        /// Height in pixels, rotation applied.
        height: u32,
        /// From the first frame to the end of the last, seconds.
        duration_s: f64,
        /// In order. Frames of a dissolve or fade-in between two of them belong to neither.
        shots: Vec<ShotSeen>,
        /// By start.
        tracks: Vec<TrackSeen>,
    },
}

/// One shot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShotSeen {
    /// Time of its first frame, seconds.
    pub start_s: f64,
    /// Time just after its last frame, seconds.
    pub end_s: f64,
}

/// One face track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackSeen {
    /// Index of its shot.
    pub shot: usize,
    /// Time of its first frame, seconds.
    pub start_s: f64,
    /// Time just after its last frame, seconds.
    pub end_s: f64,
    /// Its face at each looked-at frame.
    pub faces: Vec<TimedFace>,
}

/// One face of a track.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimedFace {
    /// When, seconds.
    pub t_s: f64,
    /// Left, top, width and height in fractions of the picture.
    #[serde(rename = "box")]
    pub face_box: [f32; 4],
    /// In fractions of the picture.
    pub landmarks: Landmarks,
    /// The detector's score.
    pub score: f32,
}

/// One face of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FaceSeen {
    /// Left, top, width and height in fractions of the picture.
    #[serde(rename = "box")]
    pub face_box: [f32; 4],
    /// In fractions of the picture.
    pub landmarks: Landmarks,
    /// The detector's score.
    pub score: f32,
}

/// One face that was followed through a video, with upright crops of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FollowedFace {
    /// Index of its track, in order of start.
    pub track: usize,
    /// Time of its first frame, seconds.
    pub start_s: f64,
    /// Time just after its last frame, seconds.
    pub end_s: f64,
    /// By time.
    pub crops: Vec<FaceCrop>,
}

/// One crop of a followed face.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaceCrop {
    /// When, seconds.
    pub t_s: f64,
    /// Where the face was, in fractions of the picture.
    pub face_box: FaceBox,
    /// RGB bytes of a square crop.
    #[serde(with = "serde_bytes")]
    pub rgb: Vec<u8>,
}

/// Whether a file begins as a picture that this program reads.
pub(crate) fn is_picture(path: &Path) -> bool {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    reader.is_ok_and(|reader| reader.format().is_some_and(|format| format.reading_enabled()))
}

/// A picture upright, as its camera says.
pub fn read_picture(path: &Path) -> Result<RgbImage, Failure> {
    let picture = std::fs::read(path).map_err(ImageError::from).and_then(|bytes| upright(&bytes));
    picture.map_err(|error| {
        Failure::rejected(Reason::Undecodable, format!("{} does not decode: {error}", path.display()))
    })
}

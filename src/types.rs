//! The types shared by several rooms: values with small pure methods. They depend on no room.

mod emotion;
mod job;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use emotion::{Emotion, UnknownEmotion};
pub use job::{JobState, StageName, UnknownJobState, UnknownStage};

/// Names a search row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SearchId(pub i64);

/// Names an answer row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AnswerId(pub i64);

/// Names a video row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VideoId(pub i64);

/// Names a scan row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ScanId(pub i64);

/// Names a track row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrackId(pub i64);

/// Names a clip row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClipId(pub i64);

/// Names a sample row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SampleId(pub i64);

/// Names a job row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub i64);

/// Names a training run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub i64);

/// A half-open interval of a video's own time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first instant inside.
    pub start_ms: i64,
    /// The first instant after it.
    pub end_ms: i64,
}

impl Span {
    /// Its length in milliseconds.
    pub fn length_ms(self) -> i64 {
        self.end_ms - self.start_ms
    }

    /// Whether an instant lies inside.
    pub fn contains(self, t_ms: i64) -> bool {
        self.start_ms <= t_ms && t_ms < self.end_ms
    }
}

/// A face's box, in fractions (0 to 1) of the decoded picture's width and height, rotation applied.
/// It may reach a little outside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FaceBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl FaceBox {
    /// Intersection over union of two boxes of one picture, 0 to 1.
    pub fn iou(&self, other: &Self) -> f32 {
        let across = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let down = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        if across <= 0.0 || down <= 0.0 {
            return 0.0;
        }
        let shared = across * down;
        shared / (self.width * self.height + other.width * other.height - shared)
    }
}

/// Five points in fractions of the decoded picture, image-left first:
/// left eye, right eye, nose, left mouth corner, right mouth corner; each `[x, y]`.
pub type Landmarks = [[f32; 2]; 5];

/// One face in one picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// Where it is.
    #[serde(rename = "box")]
    pub face_box: FaceBox,
    /// Its five points.
    pub landmarks: Landmarks,
    /// The detector's last-net probability, 0 to 1.
    pub detector_score: f32,
}

/// One face at one instant of a track.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeenFace {
    /// When, in the video's own time.
    pub t_ms: i64,
    /// The face.
    pub face: Face,
}

/// A face followed through one shot, and taken for one person's: consecutive faces are close together, and no cut between
/// them was found. That they show the same person is not checked. `faces` is not empty and ascends in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Index into the scan's shots.
    pub shot: usize,
    /// From the first frame that shows the face to just after the last one.
    pub span: Span,
    /// The face at each looked-at frame that shows it.
    pub faces: Vec<SeenFace>,
    /// Share of the looked-at frames between the first face and the last that show it, 0 to 1.
    pub coverage: f32,
}

/// What probing a video's file found, after it was seen to decode. All empty where it could not be probed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct VideoFacts {
    /// The container's short name, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// The video stream's codec, such as `h264`.
    pub video_codec: String,
    /// Displayed width in pixels: rotation and sample aspect applied.
    pub width: u32,
    /// Displayed height in pixels.
    pub height: u32,
    /// Measured length.
    pub duration_ms: i64,
    /// Mean frames a second.
    pub frame_rate: f64,
}

/// The result of one pass over a video's frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// Width of the decoded picture in pixels, rotation applied.
    pub width: u32,
    /// Height of the decoded picture in pixels, rotation applied.
    pub height: u32,
    /// From the first frame's time to the end of the last frame.
    pub duration_ms: i64,
    /// The shots, in order. Frames of a dissolve or fade-in between two of them belong to neither.
    pub shots: Vec<Span>,
    /// Every track, including those that later rules drop; ordered by start.
    pub tracks: Vec<Track>,
    /// Frames decoded.
    pub frames_decoded: u64,
    /// Frames on which the whole detector ran.
    pub frames_detected: u64,
}

/// Quality measures of a sample's picture, independent of its emotion. Stored for every sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Variance of the Laplacian of the aligned crop's luma; higher is sharper.
    pub sharpness: f32,
    /// Mean luma, 0 to 255.
    pub brightness: f32,
    /// Standard deviation of luma, 0 to 127.5.
    pub contrast: f32,
    /// The shorter side of the face's box, in pixels of the decoded picture.
    pub face_px: f32,
    /// Head turn from the landmarks, degrees; positive looks image-right.
    pub yaw_deg: f32,
    /// Head nod from the landmarks, degrees; positive looks down.
    pub pitch_deg: f32,
    /// In-plane tilt from the eyes, degrees; positive is clockwise.
    pub roll_deg: f32,
}

/// How a face's crop is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CropStyle {
    /// Width and height, pixels.
    pub side_px: u32,
    /// Scale of the shown area, across and down, relative to the template of [`crate::face::align`].
    pub margin: f32,
}

impl CropStyle {
    /// The template's own margin.
    pub const MARGIN: f32 = 1.0;

    /// A crop with the template's own margin.
    pub fn plain(side_px: u32) -> Self {
        Self { side_px, margin: Self::MARGIN }
    }
}

/// One aligned face crop with its face and measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, in the source video's own time.
    pub t_ms: i64,
    /// The face in the source video's picture.
    pub face: Face,
    /// Measures of the crop.
    pub quality: Quality,
    /// The aligned crop as a JPEG file.
    #[serde(with = "serde_bytes")]
    pub jpeg: Vec<u8>,
}

/// One finished clip: its file is written, its samples are in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clip {
    /// The stretch of the source video, exact to the frame.
    pub span: Span,
    /// Side of the square picture in pixels.
    pub side_px: u32,
    /// Frames written.
    pub frames: u64,
    /// 64-bit perceptual hash of its middle frame's crop.
    pub perceptual_hash: u64,
    /// The aligned crops.
    pub samples: Vec<Sample>,
}

/// Which part of the data a sample belongs to. Decided by channel (else by video), and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The params are fitted on it.
    Train,
    /// Choices between epochs are made on it.
    Validation,
    /// Only measured on; nothing is chosen by it where there is a validation part.
    Test,
}

impl Split {
    /// The lower-case name that the catalog stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// A word that names no split.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no split; the three are train, validation, test")]
pub struct UnknownSplit(String);

impl FromStr for Split {
    type Err = UnknownSplit;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Train, Self::Validation, Self::Test]
            .into_iter()
            .find(|split| split.as_str() == word)
            .ok_or_else(|| UnknownSplit(word.to_owned()))
    }
}

/// A label change that a training run proposes. Class indices are those of the run's class list.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Relabel {
    /// Position of the sample in the run's frozen list.
    pub sample: usize,
    /// The epoch at whose end it was decided, from 1.
    pub epoch: u32,
    /// Class before.
    pub from: usize,
    /// Class after.
    pub to: usize,
    /// Probability of `to`, SCN's P_max.
    pub p_max: f32,
    /// Probability of `from`, SCN's P_gtInd.
    pub p_given: f32,
    /// SCN's α, 0 to 1.
    pub importance: f32,
}

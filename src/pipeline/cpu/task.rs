//! The tasks of workers, and their results. Plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::ClipRecipe;
use crate::face::select::ClipPlan;
use crate::failure::Failure;
use crate::pipeline::inspection::{FollowedFace, InspectOptions, Inspection};
use crate::types::{CropStyle, Scan, SeenFace, VideoFacts};

/// One piece of heavy work. Paths are absolute.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Task {
    /// Check that the file is a video that decodes and lasts about as long as promised.
    Check {
        /// The file.
        path: PathBuf,
        /// The site's duration, if it gave one.
        promised_duration_ms: Option<i64>,
    },
    /// Find the shots and follow the faces.
    Scan {
        /// The file.
        path: PathBuf,
        /// The thresholds.
        recipe: ClipRecipe,
        /// The folder for clips that are cut on the way; `None` when none are wanted.
        clips: Option<PathBuf>,
    },
    /// Cut clips and take their samples.
    Cut(CutTask),
    /// Follow the faces of a video and crop them.
    Faces(FacesTask),
    /// Make the crops of known faces.
    Recrop {
        /// The file.
        path: PathBuf,
        /// Which faces, and how.
        recrop: Recrop,
    },
    /// Find the faces of a picture, or the shots and tracks of a video, for people.
    Inspect {
        /// The file, as the user named it.
        path: PathBuf,
        /// What to look for, and what to draw.
        options: InspectOptions,
        /// The thresholds, before the options change some.
        recipe: ClipRecipe,
    },
}

/// A video whose faces are to be followed and cropped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FacesTask {
    /// The file.
    pub path: PathBuf,
    /// The thresholds.
    pub recipe: ClipRecipe,
    /// Side of a crop, pixels.
    pub side_px: u32,
}

/// Clips to cut from one video.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CutTask {
    /// The source video.
    pub path: PathBuf,
    /// The stretches to cut, and the faces to follow in them.
    pub plans: Vec<ClipPlan>,
    /// The thresholds.
    pub recipe: ClipRecipe,
    /// The folder for the clips.
    pub clips: PathBuf,
}

/// Faces that were found earlier, and how to crop them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recrop {
    /// The faces.
    pub faces: Vec<SeenFace>,
    /// Side and margin.
    pub style: CropStyle,
    /// JPEG quality, 1 to 100.
    pub jpeg_quality: u8,
}

/// A crop as a JPEG file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Picture {
    /// The file's bytes.
    #[serde(with = "serde_bytes")]
    pub jpeg: Vec<u8>,
}

/// The result of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Product {
    /// Of [`Task::Check`].
    Checked(VideoFacts),
    /// Of [`Task::Scan`].
    Scanned(Scan),
    /// Of [`Task::Cut`]: the clips are in the folder.
    Cut,
    /// Of [`Task::Faces`]: every face was sent as a [`Message::Face`].
    Faces,
    /// Of [`Task::Recrop`]: a crop of each face, in their order.
    Recropped(Vec<Picture>),
    /// Of [`Task::Inspect`].
    Inspected(Inspection),
}

/// What a worker sends: any number of the first three, then one of the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Message {
    /// The task goes on.
    Working {
        /// Milliseconds of video done; a second pass continues the count.
        done_ms: i64,
    },
    /// A line for the user, not about the task.
    Said {
        /// The line.
        text: String,
    },
    /// A face of [`Task::Faces`]. Faces are sent one by one: together they may take gigabytes.
    Face(FollowedFace),
    /// The task is done.
    Done(Box<Product>),
    /// The task failed.
    Failed(Failure),
}

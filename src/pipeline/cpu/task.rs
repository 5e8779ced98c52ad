//! What workers are asked, and what they answer. Paths and values only: it starts nothing.

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
    /// Does this file hold a video that decodes, about as long as was promised?
    Check {
        /// The file.
        path: PathBuf,
        /// What the site said, if it said anything.
        promised_duration_ms: Option<i64>,
    },
    /// Find the shots and follow the faces.
    Scan {
        /// The file.
        path: PathBuf,
        /// The thresholds.
        recipe: ClipRecipe,
        /// Where clips are laid down that can be cut on the way; none where they are not wanted.
        clips: Option<PathBuf>,
    },
    /// Cut clips and take their samples.
    Cut {
        /// The source video.
        path: PathBuf,
        /// The faces to follow, and the stretches to cut.
        plans: Vec<ClipPlan>,
        /// The thresholds.
        recipe: ClipRecipe,
        /// Where the clips are laid down.
        clips: PathBuf,
    },
    /// Follow the faces of a video and crop them.
    Faces {
        /// The file.
        path: PathBuf,
        /// The thresholds.
        recipe: ClipRecipe,
        /// Side of a crop, pixels.
        side_px: u32,
    },
    /// Make the crops of known faces.
    Recrop {
        /// The file.
        path: PathBuf,
        /// Which faces, and how.
        recrop: Recrop,
    },
    /// Say what is in a picture or video.
    Inspect {
        /// The file, as it was named.
        path: PathBuf,
        /// What to look for.
        options: InspectOptions,
        /// The thresholds that the options start from.
        recipe: ClipRecipe,
    },
}

/// Faces that were found earlier, and how they are to be cropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recrop {
    /// The faces.
    pub faces: Vec<SeenFace>,
    /// Size and margin.
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

/// What a task came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Product {
    /// Of [`Task::Check`].
    Checked(VideoFacts),
    /// Of [`Task::Scan`].
    Scanned(Scan),
    /// Of [`Task::Cut`]: the clips lie in the folder.
    Cut,
    /// Of [`Task::Faces`].
    Faces(Vec<FollowedFace>),
    /// Of [`Task::Recrop`]: a crop of each face, in their order.
    Recropped(Vec<Picture>),
    /// Of [`Task::Inspect`].
    Inspected(Inspection),
}

/// What a worker says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// Still at work: so much of the video is behind it.
    Working {
        /// Milliseconds of video done; a second pass comes on top.
        done_ms: i64,
    },
    /// A line for the user, not tied to the task.
    Said {
        /// The line.
        text: String,
    },
    /// The task is done.
    Done(Box<Product>),
    /// It is not.
    Failed(Failure),
}

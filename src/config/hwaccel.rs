//! What decodes videos.

use serde::{Deserialize, Serialize};

/// What decodes videos. It changes no clip, as frames are the same: it is not part of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Hwaccel {
    /// The processor.
    #[default]
    None,
    /// An NVIDIA card, where there is one and it takes the film; else the processor.
    Cuda,
}

impl Hwaccel {
    /// As settings and flags write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Cuda => "cuda",
        }
    }
}

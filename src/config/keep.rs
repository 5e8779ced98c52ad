//! What is kept in the data folder once it is no longer needed.

use serde::{Deserialize, Serialize};

/// What is kept. Not part of a recipe, since it changes no clip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepConfig {
    /// Videos keep their files after their clips are cut.
    pub videos: bool,
    /// Samples of duplicate footage stay in use, in the split of the original.
    pub duplicates: bool,
}

impl Default for KeepConfig {
    fn default() -> Self {
        Self { videos: true, duplicates: true }
    }
}

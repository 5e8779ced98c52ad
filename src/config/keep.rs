//! What stays in the data folder once it has served.

use serde::{Deserialize, Serialize};

/// What is kept. It changes no clip: none of it is part of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepConfig {
    /// Videos keep their files after their clips are cut.
    pub videos: bool,
    /// Samples of footage that was uploaded twice stay in use, in the split of the original.
    pub duplicates: bool,
}

impl Default for KeepConfig {
    fn default() -> Self {
        Self { videos: true, duplicates: true }
    }
}

//! The names of files and folders in the data folder.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Store;
use crate::files::hex;

/// The catalog.
pub(crate) const CATALOG: &str = "catalog.sqlite";
/// Settings of this data folder.
pub(crate) const SETTINGS: &str = "webemotion.toml";
/// Downloaded videos.
pub(super) const VIDEOS: &str = "videos";
/// Clips.
pub(super) const CLIPS: &str = "clips";
/// Unfinished work.
pub(super) const STAGING: &str = "staging";
/// One file for each lock.
pub(super) const LOCKS: &str = "locks";
const REPORTS: &str = "reports";
const SHARDS: &str = "shards";
const LOGS: &str = "logs";
const RUNS: &str = "runs";
#[cfg(feature = "train")]
const EXPERIMENTS: &str = "experiments";
#[cfg(all(feature = "media", feature = "train"))]
const DEMO: &str = "demo";

impl Store {
    /// The catalog.
    pub fn catalog(&self) -> PathBuf {
        self.root().join(CATALOG)
    }

    /// The reports.
    pub(crate) fn reports(&self) -> PathBuf {
        self.root().join(REPORTS)
    }

    /// Work lists for other machines, unless another folder is named.
    pub(crate) fn shards(&self) -> PathBuf {
        self.root().join(SHARDS)
    }

    /// The logs of rounds.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root().join(LOGS)
    }

    /// Whether a file is below the folders of videos and clips, whose files rows name.
    pub(crate) fn keeps(&self, path: &Path) -> bool {
        [VIDEOS, CLIPS].iter().any(|kind| path.starts_with(self.absolute(kind)))
    }
}

/// The settings of a data folder.
pub(crate) fn settings_in(data: &Path) -> PathBuf {
    data.join(SETTINGS)
}

/// The training runs of a data folder.
pub(crate) fn runs_in(data: &Path) -> PathBuf {
    data.join(RUNS)
}

/// The experiments of a data folder.
#[cfg(feature = "train")]
pub(crate) fn experiments_in(data: &Path) -> PathBuf {
    data.join(EXPERIMENTS)
}

/// The demo's videos and the files of its server.
#[cfg(all(feature = "media", feature = "train"))]
pub(crate) fn demo_in(data: &Path) -> PathBuf {
    data.join(DEMO)
}

/// The folder of a training run, relative to the data folder.
pub(crate) fn run_path(name: &str) -> String {
    format!("{RUNS}/{name}")
}

/// The relative path of a video's file, in one of 256 folders by the hash of its id.
pub fn video_path(site: &str, site_id: &str, extension: &str) -> String {
    format!("{VIDEOS}/{}/{site}-{site_id}.{extension}", spread(site_id))
}

/// The relative path of a clip's file.
pub fn clip_path(site: &str, site_id: &str, recipe: &str, track: usize, start_ms: i64) -> String {
    let recipe = recipe.get(..8).unwrap_or(recipe);
    format!("{CLIPS}/{}/{site}-{site_id}-{recipe}-{track:03}-{start_ms:07}.mp4", spread(site_id))
}

pub(super) fn spread(id: &str) -> String {
    hex(&Sha256::digest(id.as_bytes())[..1])
}

//! What `webemotion run` does: which commands, how much of each, and when it trains.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A command that is part of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Leg {
    /// Search and download.
    Crawl,
    /// Look at videos and cut clips.
    Clips,
    /// Train, when enough new samples have come.
    Train,
    /// Write the pages.
    Report,
}

impl Leg {
    /// All four, in the order of the data flow.
    pub const ALL: [Self; 4] = [Self::Crawl, Self::Clips, Self::Train, Self::Report];

    /// The command's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crawl => "crawl",
            Self::Clips => "clips",
            Self::Train => "train",
            Self::Report => "report",
        }
    }
}

/// One round of `webemotion run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// The commands of a round; they always run in the order of [`Leg::ALL`].
    pub commands: Vec<Leg>,
    /// Where `crawl` takes videos from: `youtube`, or `local:DIR`.
    pub source: String,
    /// A round begins nothing new after this time, seconds; 0 means no limit.
    pub max_runtime_s: u64,
    /// Nothing is downloaded while this many videos wait to be cut.
    pub max_waiting_videos: u64,
    /// A round downloads no more videos than this; 0 means no limit.
    pub max_videos: u64,
    /// The share of `max_runtime_s` that is kept for training when it is due, 0 to 1.
    pub training_share: f64,
    /// Log files kept in `logs/`, one a round.
    pub keep_logs: u32,
    /// A shell command that receives each round's summary as JSON on standard input.
    pub notify: Option<String>,
    /// A file to write for Prometheus's textfile collector.
    pub metrics: Option<PathBuf>,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            commands: Leg::ALL.to_vec(),
            source: "youtube".to_owned(),
            max_runtime_s: 0,
            max_waiting_videos: 200,
            max_videos: 0,
            training_share: 0.3,
            keep_logs: 60,
            notify: None,
            metrics: None,
        }
    }
}

/// How `webemotion run` trains.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Flags as after `webemotion train`.
    pub flags: Vec<String>,
    /// How much must be new before it trains.
    pub when: TrainWhen,
}

/// When `webemotion run` trains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainWhen {
    /// Samples that no finished run of the method has seen; 0 means never.
    pub new_samples: u64,
}

impl Default for TrainWhen {
    fn default() -> Self {
        Self { new_samples: 1_000 }
    }
}

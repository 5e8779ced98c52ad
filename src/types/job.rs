//! The stages and the job states, as the job table stores them.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::{Deserialize, Serialize};

/// A stage, by what it does to a search or a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageName {
    /// Asks the site a search.
    Search,
    /// Downloads a video's file.
    Fetch,
    /// Looks at the file, and follows faces.
    Scan,
    /// Cuts clips, and takes samples.
    Cut,
}

impl StageName {
    /// All four, in the order data walks.
    pub const ALL: [Self; 4] = [Self::Search, Self::Fetch, Self::Scan, Self::Cut];

    /// The word that the catalog stores and `retry --stage` takes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Fetch => "fetch",
            Self::Scan => "scan",
            Self::Cut => "cut",
        }
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl ValueEnum for StageName {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

/// A word that names no stage.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no stage; the four are search, fetch, scan, cut")]
pub struct UnknownStage(String);

impl FromStr for StageName {
    type Err = UnknownStage;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|stage| stage.as_str() == word);
        named.ok_or_else(|| UnknownStage(word.to_owned()))
    }
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits to be claimed: new, given back or postponed.
    Open,
    /// Held by a worker, until its lease ends.
    Held,
    /// Ended with a result.
    Done,
    /// Ended with a verdict about its subject.
    Rejected,
    /// Given up.
    Dead,
}

impl JobState {
    /// All five, in the order in which jobs reach them.
    pub const ALL: [Self; 5] = [Self::Open, Self::Held, Self::Done, Self::Rejected, Self::Dead];

    /// The word that the catalog stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Held => "held",
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Dead => "dead",
        }
    }

    /// Whether the job has ended: it is not claimed again unless it is reopened.
    pub fn is_finished(self) -> bool {
        match self {
            Self::Done | Self::Rejected | Self::Dead => true,
            Self::Open | Self::Held => false,
        }
    }

    /// Whether the job ended without a result.
    pub fn is_lost(self) -> bool {
        match self {
            Self::Rejected | Self::Dead => true,
            Self::Open | Self::Held | Self::Done => false,
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no state of a job.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no state of a job; the five are open, held, done, rejected, dead")]
pub struct UnknownJobState(String);

impl FromStr for JobState {
    type Err = UnknownJobState;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|state| state.as_str() == word);
        named.ok_or_else(|| UnknownJobState(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_states_round_trip_through_the_catalog_json_and_the_command_line() {
        for stage in StageName::ALL {
            assert_eq!(stage.as_str().parse::<StageName>().unwrap(), stage);
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.as_str());
            assert_eq!(stage.to_possible_value().unwrap().get_name(), stage.as_str());
        }
        for state in JobState::ALL {
            assert_eq!(state.as_str().parse::<JobState>().unwrap(), state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }

    #[test]
    fn an_unknown_word_is_refused_with_a_list_of_the_known_ones() {
        let stage = "Scan".parse::<StageName>().unwrap_err().to_string();
        assert!(stage.ends_with(&StageName::ALL.map(StageName::as_str).join(", ")), "{stage}");
        let state = "gone".parse::<JobState>().unwrap_err().to_string();
        assert!(state.ends_with(&JobState::ALL.map(JobState::as_str).join(", ")), "{state}");
    }
}

//! The states of a training run.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The state of a training run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Under way, or killed.
    Open,
    /// Trained to the end.
    Done,
    /// Ended by a failure.
    Failed,
    /// Ended by the user; may be resumed.
    Stopped,
}

impl RunState {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Open, Self::Done, Self::Failed, Self::Stopped];

    /// The word that the catalog stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no state of a run.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no state of a run; the four are open, done, failed, stopped")]
pub struct UnknownRunState(String);

impl FromStr for RunState {
    type Err = UnknownRunState;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|state| state.as_str() == word);
        named.ok_or_else(|| UnknownRunState(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_round_trip_and_an_unknown_word_is_refused_with_a_list_of_the_known_ones() {
        for state in RunState::ALL {
            assert_eq!(state.as_str().parse::<RunState>().unwrap(), state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        let unknown = "adopted".parse::<RunState>().unwrap_err().to_string();
        assert!(unknown.ends_with(&RunState::ALL.map(RunState::as_str).join(", ")), "{unknown}");
    }
}

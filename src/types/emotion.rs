//! The eight emotions: what is searched for, and the labels that samples begin with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of the eight emotions, in FERPlus order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Emotion {
    Neutral,
    Happiness,
    Surprise,
    Sadness,
    Anger,
    Disgust,
    Fear,
    Contempt,
}

impl Emotion {
    /// All eight, in FERPlus order.
    pub const ALL: [Self; 8] = [
        Self::Neutral,
        Self::Happiness,
        Self::Surprise,
        Self::Sadness,
        Self::Anger,
        Self::Disgust,
        Self::Fear,
        Self::Contempt,
    ];

    /// The lower-case English noun.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Happiness => "happiness",
            Self::Surprise => "surprise",
            Self::Sadness => "sadness",
            Self::Anger => "anger",
            Self::Disgust => "disgust",
            Self::Fear => "fear",
            Self::Contempt => "contempt",
        }
    }

    /// Its index in [`Emotion::ALL`], the class index that training uses.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Emotion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no emotion.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is no emotion; the eight are neutral, happiness, surprise, sadness, anger, disgust, fear, contempt"
)]
pub struct UnknownEmotion(String);

impl FromStr for Emotion {
    type Err = UnknownEmotion;

    /// Reads the noun, and the adjectives that data sets use for it (`happy`, `sad`, `angry` …), in any case.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word.to_ascii_lowercase().as_str() {
            "neutral" => Self::Neutral,
            "happiness" | "happy" => Self::Happiness,
            "surprise" | "surprised" => Self::Surprise,
            "sadness" | "sad" => Self::Sadness,
            "anger" | "angry" => Self::Anger,
            "disgust" | "disgusted" => Self::Disgust,
            "fear" | "fearful" | "afraid" => Self::Fear,
            "contempt" | "contemptuous" => Self::Contempt,
            _ => return Err(UnknownEmotion(word.to_owned())),
        })
    }
}

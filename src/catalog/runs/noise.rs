//! Label noise that was added to a run on purpose.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::words::share;

/// Labels that were made wrong on purpose before a run began: a share or a list. Neither is known for a run of an earlier
/// release, which did not record it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Noise {
    /// The share of wrong ones among each class's training labels, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// How the wrong classes were chosen: `symmetric` or `pair`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The file of labels that replaced all training labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { list: Some(list), .. } => write!(f, "as in {list}"),
            Self { share: Some(part), kind, .. } => {
                write!(f, "{} of each class", share(*part))?;
                kind.iter().try_for_each(|kind| write!(f, ", {kind}"))
            }
            _ => f.write_str("in a way that is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_round_trips_through_the_catalog_and_has_a_description() {
        let of_share = Noise { share: Some(0.4), kind: Some("pair".to_owned()), list: None };
        let of_list = Noise { list: Some("noise.txt".to_owned()), ..Noise::default() };
        for (noise, stored, words) in [
            (of_share, r#"{"share":0.4,"kind":"pair"}"#, "40.0 % of each class, pair"),
            (of_list, r#"{"list":"noise.txt"}"#, "as in noise.txt"),
            (Noise::default(), "{}", "in a way that is not known"),
        ] {
            assert_eq!(serde_json::to_string(&noise).unwrap(), stored);
            assert_eq!(serde_json::from_str::<Noise>(stored).unwrap(), noise);
            assert_eq!(noise.to_string(), words);
        }
    }
}

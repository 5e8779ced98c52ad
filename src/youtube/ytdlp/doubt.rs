//! Tells one strange video from a tool that no longer understands the site: only many different failures in a row,
//! without a success between, speak against the tool. It forgets at the end of the process.

use std::sync::{Arc, Mutex, PoisonError};

use crate::youtube::classes::Class;
use crate::youtube::error::YoutubeError;

/// Different videos or searches that must fail in a row.
const TOO_MANY: usize = 5;

/// What has failed since the last success; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Doubt(Arc<Mutex<Vec<String>>>);

impl Doubt {
    /// Notes how something ended, and raises its class when it was one failure too many.
    pub(super) fn note<T>(&self, result: Result<T, YoutubeError>) -> Result<T, YoutubeError> {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(value) => {
                failed.clear();
                Ok(value)
            }
            Err(YoutubeError::Refused {
                what,
                class: class @ (Class::ToolBroken | Class::MediaRefused),
                said,
            }) => {
                if !failed.contains(&what) && failed.len() < TOO_MANY {
                    failed.push(what.clone());
                }
                let class = if failed.len() < TOO_MANY { class } else { Class::ToolOutdated };
                Err(YoutubeError::Refused { what, class, said })
            }
            Err(other) => Err(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(what: u32) -> Result<(), YoutubeError> {
        let what = format!("video-{what}");
        Err(YoutubeError::Refused { what, class: Class::ToolBroken, said: String::new() })
    }

    fn class(result: Result<(), YoutubeError>) -> Class {
        match result {
            Err(YoutubeError::Refused { class, .. }) => class,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_different_failures_in_a_row_speak_against_the_tool() {
        let doubt = Doubt::default();
        for what in [1, 2, 3, 4, 4, 4] {
            assert_eq!(class(doubt.note(broken(what))), Class::ToolBroken);
        }
        assert_eq!(class(doubt.clone().note(broken(5))), Class::ToolOutdated);
        assert_eq!(class(doubt.note(broken(6))), Class::ToolOutdated);
        doubt.note(Ok(())).unwrap();
        assert_eq!(class(doubt.note(broken(7))), Class::ToolBroken);
    }
}

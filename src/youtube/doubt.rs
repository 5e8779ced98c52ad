//! Tells one strange video from trouble that all of them share: only several different failures in a row, without a
//! success between, speak against the tool or the network. It forgets at the end of the process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::classes::Class;
use super::error::YoutubeError;

/// Different videos or searches that must fail in a row to speak against the tool.
const TOO_MANY: usize = 5;
/// And so many that reach nobody to speak against the network: a false alarm costs minutes only.
const TOO_MANY_UNREACHED: usize = 3;
/// So often one of them may speak against the network; then it is its own matter again, and holds up no others.
const MOST_ALARMS: usize = 3;

/// What has failed since the last success; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Doubt(Arc<Mutex<Failed>>);

#[derive(Debug, Default)]
struct Failed {
    /// What the tool did not understand, each once.
    misread: Vec<String>,
    /// What reached nobody, as often as it did.
    unreached: Vec<String>,
}

impl Doubt {
    /// Notes how the request for `what` ended, and makes more of it when it was one failure too many.
    pub(super) fn note<T>(&self, what: &str, result: Result<T, YoutubeError>) -> Result<T, YoutubeError> {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(value) => {
                *failed = Failed::default();
                Ok(value)
            }
            Err(error) if error.reached_nobody() => {
                let is_shared = failed.is_network_down(what);
                Err(if is_shared { YoutubeError::Offline { said: error.to_string() } } else { error })
            }
            Err(error) => {
                // Whoever refuses was reached.
                if error.is_an_answer() {
                    failed.unreached.clear();
                }
                Err(failed.raised(what, error))
            }
        }
    }
}

impl Failed {
    /// Raises the class of what the tool did not understand, once there was too much of it.
    fn raised(&mut self, what: &str, error: YoutubeError) -> YoutubeError {
        let YoutubeError::Refused { what: named, class, said } = error else { return error };
        if !matches!(class, Class::ToolBroken | Class::MediaRefused) {
            return YoutubeError::Refused { what: named, class, said };
        }
        if self.misread.len() < TOO_MANY && !self.misread.iter().any(|it| it == what) {
            self.misread.push(what.to_owned());
        }
        let class = if self.misread.len() < TOO_MANY { class } else { Class::ToolOutdated };
        YoutubeError::Refused { what: named, class, said }
    }

    /// Whether the network is to blame for what reached nobody.
    fn is_network_down(&mut self, what: &str) -> bool {
        let before = self.unreached.iter().filter(|it| *it == what).count();
        if before == MOST_ALARMS {
            return false;
        }
        self.unreached.push(what.to_owned());
        self.unreached.iter().collect::<HashSet<_>>().len() >= TOO_MANY_UNREACHED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(doubt: &Doubt, number: u32, class: Class) -> YoutubeError {
        let what = format!("video-{number}");
        let refused = YoutubeError::Refused { what: what.clone(), class, said: String::new() };
        doubt.note::<()>(&what, Err(refused)).unwrap_err()
    }

    fn class(error: &YoutubeError) -> Class {
        match error {
            YoutubeError::Refused { class, .. } => *class,
            other => panic!("{other:?}"),
        }
    }

    fn is_offline(error: &YoutubeError) -> bool {
        matches!(error, YoutubeError::Offline { .. })
    }

    #[test]
    fn only_different_failures_in_a_row_speak_against_the_tool() {
        let doubt = Doubt::default();
        for number in [1, 2, 3, 4, 4, 4] {
            assert_eq!(class(&note(&doubt, number, Class::ToolBroken)), Class::ToolBroken);
        }
        assert_eq!(class(&note(&doubt.clone(), 5, Class::ToolBroken)), Class::ToolOutdated);
        assert_eq!(class(&note(&doubt, 6, Class::MediaRefused)), Class::ToolOutdated);
        doubt.note("video-6", Ok(())).unwrap();
        assert_eq!(class(&note(&doubt, 7, Class::ToolBroken)), Class::ToolBroken);
    }

    #[test]
    fn only_different_requests_that_reach_nobody_speak_against_the_network() {
        let doubt = Doubt::default();
        for number in [1, 2, 2, 1] {
            assert!(!is_offline(&note(&doubt, number, Class::Network)));
        }
        assert!(is_offline(&note(&doubt.clone(), 3, Class::Network)));
        assert!(is_offline(&note(&doubt, 1, Class::Network)));
        doubt.note("video-4", Ok(())).unwrap();
        assert!(!is_offline(&note(&doubt, 5, Class::Network)));
    }

    #[test]
    fn whoever_refuses_was_reached() {
        let doubt = Doubt::default();
        for number in [1, 3, 5, 7] {
            assert!(!is_offline(&note(&doubt, number, Class::Network)));
            note(&doubt, number + 1, Class::Private);
        }
    }

    #[test]
    fn one_that_never_answers_does_not_hold_up_the_others_for_ever() {
        let doubt = Doubt::default();
        let told: Vec<bool> = [1, 2, 3, 3, 3, 3, 3]
            .into_iter()
            .map(|number| is_offline(&note(&doubt, number, Class::Network)))
            .collect();
        assert_eq!(told, [false, false, true, true, true, false, false]);
    }
}

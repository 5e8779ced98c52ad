//! Distinguishes one strange video from a fault that affects all: only several different failures in a row, without a
//! success between, indicate that the tool or the network is at fault. The state is lost at the end of the process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::YoutubeError;
use super::refusals::Refusal;

/// This many different videos or searches in a row indicate a fault of the tool.
const TOO_MANY: usize = 5;
/// This many without a response indicate a fault of the network: a false alarm costs only minutes.
const TOO_MANY_UNREACHED: usize = 3;
/// This many that the Data API calls invalid indicate a fault in what all searches share: the region, the language.
const TOO_MANY_WRONG: usize = 3;
/// One that never gets a response counts against the network this often; after that it delays no others.
const MAX_ALARMS_EACH: usize = 3;

/// What has failed since the last success; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct FaultDetector(Arc<Mutex<Failed>>);

#[derive(Debug, Default)]
struct Failed {
    /// What the tool did not understand, or was refused in words that we do not know, each once.
    misread: Vec<String>,
    /// What got no response, and how often.
    unreached: Vec<String>,
    /// What the Data API called invalid, each once.
    wrong: Vec<String>,
}

impl FaultDetector {
    /// Records how the request for `what` ended; returns it as a fault of the tool or the network if too many have
    /// failed.
    pub(super) fn record<T>(&self, what: &str, result: Result<T, YoutubeError>) -> Result<T, YoutubeError> {
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
                // A refusal is a response.
                if error.is_an_answer() {
                    failed.unreached.clear();
                }
                Err(failed.raised(what, error))
            }
        }
    }
}

impl Failed {
    /// Turns a refusal that the tool did not understand into one of an outdated tool once there were too many, and an
    /// invalid request into a fault of its one search until there were.
    fn raised(&mut self, what: &str, error: YoutubeError) -> YoutubeError {
        match error {
            YoutubeError::Refused {
                what: named,
                refusal: Refusal::ToolBroken | Refusal::MediaRefused | Refusal::Unknown,
                said,
            } if is_one_too_many(&mut self.misread, what, TOO_MANY) => {
                YoutubeError::Refused { what: named, refusal: Refusal::ToolOutdated, said }
            }
            YoutubeError::BadRequest { said } if !is_one_too_many(&mut self.wrong, what, TOO_MANY_WRONG) => {
                YoutubeError::BadSearch { said }
            }
            error => error,
        }
    }

    /// Whether the network is at fault.
    fn is_network_down(&mut self, what: &str) -> bool {
        let before = self.unreached.iter().filter(|it| *it == what).count();
        if before == MAX_ALARMS_EACH {
            return false;
        }
        self.unreached.push(what.to_owned());
        self.unreached.iter().collect::<HashSet<_>>().len() >= TOO_MANY_UNREACHED
    }
}

/// Records one more failure; returns whether there are too many different ones.
fn is_one_too_many(failed: &mut Vec<String>, what: &str, too_many: usize) -> bool {
    if failed.len() < too_many && !failed.iter().any(|it| it == what) {
        failed.push(what.to_owned());
    }
    failed.len() >= too_many
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(faults: &FaultDetector, number: u32, refusal: Refusal) -> YoutubeError {
        let what = format!("video-{number}");
        let refused = YoutubeError::Refused { what: what.clone(), refusal, said: String::new() };
        faults.record::<()>(&what, Err(refused)).unwrap_err()
    }

    fn refusal(error: &YoutubeError) -> Refusal {
        match error {
            YoutubeError::Refused { refusal, .. } => *refusal,
            other => panic!("{other:?}"),
        }
    }

    fn is_offline(error: &YoutubeError) -> bool {
        matches!(error, YoutubeError::Offline { .. })
    }

    #[test]
    fn only_different_failures_in_a_row_indicate_an_outdated_tool() {
        let faults = FaultDetector::default();
        for number in [1, 2, 3, 4, 4, 4] {
            assert_eq!(refusal(&record(&faults, number, Refusal::ToolBroken)), Refusal::ToolBroken);
        }
        assert_eq!(refusal(&record(&faults.clone(), 5, Refusal::ToolBroken)), Refusal::ToolOutdated);
        assert_eq!(refusal(&record(&faults, 6, Refusal::MediaRefused)), Refusal::ToolOutdated);
        faults.record("video-6", Ok(())).unwrap();
        assert_eq!(refusal(&record(&faults, 7, Refusal::ToolBroken)), Refusal::ToolBroken);
    }

    #[test]
    fn many_refusals_in_unknown_words_indicate_an_outdated_tool_too() {
        let faults = FaultDetector::default();
        for number in 1..=4 {
            assert_eq!(refusal(&record(&faults, number, Refusal::Unknown)), Refusal::Unknown);
        }
        assert_eq!(refusal(&record(&faults, 5, Refusal::Unknown)), Refusal::ToolOutdated);
    }

    #[test]
    fn only_different_requests_without_a_response_indicate_a_network_fault() {
        let faults = FaultDetector::default();
        for number in [1, 2, 2, 1] {
            assert!(!is_offline(&record(&faults, number, Refusal::Network)));
        }
        assert!(is_offline(&record(&faults.clone(), 3, Refusal::Network)));
        assert!(is_offline(&record(&faults, 1, Refusal::Network)));
        faults.record("video-4", Ok(())).unwrap();
        assert!(!is_offline(&record(&faults, 5, Refusal::Network)));
    }

    #[test]
    fn a_refusal_is_a_response() {
        let faults = FaultDetector::default();
        for number in [1, 3, 5, 7] {
            assert!(!is_offline(&record(&faults, number, Refusal::Network)));
            record(&faults, number + 1, Refusal::Private);
        }
    }

    #[test]
    fn a_slow_download_is_a_response() {
        let faults = FaultDetector::default();
        let timed_out = |number: u32, has_moved| {
            let what = format!("video-{number}");
            let (detail, said) = ("took more than 900 s".to_owned(), String::new());
            let error = YoutubeError::TimedOut { what: what.clone(), detail, has_moved, said };
            is_offline(&faults.record::<()>(&what, Err(error)).unwrap_err())
        };
        assert_eq!([1, 2, 3, 4].map(|number| timed_out(number, true)), [false; 4]);
        assert_eq!([5, 6].map(|number| timed_out(number, false)), [false; 2]);
        assert!(!timed_out(7, true));
        assert_eq!([5, 6, 7].map(|number| timed_out(number, false)), [false, false, true]);
    }

    #[test]
    fn one_invalid_search_fails_alone_and_several_in_a_row_indicate_a_shared_fault() {
        let faults = FaultDetector::default();
        let is_shared = |number: u32| {
            let wrong = YoutubeError::BadRequest { said: "invalid relevanceLanguage".into() };
            match faults.record::<()>(&format!("search {number}"), Err(wrong)).unwrap_err() {
                YoutubeError::BadSearch { .. } => false,
                YoutubeError::BadRequest { .. } => true,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([1, 1, 2, 1, 2].map(is_shared), [false; 5]);
        faults.record("search 4", Ok(())).unwrap();
        assert_eq!([5, 6, 7].map(is_shared), [false, false, true]);
    }

    #[test]
    fn one_that_never_responds_does_not_delay_the_others_for_ever() {
        let faults = FaultDetector::default();
        let offline: Vec<bool> = [1, 2, 3, 3, 3, 3, 3]
            .into_iter()
            .map(|number| is_offline(&record(&faults, number, Refusal::Network)))
            .collect();
        assert_eq!(offline, [false, false, true, true, true, false, false]);
    }
}

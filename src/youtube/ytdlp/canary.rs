//! Whether searches still find anything at all. A page that changed its shape looks like a search without results, so
//! an empty answer is accepted only if another search found something shortly before. The state is lost at the end of
//! the process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A search that finds something for as long as the site exists.
pub(super) const TEXT: &str = "music";
/// How long a result proves that searches work.
const FRESH: Duration = Duration::from_secs(60);

/// When a search last found something; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Canary(Arc<Mutex<Option<Instant>>>);

impl Canary {
    /// Records that a search found something now.
    pub(super) fn record_find(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether that is recent enough to accept an empty answer.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        let found_at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found_at.is_some_and(|at| now.saturating_duration_since(at) < FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_find_is_evidence_for_a_minute() {
        let (canary, now) = (Canary::default(), Instant::now());
        assert!(!canary.is_fresh(now));
        canary.record_find(now);
        assert!(canary.clone().is_fresh(now + FRESH / 2));
        assert!(!canary.is_fresh(now + FRESH));
    }
}

//! The time and the request to stop, both passed as arguments so that tests can control them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// Tells the time in milliseconds since 1970. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    System { shift_ms: i64 },
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::shifted(0)
    }

    /// The machine's clock, this many milliseconds ahead: with it tests let weeks pass in a child process.
    pub fn shifted(shift_ms: i64) -> Self {
        Self(Kind::System { shift_ms })
    }

    /// A clock that shows the same time until [`Clock::advance_ms`].
    pub fn fixed(now_ms: i64) -> Self {
        Self(Kind::Fixed(Arc::new(AtomicI64::new(now_ms))))
    }

    /// Now, in milliseconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Kind::System { shift_ms } => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX).saturating_add(*shift_ms)
            }
            Kind::Fixed(now) => now.load(Ordering::SeqCst),
        }
    }

    /// Moves a fixed clock on; the machine's clock ignores it.
    pub fn advance_ms(&self, by_ms: i64) {
        if let Kind::Fixed(now) = &self.0 {
            now.fetch_add(by_ms, Ordering::SeqCst);
        }
    }
}

/// A shared request to stop. Asked once: finish the work under way, begin nothing new. Asked twice: stop at once.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    once: CancellationToken,
    twice: CancellationToken,
}

impl Stop {
    /// Asks to stop; a second call asks to stop at once.
    pub fn ask(&self) {
        let asked = if self.once.is_cancelled() { &self.twice } else { &self.once };
        asked.cancel();
    }

    /// Whether anybody asked.
    pub fn is_asked(&self) -> bool {
        self.once.is_cancelled()
    }

    /// Whether anybody asked twice.
    pub fn is_urgent(&self) -> bool {
        self.twice.is_cancelled()
    }

    /// Waits until somebody asks.
    pub fn asked(&self) -> WaitForCancellationFuture<'_> {
        self.once.cancelled()
    }

    /// Waits until somebody asks twice.
    pub fn urgent(&self) -> WaitForCancellationFuture<'_> {
        self.twice.cancelled()
    }
}

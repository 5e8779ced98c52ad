//! Time and the wish to stop, both passed in as arguments so that tests decide them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

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

    /// The machine's clock, so many milliseconds ahead: tests let weeks pass in a program of their own.
    pub fn shifted(shift_ms: i64) -> Self {
        Self(Kind::System { shift_ms })
    }

    /// A clock that stands still until [`Clock::advance_ms`].
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

/// A shared wish to stop. Asked once: finish what is in hand, begin nothing. Asked twice: let go now.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// Asks to stop; a second call asks to let go at once.
    pub fn ask(&self) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |asked| asked.checked_add(1));
    }

    /// Whether anybody asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }

    /// Whether anybody asked twice.
    pub fn is_urgent(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 1
    }
}

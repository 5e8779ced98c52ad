//! The pace of downloads: one budget in the catalog, shared by all workers that reach the site from the same place, and
//! a pause by chance between two videos. Knows no site and no tool.

use std::time::Duration;

use crate::catalog::{Catalog, budgets};
use crate::clock::Stop;
use crate::failure::{Failure, Reason};

/// The identity under which this machine reaches the site.
const EGRESS: &str = "default";
const LOOK_AT_STOP: Duration = Duration::from_millis(200);

/// So many videos an hour, so far apart.
pub(crate) struct Budget {
    catalog: Catalog,
    rate: budgets::Rate,
    pause_s: f64,
}

impl Budget {
    /// `pause_s` is the least pause between two videos; it becomes up to twice as long by chance.
    pub(crate) fn new(catalog: Catalog, videos_per_hour: u32, pause_s: f64) -> Self {
        let rate = budgets::Rate { per_hour: f64::from(videos_per_hour), burst: 1.0 };
        Self { catalog, rate, pause_s }
    }

    /// Waits until one more video may be asked for.
    pub(crate) async fn wait_for_turn(&self, stop: &Stop) -> Result<(), Failure> {
        // The clock's last digits are chance enough for politeness.
        let chance = (self.catalog.clock().now_ms() % 1_000) as f64 / 1_000.0;
        sleep(Duration::from_secs_f64(self.pause_s * (1.0 + chance)), stop).await?;
        loop {
            match budgets::take(&self.catalog, EGRESS, self.rate).await? {
                budgets::Token::Taken => return Ok(()),
                budgets::Token::Wait(wait_ms) => {
                    sleep(Duration::from_millis(wait_ms.max(0).unsigned_abs()), stop).await?;
                }
            }
        }
    }
}

/// Waits in small steps, so that a stop is heard.
async fn sleep(mut left: Duration, stop: &Stop) -> Result<(), Failure> {
    while left > Duration::ZERO {
        if stop.is_asked() {
            return Err(Failure::transient(Reason::Interrupted, "interrupted while waiting for a turn"));
        }
        let step = left.min(LOOK_AT_STOP);
        tokio::time::sleep(step).await;
        left -= step;
    }
    Ok(())
}

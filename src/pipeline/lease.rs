//! The lease on one job while its work goes on. Knows the job table's heartbeat, and nothing of the work.

use std::time::Duration;

use crate::catalog::jobs::{self, HeldJob};
use crate::catalog::{Catalog, CatalogError};
use crate::clock::{Clock, Stop};

/// Names this process among all that work on a catalog.
pub fn worker_name(clock: &Clock) -> String {
    format!("{}:{}:{:x}", host(), std::process::id(), clock.now_ms())
}

/// This machine's name.
pub(super) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Why a lease is no longer kept.
#[derive(Debug)]
pub(super) enum LeaseEnd {
    /// Somebody else has the job: what is being done is void.
    Lost,
    /// The user wants it let go at once.
    LetGo,
    /// The catalog failed.
    Failed(CatalogError),
}

/// Prolongs the lease every third of its length until that fails or the user is impatient.
pub(super) async fn keep(catalog: &Catalog, job: &HeldJob, lease_ms: i64, stop: &Stop) -> LeaseEnd {
    let third = Duration::from_millis((lease_ms / 3).max(1).unsigned_abs());
    loop {
        if tokio::time::timeout(third, stop.urgent()).await.is_ok() {
            return LeaseEnd::LetGo;
        }
        match jobs::heartbeat(catalog, job, lease_ms).await {
            Ok(true) => {}
            Ok(false) => return LeaseEnd::Lost,
            Err(error) => return LeaseEnd::Failed(error),
        }
    }
}

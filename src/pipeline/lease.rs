//! Keeps the lease on one job while its work runs. Knows the job table's heartbeat, and nothing of the work.

use std::time::Duration;

use crate::catalog::jobs::{self, HeldJob};
use crate::catalog::{Catalog, CatalogError};
use crate::clock::Stop;

/// Why a lease is no longer kept.
#[derive(Debug)]
pub(super) enum LeaseEnd {
    /// Another worker has the job: the result must be discarded.
    Lost,
    /// The user wants to stop at once.
    LetGo,
    /// The catalog failed.
    Failed(CatalogError),
}

/// Extends the lease every third of its length, until that fails or the user wants to stop at once.
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

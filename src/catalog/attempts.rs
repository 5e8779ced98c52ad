//! The `attempt` table: what each attempt that did not succeed came to, with the raw words of the tool.

use super::jobs::HeldJob;
use super::{Result, Transaction};
use crate::failure::{Failure, FailureKind};

/// Writes an attempt down that did not succeed.
pub async fn insert(tx: &mut Transaction, job: &HeldJob, failure: &Failure) -> Result<()> {
    let (kind, reason, now_ms) = (kind_text(failure.kind), failure.reason.as_str(), tx.now_ms());
    sqlx::query_file!(
        "queries/catalog/attempt/insert.sql",
        job.id.0,
        job.attempt,
        job.worker,
        kind,
        reason,
        failure.detail,
        now_ms
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

fn kind_text(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Rejected => "rejected",
        FailureKind::Transient => "transient",
        FailureKind::Permanent => "permanent",
        FailureKind::Bug => "bug",
    }
}

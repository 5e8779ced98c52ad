//! The `attempt` table: what each attempt that did not succeed came to, with the raw words of the tool.

use super::jobs::HeldJob;
use super::{Catalog, CatalogError, Result, Transaction, number, word};
use crate::failure::{Failure, FailureKind, Reason};
use crate::types::JobId;

/// An attempt that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which one, from 1.
    pub attempt: u32,
    /// Who made it.
    pub worker: String,
    /// What was to be done about it.
    pub kind: FailureKind,
    /// Why.
    pub reason: Reason,
    /// In words.
    pub detail: String,
    /// When it ended, milliseconds since 1970.
    pub ended_at: i64,
}

/// Writes an attempt down.
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

/// The attempts of a job, oldest first.
pub async fn of_job(catalog: &Catalog, job: JobId) -> Result<Vec<Attempt>> {
    let rows =
        sqlx::query_file!("queries/catalog/attempt/list.sql", job.0).fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Attempt {
                attempt: number(row.attempt)?,
                worker: row.worker,
                kind: kind(&row.kind)?,
                reason: word(&row.reason)?,
                detail: row.detail,
                ended_at: row.ended_at,
            })
        })
        .collect()
}

fn kind_text(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Rejected => "rejected",
        FailureKind::Transient => "transient",
        FailureKind::Permanent => "permanent",
        FailureKind::Bug => "bug",
    }
}

fn kind(text: &str) -> Result<FailureKind> {
    [FailureKind::Rejected, FailureKind::Transient, FailureKind::Permanent, FailureKind::Bug]
        .into_iter()
        .find(|kind| kind_text(*kind) == text)
        .ok_or_else(|| CatalogError::Damaged { detail: format!("'{text}' is no kind of failure") })
}

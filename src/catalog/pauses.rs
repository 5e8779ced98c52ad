//! The `pause` table: stages that are paused, for all workers of the catalog.

use super::{Catalog, Result, Transaction, word};
use crate::failure::Reason;
use crate::types::StageName;

/// A pause of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The stage.
    pub stage: StageName,
    /// Why.
    pub reason: Reason,
    /// The same in a sentence.
    pub detail: String,
    /// When it began, milliseconds since 1970.
    pub since: i64,
    /// When it ends, milliseconds since 1970; none: when a person lifts it.
    pub resume_at: Option<i64>,
}

/// Pauses a stage. If it is paused already, the longer pause holds.
pub async fn begin(
    tx: &mut Transaction,
    stage: StageName,
    reason: Reason,
    detail: &str,
    resume_at: Option<i64>,
) -> Result<()> {
    let (stage, reason, now_ms) = (stage.as_str(), reason.as_str(), tx.now_ms());
    sqlx::query_file!("queries/catalog/pause/begin.sql", stage, reason, detail, now_ms, resume_at)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The pauses in force now.
pub async fn in_force(catalog: &Catalog) -> Result<Vec<Pause>> {
    let now_ms = catalog.clock.now_ms();
    let rows = sqlx::query_file!("queries/catalog/pause/list.sql", now_ms).fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Pause {
                stage: word(&row.stage)?,
                reason: word(&row.reason)?,
                detail: row.detail,
                since: row.since,
                resume_at: row.resume_at,
            })
        })
        .collect()
}

/// The pause of one stage in force now.
pub async fn of_stage(catalog: &Catalog, stage: StageName) -> Result<Option<Pause>> {
    Ok(in_force(catalog).await?.into_iter().find(|pause| pause.stage == stage))
}

/// Ends a pause on a person's request; returns whether there was one.
pub async fn lift(catalog: &Catalog, stage: StageName) -> Result<bool> {
    let stage = stage.as_str();
    let done = sqlx::query_file!("queries/catalog/pause/lift.sql", stage).execute(&catalog.writer).await?;
    Ok(done.rows_affected() == 1)
}

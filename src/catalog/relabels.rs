//! The `relabel` table: the label changes that runs propose. Rows are added, never changed; the labels in force are
//! derived.

use super::{Catalog, Result, Transaction, json, number};
use crate::types::{Relabel, RunId, SampleId};

/// A label in force because the run that changed it was adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelInForce {
    /// The sample.
    pub sample: SampleId,
    /// The name of its class now.
    pub class: String,
    /// The run that changed it.
    pub run: RunId,
    /// The epoch of that run.
    pub epoch: u32,
}

/// Adds relabels of a run. Those that a resumed run repeats are stored once.
pub async fn insert(tx: &mut Transaction, run: RunId, relabels: &[Relabel]) -> Result<()> {
    let row = |it: &Relabel| (it.sample, it.epoch, it.from, it.to, it.p_max, it.p_given, it.importance);
    let (list, now_ms) = (json(&relabels.iter().map(row).collect::<Vec<_>>())?, tx.now_ms());
    sqlx::query_file!("queries/catalog/relabel/insert.sql", run.0, list, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// All relabels of a run, by epoch and position.
pub async fn of_run(catalog: &Catalog, run: RunId) -> Result<Vec<Relabel>> {
    let rows =
        sqlx::query_file!("queries/catalog/relabel/list.sql", run.0).fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Relabel {
                sample: number(row.position)?,
                epoch: number(row.epoch)?,
                from: number(row.from_label)?,
                to: number(row.to_label)?,
                p_max: row.p_max as f32,
                p_given: row.p_given as f32,
                importance: row.importance as f32,
            })
        })
        .collect()
}

/// The number of samples of a run whose last label differs from their first.
pub async fn count_changed(catalog: &Catalog, run: RunId) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/relabel/count_changed.sql", run.0)
        .fetch_one(&catalog.reader)
        .await?;
    number(count)
}

/// The labels that adopted runs changed, ordered by sample; every other sample has its emotion as label.
pub async fn in_force(catalog: &Catalog) -> Result<Vec<LabelInForce>> {
    in_force_with(&catalog.reader).await
}

/// The same within a transaction.
pub async fn in_force_in(tx: &mut Transaction) -> Result<Vec<LabelInForce>> {
    in_force_with(tx.connection()).await
}

async fn in_force_with(executor: impl sqlx::SqliteExecutor<'_>) -> Result<Vec<LabelInForce>> {
    let rows = sqlx::query_file!("queries/catalog/relabel/list_in_force.sql").fetch_all(executor).await?;
    rows.into_iter()
        .map(|row| {
            Ok(LabelInForce {
                sample: SampleId(row.sample_id),
                class: row.class,
                run: RunId(row.run_id),
                epoch: number(row.epoch)?,
            })
        })
        .collect()
}

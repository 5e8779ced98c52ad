//! The `acceptance` table: which terms the user accepted, and when.

use super::{Catalog, Result, Transaction};

/// An acceptance of some terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The terms' version or date.
    pub version: String,
}

/// Records that the user accepted terms.
pub async fn insert(tx: &mut Transaction, terms: &str, version: &str) -> Result<()> {
    let now_ms = tx.now_ms();
    sqlx::query_file!("queries/catalog/acceptance/insert.sql", terms, version, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The last acceptance of some terms.
pub async fn latest(catalog: &Catalog, terms: &str) -> Result<Option<Acceptance>> {
    Ok(sqlx::query_file_as!(Acceptance, "queries/catalog/acceptance/get.sql", terms)
        .fetch_optional(&catalog.reader)
        .await?)
}

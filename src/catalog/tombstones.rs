//! The `tombstone` table: videos that must not be added again.

use std::collections::HashSet;

use super::{Catalog, Result, Transaction, json};

/// Adds a tombstone; `reason` is in the person's own words.
pub async fn insert(tx: &mut Transaction, site: &str, site_id: &str, reason: &str) -> Result<()> {
    let now_ms = tx.now_ms();
    sqlx::query_file!("queries/catalog/tombstone/insert.sql", site, site_id, reason, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// A video that must not be added again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// Its site.
    pub site: String,
    /// The site's id.
    pub site_id: String,
    /// Why, in the person's own words.
    pub reason: String,
}

/// All of them, by site and id.
pub async fn list(catalog: &Catalog) -> Result<Vec<Tombstone>> {
    Ok(sqlx::query_file_as!(Tombstone, "queries/catalog/tombstone/list.sql")
        .fetch_all(&catalog.reader)
        .await?)
}

/// Sets those that are not set yet; returns how many these are.
pub async fn adopt(tx: &mut Transaction, tombstones: &[Tombstone]) -> Result<u64> {
    let mut new = 0;
    for Tombstone { site, site_id, reason } in tombstones {
        if !stands_in(tx, site, site_id).await? {
            insert(tx, site, site_id, reason).await?;
            new += 1;
        }
    }
    Ok(new)
}

/// Whether a video has a tombstone.
pub async fn stands(catalog: &Catalog, site: &str, site_id: &str) -> Result<bool> {
    let mut connection = catalog.reader.acquire().await?;
    ask(&mut connection, site, site_id).await
}

/// The same within a transaction.
pub(super) async fn stands_in(tx: &mut Transaction, site: &str, site_id: &str) -> Result<bool> {
    ask(tx.connection(), site, site_id).await
}

/// Those of these videos of a site that have a tombstone.
pub(crate) async fn standing(tx: &mut Transaction, site: &str, site_ids: &[&str]) -> Result<HashSet<String>> {
    let list = json(site_ids)?;
    let named = sqlx::query_file_scalar!("queries/catalog/tombstone/list_named.sql", site, list)
        .fetch_all(tx.connection())
        .await?;
    Ok(named.into_iter().collect())
}

/// Whether one of these videos of a site has a tombstone.
pub(crate) async fn any_stands(tx: &mut Transaction, site: &str, site_ids: &[&str]) -> Result<bool> {
    Ok(!standing(tx, site, site_ids).await?.is_empty())
}

async fn ask(connection: &mut sqlx::SqliteConnection, site: &str, site_id: &str) -> Result<bool> {
    let reason = sqlx::query_file_scalar!("queries/catalog/tombstone/get.sql", site, site_id)
        .fetch_optional(connection)
        .await?;
    Ok(reason.is_some())
}

//! The `tombstone` table: videos that must never come back.

use std::collections::HashSet;

use super::{Catalog, Result, Transaction, json};

/// Sets a tombstone; `reason` is the person's own words.
pub async fn insert(tx: &mut Transaction, site: &str, site_id: &str, reason: &str) -> Result<()> {
    let now_ms = tx.now_ms();
    sqlx::query_file!("queries/catalog/tombstone/insert.sql", site, site_id, reason, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// A video that must not come back.
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

/// Whether a video must not come back.
pub async fn stands(catalog: &Catalog, site: &str, site_id: &str) -> Result<bool> {
    let mut connection = catalog.reader.acquire().await?;
    ask(&mut connection, site, site_id).await
}

/// The same, inside a transaction.
pub(super) async fn stands_in(tx: &mut Transaction, site: &str, site_id: &str) -> Result<bool> {
    ask(tx.connection(), site, site_id).await
}

/// Those of these videos of a site that must not come back.
pub(crate) async fn standing(tx: &mut Transaction, site: &str, site_ids: &[&str]) -> Result<HashSet<String>> {
    let list = json(site_ids)?;
    let named = sqlx::query_file_scalar!("queries/catalog/tombstone/list_named.sql", site, list)
        .fetch_all(tx.connection())
        .await?;
    Ok(named.into_iter().collect())
}

/// Whether one of these videos of a site must not come back.
pub(crate) async fn any_stands(tx: &mut Transaction, site: &str, site_ids: &[&str]) -> Result<bool> {
    Ok(!standing(tx, site, site_ids).await?.is_empty())
}

async fn ask(connection: &mut sqlx::SqliteConnection, site: &str, site_id: &str) -> Result<bool> {
    let reason = sqlx::query_file_scalar!("queries/catalog/tombstone/get.sql", site, site_id)
        .fetch_optional(connection)
        .await?;
    Ok(reason.is_some())
}

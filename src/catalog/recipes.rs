//! The `recipe` table: a recipe's text by its hash, for every row that was derived with it.

use sha2::{Digest, Sha256};

use super::{Catalog, Result, Transaction};
use crate::files::hex;

/// The kind of the recipes that clips are made with.
pub(crate) const CLIPS: &str = "clips";

/// The hash of a recipe of one kind (`clips`, `train` …): 16 hex digits of its SHA-256.
pub fn hash(kind: &str, body: &str) -> String {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(body).finalize();
    hex(&digest[..8])
}

/// Stores a recipe, unless it is there; returns its [`hash`].
pub async fn insert(tx: &mut Transaction, kind: &str, body: &str) -> Result<String> {
    let (hash, now_ms) = (hash(kind, body), tx.now_ms());
    sqlx::query_file!("queries/catalog/recipe/insert.sql", hash, kind, body, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(hash)
}

/// The text of a recipe.
pub async fn get(catalog: &Catalog, hash: &str) -> Result<Option<String>> {
    Ok(sqlx::query_file_scalar!("queries/catalog/recipe/get.sql", hash)
        .fetch_optional(&catalog.reader)
        .await?)
}

//! The `answer` table: the ledger of what was asked when, of whom. Raw answers are kept for a while, then emptied.

use super::{Catalog, Result, Transaction, integer, pack};
use crate::types::{AnswerId, SearchId};

/// One page of an answer.
#[derive(Debug, Clone)]
pub struct NewAnswer<'a> {
    /// The search it answers.
    pub search: SearchId,
    /// Who answered: `ytdlp`, `data-api` or `local`.
    pub asked_of: &'a str,
    /// The version of the tool or interface.
    pub tool_version: &'a str,
    /// Which page, from 0.
    pub page: usize,
    /// How many videos it named.
    pub hits: usize,
    /// The answer as it came.
    pub raw: &'a [u8],
}

/// Writes a page down.
pub async fn insert(tx: &mut Transaction, answer: &NewAnswer<'_>) -> Result<AnswerId> {
    let (page, hits, now_ms) = (integer(answer.page), integer(answer.hits), tx.now_ms());
    let raw = pack::deflate(answer.raw)?;
    let id = sqlx::query_file_scalar!(
        "queries/catalog/answer/insert.sql",
        answer.search.0,
        answer.asked_of,
        answer.tool_version,
        now_ms,
        page,
        hits,
        raw
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(AnswerId(id))
}

/// The answer as it came; none once it has expired.
pub async fn raw(catalog: &Catalog, id: AnswerId) -> Result<Option<Vec<u8>>> {
    let packed = sqlx::query_file_scalar!("queries/catalog/answer/get_raw.sql", id.0)
        .fetch_optional(&catalog.reader)
        .await?
        .flatten();
    packed.map(|packed| pack::inflate(&packed)).transpose()
}

/// Empties raw answers older than a time (milliseconds since 1970); says how many.
pub async fn expire(catalog: &Catalog, before_ms: i64) -> Result<u64> {
    let done =
        sqlx::query_file!("queries/catalog/answer/expire.sql", before_ms).execute(&catalog.writer).await?;
    Ok(done.rows_affected())
}

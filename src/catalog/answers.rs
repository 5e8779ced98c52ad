//! The `answer` table: the ledger of what was asked when, of whom. Raw answers are kept for a while, then emptied.

use regex::bytes::RegexBuilder;

use super::names::LARGEST_BYTES;
use super::{Catalog, CatalogError, Result, Transaction, integer, json, number, pack};
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
    /// How many videos the answer named. The first page stands for the whole answer, the others count none.
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

/// What was asked beside the words: answers to the same asking need not be asked for twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// All but the number, as text.
    pub beside: String,
    /// How many videos were wanted; an answer to more is one to fewer as well.
    pub wanted: u32,
}

/// Writes down to what asking an answer was given, of which this is the first page.
pub async fn set_asked(tx: &mut Transaction, first_page: AnswerId, asking: &Asking) -> Result<()> {
    let Asking { beside, wanted } = asking;
    sqlx::query_file!("queries/catalog/answer/set_asked.sql", first_page.0, beside, wanted)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The same for the answers of searches that are done with a revision, as far as these do not tell.
pub async fn set_asked_before(tx: &mut Transaction, rev: &str, asking: &Asking) -> Result<()> {
    let Asking { beside, wanted } = asking;
    sqlx::query_file!("queries/catalog/answer/set_asked_before.sql", rev, beside, wanted)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Writes down what the site said when it broke off: the answer of which this is the first page is not whole.
pub async fn set_broke_off(tx: &mut Transaction, first_page: AnswerId, said: &str) -> Result<()> {
    sqlx::query_file!("queries/catalog/answer/set_broke_off.sql", first_page.0, said)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// How many searches of a lexicon have no whole answer: the site broke off the last one.
pub async fn count_in_part(catalog: &Catalog, lexicon: &str) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/answer/count_in_part.sql", lexicon);
    number(count.fetch_one(&catalog.reader).await?)
}

/// Empties raw pages, and the words on which the site broke off.
pub async fn empty(tx: &mut Transaction, pages: &[AnswerId]) -> Result<()> {
    let list = json(&pages.iter().map(|page| page.0).collect::<Vec<_>>())?;
    sqlx::query_file!("queries/catalog/answer/empty.sql", list).execute(tx.connection()).await?;
    Ok(())
}

/// Pages that are read at once.
const BATCH: u32 = 100;

/// Empties all raw pages that have one of these texts, the names of videos, whether or not these became evidence: an
/// answer names more than is kept of it. Reads every page that is still there.
pub(super) async fn redact(tx: &mut Transaction, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let escaped: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
    let wanted = RegexBuilder::new(&escaped.join("|")).size_limit(LARGEST_BYTES).build();
    let wanted = wanted.map_err(|error| CatalogError::Damaged { detail: error.to_string() })?;
    let (mut naming, mut last) = (Vec::new(), 0);
    loop {
        let some = sqlx::query_file!("queries/catalog/answer/list_raw.sql", last, BATCH)
            .fetch_all(tx.connection())
            .await?;
        let Some(page) = some.last() else { break };
        last = page.id;
        // What no longer inflates may name anyone.
        let names = |packed: &[u8]| pack::inflate(packed).map_or(true, |raw| wanted.is_match(&raw));
        naming.extend(some.iter().filter(|page| names(&page.raw)).map(|page| AnswerId(page.id)));
    }
    empty(tx, &naming).await
}

/// How many raw answers [`expire`] would empty.
pub async fn count_expired(catalog: &Catalog, before_ms: i64) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/answer/count_expired.sql", before_ms);
    number(count.fetch_one(&catalog.reader).await?)
}

/// Empties raw answers older than a time (milliseconds since 1970), as [`empty`] does; says how many.
pub async fn expire(catalog: &Catalog, before_ms: i64) -> Result<u64> {
    let done =
        sqlx::query_file!("queries/catalog/answer/expire.sql", before_ms).execute(&catalog.writer).await?;
    Ok(done.rows_affected())
}

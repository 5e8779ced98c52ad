//! The `answer` table: what each site answered to which search, and when. Raw answers are kept for a while, then emptied.

use regex::bytes::RegexBuilder;

use super::names::LARGEST_BYTES;
use super::{Catalog, CatalogError, Result, Transaction, integer, json, number, pack};
use crate::types::{AnswerId, SearchId};

/// One page of an answer.
#[derive(Debug, Clone)]
pub struct NewAnswer<'a> {
    /// The search it answers.
    pub search: SearchId,
    /// Who answered: `ytdlp`, `data-api`, `local`, `list` or `merge`.
    pub asked_of: &'a str,
    /// The version of the tool or interface.
    pub tool_version: &'a str,
    /// Which page, from 0.
    pub page: usize,
    /// How many videos the whole answer named, on its first page; 0 on the others.
    pub hits: usize,
    /// The page as it was received.
    pub raw: &'a [u8],
}

/// Stores a page.
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

/// How a search is asked, apart from its words. A search that was answered to the same asking is not asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// All settings but `wanted`, as text.
    pub fingerprint: String,
    /// How many videos were asked for; an answer to more also serves a search for fewer.
    pub wanted: u32,
}

/// Records how the answer that begins with this page was asked for.
pub async fn set_asked(tx: &mut Transaction, first_page: AnswerId, asking: &Asking) -> Result<()> {
    let Asking { fingerprint, wanted } = asking;
    sqlx::query_file!("queries/catalog/answer/set_asked.sql", first_page.0, fingerprint, wanted)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The same for all answers to searches that are done with a revision, where it is not recorded yet.
pub async fn set_asked_before(tx: &mut Transaction, rev: &str, asking: &Asking) -> Result<()> {
    let Asking { fingerprint, wanted } = asking;
    sqlx::query_file!("queries/catalog/answer/set_asked_before.sql", rev, fingerprint, wanted)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Records the site's error on which the answer that begins with this page broke off: the answer is incomplete.
pub async fn set_broke_off(tx: &mut Transaction, first_page: AnswerId, said: &str) -> Result<()> {
    sqlx::query_file!("queries/catalog/answer/set_broke_off.sql", first_page.0, said)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The number of searches of a lexicon whose last answer is incomplete.
pub async fn count_in_part(catalog: &Catalog, lexicon: &str) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/answer/count_in_part.sql", lexicon);
    number(count.fetch_one(&catalog.reader).await?)
}

/// Empties raw pages, and the errors on which they broke off.
pub async fn empty(tx: &mut Transaction, pages: &[AnswerId]) -> Result<()> {
    let list = json(&pages.iter().map(|page| page.0).collect::<Vec<_>>())?;
    sqlx::query_file!("queries/catalog/answer/empty.sql", list).execute(tx.connection()).await?;
    Ok(())
}

/// Pages read at a time.
const BATCH: u32 = 100;

/// Empties all raw pages that contain one of these names of videos, also where the video did not become evidence: an
/// answer names more videos than are kept. Reads every page that is not empty.
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
        // A page that no longer inflates may contain any name.
        let names = |packed: &[u8]| pack::inflate(packed).map_or(true, |raw| wanted.is_match(&raw));
        naming.extend(some.iter().filter(|page| names(&page.raw)).map(|page| AnswerId(page.id)));
    }
    empty(tx, &naming).await
}

/// The number of raw answers that [`expire`] would empty.
pub async fn count_expired(catalog: &Catalog, before_ms: i64) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/answer/count_expired.sql", before_ms);
    number(count.fetch_one(&catalog.reader).await?)
}

/// Empties raw answers older than a time (milliseconds since 1970), as [`empty`] does; returns how many.
pub async fn expire(catalog: &Catalog, before_ms: i64) -> Result<u64> {
    let done =
        sqlx::query_file!("queries/catalog/answer/expire.sql", before_ms).execute(&catalog.writer).await?;
    Ok(done.rows_affected())
}

//! The only SQL: one file per table, one `queries/catalog/<table>/<verb>.sql` per query. It names the stages whose jobs it
//! stores, but runs none.
//!
//! Reading takes a [`Catalog`]; writes that belong together take a [`Transaction`]. Time comes from the catalog's
//! [`Clock`]; every failure is a [`CatalogError`].
//!
//! ```text
//! open · error                                   the file: opened, migrated, or refused
//! searches → answers → videos · evidence         searches, the site's answers, and why a video is in the catalog
//! listed · local_files · acceptances             videos not found by a search; the terms that the user accepted
//! scans → tracks → clips → samples · crops       what was found in a video, and what was cut from it
//! splits · runs → relabels                       what training reads, and what it writes
//! recipes · pack                                 recipes by their hash; compressed blobs
//! jobs · attempts · pauses · budgets · rounds    the work, its failures, pauses, rate limits, and `webemotion run`
//! funnel                                         counts over all tables, for `status` and `report`
//! check · backup · restore · merge               checking, copying and restoring a catalog; merging two
//! forget · tombstones · names                    removing a video for good
//! ```
//!
//! The comments in `migrations/` describe the tables. Migrations are checksummed and cannot be corrected; where they say
//! something else, this holds:
//!
//! - `search.provider` is `youtube`, `local` or `list`.
//! - `answer.asked_of` is `ytdlp`, `data-api`, `local`, `list` or, for evidence that came with a merge, `merge`.
//! - `clip.motion` is described in [`crate::face::motion`] (the migration names `face/footage`).
//! - `merged` has two rows for every merge: what it took in, under the fingerprint of the other catalog, and one with only
//!   zeros under the fingerprint of its finished work alone, so that evidence found later does not make that new.

pub mod acceptances;
pub mod answers;
pub mod attempts;
mod backup;
pub mod budgets;
pub mod check;
pub mod clips;
pub mod crops;
mod error;
pub mod evidence;
pub mod forget;
pub mod funnel;
pub mod jobs;
pub mod listed;
pub mod local_files;
pub mod merge;
pub mod names;
mod open;
mod pack;
pub mod pauses;
pub mod recipes;
pub mod relabels;
pub mod restore;
pub mod rounds;
pub mod runs;
pub mod samples;
pub mod scans;
pub mod searches;
pub mod splits;
pub mod tombstones;
pub mod tracks;
pub mod videos;

use std::str::FromStr;

use sqlx::{Sqlite, SqliteConnection, SqlitePool};

use crate::clock::Clock;

pub use error::CatalogError;
pub(crate) use error::RESTORE;

/// The result type of this room.
pub type Result<T> = std::result::Result<T, CatalogError>;

/// An open catalog; cloning shares it. There is one connection for writing, so that writers of one process queue instead of
/// running into SQLite's busy handler, and a few for reading.
#[derive(Debug, Clone)]
pub struct Catalog {
    reader: SqlitePool,
    writer: SqlitePool,
    clock: Clock,
}

impl Catalog {
    /// The clock for the times in its rows.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Begins a write transaction. Waits until no other is open in this process, so a second one while holding the first
    /// would deadlock.
    pub async fn begin(&self) -> Result<Transaction> {
        let inner = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Transaction { inner, now_ms: self.clock.now_ms() })
    }

    /// Waits for reads and writes under way, and closes the file, which then contains everything that was committed.
    pub async fn close(self) {
        self.reader.close().await;
        // SQLite does this for the last connection that closes, unless that is read-only.
        if !self.writer.is_closed()
            && let Err(error) = self.checkpoint().await
        {
            tracing::warn!("the write-ahead log stays beside the catalog: {error}");
        }
        self.writer.close().await;
    }
}

/// Writes that become visible together or not at all: without [`Transaction::commit`] nothing is written.
#[derive(Debug)]
pub struct Transaction {
    inner: sqlx::Transaction<'static, Sqlite>,
    now_ms: i64,
}

impl Transaction {
    /// When it began, milliseconds since 1970: the time in every row it writes.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Makes its writes visible and durable.
    pub async fn commit(self) -> Result<()> {
        Ok(self.inner.commit().await?)
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

/// Parses a stored word.
fn word<T>(text: &str) -> Result<T>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| CatalogError::Damaged { detail: error.to_string() })
}

/// Converts a stored number to a narrower type.
fn number<T: TryFrom<i64>>(value: i64) -> Result<T> {
    T::try_from(value)
        .map_err(|_| CatalogError::Damaged { detail: format!("the number {value} is out of range") })
}

/// Converts a count to SQLite's integer; no count here comes near its limit.
fn integer<T: TryInto<i64>>(count: T) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// Formats a list as JSON for `json_each`.
fn json<T: serde::Serialize + ?Sized>(list: &T) -> Result<String> {
    serde_json::to_string(list).map_err(|error| CatalogError::Damaged { detail: error.to_string() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::types::StageName;

    /// An empty catalog in a temporary folder, with a fixed clock.
    pub(crate) async fn empty() -> (tempfile::TempDir, Catalog) {
        let folder = tempfile::tempdir().unwrap();
        let catalog =
            Catalog::open(&folder.path().join("catalog.db"), &Clock::fixed(1_000_000)).await.unwrap();
        (folder, catalog)
    }

    #[tokio::test]
    async fn a_dropped_transaction_writes_nothing() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        tombstones::insert(&mut tx, "youtube", "abc", "asked for").await.unwrap();
        drop(tx);
        assert!(!tombstones::stands(&catalog, "youtube", "abc").await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_word_in_a_row_is_reported_as_damage() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue(&mut tx, StageName::Scan, "1", 0, 1).await.unwrap();
        tx.commit().await.unwrap();
        sqlx::query("update job set stage = 'stare'").execute(&catalog.writer).await.unwrap();
        let error = funnel::stages(&catalog).await.unwrap_err();
        assert!(matches!(&error, CatalogError::Damaged { detail } if detail.contains("'stare'")), "{error}");
    }

    #[test]
    fn every_query_is_used_in_exactly_one_place() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut sources = String::new();
        let mut unread = vec![root.join("src/catalog")];
        while let Some(path) = unread.pop() {
            match std::fs::read_dir(&path) {
                Ok(inside) => unread.extend(inside.map(|entry| entry.unwrap().path())),
                Err(_) => sources += &std::fs::read_to_string(path).unwrap(),
            }
        }
        let mut files = 0;
        for table in std::fs::read_dir(root.join("queries/catalog")).unwrap() {
            for file in std::fs::read_dir(table.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                let name = path.strip_prefix(root).unwrap().display().to_string();
                assert_eq!(sources.matches(&format!("\"{name}\"")).count(), 1, "{name}");
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(text.starts_with("-- "), "{name} does not say which function uses it");
                files += 1;
            }
        }
        assert_eq!(sources.matches("\"queries/catalog/").count(), files + 1, "a query without a file");
    }
}

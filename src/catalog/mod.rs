//! The only SQL: one file per table, one `queries/catalog/<table>/<verb>.sql` per question. Knows nothing of stages.
//!
//! Reading takes a [`Catalog`]; writing what belongs together takes a [`Transaction`]. Time comes from the catalog's
//! [`Clock`]; every failure is a [`CatalogError`].
//!
//! ```text
//! open · error                                   the file itself: opened, migrated, or refused
//! searches → answers → videos · evidence         what was asked of a site, what it said, and why a video is here
//! listed · local_files · acceptances             videos that no search found; the terms that the user accepted
//! scans → tracks → clips → samples · crops       what was seen in a video, and what was cut of it
//! splits · runs → relabels                       what training reads, and what it writes
//! recipes · pack                                 recipes by their hash; small blobs
//! jobs · attempts · pauses · budgets · rounds    who does what, what failed, who stands still, at which pace
//! funnel                                         counts over all tables, for `status` and `report`
//! check · backup · restore · merge               whether a catalog is sound; copies, and back again; two made one
//! forget · tombstones · names                    how a video leaves for good
//! ```

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

/// What every function of this room returns.
pub type Result<T> = std::result::Result<T, CatalogError>;

/// An open catalog; cloning shares it. One connection writes, so that writers of one process queue up instead of
/// meeting SQLite's busy handler; a few others read.
#[derive(Debug, Clone)]
pub struct Catalog {
    reader: SqlitePool,
    writer: SqlitePool,
    clock: Clock,
}

impl Catalog {
    /// The clock that its rows are stamped with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Begins a transaction that may write at once. It waits for its turn: ask for no second one while holding it.
    pub async fn begin(&self) -> Result<Transaction> {
        let inner = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Transaction { inner, now_ms: self.clock.now_ms() })
    }

    /// Waits for reads and writes in hand, and lets go of the file, which then has all that was committed.
    pub async fn close(self) {
        self.reader.close().await;
        // SQLite would do it for whoever is last, but a reader that lingers cannot.
        if !self.writer.is_closed()
            && let Err(error) = self.checkpoint().await
        {
            tracing::warn!("the write-ahead log stays beside the catalog: {error}");
        }
        self.writer.close().await;
    }
}

/// Rows that become visible together, or not at all: dropped without [`Transaction::commit`], nothing was written.
#[derive(Debug)]
pub struct Transaction {
    inner: sqlx::Transaction<'static, Sqlite>,
    now_ms: i64,
}

impl Transaction {
    /// When it began, milliseconds since 1970: the time on every row it writes.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Makes its rows visible and lasting.
    pub async fn commit(self) -> Result<()> {
        Ok(self.inner.commit().await?)
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

/// Reads a stored word back into its type.
fn word<T>(text: &str) -> Result<T>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| CatalogError::Damaged { detail: error.to_string() })
}

/// Reads a stored number back into a type that cannot hold every integer.
fn number<T: TryFrom<i64>>(value: i64) -> Result<T> {
    T::try_from(value)
        .map_err(|_| CatalogError::Damaged { detail: format!("the number {value} is out of range") })
}

/// Fits a count into SQLite's integer; nothing that is counted here comes near its end.
fn integer<T: TryInto<i64>>(count: T) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// Writes a list as the JSON that `json_each` takes.
fn json<T: serde::Serialize + ?Sized>(list: &T) -> Result<String> {
    serde_json::to_string(list).map_err(|error| CatalogError::Damaged { detail: error.to_string() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::types::StageName;

    /// An empty catalog in a folder of its own, and a clock that stands still.
    pub(crate) async fn empty() -> (tempfile::TempDir, Catalog) {
        let folder = tempfile::tempdir().unwrap();
        let catalog =
            Catalog::open(&folder.path().join("catalog.db"), &Clock::fixed(1_000_000)).await.unwrap();
        (folder, catalog)
    }

    #[tokio::test]
    async fn a_dropped_transaction_wrote_nothing() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        tombstones::insert(&mut tx, "youtube", "abc", "asked for").await.unwrap();
        drop(tx);
        assert!(!tombstones::stands(&catalog, "youtube", "abc").await.unwrap());
    }

    #[tokio::test]
    async fn a_row_with_a_word_that_is_none_of_its_column_is_unreadable() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue(&mut tx, StageName::Scan, "1", 0, 1).await.unwrap();
        tx.commit().await.unwrap();
        sqlx::query("update job set stage = 'stare'").execute(&catalog.writer).await.unwrap();
        let error = funnel::stages(&catalog).await.unwrap_err();
        assert!(matches!(&error, CatalogError::Damaged { detail } if detail.contains("'stare'")), "{error}");
    }

    #[test]
    fn every_question_is_asked_in_exactly_one_place() {
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
                assert!(text.starts_with("-- "), "{name} does not say who asks it");
                files += 1;
            }
        }
        assert_eq!(sources.matches("\"queries/catalog/").count(), files + 1, "a question without a file");
    }
}

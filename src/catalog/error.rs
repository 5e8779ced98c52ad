//! The errors of a catalog, and what they mean for the user.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Reason};

/// Why the catalog could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The path names something else. It was not touched.
    #[error("{} is not a webemotion catalog: {why}", .path.display())]
    NotACatalog {
        /// Its path.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// There is none yet, and this command creates none.
    #[error("there is no catalog at {}", .path.display())]
    Missing {
        /// Where it was expected.
        path: PathBuf,
    },
    /// A later release wrote it. It was not touched.
    #[error("{} was written by a newer webemotion (migration {version})", .path.display())]
    Newer {
        /// Its path.
        path: PathBuf,
        /// The first migration that this program does not know.
        version: i64,
    },
    /// SQLite's locks do not work there.
    #[error("{} is on a network file system ({name})", .path.display())]
    NetworkFileSystem {
        /// The folder.
        path: PathBuf,
        /// The file system's name.
        name: &'static str,
    },
    /// It could not be read, created or moved into place.
    #[error("cannot open {}", .path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A migration of this program does not apply, or an applied one was changed.
    #[error("cannot migrate {}", .path.display())]
    Migration {
        /// Its path.
        path: PathBuf,
        /// What the migrator said.
        source: sqlx::migrate::MigrateError,
    },
    /// There is a file where the copy is to be written.
    #[error("{} is there already", .path.display())]
    BackupExists {
        /// Where.
        path: PathBuf,
    },
    /// A copy could not be written.
    #[error("cannot write the backup {}", .path.display())]
    Backup {
        /// Where to.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is to be replaced, and another process has it open.
    #[error("{} is in use by process {process}", .path.display())]
    InUse {
        /// Its path.
        path: PathBuf,
        /// Which process.
        process: i32,
    },
    /// A row contains something that this program never writes.
    #[error("the catalog is damaged: {detail}")]
    Damaged {
        /// What was found.
        detail: String,
    },
    /// A row that must be there is not.
    #[error("the catalog has no {what}")]
    NoRow {
        /// What was asked for, with its id.
        what: String,
    },
    /// An error of SQLite while the catalog was opened.
    #[error("{} {}: {source}", .path.display(), what(.source))]
    Refused {
        /// Its path.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// An error of SQLite.
    #[error("the catalog {}: {}", what(.0), .0)]
    Sql(#[from] sqlx::Error),
}

/// The hint for a damaged file.
pub(crate) const RESTORE: &str = "`webemotion restore FILE` puts the last `webemotion backup` in its place; or save what `sqlite3 FILE .recover` reads";

/// The primary result codes of SQLite that are distinguished.
mod code {
    pub(super) const ERROR: i32 = 1;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READ_ONLY: i32 = 8;
    pub(super) const IO_ERROR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANNOT_OPEN: i32 = 14;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const NOT_A_DATABASE: i32 = 26;
}

impl CatalogError {
    /// The failure that it is to a stage's driver and to the exit code.
    pub fn failure(&self) -> Failure {
        let unusable = || Failure::permanent(Reason::Catalog, self.explained());
        match self {
            Self::NotACatalog { .. } => unusable().with_hint("name another data folder with --data"),
            Self::Missing { .. } => unusable().with_hint("webemotion crawl creates it; or name another with --data"),
            Self::Newer { .. } => unusable().with_hint("update webemotion; this catalog is left as it was"),
            Self::NetworkFileSystem { .. } => unusable().with_hint(
                "keep the data folder on a local disk; several machines share work by webemotion shard and merge",
            ),
            Self::Damaged { .. } => unusable().with_hint("webemotion check says what is damaged"),
            Self::Unreadable { .. } | Self::Migration { .. } => unusable(),
            Self::BackupExists { .. } => Failure::permanent(Reason::Usage, self.to_string())
                .with_hint("name a file that is not there yet, as with $(date +%F) in its name"),
            Self::InUse { .. } => Failure::permanent(Reason::NothingToDo, self.to_string())
                .with_hint("nothing was changed: wait for its end or stop it, then start the same command again"),
            Self::Backup { path, source } => Failure::unwritable(path, source),
            Self::NoRow { .. } => Failure::bug(self.to_string()),
            Self::Refused { source, .. } | Self::Sql(source) => refused(source, self.to_string()),
        }
    }

    /// The same with the catalog's path, where SQLite's error lacks it.
    pub(super) fn at(self, path: &Path) -> Self {
        match self {
            Self::Sql(source) => Self::Refused { path: path.to_owned(), source },
            other => other,
        }
    }

    fn explained(&self) -> String {
        let source = std::error::Error::source(self);
        match (self, source) {
            (Self::Sql(_) | Self::Refused { .. }, _) | (_, None) => self.to_string(),
            (_, Some(source)) => format!("{self}: {source}"),
        }
    }
}

fn refused(error: &sqlx::Error, detail: String) -> Failure {
    match primary_code(error) {
        Some(code::FULL | code::IO_ERROR) => Failure::transient(Reason::Disk, detail)
            .with_hint("free some space, then start the same command again: nothing is lost"),
        Some(code::BUSY | code::LOCKED) => Failure::transient(Reason::Catalog, detail)
            .with_hint("another program holds the catalog; try again when it is done"),
        Some(code::CORRUPT | code::NOT_A_DATABASE) => {
            Failure::permanent(Reason::Catalog, detail).with_hint(RESTORE)
        }
        Some(code::READ_ONLY) => Failure::permanent(Reason::Usage, detail)
            .with_hint("name a folder that this user may write with --data"),
        Some(code::CANNOT_OPEN) => Failure::permanent(Reason::Catalog, detail)
            .with_hint("see that this user may write the data folder and the files of the catalog in it"),
        Some(code::ERROR | code::CONSTRAINT) => Failure::bug(detail),
        _ => Failure::permanent(Reason::Catalog, detail),
    }
}

/// What an error of SQLite means; its own message follows.
fn what(error: &sqlx::Error) -> &'static str {
    match primary_code(error) {
        Some(code::CORRUPT | code::NOT_A_DATABASE) => "is damaged",
        Some(code::READ_ONLY) => "may not be written",
        Some(code::CANNOT_OPEN) => "cannot be opened",
        _ => "refused",
    }
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Self {
        error.failure()
    }
}

/// SQLite's primary result code: the low byte of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn an_unusable_catalog_has_exit_code_three() {
        let error = CatalogError::NotACatalog { path: "x".into(), why: "a folder".to_owned() };
        assert_eq!(error.failure().exit(), Exit::Unusable);
        assert_eq!(error.to_string(), "x is not a webemotion catalog: a folder");
    }
}

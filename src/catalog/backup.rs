//! A consistent copy of a catalog while other processes use it. Reads no table itself.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sqlx::SqliteConnection;

use super::{Catalog, CatalogError, Result};
use crate::files::Part;

impl Catalog {
    /// Copies everything committed so far into a new file, which is written beside `to`, checked, and then renamed.
    /// Returns its size in bytes.
    ///
    /// # Errors
    /// When `to` exists already, or the copy cannot be written or is not readable.
    pub async fn back_up(&self, to: &Path) -> Result<u64> {
        let mut connection = self.reader.acquire().await?;
        write(&mut connection, to).await
    }
}

/// See [`Catalog::back_up`].
pub(super) async fn write(connection: &mut SqliteConnection, to: &Path) -> Result<u64> {
    let failed = |source| CatalogError::Backup { path: to.to_owned(), source };
    let must_be_free = || {
        if to.exists() { Err(CatalogError::BackupExists { path: to.to_owned() }) } else { Ok(()) }
    };
    must_be_free()?;
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // SQLite accepts an empty file as the target. Created here, a wrong place is not reported as an error of the catalog.
    let part = Part::of(to).map_err(failed)?;
    // As private as a new catalog, for it has people's faces.
    std::fs::set_permissions(part.path(), PermissionsExt::from_mode(0o600)).map_err(failed)?;
    // Another process, for which `Part::of` waited, may have placed its own copy.
    must_be_free()?;
    let name = part.path().display().to_string();
    sqlx::query_file!("queries/catalog/catalog/vacuum_into.sql", name).execute(&mut *connection).await?;
    super::open::must_be_catalog(part.path()).await?;
    let size_bytes = std::fs::metadata(part.path()).map_err(failed)?.len();
    part.place().map_err(failed)?;
    Ok(size_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{tests::empty, tombstones};
    use crate::clock::Clock;
    use crate::failure::Reason;

    #[tokio::test]
    async fn a_wrong_place_is_a_usage_error() {
        let (folder, catalog) = empty().await;
        std::fs::write(folder.path().join("file"), "").unwrap();
        for to in [Path::new("/proc/backup.sqlite"), &folder.path().join("file/backup.sqlite")] {
            let failure = catalog.back_up(to).await.unwrap_err().failure();
            assert_eq!(failure.reason, Reason::Usage, "{failure}");
            assert!(failure.hint.unwrap().contains("a folder that may be written"), "{}", failure.detail);
        }
    }

    #[tokio::test]
    async fn of_two_concurrent_backups_with_one_name_the_first_is_kept() {
        let (folder, catalog) = empty().await;
        let to = folder.path().join("backup.sqlite");
        let part = Part::of(&to).unwrap();
        std::fs::write(part.path(), "of the first").unwrap();
        let first = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(200));
            part.place().unwrap();
        });
        let refused = catalog.back_up(&to).await.unwrap_err();
        assert!(matches!(refused, CatalogError::BackupExists { .. }), "{refused}");
        first.join().unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"of the first");
        assert!(!folder.path().join("backup.sqlite.part").exists());
    }

    #[tokio::test]
    async fn a_backup_contains_what_was_committed_when_it_began() {
        let (folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        tombstones::insert(&mut tx, "youtube", "before", "asked for").await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = catalog.begin().await.unwrap();
        tombstones::insert(&mut tx, "youtube", "meanwhile", "asked for").await.unwrap();
        let to = folder.path().join("deep/backup.sqlite");
        assert!(catalog.back_up(&to).await.unwrap() > 0, "an open write transaction does not block a backup");
        assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        tx.commit().await.unwrap();
        let copy = Catalog::open(&to, &Clock::fixed(0)).await.unwrap();
        assert!(tombstones::stands(&copy, "youtube", "before").await.unwrap());
        assert!(!tombstones::stands(&copy, "youtube", "meanwhile").await.unwrap());
        copy.close().await;
        let refused = catalog.back_up(&to).await.unwrap_err();
        assert!(matches!(refused, CatalogError::BackupExists { .. }), "{refused}");
        assert!(!to.with_extension("sqlite.part").exists(), "a part is left behind");
    }
}

//! A consistent copy of a catalog while others work on it. Knows files, and no table.

use std::path::{Path, PathBuf};

use sqlx::SqliteConnection;

use super::{Catalog, CatalogError, Result};

impl Catalog {
    /// Copies all that is committed now into a new file: beside its place first, checked, then moved there whole.
    /// Returns its size in bytes.
    ///
    /// # Errors
    /// When something stands at `to` already, or the copy cannot be written or does not read back.
    pub async fn back_up(&self, to: &Path) -> Result<u64> {
        let mut connection = self.reader.acquire().await?;
        write(&mut connection, to).await
    }
}

/// See [`Catalog::back_up`].
pub(super) async fn write(connection: &mut SqliteConnection, to: &Path) -> Result<u64> {
    let failed = |source| CatalogError::Backup { path: to.to_owned(), source };
    if to.exists() {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    }
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let part = part_of(to);
    // What a killed backup left behind.
    let _ = std::fs::remove_file(&part);
    // SQLite takes an empty file; what is wrong with the place is told here and not as trouble with the catalog.
    std::fs::File::create(&part).map_err(failed)?;
    let name = part.display().to_string();
    sqlx::query_file!("queries/catalog/catalog/vacuum_into.sql", name).execute(&mut *connection).await?;
    super::open::must_be_catalog(&part).await?;
    let size_bytes = std::fs::metadata(&part).map_err(failed)?.len();
    std::fs::File::open(&part).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&part, to).map_err(failed)?;
    Ok(size_bytes)
}

fn part_of(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    to.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{tests::empty, tombstones};
    use crate::clock::Clock;
    use crate::failure::Reason;

    #[tokio::test]
    async fn a_place_that_cannot_be_is_no_trouble_with_the_catalog() {
        let (folder, catalog) = empty().await;
        std::fs::write(folder.path().join("file"), "").unwrap();
        for to in [Path::new("/proc/backup.sqlite"), &folder.path().join("file/backup.sqlite")] {
            let failure = catalog.back_up(to).await.unwrap_err().failure();
            assert_eq!(failure.reason, Reason::Usage, "{failure}");
        }
    }

    #[tokio::test]
    async fn a_backup_is_a_catalog_of_what_was_committed_when_it_began() {
        let (folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        tombstones::insert(&mut tx, "youtube", "before", "asked for").await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = catalog.begin().await.unwrap();
        tombstones::insert(&mut tx, "youtube", "meanwhile", "asked for").await.unwrap();
        let to = folder.path().join("deep/backup.sqlite");
        assert!(catalog.back_up(&to).await.unwrap() > 0, "a writer hinders no backup");
        tx.commit().await.unwrap();
        let copy = Catalog::open(&to, &Clock::fixed(0)).await.unwrap();
        assert!(tombstones::stands(&copy, "youtube", "before").await.unwrap());
        assert!(!tombstones::stands(&copy, "youtube", "meanwhile").await.unwrap());
        copy.close().await;
        let refused = catalog.back_up(&to).await.unwrap_err();
        assert!(matches!(refused, CatalogError::Backup { .. }), "{refused}");
        assert!(!part_of(&to).exists());
    }
}

//! Putting a backup in a catalog's place. Knows files and tombstones, and nothing else of what is in them.

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::tombstones::{self, Tombstone};
use super::{Catalog, CatalogError, Result, check};
use crate::clock::Clock;
use crate::files::settle;
use crate::words::stamp;

/// What SQLite keeps beside a catalog. Left there, the log would be replayed into whichever catalog comes next.
const BESIDE: [&str; 2] = ["-wal", "-shm"];
/// Any lock keeps a writer out; this kind is asked for.
const WRITING: libc::c_short = libc::F_WRLCK as libc::c_short;
const FREE: libc::c_short = libc::F_UNLCK as libc::c_short;
const FROM_THE_START: libc::c_short = libc::SEEK_SET as libc::c_short;

/// A copy of a backup that may take a catalog's place.
#[derive(Debug)]
pub struct SoundCopy {
    path: PathBuf,
    /// When anything last happened in it; milliseconds since 1970.
    pub until_ms: i64,
}

/// What came of putting a backup in its place.
#[derive(Debug)]
pub struct Restored {
    /// Where the catalog that was there lies now; none when there was none.
    pub replaced: Option<PathBuf>,
    /// How many videos it says must not come back; none when it could not be read.
    pub tombstones: Option<usize>,
}

/// Copies a backup to a new file and brings it up to date. The backup stays as it is.
///
/// # Errors
/// When it is no catalog, a newer or a damaged one, or when the copy cannot be written.
pub async fn copy(backup: &Path, copy: &Path, clock: &Clock) -> Result<SoundCopy> {
    let from = Catalog::open_read_only(backup, clock).await?;
    if let Some(complaint) = check::integrity(&from).await?.into_iter().next() {
        return Err(CatalogError::Damaged { detail: format!("{}: {complaint}", backup.display()) });
    }
    from.back_up(copy).await?;
    from.close().await;
    // Of an earlier release not all can be asked before it is up to date.
    let current = Catalog::open(copy, clock).await?;
    let until_ms = current.newest_ms().await?;
    current.close().await;
    Ok(SoundCopy { path: copy.to_owned(), until_ms })
}

/// Moves a catalog aside with all that SQLite keeps beside it, and puts a copy of a backup in its place, which is to be on
/// the same file system. What must not come back, as far as the catalog that is there still says so, must not come back in
/// the new one either: its tombstones are in it before it has its place.
///
/// # Errors
/// When another process has the catalog open; it stays then, as it does whenever something fails before it is moved.
pub async fn put(sound: SoundCopy, place: &Path, clock: &Clock) -> Result<Restored> {
    let forgotten = forgotten(place, clock).await;
    if let Some(forgotten) = &forgotten {
        let catalog = Catalog::open(&sound.path, clock).await?;
        let mut tx = catalog.begin().await?;
        for Tombstone { site, site_id, reason } in forgotten {
            tombstones::insert(&mut tx, site, site_id, reason).await?;
        }
        tx.commit().await?;
        catalog.close().await;
    }
    must_be_unused(place)?;
    keep_rights(place, &sound.path).map_err(|source| unreadable(place, source))?;
    let replaced = move_aside(place, clock)?;
    settle(&sound.path, place).map_err(|source| unreadable(place, source))?;
    Ok(Restored { replaced, tombstones: forgotten.map(|forgotten| forgotten.len()) })
}

/// What a catalog says must not come back; none when it does not say, for it is damaged or gone.
async fn forgotten(place: &Path, clock: &Clock) -> Option<Vec<Tombstone>> {
    let read = async {
        let catalog = Catalog::open_read_only(place, clock).await?;
        let read = tombstones::list(&catalog).await;
        catalog.close().await;
        read
    };
    let read: Result<_> = read.await;
    read.inspect_err(|error| tracing::warn!("what was forgotten is not known: {error}")).ok()
}

/// Refuses a catalog that another process has open: it holds a lock on the file for as long.
fn must_be_unused(place: &Path) -> Result<()> {
    let file = match File::open(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(|source| unreadable(place, source))?,
    };
    let mut held = libc::flock { l_type: WRITING, l_whence: FROM_THE_START, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(&file, FcntlArg::F_GETLK(&mut held)).map_err(|error| unreadable(place, error.into()))?;
    if held.l_type == FREE {
        Ok(())
    } else {
        Err(CatalogError::InUse { path: place.to_owned(), process: held.l_pid })
    }
}

/// Gives a copy the rights of the catalog whose place it takes; where there is none, a new one's: its owner's alone.
fn keep_rights(place: &Path, copy: &Path) -> std::io::Result<()> {
    let mode = match fs::metadata(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        found => found?.permissions().mode(),
    };
    fs::set_permissions(copy, Permissions::from_mode(mode | 0o600))
}

/// Gives a catalog another name, and what lies beside it the names that go with that one: it can still be opened there.
fn move_aside(place: &Path, clock: &Clock) -> Result<Option<PathBuf>> {
    let aside = free_name(place, clock);
    let moved = |suffix: &str| {
        let (from, to) = (with_suffix(place, suffix), with_suffix(&aside, suffix));
        match fs::rename(&from, to) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            renamed => renamed.map(|()| true).map_err(|source| unreadable(&from, source)),
        }
    };
    // The catalog goes last: whoever is killed before leaves no log for the next one.
    BESIDE.into_iter().try_for_each(|suffix| moved(suffix).map(drop))?;
    Ok(moved("")?.then_some(aside))
}

/// A name beside a catalog that says when it was replaced, and that nothing has yet.
fn free_name(place: &Path, clock: &Clock) -> PathBuf {
    let first = with_suffix(place, &format!(".replaced-{}", stamp(clock.now_ms())));
    let others = (2..u32::MAX).map(|number| with_suffix(&first, &format!("-{number}")));
    std::iter::once(first.clone()).chain(others).find(|name| !name.exists()).unwrap_or(first)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn unreadable(path: &Path, source: std::io::Error) -> CatalogError {
    CatalogError::Unreadable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bury(catalog: &Catalog, site_id: &str) {
        let mut tx = catalog.begin().await.unwrap();
        tombstones::insert(&mut tx, "youtube", site_id, "asked for").await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A catalog with a backup of it, which does not know yet of what was forgotten since.
    async fn place(folder: &Path, clock: &Clock) -> (PathBuf, PathBuf) {
        let (place, backup) = (folder.join("catalog.sqlite"), folder.join("backup.sqlite"));
        let catalog = Catalog::open(&place, clock).await.unwrap();
        catalog.back_up(&backup).await.unwrap();
        bury(&catalog, "since").await;
        catalog.close().await;
        (place, backup)
    }

    async fn restore(backup: &Path, place: &Path, clock: &Clock) -> Result<Restored> {
        let scratch = tempfile::tempdir_in(place.parent().unwrap()).unwrap();
        let sound = copy(backup, &scratch.path().join("copy.sqlite"), clock).await?;
        put(sound, place, clock).await
    }

    #[tokio::test]
    async fn what_was_forgotten_since_a_backup_stays_so_while_the_catalog_can_be_read() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::fixed(0));
        let (place, backup) = place(folder.path(), &clock).await;
        let restored = restore(&backup, &place, &clock).await.unwrap();
        assert_eq!(restored.tombstones, Some(1));
        let again = restore(&backup, &place, &clock).await.unwrap();
        assert!(again.replaced != restored.replaced && restored.replaced.unwrap().exists());
        let catalog = Catalog::open(&place, &clock).await.unwrap();
        assert!(tombstones::stands(&catalog, "youtube", "since").await.unwrap());
    }

    #[tokio::test]
    async fn a_log_that_lies_there_is_moved_aside_with_its_catalog_and_not_replayed() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::fixed(0));
        let (place, backup) = place(folder.path(), &clock).await;
        fs::write(&place, b"nothing that SQLite knows").unwrap();
        fs::write(with_suffix(&place, "-wal"), b"of who was killed").unwrap();
        let restored = restore(&backup, &place, &clock).await.unwrap();
        assert_eq!(restored.tombstones, None, "nobody can tell what was forgotten");
        assert!(!with_suffix(&place, "-wal").exists());
        let aside = restored.replaced.unwrap();
        assert_eq!(fs::read(&aside).unwrap(), b"nothing that SQLite knows");
        assert_eq!(fs::read(with_suffix(&aside, "-wal")).unwrap(), b"of who was killed");
        Catalog::open(&place, &clock).await.unwrap();
    }

    #[tokio::test]
    async fn a_restored_catalog_is_read_by_those_who_could_before_and_by_nobody_else() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::fixed(0));
        let (place, backup) = place(folder.path(), &clock).await;
        fs::set_permissions(&backup, Permissions::from_mode(0o644)).unwrap();
        for mode in [Some(0o600), Some(0o660), None] {
            match mode {
                Some(mode) => fs::set_permissions(&place, Permissions::from_mode(mode)).unwrap(),
                None => fs::remove_file(&place).unwrap(),
            }
            restore(&backup, &place, &clock).await.unwrap();
            assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, mode.unwrap_or(0o600));
        }
    }

    #[tokio::test]
    async fn a_backup_that_is_damaged_replaces_nothing() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::fixed(0));
        let (place, backup) = place(folder.path(), &clock).await;
        let before = fs::read(&place).unwrap();
        File::options().write(true).open(&backup).unwrap().set_len(20_000).unwrap();
        restore(&backup, &place, &clock).await.unwrap_err();
        assert_eq!(fs::read(&place).unwrap(), before);
    }

    #[tokio::test]
    async fn a_lost_catalog_is_restored_too() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::fixed(0));
        let (place, backup) = place(folder.path(), &clock).await;
        fs::remove_file(&place).unwrap();
        let restored = restore(&backup, &place, &clock).await.unwrap();
        assert_eq!((restored.replaced, restored.tombstones), (None, None));
        Catalog::open(&place, &clock).await.unwrap();
    }
}

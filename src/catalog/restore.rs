//! Replaces a catalog by a backup. Of the contents it reads only the tombstones.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::tombstones::{self, Tombstone};
use super::{Catalog, CatalogError, Result, check, open};
use crate::clock::Clock;
use crate::files::sync_folder_of;
use crate::words::stamp;

/// The suffixes of SQLite's files beside a catalog. A log left there would be replayed into the next catalog.
const BESIDE: [&str; 2] = ["-wal", "-shm"];
/// The kind of lock that is tested for: it conflicts with any lock of another process.
const WRITING: libc::c_short = libc::F_WRLCK as libc::c_short;
const FREE: libc::c_short = libc::F_UNLCK as libc::c_short;
const FROM_THE_START: libc::c_short = libc::SEEK_SET as libc::c_short;

/// A copy of a backup that may take a catalog's place.
#[derive(Debug)]
pub struct SoundCopy {
    path: PathBuf,
    /// The latest time in it, milliseconds since 1970.
    pub until_ms: i64,
}

/// The result of [`put`].
#[derive(Debug)]
pub struct Restored {
    /// The new path of the replaced catalog; none if there was none.
    pub replaced: Option<PathBuf>,
    /// The number of its tombstones; none if it could not be read.
    pub tombstones: Option<usize>,
}

/// Copies a backup to a new file and migrates the copy. The backup stays as it is.
///
/// # Errors
/// When it is not a catalog, is newer or damaged, or when the copy cannot be written.
pub async fn copy(backup: &Path, copy: &Path, clock: &Clock) -> Result<SoundCopy> {
    let from = Catalog::open_read_only(backup, clock).await?;
    if let Some(complaint) = check::integrity(&from).await?.into_iter().next() {
        return Err(CatalogError::Damaged { detail: format!("{}: {complaint}", backup.display()) });
    }
    from.back_up(copy).await?;
    from.close().await;
    // Not every query works on a catalog of an earlier release, so it is migrated first.
    let current = Catalog::open(copy, clock).await?;
    let until_ms = current.newest_ms().await?;
    current.close().await;
    Ok(SoundCopy { path: copy.to_owned(), until_ms })
}

/// Moves a catalog aside with SQLite's files beside it, and puts a copy of a backup in its place, which must be on the same
/// file system. The tombstones of the replaced catalog, if it can be read, are added to the copy first.
///
/// # Errors
/// When another process has the catalog open, or the copy cannot take its place: the catalog stays then.
pub async fn put(sound: SoundCopy, place: &Path, clock: &Clock) -> Result<Restored> {
    must_be_unused(place)?;
    let forgotten = forgotten(place, clock).await;
    if let Some(forgotten) = &forgotten {
        let catalog = Catalog::open(&sound.path, clock).await?;
        let mut tx = catalog.begin().await?;
        tombstones::adopt(&mut tx, forgotten).await?;
        tx.commit().await?;
        catalog.close().await;
    }
    // After this the file contains everything in the log, so a kill before the rename loses nothing.
    if let Err(error) = open::fold_log(place).await {
        tracing::debug!("the log is moved aside as it is: {error}");
    }
    must_be_unused(place)?;
    keep_rights(place, &sound.path).map_err(|source| unreadable(place, source))?;
    let (is_there, aside) = (place.exists(), free_name(place, clock));
    swap(&sound.path, place, &aside)?;
    let replaced = is_there.then_some(aside);
    Ok(Restored { replaced, tombstones: forgotten.map(|forgotten| forgotten.len()) })
}

/// The tombstones of a catalog; none if it is damaged or missing.
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

/// Refuses a catalog that another process has open, and so holds a lock on.
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

/// Gives a copy the permissions of the catalog that it replaces; if there is none, only its owner may read it.
fn keep_rights(place: &Path, copy: &Path) -> io::Result<()> {
    let mode = match fs::metadata(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        found => found?.permissions().mode(),
    };
    fs::set_permissions(copy, Permissions::from_mode(mode | 0o600))
}

/// Puts a copy in a catalog's place. Before it loses its name, the catalog is linked as `aside`, with the files beside
/// it, so that it can be opened there and the place is never empty. On failure everything is as it was.
fn swap(copy: &Path, place: &Path, aside: &Path) -> Result<()> {
    let named = |suffix: &str| (with_suffix(place, suffix), with_suffix(aside, suffix));
    let files: Vec<_> = BESIDE.into_iter().chain([""]).map(named).filter(|(file, _)| file.exists()).collect();
    let mut kept = 0;
    let swapped = try_swap(copy, place, &files, &mut kept);
    let put_back = |(file, name): &(PathBuf, PathBuf)| {
        if file.exists() { fs::remove_file(name) } else { fs::rename(name, file) }
    };
    let is_as_before = swapped.is_err() && files[..kept].iter().all(|names| put_back(names).is_ok());
    swapped.and_then(|()| sync_folder_of(place)).map_err(|source| {
        let detail = format!("{source}; the catalog that was there is {}", aside.display());
        let source = if is_as_before { source } else { io::Error::new(source.kind(), detail) };
        unreadable(place, source)
    })
}

/// Counts in `kept` the files that have a second name.
fn try_swap(copy: &Path, place: &Path, files: &[(PathBuf, PathBuf)], kept: &mut usize) -> io::Result<()> {
    File::open(copy)?.sync_all()?;
    for (file, name) in files {
        keep(file, name)?;
        *kept += 1;
    }
    sync_folder_of(place)?;
    for (log, _) in files.iter().filter(|(file, _)| file != place) {
        fs::remove_file(log)?;
    }
    fs::rename(copy, place)
}

/// Links a file under a second name; on a file system without hard links, copies it.
fn keep(file: &Path, name: &Path) -> io::Result<()> {
    match fs::hard_link(file, name) {
        Err(error) if !matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
            let copied = fs::copy(file, name).and_then(|_| File::open(name)?.sync_all());
            copied.inspect_err(|_| drop(fs::remove_file(name)))
        }
        linked => linked,
    }
}

/// An unused name beside a catalog that contains the time of its replacement.
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

fn unreadable(path: &Path, source: io::Error) -> CatalogError {
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

    /// A catalog, and a backup of it from before a video was forgotten.
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
    async fn videos_forgotten_since_a_backup_stay_forgotten_if_the_catalog_can_be_read() {
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
    async fn the_log_is_moved_aside_with_its_catalog_and_not_replayed() {
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
    async fn the_log_is_written_to_the_catalog_before_it_is_moved_aside() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::fixed(0));
        let (live, backup) = place(folder.path(), &clock).await;
        let catalog = Catalog::open(&live, &clock).await.unwrap();
        bury(&catalog, "logged").await;
        // As a killed process leaves it: committed, and not yet in the catalog's own file.
        let left = folder.path().join("left.sqlite");
        for suffix in ["", "-wal"] {
            fs::copy(with_suffix(&live, suffix), with_suffix(&left, suffix)).unwrap();
        }
        catalog.close().await;
        let restored = restore(&backup, &left, &clock).await.unwrap();
        assert_eq!(restored.tombstones, Some(2));
        let aside = restored.replaced.unwrap();
        assert!(!with_suffix(&aside, "-wal").exists());
        let kept = Catalog::open_read_only(&aside, &clock).await.unwrap();
        assert!(tombstones::stands(&kept, "youtube", "logged").await.unwrap());
    }

    #[test]
    fn a_copy_that_cannot_be_put_in_place_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (place, aside) = (folder.path().join("catalog.sqlite"), folder.path().join("aside"));
        let log = with_suffix(&place, "-wal");
        fs::write(&place, "catalog").unwrap();
        fs::write(&log, "log").unwrap();
        // A folder cannot be renamed to a file's name.
        let copy = folder.path().join("copy");
        fs::create_dir(&copy).unwrap();
        swap(&copy, &place, &aside).unwrap_err();
        assert_eq!(fs::read(&place).unwrap(), b"catalog");
        assert_eq!(fs::read(&log).unwrap(), b"log");
        assert!(!aside.exists() && !with_suffix(&aside, "-wal").exists());
    }

    #[tokio::test]
    async fn a_restored_catalog_has_the_permissions_of_the_one_before() {
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
    async fn a_missing_catalog_is_restored() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::fixed(0));
        let (place, backup) = place(folder.path(), &clock).await;
        fs::remove_file(&place).unwrap();
        let restored = restore(&backup, &place, &clock).await.unwrap();
        assert_eq!((restored.replaced, restored.tombstones), (None, None));
        Catalog::open(&place, &clock).await.unwrap();
    }
}

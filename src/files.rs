//! Atomic, durable writes of whole files. A leaf: it knows paths and bytes, not what they mean.
//!
//! A file is written beside its place as `name.part`, synced and renamed, and its folder is synced too. A reader sees the
//! old file or the new one, never a part of it, also after a kill or a power cut.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a writer waits for another writer of the same file, which may have stalled and never finish.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the lock is tried meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The most symbolic links followed from a path, as in the kernel.
const MOST_LINKS: usize = 40;

/// Writes a file whole or not at all. A pipe or a device is written in place, since it cannot be replaced.
///
/// # Errors
/// When the folder does not exist, is not writable or is full. What was at the path stays.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir()) {
        return fs::write(path, bytes);
    }
    let mut part = Part::of(path)?;
    part.file.write_all(bytes)?;
    part.place()
}

/// An unfinished file beside its final place. It is removed if dropped before [`Part::place`]; one left behind by a killed
/// process is overwritten by the next writer of the same file.
#[derive(Debug)]
pub(crate) struct Part {
    file: File,
    path: PathBuf,
    place: PathBuf,
}

impl Part {
    /// Begins with an empty file. Symbolic links are followed and stay. A second writer of the same file waits for the
    /// first, at most [`PATIENCE`].
    pub(crate) fn of(place: &Path) -> io::Result<Self> {
        Self::within(place, PATIENCE)
    }

    fn within(place: &Path, patience: Duration) -> io::Result<Self> {
        let (place, end) = (followed(place), Instant::now() + patience);
        let mut name = place.file_name().ok_or(ErrorKind::IsADirectory)?.to_owned();
        name.push(".part");
        let path = place.with_file_name(name);
        loop {
            let file = open(&path)?;
            lock(&file, end)?;
            let part = Self { file, path: path.clone(), place: place.clone() };
            if part.is_there() {
                part.file.set_len(0)?;
                return Ok(part);
            }
        }
    }

    /// Where it is written.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves it to its final place.
    pub(crate) fn place(self) -> io::Result<()> {
        rename_durably(&self.path, &self.place)
    }

    fn is_there(&self) -> bool {
        is_at(&self.file, &self.path)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The path behind symbolic links, also of links whose target does not exist yet.
fn followed(place: &Path) -> PathBuf {
    let mut place = place.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&place) else { break };
        place.pop();
        place.push(target);
    }
    place
}

/// Opens a part for writing. One that a killed process of another user left is removed first, unless it is in use.
fn open(part: &Path) -> io::Result<File> {
    let open = || File::options().write(true).create(true).truncate(false).open(part);
    open().or_else(|error| match error.kind() {
        ErrorKind::PermissionDenied if remove_left(part).is_ok() => open(),
        _ => Err(error),
    })
}

fn lock(file: &File, end: Instant) -> io::Result<()> {
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < end => sleep(POLL_INTERVAL),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(ErrorKind::ResourceBusy, "another process has it in hand"));
            }
            // On a file system without locks the last writer wins.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
}

/// Removes a part that a killed process left. One that is still being written stays.
///
/// # Errors
/// When it cannot be opened or removed.
pub(crate) fn remove_left(part: &Path) -> io::Result<()> {
    let file = match File::open(part) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    if file.try_lock().is_ok() && is_at(&file, part) { fs::remove_file(part) } else { Ok(()) }
}

/// Whether a path still leads to this file. If not, it was placed or removed, and another may have taken its name.
fn is_at(file: &File, path: &Path) -> bool {
    let number = |facts: fs::Metadata| (facts.dev(), facts.ino());
    let (own, found) = (file.metadata().map(number), fs::metadata(path).map(number));
    matches!((own, found), (Ok(own), Ok(found)) if own == found)
}

/// Renames a finished file within one file system so that it survives a power cut: the file is synced before, the folder
/// after.
pub(crate) fn rename_durably(part: &Path, place: &Path) -> io::Result<()> {
    File::open(part)?.sync_all()?;
    fs::rename(part, place)?;
    sync_folder_of(place)
}

/// Makes the names in a file's folder survive a power cut.
pub(crate) fn sync_folder_of(place: &Path) -> io::Result<()> {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot sync folders.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_what_a_killed_process_left_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        fs::write(&path, "of yesterday").unwrap();
        fs::write(folder.path().join("page.html.part"), "half, and longer than the new one").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["page.html"]);
    }

    #[test]
    fn a_part_that_is_not_placed_leaves_what_stood_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.pt");
        fs::write(&path, "of yesterday").unwrap();
        let part = Part::of(&path).unwrap();
        fs::write(part.path(), "half").unwrap();
        drop(part);
        assert_eq!(fs::read(&path).unwrap(), b"of yesterday");
        assert_eq!(names(folder.path()), ["net.pt"]);
    }

    #[test]
    fn a_stalled_writer_is_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let held = Part::of(&path).unwrap();
        let refused = Part::within(&path, Duration::from_millis(20)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ResourceBusy);
        held.place().unwrap();
        assert!(path.exists(), "the first one's part is gone");
        write_whole(&path, b"of the second").unwrap();
    }

    #[test]
    fn the_target_of_a_link_is_replaced_and_the_link_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (link, files) = (folder.path().join("webemotion.toml"), folder.path().join("dotfiles"));
        fs::create_dir(&files).unwrap();
        std::os::unix::fs::symlink("dotfiles/webemotion.toml", &link).unwrap();
        for text in ["", "new"] {
            write_whole(&link, text.as_bytes()).unwrap();
            assert!(link.is_symlink());
            assert_eq!(fs::read_to_string(files.join("webemotion.toml")).unwrap(), text);
        }
        assert_eq!((names(folder.path()).len(), names(&files).len()), (2, 1), "a part is left behind");
    }

    /// Root may write a read-only file; for other users it would be in the way.
    #[test]
    fn a_read_only_part_that_is_not_in_use_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (path, part) =
            (folder.path().join("webemotion.prom"), folder.path().join("webemotion.prom.part"));
        fs::write(&part, "half").unwrap();
        fs::set_permissions(&part, std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(names(folder.path()), ["webemotion.prom"]);
    }

    #[test]
    fn a_part_left_behind_is_removed_and_one_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let part = Part::of(&folder.path().join("page.html")).unwrap();
        remove_left(part.path()).unwrap();
        assert_eq!(names(folder.path()), ["page.html.part"]);
        drop(part);
        let left = folder.path().join("page.html.part");
        fs::write(&left, "half").unwrap();
        remove_left(&left).unwrap();
        remove_left(&left).unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn concurrent_writers_of_one_file_each_write_it_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let write = |letter: u8| (0..20).for_each(|_| write_whole(&path, &[letter; 9_999]).unwrap());
        write(b'a');
        std::thread::scope(|threads| {
            for letter in *b"bcd" {
                threads.spawn(move || write(letter));
            }
            for _ in 0..200 {
                let text = fs::read(&path).unwrap();
                assert!(text.len() == 9_999 && text.iter().all(|letter| *letter == text[0]));
            }
        });
        assert_eq!(names(folder.path()), ["status.json"]);
    }

    #[test]
    fn a_device_is_written_in_place() {
        write_whole(Path::new("/dev/null"), b"gone").unwrap();
        assert!(write_whole(Path::new("/dev/full"), b"full").is_err());
    }

    #[test]
    fn a_folder_is_not_replaced_by_a_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write_whole(folder.path(), b"x").is_err());
        assert!(write_whole(Path::new("/"), b"x").is_err());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn bytes_have_two_digits_each() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}

//! The data folder: durable placing of files, relative paths, and the check for free space.
//!
//! Rows name files by paths relative to this folder, so that the folder can be moved. This room knows files, not rows.

mod layout;
mod lock;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Reason, is_wrong_path};
use crate::files::{hex, rename_durably};
use crate::words::bytes;

#[cfg(all(feature = "media", feature = "train"))]
pub(crate) use layout::demo_in;
#[cfg(feature = "train")]
pub(crate) use layout::experiments_in;
pub(crate) use layout::{CATALOG, SETTINGS, run_path, runs_in, settings_in};
pub use layout::{clip_path, video_path};
pub use lock::{Lock, Locked};

use layout::{CLIPS, STAGING, VIDEOS, spread};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct StoreError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// What concerns the disk or the whole data folder may pass, and pauses a stage; what concerns one file is permanent for
/// the job whose file it is, so that it does not stop the others.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_of_one_file() {
            return Self::permanent(Reason::Disk, error.to_string())
                .with_hint("see to that file, then `webemotion retry --reason disk`");
        }
        let failure = Self::transient(Reason::Disk, error.to_string());
        match error.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                failure.with_hint("free some space, then start the same command again: nothing is lost")
            }
            _ => failure.with_hint("see that the data folder exists and may be written"),
        }
    }
}

impl StoreError {
    /// Whether a file or its name is at fault, not the disk nor this user's rights.
    fn is_of_one_file(&self) -> bool {
        use io::ErrorKind::{
            DirectoryNotEmpty, FileTooLarge, InvalidData, InvalidFilename, InvalidInput, IsADirectory,
            NotADirectory, NotFound,
        };
        match self.source.kind() {
            DirectoryNotEmpty | FileTooLarge | InvalidData | InvalidFilename | InvalidInput
            | IsADirectory | NotADirectory => true,
            // Where its folder is gone too, the disk may have been taken away.
            NotFound => self.path.parent().is_some_and(Path::is_dir),
            _ => false,
        }
    }

    /// The failure where a person named the data folder: a wrong path is permanent.
    pub(crate) fn of_named_folder(self) -> Failure {
        if is_wrong_path(&self.source) {
            Failure::permanent(Reason::Usage, self.to_string())
                .with_hint("name a folder that this user may write with --data")
        } else {
            self.into()
        }
    }
}

/// The data folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A file in its final place, which survives a power cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Path below the data folder.
    pub path: String,
    /// Length.
    pub size_bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Store {
    /// Opens the folder, creating it if it does not exist.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(root.join(STAGING)).map_err(failed("make the folder", root))?;
        let root = root.canonicalize().map_err(failed("open the folder", root))?;
        Ok(Self { root })
    }

    /// Opens an existing folder for reading only.
    pub fn reading(root: &Path) -> Result<Self, StoreError> {
        let root = root.canonicalize().map_err(failed("open the folder", root))?;
        Ok(Self { root })
    }

    /// The folder itself, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The absolute path of a relative one.
    pub fn absolute(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The folder for one piece of unfinished work. It keeps what an earlier attempt left there, so that it can be resumed.
    pub fn staging(&self, work: &str) -> Result<PathBuf, StoreError> {
        let folder = self.root.join(STAGING).join(work);
        fs::create_dir_all(&folder).map_err(failed("make the folder", &folder))?;
        Ok(folder)
    }

    /// A new empty folder with a unique name in the staging folder; it is removed when dropped.
    pub(crate) fn scratch(&self, work: &str) -> Result<tempfile::TempDir, StoreError> {
        let folder = self.root.join(STAGING);
        let made = tempfile::Builder::new().prefix(&format!("{work}-")).tempdir_in(&folder);
        made.map_err(failed("make a folder in", &folder))
    }

    /// Removes a piece of unfinished work.
    pub fn clear_staging(&self, work: &str) -> Result<(), StoreError> {
        let folder = self.root.join(STAGING).join(work);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &folder)(error)),
            _ => Ok(()),
        }
    }

    /// The names of all pieces of unfinished work, sorted.
    pub fn unfinished(&self) -> Result<Vec<String>, StoreError> {
        let folder = self.root.join(STAGING);
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed("list", &folder))? {
            found.push(entry.map_err(failed("list", &folder))?.file_name().to_string_lossy().into_owned());
        }
        found.sort();
        Ok(found)
    }

    /// Moves a finished file to its final place, durably; returns its size and hash.
    pub fn publish(&self, part: &Path, relative: &str) -> Result<StoredFile, StoreError> {
        let target = self.absolute(relative);
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
        let (size_bytes, sha256) = digest(part)?;
        rename_durably(part, &target).map_err(failed("place", &target))?;
        Ok(StoredFile { path: relative.to_owned(), size_bytes, sha256 })
    }

    /// Links to a file outside the data folder instead of copying it. A link that is there is replaced; a file is not.
    pub fn link(&self, source: &Path, relative: &str) -> Result<(), StoreError> {
        let target = self.absolute(relative);
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
        if target.is_symlink() {
            fs::remove_file(&target).map_err(failed("remove", &target))?;
        } else if target.exists() {
            return Ok(());
        }
        std::os::unix::fs::symlink(source, &target).map_err(failed("link", &target))
    }

    /// Copies a file of another data folder to the same place here, if it has this hash; returns whether it had.
    pub fn adopt(&self, source: &Path, relative: &str, sha256: &str) -> Result<bool, StoreError> {
        let target = self.absolute(relative);
        if target.is_file() && digest(&target)?.1 == sha256 {
            return Ok(true);
        }
        let scratch = self.scratch("merge")?;
        let part = scratch.path().join("part");
        fs::copy(source, &part).map_err(failed("copy", source))?;
        let is_sound = digest(&part)?.1 == sha256;
        if is_sound {
            self.publish(&part, relative)?;
        }
        Ok(is_sound)
    }

    /// Removes a stored file, if it is there.
    pub fn remove(&self, relative: &str) -> Result<(), StoreError> {
        let path = self.absolute(relative);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Every stored file below `videos` and `clips`, as relative paths: `gc` compares them with the rows.
    pub fn files(&self) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.join(VIDEOS), self.root.join(CLIPS)];
        while let Some(folder) = folders.pop() {
            if !folder.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&folder).map_err(failed("list", &folder))? {
                let path = entry.map_err(failed("list", &folder))?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(relative) = path.strip_prefix(&self.root) {
                    found.push(relative.to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Every stored file of one video: its own, in any format, and those of its clips; also those that no row names.
    pub(crate) fn files_of(&self, site: &str, site_id: &str) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        for (kind, end) in [(VIDEOS, '.'), (CLIPS, '-')] {
            let folder = self.root.join(kind).join(spread(site_id));
            if !folder.is_dir() {
                continue;
            }
            let beginning = format!("{site}-{site_id}{end}");
            for entry in fs::read_dir(&folder).map_err(failed("list", &folder))? {
                let name = entry.map_err(failed("list", &folder))?.file_name();
                let name = name.to_string_lossy();
                if name.starts_with(&beginning) {
                    found.push(format!("{kind}/{}/{name}", spread(site_id)));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Space available to this user on the folder's disk, bytes.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let facts = nix::sys::statvfs::statvfs(&self.root)
            .map_err(|error| failed("ask for the free space of", &self.root)(error.into()))?;
        Ok(facts.blocks_available() * facts.fragment_size())
    }

    /// Fails when less than `wanted_bytes` are free.
    pub fn guard(&self, wanted_bytes: u64) -> Result<(), Failure> {
        let free_bytes = self.free_bytes()?;
        if free_bytes >= wanted_bytes {
            return Ok(());
        }
        let detail = format!(
            "{} has {} free, and {} must stay free",
            self.root.display(),
            bytes(free_bytes),
            bytes(wanted_bytes)
        );
        Err(Failure::transient(Reason::Disk, detail)
            .with_hint("free some space, or lower crawl.min_free_bytes; then start the same command again"))
    }
}

/// The path of the catalog in a data folder, if there is one.
///
/// # Errors
/// When the folder may not be read.
pub(crate) fn catalog_in(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    let path = folder.join(CATALOG);
    match path.metadata() {
        Ok(facts) => Ok(facts.is_file().then_some(path)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(failed("look into", folder)(error)),
    }
}

/// A file's length in bytes and its SHA-256 in hexadecimal.
pub fn digest(path: &Path) -> Result<(u64, String), StoreError> {
    digest_while(path, || true)
}

/// The same, while `goes_on`; after that it fails as interrupted.
pub(crate) fn digest_while(path: &Path, goes_on: impl Fn() -> bool) -> Result<(u64, String), StoreError> {
    let mut file = File::open(path).map_err(failed("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut size_bytes = 0;
    loop {
        if !goes_on() {
            return Err(failed("read", path)(io::ErrorKind::Interrupted.into()));
        }
        let read = file.read(&mut buffer).map_err(failed("read", path))?;
        if read == 0 {
            return Ok((size_bytes, hex(&hash.finalize())));
        }
        hash.update(&buffer[..read]);
        size_bytes += read as u64;
    }
}

/// The failure of [`digest_while`] where somebody asked to stop.
pub(crate) fn interrupted(path: &Path) -> Failure {
    let detail = format!("interrupted while {} was read", path.display());
    Failure::transient(Reason::Interrupted, detail).with_hint("start the same command again")
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Exit, FailureKind};

    #[test]
    fn a_published_file_is_where_its_row_says_and_the_part_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let part = store.staging("job-1").unwrap().join("video.part");
        fs::write(&part, b"abc").unwrap();

        let file = store.publish(&part, &video_path("youtube", "abcdefghijk", "mp4")).unwrap();

        assert_eq!(fs::read(store.absolute(&file.path)).unwrap(), b"abc");
        assert!(!part.exists());
        assert_eq!(file.size_bytes, 3);
        assert_eq!(file.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(store.files().unwrap(), [file.path]);
    }

    #[test]
    fn a_disk_with_too_little_space_pauses() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.guard(1).unwrap();
        let failure = store.guard(u64::MAX).unwrap_err();
        assert_eq!(failure.reason, Reason::Disk);
        assert!(failure.hint.is_some());
    }

    #[test]
    fn a_data_folder_that_is_a_file_is_a_usage_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("in.mp4");
        fs::write(&file, b"a film").unwrap();
        let failure = Store::open(&file).unwrap_err().of_named_folder();
        assert_eq!(failure.reason, Reason::Usage);
        assert!(failure.detail.contains("in.mp4"), "{}", failure.detail);
    }

    #[test]
    fn a_read_only_data_folder_is_a_usage_error_and_a_full_disk_pauses() {
        let of = |kind: io::ErrorKind| failed("make the folder", Path::new("data"))(kind.into());
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            assert_eq!(of(kind).of_named_folder().exit(), Exit::Usage);
        }
        assert_eq!(of(io::ErrorKind::StorageFull).of_named_folder().exit(), Exit::Paused);
    }

    #[test]
    fn what_is_wrong_with_one_file_does_not_pause_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let of = |kind: io::ErrorKind, path: &str| {
            let error = failed("place", &folder.path().join(path))(kind.into());
            Failure::from(error).kind
        };
        for kind in [io::ErrorKind::InvalidFilename, io::ErrorKind::InvalidInput, io::ErrorKind::NotFound] {
            assert_eq!(of(kind, "a.mp4"), FailureKind::Permanent, "{kind}");
        }
        assert_eq!(of(io::ErrorKind::NotFound, "gone/a.mp4"), FailureKind::Transient);
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied, io::ErrorKind::Other] {
            assert_eq!(of(kind, "a.mp4"), FailureKind::Transient, "{kind}");
        }
    }

    #[test]
    fn concurrent_copies_use_different_scratch_folders() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (one, other) = (store.scratch("merge").unwrap(), store.scratch("merge").unwrap());
        assert_ne!(one.path(), other.path());
        assert_eq!(store.unfinished().unwrap().len(), 2);
        drop((one, other));
        assert!(store.unfinished().unwrap().is_empty());
    }

    #[test]
    fn files_of_a_video_exclude_those_of_an_id_with_the_same_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let own = [clip_path("youtube", "a", "12345678", 0, 0), video_path("youtube", "a", "webm")];
        // Another video's id in the same folder.
        let beside = video_path("youtube", "a", "mp4").replace("-a.", "-ab.");
        for path in own.iter().chain([&beside]) {
            fs::create_dir_all(store.absolute(path).parent().unwrap()).unwrap();
            fs::write(store.absolute(path), b"film").unwrap();
        }
        assert_eq!(store.files_of("youtube", "a").unwrap(), own);
        assert!(store.files_of("local", "a").unwrap().is_empty());
    }

    #[test]
    fn removing_a_missing_file_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.remove("videos/00/nothing.mp4").unwrap();
        store.clear_staging("nothing").unwrap();
    }

    #[test]
    fn unfinished_work_is_listed_until_it_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        fs::write(store.staging("cut-7").unwrap().join("0.mp4"), b"half").unwrap();
        assert_eq!(store.unfinished().unwrap(), ["cut-7"]);
        store.clear_staging("cut-7").unwrap();
        assert!(store.unfinished().unwrap().is_empty());
    }
}

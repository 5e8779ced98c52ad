//! Encoded pictures by position: files on disk are implemented here, others by whoever owns them. And the identity by
//! which two lists of pictures are told apart.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{fs, io, thread};

use sha2::{Digest, Sha256};

use crate::words::plural;

use super::DataError;

/// Files that are opened at the same time: on a network disk each is a wait, however small it is.
const READERS: usize = 16;
/// No more of a file than this is read for its identity, bytes.
const TELLING_BYTES: u64 = 64 << 10;
/// A larger file is read in so many blocks, spread evenly from its first to its last byte.
const BLOCKS: u64 = 16;

/// How many of so many pictures may be missing or unreadable: ten, or one in a hundred, but no more than half.
pub(in crate::train) fn most_unreadable(of: usize) -> usize {
    (of / 100).max(10).min(of / 2)
}

/// Encoded pictures by position. Implemented for files here, and for the catalog by whoever owns it.
pub trait Pictures: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a JPEG or PNG file.
    fn encoded(&self, index: usize) -> io::Result<Vec<u8>>;

    /// What to call it in a message: a path, or an id.
    fn name(&self, index: usize) -> String;

    /// What the data set's own list calls it, where its name does not end so.
    fn listed_as(&self, _index: usize) -> Option<&str> {
        None
    }

    /// What tells this list of pictures from others, also in another process: of files their contents, of a catalog its
    /// ids. A run is done, or gone on with, for pictures of one identity only.
    fn identity(&self) -> Identity;
}

/// A sha256: see [`Pictures::identity`].
pub type Identity = [u8; 32];

/// The identity of pictures that these bytes tell apart.
pub(crate) fn identity_of(bytes: impl AsRef<[u8]>) -> Identity {
    Sha256::digest(bytes).into()
}

/// Numbers as bytes, for [`identity_of`].
pub(crate) fn bytes_of(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// Pictures that are files. They may move to another folder and stay the same pictures.
///
/// Sizes alone do not tell them apart: all uncompressed pictures of one shape have one size. So files are read once
/// before a run, which reads them all anyway. Of a large file only a part is read: photographs may lie on a network
/// disk.
#[derive(Debug, Clone)]
pub struct PictureFiles {
    paths: Vec<PathBuf>,
    listed_as: Option<Vec<String>>,
    /// Computed when it is first asked for: measuring a net needs none.
    identity: OnceLock<Identity>,
}

impl PictureFiles {
    /// The pictures that a list names, and what the user should know of them. Those that are missing are left out later,
    /// as those of [`PictureFiles::found`] are.
    ///
    /// # Errors
    /// [`DataError::MissingPictures`] when they are more than [`most_unreadable`].
    pub(in crate::train) fn listed(
        layout: &'static str,
        paths: Vec<PathBuf>,
    ) -> Result<(Self, Vec<String>), DataError> {
        let is_there = each(&paths, Path::is_file);
        let missing = is_there.iter().filter(|is_there| !**is_there).count();
        let Some(first) = is_there.iter().position(|is_there| !is_there) else {
            return Ok((Self::found(paths), Vec::new()));
        };
        let (listed, limit, first) = (paths.len(), most_unreadable(paths.len()), paths[first].clone());
        if missing > limit {
            return Err(DataError::MissingPictures { layout, missing, listed, limit, first });
        }
        let first = first.display();
        let remark =
            format!("{layout}: {missing} of {listed} listed pictures are missing; the first: {first}");
        Ok((Self::found(paths), vec![remark]))
    }

    /// The pictures that a walk through folders found. One that cannot be read, such as a link that leads nowhere, is
    /// left out later, when it is to be decoded.
    pub(super) fn found(paths: Vec<PathBuf>) -> Self {
        Self { paths, listed_as: None, identity: OnceLock::new() }
    }

    /// With what the data set's own list calls each of them.
    pub(super) fn with_listed_names(self, names: Vec<String>) -> Self {
        Self { listed_as: Some(names), ..self }
    }

    /// Names of pictures that nobody reads.
    #[cfg(test)]
    pub(crate) fn only_named(paths: Vec<PathBuf>) -> Self {
        Self { identity: OnceLock::from(identity_of([])), ..Self::found(paths) }
    }
}

impl Pictures for PictureFiles {
    fn len(&self) -> usize {
        self.paths.len()
    }

    fn encoded(&self, index: usize) -> io::Result<Vec<u8>> {
        fs::read(&self.paths[index])
    }

    fn name(&self, index: usize) -> String {
        self.paths[index].display().to_string()
    }

    fn listed_as(&self, index: usize) -> Option<&str> {
        Some(&self.listed_as.as_ref()?[index])
    }

    fn identity(&self) -> Identity {
        *self.identity.get_or_init(|| {
            let (identities, unread): (Vec<Identity>, Vec<Option<String>>) =
                each(&self.paths, |path| told(path, identity_of_file)).into_iter().unzip();
            let unread: Vec<String> = unread.into_iter().flatten().collect();
            if let Some(first) = unread.first() {
                tracing::warn!(
                    "{} cannot be read: runs that were begun when they could are not known again; the \
                     first: {first}",
                    plural(unread.len(), "picture")
                );
            }
            identity_of(identities.concat())
        })
    }
}

/// The identity of a file; or why it could not be read, not even at a second try. A file that is not there has an empty
/// identity and no reason.
fn told(path: &Path, read: impl Fn(&Path) -> io::Result<Identity>) -> (Identity, Option<String>) {
    let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match read(path).or_else(|error| if is_gone(&error) { Err(error) } else { read(path) }) {
        Ok(identity) => (identity, None),
        Err(error) if is_gone(&error) => (Identity::default(), None),
        Err(error) => (Identity::default(), Some(format!("{}: {error}", path.display()))),
    }
}

/// From its size and contents; of a large file, from blocks of the contents.
fn identity_of_file(path: &Path) -> io::Result<Identity> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let blocks = if size > TELLING_BYTES { BLOCKS } else { 1 };
    let mut block = vec![0; (size.min(TELLING_BYTES) / blocks) as usize];
    let last = size - block.len() as u64;
    let mut digest = Sha256::new_with_prefix(size.to_le_bytes());
    for number in 0..blocks {
        file.read_exact_at(&mut block, number * last / (blocks - 1).max(1))?;
        digest.update(&block);
    }
    Ok(digest.finalize().into())
}

/// What is true of each path, in their order; asked on several threads.
fn each<T: Clone + Default + Send>(paths: &[PathBuf], ask: impl Fn(&Path) -> T + Sync) -> Vec<T> {
    let mut told = vec![T::default(); paths.len()];
    let share = paths.len().div_ceil(READERS).max(1);
    thread::scope(|scope| {
        for (paths, told) in paths.chunks(share).zip(told.chunks_mut(share)) {
            let ask = &ask;
            scope.spawn(move || {
                for (path, told) in paths.iter().zip(told) {
                    *told = ask(path);
                }
            });
        }
    });
    told
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::folder;
    use super::*;

    fn lay_out(root: &Path, happy: &[u8]) -> String {
        for (class, bytes) in [("happy", happy), ("sad", b"12345")] {
            fs::create_dir_all(root.join(class)).unwrap();
            fs::write(root.join(class).join("0.png"), bytes).unwrap();
        }
        folder(root).unwrap().hash()
    }

    #[test]
    fn other_files_under_the_same_names_are_other_data_and_moved_ones_the_same() {
        let [one, moved, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let hash = lay_out(one.path(), b"1234");
        assert_eq!(lay_out(moved.path(), b"1234"), hash);
        assert_ne!(lay_out(other.path(), b"123"), hash, "a picture that was cut off");
        assert_ne!(lay_out(other.path(), b"1243"), hash, "another picture of the same size");
    }

    #[test]
    fn a_large_file_is_told_by_its_first_and_its_last_byte_and_by_what_lies_between() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("0.bmp");
        let identity = |changed: Option<usize>| {
            let mut bytes = vec![7; 300_001];
            if let Some(at) = changed {
                bytes[at..].iter_mut().take(20_000).for_each(|byte| *byte = 8);
            }
            fs::write(&path, bytes).unwrap();
            identity_of_file(&path).unwrap()
        };
        let plain = identity(None);
        assert_eq!(identity(None), plain);
        for at in [0, 70_000, 150_000, 300_000] {
            assert_ne!(identity(Some(at)), plain, "{at}");
        }
    }

    #[test]
    fn a_disk_that_does_not_answer_once_changes_nothing_and_one_that_does_not_at_all_is_told() {
        let tries = Cell::new(0);
        let failing = |times: u32, kind: io::ErrorKind| {
            tries.set(0);
            told(Path::new("0.png"), |_| {
                tries.set(tries.get() + 1);
                if tries.get() <= times { Err(kind.into()) } else { Ok([7; 32]) }
            })
        };
        assert_eq!(failing(1, io::ErrorKind::StaleNetworkFileHandle), ([7; 32], None));
        let (identity, problem) = failing(2, io::ErrorKind::PermissionDenied);
        assert_eq!((identity, problem.as_deref()), ([0; 32], Some("0.png: permission denied")));
        assert_eq!(failing(2, io::ErrorKind::NotFound), ([0; 32], None));
        assert_eq!(tries.get(), 1, "a link that leads nowhere");
    }

    #[test]
    fn every_path_is_asked_about_in_its_place() {
        let paths: Vec<PathBuf> = (0..100).map(|number| PathBuf::from(number.to_string())).collect();
        assert_eq!(each(&paths, Path::to_path_buf), paths);
        assert!(each(&[], Path::is_file).is_empty());
    }
}

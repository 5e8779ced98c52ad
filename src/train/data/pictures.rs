//! Encoded pictures by position, implemented here for files, and the identity that distinguishes lists of pictures.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{fs, io, thread};

use sha2::{Digest, Sha256};

use crate::words::plural;

use super::DataError;

/// Files that are opened at the same time: on a network disk every one costs a round trip.
const READERS: usize = 16;
/// Most bytes of a file that are read for its identity.
const IDENTITY_BYTES: u64 = 64 << 10;
/// A larger file is read in this many blocks, spread evenly from its first to its last byte.
const BLOCKS: u64 = 16;

/// How many of `of` pictures may be missing or unreadable: the greater of 10 and 1 %, but at most half.
pub(in crate::train) fn most_unreadable(of: usize) -> usize {
    (of / 100).max(10).min(of / 2)
}

/// Encoded pictures by position. Implemented for files here, and for the catalog in `cli`.
pub trait Pictures: Send + Sync {
    /// Number of pictures.
    fn len(&self) -> usize;

    /// Whether there are no pictures.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a JPEG or PNG file.
    fn encoded(&self, index: usize) -> io::Result<Vec<u8>>;

    /// The picture's name in messages: a path, or an id.
    fn name(&self, index: usize) -> String;

    /// Its name in the data set's own list, where [`Pictures::name`] does not end with it.
    fn listed_as(&self, _index: usize) -> Option<&str> {
        None
    }

    /// What distinguishes this list of pictures from others, in any process: contents for files, ids for a catalog. A
    /// run is reused or resumed only for pictures of the same identity.
    fn identity(&self) -> Identity;
}

/// A sha256: see [`Pictures::identity`].
pub type Identity = [u8; 32];

/// The identity of what these bytes describe.
pub(crate) fn identity_of(bytes: impl AsRef<[u8]>) -> Identity {
    Sha256::digest(bytes).into()
}

/// Numbers as bytes, for [`identity_of`].
pub(crate) fn bytes_of(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// Pictures that are files. Their identity does not depend on their folder.
///
/// Sizes alone do not distinguish them: all uncompressed pictures of one shape have the same size. So the files are
/// read once before a run, which reads them all anyway; of a large file only a part, as photographs may be on a network
/// disk.
#[derive(Debug, Clone)]
pub struct PictureFiles {
    paths: Vec<PathBuf>,
    listed_as: Option<Vec<String>>,
    /// Computed on first use: measuring a net needs none.
    identity: OnceLock<Identity>,
}

impl PictureFiles {
    /// The pictures that a list names, and remarks for the user. Missing ones are left out later, like the unreadable
    /// ones of [`PictureFiles::found`].
    ///
    /// # Errors
    /// [`DataError::MissingPictures`] when more than [`most_unreadable`] are missing.
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

    /// The pictures that a walk through folders found. One that cannot be read, such as a dangling link, is left out
    /// later, when it should be decoded.
    pub(super) fn found(paths: Vec<PathBuf>) -> Self {
        Self { paths, listed_as: None, identity: OnceLock::new() }
    }

    /// With the names of the data set's own list.
    pub(super) fn with_listed_names(self, names: Vec<String>) -> Self {
        Self { listed_as: Some(names), ..self }
    }

    /// Pictures that are never read.
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
                each(&self.paths, |path| identified(path, identity_of_file)).into_iter().unzip();
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

/// The identity of a file, or the reason why it could not be read in two attempts. A missing file has the identity 0
/// and no reason.
fn identified(path: &Path, read: impl Fn(&Path) -> io::Result<Identity>) -> (Identity, Option<String>) {
    let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match read(path).or_else(|error| if is_gone(&error) { Err(error) } else { read(path) }) {
        Ok(identity) => (identity, None),
        Err(error) if is_gone(&error) => (Identity::default(), None),
        Err(error) => (Identity::default(), Some(format!("{}: {error}", path.display()))),
    }
}

/// A hash of size and contents; for a large file, of blocks of the contents.
fn identity_of_file(path: &Path) -> io::Result<Identity> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let blocks = if size > IDENTITY_BYTES { BLOCKS } else { 1 };
    let mut block = vec![0; (size.min(IDENTITY_BYTES) / blocks) as usize];
    let last = size - block.len() as u64;
    let mut digest = Sha256::new_with_prefix(size.to_le_bytes());
    for number in 0..blocks {
        file.read_exact_at(&mut block, number * last / (blocks - 1).max(1))?;
        digest.update(&block);
    }
    Ok(digest.finalize().into())
}

/// `of` for each path, in their order; computed on several threads.
fn each<T: Clone + Default + Send>(paths: &[PathBuf], of: impl Fn(&Path) -> T + Sync) -> Vec<T> {
    let mut results = vec![T::default(); paths.len()];
    let share = paths.len().div_ceil(READERS).max(1);
    thread::scope(|scope| {
        for (paths, results) in paths.chunks(share).zip(results.chunks_mut(share)) {
            let of = &of;
            scope.spawn(move || {
                for (path, result) in paths.iter().zip(results) {
                    *result = of(path);
                }
            });
        }
    });
    results
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
    fn changed_files_are_other_data_and_moved_files_are_the_same() {
        let [one, moved, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let hash = lay_out(one.path(), b"1234");
        assert_eq!(lay_out(moved.path(), b"1234"), hash);
        assert_ne!(lay_out(other.path(), b"123"), hash, "a picture that was cut off");
        assert_ne!(lay_out(other.path(), b"1243"), hash, "another picture of the same size");
    }

    #[test]
    fn a_large_file_is_identified_by_its_ends_and_by_blocks_between() {
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
    fn one_failed_read_changes_nothing_and_two_are_reported() {
        let tries = Cell::new(0);
        let failing = |times: u32, kind: io::ErrorKind| {
            tries.set(0);
            identified(Path::new("0.png"), |_| {
                tries.set(tries.get() + 1);
                if tries.get() <= times { Err(kind.into()) } else { Ok([7; 32]) }
            })
        };
        assert_eq!(failing(1, io::ErrorKind::StaleNetworkFileHandle), ([7; 32], None));
        let (identity, problem) = failing(2, io::ErrorKind::PermissionDenied);
        assert_eq!((identity, problem.as_deref()), ([0; 32], Some("0.png: permission denied")));
        assert_eq!(failing(2, io::ErrorKind::NotFound), ([0; 32], None));
        assert_eq!(tries.get(), 1, "a dangling link is not tried again");
    }

    #[test]
    fn every_path_has_its_result_in_its_place() {
        let paths: Vec<PathBuf> = (0..100).map(|number| PathBuf::from(number.to_string())).collect();
        assert_eq!(each(&paths, Path::to_path_buf), paths);
        assert!(each(&[], Path::is_file).is_empty());
    }
}

//! Encoded pictures by position: files on disk here, others by whoever owns them. What tells one list of them from another.

use std::fs;
use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::DataError;

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

    /// What tells this list of pictures from others, also in another process, without reading them: of files their sizes,
    /// of a catalog its ids. A run is done, or gone on with, for pictures of one identity only.
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
#[derive(Debug, Clone)]
pub struct PictureFiles {
    paths: Vec<PathBuf>,
    identity: Identity,
}

impl PictureFiles {
    /// The pictures that a list, or a walk through folders, names.
    ///
    /// # Errors
    /// [`DataError::MissingPictures`] when one of them is not a file.
    pub(in crate::train) fn listed(layout: &'static str, paths: Vec<PathBuf>) -> Result<Self, DataError> {
        let size =
            |path: &PathBuf| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|file| file.len());
        let sizes: Vec<Option<u64>> = paths.iter().map(size).collect();
        if let Some(first) = sizes.iter().position(Option::is_none) {
            return Err(DataError::MissingPictures {
                layout,
                missing: sizes.iter().filter(|size| size.is_none()).count(),
                listed: paths.len(),
                first: paths[first].clone(),
            });
        }
        Ok(Self { paths, identity: identity_of(bytes_of(sizes.into_iter().flatten())) })
    }

    /// Names of pictures that nobody reads.
    #[cfg(test)]
    pub(crate) fn only_named(paths: Vec<PathBuf>) -> Self {
        Self { identity: identity_of([]), paths }
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

    fn identity(&self) -> Identity {
        self.identity
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::folder;

    fn lay_out(root: &Path, happy: &[u8]) -> String {
        for (class, bytes) in [("happy", happy), ("sad", b"12345")] {
            std::fs::create_dir_all(root.join(class)).unwrap();
            std::fs::write(root.join(class).join("0.png"), bytes).unwrap();
        }
        folder(root).unwrap().hash()
    }

    #[test]
    fn other_files_under_the_same_names_are_other_data_and_moved_ones_the_same() {
        let [one, moved, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let hash = lay_out(one.path(), b"1234");
        assert_eq!(lay_out(moved.path(), b"1234"), hash);
        assert_ne!(lay_out(other.path(), b"123"), hash, "a picture that was cut off");
    }
}

//! Any folder of pictures: `DIR/<class>/*`, or `DIR/train|validation|test/<class>/*`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DataError, PictureFiles, TrainingSet};
use crate::types::Split;

const SPLITS: [(&str, Split); 5] = [
    ("train", Split::Train),
    ("validation", Split::Validation),
    ("valid", Split::Validation),
    ("val", Split::Validation),
    ("test", Split::Test),
];

/// Reads a folder; class names are the sub-folders' names, sorted. Pictures are samples, others are ignored.
///
/// Without split folders everything is for training (see [`TrainingSet::hold_out_validation`]); so it is where there is no
/// `train` beside them but other folders: they may be the names of classes.
pub fn folder(root: &Path) -> Result<TrainingSet, DataError> {
    if !root.is_dir() {
        return Err(DataError::Missing { layout: "folder", path: root.to_owned() });
    }
    let mut parts: Vec<(PathBuf, Split)> = SPLITS
        .iter()
        .map(|&(name, split)| (root.join(name), split))
        .filter(|(path, _)| path.is_dir())
        .collect();
    let folders = sorted_entries(root)?.into_iter().filter(|path| path.is_dir()).count();
    let may_be_classes = folders > parts.len() || parts.is_empty();
    if may_be_classes && !parts.iter().any(|(_, split)| *split == Split::Train) {
        parts = vec![(root.to_owned(), Split::Train)];
    }
    let mut classes = Vec::new();
    for (part, _) in &parts {
        classes.extend(
            sorted_entries(part)?.into_iter().filter(|path| path.is_dir()).map(|path| file_name(&path)),
        );
    }
    classes.sort();
    classes.dedup();
    let (mut paths, mut labels, mut splits) = (Vec::new(), Vec::new(), Vec::new());
    for (part, split) in &parts {
        for (label, class) in classes.iter().enumerate() {
            let pictures = pictures_of(&part.join(class))?;
            labels.extend(pictures.iter().map(|_| label));
            splits.extend(pictures.iter().map(|_| *split));
            paths.extend(pictures);
        }
    }
    if paths.is_empty() {
        return Err(DataError::Empty {
            name: root.display().to_string(),
            what: "class folders with pictures",
        });
    }
    let set = TrainingSet {
        name: file_name(root),
        classes,
        labels,
        splits,
        ..TrainingSet::of(Arc::new(PictureFiles::listed("folder", paths)?))
    };
    set.check()?;
    Ok(set)
}

fn pictures_of(class: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !class.is_dir() {
        return Ok(Vec::new());
    }
    let is_picture = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        ["jpg", "jpeg", "png", "webp", "bmp"].iter().any(|known| extension == *known)
    };
    Ok(sorted_entries(class)?.into_iter().filter(is_picture).collect())
}

fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::Read { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.retain(|path| !file_name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
    }

    #[test]
    fn class_folders_become_sorted_classes() {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &["sad/2.png", "happy/1.jpg", "happy/0.JPG", "happy/notes.txt"]);
        let set = folder(root.path()).unwrap();
        assert_eq!(set.classes, ["happy", "sad"]);
        assert_eq!(set.labels, [0, 0, 1]);
        assert!(set.pictures.name(0).ends_with("0.JPG"));
    }

    #[test]
    fn split_folders_become_splits_also_when_a_class_is_missing_in_one() {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &["train/a/1.png", "train/b/2.png", "val/a/3.png", "test/b/4.png"]);
        let set = folder(root.path()).unwrap();
        assert_eq!(set.splits, [Split::Train, Split::Train, Split::Validation, Split::Test]);
        assert_eq!(set.labels, [0, 1, 0, 1]);
    }

    #[test]
    fn a_test_part_alone_is_one_unless_it_may_be_a_class() {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &["test/a/1.png", "test/b/2.png"]);
        let set = folder(root.path()).unwrap();
        assert_eq!((set.classes.len(), set.splits.as_slice()), (2, [Split::Test; 2].as_slice()));
        assert!(set.check_training().is_err());
        make(root.path(), &["drive/3.png", "test/4.png"]);
        assert_eq!(folder(root.path()).unwrap().classes, ["drive", "test"]);
    }

    #[test]
    fn an_empty_or_missing_folder_is_said() {
        let root = tempfile::tempdir().unwrap();
        assert!(folder(root.path()).unwrap_err().to_string().contains("holds no class folders"));
        assert!(folder(&root.path().join("no")).unwrap_err().to_string().ends_with("no is missing"));
    }
}

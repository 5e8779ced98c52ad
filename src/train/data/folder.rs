//! Any folder of pictures: `DIR/<class>/*`, or `DIR/train|validation|dev|test/<class>/*`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::ImageFormat;

use super::{DataError, PictureFiles, TrainingSet, classes};
use crate::types::Split;

const SPLITS: [(&str, Split); 6] = [
    ("train", Split::Train),
    ("validation", Split::Validation),
    ("valid", Split::Validation),
    ("val", Split::Validation),
    ("dev", Split::Validation),
    ("test", Split::Test),
];

/// Reads a folder. Its sub-folders are the classes, sorted by name; emotions get their nouns. The pictures in them are
/// the samples; what is ignored is counted in the set's remarks.
///
/// Without split folders everything is for training (see [`TrainingSet::hold_out_validation`]). So it is where
/// `validation` or `test` stands beside other folders but no `train`: all of them may be names of classes then.
pub fn folder(root: &Path) -> Result<TrainingSet, DataError> {
    if !root.is_dir() {
        return Err(DataError::Missing { layout: "folder", path: root.to_owned() });
    }
    let mut walk = Walk::default();
    let found = entries(root)?;
    let parts = parts(root, &found.folders);
    if !parts.iter().any(|(part, _)| part == root) {
        walk.passed_over.beside(&found, &parts);
    }
    for (part, split) in parts {
        walk.through(&part, split)?;
    }
    walk.set(root)
}

/// The folders that hold class folders, each with its split.
fn parts(root: &Path, folders: &[PathBuf]) -> Vec<(PathBuf, Split)> {
    let mut parts = Vec::new();
    for (name, split) in SPLITS {
        let is_it = |path: &&PathBuf| file_name(path).eq_ignore_ascii_case(name);
        parts.extend(folders.iter().filter(is_it).map(|path| (path.clone(), split)));
    }
    let may_be_classes = folders.len() > parts.len() || parts.is_empty();
    if may_be_classes && !parts.iter().any(|(_, split)| *split == Split::Train) {
        parts = vec![(root.to_owned(), Split::Train)];
    }
    parts
}

/// The result of a walk through class folders.
#[derive(Default)]
struct Walk {
    /// Names, splits and pictures of class folders, in the order of the walk.
    found: Vec<(String, Split, Vec<PathBuf>)>,
    passed_over: PassedOver,
}

impl Walk {
    fn through(&mut self, part: &Path, split: Split) -> Result<(), DataError> {
        let beside = entries(part)?;
        self.passed_over.pictures(&beside.files);
        for folder in beside.folders {
            let inside = entries(&folder)?;
            self.passed_over.nested += inside.folders.len();
            let (pictures, others): (Vec<PathBuf>, Vec<PathBuf>) =
                inside.files.into_iter().partition(|path| is_read(path));
            others.iter().for_each(|path| self.passed_over.file(path));
            match pictures.is_empty() {
                true => self.passed_over.empty.push(file_name(&folder)),
                false => self.found.push((file_name(&folder), split, pictures)),
            }
        }
        Ok(())
    }

    fn set(self, root: &Path) -> Result<TrainingSet, DataError> {
        let mut names: Vec<String> = self.found.iter().map(|(name, ..)| name.clone()).collect();
        names.sort();
        names.dedup();
        let (classes, class_of) = classes::of_folders(&names);
        let passed_over = self.passed_over.words(&names);
        if classes.len() < 2 {
            let found = if classes.is_empty() { "no class folders" } else { "only one class folder" };
            return Err(DataError::NoClasses { path: root.to_owned(), found, passed_over });
        }
        let class_of: BTreeMap<&String, usize> = names.iter().zip(class_of).collect();
        let (mut paths, mut labels, mut splits) = (Vec::new(), Vec::new(), Vec::new());
        for (name, split, pictures) in self.found {
            labels.extend(pictures.iter().map(|_| class_of[&name]));
            splits.extend(pictures.iter().map(|_| split));
            paths.extend(pictures);
        }
        let name = file_name(root);
        let remarks = passed_over.map(|words| format!("{name}: passed over {words}")).into_iter().collect();
        let pictures = PictureFiles::found(paths);
        let set =
            TrainingSet { name, classes, labels, splits, remarks, ..TrainingSet::of(Arc::new(pictures)) };
        set.check()?;
        Ok(set)
    }
}

/// What is neither a class nor a sample.
#[derive(Default)]
struct PassedOver {
    /// Number of files by extension.
    files: BTreeMap<String, usize>,
    /// Names of folders beside the parts.
    beside: Vec<String>,
    /// Number of folders inside class folders.
    nested: usize,
    /// Names of folders without pictures.
    empty: Vec<String>,
}

impl PassedOver {
    fn file(&mut self, path: &Path) {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        *self.files.entry(extension.to_string_lossy().into_owned()).or_default() += 1;
    }

    /// Counts pictures beside class folders, which have no class; other files there are not worth a remark.
    fn pictures(&mut self, files: &[PathBuf]) {
        files.iter().filter(|path| ImageFormat::from_path(path).is_ok()).for_each(|path| self.file(path));
    }

    /// Counts what stands beside the parts of a set.
    fn beside(&mut self, found: &Entries, parts: &[(PathBuf, Split)]) {
        self.pictures(&found.files);
        let is_part = |path: &&PathBuf| parts.iter().any(|(part, _)| part == *path);
        self.beside =
            found.folders.iter().filter(|path| !is_part(path)).map(|path| file_name(path)).collect();
    }

    /// All of it in words, if there is any. A class without pictures in one part only is not mentioned.
    fn words(mut self, classes: &[String]) -> Option<String> {
        let files = self.files.iter().map(|(extension, count)| match extension.as_str() {
            "" => format!("{count} without an extension"),
            extension => format!("{count} .{extension}"),
        });
        let files = files.collect::<Vec<_>>().join(", ");
        self.empty.retain(|name| !classes.contains(name));
        self.empty.sort();
        self.empty.dedup();
        let beside = match self.beside.as_slice() {
            [] => String::new(),
            names => format!("folders that are no part: {}", names.join(", ")),
        };
        let nested = if self.nested > 0 { format!("nested folders: {}", self.nested) } else { String::new() };
        let empty = match self.empty.as_slice() {
            [] => String::new(),
            names => format!("folders without pictures: {}", names.join(", ")),
        };
        let mut words = vec![files, beside, nested, empty];
        words.retain(|words| !words.is_empty());
        (!words.is_empty()).then(|| words.join("; "))
    }
}

fn is_read(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok_and(|format| format.reading_enabled())
}

/// The contents of a folder, sorted, without hidden files and what macOS adds to archives.
#[derive(Default)]
struct Entries {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

fn entries(folder: &Path) -> Result<Entries, DataError> {
    let failed = |source| DataError::Read { path: folder.to_owned(), source };
    let mut found = Entries::default();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let name = file_name(&path);
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        let kind = entry.file_type().map_err(failed)?;
        let is_folder = kind.is_dir() || kind.is_symlink() && path.is_dir();
        match is_folder {
            true => found.folders.push(path),
            false => found.files.push(path),
        }
    }
    found.folders.sort();
    found.files.sort();
    Ok(found)
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
        assert_eq!(set.classes, ["happiness", "sadness"]);
        assert_eq!(set.labels, [0, 0, 1]);
        assert!(set.pictures.name(0).ends_with("0.JPG"));
    }

    #[test]
    fn split_folders_become_splits_even_if_one_lacks_a_class() {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &["train/a/1.png", "train/b/2.png", "val/a/3.png", "test/b/4.png"]);
        let set = folder(root.path()).unwrap();
        assert_eq!(set.splits, [Split::Train, Split::Train, Split::Validation, Split::Test]);
        assert_eq!(set.labels, [0, 1, 0, 1]);
    }

    #[test]
    fn what_stands_beside_the_parts_is_remarked_and_dev_is_validation() {
        let root = tempfile::tempdir().unwrap();
        make(
            root.path(),
            &["train/a/1.png", "train/b/2.png", "Dev/a/3.png", "raw/4.png", "notes/5.txt", "6.png"],
        );
        let set = folder(root.path()).unwrap();
        assert_eq!(set.splits, [Split::Train, Split::Train, Split::Validation]);
        let [remark] = set.remarks.as_slice() else { panic!("{:?}", set.remarks) };
        assert!(remark.ends_with(": passed over 1 .png; folders that are no part: notes, raw"), "{remark}");
    }

    #[test]
    fn a_lone_test_folder_is_a_split_unless_it_may_be_a_class() {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &["test/a/1.png", "test/b/2.png"]);
        let set = folder(root.path()).unwrap();
        assert_eq!((set.classes.len(), set.splits.as_slice()), (2, [Split::Test; 2].as_slice()));
        assert!(set.check_training().is_err());
        make(root.path(), &["drive/3.png", "test/4.png"]);
        assert_eq!(folder(root.path()).unwrap().classes, ["drive", "test"]);
    }

    /// Archives made on a Mac hold `__MACOSX`. An empty class would be given to samples by `--noise`.
    #[test]
    fn folders_without_pictures_are_no_classes_and_ignored_files_are_counted() {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &["train/__MACOSX/a/1.png", "train/a/1.png", "train/b/2.bmp", "test/b/3.png"]);
        make(root.path(), &["train/a/4.GIF", "train/a/s1/5.jpg", "train/c/6.xcf", "train/c/7.xcf"]);
        make(root.path(), &["train/8.jpg", "train/list.csv", "test/c/.hidden.png"]);
        let set = folder(root.path()).unwrap();
        assert_eq!(set.classes, ["a", "b"]);
        assert_eq!(set.labels, [0, 1, 1]);
        let [remark] = set.remarks.as_slice() else { panic!("{:?}", set.remarks) };
        assert!(
            remark.ends_with(
                ": passed over 1 .gif, 1 .jpg, 2 .xcf; nested folders: 1; folders without pictures: c"
            ),
            "{remark}"
        );
    }

    #[test]
    fn differently_spelt_folders_of_one_emotion_are_one_class() {
        let root = tempfile::tempdir().unwrap();
        make(
            root.path(),
            &["Train/Anger/1.png", "Train/happy/2.png", "TEST/angry/3.png", "TEST/Happiness/4.png"],
        );
        let set = folder(root.path()).unwrap();
        assert_eq!(set.classes, ["anger", "happiness"]);
        assert_eq!(set.labels, [0, 1, 1, 0]);
        assert_eq!(set.splits, [Split::Train, Split::Train, Split::Test, Split::Test]);
        assert!(set.remarks.is_empty(), "{:?}", set.remarks);
    }

    #[test]
    fn a_dangling_link_is_an_unreadable_picture() {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &["a/1.png", "b/2.png"]);
        std::os::unix::fs::symlink(root.path().join("gone.png"), root.path().join("a/3.png")).unwrap();
        let set = folder(root.path()).unwrap();
        assert_eq!(set.labels, [0, 0, 1]);
        assert!(set.pictures.encoded(1).is_err());
        assert_eq!(set.hash(), folder(root.path()).unwrap().hash());
    }

    #[test]
    fn an_unsupported_picture_format_is_reported() {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &["a/1.gif", "a/2.gif", "b/3.png"]);
        let error = folder(root.path()).unwrap_err();
        assert!(error.to_string().ends_with("holds only one class folder with pictures"), "{error}");
        let hint = error.failure().hint.unwrap();
        assert!(hint.starts_with("passed over were 2 .gif; folders without pictures: a; "), "{hint}");
        assert!(hint.contains("png"), "{hint}");
    }

    #[test]
    fn an_empty_or_missing_folder_is_reported() {
        let root = tempfile::tempdir().unwrap();
        assert!(folder(root.path()).unwrap_err().to_string().contains("holds no class folders"));
        assert!(folder(&root.path().join("no")).unwrap_err().to_string().ends_with("no is missing"));
    }
}

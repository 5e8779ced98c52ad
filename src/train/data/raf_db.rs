//! RAF-DB basic: `EmoLabel/list_patition_label.txt` (sic) and `Image/aligned/<name>_aligned.jpg`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lines::{Labelled, SEPARATORS, labelled};
use super::{DataError, PictureFiles, TrainingSet};
use crate::types::Split;

/// In the order of the list's ids 1 to 7.
const CLASSES: [&str; 7] = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"];

/// Reads RAF-DB's basic set. Lines are `train_00001.jpg 5`; separators may be blanks, tabs or a comma, and lists
/// written by spreadsheets or R are read too.
pub fn raf_db(root: &Path) -> Result<TrainingSet, DataError> {
    let list = root.join("EmoLabel/list_patition_label.txt");
    if !list.is_file() {
        return Err(DataError::Missing { layout: "raf-db", path: list });
    }
    let aligned = root.join("Image/aligned");
    let (mut paths, mut names, mut labels, mut splits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for line in labelled(&list)? {
        let bad = |problem: String| DataError::Line { path: list.clone(), line: line.number, problem };
        let (label, split) = parse(&line).map_err(bad)?;
        paths.push(picture_path(&aligned, &line.name));
        names.push(line.name);
        labels.push(label);
        splits.push(split);
    }
    let (pictures, remarks) = PictureFiles::listed("raf-db", paths)?;
    let pictures = pictures.with_listed_names(names);
    let set = TrainingSet {
        name: "raf-db".to_owned(),
        classes: CLASSES.map(str::to_owned).to_vec(),
        labels,
        splits,
        remarks,
        ..TrainingSet::of(Arc::new(pictures))
    };
    set.check()?;
    Ok(set)
}

fn parse(line: &Labelled) -> Result<(usize, Split), String> {
    let Labelled { name, label, .. } = line;
    if name.contains(SEPARATORS) {
        return Err(format!("'{name} {label}' is not 'NAME ID'"));
    }
    let label = match label {
        id @ 1..=7 => id - 1,
        id => return Err(format!("label '{id}' is not one of 1 to 7")),
    };
    let split = match name {
        name if name.starts_with("train") => Split::Train,
        name if name.starts_with("test") => Split::Test,
        _ => return Err(format!("'{name}' begins with neither 'train' nor 'test'")),
    };
    Ok((label, split))
}

/// The aligned picture; or one of the listed name, where they were renamed. The case of the extension does not matter.
fn picture_path(aligned: &Path, name: &str) -> PathBuf {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "jpg"));
    let usual = aligned.join(format!("{stem}_aligned.jpg"));
    let others = [aligned.join(format!("{stem}_aligned.{extension}")), aligned.join(name)];
    if usual.is_file() { usual } else { others.into_iter().find(|path| path.is_file()).unwrap_or(usual) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay_out(lines: &str, pictures: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["EmoLabel", "Image/aligned"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join("EmoLabel/list_patition_label.txt"), lines).unwrap();
        for picture in pictures {
            std::fs::write(root.path().join("Image/aligned").join(picture), b"x").unwrap();
        }
        root
    }

    /// SCN's public code fails on any other separator than a blank.
    #[test]
    fn ids_become_classes_with_any_separator() {
        let root =
            lay_out("train_1.jpg 5\ntest_2.jpg\t1\r\n", &["train_1_aligned.jpg", "test_2_aligned.jpg"]);
        let set = raf_db(root.path()).unwrap();
        assert_eq!(set.labels, [4, 0]);
        assert_eq!(set.classes[4], "sadness");
        assert_eq!(set.splits, [Split::Train, Split::Test]);
    }

    #[test]
    fn a_list_with_extensions_in_capitals_finds_its_pictures() {
        let pictures = ["train_1_aligned.jpg", "train_2_aligned.JPG", "train_3.JPG"];
        let root = lay_out("train_1.JPG 5\ntrain_2.JPG 1\ntrain_3.JPG 2\n", &pictures);
        let set = raf_db(root.path()).unwrap();
        for (sample, picture) in pictures.iter().enumerate() {
            assert!(set.pictures.name(sample).ends_with(picture), "{}", set.pictures.name(sample));
        }
        assert_eq!(set.pictures.listed_as(0), Some("train_1.JPG"));
    }

    #[test]
    fn a_wrong_id_names_its_line() {
        let root = lay_out("train_1.jpg 5\ntrain_2.jpg 8\n", &[]);
        let message = raf_db(root.path()).unwrap_err().to_string();
        assert!(message.ends_with("line 2: label '8' is not one of 1 to 7"), "{message}");
    }

    #[test]
    fn a_list_that_r_wrote_is_read() {
        let lines = "\"name\",\"label\"\n\"train_1.jpg\",\"5\"\n\"test_2.jpg\",\"1\"\n";
        let set = raf_db(lay_out(lines, &["train_1_aligned.jpg", "test_2_aligned.jpg"]).path()).unwrap();
        assert_eq!((set.labels, set.remarks), (vec![4, 0], Vec::new()));
    }

    #[test]
    fn missing_pictures_are_counted_and_too_many_of_them_refused() {
        let lines = "train_1.jpg 5\ntrain_2.jpg 1\ntest_3.jpg 1\n";
        let set = raf_db(lay_out(lines, &["train_1_aligned.jpg", "test_3_aligned.jpg"]).path()).unwrap();
        assert_eq!((set.labels.len(), set.remarks.len()), (3, 1), "it is left out when it is to be read");
        let remark = &set.remarks[0];
        assert!(remark.starts_with("raf-db: 1 of 3 listed pictures are missing; the first: "), "{remark}");
        let root = lay_out(lines, &["train_1_aligned.jpg"]);
        let message = raf_db(root.path()).unwrap_err().to_string();
        assert!(
            message.starts_with("raf-db: 2 of 3 listed pictures are missing, more than the 1 "),
            "{message}"
        );
    }
}

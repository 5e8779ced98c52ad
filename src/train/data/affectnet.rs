//! AffectNet: `training.csv`, `validation.csv` and the pictures that their first column names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DataError, PictureFiles, TrainingSet, read_text, separator};
use crate::types::Split;

/// In the order of the list's ids 0 to 7; 8 to 10 (none, uncertain, no face) are left out.
const CLASSES: [&str; 8] =
    ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"];
const FOLDERS: [&str; 3] = ["Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "."];

/// Reads AffectNet with 8 classes, or 7 without contempt. Its validation part, the one that papers report, is the test.
///
/// The CSV needs the columns `subDirectory_filePath` and `expression`; the lists lie in the folder itself or in
/// `Manually_Annotated_file_lists`. Pictures are taken as they are: whether they were cropped to the boxes of the columns
/// `face_x` to `face_height` already, as most copies are, no list tells. Whole photographs are to be cropped beforehand.
pub fn affectnet(root: &Path, seven_classes: bool) -> Result<TrainingSet, DataError> {
    let classes = if seven_classes { 7 } else { 8 };
    let (mut paths, mut labels, mut splits) = (Vec::new(), Vec::new(), Vec::new());
    for (file, split) in [("training.csv", Split::Train), ("validation.csv", Split::Test)] {
        let list = find_list(root, file)?;
        for (path, label) in read_list(&list, classes)? {
            paths.push(path);
            labels.push(label);
            splits.push(split);
        }
    }
    let Some(first) = paths.first() else {
        return Err(DataError::Empty { name: root.display().to_string(), what: "samples" });
    };
    let folder = FOLDERS.iter().map(|folder| root.join(folder)).find(|folder| folder.join(first).is_file());
    let folder = folder.unwrap_or_else(|| root.join(FOLDERS[0]));
    let paths: Vec<PathBuf> = paths.iter().map(|path| folder.join(path)).collect();
    let pictures = PictureFiles::listed("affectnet", paths)?;
    let set = TrainingSet {
        name: format!("affectnet-{classes}"),
        classes: CLASSES[..classes].iter().map(|&class| class.to_owned()).collect(),
        labels,
        splits,
        ..TrainingSet::of(Arc::new(pictures))
    };
    set.check()?;
    Ok(set)
}

fn find_list(root: &Path, file: &str) -> Result<PathBuf, DataError> {
    let places = [root.join(file), root.join("Manually_Annotated_file_lists").join(file)];
    match places.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(DataError::Missing { layout: "affectnet", path: root.join(file) }),
    }
}

fn read_list(list: &Path, classes: usize) -> Result<Vec<(PathBuf, usize)>, DataError> {
    let text = read_text(list)?;
    let bad = |line: usize, problem: String| DataError::Line { path: list.to_owned(), line, problem };
    let header = text.lines().next().unwrap_or_default().trim_end();
    let mark = separator(header);
    let header: Vec<&str> = header.split(mark).collect();
    let column = |name: &str| {
        header.iter().position(|title| *title == name).ok_or_else(|| bad(1, format!("no column '{name}'")))
    };
    let (path_column, label_column) = (column("subDirectory_filePath")?, column("expression")?);
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(mark).collect();
        let (Some(path), Some(id)) = (fields.get(path_column), fields.get(label_column)) else {
            return Err(bad(number + 1, format!("only {} columns", fields.len())));
        };
        match id.trim().parse::<usize>() {
            Ok(label) if label < classes => rows.push((PathBuf::from(path), label)),
            Ok(0..=10) => {}
            _ => return Err(bad(number + 1, format!("expression '{id}' is not one of 0 to 10"))),
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay_out(training: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let pictures = root.path().join("Manually_Annotated_Images/1");
        std::fs::create_dir_all(&pictures).unwrap();
        for name in ["a.jpg", "b.jpg"] {
            std::fs::write(pictures.join(name), b"x").unwrap();
        }
        let header = "subDirectory_filePath,face_x,expression\n";
        std::fs::write(root.path().join("training.csv"), format!("{header}{training}")).unwrap();
        std::fs::write(root.path().join("validation.csv"), format!("{header}1/b.jpg,0,3\n")).unwrap();
        root
    }

    #[test]
    fn ids_above_seven_are_left_out_and_validation_is_the_test() {
        let root = lay_out("1/a.jpg,0,7\n1/a.jpg,0,10\n1/a.jpg,0,0\n");
        let eight = affectnet(root.path(), false).unwrap();
        assert_eq!((eight.labels.clone(), eight.splits[2]), (vec![7, 0, 3], Split::Test));
        assert_eq!(affectnet(root.path(), true).unwrap().labels, [0, 3]);
    }

    /// A list with tabs; the landmarks' own semicolons part no columns where the head has none.
    #[test]
    fn the_head_says_what_parts_the_columns() {
        let root = lay_out("1/a.jpg,3;4;5,0\n");
        assert_eq!(affectnet(root.path(), false).unwrap().labels, [0, 3]);
        let tabs = "subDirectory_filePath\tface_x\texpression\r\n1/a.jpg\t0\t6\r\n";
        std::fs::write(root.path().join("training.csv"), tabs).unwrap();
        assert_eq!(affectnet(root.path(), false).unwrap().labels, [6, 3]);
    }

    #[test]
    fn an_impossible_id_names_its_line() {
        let root = lay_out("1/a.jpg,0,11\n");
        let message = affectnet(root.path(), false).unwrap_err().to_string();
        assert!(message.ends_with("line 2: expression '11' is not one of 0 to 10"), "{message}");
    }
}

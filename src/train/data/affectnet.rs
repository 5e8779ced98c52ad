//! AffectNet: `training.csv`, `validation.csv` and the pictures that they name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lines::{read_text, rows, rows_separated_by};
use super::{DataError, PictureFiles, TrainingSet};
use crate::types::Split;

/// Which of AffectNet's classes to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AffectnetClasses {
    /// All eight.
    Eight,
    /// Without contempt.
    Seven,
}

impl AffectnetClasses {
    fn count(self) -> usize {
        match self {
            Self::Eight => 8,
            Self::Seven => 7,
        }
    }
}

/// The columns of a list: path, box (4), landmarks, expression, valence, arousal.
const COLUMNS: usize = 9;
const PATH_COLUMN: usize = 0;
const LABEL_COLUMN: usize = 6;

/// In the order of the list's ids 0 to 7; 8 to 10 (none, uncertain, no face) are left out.
const CLASSES: [&str; 8] =
    ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"];
const FOLDERS: [&str; 3] = ["Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "."];
/// Number of pictures that are looked for in each of them.
const TRIED: usize = 100;

/// Reads AffectNet. Its validation part, on which papers report, becomes the test.
///
/// The lists need the columns `subDirectory_filePath` and `expression`, and are in the folder itself or in
/// `Manually_Annotated_file_lists`. Pictures are used as they are. In most copies they are cropped to the boxes of the
/// columns `face_x` to `face_height`; no list says so. Whole photographs must be cropped beforehand.
pub fn affectnet(root: &Path, classes: AffectnetClasses) -> Result<TrainingSet, DataError> {
    let classes = classes.count();
    let (mut paths, mut labels, mut splits) = (Vec::new(), Vec::new(), Vec::new());
    for (file, split) in [("training.csv", Split::Train), ("validation.csv", Split::Test)] {
        let list = find_list(root, file)?;
        for (path, label) in read_list(&list, classes)? {
            paths.push(path);
            labels.push(label);
            splits.push(split);
        }
    }
    if paths.is_empty() {
        return Err(DataError::Empty { name: root.display().to_string(), what: "samples" });
    }
    let folder = folder_of_pictures(root, &paths);
    let paths: Vec<PathBuf> = paths.iter().map(|path| folder.join(path)).collect();
    let (pictures, remarks) = PictureFiles::listed("affectnet", paths)?;
    let set = TrainingSet {
        name: format!("affectnet-{classes}"),
        classes: CLASSES[..classes].iter().map(|&class| class.to_owned()).collect(),
        labels,
        splits,
        remarks,
        ..TrainingSet::of(Arc::new(pictures))
    };
    set.check()?;
    Ok(set)
}

/// The folder that holds most of a sample of the listed pictures; the first of equals.
fn folder_of_pictures(root: &Path, paths: &[PathBuf]) -> PathBuf {
    let tried = || paths.iter().step_by(paths.len().div_ceil(TRIED).max(1));
    let found = |folder: &&str| tried().filter(|path| root.join(folder).join(path).is_file()).count();
    root.join(FOLDERS.iter().copied().rev().max_by_key(found).unwrap_or_default())
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
    let lacks_header = rows_separated_by(&text, ',').next().is_some_and(|(_, fields)| is_row(&fields));
    let mut rows: Box<dyn Iterator<Item = (usize, Vec<String>)>> =
        if lacks_header { Box::new(rows_separated_by(&text, ',')) } else { Box::new(rows(&text)) };
    let (path_column, label_column) = if lacks_header {
        (PATH_COLUMN, LABEL_COLUMN)
    } else {
        let (line, head) = rows.next().unwrap_or((1, Vec::new()));
        let column = |name: &str| {
            let place = head.iter().position(|title| title == name);
            place.ok_or_else(|| bad(line, format!("no column '{name}'")))
        };
        (column("subDirectory_filePath")?, column("expression")?)
    };
    let mut found = Vec::new();
    for (line, fields) in rows {
        let (Some(path), Some(id)) = (fields.get(path_column), fields.get(label_column)) else {
            return Err(bad(line, format!("only {} columns", fields.len())));
        };
        match id.parse::<usize>() {
            Ok(label) if label < classes => found.push((PathBuf::from(path), label)),
            Ok(0..=10) => {}
            _ => return Err(bad(line, format!("expression '{id}' is not one of 0 to 10"))),
        }
    }
    Ok(found)
}

/// Whether the first line of a list is no header: of some copies the validation list lacks it.
fn is_row(fields: &[String]) -> bool {
    let label = fields.get(LABEL_COLUMN).filter(|_| fields.len() == COLUMNS);
    label.is_some_and(|label| label.parse::<usize>().is_ok())
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
    fn ids_above_seven_are_left_out_and_validation_becomes_the_test() {
        let root = lay_out("1/a.jpg,0,7\n1/a.jpg,0,10\n1/a.jpg,0,0\n");
        let eight = affectnet(root.path(), AffectnetClasses::Eight).unwrap();
        assert_eq!((eight.labels.clone(), eight.splits[2]), (vec![7, 0, 3], Split::Test));
        assert_eq!(affectnet(root.path(), AffectnetClasses::Seven).unwrap().labels, [0, 3]);
    }

    /// Semicolons within a field (landmarks) separate no columns, since the header has none; another list has tabs.
    #[test]
    fn the_header_decides_what_separates_columns() {
        let root = lay_out("1/a.jpg,3;4;5,0\n");
        assert_eq!(affectnet(root.path(), AffectnetClasses::Eight).unwrap().labels, [0, 3]);
        let tabs = "subDirectory_filePath\tface_x\texpression\r\n1/a.jpg\t0\t6\r\n";
        std::fs::write(root.path().join("training.csv"), tabs).unwrap();
        assert_eq!(affectnet(root.path(), AffectnetClasses::Eight).unwrap().labels, [6, 3]);
    }

    #[test]
    fn a_validation_list_without_a_header_is_read() {
        let root = lay_out("1/a.jpg,0,7\n");
        let row = "1/b.jpg,1,2,30,30,3.5;4.5;5.5,2,0.1,-0.2\n";
        std::fs::write(root.path().join("validation.csv"), row).unwrap();
        assert_eq!(affectnet(root.path(), AffectnetClasses::Eight).unwrap().labels, [7, 2]);
    }

    #[test]
    fn a_list_with_quoted_fields_is_read() {
        let root = lay_out("\"1/a.jpg\",\"0\",\"7\"\n\"1/b.jpg\",\"0\",\"2\"\n");
        let list = std::fs::read_to_string(root.path().join("training.csv")).unwrap();
        let quoted = list.replacen("subDirectory_filePath,face_x", "\"subDirectory_filePath\",\"face_x\"", 1);
        std::fs::write(root.path().join("training.csv"), quoted).unwrap();
        assert_eq!(affectnet(root.path(), AffectnetClasses::Eight).unwrap().labels, [7, 2, 3]);
    }

    #[test]
    fn pictures_are_read_from_the_folder_that_holds_most_of_them() {
        for folder in FOLDERS {
            let root = lay_out("1/gone.jpg,0,1\n1/a.jpg,0,7\n1/b.jpg,0,2\n");
            let [usual, pictures] = [FOLDERS[0], folder].map(|folder| root.path().join(folder).join("1"));
            std::fs::create_dir_all(pictures.parent().unwrap()).unwrap();
            std::fs::rename(usual, &pictures).unwrap();
            let set = affectnet(root.path(), AffectnetClasses::Eight).unwrap();
            assert_eq!((set.len(), set.remarks.len()), (4, 1), "one is missing");
            assert_eq!(PathBuf::from(set.pictures.name(1)), pictures.join("a.jpg"));
        }
    }

    #[test]
    fn an_impossible_id_names_its_line() {
        let root = lay_out("1/a.jpg,0,11\n");
        let message = affectnet(root.path(), AffectnetClasses::Eight).unwrap_err().to_string();
        assert!(message.ends_with("line 2: expression '11' is not one of 0 to 10"), "{message}");
    }
}

//! FERPlus as microsoft/FERPlus lays it out: `fer2013new.csv` and `FER2013Train|Valid|Test/fer0000000.png`.

use std::path::Path;
use std::sync::Arc;

use super::{DataError, PictureFiles, TrainingSet, check_pictures, read_text, separator};
use crate::types::{Emotion, Split};

/// Which of FERPlus's usual protocols to read.
#[derive(Debug, Clone, Copy)]
pub struct FerplusOptions {
    /// Keep only pictures whose first class has more than half of the votes; else take the first class as it is.
    pub majority: bool,
    /// Leave contempt out, as seven-class papers do.
    pub seven_classes: bool,
    /// Train on the public validation part too, as SCN's authors did.
    pub merge_validation: bool,
}

impl Default for FerplusOptions {
    fn default() -> Self {
        Self { majority: true, seven_classes: false, merge_validation: false }
    }
}

/// Usage, file name, eight emotions in FERPlus order, unknown, not a face.
const COLUMNS: usize = 12;
/// The column after the emotions: `unknown`.
const EMOTIONS: usize = 8;

/// Reads FERPlus. Pictures whose most votes are `unknown` or `not a face` are left out, as are those without a name.
pub fn ferplus(root: &Path, options: FerplusOptions) -> Result<TrainingSet, DataError> {
    let list = root.join("fer2013new.csv");
    if !list.is_file() {
        return Err(DataError::Missing { layout: "ferplus", path: list });
    }
    let classes = if options.seven_classes { EMOTIONS - 1 } else { EMOTIONS };
    let (mut paths, mut labels, mut splits) = (Vec::new(), Vec::new(), Vec::new());
    let text = read_text(&list)?;
    let mark = separator(text.lines().next().unwrap_or_default());
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |problem: String| DataError::Line { path: list.clone(), line: number + 1, problem };
        let row = parse(line, mark).map_err(bad)?;
        let Some(label) = decide(&row.votes, options.majority).filter(|&label| label < classes) else {
            continue;
        };
        if row.file.is_empty() {
            continue;
        }
        paths.push(root.join(row.folder).join(row.file));
        labels.push(label);
        splits.push(match row.split {
            Split::Validation if options.merge_validation => Split::Train,
            split => split,
        });
    }
    check_pictures("ferplus", &paths)?;
    let set = TrainingSet {
        name: format!("ferplus-{classes}"),
        classes: Emotion::ALL[..classes].iter().map(ToString::to_string).collect(),
        labels,
        truth: None,
        splits,
        groups: None,
        sources: None,
        pictures: Arc::new(PictureFiles(paths)),
    };
    set.check()?;
    Ok(set)
}

struct Row<'a> {
    folder: &'static str,
    split: Split,
    file: &'a str,
    votes: Vec<u32>,
}

fn parse(line: &str, mark: char) -> Result<Row<'_>, String> {
    let fields: Vec<&str> = line.trim_end().split(mark).collect();
    if fields.len() != COLUMNS {
        return Err(format!("{} columns instead of {COLUMNS}", fields.len()));
    }
    let (folder, split) = match fields[0] {
        "Training" => ("FER2013Train", Split::Train),
        "PublicTest" => ("FER2013Valid", Split::Validation),
        "PrivateTest" => ("FER2013Test", Split::Test),
        other => return Err(format!("usage '{other}' is none of Training, PublicTest, PrivateTest")),
    };
    let votes = fields[2..].iter().map(|votes| votes.trim().parse()).collect::<Result<Vec<u32>, _>>();
    Ok(Row {
        folder,
        split,
        file: fields[1].trim(),
        votes: votes.map_err(|_| "a vote is no number".to_owned())?,
    })
}

/// The class with the most votes; `None` when that is no emotion, is shared, or lacks a majority that is asked for.
fn decide(votes: &[u32], majority: bool) -> Option<usize> {
    let most = *votes.iter().max()?;
    let total: u32 = votes.iter().sum();
    let mut firsts = (0..votes.len()).filter(|&class| votes[class] == most);
    let first = firsts.next()?;
    let clear = most > 0 && firsts.next().is_none() && (!majority || 2 * most > total);
    (clear && first < EMOTIONS).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_decide_and_ties_do_not() {
        assert_eq!(decide(&[6, 4, 0, 0, 0, 0, 0, 0, 0, 0], true), Some(0));
        assert_eq!(decide(&[5, 4, 1, 0, 0, 0, 0, 0, 0, 0], true), None, "five of ten are no majority");
        assert_eq!(decide(&[5, 4, 1, 0, 0, 0, 0, 0, 0, 0], false), Some(0));
        assert_eq!(decide(&[5, 5, 0, 0, 0, 0, 0, 0, 0, 0], false), None);
        assert_eq!(decide(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 9], false), None, "not a face");
    }

    #[test]
    fn a_vote_or_usage_that_is_none_is_said() {
        assert_eq!(parse("Training,a.png,x,0,0,0,0,0,0,0,0,0", ',').err().unwrap(), "a vote is no number");
        assert!(parse("Test,a.png,1,0,0,0,0,0,0,0,0,0", ',').err().unwrap().starts_with("usage 'Test'"));
        assert_eq!(parse("Training,a.png,1", ',').err().unwrap(), "3 columns instead of 12");
    }

    #[test]
    fn the_public_layout_is_read() {
        let root = tempfile::tempdir().unwrap();
        for (folder, file) in [("FER2013Train", "a.png"), ("FER2013Valid", "b.png"), ("FER2013Test", "c.png")]
        {
            std::fs::create_dir(root.path().join(folder)).unwrap();
            std::fs::write(root.path().join(folder).join(file), b"x").unwrap();
        }
        let csv = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n\
                   Training,a.png,0,10,0,0,0,0,0,0,0,0\nPublicTest,b.png,10,0,0,0,0,0,0,0,0,0\n\
                   PrivateTest,c.png,0,0,0,0,0,0,0,10,0,0\nTraining,,0,0,0,0,0,0,0,0,0,10\n";
        std::fs::write(root.path().join("fer2013new.csv"), csv).unwrap();
        let set = ferplus(root.path(), FerplusOptions::default()).unwrap();
        assert_eq!(set.labels, [1, 0, 7]);
        assert_eq!(set.splits, [Split::Train, Split::Validation, Split::Test]);
        // Saved again by a spreadsheet: a mark at the beginning, semicolons, an empty line at the end.
        let saved = format!("\u{feff}{}\r\n", csv.replace(',', ";"));
        std::fs::write(root.path().join("fer2013new.csv"), saved).unwrap();
        assert_eq!(ferplus(root.path(), FerplusOptions::default()).unwrap().labels, [1, 0, 7]);
        let options = FerplusOptions { seven_classes: true, merge_validation: true, ..Default::default() };
        let seven = ferplus(root.path(), options).unwrap();
        assert_eq!((seven.classes.len(), seven.splits), (7, vec![Split::Train, Split::Train]));
    }
}

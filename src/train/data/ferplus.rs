//! FERPlus as microsoft/FERPlus lays it out: `fer2013new.csv`, and `FER2013Train|Valid|Test/fer0000000.png` beside it
//! or in `data/`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lines::{read_text, rows};
use super::{DataError, PictureFiles, TrainingSet};
use crate::types::{Emotion, Split};

/// Which of the usual FERPlus protocols to follow.
#[derive(Debug, Clone, Copy)]
pub struct FerplusOptions {
    /// How votes become labels.
    pub labels: FerplusLabels,
    /// Leave out contempt, as papers with seven classes do.
    pub seven_classes: bool,
    /// Also train on the public validation part, as SCN's authors did.
    pub merge_validation: bool,
}

/// How the votes on a picture become a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FerplusLabels {
    /// The class with more than half of the votes that count; other pictures are left out.
    Majority,
    /// The class with the most votes; ties are left out.
    Argmax,
    /// The class with the most votes (in training, the first of a tie), with the shares of all emotions as target.
    Soft,
}

impl Default for FerplusOptions {
    fn default() -> Self {
        Self { labels: FerplusLabels::Majority, seven_classes: false, merge_validation: false }
    }
}

/// The folders of training, validation and test.
const PARTS: [&str; 3] = ["FER2013Train", "FER2013Valid", "FER2013Test"];
/// Usage, file name, eight emotions in FERPlus order, unknown, not a face.
const COLUMNS: usize = 12;
/// The column after the emotions: `unknown`.
const EMOTIONS: usize = 8;

/// Reads FERPlus as its authors' own reader does (microsoft/FERPlus, `ferplus.py`): a single vote for a class is an
/// outlier and does not count. Pictures with the most votes on `unknown` or `not a face` are left out, as are rows
/// without a file.
pub fn ferplus(root: &Path, options: FerplusOptions) -> Result<TrainingSet, DataError> {
    let list = root.join("fer2013new.csv");
    if !list.is_file() {
        return Err(DataError::Missing { layout: "ferplus", path: list });
    }
    let folder = folder_of_pictures(root);
    let classes = if options.seven_classes { EMOTIONS - 1 } else { EMOTIONS };
    let (mut paths, mut labels, mut splits, mut votes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let text = read_text(&list)?;
    for (place, (line, fields)) in rows(&text).enumerate() {
        if place == 0 && is_head(&fields) {
            continue;
        }
        let bad = |problem: String| DataError::Line { path: list.clone(), line, problem };
        let row = parse(&fields).map_err(bad)?;
        let split = match row.split {
            Split::Validation if options.merge_validation => Split::Train,
            split => split,
        };
        let label = decide(&row.votes, options.labels, split);
        let Some(label) = label.filter(|&label| label < classes) else { continue };
        if row.file.is_empty() {
            continue;
        }
        paths.push(folder.join(row.folder).join(row.file));
        labels.push(label);
        splits.push(split);
        votes.extend(shares(&row.votes[..classes]));
    }
    let (pictures, remarks) = PictureFiles::listed("ferplus", paths)?;
    let set = TrainingSet {
        name: format!("ferplus-{classes}"),
        classes: Emotion::ALL[..classes].iter().map(ToString::to_string).collect(),
        labels,
        votes: (options.labels == FerplusLabels::Soft).then_some(votes),
        splits,
        remarks,
        ..TrainingSet::of(Arc::new(pictures))
    };
    set.check()?;
    Ok(set)
}

/// A checkout of microsoft/FERPlus has the pictures in `data`.
fn folder_of_pictures(root: &Path) -> PathBuf {
    let data = root.join("data");
    let is_in = |folder: &Path| PARTS.iter().any(|part| folder.join(part).is_dir());
    if !is_in(root) && is_in(&data) { data } else { root.to_owned() }
}

struct Row<'a> {
    folder: &'static str,
    split: Split,
    file: &'a str,
    votes: Vec<u32>,
}

/// Whether no vote column holds a number.
fn is_head(fields: &[String]) -> bool {
    fields.iter().skip(2).all(|title| title.parse::<u32>().is_err())
}

fn parse(fields: &[String]) -> Result<Row<'_>, String> {
    if fields.len() != COLUMNS {
        return Err(format!("{} columns instead of {COLUMNS}", fields.len()));
    }
    let (folder, split) = match fields[0].as_str() {
        "Training" => (PARTS[0], Split::Train),
        "PublicTest" => (PARTS[1], Split::Validation),
        "PrivateTest" => (PARTS[2], Split::Test),
        other => return Err(format!("usage '{other}' is none of Training, PublicTest, PrivateTest")),
    };
    let counting = |votes: u32| if votes == 1 { 0 } else { votes };
    let votes = fields[2..].iter().map(|votes| votes.parse().map(counting));
    let votes = votes.collect::<Result<Vec<u32>, _>>();
    Ok(Row { folder, split, file: &fields[1], votes: votes.map_err(|_| "a vote is no number".to_owned())? })
}

/// The class with the most votes; `None` when that is no emotion, or not clear enough. Soft labels allow ties in
/// training, but not in evaluation.
fn decide(votes: &[u32], labels: FerplusLabels, split: Split) -> Option<usize> {
    let most = *votes.iter().max()?;
    let total: u32 = votes.iter().sum();
    let mut firsts = (0..votes.len()).filter(|&class| votes[class] == most);
    let first = firsts.next()?;
    let is_only = firsts.next().is_none();
    let is_clear = match labels {
        FerplusLabels::Majority => is_only && 2 * most > total,
        FerplusLabels::Argmax => is_only,
        FerplusLabels::Soft => is_only || split == Split::Train,
    };
    (most > 0 && is_clear && first < EMOTIONS).then_some(first)
}

/// Votes on emotions as shares of their sum.
fn shares(votes: &[u32]) -> impl Iterator<Item = f32> {
    let sum = votes.iter().sum::<u32>().max(1) as f32;
    votes.iter().map(move |&votes| votes as f32 / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_decide_and_ties_do_not() {
        use FerplusLabels::{Argmax, Majority, Soft};
        let decided = |votes: [u32; 10], labels| decide(&votes, labels, Split::Train);
        assert_eq!(decided([6, 4, 0, 0, 0, 0, 0, 0, 0, 0], Majority), Some(0));
        assert_eq!(decided([5, 3, 2, 0, 0, 0, 0, 0, 0, 0], Majority), None, "five of ten are no majority");
        assert_eq!(decided([5, 3, 2, 0, 0, 0, 0, 0, 0, 0], Argmax), Some(0));
        let tie = [5, 5, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!((decided(tie, Argmax), decided(tie, Soft)), (None, Some(0)));
        assert_eq!(decide(&tie, Soft, Split::Test), None, "evaluation needs a single label");
        for labels in [Majority, Argmax, Soft] {
            assert_eq!(decided([1, 0, 0, 0, 0, 0, 0, 0, 0, 9], labels), None, "not a face");
        }
    }

    fn fields(line: &str) -> Vec<String> {
        line.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn a_single_vote_for_a_class_does_not_count() {
        let voted = fields("Training,a.png,5,4,1,0,0,0,0,0,0,0");
        let row = parse(&voted).unwrap();
        assert_eq!(row.votes, [5, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(decide(&row.votes, FerplusLabels::Majority, row.split), Some(0), "five of nine");
        let voted = fields("Training,a.png,1,1,1,1,1,1,1,1,1,1");
        let row = parse(&voted).unwrap();
        assert_eq!(decide(&row.votes, FerplusLabels::Soft, row.split), None);
    }

    #[test]
    fn an_invalid_vote_or_usage_is_reported() {
        let refused = |line: &str| parse(&fields(line)).err().unwrap();
        assert_eq!(refused("Training,a.png,x,0,0,0,0,0,0,0,0,0"), "a vote is no number");
        assert!(refused("Test,a.png,1,0,0,0,0,0,0,0,0,0").starts_with("usage 'Test'"));
        assert_eq!(refused("Training,a.png,1"), "3 columns instead of 12");
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
        // As in a checkout: the pictures in `data/`.
        std::fs::create_dir(root.path().join("data")).unwrap();
        for part in PARTS {
            std::fs::rename(root.path().join(part), root.path().join("data").join(part)).unwrap();
        }
        assert_eq!(ferplus(root.path(), FerplusOptions::default()).unwrap().labels, [1, 0, 7]);
        // Saved by a spreadsheet: a byte order mark, semicolons, an empty line at the end.
        let saved = format!("\u{feff}{}\r\n", csv.replace(',', ";"));
        std::fs::write(root.path().join("fer2013new.csv"), saved).unwrap();
        assert_eq!(ferplus(root.path(), FerplusOptions::default()).unwrap().labels, [1, 0, 7]);
        let options = FerplusOptions { seven_classes: true, merge_validation: true, ..Default::default() };
        let seven = ferplus(root.path(), options).unwrap();
        assert_eq!((seven.classes.len(), seven.splits), (7, vec![Split::Train, Split::Train]));
        assert_eq!(seven.votes, None);
    }

    #[test]
    fn a_list_without_a_header_keeps_its_first_picture() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("FER2013Train")).unwrap();
        for file in ["a.png", "b.png"] {
            std::fs::write(root.path().join("FER2013Train").join(file), b"x").unwrap();
        }
        let csv =
            "\"Training\",\"a.png\",0,10,0,0,0,0,0,0,0,0\n\"Training\",\"b.png\",10,0,0,0,0,0,0,0,0,0\n";
        std::fs::write(root.path().join("fer2013new.csv"), csv).unwrap();
        let set = ferplus(root.path(), FerplusOptions::default()).unwrap();
        assert_eq!(set.labels, [1, 0]);
        assert!(set.pictures.name(0).ends_with("a.png"));
    }

    #[test]
    fn soft_labels_are_shares_of_the_emotions_until_the_label_changes() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("FER2013Train")).unwrap();
        std::fs::write(root.path().join("FER2013Train/a.png"), b"x").unwrap();
        let csv = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n\
                   Training,a.png,4,2,0,0,0,0,1,2,2,0\n";
        std::fs::write(root.path().join("fer2013new.csv"), csv).unwrap();
        let options = FerplusOptions { labels: FerplusLabels::Soft, ..Default::default() };
        let mut set = ferplus(root.path(), options).unwrap();
        assert_eq!(set.votes_of(0), Some([0.5, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25].as_slice()));
        set.set_label(0, 0);
        assert!(set.votes_of(0).is_some());
        set.set_label(0, 1);
        assert_eq!((set.labels[0], set.votes_of(0)), (1, None));
    }
}

//! Wrong labels on purpose, exact for each class and decided by a seed; and lists of noisy labels made elsewhere.

use std::collections::HashMap;
use std::path::Path;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{DataError, TrainingSet, read_text};
use crate::types::Split;

/// Where a wrong label goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoiseKind {
    /// To any other class, evenly.
    Symmetric,
    /// To the next class.
    Pair,
}

/// Makes `rate` (0 to 1) of each class's training labels wrong; `truth` keeps what they were.
///
/// The number is exact, ⌊rate·n + ½⌋ of each class; validation and test keep their labels.
pub fn add_noise(set: &mut TrainingSet, rate: f64, kind: NoiseKind, seed: u64) {
    let truth = set.truth.clone().unwrap_or_else(|| set.labels.clone());
    let classes = set.classes.len();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for class in 0..classes {
        let mut samples = set.of_split(Split::Train);
        samples.retain(|&sample| truth[sample] == class);
        samples.shuffle(&mut rng);
        let wrong = (samples.len() as f64 * rate).round() as usize;
        for &sample in samples.iter().take(wrong) {
            let step = match kind {
                NoiseKind::Symmetric => rng.random_range(1..classes),
                NoiseKind::Pair => 1,
            };
            set.set_label(sample, (class + step) % classes);
        }
    }
    set.truth = Some(truth);
}

/// Replaces training labels by those of a list of `NAME LABEL` lines (0-based); `truth` keeps what they were.
///
/// A name is a picture's file name, with as many of its folders as it takes to tell it from others; a list made elsewhere
/// may begin with folders of its own. Every training sample must be named, and no line may mean two of them.
pub fn read_noisy_labels(set: &mut TrainingSet, list: &Path) -> Result<(), DataError> {
    let lines = listed(list, set.classes.len())?;
    let mut by_file: HashMap<&str, Vec<&Listed>> = HashMap::new();
    for line in &lines {
        by_file.entry(file_name(&line.name)).or_default().push(line);
    }
    let mut taken: HashMap<usize, String> = HashMap::new();
    let truth = set.truth.clone().unwrap_or_else(|| set.labels.clone());
    for sample in set.of_split(Split::Train) {
        let name = set.pictures.name(sample);
        let line = by_file.get(file_name(&name)).and_then(|lines| nearest(lines, &name));
        let line = line.ok_or_else(|| DataError::NoLabel { path: list.to_owned(), name: name.clone() })?;
        if let Some(other) = taken.insert(line.number, name.clone()) {
            let problem = format!("'{}' may be {other} or {name}: write their folders too", line.name);
            return Err(DataError::Line { path: list.to_owned(), line: line.number, problem });
        }
        set.set_label(sample, line.label);
    }
    set.truth = Some(truth);
    Ok(())
}

/// A line of such a list.
struct Listed {
    /// One-based.
    number: usize,
    name: String,
    label: usize,
}

fn listed(list: &Path, classes: usize) -> Result<Vec<Listed>, DataError> {
    let mut lines = Vec::new();
    for (number, line) in read_text(list)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |problem: &str| DataError::Line {
            path: list.to_owned(),
            line: number + 1,
            problem: format!("{problem} in '{line}'"),
        };
        let (name, label) = line.trim_end().rsplit_once([' ', ',', '\t']).ok_or_else(|| bad("no label"))?;
        let label: usize = label.parse().map_err(|_| bad("no class index"))?;
        if label >= classes {
            return Err(bad("an unknown class"));
        }
        lines.push(Listed { number: number + 1, name: name.trim().to_owned(), label });
    }
    Ok(lines)
}

/// The line whose folders agree with a picture's the furthest, from the file upwards; the first of equals.
fn nearest<'a>(lines: &[&'a Listed], name: &str) -> Option<&'a Listed> {
    let agree = |line: &Listed| {
        let parts = line.name.rsplit('/').zip(name.rsplit('/'));
        parts.take_while(|(listed, own)| listed == own).count()
    };
    lines.iter().copied().rev().max_by_key(|line| agree(line))
}

fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::super::PictureFiles;
    use super::*;

    fn set() -> TrainingSet {
        let count = 300;
        TrainingSet {
            name: "drawn".to_owned(),
            classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
            labels: (0..count).map(|sample| if sample < 200 { 0 } else { 1 + sample % 2 }).collect(),
            splits: (0..count).map(|s| if s % 10 == 0 { Split::Test } else { Split::Train }).collect(),
            ..TrainingSet::of(Arc::new(PictureFiles::only_named(
                (0..count).map(|s| PathBuf::from(format!("d/{s}.png"))).collect(),
            )))
        }
    }

    #[test]
    fn each_class_gets_exactly_its_share_of_noise_and_the_test_none() {
        let clean = set();
        let mut noisy = set();
        add_noise(&mut noisy, 0.2, NoiseKind::Symmetric, 7);
        assert_eq!(noisy.truth.as_ref(), Some(&clean.labels));
        for class in 0..3 {
            let of_class: Vec<usize> =
                clean.of_split(Split::Train).into_iter().filter(|&s| clean.labels[s] == class).collect();
            let wrong = of_class.iter().filter(|&&s| noisy.labels[s] != class).count();
            assert_eq!(wrong, (of_class.len() as f64 * 0.2).round() as usize);
        }
        assert!(clean.of_split(Split::Test).iter().all(|&s| noisy.labels[s] == clean.labels[s]));
    }

    #[test]
    fn the_seed_decides_which() {
        let noisy = |seed| {
            let mut set = set();
            add_noise(&mut set, 0.3, NoiseKind::Pair, seed);
            set.labels
        };
        assert_eq!(noisy(1), noisy(1));
        assert_ne!(noisy(1), noisy(2));
        let moved = |(&label, &truth): (&usize, &usize)| label == truth || label == (truth + 1) % 3;
        assert!(noisy(1).iter().zip(&set().labels).all(moved), "pair noise goes to the next class only");
    }

    /// Trap 13: the shipped lists hold whole paths and no test lines.
    #[test]
    fn a_list_with_whole_paths_and_without_test_lines_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("noise.txt");
        let mut noisy = set();
        let lines: String =
            noisy.of_split(Split::Train).iter().map(|s| format!("/elsewhere/{s}.png 2\n")).collect();
        std::fs::write(&list, lines).unwrap();
        read_noisy_labels(&mut noisy, &list).unwrap();
        assert_eq!(noisy.class_counts(Split::Train), [0, 0, 270]);
        assert_eq!(noisy.class_counts(Split::Test)[0], 20);
    }

    fn numbered_by_class() -> TrainingSet {
        let paths = ["d/a/0.png", "d/a/1.png", "d/b/0.png", "d/b/1.png"].map(PathBuf::from);
        TrainingSet {
            name: "drawn".to_owned(),
            classes: ["a", "b"].map(str::to_owned).to_vec(),
            labels: vec![0, 0, 1, 1],
            splits: vec![Split::Train; 4],
            ..TrainingSet::of(Arc::new(PictureFiles::only_named(paths.to_vec())))
        }
    }

    /// Pictures are most often numbered anew in each class's folder.
    #[test]
    fn pictures_of_one_name_are_told_apart_by_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("noise.txt");
        std::fs::write(&list, "b/1.png 0\nb/0.png 1\ntrain/a/1.png 1\na/0.png 0\n").unwrap();
        let mut set = numbered_by_class();
        read_noisy_labels(&mut set, &list).unwrap();
        assert_eq!((set.labels, set.truth), (vec![0, 1, 1, 0], Some(vec![0, 0, 1, 1])));
    }

    #[test]
    fn a_name_that_may_be_either_of_two_pictures_is_refused_and_so_is_a_picture_without_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("noise.txt");
        let refused = |text: &str| {
            std::fs::write(&list, text).unwrap();
            read_noisy_labels(&mut numbered_by_class(), &list).unwrap_err().to_string()
        };
        let error = refused("0.png 0\n1.png 1\n");
        assert!(
            error.ends_with("line 1: '0.png' may be d/a/0.png or d/b/0.png: write their folders too"),
            "{error}"
        );
        let error = refused("0.png 0\n");
        assert!(error.ends_with("has no label for d/a/1.png"), "{error}");
    }
}

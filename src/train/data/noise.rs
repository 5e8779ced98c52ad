//! Wrong labels on purpose, exact for each class and decided by a seed; and lists of noisy labels made elsewhere.

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
/// A name is a picture's file name, with or without folders. Every training sample must be named.
pub fn read_noisy_labels(set: &mut TrainingSet, list: &Path) -> Result<(), DataError> {
    let mut by_name = std::collections::HashMap::new();
    for (number, line) in read_text(list)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |problem: &str| DataError::Line {
            path: list.to_owned(),
            line: number + 1,
            problem: format!("{problem} in '{line}'"),
        };
        let (name, label) = line.trim_end().rsplit_once([' ', ',', '\t']).ok_or_else(|| bad("no label"))?;
        let label: usize = label.parse().map_err(|_| bad("no class index"))?;
        if label >= set.classes.len() {
            return Err(bad("an unknown class"));
        }
        by_name.insert(last_part(name.trim()), label);
    }
    let truth = set.truth.clone().unwrap_or_else(|| set.labels.clone());
    for sample in set.of_split(Split::Train) {
        let name = last_part(&set.pictures.name(sample));
        let label = by_name.get(&name).ok_or_else(|| DataError::Line {
            path: list.to_owned(),
            line: by_name.len(),
            problem: format!("no label for '{name}'"),
        })?;
        set.set_label(sample, *label);
    }
    set.truth = Some(truth);
    Ok(())
}

fn last_part(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_owned()
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
}

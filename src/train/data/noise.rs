//! Label noise for experiments: an exact share of each class, chosen by a seed; or a list of noisy labels from
//! elsewhere.

use std::collections::HashMap;
use std::path::Path;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::lines::{Labelled, labelled};
use super::{DataError, TrainingSet};
use crate::types::Split;

/// What a wrong label becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoiseKind {
    /// Any other class, uniformly.
    Symmetric,
    /// The next class.
    Pair,
}

/// Makes a share `rate` (0 to 1) of each class's training labels wrong; `truth` keeps the old labels.
///
/// The number is exact, ⌊rate·n + ½⌋ of each class; validation and test keep their labels. Where clips are known, whole
/// clips are counted and made wrong, as in web labels: a clip of mostly right frames would give its wrong ones away.
pub fn add_noise(set: &mut TrainingSet, rate: f64, kind: NoiseKind, seed: u64) {
    let truth = set.truth.clone().unwrap_or_else(|| set.labels.clone());
    let classes = set.classes.len();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for class in 0..classes {
        let mut units = clips_of_class(set, &truth, class);
        units.shuffle(&mut rng);
        let wrong = (units.len() as f64 * rate).round() as usize;
        for unit in units.iter().take(wrong) {
            let step = match kind {
                NoiseKind::Symmetric => rng.random_range(1..classes),
                NoiseKind::Pair => 1,
            };
            unit.iter().for_each(|&sample| set.set_label(sample, (class + step) % classes));
        }
    }
    set.truth = Some(truth);
}

/// The training samples of a class by clip, in the order of the set; each for itself where no clips are known.
fn clips_of_class(set: &TrainingSet, truth: &[usize], class: usize) -> Vec<Vec<usize>> {
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut place_of: HashMap<u64, usize> = HashMap::new();
    for sample in set.of_split(Split::Train).into_iter().filter(|&sample| truth[sample] == class) {
        let clip = set.groups.as_ref().map_or(sample as u64, |clips| clips[sample]);
        let place = *place_of.entry(clip).or_insert(units.len());
        if place == units.len() {
            units.push(Vec::new());
        }
        units[place].push(sample);
    }
    units
}

/// Replaces the training labels by those of a list of `NAME LABEL` lines; `truth` keeps the old labels.
///
/// A name is a picture's file name, or its name in the set's own list, preceded by as many folders as make it unique;
/// it may begin with other folders. Every training sample must be named, no line may match two of them, and no sample
/// may be given two labels. Labels number the classes from 0; from 1 if none is 0 and more of them then agree with the
/// old labels.
///
/// # Errors
/// [`DataError::Unlike`] when the list agrees with the set less than by chance, or when most samples are of classes
/// that it gives another label more often than their own: it numbers the classes in another order.
pub fn read_noisy_labels(set: &mut TrainingSet, list: &Path) -> Result<(), DataError> {
    let lines = labelled(list)?;
    let found = lines_of_samples(set, list, &lines)?;
    let truth = set.truth.clone().unwrap_or_else(|| set.labels.clone());
    let alike = |first: usize| found.iter().filter(|(at, line)| line.label == truth[*at] + first).count();
    let first = usize::from(lines.iter().all(|line| line.label > 0) && alike(1) > alike(0));
    let classes = first..set.classes.len() + first;
    if let Some(line) = lines.iter().find(|line| !classes.contains(&line.label)) {
        let last = classes.end - 1;
        let problem = format!("class {} of '{}' is not one of {first} to {last}", line.label, line.name);
        return Err(DataError::Line { path: list.to_owned(), line: line.number, problem });
    }
    let alike = alike(first);
    let pairs = found.iter().map(|(at, line)| (truth[*at], line.label - first));
    if alike * set.classes.len() < found.len() || 2 * renamed(pairs, set.classes.len()) > found.len() {
        let differ = found.len() - alike;
        let counted = set.classes.iter().zip(first..).map(|(class, number)| format!("{number} {class}"));
        let classes = counted.collect::<Vec<_>>().join(", ");
        return Err(DataError::Unlike { path: list.to_owned(), differ, of: found.len(), classes });
    }
    for (sample, line) in found {
        set.set_label(sample, line.label - first);
    }
    set.truth = Some(truth);
    Ok(())
}

/// Counts the pairs (class, label in the list) of classes that are given another label more often than their own.
/// (However many labels are made wrong at random, each class keeps its own label more often than it gets any other
/// one.)
fn renamed(pairs: impl Iterator<Item = (usize, usize)>, classes: usize) -> usize {
    let mut counts = vec![vec![0; classes]; classes];
    pairs.for_each(|(class, called)| counts[class][called] += 1);
    let is_renamed =
        |(class, called): &(usize, &Vec<usize>)| called.iter().any(|&count| count > called[*class]);
    counts.iter().enumerate().filter(is_renamed).map(|(_, called)| called.iter().sum::<usize>()).sum()
}

/// Each training sample with its line.
fn lines_of_samples<'a>(
    set: &TrainingSet,
    list: &Path,
    lines: &'a [Labelled],
) -> Result<Vec<(usize, &'a Labelled)>, DataError> {
    let bad = |line: &Labelled, problem: String| DataError::Line {
        path: list.to_owned(),
        line: line.number,
        problem,
    };
    let mut by_file: HashMap<&str, Vec<&Labelled>> = HashMap::new();
    for line in lines {
        by_file.entry(file_name(&line.name)).or_default().push(line);
    }
    let mut taken: HashMap<usize, String> = HashMap::new();
    let mut found = Vec::new();
    for sample in set.of_split(Split::Train) {
        let name = set.pictures.name(sample);
        let names = [Some(name.as_str()), set.pictures.listed_as(sample)];
        let of_name = |name: &str| Some(nearest(by_file.get(file_name(name))?, name));
        let meant = names.into_iter().flatten().find_map(of_name).unwrap_or_default();
        let Some((&line, others)) = meant.split_first() else {
            return Err(DataError::NoLabel { path: list.to_owned(), name });
        };
        if let Some(&other) = others.iter().find(|other| other.label != line.label) {
            let (label, first) = (other.label, line.label);
            let problem = format!("{name} has label {label} here, and {first} in line {}", line.number);
            return Err(bad(other, problem));
        }
        if let Some(other) = taken.insert(line.number, name.clone()) {
            let problem = format!("'{}' may be {other} or {name}: write their folders too", line.name);
            return Err(bad(line, problem));
        }
        found.push((sample, line));
    }
    Ok(found)
}

/// The lines whose folders agree with a picture's furthest, from the file upwards.
fn nearest<'a>(lines: &[&'a Labelled], name: &str) -> Vec<&'a Labelled> {
    let agree = |line: &Labelled| {
        let parts = line.name.rsplit('/').zip(name.rsplit('/'));
        parts.take_while(|(listed, own)| listed == own).count()
    };
    let furthest = lines.iter().map(|line| agree(line)).max();
    lines.iter().copied().filter(|line| Some(agree(line)) == furthest).collect()
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
    fn each_class_gets_its_exact_share_of_noise_and_the_test_gets_none() {
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
    fn the_frames_of_a_clip_are_wrong_together() {
        let clean = set();
        let clips: Vec<u64> = (0..clean.len() as u64).map(|sample| sample / 5).collect();
        let mut noisy = TrainingSet { groups: Some(clips.clone()), ..set() };
        add_noise(&mut noisy, 0.2, NoiseKind::Symmetric, 7);
        let mut of_class_0: Vec<(u64, bool)> = noisy
            .of_split(Split::Train)
            .into_iter()
            .filter(|&sample| clean.labels[sample] == 0)
            .map(|sample| (clips[sample], noisy.labels[sample] != 0))
            .collect();
        of_class_0.dedup();
        assert_eq!(of_class_0.len(), 40, "no clip has two labels");
        assert_eq!(of_class_0.iter().filter(|(_, is_wrong)| *is_wrong).count(), 8);
    }

    #[test]
    fn the_seed_decides_which_labels_are_wrong() {
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

    /// The lists shipped with SCN's public code have absolute paths and no test lines.
    #[test]
    fn a_list_with_absolute_paths_and_without_test_lines_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("noise.txt");
        let mut noisy = set();
        let train = noisy.of_split(Split::Train);
        let lines: String = train.iter().map(|s| format!("/elsewhere/{s}.png {}\n", s / 100)).collect();
        std::fs::write(&list, lines).unwrap();
        read_noisy_labels(&mut noisy, &list).unwrap();
        assert_eq!(noisy.class_counts(Split::Train), [90, 90, 90]);
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

    fn read(text: &str, set: &mut TrainingSet) -> Result<(), DataError> {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("noise.txt");
        std::fs::write(&list, text).unwrap();
        read_noisy_labels(set, &list)
    }

    /// RAF-DB numbers classes from 1 and its names differ from the file names; lists published for it do the same.
    #[test]
    fn a_list_may_use_the_names_and_the_numbers_of_the_set_s_own_list() {
        let paths =
            ["i/1_aligned.jpg", "i/2_aligned.jpg", "i/3_aligned.jpg", "i/4_aligned.jpg"].map(PathBuf::from);
        let names = ["1.jpg", "2.jpg", "3.jpg", "4.jpg"].map(str::to_owned);
        let files = PictureFiles::only_named(paths.to_vec()).with_listed_names(names.to_vec());
        let set = TrainingSet {
            name: "raf-db".to_owned(),
            classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
            labels: vec![0, 1, 1, 0],
            splits: vec![Split::Train; 4],
            ..TrainingSet::of(Arc::new(files))
        };
        for (text, labels) in [
            ("1.jpg 1\n2.jpg 2\n3.jpg 1\n4.jpg 1\n", [0, 1, 0, 0]),
            ("1_aligned.jpg 0\n2_aligned.jpg 1\n3_aligned.jpg 2\n4_aligned.jpg 0\n", [0, 1, 2, 0]),
        ] {
            let mut set = set.clone();
            read(text, &mut set).unwrap();
            assert_eq!(set.labels, labels, "{text}");
        }
    }

    #[test]
    fn commas_semicolons_and_backslashes_are_read() {
        for text in [
            "a/0.png, 0\na/1.png, 1\nb/0.png, 1\nb/1.png, 1\n",
            "a/0.png;0\na/1.png;1\nb/0.png;1\nb/1.png;1\n",
            "C:\\a\\0.png\t0\r\nC:\\a\\1.png\t1\r\nC:\\b\\0.png\t1\r\nC:\\b\\1.png\t1\r\n",
        ] {
            let mut set = numbered_by_class();
            read(text, &mut set).unwrap();
            assert_eq!(set.labels, [0, 1, 1, 1], "{text}");
        }
    }

    #[test]
    fn a_list_may_be_mostly_wrong_at_random_but_not_number_classes_in_another_order() {
        let mut noisy = set();
        add_noise(&mut noisy, 0.6, NoiseKind::Symmetric, 7);
        let lines = |label: &dyn Fn(usize) -> usize| -> String {
            let of_train = noisy.of_split(Split::Train).into_iter();
            of_train.map(|sample| format!("{sample}.png {}\n", label(sample))).collect()
        };
        let mut found = set();
        read(&lines(&|sample| noisy.labels[sample]), &mut found).unwrap();
        assert_eq!(found.labels, noisy.labels);
        // The last two of three classes, with more than half of the samples, are swapped.
        let labels: Vec<usize> = (0..found.len()).map(|sample| [1, 0, 0, 1, 2][sample % 5]).collect();
        let mut other = TrainingSet { labels: labels.clone(), ..set() };
        let error = read(&lines(&|sample| [0, 2, 1][labels[sample]]), &mut other).unwrap_err();
        assert!(error.to_string().contains("gives 150 of 270 training samples another label"), "{error}");
    }

    #[test]
    fn a_list_that_changes_most_labels_is_refused() {
        let error =
            read("a/0.png 1\na/1.png 1\nb/0.png 0\nb/1.png 1\n", &mut numbered_by_class()).unwrap_err();
        assert!(
            error.to_string().ends_with("gives 3 of 4 training samples another label than the set itself")
        );
        assert_eq!(error.failure().hint.as_deref(), Some("classes are counted as 0 a, 1 b"));
        let error =
            read("a/0.png 0\na/1.png 0\nb/0.png 1\nb/1.png 2\n", &mut numbered_by_class()).unwrap_err();
        assert!(error.to_string().ends_with("line 4: class 2 of 'b/1.png' is not one of 0 to 1"), "{error}");
    }

    /// Pictures are usually numbered from 0 in each class's folder.
    #[test]
    fn pictures_with_the_same_name_are_distinguished_by_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("noise.txt");
        std::fs::write(&list, "b/1.png 0\nb/0.png 1\ntrain/a/1.png 1\na/0.png 0\n").unwrap();
        let mut set = numbered_by_class();
        read_noisy_labels(&mut set, &list).unwrap();
        assert_eq!((set.labels, set.truth), (vec![0, 1, 1, 0], Some(vec![0, 0, 1, 1])));
    }

    #[test]
    fn a_picture_may_be_listed_twice_but_not_with_two_labels() {
        let lines = "a/0.png 0\na/1.png 0\nb/0.png 1\nb/1.png 1\n";
        let error = read(&format!("{lines}a/1.png 1\n"), &mut numbered_by_class()).unwrap_err().to_string();
        assert!(error.ends_with("line 5: d/a/1.png has label 1 here, and 0 in line 2"), "{error}");
        let mut set = numbered_by_class();
        read(&format!("image,class\n{lines}a/1.png 0\n"), &mut set).unwrap();
        assert_eq!(set.labels, [0, 0, 1, 1]);
    }

    #[test]
    fn an_ambiguous_name_is_refused_and_so_is_a_picture_without_a_line() {
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

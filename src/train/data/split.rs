//! Holding out training samples for validation, by class and by group, chosen by a seed.

use std::collections::BTreeMap;
use std::ops::Range;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::TrainingSet;
use crate::types::Split;
use crate::words;

impl TrainingSet {
    /// Moves `share` (0 to 1) of each class's training samples to validation, in each set without a validation part (of
    /// joined sets, each by itself). A source (else a group) is never divided; it counts for the class of its first
    /// sample. Where no class has enough of them, nothing is held out, and a remark says so.
    pub fn hold_out_validation(&mut self, share: f64, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut first = 0;
        for count in self.parts() {
            let part = first..first + count;
            first = part.end;
            if share > 0.0 && !self.splits[part.clone()].contains(&Split::Validation) {
                self.hold_out_of(part, share, &mut rng);
            }
        }
        if share > 0.0 && !self.splits.contains(&Split::Validation) {
            self.remarks.push(format!(
                "{}: no class has enough training samples to hold {} of them out for validation; the last epoch counts \
                 as the best",
                self.name,
                words::share(share)
            ));
        } else if share > 0.0 {
            self.remark_classes_without_validation();
        }
    }

    fn remark_classes_without_validation(&mut self) {
        let (training, held_out) = (self.class_counts(Split::Train), self.class_counts(Split::Validation));
        let counts = self.classes.iter().zip(training.iter().zip(&held_out));
        let without: Vec<&str> = counts
            .filter(|(_, (training, held_out))| **training > 0 && **held_out == 0)
            .map(|(class, _)| class.as_str())
            .collect();
        if !without.is_empty() {
            let without = without.join(", ");
            self.remarks.push(format!(
                "{}: too few to hold any out for validation, which judges the epochs without them: {without}",
                self.name
            ));
        }
    }

    /// The sizes of the sets that were joined; of a single set, its own.
    pub(super) fn parts(&self) -> Vec<usize> {
        if self.joined.is_empty() { vec![self.len()] } else { self.joined.clone() }
    }

    fn hold_out_of(&mut self, part: Range<usize>, share: f64, rng: &mut ChaCha8Rng) {
        let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for sample in part.filter(|&sample| self.splits[sample] == Split::Train) {
            let group = self.together().map_or(sample as u64, |units| units[sample]);
            groups.entry(group).or_default().push(sample);
        }
        let mut by_class: Vec<Vec<Vec<usize>>> = vec![Vec::new(); self.classes.len()];
        for samples in groups.into_values() {
            by_class[self.labels[samples[0]]].push(samples);
        }
        for class in &mut by_class {
            class.shuffle(rng);
            let wanted = (class.len() as f64 * share).round() as usize;
            for &sample in class.iter().take(wanted).flatten() {
                self.splits[sample] = Split::Validation;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{PictureFiles, unite};
    use super::*;

    fn set(count: usize) -> TrainingSet {
        TrainingSet {
            name: "drawn".to_owned(),
            classes: vec!["a".to_owned(), "b".to_owned()],
            labels: (0..count).map(|sample| usize::from(sample % 8 >= 6)).collect(),
            splits: vec![Split::Train; count],
            groups: Some((0..count as u64).map(|sample| sample / 2).collect()),
            ..TrainingSet::of(Arc::new(PictureFiles::only_named(vec![Default::default(); count])))
        }
    }

    #[test]
    fn validation_takes_its_share_of_each_class_and_splits_no_group() {
        let mut set = set(80);
        set.hold_out_validation(0.2, 5);
        assert_eq!(set.class_counts(Split::Validation), [12, 4]);
        assert!(set.splits.chunks(2).all(|clip| clip[0] == clip[1]));
    }

    #[test]
    fn a_remark_says_that_nothing_could_be_held_out() {
        let mut few = set(8);
        few.hold_out_validation(0.1, 5);
        assert_eq!(few.class_counts(Split::Validation), [0, 0]);
        let remark = "drawn: no class has enough training samples to hold 10.0 % of them out for validation";
        assert!(few.remarks[0].starts_with(remark), "{:?}", few.remarks);
        let mut asked_for = set(8);
        asked_for.hold_out_validation(0.0, 5);
        assert!(asked_for.remarks.is_empty());
    }

    /// Another set's validation part says nothing about this set.
    #[test]
    fn each_joined_set_without_a_validation_part_gets_one() {
        let mut with = set(16);
        with.splits[3] = Split::Validation;
        let mut joined = unite(vec![set(80), with, set(40)]).unwrap();
        joined.hold_out_validation(0.2, 5);
        let held = |part: Range<usize>| {
            joined.splits[part].iter().filter(|split| **split == Split::Validation).count()
        };
        assert_eq!([held(0..80), held(80..96), held(96..136)], [16, 1, 8]);
    }
}

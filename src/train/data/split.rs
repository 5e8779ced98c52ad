//! Holding a validation part out of the training samples, by class and by group, decided by a seed.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::TrainingSet;
use crate::types::Split;

impl TrainingSet {
    /// Moves `share` (0 to 1) of each class's training samples to validation, where the set has no validation part.
    /// Sources (else groups) stay whole: one goes where its first sample's class puts it.
    pub fn hold_out_validation(&mut self, share: f64, seed: u64) {
        if share <= 0.0 || self.splits.contains(&Split::Validation) {
            return;
        }
        let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for sample in self.of_split(Split::Train) {
            let group = self.together().map_or(sample as u64, |units| units[sample]);
            groups.entry(group).or_default().push(sample);
        }
        let mut by_class: Vec<Vec<Vec<usize>>> = vec![Vec::new(); self.classes.len()];
        for samples in groups.into_values() {
            by_class[self.labels[samples[0]]].push(samples);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for class in &mut by_class {
            class.shuffle(&mut rng);
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

    use super::super::PictureFiles;
    use super::*;

    #[test]
    fn validation_takes_its_share_of_each_class_and_splits_no_group() {
        let count = 80;
        let mut set = TrainingSet {
            name: "drawn".to_owned(),
            classes: vec!["a".to_owned(), "b".to_owned()],
            labels: (0..count).map(|sample| usize::from(sample % 8 >= 6)).collect(),
            splits: vec![Split::Train; count],
            groups: Some((0..count as u64).map(|sample| sample / 2).collect()),
            ..TrainingSet::of(Arc::new(PictureFiles::only_named(vec![Default::default(); count])))
        };
        set.hold_out_validation(0.2, 5);
        assert_eq!(set.class_counts(Split::Validation), [12, 4]);
        assert!(set.splits.chunks(2).all(|clip| clip[0] == clip[1]));
    }
}

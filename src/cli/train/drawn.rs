//! Drawn faces as a data set, for noise experiments without a licence-gated download.

use std::io;
use std::sync::Arc;

use crate::demo::portraits::{Difficulty, Portraits};
use crate::train::data::{Identity, Pictures, TrainingSet, identity_of};
use crate::types::{Emotion, Split};

/// One in five portraits is a test sample.
const TEST_EVERY: usize = 5;
/// The seed of the portraits; noise and training have their own.
const SEED: u64 = 1;

/// The portraits of a difficulty: easy, 2,000 to train and 500 to test; hard, 4,000 and 1,000.
pub(super) fn drawn(difficulty: Difficulty) -> TrainingSet {
    let (word, count) = match difficulty {
        Difficulty::Easy => ("easy", 2_500),
        Difficulty::Hard => ("hard", 5_000),
    };
    let portraits = Portraits::new(difficulty, count, SEED);
    let split = |sample| if sample % TEST_EVERY == 0 { Split::Test } else { Split::Train };
    TrainingSet {
        name: format!("drawn-{word}"),
        classes: Emotion::ALL.iter().map(Emotion::to_string).collect(),
        labels: portraits.emotions().iter().map(|emotion| emotion.index()).collect(),
        splits: (0..count).map(split).collect(),
        ..TrainingSet::of(Arc::new(Drawn(portraits)))
    }
}

struct Drawn(Portraits);

impl Pictures for Drawn {
    fn len(&self) -> usize {
        self.0.emotions().len()
    }

    fn encoded(&self, index: usize) -> io::Result<Vec<u8>> {
        Ok(self.0.png(index))
    }

    fn name(&self, index: usize) -> String {
        format!("portrait {index}")
    }

    /// Of the first picture only: the others are drawn by the same code from the same seed.
    fn identity(&self) -> Identity {
        identity_of(self.0.png(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_hard_portraits_are_as_unbalanced_as_in_ferplus_and_easy_ones_balanced() {
        let hard = drawn(Difficulty::Hard);
        hard.check().unwrap();
        let counts = hard.class_counts(Split::Train);
        assert!(counts[0] > 20 * counts[5], "{counts:?}");
        assert_eq!((hard.of_split(Split::Train).len(), hard.of_split(Split::Test).len()), (4_000, 1_000));
        let counts = drawn(Difficulty::Easy).class_counts(Split::Train);
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() < 60, "{counts:?}");
    }

    #[test]
    fn a_portrait_is_reproducible_and_differs_from_another() {
        let set = drawn(Difficulty::Hard);
        let picture = |index| set.pictures.encoded(index).unwrap();
        assert_eq!(picture(7), picture(7));
        assert_ne!(picture(7), picture(8));
        assert_eq!(image::load_from_memory(&picture(7)).unwrap().width(), 48);
    }
}

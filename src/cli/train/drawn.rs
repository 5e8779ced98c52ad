//! Drawn faces as a data set: noise experiments for everybody, without a licence-gated download.

use std::io;
use std::sync::Arc;

use crate::demo::portraits::{Difficulty, Portraits};
use crate::train::data::{Identity, Pictures, TrainingSet, identity_of};
use crate::types::{Emotion, Split};

/// One in five portraits is for the test.
const TEST_EVERY: usize = 5;
/// Decides who is drawn; noise and training have seeds of their own.
const SEED: u64 = 1;

/// Portraits of a difficulty: 2,000 and 500 easy ones for training and for the test, 4,000 and 1,000 hard ones.
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

    /// From one picture: the others are drawn by the same code from the same seed.
    fn identity(&self) -> Identity {
        identity_of(self.0.png(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_portraits_are_as_unequal_as_ferplus_and_easy_ones_equal() {
        let hard = drawn(Difficulty::Hard);
        hard.check().unwrap();
        let counts = hard.class_counts(Split::Train);
        assert!(counts[0] > 20 * counts[5], "{counts:?}");
        assert_eq!((hard.of_split(Split::Train).len(), hard.of_split(Split::Test).len()), (4_000, 1_000));
        let counts = drawn(Difficulty::Easy).class_counts(Split::Train);
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() < 60, "{counts:?}");
    }

    #[test]
    fn a_portrait_is_the_same_again_and_another_one_is_another() {
        let set = drawn(Difficulty::Hard);
        let picture = |index| set.pictures.encoded(index).unwrap();
        assert_eq!(picture(7), picture(7));
        assert_ne!(picture(7), picture(8));
        assert_eq!(image::load_from_memory(&picture(7)).unwrap().width(), 48);
    }
}

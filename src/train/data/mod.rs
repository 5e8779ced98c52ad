//! Training sets: labels, splits and encoded pictures; one file for each layout on disk. It knows no net, and decodes
//! nothing.

mod affectnet;
mod classes;
mod error;
mod ferplus;
mod folder;
mod lines;
mod noise;
mod pictures;
mod raf_db;
mod split;
mod unite;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::files::hex;
use crate::types::Split;

pub use affectnet::{AffectnetClasses, affectnet};
pub(crate) use classes::known_by;
pub use error::DataError;
pub use ferplus::{FerplusLabels, FerplusOptions, ferplus};
pub use folder::folder;
pub use noise::{NoiseKind, add_noise, read_noisy_labels};
pub(in crate::train) use pictures::most_unreadable;
pub use pictures::{Identity, PictureFiles, Pictures};
pub(crate) use pictures::{bytes_of, identity_of};
pub use raf_db::raf_db;
pub use unite::unite;

/// A frozen list of samples. Lists by sample have one entry for each, in the order of `pictures`.
#[derive(Clone)]
pub struct TrainingSet {
    /// For people, e.g. `raf-db`.
    pub name: String,
    /// Class names in index order.
    pub classes: Vec<String>,
    /// The given labels, class indices.
    pub labels: Vec<usize>,
    /// The true labels, where they are known apart from `labels` (noise experiments).
    pub truth: Option<Vec<usize>>,
    /// Each class's share of the annotators' votes, N×C; a row sums to 1, or to 0 where only the label counts. It is
    /// the training target as long as the given label is in force.
    pub votes: Option<Vec<f32>>,
    /// Each sample's split.
    pub splits: Vec<Split>,
    /// Numbers of clips; samples of one clip may be relabelled together.
    pub groups: Option<Vec<u64>>,
    /// Numbers of sources (a video, a person); no source is divided between training and held-out samples, nor between
    /// folds.
    pub sources: Option<Vec<u64>>,
    /// The sizes of the sets that were joined, in their order; empty for a single set.
    pub joined: Vec<usize>,
    /// What the user should know about how the set was read.
    pub remarks: Vec<String>,
    /// The flags that it was read and made noisy with, by name, so that it can be made again; no part of its hash.
    pub flags: BTreeMap<String, Value>,
    /// The pictures.
    pub pictures: Arc<dyn Pictures>,
}

impl fmt::Debug for TrainingSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrainingSet({}: {})", self.name, self.summary())
    }
}

impl TrainingSet {
    /// A set with only its pictures; the reader of a layout fills in the rest.
    pub(crate) fn of(pictures: Arc<dyn Pictures>) -> Self {
        Self {
            name: String::new(),
            classes: Vec::new(),
            labels: Vec::new(),
            truth: None,
            votes: None,
            splits: Vec::new(),
            groups: None,
            sources: None,
            joined: Vec::new(),
            remarks: Vec::new(),
            flags: BTreeMap::new(),
            pictures,
        }
    }

    /// Records a flag that the set was made with.
    pub(crate) fn write_flag(&mut self, name: &str, value: Value) {
        self.flags.insert(name.to_owned(), value);
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Positions of one split's samples, ascending.
    pub fn of_split(&self, split: Split) -> Vec<usize> {
        (0..self.len()).filter(|&sample| self.splits[sample] == split).collect()
    }

    /// The number of each sample's source; of its clip where no sources are known.
    pub fn together(&self) -> Option<&[u64]> {
        self.sources.as_deref().or(self.groups.as_deref())
    }

    /// Sets a sample's label; if it changes, the sample's votes no longer count.
    pub fn set_label(&mut self, sample: usize, label: usize) {
        let classes = self.classes.len();
        if let Some(votes) = self.votes.as_mut().filter(|_| self.labels[sample] != label) {
            votes[sample * classes..][..classes].fill(0.0);
        }
        self.labels[sample] = label;
    }

    /// A sample's votes, C; `None` where only its label counts.
    pub fn votes_of(&self, sample: usize) -> Option<&[f32]> {
        let classes = self.classes.len();
        let row = &self.votes.as_ref()?[sample * classes..][..classes];
        (row.iter().sum::<f32>() > 0.5).then_some(row)
    }

    /// Number of samples of each class in one split.
    pub fn class_counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for sample in self.of_split(split) {
            counts[self.labels[sample]] += 1;
        }
        counts
    }

    /// Numbers of classes and of samples in each split, in words.
    pub fn summary(&self) -> String {
        let count = |split| self.of_split(split).len();
        format!(
            "{} classes, {} train, {} validation, {} test",
            self.classes.len(),
            count(Split::Train),
            count(Split::Validation),
            count(Split::Test)
        )
    }

    /// sha256 over pictures, classes, labels, votes and splits, by which a checkpoint knows its data. Left out are
    /// clips and sources, which follow from the pictures (in a catalog, from the samples' ids), and truth, which
    /// training does not use.
    pub fn hash(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.pictures.identity());
        for class in &self.classes {
            digest.update(class.as_bytes());
            digest.update([0]);
        }
        for (label, split) in self.labels.iter().zip(&self.splits) {
            digest.update(label.to_le_bytes());
            digest.update(split.as_str());
        }
        for share in self.votes.iter().flatten() {
            digest.update(share.to_le_bytes());
        }
        hex(&digest.finalize())
    }

    /// Checks that the lists fit together.
    ///
    /// # Errors
    /// When they differ in length, there are fewer than two classes, or a label is no class.
    pub fn check(&self) -> Result<(), DataError> {
        let entries = [self.pictures.len(), self.splits.len()];
        let numbers = [&self.groups, &self.sources].map(|numbers| numbers.as_ref().map(Vec::len));
        let votes = self.votes.as_ref().map(|votes| votes.len() / self.classes.len().max(1));
        let optional = [self.truth.as_ref().map(Vec::len), votes].into_iter().chain(numbers);
        if entries.into_iter().chain(optional.flatten()).any(|count| count != self.len()) {
            return Err(DataError::Uneven { name: self.name.clone() });
        }
        if self.classes.len() < 2 {
            return Err(DataError::TooFewClasses { name: self.name.clone(), classes: self.classes.len() });
        }
        if let Some(&label) = self.labels.iter().find(|&&label| label >= self.classes.len()) {
            return Err(DataError::LabelRange {
                name: self.name.clone(),
                label,
                classes: self.classes.len(),
            });
        }
        Ok(())
    }

    /// Checks that there is enough to train on.
    ///
    /// # Errors
    /// [`DataError::Empty`] with fewer than two training samples, which batch statistics need.
    pub fn check_training(&self) -> Result<(), DataError> {
        match self.of_split(Split::Train).len() {
            0 => Err(DataError::Empty { name: self.name.clone(), what: "training samples" }),
            1 => Err(DataError::Empty { name: self.name.clone(), what: "second training sample" }),
            _ => Ok(()),
        }
    }
}

//! A run's opinions of single labels, as plain values.

use serde::Serialize;

/// A class's training samples, by the label they began with and by the label they ended with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ClassCount {
    /// The class.
    pub class: String,
    /// With the labels that training began with.
    pub before: u64,
    /// With the labels after relabelling, if the run relabels.
    pub after: Option<u64>,
}

/// A sample to which the run gives a low importance.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct LeastImportant {
    /// Its row in the catalog.
    pub sample_id: i64,
    /// The picture, a JPEG file; not in the JSON.
    #[serde(skip)]
    pub jpeg: Vec<u8>,
    /// The label it has.
    pub label: String,
    /// The class that the net predicts.
    pub predicted: Option<String>,
    /// SCN's α, 0 to 1.
    pub importance: f64,
    /// The true label, where it is known.
    pub true_label: Option<String>,
}

/// A sample whose label the run would change.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RelabelledSample {
    /// Its row in the catalog.
    pub sample_id: i64,
    /// The picture, a JPEG file; not in the JSON.
    #[serde(skip)]
    pub jpeg: Vec<u8>,
    /// Label before.
    pub from: String,
    /// Label after.
    pub to: String,
    /// Probability of `to`, 0 to 1.
    pub p_max: f64,
    /// Probability of `from`, 0 to 1.
    pub p_given: f64,
    /// SCN's α, 0 to 1.
    pub importance: Option<f64>,
    /// The epoch at whose end it was decided, from 1.
    pub epoch: u32,
    /// The true label, where it is known.
    pub true_label: Option<String>,
}

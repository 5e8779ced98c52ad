//! What training sends to its caller while it runs. Plain data.

use super::metrics::EpochMetrics;
use crate::types::Relabel;

/// Something that happened in training.
#[derive(Debug, Clone)]
pub enum TrainEvent {
    /// The run begins or resumes.
    Began {
        /// Device, number format and layout, with the reason.
        device: String,
        /// Epochs of the whole run.
        epochs: u32,
        /// Steps an epoch.
        steps: usize,
        /// Measures of the epochs that the checkpoint holds. The receiver may have missed some of them before a kill.
        history: Vec<EpochMetrics>,
        /// The label changes of those epochs.
        relabels: Vec<Relabel>,
        /// Which params were loaded as [`super::recipe::Recipe::init`], in words.
        init: Option<String>,
    },
    /// A step of a scout, an out-of-fold net of [`super::recipe::Method::Cure`], is done.
    Scouting {
        /// One-based.
        scout: u32,
        /// Number of scouts.
        scouts: u32,
        /// Limit on the epochs of one scout.
        epochs: u32,
        /// Its progress.
        step: Step,
    },
    /// A step is done.
    Step(Step),
    /// An epoch is done and measured. The last one of `cure` is sent only when its labels are decided, and is not in
    /// the history of [`TrainEvent::Began`].
    Epoch(Box<EpochMetrics>),
    /// Labels changed.
    Relabelled(Vec<Relabel>),
}

/// Progress after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// One-based.
    pub epoch: u32,
    /// One-based.
    pub step: usize,
    /// Steps an epoch.
    pub steps: usize,
    /// Loss of the step.
    pub loss: f64,
    /// Share of this epoch's pictures so far whose prediction equals their given label.
    pub accuracy: f64,
    /// Pictures a second in this epoch so far.
    pub images_per_s: f64,
    /// Share of this epoch's time that steps waited for the loader.
    pub data_wait_share: f64,
}

impl Step {
    /// Number of steps of the whole run so far.
    pub fn done(&self) -> u64 {
        (u64::from(self.epoch) - 1) * self.steps as u64 + self.step as u64
    }
}

//! libtorch behind one wall: nets, the losses of SCN, data sets, the training loop. Blocking; knows nothing of the
//! catalog.
//!
//! ```text
//! recipe → run → epoch → step                      all choices, then the loops from the outer to the inner
//! training                                         the state that they share: net, optimizer, labels, progress
//! data/ → loader → augment → net → scn → optim     the way of a batch through one step
//! schedule · relabel_start · labels · sums         what changes from epoch to epoch, and what is summed up
//! judge → metrics → events · trained               evaluation, its measures, what the caller gets in and after a run
//! scouts → posterior → cure                        labels judged by out-of-fold nets
//! net · params · init · optim                      backbones, their params, where these start, how they are updated
//! checkpoint · resume · predict · export           what is saved, for resuming, predicting, and other programs
//! device · host · measure                          the machine: what it computes with, its memory, its speed
//! ```
//!
//! A caller fills a [`data::TrainingSet`], makes a [`recipe::Recipe`] and calls [`train`]; events come out over a
//! bounded channel. The three modules of SCN are pure functions in [`scn`].

mod augment;
mod checkpoint;
mod cure;
pub mod data;
mod device;
#[cfg(test)]
pub(crate) mod drawn;
mod epoch;
mod error;
mod events;
mod export;
mod host;
mod init;
mod judge;
mod labels;
mod loader;
pub mod measure;
pub mod metrics;
mod net;
mod optim;
mod params;
mod posterior;
pub mod predict;
pub mod recipe;
mod relabel_start;
mod resume;
mod run;
pub mod schedule;
pub mod scn;
mod scouts;
mod step;
mod sums;
#[cfg(test)]
mod tests;
mod trained;
mod training;

pub use device::{device_in_words, devices_in_words};
pub use error::TrainError;
pub use events::{Step, TrainEvent};
pub(crate) use init::OwnCard;
pub use run::train;
pub use trained::{ClosingLine, Decision, LabelShares, MeasuredOn, Measures, Opinion, Trained};
pub use training::RunPlace;

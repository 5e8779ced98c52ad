//! libtorch behind one wall: nets, the losses of SCN, data sets, the loop. Blocking; knows nothing of the catalog.
//!
//! ```text
//! recipe → training → epoch → judge                who decides, who holds the state, who loops, who measures
//! data/ → loader → augment → net → scn → optim     one step, in the order data walks through it
//! schedule · labels · sums · metrics · events      what changes by epoch, what is counted, what is told
//! scouts → posterior → cure                        labels judged by nets that never saw the sample
//! net · params · init · gathered · update          backbones, their numbers, where these come from, how they move
//! checkpoint · resume · predict · export           what is saved of a run: to go on from, to ask, to give away
//! device · host · measure                          the machine: what it computes with, its memory, its speed
//! ```
//!
//! A caller fills a [`data::TrainingSet`], writes a [`recipe::Recipe`] and calls [`train`]; events come out over a
//! bounded channel. The three modules of the method are pure functions in [`scn`].

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
mod gathered;
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
pub mod posterior;
pub mod predict;
pub mod recipe;
mod resume;
pub mod schedule;
pub mod scn;
mod scouts;
mod sums;
#[cfg(test)]
mod tests;
mod training;
mod update;

pub use device::{device_in_words, devices_in_words};
pub use error::TrainError;
pub use events::{
    ClosingLine, Decision, LabelShares, MeasuredOn, Measures, Opinion, Step, TrainEvent, Trained,
};
pub(crate) use init::OwnCard;
pub use training::{RunPlace, train};

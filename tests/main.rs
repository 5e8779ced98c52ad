//! The one integration binary; each module is one topic.
mod catalog;
mod walls;
mod youtube;

#[cfg(feature = "train")]
mod scn;

//! The one integration binary; each module is one topic.

#[cfg(feature = "train")]
mod scn;

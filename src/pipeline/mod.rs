//! The stages and what drives them: claim, load, run, commit.

#[cfg(all(feature = "media", feature = "train"))]
pub mod eyes;

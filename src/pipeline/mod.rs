//! The stages and what drives them: claim, load, run, commit.

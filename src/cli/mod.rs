//! One file per command: its flags and its `run`. The only room that uses `anyhow`.

#[cfg(all(feature = "media", feature = "train"))]
mod inspect;

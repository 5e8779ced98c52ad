//! One file per command: its flags and its `run`. The only room that uses `anyhow`.

#[cfg(feature = "train")]
pub mod train;

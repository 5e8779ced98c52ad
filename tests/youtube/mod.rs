//! The real yt-dlp and the Data API client against a YouTube on loopback: search, download, refusals, faults.

#![expect(clippy::unwrap_used, reason = "in a test, what fails to unwrap has failed the test")]

pub mod bench;
mod data_api;
mod download;
mod faked;
mod search;

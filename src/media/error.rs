//! Errors of reading and writing videos, and the [`Failure`] that each becomes. Knows nothing of jobs.

use std::io;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Reason};

/// A file could not be read or written as a video.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The file has no container or no video stream that FFmpeg knows.
    #[error("{}: not a video: {detail}", path.display())]
    NotAVideo {
        /// The file.
        path: PathBuf,
        /// FFmpeg's message, or ours.
        detail: String,
    },
    /// The container opens, but its frames do not decode, or are out of bounds.
    #[error("{}: undecodable: {detail}", path.display())]
    Undecodable {
        /// The file.
        path: PathBuf,
        /// FFmpeg's message, or ours.
        detail: String,
    },
    /// The file is shorter or longer than promised.
    #[error("{}: lasts {measured_ms} ms, but {promised_ms} ms were promised", path.display())]
    DurationMismatch {
        /// The file.
        path: PathBuf,
        /// Its duration.
        measured_ms: i64,
        /// The expected duration.
        promised_ms: i64,
    },
    /// This one file is missing, or its permissions forbid reading.
    #[error("{}: {detail}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's message.
        detail: String,
    },
    /// The file system failed.
    #[error("{}: {detail}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// The system's message.
        detail: String,
    },
    /// The caller passed invalid arguments, or FFmpeg failed unexpectedly.
    #[error("{}: {detail}", path.display())]
    Bug {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

impl MediaError {
    pub(crate) fn not_a_video(path: &Path, detail: impl ToString) -> Self {
        Self::NotAVideo { path: path.to_owned(), detail: detail.to_string() }
    }

    pub(crate) fn undecodable(path: &Path, detail: impl ToString) -> Self {
        Self::Undecodable { path: path.to_owned(), detail: detail.to_string() }
    }

    pub(crate) fn disk(path: &Path, detail: impl ToString) -> Self {
        Self::Disk { path: path.to_owned(), detail: detail.to_string() }
    }

    /// The error of a file that the system could not read.
    pub(crate) fn unread(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                Self::Unreadable { path: path.to_owned(), detail: error.to_string() }
            }
            _ => Self::disk(path, error),
        }
    }

    pub(crate) fn bug(path: &Path, detail: impl ToString) -> Self {
        Self::Bug { path: path.to_owned(), detail: detail.to_string() }
    }

    /// The failure that this error becomes: its kind, reason and message.
    pub fn failure(&self) -> Failure {
        let detail = self.to_string();
        match self {
            Self::NotAVideo { .. } => Failure::rejected(Reason::NotAVideo, detail),
            Self::Undecodable { .. } => Failure::rejected(Reason::Undecodable, detail),
            Self::DurationMismatch { .. } => Failure::rejected(Reason::DurationMismatch, detail),
            Self::Unreadable { .. } => Failure::permanent(Reason::SourceGone, detail).with_hint(
                "see that the file is there and may be read; `webemotion check --repair` has one of the data folder made again",
            ),
            Self::Disk { .. } => Failure::transient(Reason::Disk, detail)
                .with_hint("look at the free space and the rights of the data folder"),
            Self::Bug { .. } => Failure::bug(detail),
        }
    }
}

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        error.failure()
    }
}

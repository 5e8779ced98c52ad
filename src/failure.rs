//! Failures as data: a closed list of reasons, four kinds, and the exit code of each.
//!
//! The code that detects a failure decides its kind; the code that drives the work acts on it.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is to be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// A verdict about the data: not an error, final until a person says `retry`.
    Rejected,
    /// May pass by itself: try again later.
    Transient,
    /// Will not pass by itself: give the job up and keep the log.
    Permanent,
    /// The program is wrong.
    Bug,
}

/// Why a job did not end in `done`. Closed, so that `status` and `report` are group-bys.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    // verdicts about a video, before it is downloaded
    /// At or above the policy's longest duration.
    TooLong,
    /// Shorter than the shortest clip.
    TooShort,
    /// Live now, or not yet begun.
    Live,
    /// The licence is not among those allowed.
    Licence,
    /// Only for signed-in adults.
    AgeRestricted,
    /// Declared as made for children.
    MadeForKids,
    /// The title or the channel is on a block list.
    Blocklisted,
    /// Removed, terminated or never there.
    Gone,
    /// Private.
    Private,
    /// For members or buyers only.
    MembersOnly,
    /// Not offered where this machine is.
    Geo,
    /// Not out yet, or still being processed by the site.
    NotYet,
    /// No format that the policy accepts.
    NoFormat,
    /// Larger than the policy's largest file.
    TooLarge,
    /// A person's data was removed: it must not come back.
    Forgotten,
    // verdicts about a file
    /// Not a video: no container or no video stream that FFmpeg knows.
    NotAVideo,
    /// The container opens, but the frames do not decode.
    Undecodable,
    /// Measured and promised durations differ.
    DurationMismatch,
    // verdicts about faces
    /// No face in any frame that was looked at.
    NoFace,
    /// Faces, but none for long enough.
    FaceTooBrief,
    /// Faces, but none large enough.
    FaceTooSmall,
    /// The face is not seen in enough of its track.
    FaceTooPatchy,
    /// Lists name parts of the video, and this face is in none of them.
    NotListed,
    /// A self-check of the finished clip failed: its duration, or no face found again.
    ClipUnsound,
    /// The same footage is in the catalog already.
    NearDuplicate,
    /// Too blurred.
    Blurred,
    /// Too dark, too bright or too flat.
    BadLight,
    /// Turned too far away.
    Turned,
    // things that pass, or that a person mends
    /// The site asked for a pause.
    RateLimited,
    /// The site takes us for a robot: a person must decide.
    Blocked,
    /// The Data API's budget of the day is used up.
    Quota,
    /// Connection, name or time-out trouble.
    Network,
    /// Several different requests in a row reached nobody.
    Offline,
    /// The data folder's disk is full, or cannot be read or written.
    Disk,
    /// yt-dlp no longer understands the site.
    ToolOutdated,
    /// Refused in words that this program does not know.
    Unexplained,
    /// A tool or a file of params is missing.
    ToolMissing,
    /// A worker process died.
    WorkerCrashed,
    /// A worker process passed its time limit.
    WorkerTimedOut,
    /// A worker process passed its memory limit.
    WorkerOutOfMemory,
    /// The video's file was discarded once its clips were cut, is gone, or may not be read; what was made of it stays.
    SourceGone,
    /// Tried too often without a result: the job kills its worker.
    AttemptsExhausted,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The command line or the configuration is wrong.
    Usage,
    /// The catalog cannot be used: not one, newer, damaged or locked.
    Catalog,
    /// There is nothing to work on.
    NothingToDo,
    /// A defect of this program.
    Bug,
}

impl Reason {
    /// The kebab-case word that the catalog stores and `retry --reason` takes.
    pub fn as_str(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => word,
            _ => "bug".to_owned(),
        }
    }

    /// Whether it pauses the whole stage, not only this job.
    pub fn pauses_stage(self) -> bool {
        use Reason::{Blocked, Disk, Offline, Quota, RateLimited, ToolOutdated};
        matches!(self, RateLimited | Blocked | Quota | Offline | Disk | ToolOutdated)
    }

    /// Whether the site refuses every request of this identity, whatever it asks for.
    pub(crate) fn is_of_the_site(self) -> bool {
        matches!(self, Self::RateLimited | Self::Blocked)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.as_str())
    }
}

/// A word that is not a reason.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no reason that this program gives")]
pub struct UnknownReason(String);

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        serde_json::from_value(serde_json::Value::String(word.to_owned()))
            .map_err(|_| UnknownReason(word.to_owned()))
    }
}

/// Something did not work. `detail` is a lowercase fragment that names the thing; `hint` is the remedy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// What to do about it.
    pub kind: FailureKind,
    /// Why, from the closed list.
    pub reason: Reason,
    /// What happened, with names and paths; the raw text of a tool where there is one.
    pub detail: String,
    /// What the user can do.
    pub hint: Option<String>,
}

impl Failure {
    /// A verdict about the data.
    pub fn rejected(reason: Reason, detail: impl Into<String>) -> Self {
        Self { kind: FailureKind::Rejected, reason, detail: detail.into(), hint: None }
    }

    /// Something that may pass by itself.
    pub fn transient(reason: Reason, detail: impl Into<String>) -> Self {
        Self { kind: FailureKind::Transient, reason, detail: detail.into(), hint: None }
    }

    /// Something that will not pass by itself.
    pub fn permanent(reason: Reason, detail: impl Into<String>) -> Self {
        Self { kind: FailureKind::Permanent, reason, detail: detail.into(), hint: None }
    }

    /// A defect of this program.
    pub fn bug(detail: impl Into<String>) -> Self {
        Self { kind: FailureKind::Bug, reason: Reason::Bug, detail: detail.into(), hint: None }
    }

    /// A file that a person named cannot be written: a wrong path is a usage error, anything else may pass.
    pub(crate) fn unwritable(path: &Path, error: &io::Error) -> Self {
        let detail = format!("cannot write {}: {error}", path.display());
        if is_wrong_path(error) {
            Self::permanent(Reason::Usage, detail).with_hint("name a place in a folder that may be written")
        } else {
            Self::transient(Reason::Disk, detail)
        }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The detail and the hint in one line.
    pub(crate) fn with_remedy(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.detail),
            None => self.detail.clone(),
        }
    }

    /// The exit code of a command that ends with this failure.
    pub fn exit(&self) -> Exit {
        match self.reason {
            Reason::Usage => Exit::Usage,
            Reason::ToolMissing | Reason::Catalog => Exit::Unusable,
            Reason::NothingToDo => Exit::NothingToDo,
            Reason::Interrupted => Exit::Interrupted,
            // A command's own request got no response: as good as offline.
            Reason::Network => Exit::Paused,
            reason if reason.pauses_stage() => Exit::Paused,
            _ if self.kind == FailureKind::Bug => Exit::Bug,
            _ => Exit::SomeDead,
        }
    }
}

/// Whether the path itself is wrong: a folder of it does not exist and cannot be made, is a file, or is not writable.
pub(crate) fn is_wrong_path(error: &io::Error) -> bool {
    use io::ErrorKind::{
        AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem,
    };
    matches!(
        error.kind(),
        NotFound | NotADirectory | IsADirectory | AlreadyExists | PermissionDenied | ReadOnlyFilesystem
    )
}

/// The exit codes, a public contract: see the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All that was due is done.
    Done = 0,
    /// Done, but some jobs were given up or a person has to decide; or a failure without a code of its own.
    SomeDead = 1,
    /// The command line or the settings are wrong.
    Usage = 2,
    /// A tool is missing, or the catalog cannot be used.
    Unusable = 3,
    /// Nothing to do, or a round, merge, restore, gc, forget or refresh is at work already.
    NothingToDo = 4,
    /// Paused: rate limit, quota, network or full disk; come back later.
    Paused = 5,
    /// A defect of this program.
    Bug = 70,
    /// Ctrl-C or SIGTERM.
    Interrupted = 130,
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn a_reason_round_trips_through_the_catalog() {
        for reason in Reason::value_variants() {
            assert_eq!(reason.as_str().parse::<Reason>().unwrap(), *reason);
            assert_eq!(reason.to_possible_value().unwrap().get_name(), reason.as_str());
        }
        assert_eq!(Reason::NotAVideo.as_str(), "not-a-video");
        assert!("sometimes".parse::<Reason>().is_err());
    }

    #[test]
    fn a_pause_ends_with_five_and_a_missing_tool_with_three() {
        assert_eq!(Failure::transient(Reason::RateLimited, "x").exit(), Exit::Paused);
        assert_eq!(Failure::transient(Reason::Network, "x").exit(), Exit::Paused);
        assert_eq!(Failure::permanent(Reason::ToolMissing, "x").exit(), Exit::Unusable);
        assert_eq!(Failure::bug("x").exit(), Exit::Bug);
    }

    #[test]
    fn a_failure_in_one_line_ends_with_its_hint() {
        let failure = Failure::permanent(Reason::ToolMissing, "no yt-dlp");
        assert_eq!(failure.with_remedy(), "no yt-dlp");
        assert_eq!(failure.with_hint("run scripts/setup").with_remedy(), "no yt-dlp; run scripts/setup");
    }

    #[test]
    fn a_wrong_path_is_a_usage_error_and_a_full_disk_pauses() {
        let of = |kind: io::ErrorKind| Failure::unwritable(Path::new("x"), &kind.into()).exit();
        assert_eq!(of(io::ErrorKind::NotFound), Exit::Usage);
        assert_eq!(of(io::ErrorKind::NotADirectory), Exit::Usage);
        assert_eq!(of(io::ErrorKind::PermissionDenied), Exit::Usage);
        assert_eq!(of(io::ErrorKind::ReadOnlyFilesystem), Exit::Usage);
        assert_eq!(of(io::ErrorKind::StorageFull), Exit::Paused);
    }
}

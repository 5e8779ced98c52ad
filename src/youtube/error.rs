//! What can go wrong between us and YouTube, and what each error means for a job. How long to pause
//! is for whoever drives the jobs.

use std::io;
use std::path::PathBuf;

use super::refusals::Refusal;
use crate::failure::{Failure, Reason};

/// Why a search or a download brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum YoutubeError {
    /// The site, or yt-dlp on its behalf, refused; `said` is the raw text, cleaned.
    #[error("{}", named(what, said))]
    Refused {
        /// The video's id or the search's text.
        what: String,
        /// Which kind of refusal.
        refusal: Refusal,
        /// The tool's words.
        said: String,
    },
    /// What the site says of the video just before the download violates the policy.
    #[error("{what}: {detail}")]
    NotAllowed {
        /// The video's id.
        what: String,
        /// The verdict.
        reason: Reason,
        /// The fact that it rests on.
        detail: String,
    },
    /// The child was killed because it took too long.
    #[error("{what}: {detail}; yt-dlp was ended; it said: {said}")]
    TimedOut {
        /// The video's id or the search's text.
        what: String,
        /// Which limit was passed.
        detail: String,
        /// Whether bytes of the video had come: somebody was there.
        has_moved: bool,
        /// The end of its standard error.
        said: String,
    },
    /// yt-dlp ended well but left no file where it said, or an empty one.
    #[error("{what}: yt-dlp reports success without a usable file: {detail}")]
    NoFile {
        /// The video's id.
        what: String,
        /// What was found instead.
        detail: String,
    },
    /// An answer that cannot be read.
    #[error("{what}: unreadable answer: {detail}")]
    Unreadable {
        /// The search's text, or the address asked.
        what: String,
        /// How it fails, with the beginning of the answer.
        detail: String,
    },
    /// The Data API's budget of the day is used up until midnight Pacific.
    #[error("the Data API's {bucket} of today are used up")]
    Quota {
        /// `search calls` or `units`.
        bucket: &'static str,
    },
    /// The Data API asks for a short pause.
    #[error("the Data API asks for a pause of {pause_s} s")]
    Throttled {
        /// How long, seconds.
        pause_s: u64,
    },
    /// The Data API does not accept the key, or not for this API.
    #[error("the Data API refuses the key: {said}")]
    KeyRefused {
        /// Its words, without the key.
        said: String,
    },
    /// The Data API rejects the request as invalid, as it would any other.
    #[error("the Data API rejects the request as invalid: {said}")]
    BadRequest {
        /// Its words, without the key.
        said: String,
    },
    /// The Data API calls this one search wrong; the next may fare better.
    #[error("the Data API calls this search wrong: {said}")]
    BadSearch {
        /// Its words, without the key.
        said: String,
    },
    /// No usable answer from the Data API's server: connection trouble or a server's error.
    #[error("the Data API did not answer: {said}")]
    Unanswered {
        /// What happened, without key and address.
        said: String,
    },
    /// Several different requests in a row got no response.
    #[error("no host can be reached: {said}")]
    Offline {
        /// What the last of them met.
        said: String,
    },
    /// yt-dlp could not be started or spoken with.
    #[error("cannot run {}: {source}", program.display())]
    Tool {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder for downloads cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Asked to stop; a partial file stays and is resumed.
    #[error("stopped on request")]
    Stopped,
}

/// The tool's words, which mostly name what was asked for, with its name before them where they do not.
fn named(what: &str, said: &str) -> String {
    if said.contains(what) { said.to_owned() } else { format!("{what}: {said}") }
}

impl YoutubeError {
    /// What this means for the job that met it.
    pub fn failure(&self) -> Failure {
        let detail = self.to_string();
        match self {
            Self::Refused { refusal, .. } => refusal.failure(detail),
            Self::NotAllowed { reason, .. } => Failure::rejected(*reason, detail),
            Self::TimedOut { .. }
            | Self::NoFile { .. }
            | Self::Unanswered { .. }
            | Self::BadSearch { .. }
            | Self::Unreadable { .. } => Failure::transient(Reason::Network, detail),
            Self::Quota { .. } => Failure::transient(Reason::Quota, detail)
                .with_hint("it refills at midnight Pacific time; searches without a key go on"),
            Self::Throttled { .. } => Failure::transient(Reason::RateLimited, detail),
            Self::KeyRefused { .. } => Failure::permanent(Reason::Usage, detail)
                .with_hint("check WEBEMOTION_YOUTUBE_API_KEY and that YouTube Data API v3 is enabled for it"),
            Self::BadRequest { .. } => Failure::permanent(Reason::Usage, detail)
                .with_hint("look at crawl.region in the settings and at the lexicon's language"),
            Self::Offline { .. } => Failure::transient(Reason::Offline, detail)
                .with_hint("see that this machine reaches the site; nothing is lost"),
            Self::Tool { .. } => Failure::permanent(Reason::ToolMissing, detail)
                .with_hint("run scripts/setup, or name the file under [tools] in webemotion.toml"),
            Self::Folder { .. } => Failure::transient(Reason::Disk, detail)
                .with_hint("free some disk space and see that the data folder is writable"),
            Self::Stopped => Failure::transient(Reason::Interrupted, detail),
        }
    }

    /// Whether nothing usable came back, not a byte of a video either: the network may be at fault, or whoever was asked.
    pub(super) fn reached_nobody(&self) -> bool {
        matches!(
            self,
            Self::Refused { refusal: Refusal::Network, .. }
                | Self::TimedOut { has_moved: false, .. }
                | Self::Unanswered { .. }
        )
    }

    /// Whether the site refused in words that only it can have said, or was too slow with what only it can have sent.
    pub(super) fn is_an_answer(&self) -> bool {
        let is_ours =
            |refusal: &Refusal| matches!(refusal, Refusal::Local | Refusal::Options | Refusal::Unknown);
        match self {
            Self::Refused { refusal, .. } => *refusal != Refusal::Network && !is_ours(refusal),
            Self::NotAllowed { .. } | Self::BadRequest { .. } | Self::BadSearch { .. } => true,
            Self::TimedOut { has_moved, .. } => *has_moved,
            _ => false,
        }
    }
}

impl From<YoutubeError> for Failure {
    fn from(error: YoutubeError) -> Self {
        error.failure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn what_pauses_everything_ends_with_five_and_a_refused_key_with_two() {
        let refused = |refusal| YoutubeError::Refused { what: "x".into(), refusal, said: String::new() };
        for pause in
            [refused(Refusal::RateLimited), refused(Refusal::Blocked), refused(Refusal::ToolOutdated)]
        {
            assert_eq!(pause.failure().exit(), Exit::Paused);
        }
        assert_eq!(YoutubeError::Quota { bucket: "units" }.failure().exit(), Exit::Paused);
        assert_eq!(YoutubeError::Offline { said: String::new() }.failure().exit(), Exit::Paused);
        assert_eq!(YoutubeError::KeyRefused { said: String::new() }.failure().exit(), Exit::Usage);
    }

    #[test]
    fn a_refusal_names_its_video_once() {
        let message = |said: &str| {
            let (what, refusal) = ("vid00000001".into(), Refusal::Unknown);
            YoutubeError::Refused { what, refusal, said: said.into() }.to_string()
        };
        let named = "ERROR: [youtube] vid00000001: The stars are not right";
        assert_eq!(message(named), named);
        let nameless = "ERROR: unable to download video data: HTTP Error 403: Forbidden";
        assert_eq!(message(nameless), format!("vid00000001: {nameless}"));
    }

    #[test]
    fn what_every_request_would_meet_is_booked_against_none_and_ends_the_run() {
        let options =
            YoutubeError::Refused { what: "x".into(), refusal: Refusal::Options, said: String::new() };
        assert_eq!(options.failure().exit(), Exit::Unusable);
        assert_eq!(YoutubeError::BadRequest { said: String::new() }.failure().exit(), Exit::Usage);
    }
}

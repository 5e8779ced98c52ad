//! Reads refusals: the words of yt-dlp and of the site behind it become one [`Refusal`] of a closed list. Pure; it sees
//! bytes only, since a child's words need not be UTF-8.

use std::sync::LazyLock;

use regex::bytes::RegexSet;

use crate::failure::{Failure, Reason};

/// What kind of refusal a text is. [`classify`] looks for them in the order of its table; the order here only decides which
/// of several warnings holds: `RateLimited` before `Blocked`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// The disk or the data folder: nothing can go on.
    Local,
    /// The session sent too many requests: everything pauses for an hour or more.
    RateLimited,
    /// The site takes us for a robot: a person must decide.
    Blocked,
    /// Not offered where this machine is.
    Geo,
    /// Private.
    Private,
    /// For members or buyers only.
    MembersOnly,
    /// Only for signed-in adults.
    AgeRestricted,
    /// Encrypted: no format that we accept.
    Encrypted,
    /// Live now.
    Live,
    /// Not out yet, or still being processed.
    NotYet,
    /// Removed, terminated or never there.
    Gone,
    /// The wanted format does not exist.
    Format,
    /// The part file is complete already and was requested again: remove it and begin again.
    CompletePart,
    /// The connection, the name or a server's error.
    Network,
    /// The media address was refused: a fresh extraction may help.
    MediaRefused,
    /// yt-dlp does not understand what the site says of this video.
    ToolBroken,
    /// yt-dlp no longer understands the site. No text says so; it follows from many of the two refusals above, or of
    /// unknown ones.
    ToolOutdated,
    /// It does not know our options: no video would fare better.
    Options,
    /// Nothing known: tried again a few times, never taken for gone.
    Unknown,
}

/// The known refusals. Rows are tried from top to bottom and the first that fits holds, because a general text (`Video
/// unavailable`) often wraps a special one. `(?i)` and `.` matching any byte are set for all. Sources: yt-dlp's own texts,
/// and the site's wording as yt-dlp passes it on after `ERROR: [youtube] ID: `.
const ROWS: &[(Refusal, &str)] = &[
    (Refusal::Local, r"No space left on device|Disk quota exceeded|Read-only file system"),
    (Refusal::Local, r"\[Errno 13\] Permission denied|Unable to create directory|File name too long"),
    (Refusal::RateLimited, r"rate-limited by YouTube|HTTP Error 429|Too Many Requests"),
    // Apostrophes are typographic, and vanish under an ASCII locale.
    (Refusal::RateLimited, r"content isn.{0,3}t available, try again later"),
    (Refusal::Blocked, r"Sign in to confirm you.{0,3}re not a bot|captcha challenge"),
    (Refusal::Blocked, r"Your IP is likely being blocked"),
    (Refusal::Geo, r"not made this video available in your country|blocked it in your country"),
    (Refusal::Geo, r"who has blocked it|not available from your location"),
    (Refusal::Private, r"Private video|This video is private"),
    (Refusal::MembersOnly, r"members-only|available to this channel.{0,3}s members|Music Premium members"),
    (Refusal::MembersOnly, r"requires payment"),
    (Refusal::AgeRestricted, r"Sign in to confirm your age|age-restricted"),
    (Refusal::Encrypted, r"DRM protected"),
    (Refusal::NotYet, r"This live event will begin in|Premieres in|We.{0,3}re processing this video"),
    (Refusal::Live, r"is a live event|live stream recording is not available"),
    (Refusal::Gone, r"Video unavailable|This video is unavailable|has been removed|removed by the uploader"),
    (Refusal::Gone, r"removed for violating|account associated with this video|copyright claim"),
    (Refusal::Gone, r"This video is not available|This video isn.{0,3}t available"),
    (Refusal::Format, r"Requested format is not available"),
    (Refusal::CompletePart, r"HTTP Error 416"),
    (Refusal::MediaRefused, r"unable to download video data: HTTP Error 40[0-9]"),
    (Refusal::Network, r"timed out|Connection reset|Connection broken|Connection aborted|Remote end closed"),
    (Refusal::Network, r"bytes read, \d+ more expected|Downloaded \d+ bytes, expected|IncompleteRead"),
    (Refusal::Network, r"Failed to parse JSON"),
    (Refusal::Network, r"Failed to establish|Failed to resolve|HTTP Error 5\d\d|Did not get any data blocks"),
    (
        Refusal::Network,
        r"Network is unreachable|No route to host|Connection refused|CERTIFICATE_VERIFY_FAILED|\bSSL\b.*error|Temporary failure in name",
    ),
    (Refusal::ToolBroken, r"No video formats found|missing a URL|Failed to extract any player response"),
    (Refusal::ToolBroken, r"Unable to extract|challenge solving failed|Signature solving failed"),
    (
        Refusal::ToolBroken,
        r"The page needs to be reloaded|Traceback \(most recent call last\)|Unsupported URL",
    ),
    // What the site says to a player that it no longer serves.
    (
        Refusal::ToolBroken,
        r"content is not available on this app|Unable to download API page: HTTP Error 40[0-9]",
    ),
    (Refusal::Options, r"(?m)^yt-dlp: error: |Usage: yt-dlp"),
];

/// The tail that yt-dlp adds whenever a reason says "sign in"; it must never decide.
const LOGIN_TAIL: &[u8] = b"Use --cookies";

static TABLE: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = ROWS.iter().map(|(_, pattern)| format!("(?is-u){pattern}"));
    RegexSet::new(patterns).expect("the rows are constants, and a test compiles them")
});

/// Classifies all that a child wrote to standard error. Errors decide; a warning that speaks of a rate limit or a robot
/// check comes before them, since the error after it only names the consequence.
pub fn classify(stderr: &[u8]) -> Refusal {
    let lines = || stderr.split(|byte| *byte == b'\n');
    let warned = lines().filter(|line| line.starts_with(b"WARNING:")).map(class_of);
    if let Some(pause) =
        warned.filter(|refusal| matches!(refusal, Refusal::RateLimited | Refusal::Blocked)).min()
    {
        return pause;
    }
    let errors: Vec<&[u8]> = lines().filter(|line| !line.starts_with(b"WARNING:")).collect();
    // Reasons may run over several lines, so the errors are read as one text.
    class_of(&errors.join(&b'\n'))
}

fn class_of(text: &[u8]) -> Refusal {
    let text = without_login_tails(text);
    TABLE.matches(&text).iter().next().map_or(Refusal::Unknown, |row| ROWS[row].0)
}

fn without_login_tails(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|byte| *byte == b'\n').map(|line| {
        let tail = line.windows(LOGIN_TAIL.len()).position(|window| window == LOGIN_TAIL);
        &line[..tail.unwrap_or(line.len())]
    });
    lines.collect::<Vec<_>>().join(&b'\n')
}

impl Refusal {
    /// What this refusal means for the job that met it; `detail` says which video and in whose words.
    pub fn failure(self, detail: String) -> Failure {
        let rejected = |reason| Failure::rejected(reason, detail.clone());
        let transient = |reason| Failure::transient(reason, detail.clone());
        match self {
            Self::Local => transient(Reason::Disk)
                .with_hint("free some disk space and see that the data folder is writable"),
            Self::RateLimited => transient(Reason::RateLimited)
                .with_hint("wait an hour or more, then run the same command again"),
            Self::Blocked => transient(Reason::Blocked).with_hint(
                "the site takes this address for a robot: stop for a day or more, and lower videos_per_hour",
            ),
            Self::Geo => rejected(Reason::Geo),
            Self::Private => rejected(Reason::Private),
            Self::MembersOnly => rejected(Reason::MembersOnly),
            Self::AgeRestricted => rejected(Reason::AgeRestricted),
            Self::Encrypted | Self::Format => rejected(Reason::NoFormat),
            Self::Live => rejected(Reason::Live),
            Self::NotYet => rejected(Reason::NotYet),
            Self::Gone => rejected(Reason::Gone),
            Self::CompletePart | Self::MediaRefused | Self::Network => transient(Reason::Network),
            Self::Unknown => transient(Reason::Unexplained),
            Self::ToolBroken => transient(Reason::NoFormat),
            Self::ToolOutdated => transient(Reason::ToolOutdated)
                .with_hint("upgrade yt-dlp and its JavaScript runtime: run scripts/setup"),
            Self::Options => Failure::permanent(Reason::ToolMissing, detail.clone()).with_hint(
                "this yt-dlp does not know an option that it is given: run scripts/setup, or name another one under [tools]",
            ),
        }
    }
}

#[cfg(test)]
mod tests;

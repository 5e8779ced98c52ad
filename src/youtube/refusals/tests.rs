//! Golden texts: what yt-dlp 2026.10.26 wrote for each refusal.

use super::*;
use crate::failure::FailureKind;

const GOLDEN: &[(Refusal, &str)] = &[
    (Refusal::Gone, "ERROR: [youtube] vid00000001: Video unavailable. This video is unavailable"),
    (
        Refusal::Gone,
        "ERROR: [youtube] vid00000001: Video unavailable. This video has been removed by the uploader",
    ),
    (
        Refusal::Gone,
        "ERROR: [youtube] vid00000001: This video has been removed for violating YouTube's Terms of Service",
    ),
    (
        Refusal::Gone,
        "ERROR: [youtube] vid00000001: Video unavailable. This video is no longer available because the YouTube \
         account associated with this video has been terminated.",
    ),
    (
        Refusal::Gone,
        "ERROR: [youtube] vid00000001: Video unavailable. This video is no longer available due to a copyright claim \
         by Someone",
    ),
    (
        Refusal::Private,
        "ERROR: [youtube] vid00000001: Private video. Sign in if you've been granted access to this video. Use \
         --cookies-from-browser or --cookies for the authentication",
    ),
    (
        Refusal::MembersOnly,
        "ERROR: [youtube] vid00000001: Join this channel to get access to members-only content like this video",
    ),
    (
        Refusal::MembersOnly,
        "ERROR: [youtube] vid00000001: This video is available to this channel's members on level: Gold",
    ),
    (
        Refusal::MembersOnly,
        "ERROR: [youtube] vid00000001: Video unavailable. This video is only available to Music Premium members",
    ),
    (Refusal::MembersOnly, "ERROR: [youtube] vid00000001: This video requires payment to watch"),
    (
        Refusal::AgeRestricted,
        "ERROR: [youtube] vid00000001: Sign in to confirm your age. This video may be inappropriate for some users. \
         Use --cookies-from-browser or --cookies for the authentication",
    ),
    (Refusal::Encrypted, "ERROR: [youtube] vid00000001: This video is DRM protected"),
    (
        Refusal::Geo,
        "ERROR: [youtube] vid00000001: Video unavailable. The uploader has not made this video available in your \
         country\nThis video is available in France, Germany.\nYou might want to use a VPN",
    ),
    (
        Refusal::Geo,
        "ERROR: [youtube] vid00000001: Video unavailable. This video contains content from X, who has blocked it in \
         your country on copyright grounds",
    ),
    (Refusal::Live, "ERROR: [youtube] vid00000001: This live stream recording is not available."),
    (Refusal::NotYet, "ERROR: [youtube] vid00000001: This live event will begin in 3 hours."),
    (Refusal::NotYet, "ERROR: [youtube] vid00000001: Premieres in 2 days"),
    (Refusal::NotYet, "ERROR: [youtube] vid00000001: We're processing this video. Check back later."),
    (
        Refusal::RateLimited,
        "ERROR: [youtube] vid00000001: Video unavailable. This content isn't available, try again later. Your account \
         has been rate-limited by YouTube for up to an hour. It is recommended to use `-t sleep`",
    ),
    (
        Refusal::RateLimited,
        "ERROR: [youtube] vid00000001: Video unavailable. This content isn\u{2019}t available, try again later.",
    ),
    (
        Refusal::RateLimited,
        "WARNING: [youtube] vid00000001: Unable to download API page: HTTP Error 429: Too Many Requests (caused by \
         <HTTPError 429: Too Many Requests>)\nERROR: [youtube] vid00000001: No video formats found!; please report",
    ),
    (Refusal::RateLimited, "ERROR: unable to download video data: HTTP Error 429: Too Many Requests"),
    (
        Refusal::Blocked,
        "ERROR: [youtube] vid00000001: Sign in to confirm you\u{2019}re not a bot. Use --cookies-from-browser or \
         --cookies for the authentication",
    ),
    (Refusal::Blocked, "ERROR: [youtube] vid00000001: Sign in to confirm youre not a bot. Use --cookies"),
    (Refusal::Blocked, "ERROR: [youtube] vid00000001: The page is requiring a captcha challenge"),
    (
        Refusal::Blocked,
        "WARNING: [youtube] vid00000001: All player responses are invalid. Your IP is likely being blocked by Youtube\n\
         ERROR: [youtube] vid00000001: Failed to extract any player response",
    ),
    (Refusal::ToolBroken, "ERROR: [youtube] vid00000001: No video formats found!; please report this issue"),
    (
        Refusal::ToolBroken,
        "ERROR: [youtube] vid00000001: Failed to extract any player response; please report",
    ),
    (Refusal::ToolBroken, "ERROR: [youtube] vid00000001: The page needs to be reloaded."),
    (
        Refusal::ToolBroken,
        "ERROR: [youtube] vid00000001: The following content is not available on this app.. Watch on the latest \
         version of YouTube.",
    ),
    (
        Refusal::ToolBroken,
        "WARNING: [youtube:search] YouTube said: ERROR - Forbidden\nERROR: query \"happy\" page 1: Unable to download \
         API page: HTTP Error 403: Forbidden (caused by <HTTPError 403: Forbidden>)",
    ),
    (Refusal::ToolBroken, "Traceback (most recent call last):\n  File \"x.py\", line 1\nKeyError: 'x'"),
    (Refusal::MediaRefused, "ERROR: unable to download video data: HTTP Error 403: Forbidden"),
    (
        Refusal::CompletePart,
        "ERROR: unable to download video data: HTTP Error 416: Requested Range Not Satisfiable",
    ),
    (
        Refusal::Network,
        "[download] Got error: 100000 bytes read, 300036 more expected. Retrying (1/2)...\nERROR: [download] Got \
         error: 100000 bytes read, 300036 more expected. Giving up after 2 retries",
    ),
    (
        Refusal::Network,
        "ERROR: [download] Got error: (\"Connection broken: ConnectionResetError(104, 'Connection reset by peer')\")",
    ),
    (
        Refusal::Network,
        "ERROR: [download] Got error: HTTPConnectionPool(host='127.0.0.1', port=1): Read timed out..",
    ),
    (
        Refusal::Network,
        "ERROR: [youtube] vid00000001: Failed to resolve 'x' ([Errno -2] Name or service not known)",
    ),
    (Refusal::Network, "ERROR: unable to download video data: HTTP Error 503: Service Unavailable"),
    (Refusal::Network, "ERROR: Did not get any data blocks"),
    (Refusal::Format, "ERROR: [youtube] vid00000001: Requested format is not available. Use --list-formats"),
    (Refusal::Local, "ERROR: unable to write data: [Errno 28] No space left on device"),
    (Refusal::Local, "ERROR: unable to open for writing: [Errno 13] Permission denied: 'x.part'"),
    (Refusal::Options, "Usage: yt-dlp [OPTIONS] URL [URL...]\n\nyt-dlp: error: no such option: --nope"),
    (Refusal::Unknown, "ERROR: [youtube] vid00000001: The stars are not right"),
    (Refusal::Unknown, "ERROR: [youtube] vid00000001: Something went wrong. Refresh or try again later."),
    (Refusal::Unknown, ""),
];

#[test]
fn every_golden_text_has_its_class() {
    for (refusal, text) in GOLDEN {
        assert_eq!(classify(text.as_bytes()), *refusal, "{text}");
    }
}

#[test]
fn every_known_refusal_has_a_golden_text() {
    for (refusal, _) in ROWS {
        assert!(GOLDEN.iter().any(|(golden, _)| golden == refusal), "{refusal:?}");
    }
}

#[test]
fn bytes_that_are_not_text_do_not_hide_the_refusal() {
    let mut bytes = b"\xff\xfe garbage\nERROR: [youtube] vid00000001: Private video\xc3".to_vec();
    assert_eq!(classify(&bytes), Refusal::Private);
    bytes.truncate(10);
    assert_eq!(classify(&bytes), Refusal::Unknown);
    assert_eq!(classify(b"ERROR: [youtube] x: Sign in to confirm you\xe2\x80re not a bot"), Refusal::Blocked);
}

#[test]
fn the_cookie_advice_never_decides() {
    let text = b"ERROR: [youtube] x: The stars. Use --cookies; Private video; HTTP Error 429";
    assert_eq!(classify(text), Refusal::Unknown);
}

#[test]
fn a_harmless_warning_does_not_hide_the_error() {
    let text = b"WARNING: [youtube] No supported JavaScript runtime could be found\nERROR: [youtube] x: Private video";
    assert_eq!(classify(text), Refusal::Private);
    assert_eq!(classify(b"WARNING: [youtube] x: Private video is what this is about"), Refusal::Unknown);
}

#[test]
fn what_is_not_known_is_never_final() {
    assert_eq!(Refusal::Unknown.failure(String::new()).kind, FailureKind::Transient);
    assert_eq!(Refusal::Gone.failure(String::new()).kind, FailureKind::Rejected);
    assert_eq!(Refusal::Blocked.failure(String::new()).reason, Reason::Blocked);
}

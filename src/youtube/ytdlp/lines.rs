//! The lines that we make yt-dlp print, read back. Lines that are not ours are passed over, whatever they hold.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What the site says of a video when its download begins. yt-dlp leaves unknown fields out.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Extracted {
    /// The video's id, unchecked.
    pub id: String,
    /// Its title, as it came.
    pub title: Option<String>,
    /// Its channel's id, unchecked.
    pub channel_id: Option<String>,
    /// Its channel's name, as it came.
    #[serde(rename = "channel")]
    pub channel_name: Option<String>,
    /// Promised length in seconds.
    #[serde(rename = "duration")]
    pub duration_s: Option<f64>,
    /// `not_live`, `is_live`, `is_upcoming`, `was_live`, `post_live`.
    pub live_status: Option<String>,
    /// Minimum age of viewers in years; 0 for everyone.
    pub age_limit: Option<u32>,
    /// The licence as the watch page names it; YouTube's own is not named.
    #[serde(rename = "license")]
    pub licence: Option<String>,
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// Bytes on disk.
    pub downloaded_bytes: u64,
    /// Bytes in all, perhaps estimated.
    pub total_bytes: Option<u64>,
}

/// The file that yt-dlp says it left.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Moved {
    pub(super) id: String,
    pub(super) filepath: String,
}

/// One of our lines.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    Extracted(Extracted),
    /// The download of a format begins.
    Begun,
    Progress(Progress),
    Moved(Moved),
}

/// The options that make yt-dlp print them. `+` has characters printed as they are: those that are half of one are left
/// out then, while their escapes would be no JSON.
pub(super) const PRINT: [&str; 8] = [
    "--progress-template",
    "download:@P %(progress.{downloaded_bytes,total_bytes,total_bytes_estimate})j",
    "--print",
    "pre_process:@S %(.{id,title,channel_id,channel,duration,live_status,age_limit,license})+j",
    "--print",
    "before_dl:@B %(.{id,format_id})j",
    "--print",
    "after_move:@D %(.{id,filepath})j",
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawProgress {
    downloaded_bytes: Option<f64>,
    total_bytes: Option<f64>,
    total_bytes_estimate: Option<f64>,
}

/// Reads a line of standard output, if it is one of ours and whole.
pub(super) fn read(line: &[u8]) -> Option<Line> {
    let (mark, json) = line.split_at_checked(3)?;
    match mark {
        b"@S " => parsed(json).map(Line::Extracted),
        b"@B " => Some(Line::Begun),
        b"@D " => parsed(json).map(Line::Moved),
        b"@P " => parsed::<RawProgress>(json).map(|raw| {
            let total = raw.total_bytes.or(raw.total_bytes_estimate);
            Line::Progress(Progress {
                downloaded_bytes: as_bytes(raw.downloaded_bytes.unwrap_or(0.0)),
                total_bytes: total.map(as_bytes),
            })
        }),
        _ => None,
    }
}

fn parsed<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    // An array would fill a struct too.
    json.starts_with(b"{").then(|| serde_json::from_slice(json).ok()).flatten()
}

fn as_bytes(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_lines_are_read_and_all_others_passed_over() {
        let line =
            read(br#"@P {"downloaded_bytes": 3072, "total_bytes": null, "total_bytes_estimate": 9000.5}"#);
        let progress = Progress { downloaded_bytes: 3_072, total_bytes: Some(9_000) };
        assert_eq!(line, Some(Line::Progress(progress)));
        let line = br#"@S {"id": "x", "channel": "Kids TV", "duration": 12.5, "license": "CC"}"#;
        let Some(Line::Extracted(video)) = read(line) else { panic!("not read") };
        assert_eq!((video.channel_name.as_deref(), video.title), (Some("Kids TV"), None));
        assert_eq!(
            (video.duration_s, video.licence.as_deref(), video.age_limit),
            (Some(12.5), Some("CC"), None)
        );
        for other in [&b"[download] 100%"[..], b"@D {cut sho", b"@", b"", b"@S \xff\xfe", b"@D []"] {
            assert_eq!(read(other), None);
        }
    }
}

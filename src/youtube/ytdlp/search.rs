//! Keyless search: a flat playlist in JSON becomes hits. It over-fetches, since most filters of the site cannot be
//! trusted, and leaves judging to the caller.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::YtDlp;
use super::canary;
use super::child::{self, Ended, Listener, StopCause};
use crate::clock::Stop;
use crate::config::LicencePolicy;
use crate::youtube::border::{self, SiteId};
use crate::youtube::error::YoutubeError;
use crate::youtube::refusals::{Refusal, classify};
use crate::youtube::search::{Answer, FoundVideo, Question, SearchProvider};

/// Results requested for each wanted video: about a third are short enough.
const OVER_FETCH: u32 = 3;
const WALL_CLOCK: Duration = Duration::from_secs(300);
/// The site's own filter "videos, Creative Commons".
const CREATIVE_COMMONS: &str = "EgQQATAB";

impl SearchProvider for YtDlp {
    fn search<'a>(
        &'a self,
        question: Question<'a>,
        stop: &'a Stop,
    ) -> BoxFuture<'a, Result<Answer, YoutubeError>> {
        self.ask(question, stop).boxed()
    }
}

impl YtDlp {
    /// An answer without hits is accepted only if the canary, or another search just before, found something.
    async fn ask(&self, question: Question<'_>, stop: &Stop) -> Result<Answer, YoutubeError> {
        let answer = self.ask_once(&question, stop).await?;
        if !answer.hits.is_empty() {
            self.canary.record_find(Instant::now());
            return Ok(answer);
        }
        if self.canary.is_fresh(Instant::now()) {
            return Ok(answer);
        }
        let song = Question { text: canary::TEXT, want: 1, language: None };
        if self.ask_once(&song, stop).await?.hits.is_empty() {
            let said = format!(
                "nothing found, and nothing for '{}' either: the site's page has changed",
                canary::TEXT
            );
            return Err(YoutubeError::Refused {
                what: border::line(question.text),
                refusal: Refusal::ToolOutdated,
                said,
            });
        }
        self.canary.record_find(Instant::now());
        Ok(answer)
    }

    async fn ask_once(&self, question: &Question<'_>, stop: &Stop) -> Result<Answer, YoutubeError> {
        let text = border::line(question.text);
        let mut command = self.command();
        command.args(["--flat-playlist", "--dump-single-json"]);
        command.args(self.search_target(&text, question.want.max(1).saturating_mul(OVER_FETCH)));
        let mut limits = self.limits.clone();
        limits.wall_clock = limits.wall_clock.min(WALL_CLOCK);
        let mut json = Json::default();
        let ended = child::run(command, &limits, &mut json, stop).await;
        let ended = ended.map_err(|source| self.not_run(source))?;
        self.faults.record(&text, read(&text, json.0, &ended))
    }

    /// The words that ask for `count` results. Under `creative-commons` the search page with the site's filter is
    /// asked, which has no count of its own.
    fn search_target(&self, text: &str, count: u32) -> Vec<String> {
        match self.crawl.licence {
            LicencePolicy::Any => vec!["--".to_owned(), format!("ytsearch{count}:{text}")],
            LicencePolicy::CreativeCommons => {
                let text = percent_encoded(text);
                let url =
                    format!("https://www.youtube.com/results?search_query={text}&sp={CREATIVE_COMMONS}");
                vec!["--playlist-items".to_owned(), format!(":{count}"), "--".to_owned(), url]
            }
        }
    }
}

fn percent_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// The one line of JSON.
#[derive(Default)]
struct Json(Vec<u8>);

impl Listener for Json {
    fn line(&mut self, line: &[u8]) {
        if self.0.is_empty() && line.starts_with(b"{") {
            self.0 = line.to_vec();
        }
    }

    fn downloaded_bytes(&self) -> Option<u64> {
        None
    }

    fn longest_line(&self) -> usize {
        16 * 1_024 * 1_024
    }
}

#[derive(Deserialize)]
struct Playlist {
    #[serde(default)]
    entries: Vec<Option<Entry>>,
    #[serde(rename = "_version", default)]
    version: Version,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Version {
    version: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    id: Option<String>,
    title: Option<String>,
    channel: Option<String>,
    channel_id: Option<String>,
    duration: Option<f64>,
    live_status: Option<String>,
}

fn read(text: &str, json: Vec<u8>, ended: &Ended) -> Result<Answer, YoutubeError> {
    let said = || border::message(&ended.stderr);
    match &ended.stop_cause {
        Some(StopCause::Stopped) => return Err(YoutubeError::Stopped),
        Some(StopCause::TimedOut { detail, has_moved }) => {
            return Err(YoutubeError::TimedOut {
                what: text.to_owned(),
                detail: detail.clone(),
                has_moved: *has_moved,
                said: said(),
            });
        }
        Some(StopCause::NothingMoreWanted) | None => {}
    }
    let refusal = classify(&ended.stderr);
    let refused = || YoutubeError::Refused { what: text.to_owned(), refusal, said: said() };
    if matches!(refusal, Refusal::RateLimited | Refusal::Blocked)
        || (json.is_empty() && !ended.status.success())
    {
        return Err(refused());
    }
    let playlist: Playlist = serde_json::from_slice(&json).map_err(|error| {
        let beginning = border::line(&String::from_utf8_lossy(&json[..json.len().min(200)]));
        YoutubeError::Unreadable { what: text.to_owned(), detail: format!("{error}: {beginning}") }
    })?;
    let entries = playlist.entries.len();
    let hits = hits(playlist.entries);
    if hits.is_empty() && !ended.status.success() {
        return Err(refused());
    }
    let note = note(entries, hits.len());
    let broke_off = (!ended.status.success()).then(said);
    let tool_version = format!("yt-dlp {}", border::line(&playlist.version.version.unwrap_or_default()));
    Ok(Answer { tool_version, pages: vec![json], hits, note, broke_off })
}

/// Whether the answer deserves a second look by a person.
fn note(entries: usize, hits: usize) -> Option<String> {
    if hits == 0 {
        return Some("an empty answer".to_owned());
    }
    (hits < entries).then(|| format!("{} repeated or unusable entries dropped", entries - hits))
}

/// The usable entries, each video once, ranked from 1 as they come.
fn hits(entries: Vec<Option<Entry>>) -> Vec<FoundVideo> {
    let mut seen = HashSet::new();
    let mut hits = Vec::new();
    for entry in entries.into_iter().flatten() {
        let Some(site_id) = entry.id.as_deref().and_then(SiteId::new) else { continue };
        if !seen.insert(site_id.clone()) {
            continue;
        }
        let rank = u32::try_from(hits.len() + 1).unwrap_or(u32::MAX);
        hits.push(FoundVideo {
            url: site_id.url(),
            site_id: site_id.to_string(),
            title: border::line(entry.title.as_deref().unwrap_or_default()),
            channel_id: entry.channel_id.as_deref().and_then(border::channel_id),
            channel_name: entry.channel.as_deref().map(border::line),
            duration_ms: entry.duration.filter(|seconds| *seconds > 0.0).map(milliseconds),
            licence: None,
            live: matches!(entry.live_status.as_deref(), Some("is_live" | "is_upcoming")),
            age_restricted: None,
            made_for_kids: None,
            in_region: None,
            rank,
        });
    }
    hits
}

/// Seconds as the site gives them, in whole milliseconds.
pub(super) fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1_000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn ended(code: i32, stderr: &str) -> Ended {
        Ended { status: ExitStatus::from_raw(code << 8), stderr: stderr.into(), stop_cause: None }
    }

    #[test]
    fn entries_are_counted_once_and_null_ones_not_at_all() {
        let json = br#"{"entries":[{"id":"vid00000001","title":"a\u001b[2J","duration":5.5},null,
            {"id":"vid00000001"},{"id":"../../etc/p"},{"id":"vid00000002","live_status":"is_live"}],
            "_version":{"version":"2026.10.26"}}"#;
        let answer = read("happy", json.to_vec(), &ended(0, "")).unwrap();
        let found: Vec<(&str, u32)> =
            answer.hits.iter().map(|hit| (hit.site_id.as_str(), hit.rank)).collect();
        assert_eq!(found, [("vid00000001", 1), ("vid00000002", 2)]);
        assert_eq!((answer.hits[0].title.as_str(), answer.hits[0].duration_ms), ("a[2J", Some(5_500)));
        assert!(answer.hits[1].live);
        assert_eq!(answer.tool_version, "yt-dlp 2026.10.26");
        assert!(answer.note.unwrap().contains("3 repeated"));
    }

    #[test]
    fn an_answer_whose_later_pages_failed_says_so() {
        let page = br#"{"entries":[{"id":"vid00000001"}]}"#.to_vec();
        let ended = ended(1, "ERROR: [youtube:search] happy: Unable to download API page: timed out");
        let answer = read("happy", page, &ended).unwrap();
        assert_eq!(answer.hits.len(), 1);
        assert!(answer.broke_off.unwrap().contains("timed out"));
    }

    #[test]
    fn an_empty_answer_is_read_as_such_and_noted() {
        let answer = read("happy", br#"{"entries":[]}"#.to_vec(), &ended(0, "")).unwrap();
        assert!(answer.hits.is_empty() && answer.note.unwrap().contains("empty"));
    }

    #[test]
    fn a_failed_search_is_not_an_empty_answer() {
        let limited = ended(1, "ERROR: [youtube:search] happy: HTTP Error 429: Too Many Requests");
        let error = read("happy", br#"{"entries":[null]}"#.to_vec(), &limited).unwrap_err();
        assert!(matches!(error, YoutubeError::Refused { refusal: Refusal::RateLimited, .. }));
        let error = read("happy", Vec::new(), &ended(0, "")).unwrap_err();
        assert!(matches!(error, YoutubeError::Unreadable { .. }));
        let error = read("happy", br#"{"entries":[{"id":"#.to_vec(), &ended(0, "")).unwrap_err();
        assert!(matches!(error, YoutubeError::Unreadable { .. }));
    }
}

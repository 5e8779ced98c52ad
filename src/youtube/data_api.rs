//! YouTube Data API v3: `search.list` for the hits, `videos.list` for what policy needs to know of them. It keeps its
//! key out of every address, message and log.

mod answers;
mod errors;
mod key;

use std::collections::{HashMap, HashSet};
use std::sync::Once;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::Client;
use reqwest::header::HeaderValue;
use serde::de::DeserializeOwned;

pub use self::key::ApiKey;

use self::answers::{SearchPage, Searched, VideoDetails, VideoPage};
use super::border::{self, SiteId};
use super::error::YoutubeError;
use super::fault::FaultDetector;
use super::search::{Answer, FoundVideo, Question, SearchProvider};
use crate::clock::Stop;
use crate::config::{CrawlConfig, LicencePolicy};
use crate::words::{plural, were};

/// `search.list` calls that a project without a raised quota has a day, each page one, as of June 2026.
pub const SEARCHES_A_DAY: u64 = 100;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// A page costs the same whatever its size, so the largest is asked.
const PAGE_SIZE: usize = 50;
/// Each page costs one of the day's hundred calls.
const MAX_PAGES: usize = 3;
/// The API calls videos below four minutes `short`, in seconds.
const SHORT_S: u32 = 240;
/// How often one search waits for a pause that the API asks for.
const MAX_WAITS: u32 = 2;
/// A longer pause is left to the stage.
const LONGEST_WAIT_S: u64 = 120;
/// Much larger than any true answer.
const LONGEST_BODY: usize = 8 * 1_024 * 1_024;

/// Ids that one `videos.list` call takes.
pub const IDS_A_CALL: usize = PAGE_SIZE;

/// The Data API with a key.
#[derive(Debug, Clone)]
pub struct DataApi {
    client: Client,
    base_url: String,
    key: ApiKey,
    licence: LicencePolicy,
    region: Option<String>,
    only_short: bool,
    faults: FaultDetector,
}

/// Whether a crawl asks the Data API for short videos alone: it does where its policy keeps no others.
pub(crate) fn asks_for_short(crawl: &CrawlConfig) -> bool {
    crawl.max_duration_s <= SHORT_S
}

/// The most `search.list` calls that one search takes when this many results are wanted of it.
pub(crate) fn calls_a_search(results: u32) -> u64 {
    u64::from(results).div_ceil(PAGE_SIZE as u64).clamp(1, MAX_PAGES as u64)
}

impl DataApi {
    /// Prepares the client; nothing is asked yet.
    ///
    /// # Errors
    /// When the machine's certificates cannot be read.
    pub fn new(key: ApiKey, crawl: &CrawlConfig) -> Result<Self, YoutubeError> {
        install_crypto_provider();
        let mut client = Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("webemotion/", env!("CARGO_PKG_VERSION")));
        if crawl.youtube_host.is_some() {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| unanswered(error, &key))?;
        let base_url = crawl.data_api_url.trim_end_matches('/').to_owned();
        let (licence, region) = (crawl.licence, crawl.region.clone());
        let only_short = asks_for_short(crawl);
        Ok(Self { client, base_url, key, licence, region, only_short, faults: FaultDetector::default() })
    }

    /// Asks about videos by their ids; those that are gone or private are simply not in the answer. Fifty cost one unit
    /// of the day's ten thousand.
    ///
    /// # Errors
    /// What the API refused, or [`YoutubeError::Stopped`].
    pub async fn look_up(&self, ids: &[SiteId], stop: &Stop) -> Result<Vec<FoundVideo>, YoutubeError> {
        let named: Vec<_> = ids.iter().map(|site_id| (site_id.clone(), Searched::default())).collect();
        let details = self.details(&named, &mut Vec::new(), stop).await?;
        Ok(self.answer(named, &details, Vec::new()).hits)
    }

    async fn ask(&self, question: Question<'_>, stop: &Stop) -> Result<Answer, YoutubeError> {
        let text = border::line(question.text);
        let mut pages = Vec::new();
        let mut found: Vec<(SiteId, Searched)> = Vec::new();
        let mut seen = HashSet::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let (raw, page) = self.search_page(&text, question.language, token.as_deref(), stop).await?;
            pages.push(raw);
            token = page.next_page_token.clone();
            let fresh = page.into_videos().filter(|(site_id, _)| seen.insert(site_id.clone()));
            found.extend(fresh);
            if token.is_none() || found.len() >= question.want as usize {
                break;
            }
        }
        let details = self.details(&found, &mut pages, stop).await?;
        Ok(self.answer(found, &details, pages))
    }

    async fn search_page(
        &self,
        text: &str,
        language: Option<&str>,
        token: Option<&str>,
        stop: &Stop,
    ) -> Result<(Vec<u8>, SearchPage), YoutubeError> {
        let size = PAGE_SIZE.to_string();
        let mut query = self.query(text, language, token);
        query.push(("maxResults", &size));
        self.get("search", &query, stop).await
    }

    fn query<'a>(
        &'a self,
        text: &'a str,
        language: Option<&'a str>,
        token: Option<&'a str>,
    ) -> Vec<(&'static str, &'a str)> {
        let mut query = vec![
            ("part", "snippet"),
            ("q", text),
            ("type", "video"),
            ("order", "relevance"),
            ("safeSearch", "moderate"),
        ];
        if self.only_short {
            query.push(("videoDuration", "short"));
        }
        if self.licence == LicencePolicy::CreativeCommons {
            query.push(("videoLicense", "creativeCommon"));
        }
        query.extend(self.region.as_deref().map(|region| ("regionCode", region)));
        query.extend(language.map(|language| ("relevanceLanguage", language)));
        query.extend(token.map(|token| ("pageToken", token)));
        query
    }

    async fn details(
        &self,
        found: &[(SiteId, Searched)],
        pages: &mut Vec<Vec<u8>>,
        stop: &Stop,
    ) -> Result<HashMap<String, VideoDetails>, YoutubeError> {
        let mut details = HashMap::new();
        for some in found.chunks(PAGE_SIZE) {
            let ids: Vec<&str> = some.iter().map(|(site_id, _)| site_id.as_str()).collect();
            let query = [("part", "snippet,contentDetails,status"), ("id", &ids.join(","))];
            let (raw, page): (_, VideoPage) = self.get("videos", &query, stop).await?;
            pages.push(raw);
            details.extend(page.items.into_iter().map(|video| (video.id.clone(), video)));
        }
        Ok(details)
    }

    /// Sends a request. Waits for a short pause that the API asks for, a few times, so that the stage need not pause.
    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        stop: &Stop,
    ) -> Result<(Vec<u8>, T), YoutubeError> {
        for _ in 0..MAX_WAITS {
            match self.get_once(path, query, stop).await {
                Err(YoutubeError::Throttled { pause_s }) if pause_s <= LONGEST_WAIT_S => {
                    wait(Duration::from_secs(pause_s), stop).await?;
                }
                ended => return ended,
            }
        }
        self.get_once(path, query, stop).await
    }

    async fn get_once<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        stop: &Stop,
    ) -> Result<(Vec<u8>, T), YoutubeError> {
        if stop.is_asked() {
            return Err(YoutubeError::Stopped);
        }
        let request = self.client.get(format!("{}/{path}", self.base_url)).query(query);
        let request = request.header("X-Goog-Api-Key", self.key.header());
        let mut response = request.send().await.map_err(|error| unanswered(error, &self.key))?;
        let status = response.status().as_u16();
        let pause = response.headers().get("retry-after").and_then(seconds_of);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unanswered(error, &self.key))? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST_BODY {
                break;
            }
        }
        if status != 200 {
            return Err(errors::read(status, pause, &self.key.redacted(&body)));
        }
        let value = serde_json::from_slice(&body).map_err(|error| {
            let beginning = border::line(&self.key.redacted(&body[..body.len().min(200)]));
            YoutubeError::Unreadable {
                what: format!("the Data API's {path}"),
                detail: format!("{error}: {beginning}"),
            }
        })?;
        Ok((body, value))
    }

    /// Joins the results of the search and the details. A video without details was removed in between and is not a
    /// hit.
    fn answer(
        &self,
        found: Vec<(SiteId, Searched)>,
        details: &HashMap<String, VideoDetails>,
        pages: Vec<Vec<u8>>,
    ) -> Answer {
        let count = found.len();
        let region = self.region.as_deref();
        let ranked = (1..).zip(found);
        let hits: Vec<FoundVideo> = ranked
            .filter_map(|(rank, (site_id, searched))| {
                let details = details.get(site_id.as_str())?;
                Some(answers::found_video(&site_id, &searched, details, region, rank))
            })
            .collect();
        let missing = count - hits.len();
        let note = match (count, missing) {
            (0, _) => Some("an empty answer".to_owned()),
            (_, 0) => None,
            _ => {
                let (videos, were) = (plural(missing, "video"), were(missing as u64));
                Some(format!("{videos} {were} gone when asked for details"))
            }
        };
        Answer { tool_version: "data-api v3".to_owned(), pages, hits, note, broke_off: None }
    }
}

impl SearchProvider for DataApi {
    fn search<'a>(
        &'a self,
        question: Question<'a>,
        stop: &'a Stop,
    ) -> BoxFuture<'a, Result<Answer, YoutubeError>> {
        let what = question.text;
        async move { self.faults.record(what, self.ask(question, stop).await) }.boxed()
    }
}

/// Waits, unless a stop is asked.
async fn wait(duration: Duration, stop: &Stop) -> Result<(), YoutubeError> {
    match tokio::time::timeout(duration, stop.asked()).await {
        Ok(()) => Err(YoutubeError::Stopped),
        Err(_elapsed) => Ok(()),
    }
}

fn seconds_of(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}

fn unanswered(error: reqwest::Error, key: &ApiKey) -> YoutubeError {
    let error = error.without_url();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    YoutubeError::Unanswered { said: border::line(&key.redacted(format!("{error}{cause}").as_bytes())) }
}

/// rustls needs one maker of cryptography for the whole process; ours is ring, chosen once, here. If somebody chose
/// before us, theirs holds.
fn install_crypto_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_videos_are_asked_for_where_the_policy_keeps_them() {
        let asks_for_short = |max_duration_s| {
            let crawl = CrawlConfig { max_duration_s, ..CrawlConfig::default() };
            let api = DataApi::new(ApiKey::new("a-key").unwrap(), &crawl);
            api.unwrap().query("happy", None, None).contains(&("videoDuration", "short"))
        };
        assert!(asks_for_short(240) && !asks_for_short(241));
    }

    #[test]
    fn a_search_takes_as_many_calls_as_it_has_pages() {
        assert_eq!([1, 20, 50, 51, 150, 500].map(calls_a_search), [1, 1, 1, 2, 3, 3]);
    }
}

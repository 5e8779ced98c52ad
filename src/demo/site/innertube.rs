//! The site's inner API, as far as yt-dlp asks it: search pages, what plays, and the watch page's facts. Shapes follow
//! what yt-dlp 2026.10.26 reads.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::found::found;
use super::{MediaFault, SiteAnswer, SiteLicence, SiteVideo, World, count_up};

/// How searches misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchFault {
    /// The page has another shape than yt-dlp reads: it looks as if nothing was found.
    OtherShape,
    /// Always this HTTP status.
    Status(u16),
    /// A web page instead of JSON, with status 200.
    Html,
}

/// How the call that should play a video is answered oddly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddAnswer {
    /// With another video, as for addresses that are to be kept away.
    OtherVideo,
    /// Without formats.
    NoFormats,
    /// With formats that have no address.
    NoAddress,
    /// With encrypted formats only.
    Encrypted,
    /// With sound only.
    SoundOnly,
    /// With a riddle that only people can solve.
    Captcha,
    /// It is live now.
    Live,
}

const PAGE_SIZE: usize = 20;
/// The site shows no longer ones among its shorts.
const LONGEST_SHORT_S: u32 = 180;
/// The website's filter "videos, Creative Commons".
const CREATIVE_COMMONS: &str = "EgQQATAB";

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct SearchBody {
    query: String,
    params: String,
    continuation: Option<String>,
}

/// `POST /youtubei/v1/search`: a first page, or the page that a continuation token names.
pub(super) async fn search(State(world): State<Arc<World>>, Json(body): Json<SearchBody>) -> Response {
    world.asked.search_pages.fetch_add(1, Ordering::Relaxed);
    let fault = *world.search_fault.lock().unwrap_or_else(PoisonError::into_inner);
    match fault {
        None => page(&world, body).into_response(),
        Some(SearchFault::OtherShape) => {
            Json(json!({"contents": {"searchPageRenderer": {}}})).into_response()
        }
        Some(SearchFault::Status(code)) => {
            StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
        Some(SearchFault::Html) => Html("<!doctype html><title>Sorry</title>").into_response(),
    }
}

fn page(world: &World, body: SearchBody) -> Json<Value> {
    let is_first = body.continuation.is_none();
    let place = body.continuation.as_deref().and_then(Place::read).unwrap_or_else(|| Place {
        offset: 0,
        only_free: body.params == CREATIVE_COMMONS,
        text: body.query,
    });
    let videos: Vec<&SiteVideo> = found(&world.videos, &place.text)
        .into_iter()
        .filter(|video| !place.only_free || video.licence == SiteLicence::CreativeCommons)
        .collect();
    let shown = videos.iter().skip(place.offset).take(PAGE_SIZE);
    let page: Vec<Value> = shown.map(|video| hit(video, world.by_id[&video.site_id])).collect();
    let mut contents = vec![json!({"itemSectionRenderer": {"contents": page}})];
    if videos.len() > place.offset + PAGE_SIZE {
        contents.push(continuation(&place.next().written()));
    }
    Json(if is_first {
        json!({"contents": {"twoColumnSearchResultsRenderer": {"primaryContents": {
            "sectionListRenderer": {"contents": contents}}}}})
    } else {
        json!({"onResponseReceivedCommands": [{"appendContinuationItemsAction": {"continuationItems": contents}}]})
    })
}

/// How far a search has come, carried in its continuation token.
struct Place {
    offset: usize,
    only_free: bool,
    text: String,
}

impl Place {
    fn read(token: &str) -> Option<Self> {
        let mut parts = token.splitn(3, '|');
        let offset = parts.next()?.parse().ok()?;
        Some(Self { offset, only_free: parts.next()? == "free", text: parts.next()?.to_owned() })
    }

    fn next(self) -> Self {
        Self { offset: self.offset + PAGE_SIZE, ..self }
    }

    fn written(&self) -> String {
        format!("{}|{}|{}", self.offset, if self.only_free { "free" } else { "any" }, self.text)
    }
}

fn continuation(token: &str) -> Value {
    json!({"continuationItemRenderer": {"continuationEndpoint": {"continuationCommand": {
        "token": token, "request": "CONTINUATION_REQUEST_TYPE_SEARCH"}}}})
}

/// Each video is always shown in the same of the three shapes in which the site mixes its hits.
fn hit(video: &SiteVideo, index: usize) -> Value {
    match index % 4 {
        1 => lockup(video),
        3 if video.duration_s <= LONGEST_SHORT_S => short(video),
        _ => renderer(video),
    }
}

/// The shape of many years.
fn renderer(video: &SiteVideo) -> Value {
    json!({"videoRenderer": {
        "videoId": video.site_id,
        "title": {"runs": [{"text": video.title}]},
        "lengthText": {"simpleText": length(video)},
        "shortBylineText": {"runs": [{"text": video.channel_name, "navigationEndpoint": {
            "browseEndpoint": {"browseId": video.channel_id}}}]},
    }})
}

/// The shape that takes its place.
fn lockup(video: &SiteVideo) -> Value {
    let badge = json!({"thumbnailBadgeViewModel": {"text": length(video)}});
    let channel = json!({"text": {"content": video.channel_name, "commandRuns": [{"onTap": {"innertubeCommand": {
        "browseEndpoint": {"browseId": video.channel_id}}}}]}});
    json!({"lockupViewModel": {
        "contentId": video.site_id,
        "contentType": "LOCKUP_CONTENT_TYPE_VIDEO",
        "contentImage": {"thumbnailViewModel": {"overlays": [
            {"thumbnailBottomOverlayViewModel": {"badges": [badge]}}]}},
        "metadata": {"lockupMetadataViewModel": {
            "title": {"content": video.title},
            "metadata": {"contentMetadataViewModel": {"metadataRows": [{"metadataParts": [channel]}]}}}},
    }})
}

/// One of a shelf of shorts, which name neither channel nor length.
fn short(video: &SiteVideo) -> Value {
    json!({"reelShelfRenderer": {"items": [{"reelItemRenderer": {
        "videoId": video.site_id, "headline": {"simpleText": video.title}}}]}})
}

fn length(video: &SiteVideo) -> String {
    format!("{}:{:02}", video.duration_s / 60, video.duration_s % 60)
}

#[derive(Deserialize)]
pub(super) struct VideoBody {
    #[serde(rename = "videoId")]
    video_id: String,
}

/// `POST /youtubei/v1/player`: the media addresses, or a refusal.
pub(super) async fn player(State(world): State<Arc<World>>, Json(body): Json<VideoBody>) -> Response {
    world.asked.players.fetch_add(1, Ordering::Relaxed);
    let Some(video) = world.video(&body.video_id) else {
        return Json(refusal(&body.video_id, "ERROR", "Video unavailable", "This video is unavailable"))
            .into_response();
    };
    let played_before = count_up(&world.plays, &video.site_id) > 0;
    let refused = |status, reason, subreason| refusal(&video.site_id, status, reason, subreason);
    let answer = match &video.answer {
        SiteAnswer::PlayerStatus(status) => {
            return StatusCode::from_u16(*status)
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
                .into_response();
        }
        SiteAnswer::Private => {
            refused("LOGIN_REQUIRED", "Private video", "Sign in if you've been granted access to this video")
        }
        SiteAnswer::Removed => {
            refused("ERROR", "Video unavailable", "This video has been removed by the uploader")
        }
        SiteAnswer::RateLimitedOnce if !played_before => {
            refused("UNPLAYABLE", "Video unavailable", "This content isn't available, try again later.")
        }
        SiteAnswer::Refused { status, reason, subreason } => refused(status, reason, subreason),
        SiteAnswer::Odd(odd) => odd_answer(*odd, playable(&world, video)),
        SiteAnswer::Plays | SiteAnswer::RateLimitedOnce | SiteAnswer::Media(_) => playable(&world, video),
    };
    Json(answer).into_response()
}

fn playable(world: &World, video: &SiteVideo) -> Value {
    let size_bytes = std::fs::metadata(&video.file).map_or(0, |facts| facts.len());
    let host = match video.answer {
        SiteAnswer::Media(MediaFault::Reset) => &world.reset_host,
        _ => &world.media_host,
    };
    json!({
        "playabilityStatus": {"status": "OK"},
        "videoDetails": details(video),
        "streamingData": {"formats": [{
            "itag": 18,
            "url": format!("http://{host}/media/{}?clen={size_bytes}&itag=18", video.site_id),
            "mimeType": "video/mp4; codecs=\"avc1.42001E, mp4a.40.2\"",
            "bitrate": 500_000, "width": 640, "height": 360, "qualityLabel": "360p", "fps": 30,
            "contentLength": size_bytes.to_string(),
            "approxDurationMs": (u64::from(video.duration_s) * 1_000).to_string(),
            "audioChannels": 2,
        }]},
    })
}

/// What would play, made odd.
fn odd_answer(odd: OddAnswer, mut answer: Value) -> Value {
    let format = &mut answer["streamingData"]["formats"][0];
    match odd {
        OddAnswer::OtherVideo => answer["videoDetails"]["videoId"] = "AAAAAAAAAAA".into(),
        OddAnswer::NoFormats => answer["streamingData"]["formats"] = json!([]),
        OddAnswer::NoAddress => drop(format.as_object_mut().and_then(|format| format.remove("url"))),
        OddAnswer::Encrypted => format["drmFamilies"] = json!(["WIDEVINE"]),
        OddAnswer::SoundOnly => {
            let sound = json!({"itag": 140, "url": format["url"], "bitrate": 128_000, "audioChannels": 2,
                "mimeType": "audio/mp4; codecs=\"mp4a.40.2\""});
            answer["streamingData"] = json!({"adaptiveFormats": [sound]});
        }
        OddAnswer::Captcha => {
            answer["streamingData"] = json!({});
            answer["playabilityStatus"] = json!({"status": "UNPLAYABLE", "reason": "Video unavailable",
                "errorScreen": {"playerCaptchaViewModel": {"title": "a riddle"}}});
        }
        OddAnswer::Live => {
            answer["videoDetails"]["isLive"] = true.into();
            answer["videoDetails"]["isLiveContent"] = true.into();
        }
    }
    answer
}

fn details(video: &SiteVideo) -> Value {
    json!({
        "videoId": video.site_id,
        "title": video.title,
        "lengthSeconds": video.duration_s.to_string(),
        "channelId": video.channel_id,
        "author": video.channel_name,
        "isLiveContent": false,
    })
}

fn refusal(site_id: &str, status: &str, reason: &str, subreason: &str) -> Value {
    json!({
        "playabilityStatus": {"status": status, "reason": reason, "errorScreen": {"playerErrorMessageRenderer": {
            "reason": {"simpleText": reason}, "subreason": {"simpleText": subreason}}}},
        "videoDetails": {"videoId": site_id},
    })
}

/// `POST /youtubei/v1/next`: what the watch page says besides; the licence is here and nowhere else.
pub(super) async fn next(State(world): State<Arc<World>>, Json(body): Json<VideoBody>) -> Json<Value> {
    let video = world.video(&body.video_id);
    let is_free = video.is_some_and(|video| video.licence == SiteLicence::CreativeCommons);
    let licence = json!({"metadataRowRenderer": {
        "title": {"simpleText": "License"},
        "contents": [{"runs": [{"text": "Creative Commons Attribution license (reuse allowed)"}]}]}});
    let rows = if is_free { vec![licence] } else { Vec::new() };
    Json(json!({"contents": {"twoColumnWatchNextResults": {"results": {"results": {"contents": [
        {"videoSecondaryInfoRenderer": {
            "owner": {"videoOwnerRenderer": {"title": {"runs": [
                {"text": video.map_or("", |video| video.channel_name.as_str())}]}}},
            "metadataRowContainer": {"metadataRowContainerRenderer": {"rows": rows}}}},
    ]}}}}}))
}

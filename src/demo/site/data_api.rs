//! The Data API v3 as the site speaks it: `search.list` and `videos.list` with pages, a key, and its known refusals.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::found::found;
use super::{SiteAnswer, SiteLicence, SiteVideo, World};

/// Every key is accepted but this one.
const BAD_KEY: &str = "bad-key";
const SHORT_S: u32 = 240;

/// How the Data API misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiFault {
    /// The day's searches are used up; `videos.list` still works.
    QuotaOfDay,
    /// Too many calls within a minute.
    PerMinute,
    /// The day's units are used up.
    Units,
    /// HTTP 500.
    ServerError,
    /// A web page with status 200.
    Html,
    /// JSON that ends in the middle.
    Truncated,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
pub(super) struct SearchQuery {
    q: String,
    max_results: Option<usize>,
    page_token: Option<String>,
    video_duration: Option<String>,
    video_license: Option<String>,
}

/// `GET /youtube/v3/search`.
pub(super) async fn search(
    State(world): State<Arc<World>>,
    Query(query): Query<SearchQuery>,
    headers: HeaderMap,
) -> Response {
    world.asked.api_searches.fetch_add(1, Ordering::Relaxed);
    if let Some(refusal) = refused(&world, &headers, true) {
        return refusal;
    }
    let is_short = query.video_duration.as_deref() == Some("short");
    let is_free = query.video_license.as_deref() == Some("creativeCommon");
    let videos: Vec<&SiteVideo> = found(&world.videos, &query.q)
        .into_iter()
        .filter(|video| !is_short || video.duration_s < SHORT_S)
        .filter(|video| !is_free || video.licence == SiteLicence::CreativeCommons)
        .collect();
    let offset: usize = query.page_token.and_then(|token| token.parse().ok()).unwrap_or(0);
    let size = query.max_results.unwrap_or(5).min(50);
    let items: Vec<Value> = videos.iter().skip(offset).take(size).map(|video| searched(video)).collect();
    let mut page = json!({
        "kind": "youtube#searchListResponse",
        "pageInfo": {"totalResults": videos.len(), "resultsPerPage": size},
        "items": items,
    });
    if videos.len() > offset + size {
        page["nextPageToken"] = json!((offset + size).to_string());
    }
    Json(page).into_response()
}

#[derive(Deserialize)]
pub(super) struct VideosQuery {
    id: String,
}

/// `GET /youtube/v3/videos`; private and removed videos are simply missing.
pub(super) async fn videos(
    State(world): State<Arc<World>>,
    Query(query): Query<VideosQuery>,
    headers: HeaderMap,
) -> Response {
    world.asked.api_videos.fetch_add(1, Ordering::Relaxed);
    if let Some(refusal) = refused(&world, &headers, false) {
        return refusal;
    }
    let named = query.id.split(',').take(50).filter_map(|site_id| world.video(site_id));
    let present = named.filter(|video| !matches!(video.answer, SiteAnswer::Private | SiteAnswer::Removed));
    let items: Vec<Value> = present.map(detailed).collect();
    Json(json!({"kind": "youtube#videoListResponse", "items": items})).into_response()
}

fn searched(video: &SiteVideo) -> Value {
    json!({
        "kind": "youtube#searchResult",
        "id": {"kind": "youtube#video", "videoId": video.site_id},
        "snippet": {
            "channelId": video.channel_id, "title": video.title, "description": "",
            "channelTitle": video.channel_name, "liveBroadcastContent": "none",
        },
    })
}

fn detailed(video: &SiteVideo) -> Value {
    let licence = match video.licence {
        SiteLicence::Standard => "youtube",
        SiteLicence::CreativeCommons => "creativeCommon",
    };
    json!({
        "kind": "youtube#video",
        "id": video.site_id,
        "snippet": {
            "channelId": video.channel_id, "title": video.title,
            "channelTitle": video.channel_name, "liveBroadcastContent": "none",
        },
        "contentDetails": {
            "duration": format!("PT{}M{}S", video.duration_s / 60, video.duration_s % 60),
            "contentRating": {},
        },
        "status": {"privacyStatus": "public", "license": licence, "madeForKids": false},
    })
}

fn refused(world: &World, headers: &HeaderMap, is_search: bool) -> Option<Response> {
    let key = headers.get("x-goog-api-key").and_then(|key| key.to_str().ok());
    if key.is_none_or(|key| key == BAD_KEY) {
        let message = format!("API key not valid. Please pass a valid API key. {}", key.unwrap_or_default());
        return Some(error(StatusCode::BAD_REQUEST, &message, "badRequest"));
    }
    let fault = (*world.api_fault.lock().unwrap_or_else(PoisonError::into_inner))?;
    Some(match fault {
        ApiFault::QuotaOfDay if !is_search => return None,
        ApiFault::QuotaOfDay => {
            let message = "Quota exceeded for quota metric 'Search Queries' and limit 'Search Queries per day' of \
                           service 'youtube.googleapis.com'";
            error(StatusCode::TOO_MANY_REQUESTS, message, "rateLimitExceeded")
        }
        ApiFault::PerMinute => {
            let message = "Quota exceeded for limit 'Queries per minute'";
            let refusal = error(StatusCode::TOO_MANY_REQUESTS, message, "rateLimitExceeded");
            ([(header::RETRY_AFTER, "1")], refusal).into_response()
        }
        ApiFault::Units => error(StatusCode::FORBIDDEN, "The request cannot be completed", "quotaExceeded"),
        ApiFault::ServerError => error(StatusCode::INTERNAL_SERVER_ERROR, "Backend Error", "backendError"),
        ApiFault::Html => Html("<!doctype html><title>Sorry</title>").into_response(),
        ApiFault::Truncated => r#"{"kind":"youtube#searchListResponse","items":[{"id":{"vid"#.into_response(),
    })
}

fn error(status: StatusCode, message: &str, reason: &str) -> Response {
    let body = json!({"error": {
        "code": status.as_u16(), "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
    }});
    (status, Json(body)).into_response()
}

//! The shapes of the Data API's answers, and how the two of them make one [`FoundVideo`]. Fields of an item may be missing;
//! the list of items may not: an answer without it would read as one that found nothing, and every video asked about as gone.

use serde::Deserialize;

use crate::youtube::border::{self, SiteId};
use crate::youtube::search::FoundVideo;

#[derive(Deserialize)]
pub(super) struct SearchPage {
    #[serde(rename = "nextPageToken")]
    pub(super) next_page_token: Option<String>,
    items: Vec<SearchItem>,
}

#[derive(Deserialize)]
struct SearchItem {
    id: ItemId,
    #[serde(default)]
    snippet: Searched,
}

#[derive(Deserialize)]
struct ItemId {
    #[serde(rename = "videoId")]
    video_id: Option<String>,
}

/// What a search says of a video; its title may be HTML-escaped, so the details' title is preferred.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Searched {
    channel_id: Option<String>,
    channel_title: Option<String>,
    live_broadcast_content: Option<String>,
}

impl SearchPage {
    /// The items that name a video by a true id.
    pub(super) fn into_videos(self) -> impl Iterator<Item = (SiteId, Searched)> {
        let named = self.items.into_iter().map(|item| (item.id.video_id, item.snippet));
        named.filter_map(|(id, snippet)| Some((SiteId::new(&id?)?, snippet)))
    }
}

#[derive(Deserialize)]
pub(super) struct VideoPage {
    pub(super) items: Vec<VideoDetails>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VideoDetails {
    pub(super) id: String,
    #[serde(default)]
    snippet: Snippet,
    #[serde(default)]
    content_details: ContentDetails,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Snippet {
    title: String,
    channel_id: Option<String>,
    channel_title: Option<String>,
    live_broadcast_content: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContentDetails {
    duration: Option<String>,
    content_rating: ContentRating,
    region_restriction: Option<RegionRestriction>,
}

/// Either list may be there. An empty `allowed` means nowhere, an empty `blocked` everywhere.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RegionRestriction {
    allowed: Option<Vec<String>>,
    blocked: Vec<String>,
}

impl RegionRestriction {
    fn lets_in(&self, country: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|code| code == country);
        self.allowed.as_deref().is_none_or(named) && !named(&self.blocked)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContentRating {
    yt_rating: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    license: Option<String>,
    made_for_kids: Option<bool>,
}

/// One hit from both answers; `region` is the country whose viewers count.
pub(super) fn found_video(
    site_id: &SiteId,
    searched: &Searched,
    details: &VideoDetails,
    region: Option<&str>,
    rank: u32,
) -> FoundVideo {
    let channel_id = searched.channel_id.as_ref().or(details.snippet.channel_id.as_ref());
    let channel_title = searched.channel_title.as_ref().or(details.snippet.channel_title.as_ref());
    let restriction = details.content_details.region_restriction.as_ref();
    let broadcasts = [&searched.live_broadcast_content, &details.snippet.live_broadcast_content];
    FoundVideo {
        url: site_id.url(),
        site_id: site_id.to_string(),
        title: border::line(&details.snippet.title),
        channel_id: channel_id.and_then(|id| border::channel_id(id)),
        channel_name: channel_title.map(|title| border::line(title)),
        duration_ms: details.content_details.duration.as_deref().and_then(duration_ms),
        licence: details.status.license.as_deref().map(border::line),
        live: broadcasts.into_iter().flatten().any(|broadcast| broadcast != "none"),
        age_restricted: Some(
            details.content_details.content_rating.yt_rating.as_deref() == Some("ytAgeRestricted"),
        ),
        made_for_kids: details.status.made_for_kids,
        in_region: region.map(|country| restriction.is_none_or(|it| it.lets_in(country))),
        rank,
    }
}

/// Reads an ISO 8601 duration (`PT3M50S`, `P1DT2H`). A live item has `P0D` or none, and zero means unknown.
fn duration_ms(text: &str) -> Option<i64> {
    let (days, time) = text.strip_prefix('P')?.split_once('T').unwrap_or((text.strip_prefix('P')?, ""));
    let units = [('D', 86_400), ('H', 3_600), ('M', 60), ('S', 1)];
    let mut seconds = 0_i64;
    let mut digits = String::new();
    for (part, is_time) in [(days, false), (time, true)] {
        for c in part.chars() {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            let (_, unit_s) = units.into_iter().find(|(unit, _)| *unit == c && (*unit != 'D') == is_time)?;
            let count = digits.parse::<i64>().ok()?;
            seconds = seconds.checked_add(count.checked_mul(unit_s)?)?;
            digits.clear();
        }
    }
    let is_whole = digits.is_empty() && seconds > 0;
    is_whole.then(|| seconds.checked_mul(1_000)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_durations_are_read_and_unknown_ones_are_not_short() {
        assert_eq!(duration_ms("PT3M50S"), Some(230_000));
        assert_eq!(duration_ms("P1DT2H"), Some(93_600_000));
        for unknown in ["P0D", "PT0S", "", "PT", "3M", "PT3", "PTxS", "PT99999999999999999999S", "P3M"] {
            assert_eq!(duration_ms(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn what_an_answer_leaves_out_is_unknown() {
        let page: SearchPage = serde_json::from_str(
            r#"{"items":[{"id":{"videoId":"vid00000001"}},{"id":{"channelId":"x"}},{"id":{"videoId":"../x"}}]}"#,
        )
        .unwrap();
        let videos: Vec<(SiteId, Searched)> = page.into_videos().collect();
        assert_eq!(videos.len(), 1);
        let details: VideoDetails = serde_json::from_str(r#"{"id":"vid00000001"}"#).unwrap();
        let video = found_video(&videos[0].0, &videos[0].1, &details, None, 1);
        assert_eq!(
            (video.licence, video.duration_ms, video.made_for_kids, video.live),
            (None, None, None, false)
        );
    }

    #[test]
    fn an_answer_without_its_list_is_not_an_empty_one() {
        for answer in [r#"{"kind":"a","pageInfo":{"totalResults":0}}"#, r#"{"items":null}"#] {
            assert!(serde_json::from_str::<SearchPage>(answer).is_err(), "{answer}");
            assert!(serde_json::from_str::<VideoPage>(answer).is_err(), "{answer}");
        }
        assert!(serde_json::from_str::<VideoPage>(r#"{"items":[]}"#).unwrap().items.is_empty());
    }

    #[test]
    fn a_region_is_let_in_unless_a_list_says_no() {
        let lets_in =
            |restriction: &str| serde_json::from_str::<RegionRestriction>(restriction).unwrap().lets_in("FR");
        assert!(lets_in("{}") && lets_in(r#"{"blocked":[]}"#) && lets_in(r#"{"allowed":["FR","DE"]}"#));
        assert!(!lets_in(r#"{"allowed":[]}"#) && !lets_in(r#"{"allowed":["US"]}"#));
        assert!(!lets_in(r#"{"blocked":["FR"]}"#) && lets_in(r#"{"blocked":["US"]}"#));
    }
}

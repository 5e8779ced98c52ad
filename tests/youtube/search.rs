//! Keyless search through the real extractor.

use webemotion::clock::{Clock, Stop};
use webemotion::config::LicencePolicy;
use webemotion::demo::site::{FoundBy, SearchFault, SiteLicence, SiteVideo};
use webemotion::failure::Reason;
use webemotion::youtube::{Question, Refusal, SearchProvider, YoutubeError};

use super::bench::{Bench, video};

fn question(text: &str, want: u32) -> Question<'_> {
    Question { text, want, language: None }
}

#[tokio::test]
async fn a_search_pages_and_ranks_and_keeps_its_raw_answer() {
    let videos = (1..=45).map(video).collect();
    let bench = Bench::new(videos).await;
    let answer = bench.ytdlp().search(question("happy France old man", 10), &Stop::default()).await.unwrap();
    assert_eq!(bench.site.requests().search_pages, 2);
    assert_eq!(answer.hits.len(), 30);
    assert!(answer.tool_version.starts_with("yt-dlp 20"));
    assert_eq!(answer.pages.len(), 1);
    let third = &answer.hits[2];
    assert_eq!((third.rank, third.site_id.as_str()), (3, "video-00003"));
    assert_eq!(
        (third.duration_ms, third.channel_id.as_deref()),
        (Some(30_000), Some("UCchannel-00000000000003"))
    );
    assert_eq!((third.channel_name.as_deref(), third.live), (Some("a channel"), false));
}

#[tokio::test]
async fn hits_of_every_shape_are_read_and_shorts_tell_least() {
    let long = SiteVideo { duration_s: 200, ..video(8) };
    let bench = Bench::new((1..=7).map(video).chain([long]).collect()).await;
    let answer = bench.ytdlp().search(question("happy", 3), &Stop::default()).await.unwrap();
    let told: Vec<_> = answer
        .hits
        .iter()
        .map(|hit| (hit.title.as_str(), hit.duration_ms, hit.channel_id.is_some()))
        .collect();
    let all = Some(30_000);
    assert_eq!(
        told,
        [
            ("a happy video 1", all, true),
            ("a happy video 2", all, true),
            ("a happy video 3", all, true),
            ("a happy video 4", None, false),
            ("a happy video 5", all, true),
            ("a happy video 6", all, true),
            ("a happy video 7", all, true),
            ("a happy video 8", Some(200_000), true),
        ]
    );
}

#[tokio::test]
async fn under_creative_commons_the_sites_own_filter_is_asked() {
    let standard = SiteVideo { licence: SiteLicence::Standard, ..video(1) };
    let mut bench = Bench::new(vec![standard, video(2), video(3)]).await;
    bench.crawl.licence = LicencePolicy::CreativeCommons;
    let answer = bench.ytdlp().search(question("happy & \"glad\" face", 1), &Stop::default()).await.unwrap();
    let found: Vec<&str> = answer.hits.iter().map(|hit| hit.site_id.as_str()).collect();
    assert_eq!(found, ["video-00002", "video-00003"]);
}

#[tokio::test]
async fn hostile_titles_and_ids_arrive_harmless() {
    let hostile = SiteVideo {
        title: format!("\u{1b}[2J../../etc/passwd\r\n\u{202e}{}", "x".repeat(10_000)),
        channel_id: "../../UC".to_owned(),
        channel_name: "\u{7}bell".to_owned(),
        ..video(1)
    };
    let foreign = SiteVideo { site_id: "../../../ab".to_owned(), ..video(2) };
    let long = SiteVideo { site_id: "x".repeat(10_000), ..video(3) };
    let bench = Bench::new(vec![hostile, foreign, long]).await;
    let answer = bench.ytdlp().search(question("happy", 5), &Stop::default()).await.unwrap();
    assert_eq!(answer.hits.len(), 1);
    let hit = &answer.hits[0];
    assert!(hit.title.starts_with("[2J../../etc/passwd") && hit.title.chars().count() <= 300);
    assert_eq!((hit.channel_id.as_deref(), hit.channel_name.as_deref()), (None, Some("bell")));
    assert!(answer.note.unwrap().contains("2 repeated or unusable"));
    let downloaded = bench.download(1).await.unwrap();
    assert_eq!(downloaded.path, bench.downloads().join("video-00001.mp4"));
}

#[tokio::test]
async fn nothing_found_is_believed_once_the_canary_sang() {
    let sad = SiteVideo { found_by: vec![FoundBy::word("sad", 1)], ..video(1) };
    let bench = Bench::new(vec![sad]).await;
    let ytdlp = bench.ytdlp();
    let answer = ytdlp.search(question("happy", 5), &Stop::default()).await.unwrap();
    assert!(answer.hits.is_empty() && answer.note.is_some());
    assert_eq!(bench.site.requests().search_pages, 2);
    // A moment later its song still stands.
    ytdlp.search(question("happy", 5), &Stop::default()).await.unwrap();
    assert_eq!(bench.site.requests().search_pages, 3);
}

#[tokio::test]
async fn a_page_of_another_shape_is_no_empty_answer() {
    let bench = Bench::new(vec![video(1)]).await;
    bench.site.break_search(Some(SearchFault::OtherShape));
    let error = bench.ytdlp().search(question("happy", 5), &Stop::default()).await.unwrap_err();
    assert!(matches!(&error, YoutubeError::Refused { refusal: Refusal::ToolOutdated, .. }), "{error}");
    assert!(error.to_string().contains("page has changed"), "{error}");
}

#[tokio::test]
async fn a_search_that_is_refused_is_no_empty_answer() {
    let bench = Bench::new(vec![video(1)]).await;
    let table = [
        (SearchFault::Status(429), Reason::RateLimited),
        (SearchFault::Status(403), Reason::NoFormat),
        (SearchFault::Status(503), Reason::Network),
        (SearchFault::Html, Reason::Network),
    ];
    for (fault, reason) in table {
        bench.site.break_search(Some(fault));
        let error = bench.ytdlp().search(question("happy", 5), &Stop::default()).await.unwrap_err();
        assert_eq!(error.failure().reason, reason, "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn the_installed_tool_is_young_enough_and_has_a_runtime() {
    let bench = Bench::new(Vec::new()).await;
    let released = bench.ytdlp().version().await.unwrap();
    let released: jiff::civil::Date = released.replace('.', "-").parse().unwrap();
    let midnight = released.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond();
    let clock = Clock::fixed(midnight + 10 * 86_400_000);
    let facts = bench.ytdlp().facts(&clock).await.unwrap();
    assert_eq!(facts.age_days, Some(10));
    assert_eq!(facts.warnings(), Vec::<String>::new());
}

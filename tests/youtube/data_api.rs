//! The Data API client: pages, details, quota, keys, unreadable answers.

use webemotion::clock::Stop;
use webemotion::config::LicencePolicy;
use webemotion::demo::site::{ApiFault, SiteAnswer, SiteLicence, SiteVideo};
use webemotion::failure::{Exit, Reason};
use webemotion::youtube::{Answer, ApiKey, DataApi, Question, SearchProvider, YoutubeError};

use super::bench::{Bench, video};

async fn search(bench: &Bench, key: &str, want: u32) -> Result<Answer, YoutubeError> {
    let api = DataApi::new(ApiKey::new(key).unwrap(), &bench.crawl).unwrap();
    api.search(Question { text: "happy face", want, language: Some("en") }, &Stop::default()).await
}

#[tokio::test]
async fn one_call_brings_fifty_and_further_pages_only_when_wanted() {
    let bench = Bench::new((1..=70).map(video).collect()).await;
    let answer = search(&bench, "good-key", 20).await.unwrap();
    assert_eq!(answer.hits.len(), 50);
    let asked = bench.site.requests();
    assert_eq!((asked.api_searches, asked.api_videos), (1, 1));
    let answer = search(&bench, "good-key", 60).await.unwrap();
    assert_eq!((answer.hits.len(), answer.pages.len()), (70, 4));
    assert_eq!(answer.hits[69].rank, 70);
    assert_eq!(answer.hits[0].licence.as_deref(), Some("creativeCommon"));
    assert_eq!(answer.hits[0].duration_ms, Some(30_000));
}

#[tokio::test]
async fn removed_videos_are_no_hits_and_ranks_keep_their_gap() {
    let removed = SiteVideo { answer: SiteAnswer::Removed, ..video(1) };
    let long = SiteVideo { duration_s: 400, ..video(2) };
    let bench = Bench::new(vec![removed, long, video(3)]).await;
    let answer = search(&bench, "good-key", 20).await.unwrap();
    let found: Vec<(&str, u32)> = answer.hits.iter().map(|hit| (hit.site_id.as_str(), hit.rank)).collect();
    assert_eq!(found, [("video-00003", 2)]);
    assert!(answer.note.unwrap().contains("1 video was gone"));
}

#[tokio::test]
async fn creative_commons_is_asked_of_the_api() {
    let standard = SiteVideo { licence: SiteLicence::Standard, ..video(1) };
    let mut bench = Bench::new(vec![standard, video(2)]).await;
    bench.crawl.licence = LicencePolicy::CreativeCommons;
    assert_eq!(search(&bench, "good-key", 20).await.unwrap().hits.len(), 1);
}

#[tokio::test]
async fn each_refusal_is_read_for_what_it_is() {
    let bench = Bench::new(vec![video(1)]).await;
    let mut told = Vec::new();
    for fault in [
        ApiFault::QuotaOfDay,
        ApiFault::PerMinute,
        ApiFault::Units,
        ApiFault::ServerError,
        ApiFault::Html,
        ApiFault::Truncated,
    ] {
        bench.site.break_data_api(Some(fault));
        let error = search(&bench, "good-key", 20).await.unwrap_err();
        told.push(error.failure().reason);
    }
    assert_eq!(
        told,
        [
            Reason::Quota,
            Reason::RateLimited,
            Reason::Quota,
            Reason::Network,
            Reason::Network,
            Reason::Network,
        ]
    );
    bench.site.break_data_api(None);
    assert!(search(&bench, "good-key", 20).await.is_ok());
}

#[tokio::test]
async fn a_short_pause_that_the_api_asks_for_is_kept() {
    let bench = Bench::new(vec![video(1)]).await;
    bench.site.break_data_api(Some(ApiFault::PerMinute));
    let mend = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        bench.site.break_data_api(None);
    };
    let (answer, ()) = tokio::join!(search(&bench, "good-key", 20), mend);
    assert_eq!(answer.unwrap().hits.len(), 1);
    assert_eq!(bench.site.requests().api_searches, 2);
}

#[tokio::test]
async fn a_bad_key_is_a_wrong_configuration_and_is_not_repeated() {
    let bench = Bench::new(vec![video(1)]).await;
    let error = search(&bench, "bad-key", 20).await.unwrap_err();
    assert_eq!(error.failure().exit(), Exit::Usage);
    // The site repeats the key in its answer; we do not.
    assert!(!format!("{error} {error:?}").contains("bad-key"));
    let api = DataApi::new(ApiKey::new("bad-key").unwrap(), &bench.crawl).unwrap();
    assert!(!format!("{api:?}").contains("bad-key"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_the_networks_fault() {
    let mut bench = Bench::new(Vec::new()).await;
    bench.crawl.data_api_url = "http://127.0.0.1:9/youtube/v3".to_owned();
    let error = search(&bench, "good-key", 20).await.unwrap_err();
    assert_eq!(error.failure().reason, Reason::Network);
}

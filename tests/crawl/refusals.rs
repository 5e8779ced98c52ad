//! The table of refusals: what the site says, through the real extractor → what the catalog says → how the command ends.

use webemotion::demo::site::{ApiFault, MediaFault, OddAnswer, SearchFault, SiteAnswer, SiteVideo};

use super::place::Place;
use crate::program::{ask, closing};
use crate::youtube::bench::{id, video};

fn says(status: &'static str, reason: &str, subreason: &str) -> SiteAnswer {
    SiteAnswer::Refused { status, reason: reason.to_owned(), subreason: subreason.to_owned() }
}

const UNAVAILABLE: &str = "Video unavailable";

/// What concerns one video only: the answer, and the job's state and reason after one attempt.
fn of_one_video() -> Vec<(SiteAnswer, &'static str)> {
    let closed = "This video is no longer available because the YouTube account associated with this video has been \
                  terminated.";
    let claimed = "This video is no longer available due to a copyright claim by Someone";
    let not_here = "The uploader has not made this video available in your country";
    let blocked_here =
        "This video contains content from X, who has blocked it in your country on copyright grounds";
    vec![
        (says("ERROR", UNAVAILABLE, "This video is unavailable"), "rejected gone"),
        (SiteAnswer::Removed, "rejected gone"),
        (
            says("ERROR", "This video has been removed for violating YouTube's Terms of Service", ""),
            "rejected gone",
        ),
        (says("ERROR", UNAVAILABLE, closed), "rejected gone"),
        (says("UNPLAYABLE", UNAVAILABLE, claimed), "rejected gone"),
        (SiteAnswer::Private, "rejected private"),
        (
            says("UNPLAYABLE", "Join this channel to get access to members-only content like this video", ""),
            "rejected members-only",
        ),
        (
            says("UNPLAYABLE", UNAVAILABLE, "This video is only available to Music Premium members"),
            "rejected members-only",
        ),
        (says("UNPLAYABLE", "This video requires payment to watch", ""), "rejected members-only"),
        (
            says(
                "LOGIN_REQUIRED",
                "Sign in to confirm your age",
                "This video may be inappropriate for some users.",
            ),
            "rejected age-restricted",
        ),
        (SiteAnswer::Odd(OddAnswer::Encrypted), "rejected no-format"),
        (says("UNPLAYABLE", UNAVAILABLE, not_here), "rejected geo"),
        (says("UNPLAYABLE", UNAVAILABLE, blocked_here), "rejected geo"),
        (says("LIVE_STREAM_OFFLINE", "This live event will begin in 3 hours.", ""), "rejected not-yet"),
        (says("LIVE_STREAM_OFFLINE", "Premieres in 2 days", ""), "rejected not-yet"),
        (says("UNPLAYABLE", "We're processing this video. Check back later.", ""), "rejected not-yet"),
        (SiteAnswer::Odd(OddAnswer::Live), "rejected live"),
        (SiteAnswer::Odd(OddAnswer::SoundOnly), "rejected no-format"),
        (SiteAnswer::Odd(OddAnswer::NoFormats), "open no-format"),
        (SiteAnswer::Odd(OddAnswer::NoAddress), "open no-format"),
        (says("UNPLAYABLE", "The page needs to be reloaded.", ""), "open no-format"),
        (SiteAnswer::Media(MediaFault::Status(404)), "open network"),
        (SiteAnswer::Media(MediaFault::Html), "rejected not-a-video"),
    ]
}

fn site_of(answers: impl IntoIterator<Item = SiteAnswer>) -> Vec<SiteVideo> {
    (1..).zip(answers).map(|(number, answer)| SiteVideo { answer, ..video(number) }).collect()
}

#[tokio::test]
async fn a_refusal_of_one_video_is_its_own_verdict_and_the_crawl_goes_on() {
    let table = of_one_video();
    let (place, _bench) = Place::at_site(site_of(table.iter().map(|(answer, _)| answer.clone()))).await;
    // What may pass by itself is due again later: come back then.
    let ended = place.expect(5, &["crawl"]).await;
    assert!(ended.stdout.contains("more is due in"), "{}", ended.stdout);
    let found = ask(
        &place.data,
        "select site_id || ' ' || state || ' ' || coalesce(job.reason, '') from job
         join video on stage = 'fetch' and video.id = subject_id order by site_id",
    )
    .await;
    let told: Vec<String> =
        (1..).zip(&table).map(|(number, (_, outcome))| format!("{} {outcome}", id(number))).collect();
    let details = ask(&place.data, "select coalesce(detail, '') from job where stage = 'fetch'").await;
    assert_eq!(found, told, "{details:#?}");
    let raw = ask(&place.data, "select detail from job where reason = 'geo' limit 1").await;
    assert!(raw[0].contains("in your country"), "the raw text is lost: {raw:?}");
}

#[tokio::test]
async fn a_refusal_of_us_stops_everything_and_says_when_to_come_back() {
    let unavailable = |subreason| says("UNPLAYABLE", UNAVAILABLE, subreason);
    let table = [
        (unavailable("This content isn't available, try again later."), "rate-limited", true),
        (unavailable("This content isn\u{2019}t available, try again later."), "rate-limited", true),
        (SiteAnswer::PlayerStatus(429), "rate-limited", true),
        (SiteAnswer::Media(MediaFault::Status(429)), "rate-limited", true),
        (says("LOGIN_REQUIRED", "Sign in to confirm you\u{2019}re not a bot", ""), "blocked", false),
        (SiteAnswer::Odd(OddAnswer::Captcha), "blocked", false),
        (SiteAnswer::Odd(OddAnswer::OtherVideo), "blocked", false),
    ];
    for (answer, reason, passes) in table {
        let (place, bench) = Place::at_site(site_of([answer.clone(), SiteAnswer::Plays])).await;
        let code = if passes { 5 } else { 1 };
        let ended = place.expect(code, &["--json", "crawl"]).await;
        let last = closing(&ended);
        assert_eq!(last["fetched"]["paused"], reason, "{answer:?}: {last}");
        assert_eq!(last["fetched"]["resume_at_ms"].is_i64(), passes, "{answer:?}");
        // What is said to downloads is said to searches too; the job is unharmed and nobody asks again.
        let paused = ask(&place.data, "select stage || ' ' || reason from pause order by stage").await;
        assert_eq!(paused, [format!("fetch {reason}"), format!("search {reason}")], "{answer:?}");
        let players = bench.site.requests().players;
        let again = place.expect(code, &["crawl"]).await;
        assert_eq!(bench.site.requests().players, players, "{answer:?}: asked during a pause");
        let way_on = if passes { "come back in" } else { "until `webemotion retry --stage fetch`" };
        assert!(again.stdout.contains(way_on), "{}", again.stdout);
        let tried =
            ask(&place.data, "select stage || attempt from job where stage = 'fetch' and attempt > 0").await;
        assert!(tried.is_empty(), "{answer:?}: {tried:?}");
    }
}

#[tokio::test]
async fn a_search_that_cannot_be_believed_is_asked_again_later() {
    let table = [(SearchFault::OtherShape, "tool-outdated"), (SearchFault::Status(429), "rate-limited")];
    for (fault, reason) in table {
        let (place, bench) = Place::at_site(vec![video(1)]).await;
        bench.site.break_search(Some(fault));
        let last = closing(&place.expect(5, &["--json", "crawl"]).await);
        assert_eq!(last["searched"]["paused"], reason, "{fault:?}: {last}");
        assert_eq!(ask(&place.data, "select state from job where stage = 'search'").await, ["open"]);
        bench.site.break_search(None);
        place.expect(0, &["retry", "--stage", "search"]).await;
        place.run(&["retry", "--stage", "fetch"]).await;
        let last = closing(&place.run(&["--json", "crawl"]).await);
        assert_eq!(last["searched"]["done"], 1, "{fault:?}: {last}");
    }
}

#[tokio::test]
async fn the_data_api_pauses_searches_alone() {
    let table = [
        (ApiFault::QuotaOfDay, 5, Some("quota")),
        (ApiFault::Units, 5, Some("quota")),
        (ApiFault::PerMinute, 5, Some("rate-limited")),
        (ApiFault::ServerError, 5, None),
        (ApiFault::Html, 5, None),
        (ApiFault::Truncated, 5, None),
    ];
    for (fault, code, reason) in table {
        let (place, bench) = Place::at_site(vec![video(1)]).await;
        bench.site.break_data_api(Some(fault));
        let mut command = place.command(&["--json", "crawl"]);
        command.env("WEBEMOTION_YOUTUBE_API_KEY", "good-key");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let ended = crate::program::Ended::from(output);
        assert_eq!(ended.code, Some(code), "{fault:?}: {}", ended.stderr);
        let last = closing(&ended);
        assert_eq!(last["searched"]["paused"].as_str(), reason, "{fault:?}: {last}");
        assert!(last["fetched"]["paused"].is_null(), "{fault:?}: {last}");
        if reason.is_none() {
            let put_off =
                ask(&place.data, "select state || ' ' || reason from job where stage = 'search'").await;
            assert_eq!(put_off, ["open network"], "{fault:?}");
        }
    }
}

/// Searches once, then replaces the tool by one that says this of every download.
async fn with_a_tool_that_says(words: &str, code: i32) -> Place {
    let place = Place::scripted(2, 2);
    place.replace("accept_terms = true", "");
    place.expect(0, &["crawl"]).await;
    let tool = format!("#!/bin/sh\necho '{words}' >&2\nexit {code}\n");
    std::fs::write(place.folder.path().join("yt-dlp"), tool).unwrap();
    place
}

const DOWNLOADS: &str =
    "select state || ' ' || attempt from job where stage = 'fetch' order by attempt desc, id";

#[tokio::test]
async fn an_option_that_the_tool_does_not_know_ends_the_crawl_and_harms_no_job() {
    let place = with_a_tool_that_says("yt-dlp: error: no such option: --no-plugin-dirs", 2).await;
    let ended = place.expect(3, &["crawl", "--accept-terms"]).await;
    assert!(ended.stderr.contains("no such option") && ended.stderr.contains("hint:"), "{}", ended.stderr);
    assert_eq!(ask(&place.data, DOWNLOADS).await, ["open 0"; 8]);
}

#[tokio::test]
async fn a_network_that_is_down_is_booked_against_no_video() {
    let words = "ERROR: [youtube] x: Failed to resolve youtubei.googleapis.com";
    let place = with_a_tool_that_says(words, 1).await;
    let last = closing(&place.expect(5, &["--json", "crawl", "--accept-terms"]).await);
    assert_eq!(
        (&last["fetched"]["paused"], &last["fetched"]["dead"]),
        (&"offline".into(), &0.into()),
        "{last}"
    );
    // Two were put off before a third one made it the network's fault.
    let mut expected = ["open 0"; 8];
    expected[..2].fill("open 1");
    assert_eq!(ask(&place.data, DOWNLOADS).await, expected);
}

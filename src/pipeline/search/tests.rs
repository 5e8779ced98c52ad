//! Searches against providers of the tests' own, and their catalogs.

use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::catalog::listed;
use crate::clock::Clock;
use crate::config::LicencePolicy;
use crate::pipeline::{DrivePlan, Driver, Patience};
use crate::progress::Silent;
use crate::types::{Emotion, JobState, VideoId};
use crate::youtube::YoutubeError;

/// Answers nothing.
struct Nobody;

impl SearchProvider for Nobody {
    fn search<'a>(
        &'a self,
        _question: Question<'a>,
        _stop: &'a Stop,
    ) -> BoxFuture<'a, Result<Answer, YoutubeError>> {
        async { Err(YoutubeError::Stopped) }.boxed()
    }
}

fn stage() -> SearchStage {
    let policy = CrawlConfig::default();
    SearchStage { provider: Arc::new(Nobody), asked_of: "ytdlp", budget: None, policy }
}

fn hit(number: u32, rank: u32) -> FoundVideo {
    FoundVideo {
        site_id: format!("v{number:010}"),
        url: String::new(),
        title: format!("a video that somebody called {number}"),
        channel_id: Some(format!("UC{number}")),
        channel_name: None,
        duration_ms: Some(if rank.is_multiple_of(4) { 900_000 } else { 60_000 }),
        licence: None,
        live: false,
        age_restricted: None,
        made_for_kids: None,
        in_region: None,
        rank,
    }
}

/// An answer of one page.
fn answer(hits: Vec<FoundVideo>, broke_off: Option<&str>) -> Answer {
    let broke_off = broke_off.map(ToOwned::to_owned);
    Answer { tool_version: "yt-dlp".to_owned(), pages: vec![b"{}".to_vec()], hits, note: None, broke_off }
}

fn asked(search: &searches::Search, first: u32) -> AnsweredSearch {
    let hits = (0..60).map(|place| hit(first + place, place + 1)).collect();
    let raw = b"{\"entries\": [{\"id\": \"v0000000001\", \"title\": \"a title\"}]}".repeat(300);
    AnsweredSearch { search: search.clone(), answer: Answer { pages: vec![raw], ..answer(hits, None) } }
}

/// A catalog with this many planned searches.
async fn planned(count: usize) -> (tempfile::TempDir, Catalog, Vec<searches::Search>) {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db"), &Clock::system()).await.unwrap();
    let wanted = |index: usize| searches::NewSearch {
        emotion: Emotion::ALL[index % 8],
        text: format!("text {index}"),
        word: "word".to_owned(),
        country: None,
        age_word: None,
        language: None,
    };
    let wanted: Vec<_> = (0..count).map(wanted).collect();
    let mut tx = catalog.begin().await.unwrap();
    searches::plan(&mut tx, "youtube", "test", &wanted).await.unwrap();
    tx.commit().await.unwrap();
    let searches = searches::list(&catalog, "youtube").await.unwrap();
    (folder, catalog, searches)
}

#[tokio::test]
async fn the_nth_video_of_each_emotion_comes_before_the_next_of_any() {
    let (_folder, catalog, searches) = planned(2).await;
    for (search, first) in searches.iter().zip([1, 1_000]) {
        let mut tx = catalog.begin().await.unwrap();
        stage().commit(&mut tx, asked(search, first)).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut fetched = Vec::new();
    let claim = jobs::Claim { stage: fetch::NAME, rev: fetch::REV, worker: "w", lease_ms: 60_000 };
    for _ in 0..6 {
        let job = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
        let video = videos::get(&catalog, VideoId(job.subject_id)).await.unwrap();
        fetched.push(video.found.site_id);
    }
    let expected = [1, 1_000, 2, 1_001, 3, 1_002].map(|number| format!("v{number:010}"));
    assert_eq!(fetched, expected);
}

#[tokio::test]
async fn an_emotion_whose_videos_are_rejected_does_not_come_later() {
    let (_folder, catalog, searches) = planned(9).await;
    // The first and the last search are of one emotion.
    let live = (1..=3).map(|number| FoundVideo { live: true, ..hit(number, number) }).collect();
    let of_another = vec![hit(20, 1), hit(21, 2)];
    for (search, hits) in [(0, live), (1, of_another), (8, vec![hit(10, 1)])] {
        let mut tx = catalog.begin().await.unwrap();
        let asked = AnsweredSearch { search: searches[search].clone(), answer: answer(hits, None) };
        stage().commit(&mut tx, asked).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut fetched = Vec::new();
    let claim = jobs::Claim { stage: fetch::NAME, rev: fetch::REV, worker: "w", lease_ms: 60_000 };
    while let Some(job) = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap() {
        fetched.push(videos::get(&catalog, VideoId(job.subject_id)).await.unwrap().found.site_id);
    }
    assert_eq!(fetched, [20, 10, 21].map(|number| format!("v{number:010}")));
}

#[tokio::test]
async fn a_raw_answer_that_names_who_was_forgotten_is_not_kept() {
    let (_folder, catalog, searches) = planned(2).await;
    let mut tx = catalog.begin().await.unwrap();
    // The last of sixty hits: no more of them than twenty are kept.
    tombstones::insert(&mut tx, "youtube", "v0000000060", "asked by mail").await.unwrap();
    for (search, first) in searches.iter().zip([1, 1_000]) {
        stage().commit(&mut tx, asked(search, first)).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(answers::expire(&catalog, i64::MAX).await.unwrap(), 1, "the other answer stays");
}

#[test]
fn a_revision_tells_what_is_asked_and_not_what_is_rejected() {
    let policy = CrawlConfig::default();
    let rev_for = |policy: &CrawlConfig, has_key| rev(&asking(policy, has_key));
    assert_eq!(rev_for(&policy, true), r#"2-["creative-commons",null]-20"#);
    let region = Some("FR".to_owned());
    let other = CrawlConfig { licence: LicencePolicy::Any, results_per_search: 50, region, ..policy.clone() };
    assert_eq!(rev_for(&other, true), r#"2-["any","FR"]-50"#);
    assert_eq!(rev_for(&other, false), r#"2-["any",null]-50"#, "without a key nobody is told the region");
    let long = CrawlConfig { max_duration_s: 600, ..policy.clone() };
    assert_eq!(rev_for(&long, true), r#"2-["creative-commons",null,"any-duration"]-20"#);
    assert_eq!(rev_for(&long, false), rev_for(&policy, false), "without a key nobody is told of durations");
    assert_eq!(rev_for(&CrawlConfig { max_duration_s: 60, ..policy.clone() }, true), rev_for(&policy, true));
}

/// Answers in turn.
struct Answers(Mutex<Vec<Answer>>);

impl SearchProvider for Answers {
    fn search<'a>(
        &'a self,
        _question: Question<'a>,
        _stop: &'a Stop,
    ) -> BoxFuture<'a, Result<Answer, YoutubeError>> {
        let answer = self.0.lock().unwrap().remove(0);
        async { Ok(answer) }.boxed()
    }
}

#[tokio::test]
async fn an_answer_in_part_is_kept_and_asked_for_again_until_it_is_given_up() {
    let (_folder, catalog, searches) = planned(1).await;
    let part = || answer(vec![hit(1, 1)], Some("timed out"));
    let whole = || answer(vec![hit(1, 1), hit(2, 2)], None);
    let answers = vec![part(), whole(), part(), part(), whole()];
    let stage = SearchStage { provider: Arc::new(Answers(Mutex::new(answers))), ..stage() };
    let drive = async || {
        let patience = Patience { first_backoff_ms: 0, ..Patience::default() };
        let plan = DrivePlan { max_attempts: 2, patience, ..DrivePlan::new("tester".to_owned()) };
        let summary = Driver::new(&catalog, plan, &Stop::default(), &Silent).drive(&stage).await.unwrap();
        let in_part = answers::count_in_part(&catalog, "test").await.unwrap();
        (summary.postponed, summary.done, summary.dead, in_part)
    };
    let ask = async |rev: &str| {
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue(&mut tx, NAME, rev, 0, searches[0].id.0).await.unwrap();
        tx.commit().await.unwrap();
    };
    ask("asked").await;
    assert_eq!(drive().await, (1, 1, 0, 0), "the second answer is whole");
    ask("asked anew").await;
    assert_eq!(drive().await, (1, 0, 1, 1), "two parts are no whole answer");
    assert_eq!(jobs::count_due(&catalog, fetch::NAME).await.unwrap(), 2);
    assert_eq!(jobs::retry(&catalog, Reason::Network, Some(NAME)).await.unwrap(), 1);
    assert_eq!(drive().await, (0, 1, 0, 0));
}

#[tokio::test]
async fn what_a_later_search_knows_better_holds_until_the_download_has_begun() {
    let (_folder, catalog, searches) = planned(1).await;
    let found = async |hit: FoundVideo| {
        let mut tx = catalog.begin().await.unwrap();
        let asked = AnsweredSearch { search: searches[0].clone(), answer: answer(vec![hit], None) };
        stage().commit(&mut tx, asked).await.unwrap();
        tx.commit().await.unwrap();
    };
    let state = async |id: i64| {
        let job = jobs::get(&catalog, fetch::NAME, id).await.unwrap().unwrap();
        (job.state, job.reason)
    };
    let for_kids = || FoundVideo { made_for_kids: Some(true), ..hit(1, 1) };
    found(hit(1, 1)).await;
    found(for_kids()).await;
    let rejected = |reason| (JobState::Rejected, Some(reason));
    assert_eq!(state(1).await, rejected(Reason::MadeForKids));
    found(hit(1, 1)).await;
    assert_eq!(state(1).await, rejected(Reason::MadeForKids), "who knows less overrules nothing");
    found(FoundVideo { live: true, ..hit(2, 1) }).await;
    assert_eq!(state(2).await, rejected(Reason::Live));
    found(hit(2, 1)).await;
    assert_eq!(state(2).await, (JobState::Open, None));
    let claim = jobs::Claim { stage: fetch::NAME, rev: fetch::REV, worker: "w", lease_ms: 60_000 };
    let held = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
    let mut tx = catalog.begin().await.unwrap();
    let verdict = jobs::Verdict { reason: Reason::NotYet, detail: "premieres in 2 hours" };
    jobs::reject(&mut tx, &held, verdict).await.unwrap();
    tx.commit().await.unwrap();
    found(hit(2, 1)).await;
    assert_eq!(state(2).await, (JobState::Open, None));
    jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
    found(FoundVideo { live: true, ..hit(2, 1) }).await;
    assert_eq!(state(2).await.0, JobState::Held);
}

#[tokio::test]
async fn a_verdict_of_a_search_leaves_alone_what_a_list_named_and_what_was_fetched_before() {
    let (_folder, catalog, searches) = planned(1).await;
    let mut tx = catalog.begin().await.unwrap();
    let asked =
        AnsweredSearch { search: searches[0].clone(), answer: answer(vec![hit(1, 1), hit(2, 2)], None) };
    stage().commit(&mut tx, asked).await.unwrap();
    let (list, emotion) = ("list".to_owned(), Emotion::Fear);
    let row = listed::Listed { list, line: 1, emotion, span: None, face: None, sha256: None };
    listed::insert(&mut tx, VideoId(1), &row).await.unwrap();
    let file = videos::VideoFile {
        path: "videos/b.mp4".into(),
        size_bytes: 5,
        sha256: "00".repeat(32),
        container: "mp4".to_owned(),
        video_codec: "h264".to_owned(),
        width: 64,
        height: 64,
        duration_ms: 1_000,
        frame_rate: 25.0,
    };
    videos::set_file(&mut tx, VideoId(2), &file).await.unwrap();
    let live = |number| FoundVideo { live: true, ..hit(number, 1) };
    let answer = answer((1..=3).map(live).collect(), None);
    stage().commit(&mut tx, AnsweredSearch { search: searches[0].clone(), answer }).await.unwrap();
    tx.commit().await.unwrap();
    let mut states = Vec::new();
    for id in 1..=3 {
        states.push(jobs::get(&catalog, fetch::NAME, id).await.unwrap().unwrap().state);
    }
    assert_eq!(states, [JobState::Open, JobState::Open, JobState::Rejected]);
}

/// Not one of the suite: `scripts/bench crawl` runs it.
#[tokio::test]
#[ignore = "a measurement"]
async fn bench_storing_a_search_among_a_hundred_thousand_videos() {
    let (_folder, catalog, searches) = planned(4_000).await;
    let mut times_us = Vec::new();
    // Each search finds 27 videos, the 20 short ones among them are wanted: 108,000 in all.
    for (number, search) in (0..).zip(&searches) {
        let began = std::time::Instant::now();
        let mut tx = catalog.begin().await.unwrap();
        stage().commit(&mut tx, asked(search, number * 27)).await.unwrap();
        tx.commit().await.unwrap();
        times_us.push(began.elapsed().as_micros());
    }
    let mut last = times_us.split_off(times_us.len() - 200);
    last.sort_unstable();
    let (median, slow) = (last[100] as f64 / 1e3, last[190] as f64 / 1e3);
    println!("storing a search's results: median {median:.2} ms, 95 % below {slow:.2} ms (target 10 ms)");
    assert!(median < 10.0);
}

//! How far a crawl goes: counts, bytes, time, emotions, terms, block lists, and what it no longer may keep.

use std::fs;
use std::time::{Duration, Instant};

use webemotion::demo::site::{SiteAnswer, SiteVideo};

use super::place::{Place, change, film, short};
use crate::program::{Ended, ask, closing};
use crate::youtube::bench::id;

const FETCHED: &str = "select emotion from video where file_path is not null order by fetched_at, id";

#[tokio::test]
async fn a_limit_that_is_reached_ends_well_and_the_next_crawl_goes_on() {
    let place = Place::scripted(2, 3);
    let last = closing(&place.expect(0, &["--json", "crawl", "--max-videos", "4"]).await);
    assert_eq!((&last["fetched"]["done"], &last["fetched"]["limited"]), (&4.into(), &true.into()), "{last}");
    // Both emotions grew alike, though the searches of one were planned before the other's.
    let mut fetched = ask(&place.data, FETCHED).await;
    fetched.sort_unstable();
    assert_eq!(fetched, ["fear", "fear", "happiness", "happiness"]);
    let bytes = fs::metadata(place.folder.path().join("film.mp4")).unwrap().len();
    assert!(bytes < 100_000);
    let last = closing(&place.expect(0, &["--json", "crawl", "--max-bytes", "1kB"]).await);
    assert_eq!(last["fetched"]["done"], 1, "{last}");
    let last = closing(&place.expect(0, &["--json", "crawl"]).await);
    assert_eq!((&last["fetched"]["done"], &last["searches"]), (&7.into(), &4.into()), "{last}");
    assert_eq!(place.downloads().len(), 12);
    place.expect(4, &["crawl"]).await;
}

#[tokio::test]
async fn time_that_is_up_ends_the_crawl_and_nothing_spins() {
    // All of it would take twelve seconds at least.
    let place = Place::scripted(1, 20);
    place.set("egress = 'slow'");
    place.replace("pause_s = 0.0", "pause_s = 0.6");
    let began = Instant::now();
    let ended = place.expect(0, &["crawl", "--max-runtime", "3s"]).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(ended.stdout.contains("the limit is reached, more is due"), "{}", ended.stdout);
    let used = ask(&place.data, "select identity from budget").await;
    assert_eq!(used, ["slow"]);
}

#[tokio::test]
async fn one_emotion_is_asked_without_harm_to_the_others() {
    let place = Place::scripted(2, 1);
    let last = closing(&place.expect(0, &["--json", "crawl", "--emotion", "fear"]).await);
    assert_eq!((&last["searched"]["done"], &last["fetched"]["done"]), (&2.into(), &2.into()), "{last}");
    assert_eq!(ask(&place.data, FETCHED).await, ["fear", "fear"]);
    let unasked = "select emotion from search where retired_at is null
                   and not exists (select 1 from job where stage = 'search' and subject_id = search.id)";
    assert_eq!(ask(&place.data, unasked).await, ["happiness", "happiness"]);
    place.expect(4, &["crawl", "--emotion", "fear"]).await;
    place.expect(0, &["crawl"]).await;
}

#[tokio::test]
async fn without_the_terms_there_is_metadata_only_and_it_is_said() {
    let place = Place::scripted(1, 2);
    place.replace("accept_terms = true", "");
    let ended = place.expect(0, &["crawl"]).await;
    assert!(ended.stdout.contains("metadata only: say --accept-terms"), "{}", ended.stdout);
    assert_eq!(place.downloads().len(), 0);
    assert_eq!(ask(&place.data, "select title from video").await.len(), 4);
    place.expect(0, &["crawl", "--accept-terms"]).await;
    assert_eq!(ask(&place.data, "select version from acceptance where accepted_at > 0").await.len(), 1);
    assert_eq!(place.downloads().len(), 4);
    // The decision is remembered, once.
    place.expect(4, &["crawl"]).await;
    place.expect(4, &["crawl", "--accept-terms"]).await;
    assert_eq!(ask(&place.data, "select version from acceptance").await.len(), 1);
}

#[tokio::test]
async fn what_a_block_list_names_is_rejected_until_somebody_takes_it_back() {
    let place = Place::scripted(1, 2);
    place.set("blocked_titles = ['Happy0 1']\nblocked_channels = ['UCscared0']");
    place.expect(0, &["crawl"]).await;
    let rejected = "select title from video join job on stage = 'fetch' and subject_id = video.id
                    where state = 'rejected' and reason = 'blocklisted' order by 1";
    assert_eq!(ask(&place.data, rejected).await, ["happy0 1", "scared0 0", "scared0 1"]);
    place.replace("['UCscared0']", "[]");
    place.expect(0, &["retry", "--reason", "blocklisted"]).await;
    // What is still on a list is judged again before anything is downloaded.
    place.expect(0, &["crawl"]).await;
    assert_eq!(ask(&place.data, rejected).await, ["happy0 1"]);
    assert_eq!(place.downloads().len(), 3);
}

#[tokio::test]
async fn what_the_site_told_a_month_ago_is_emptied_and_the_evidence_stays() {
    let place = Place::scripted(1, 2);
    place.expect(0, &["crawl"]).await;
    // As if the crawl had been 31 days ago.
    let month = 31 * 24 * 3_600_000_i64;
    for (table, column) in [("video", "metadata_at"), ("answer", "asked_at")] {
        change(&place.data, &format!("update {table} set {column} = {column} - {month}")).await;
    }
    place.expect(4, &["crawl"]).await;
    assert_eq!(
        ask(&place.data, "select site_id from video where title is null and channel_id is not null")
            .await
            .len(),
        4
    );
    assert_eq!(ask(&place.data, "select 'x' from answer where raw is not null").await.len(), 0);
    assert_eq!(ask(&place.data, "select emotion from evidence").await.len(), 4);
}

#[tokio::test]
async fn videos_on_disk_are_taken_in_without_harm_to_downloads_that_are_due() {
    let place = Place::scripted(1, 2);
    place.replace("accept_terms = true", "");
    place.expect(0, &["crawl"]).await;
    let films = place.folder.path().join("films");
    fs::create_dir(&films).unwrap();
    film(&films.join("a.mp4"));
    let source = format!("local:{}", films.display());
    let crawl = ["--json", "crawl", "--source", &source, "--emotion", "fear"];
    let last = closing(&place.expect(0, &crawl).await);
    assert_eq!((&last["fetched"]["done"], &last["fetched"]["dead"]), (&1.into(), &0.into()), "{last}");
    let jobs = "select site || ' ' || state || ' ' || attempt from job
                join video on stage = 'fetch' and video.id = subject_id order by 1";
    let waits = "youtube open 0";
    assert_eq!(ask(&place.data, jobs).await, ["local done 1", waits, waits, waits, waits]);
}

#[tokio::test]
async fn searches_of_which_more_is_wanted_are_asked_again_and_what_they_found_stays() {
    let place = Place::scripted(1, 2);
    place.expect(0, &["crawl"]).await;
    place.replace("results_per_search = 40", "results_per_search = 50");
    let last = closing(&place.expect(0, &["--json", "crawl"]).await);
    assert_eq!((&last["searched"]["done"], &last["fetched"]["done"]), (&2.into(), &0.into()), "{last}");
    assert_eq!(ask(&place.data, "select emotion from evidence").await.len(), 4);
    place.expect(4, &["crawl"]).await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_leaves_no_data_folder_behind() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let source = format!("local:{}", folder.path().join("nowhere").display());
    let ended = crate::program::expect(2, &data, &["crawl", "--source", &source]);
    assert!(ended.stderr.contains("nowhere"), "{}", ended.stderr);
    assert!(!data.exists());
}

#[tokio::test]
async fn a_plan_asks_nothing_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let ended = crate::program::expect(0, &data, &["crawl", "plan"]);
    assert!(ended.stdout.contains("9,000 searches") && ended.stdout.contains("days"), "{}", ended.stdout);
    let plan = closing(&crate::program::expect(0, &data, &["--json", "crawl", "plan", "--include-minors"]));
    assert_eq!((&plan["searches"], &plan["most_videos"]), (&10_800.into(), &216_000.into()));
    assert_eq!(plan["days_of_search_quota"], 108);
    assert!(!data.exists());
}

#[tokio::test]
async fn a_refresh_renews_what_is_there_and_purges_what_is_gone_twice() {
    let gone = SiteVideo { answer: SiteAnswer::Removed, ..short(2) };
    let (place, bench) = Place::at_site(vec![short(1), gone]).await;
    film(&bench.folder.path().join("media.mp4"));
    place.expect(0, &["crawl"]).await;
    let refresh = |words: &'static [&'static str]| {
        let mut command = place.command(&[&["--json", "refresh", "--older-than", "0"], words].concat());
        command.env("WEBEMOTION_YOUTUBE_API_KEY", "good-key");
        async { tokio::task::spawn_blocking(move || Ended::from(command.output().unwrap())).await.unwrap() }
    };
    let first = closing(&refresh(&["--purge"]).await);
    assert_eq!(
        (&first["renewed"], &first["missing"], &first["purged"]),
        (&1.into(), &1.into(), &0.into()),
        "{first}"
    );
    let day = 25 * 3_600_000_i64;
    let earlier =
        format!("update video set metadata_at = metadata_at - {day}, missing_since = missing_since - {day}");
    change(&place.data, &earlier).await;
    let page = place.data.join("reports/scn-1.md");
    fs::create_dir_all(page.parent().unwrap()).unwrap();
    fs::write(&page, format!("| fetch | removed | {} |", id(2).replace('_', "\\_"))).unwrap();
    let second = closing(&refresh(&["--purge"]).await);
    assert_eq!((&second["renewed"], &second["purged"]), (&1.into(), &1.into()), "{second}");
    assert_eq!(ask(&place.data, "select site_id from video").await, [id(1)]);
    assert_eq!(ask(&place.data, "select site_id from tombstone").await, [id(2)]);
    assert_eq!(fs::read_to_string(&page).unwrap(), "| fetch | removed | (forgotten) |");
    place.expect(2, &["refresh"]).await;
}

#[tokio::test]
async fn a_refresh_removes_what_has_a_tombstone_and_ends() {
    let (place, bench) = Place::at_site(vec![short(1), short(2)]).await;
    film(&bench.folder.path().join("media.mp4"));
    let with_key = |words: &'static [&'static str]| {
        let mut command = place.command(words);
        command.env("WEBEMOTION_YOUTUBE_API_KEY", "good-key");
        async { tokio::task::spawn_blocking(move || Ended::from(command.output().unwrap())).await.unwrap() }
    };
    with_key(&["crawl"]).await;
    // The first page stands for the whole answer.
    assert_eq!(ask(&place.data, "select page || ' ' || hits from answer order by id").await, ["0 2", "1 0"]);
    let stone = format!("insert into tombstone values ('youtube', '{}', 'asked by mail', 1)", id(2));
    change(&place.data, &stone).await;
    let asked = bench.site.requests().api_videos;
    let ended = with_key(&["--json", "refresh", "--older-than", "0"]).await;
    let last = closing(&ended);
    assert_eq!(
        (&last["renewed"], &last["tombstoned"], &last["files"]),
        (&1.into(), &1.into(), &1.into()),
        "{last}"
    );
    assert_eq!(bench.site.requests().api_videos, asked + 1);
    assert_eq!(ask(&place.data, "select site_id from video").await, [id(1)]);
    assert_eq!(ask(&place.data, "select page from answer where raw is not null").await.len(), 0);
    assert_eq!(ask(&place.data, "select reason from tombstone").await, ["asked by mail"]);
}

#[tokio::test]
async fn a_refresh_does_not_believe_that_all_videos_are_gone() {
    let (place, bench) = Place::at_site(vec![short(1)]).await;
    film(&bench.folder.path().join("media.mp4"));
    place.expect(0, &["crawl"]).await;
    for number in 11..17 {
        let row = format!(
            "insert into video (site, site_id, url, title, source, metadata_at, created_at) \
             values ('youtube', '{0}', 'https://www.youtube.com/watch?v={0}', 'a title', 'video:youtube:{0}', 1, 1)",
            id(number)
        );
        change(&place.data, &row).await;
    }
    let mut command = place.command(&["refresh", "--purge"]);
    command.env("WEBEMOTION_YOUTUBE_API_KEY", "good-key");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let ended = Ended::from(output);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("does not name 6 of 6 videos"), "{}", ended.stderr);
    let kept = "select title from video where missing_since is null and metadata_at = 1";
    assert_eq!(ask(&place.data, kept).await, ["a title"; 6]);
    assert!(ask(&place.data, "select reason from tombstone").await.is_empty());
}

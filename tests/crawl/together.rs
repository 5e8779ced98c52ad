//! Two crawls at once, and crawls that are killed: nothing is fetched twice, nothing is lost.

use std::collections::HashSet;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::place::Place;
use crate::program::ask;

/// What has to be the same however a crawl went, each row as one text.
const ROWS: &str = "
    select 'video ' || json_array(site_id, title, emotion, sha256, file_path, duration_ms) from video
    union all
    select 'evidence ' || json_array(site_id, text, rank, evidence.emotion) from evidence
      join video on video.id = video_id join search on search.id = search_id
    union all
    select 'job ' || json_array(stage, coalesce(site_id, text), state, reason) from job
      left join video on stage <> 'search' and video.id = subject_id
      left join search on stage = 'search' and search.id = subject_id
    order by 1";

#[tokio::test]
async fn two_crawls_share_the_work_and_nothing_is_done_twice() {
    let place = Place::scripted(4, 3);
    let (one, other) = tokio::join!(place.run(&["crawl"]), place.run(&["crawl"]));
    for ended in [&one, &other] {
        assert!([Some(0), Some(4), Some(5)].contains(&ended.code), "{}", ended.stderr);
    }
    let downloads = place.downloads();
    let once: HashSet<&String> = downloads.iter().collect();
    assert_eq!((downloads.len(), once.len()), (24, 24));
    assert_eq!(
        ask(&place.data, "select 'x' from job where stage = 'fetch' and state = 'done'").await.len(),
        24
    );
    assert_eq!(ask(&place.data, "select 'x' from answer").await.len(), 8, "each search was asked once");
}

#[tokio::test]
async fn killed_ten_times_a_crawl_ends_with_the_same_rows() {
    let (words, each) = size();
    let (whole, killed) = (Place::scripted(words, each), Place::scripted(words, each));
    let began = Instant::now();
    whole.expect(0, &["crawl"]).await;
    let took = began.elapsed();
    killed.set("[workers]\nmax_attempts = 50");
    let mut chance = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..10 {
        let mut command = killed.command(&["crawl", "--wait"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(took.mul_f64(chance.random_range(0.02..0.14)).max(Duration::from_millis(30)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    killed.expect(0, &["crawl", "--wait"]).await;
    let (expected, found) = (ask(&whole.data, ROWS).await, ask(&killed.data, ROWS).await);
    assert_eq!(expected.len(), 2 * words + 2 * words * each * 4);
    assert!(expected == found, "{:?}", expected.iter().zip(&found).find(|(one, other)| one != other));
    let staged = std::fs::read_dir(killed.data.join("staging")).unwrap().count();
    assert_eq!(staged, 0, "unfinished work is left");
    println!("{} searches, {} videos: {took:?} without a kill", 2 * words, 2 * words * each);
}

/// Words of each emotion, and videos of each word; `scripts/bench crawl` sets the full size.
fn size() -> (usize, usize) {
    match std::env::var("WEBEMOTION_BENCH_FULL") {
        Ok(_) => (250, 4),
        Err(_) => (4, 3),
    }
}

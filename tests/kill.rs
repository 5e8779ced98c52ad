//! kill -9 during any stage, then the same command again: the same catalog as without the kill.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use webemotion::store;

use crate::program::{SmallWorld, ask, closing, expect, webemotion};

/// Decides the kill points.
const SEED: u64 = 1;
const LEAST_KILLS: usize = 10;

/// The commands of the walk, and into how many parts the kills cut each.
const WALK: [(&[&str], u32); 3] = [
    (&["crawl", "--wait"], 5),
    (&["clips"], 7),
    (
        &[
            "train",
            "--method",
            "scn",
            "--epochs",
            "3",
            "--image-size",
            "32",
            "--batch-size",
            "16",
            "--relabel-epoch",
            "1",
            "--margin-2",
            "0",
        ],
        5,
    ),
];

/// What has to be the same, each row as one text. Ids and times of day are left out.
pub const DUMPS: [(&str, &str); 11] = [
    (
        "videos",
        "select json_array(site_id, title, source, emotion, sha256, file_path, duration_ms, width, height) from video",
    ),
    (
        "jobs",
        "select json_array(stage, coalesce(site_id, text), state, job.reason) from job
         left join video on stage <> 'search' and video.id = subject_id
         left join search on stage = 'search' and search.id = subject_id",
    ),
    (
        "evidence",
        "select json_array(site_id, text, rank, evidence.emotion) from evidence
         join video on video.id = video_id join search on search.id = search_id",
    ),
    (
        "scans",
        "select json_array(site_id, shots, frames_decoded, frames_detected, recipe_hash)
         from scan join video on video.id = video_id",
    ),
    (
        "tracks",
        "select json_array(site_id, shot, start_ms, end_ms, coverage, median_face_px, reason, hex(faces))
         from track join video on video.id = video_id",
    ),
    (
        "clips",
        "select json_array(site_id, start_ms, end_ms, clip.file_path, clip.sha256, frames, perceptual_hash,
         clip.emotion)
         from clip join video on video.id = video_id",
    ),
    (
        "samples",
        "select json_array(site_id, start_ms, t_ms, face, sharpness, yaw_deg, sample.reason, crop.side_px, hex(jpeg))
         from sample join crop on sample_id = sample.id join clip on clip.id = clip_id
         join video on video.id = sample.video_id",
    ),
    ("splits", "select json_array(source, split) from split"),
    (
        "opinions",
        "select json_array(name, position, site_id, start_ms, t_ms, split, label, predicted, importance, p_given)
         from run_sample join run on run.id = run_id join sample on sample.id = sample_id
         join clip on clip.id = clip_id join video on video.id = sample.video_id",
    ),
    (
        "relabels",
        "select json_array(name, epoch, site_id, start_ms, t_ms, from_label, to_label, p_max, relabel.importance)
         from relabel join run on run.id = run_id join sample on sample.id = sample_id
         join clip on clip.id = clip_id join video on video.id = sample.video_id",
    ),
    (
        "epochs",
        "select json_array(name, epoch, json_remove(metrics, '$.images_per_s', '$.data_wait_share'))
         from epoch join run on run.id = run_id",
    ),
];

/// A data folder and the settings that lead it to the small world.
struct Place {
    data: PathBuf,
    settings: PathBuf,
}

impl Place {
    fn words<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        [&["--config", self.settings.to_str().unwrap()], words].concat()
    }

    /// Runs a command to its end; says how long that took.
    fn finish(&self, words: &[&str]) -> (i32, Duration) {
        let began = Instant::now();
        let output = webemotion(&self.data, &self.words(words)).output().unwrap();
        let code = output.status.code().unwrap();
        assert!([0, 4].contains(&code), "{words:?}: {code}\n{}", String::from_utf8_lossy(&output.stderr));
        (code, began.elapsed())
    }

    /// Starts a command and kills it; says with which code it ended if it was faster.
    fn kill(&self, words: &[&str], after: Duration) -> Option<i32> {
        let mut command = webemotion(&self.data, &self.words(words));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(after);
        child.kill().unwrap();
        child.wait().unwrap().code()
    }
}

#[tokio::test]
async fn killed_at_any_moment_and_started_again_the_catalog_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let world = SmallWorld::serve(&folder.path().join("world"));
    // A job may be hit more often here than a real one would survive.
    let settings = folder.path().join("world/kill.toml");
    let text = fs::read_to_string(&world.settings).unwrap() + "\n[workers]\ncount = 1\nmax_attempts = 50\n";
    fs::write(&settings, text).unwrap();
    let place = |name: &str| Place { data: folder.path().join(name), settings: settings.clone() };
    let (whole, killed) = (place("whole"), place("killed"));

    let mut chance = ChaCha8Rng::seed_from_u64(SEED);
    let mut kills = 0;
    for (words, parts) in WALK {
        let (code, took) = whole.finish(words);
        println!("{}: {code} after {:.1} s without a kill", words[0], took.as_secs_f64());
        for _ in 1..=parts {
            let after = took.mul_f64(chance.random_range(0.3..1.2) / f64::from(parts));
            match killed.kill(words, after) {
                Some(code) => {
                    println!("{}: ended by itself before {:.2} s: {code}", words[0], after.as_secs_f64())
                }
                None => {
                    kills += 1;
                    println!("{}: killed after {:.2} s", words[0], after.as_secs_f64());
                }
            }
        }
        let (code, took) = killed.finish(words);
        println!("{}: {code} after {:.1} s more", words[0], took.as_secs_f64());
    }
    assert!(kills >= LEAST_KILLS, "only {kills} kills");
    for (table, question) in DUMPS {
        let rows = same(table, dump(&whole.data, question).await, dump(&killed.data, question).await);
        println!("{table}: {rows} equal rows");
    }
    for place in [whole, killed] {
        in_order(&place.data).await;
    }
}

async fn dump(data: &Path, question: &'static str) -> Vec<String> {
    let mut rows = ask(data, question).await;
    rows.sort_unstable();
    rows
}

/// Compares two dumps and counts their rows.
fn same(table: &str, whole: Vec<String>, killed: Vec<String>) -> usize {
    let short = |row: Option<&String>| row.map(|row| row.chars().take(300).collect::<String>());
    let longest = whole.len().max(killed.len());
    if let Some(at) = (0..longest).find(|&at| whole.get(at) != killed.get(at)) {
        let (whole_row, killed_row) = (short(whole.get(at)), short(killed.get(at)));
        let counts = (whole.len(), killed.len());
        panic!("{table} {counts:?}: row {at} differs\n  whole  {whole_row:?}\n  killed {killed_row:?}");
    }
    assert!(longest > 0, "no {table} at all");
    longest
}

/// Every row's file is there with its hash, and after `gc` no other file is.
async fn in_order(data: &Path) {
    let files = "select file_path || ' ' || sha256 from video where file_path is not null
                 union all select file_path || ' ' || sha256 from clip";
    for row in ask(data, files).await {
        let (path, sha256) = row.rsplit_once(' ').unwrap();
        assert_eq!(store::digest(&data.join(path)).unwrap().1, sha256, "{path}");
    }
    let collected = closing(&expect(0, data, &["--json", "gc"]));
    assert_eq!(collected["files"], serde_json::json!([]), "orphans");
    assert_eq!(fs::read_dir(data.join("staging")).unwrap().count(), 0, "unfinished work is left");
}

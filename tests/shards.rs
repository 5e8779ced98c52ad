//! Two machines that share no catalog, each with its list: merged, they give the catalog that one makes alone.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::kill::DUMPS;
use crate::night::film;
use crate::program::{Ended, ask, closing, expect, run, webemotion};

/// What clips make; the rest of [`DUMPS`] is of training.
const OF_CLIPS: [&str; 8] = ["videos", "jobs", "evidence", "scans", "tracks", "clips", "samples", "splits"];

async fn dump(data: &Path) -> Vec<(&'static str, Vec<String>)> {
    let mut all = Vec::new();
    for (table, question) in DUMPS.iter().filter(|(table, _)| OF_CLIPS.contains(table)) {
        let mut rows = ask(data, question).await;
        rows.sort_unstable();
        assert!(!rows.is_empty(), "no {table}");
        all.push((*table, rows));
    }
    all
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy_folder(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}

#[tokio::test]
async fn what_two_machines_made_apart_is_what_one_makes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (alone, videos, lists) = (place("alone"), place("films"), place("lists"));
    for (number, emotion) in ["happiness", "anger", "fear"].into_iter().enumerate() {
        fs::create_dir_all(videos.join(emotion)).unwrap();
        film(number as u64, &videos.join(emotion).join("a.mp4"));
    }
    fs::write(videos.join("fear/b.mp4"), "dear diary").unwrap();
    expect(0, &alone, &["crawl", "--source", &format!("local:{}", path(&videos))]);
    // Of one film a list means two parts, one of them too short for the usual samples.
    let (listed, parts) = (videos.join("anger/a.mp4"), place("parts.csv"));
    let row = |rest: &str| format!("{},{rest}\n", path(&listed));
    let rows = row("fear,1100,1900") + &row("sadness,2000,5000");
    fs::write(&parts, format!("path,emotion,start_ms,end_ms\n{rows}")).unwrap();
    expect(0, &alone, &["crawl", "--from", path(&parts)]);
    let (merged, other) = (place("merged"), place("other-order"));
    copy_folder(&alone, &merged);
    let shard = |data: &Path, count: &str| {
        let _ = fs::remove_dir_all(&lists);
        run(data, &["--json", "shard", "--count", count, "--out", path(&lists)])
    };
    // Which list a video is in is chance, but always the same one.
    let count = ["2", "3", "4"].into_iter().find(|count| {
        assert_eq!(closing(&shard(&merged, count))["videos"], 3);
        videos_in(&lists).iter().filter(|videos| **videos > 0).count() >= 2
    });
    let count = count.unwrap();
    copy_folder(&merged, &other);

    expect(0, &alone, &["clips"]);
    let pieces = "select json_array(clip.emotion, start_ms, end_ms, count(*)) from clip
                  join sample on clip_id = clip.id where clip.video_id in (select video_id from listed)
                  group by clip.id order by start_ms";
    assert_eq!(ask(&alone, pieces).await, [r#"["fear",1100,1900,1]"#, r#"["sadness",2000,5000,3]"#]);
    let mut nodes: Vec<PathBuf> = Vec::new();
    for (list, videos) in sorted(&lists).iter().zip(videos_in(&lists)) {
        let node = place(&format!("node-{}", nodes.len()));
        expect(if videos > 0 { 0 } else { 4 }, &node, &["clips", "--shard", path(list)]);
        assert_eq!(ask(&node, "select site_id from video").await.len(), videos);
        nodes.push(node);
    }
    let all: Vec<&str> = nodes.iter().map(|node| path(node)).collect();
    expect(0, &merged, &[&["merge"], &all[..]].concat());
    for node in nodes.iter().rev() {
        let ended = run(&other, &["merge", path(&node.join("catalog.sqlite"))]);
        assert!([Some(0), Some(4)].contains(&ended.code), "{}", ended.stderr);
    }
    // Nothing is left to cut: this only gives the new videos their split.
    for data in [&merged, &other] {
        expect(4, data, &["clips"]);
    }
    let whole = dump(&alone).await;
    assert_eq!(dump(&merged).await, whole);
    assert_eq!(dump(&other).await, whole);

    expect(4, &merged, &[&["merge"], &all[..]].concat());
    assert_eq!(dump(&merged).await, whole, "twice is harmless");
    assert_eq!(ask(&merged, "select sum(taken) || ' of ' || sum(videos) from merged").await, ["3 of 3"]);
    assert_eq!(shard(&merged, count).code, Some(4), "nothing is left to do");
    expect(0, &merged, &["check"]);
    assert_eq!(closing(&expect(0, &merged, &["--json", "gc"]))["files"], serde_json::json!([]));

    a_lost_clip_is_found_and_made_again(&merged, &videos, &whole).await;
}

#[tokio::test]
async fn two_who_cut_in_one_folder_at_once_make_what_one_makes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (alone, shared, videos) = (place("alone"), place("shared"), place("films"));
    fs::create_dir(&videos).unwrap();
    for number in 0..2 {
        film(number, &videos.join(format!("{number}.mp4")));
    }
    let source = format!("local:{}", path(&videos));
    expect(0, &alone, &["crawl", "--source", &source, "--emotion", "fear"]);
    copy_folder(&alone, &shared);
    expect(0, &alone, &["clips"]);
    let begin = |()| {
        let mut command = webemotion(&shared, &["clips", "--workers", "1"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in [(), ()].map(begin) {
        let ended = Ended::from(child.wait_with_output().unwrap());
        // Who finds the rest taken is told that there is nothing left, or that more is due if the other one dies.
        assert!([0, 4, 5].map(Some).contains(&ended.code), "{}{}", ended.stdout, ended.stderr);
    }
    // The first three sources get their splits as they come: who ends first may give them before the other's video is there.
    let made = async |data: &Path| {
        let mut all = dump(data).await;
        all.retain(|(table, _)| *table != "splits");
        all
    };
    assert_eq!(made(&shared).await, made(&alone).await);
    expect(4, &shared, &["clips"]);
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// How many videos each list has.
fn videos_in(lists: &Path) -> Vec<usize> {
    sorted(lists).iter().map(|list| fs::read_to_string(list).unwrap().lines().count() - 1).collect()
}

/// A clip whose bytes rot, and a video that is gone: `check` sees both, and has them made again.
async fn a_lost_clip_is_found_and_made_again(data: &Path, films: &Path, whole: &[(&str, Vec<String>)]) {
    let clip = ask(data, "select file_path from clip order by 1 limit 1").await.remove(0);
    let video = ask(data, "select file_path from video where file_path is not null order by 1 limit 1")
        .await
        .remove(0);
    let mut bytes = fs::read(data.join(&clip)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(data.join(&clip), bytes).unwrap();
    fs::remove_file(data.join(&video)).unwrap();
    let found = expect(1, data, &["check"]);
    assert!(found.stdout.contains(&clip) && found.stdout.contains(&video), "{}", found.stdout);
    expect(1, data, &["check", "--quick"]);
    expect(0, data, &["check", "--repair"]);
    let settings = format!("[run]\nsource = \"local:{}\"\n", path(films));
    fs::write(data.join("webemotion.toml"), settings).unwrap();
    expect(0, data, &["run", "--only", "crawl,clips"]);
    expect(0, data, &["check"]);
    assert_eq!(dump(data).await, whole, "what was made again is what was lost");
}

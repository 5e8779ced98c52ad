//! Whatever file comes, it ends with a reason, and nobody else is harmed: mutated films through the program as it is used.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod mutants;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::program::{Ended, ask, expect, run, webemotion};

/// What became of each kind of file: how it ended, and how many did.
type Summary = BTreeMap<(String, String), usize>;

/// Sends so many mutants through crawl and clips, and says what became of each kind.
async fn judge(folder: &Path, count: usize, seed: u64, with_others: bool) -> Summary {
    let (sound, videos, data) = (folder.join("sound"), folder.join("videos"), folder.join("data"));
    for place in [&sound, &videos, &data] {
        fs::create_dir_all(place).unwrap();
    }
    for (number, mutant) in
        mutants::mutants(&mutants::seeds(&sound, with_others), count, seed).iter().enumerate()
    {
        fs::write(videos.join(format!("{}.{number:04}.mp4", mutant.kind)), &mutant.bytes).unwrap();
    }
    // A healthy film among them has to come through.
    mutants::film(&videos.join("sound.mp4"), (128, 96), 14);
    fs::write(data.join("webemotion.toml"), "[workers]\nsilence_timeout_s = 15\ntask_timeout_s = 30\n")
        .unwrap();
    let crawl = ["crawl", "--source", &format!("local:{}", videos.display()), "--emotion", "fear"];
    for words in [&crawl[..], &["clips"]] {
        let ended: Ended = run(&data, words);
        assert!(matches!(ended.code, Some(0 | 1)), "{words:?} ended with {:?}: {}", ended.code, ended.stderr);
    }
    // The last job of a video that has an outcome; reasons are words, so that a nameless end shows.
    let outcomes = "select title || char(9) || stage || ' ' || state || coalesce(' ' || reason, '') from (
          select video.title, job.stage, job.state, job.reason,
            row_number() over (partition by video.id order by instr('fetch scan cut', job.stage) desc) as place
          from video join job on job.subject_id = video.id and job.stage <> 'search')
        where place = 1";
    let mut summary = Summary::new();
    for line in ask(&data, outcomes).await {
        let (title, outcome) = line.split_once('\t').unwrap();
        let kind = title.split_once('.').unwrap().0.to_owned();
        *summary.entry((kind, outcome.to_owned())).or_default() += 1;
    }
    ends_with_reasons(&summary);
    leaves_nothing_behind(&data);
    summary
}

fn ends_with_reasons(summary: &Summary) {
    for (kind, outcome) in summary.keys() {
        let words: Vec<&str> = outcome.split(' ').collect();
        let is_ended = match words[..] {
            [_, "rejected" | "dead", reason] => reason != "bug",
            // What was left of a face was enough.
            ["cut", "done"] => true,
            _ => false,
        };
        assert!(is_ended, "{kind}: {outcome}");
    }
    assert_eq!(summary.get(&("sound".to_owned(), "cut rejected no-face".to_owned())), Some(&1));
}

fn leaves_nothing_behind(data: &Path) {
    expect(0, data, &["check", "--quick"]);
    let collected = crate::program::closing(&expect(0, data, &["--json", "gc"]));
    for left in ["files", "unfinished"] {
        assert_eq!(collected[left], serde_json::json!([]), "{left}");
    }
    assert!(webemotion(data, &["status"]).output().unwrap().status.success());
}

#[tokio::test]
async fn forty_bad_files_end_with_their_reasons_and_a_good_one_comes_through() {
    let folder = tempfile::tempdir().unwrap();
    let summary = judge(folder.path(), 40, 1, false).await;
    for (kind, outcome) in [
        ("empty", "fetch rejected not-a-video"),
        ("text", "fetch rejected not-a-video"),
        ("sound-wav", "fetch rejected not-a-video"),
        ("header-alone", "fetch rejected undecodable"),
    ] {
        assert!(summary.contains_key(&(kind.to_owned(), outcome.to_owned())), "{kind}: {summary:?}");
    }
}

/// For `scripts/bench fuzz`: as many as WEBEMOTION_FUZZ says, by files and seed, such as `1000:7`.
#[tokio::test]
#[ignore = "takes minutes: scripts/bench fuzz"]
async fn a_thousand_bad_files_end_with_their_reasons() {
    let wanted = std::env::var("WEBEMOTION_FUZZ").unwrap_or_else(|_| "1000:1".to_owned());
    let (count, seed) = wanted.split_once(':').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let summary = judge(folder.path(), count.parse().unwrap(), seed.parse().unwrap(), true).await;
    let mut by_outcome = BTreeMap::<&str, usize>::new();
    println!("| what was done to the file | how it ended | files |\n| --- | --- | --- |");
    for ((kind, outcome), files) in &summary {
        println!("| {kind} | {outcome} | {files} |");
        *by_outcome.entry(outcome).or_default() += files;
    }
    println!("\n| how it ended | files |\n| --- | --- |");
    for (outcome, files) in &by_outcome {
        println!("| {outcome} | {files} |");
    }
    println!("\n{} files, all of them with a reason", summary.values().sum::<usize>());
}

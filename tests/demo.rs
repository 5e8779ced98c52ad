//! The whole walk in its small world, as a newcomer starts it, and the other commands on the folder that it leaves.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use webemotion::demo::world::{WRONG_SHARE, World, WorldSize};

use crate::program::{Ended, ask, closing, expect, webemotion};

#[test]
fn a_tool_that_is_missing_is_named_before_anything_is_filmed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut demo = webemotion(&data, &["demo", "--small"]);
    let ended: Ended =
        demo.env("WEBEMOTION_TOOLS_YTDLP", folder.path().join("none")).output().unwrap().into();
    assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
    assert!(!data.exists());
}

#[tokio::test]
async fn the_small_demo_does_the_whole_walk_and_leaves_a_folder_to_work_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = &folder.path().join("data");
    // The user's own settings, which are for another site.
    let settings = folder.path().join("own.toml");
    fs::write(&settings, "[crawl]\nyoutube_host = \"127.0.0.1:9\"\n").unwrap();
    let mut demo = webemotion(data, &["--json", "demo", "--small"]);
    let ended: Ended = demo.env("WEBEMOTION_CONFIG", &settings).output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let last = closing(&ended);
    assert_eq!(last["event"], "demo");
    let page = Path::new(last["report"].as_str().unwrap());
    is_self_contained(page);
    assert!(fs::read_to_string(page).unwrap().contains("data:image/"), "the page shows no sample");
    let planned = World::plan(1, WorldSize::Small, WRONG_SHARE);
    every_video_came_to_what_was_planned(data, &planned).await;
    labels_are_as_wrong_as_planned(data, &planned, &last["truth"]).await;

    a_report_leaves_the_page_with_the_truth_alone(data, page);
    let status = closing(&expect(0, data, &["--json", "status"]));
    assert_eq!((&status["event"], &status["held"]), (&"status".into(), &0.into()));
    assert_eq!(status["runs"], serde_json::json!(["baseline-1", "scn-1"]));
    let reported = closing(&expect(0, data, &["--json", "report", "--run", "baseline-1"]));
    is_self_contained(Path::new(reported["file"].as_str().unwrap()));
    let retried = closing(&expect(0, data, &["--json", "retry", "--reason", "private"]));
    assert_eq!(retried["jobs"], 1);
    expect(4, data, &["retry", "--reason", "private"]);
    let collected = closing(&expect(0, data, &["--json", "gc"]));
    assert_eq!(collected["files"], serde_json::json!([]), "the walk left orphans");
    expect(4, data, &["clips"]);
    let checked = expect(0, data, &["-q", "--json", "check", "--quick"]).stdout;
    assert_eq!(checked.lines().count(), 1, "only the closing line was wanted: {checked}");
    a_dry_run_counts_what_has_expired(data);
}

fn a_report_leaves_the_page_with_the_truth_alone(data: &Path, page: &Path) {
    let shown = fs::read_to_string(page).unwrap();
    expect(0, data, &["report", "--run", "scn-1"]);
    assert!(fs::read_to_string(page).unwrap() == shown, "the truth is gone from {}", page.display());
    let index = fs::read_to_string(data.join("reports/index.html")).unwrap();
    assert!(index.contains("./demo.html") && index.contains("./scn-1.html"), "{index}");
    let markdown = expect(0, data, &["report", "--run", "scn-1", "--format", "markdown", "--out", "-"]);
    assert!(markdown.stdout.starts_with('#') && markdown.stdout.contains("scn-1"), "{}", markdown.stdout);
}

/// A month later, what the site told may be kept no longer.
fn a_dry_run_counts_what_has_expired(data: &Path) {
    let later = ["--json", "--clock-shift-s", "2700000", "gc"];
    let would = closing(&expect(0, data, &[&later[..], &["--dry-run"]].concat()));
    let did = closing(&expect(0, data, &later));
    assert!(would["raw_answers"].as_u64() > Some(0) && would["metadata"].as_u64() > Some(0), "{would}");
    assert_eq!((&would["raw_answers"], &would["metadata"]), (&did["raw_answers"], &did["metadata"]));
}

#[test]
fn settings_and_a_catalog_that_are_not_its_own_are_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("webemotion.toml");
    fs::write(&settings, "[crawl]\npause_s = 5.0\n").unwrap();
    let ended = expect(2, folder.path(), &["demo", "--small"]);
    assert!(ended.stderr.contains("webemotion.toml was not written by demo"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: name a folder of its own with --data"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&settings).unwrap(), "[crawl]\npause_s = 5.0\n");
    fs::remove_file(&settings).unwrap();
    expect(4, folder.path(), &["run", "--only", "report"]);
    let ended = expect(2, folder.path(), &["demo", "--small"]);
    assert!(ended.stderr.contains("holds a catalog that is not the demo's"), "{}", ended.stderr);
    assert!(!folder.path().join("demo").exists() && !settings.exists());
}

#[test]
fn who_watches_is_told_as_long_as_somebody_reads() {
    let folder = tempfile::tempdir().unwrap();
    expect(4, folder.path(), &["run", "--only", "report"]);
    let mut command = webemotion(folder.path(), &["--json", "status", "--watch", "1"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains(r#""event":"status""#), "{line}");
    // The reader is gone now: the next word finds nobody.
    let given_up = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > given_up {
            child.kill().unwrap();
            panic!("it goes on for nobody");
        }
        sleep(Duration::from_millis(50));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A page that shows the same without a network.
fn is_self_contained(file: &Path) {
    let page = fs::read_to_string(file).unwrap();
    assert!(page.contains("<svg"), "{} shows nothing", file.display());
    for link in ["<link", "<script src", "@import", "src=\"http", "url(http"] {
        assert!(!page.contains(link), "{} leans on {link}", file.display());
    }
}

async fn every_video_came_to_what_was_planned(data: &Path, planned: &World) {
    let mut expected: Vec<String> = planned
        .videos
        .iter()
        .map(|video| {
            use webemotion::demo::world::Kind;
            let outcome = match video.kind {
                Kind::NoFace => "cut rejected no-face",
                Kind::BriefFace => "cut rejected face-too-brief",
                Kind::Broken => "fetch rejected undecodable",
                Kind::Private => "fetch rejected private",
                Kind::Removed => "fetch rejected gone",
                Kind::TooLong => "fetch rejected too-long",
                _ => "cut done ",
            };
            format!("{} {outcome}", video.site_id)
        })
        .collect();
    let last_jobs = "select site_id || ' ' || stage || ' ' || state || ' ' || coalesce(job.reason, '')
                     from job join video on video.id = subject_id and stage in ('fetch', 'cut')
                     where stage = 'cut' or state <> 'done'";
    let mut found = ask(data, last_jobs).await;
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

/// The catalog believes what searches say; the report's noise is that of the training samples.
async fn labels_are_as_wrong_as_planned(data: &Path, planned: &World, truth: &serde_json::Value) {
    let listed: BTreeMap<&str, _> =
        planned.videos.iter().map(|video| (video.site_id.as_str(), video)).collect();
    for row in ask(data, "select site_id || ' ' || emotion from video").await {
        let (site_id, emotion) = row.split_once(' ').unwrap();
        assert_eq!(emotion, listed[site_id].listed_emotion.as_str(), "{site_id}");
    }
    let trained_on = "select site_id from run_sample join run on run.id = run_id and run.name = 'scn-1'
                      join sample on sample.id = sample_id join video on video.id = sample.video_id
                      where split = 'train'";
    let trained_on = ask(data, trained_on).await;
    let is_wrong = |site_id: &&String| {
        let video = listed[site_id.as_str()];
        video.listed_emotion != video.true_emotion
    };
    assert_eq!(truth["labels"], trained_on.len());
    assert_eq!(truth["wrong_before"], trained_on.iter().filter(is_wrong).count());
    let with_clips: Vec<_> = planned.videos.iter().filter(|video| video.kind.yields_clips()).collect();
    let wrong = with_clips.iter().filter(|video| video.listed_emotion != video.true_emotion).count();
    assert_eq!(wrong, (with_clips.len() as f64 * WRONG_SHARE).round() as usize);
}

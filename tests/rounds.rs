//! One round from outside: what it says before, while and after it is done, and to whom.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::night::{Site, film};
use crate::program::{Ended, ask, closing, expect, in_toml, run, webemotion};

/// A data folder whose source is a folder with one film of a face.
pub fn with_a_film() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (videos, data) = (folder.path().join("videos/fear"), folder.path().join("data"));
    fs::create_dir_all(&videos).unwrap();
    fs::create_dir_all(&data).unwrap();
    film(1, &videos.join("a.mp4"));
    let settings = "[run]\nsource = 'local:../videos'\n[crawl]\nmin_free_bytes = 1\n";
    fs::write(data.join("webemotion.toml"), settings).unwrap();
    (folder, data)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_round_leaves_a_page_a_summary_a_log_metrics_and_a_word_to_whoever_waits() {
    let (folder, data) = with_a_film();
    let (told, metrics) = (folder.path().join("told.json"), folder.path().join("webemotion.prom"));
    let notify = format!("cat > '{}'", told.display().to_string().replace('\'', r"'\''"));
    let words = ["--json", "run", "--notify", &notify, "--metrics", metrics.to_str().unwrap()];
    let summary = closing(&expect(0, &data, &words));
    assert_eq!((&summary["event"], &summary["round"]), (&"round".into(), &1.into()));
    assert_eq!(summary["steps"][2]["outcome"], "skipped", "{summary:#}");
    let heard: serde_json::Value = serde_json::from_str(&text(&told)).unwrap();
    assert_eq!(heard["totals"], summary["totals"]);
    assert!(text(&metrics).contains("webemotion_round_jobs{stage=\"fetch\",outcome=\"done\"} 1\n"));
    assert!(text(&data.join("reports/round-0001.html")).contains("data:image/jpeg"));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text(&data.join("reports/round-0001.json"))).unwrap()["round"],
        1
    );
    let log = fs::read_dir(data.join("logs")).unwrap().next().unwrap().unwrap().path();
    assert!(text(&log).contains("round begins") && text(&log).contains("fetch ends"), "{}", text(&log));

    let notify = notify.replace("cat >", "env >");
    let mut round = webemotion(&data, &["--json", "run", "--notify", &notify]);
    let ended = Ended::from(round.env("WEBEMOTION_YOUTUBE_API_KEY", "a-secret-key").output().unwrap());
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let again = closing(&ended);
    assert_eq!(again["outcome"], "nothing was due", "{again:#}");
    let told = text(&told);
    assert!(told.contains("PATH=") && !told.contains("a-secret-key"), "the key is passed on");
    let status = closing(&expect(0, &data, &["--json", "status"]));
    assert_eq!(status["rounds"].as_array().unwrap().len(), 2);
    let shown = expect(0, &data, &["status"]).stdout;
    assert!(shown.contains("next round") && shown.contains("train.when.new_samples"), "{shown}");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let (_folder, data) = with_a_film();
    expect(4, &data, &["run", "--only", "report"]);
    let before = fs::read_dir(data.join("reports")).unwrap().count();
    let said = expect(0, &data, &["run", "--dry-run"]).stdout;
    assert!(said.contains("crawl   due") && said.contains("train   not due"), "{said}");
    assert_eq!(fs::read_dir(data.join("reports")).unwrap().count(), before);
    assert!(!data.join("videos").exists());
}

#[test]
fn the_next_round_is_told_to_do_what_the_settings_say_and_not_what_this_one_was_told() {
    let (_folder, data) = with_a_film();
    let summary = closing(&expect(4, &data, &["--json", "run", "--only", "report"]));
    let next = summary["next"].as_array().unwrap().iter().map(|step| step["command"].as_str().unwrap());
    assert_eq!(next.collect::<Vec<_>>(), ["crawl", "clips", "train", "report"]);
}

#[test]
fn a_wrong_setting_of_training_ends_with_2_before_anything_is_begun() {
    let (_folder, data) = with_a_film();
    let mut command = webemotion(&data, &["run"]);
    command.env("WEBEMOTION_TRAIN_FLAGS", "--epoch,3");
    let ended: Ended = command.output().unwrap().into();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("train.flags") && ended.stderr.contains("hint:"), "{}", ended.stderr);
    assert!(!data.join("videos").exists());
    let shown = run(&data, &["config", "show"]).stdout;
    assert!(shown.contains("webemotion.toml line 2"), "{shown}");
}

#[test]
fn a_command_that_fails_says_in_its_step_what_helps() {
    let (_folder, data) = with_a_film();
    let settings = "[run]\nsource = 'local:../nowhere'\n[crawl]\nmin_free_bytes = 1\n";
    fs::write(data.join("webemotion.toml"), settings).unwrap();
    let ended = expect(2, &data, &["--json", "run", "--only", "crawl"]);
    let why = closing(&ended)["steps"][0]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("cannot read") && why.contains("takes a folder that exists"), "{why}");
    assert!(ended.stderr.contains("takes a folder that exists"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_folder_is_taken_in_once_a_round_however_often_there_is_room_for_more_videos() {
    let (folder, data) = with_a_film();
    film(2, &folder.path().join("videos/fear/b.mp4"));
    let settings = "[run]\nsource = 'local:../videos'\nmax_waiting_videos = 1\n[crawl]\nmin_free_bytes = 1\n";
    fs::write(data.join("webemotion.toml"), settings).unwrap();
    expect(0, &data, &["run", "--only", "crawl,clips"]);
    assert_eq!(ask(&data, "select site from video where fetched_at is not null").await.len(), 2);
    assert_eq!(ask(&data, "select asked_of from answer").await, ["local"]);
}

#[tokio::test]
async fn a_lost_file_that_was_taken_in_from_disk_comes_back_when_it_is_taken_in_again() {
    let (folder, data) = with_a_film();
    expect(0, &data, &["run", "--only", "crawl"]);
    let file = ask(&data, "select file_path from video").await.remove(0);
    fs::remove_file(data.join(file)).unwrap();
    let told = expect(0, &data, &["check", "--repair"]).stdout;
    assert!(told.contains("0 videos will be fetched"), "{told}");
    assert!(told.contains("1 video was taken in from disk: `webemotion crawl --source local:DIR`"), "{told}");
    let source = format!("local:{}", folder.path().join("videos").display());
    expect(0, &data, &["crawl", "--source", &source]);
    expect(0, &data, &["check"]);
}

#[test]
fn a_quiet_round_says_its_closing_line_and_nothing_else() {
    let (_folder, data) = with_a_film();
    let told = expect(0, &data, &["run", "--quiet", "--only", "crawl,report"]).stdout;
    assert!(told.starts_with("run: round 1: done") && told.lines().count() == 1, "{told}");
}

#[test]
fn a_backup_made_while_others_work_is_a_catalog_of_its_own() {
    let (folder, data) = with_a_film();
    expect(0, &data, &["run", "--only", "crawl"]);
    let copy = folder.path().join("copy/catalog.sqlite");
    expect(0, &data, &["backup", copy.to_str().unwrap()]);
    let refused = expect(2, &data, &["backup", copy.to_str().unwrap()]);
    assert!(refused.stderr.contains("hint:"), "{}", refused.stderr);
    let status = closing(&expect(0, copy.parent().unwrap(), &["--json", "status"]));
    assert_eq!(status["funnel"]["steps"][3]["kept"], 1, "{status:#}");
}

/// A data folder that asks a site for these emotions and words; no more than one video may wait to be cut.
fn asks(site: &Site, data: &Path, emotions: &str) {
    fs::create_dir_all(data).unwrap();
    let words = format!("name = \"nights\"\njoin = \"{{word}}\"\n[emotions]\n{emotions}\n");
    fs::write(data.join("words.toml"), words).unwrap();
    let settings = format!(
        "[crawl]\nlexicon = 'words.toml'\naccept_terms = true\nlicence = 'any'\nvideos_per_hour = 3_600_000\n\
         pause_s = 0.0\nmin_free_bytes = 1\n[run]\nmax_waiting_videos = 1\n[tools]\nytdlp = {}\n[workers]\ncount = 1\n",
        in_toml(&site.program())
    );
    fs::write(data.join("webemotion.toml"), settings).unwrap();
}

#[test]
fn a_round_goes_on_while_searches_bring_more_videos_than_are_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let (site, data) = (Site::open(folder.path().join("site")), folder.path().join("data"));
    let videos: Vec<(String, i64)> = (0..4)
        .map(|seed| {
            let id = format!("film-{seed:06}");
            let duration_ms = film(seed, &site.folder.join("films").join(format!("{id}.mp4")));
            (id, duration_ms)
        })
        .collect();
    site.answer("happy", &videos[..2]);
    site.answer("angry", &videos[2..]);
    asks(&site, &data, "happiness = [\"happy\"]");
    let words = ["run", "--only", "crawl,clips"];
    let mut first = webemotion(&data, &words);
    let first: Ended = first.env("WEBEMOTION_RUN_MAX_VIDEOS", "1").output().unwrap().into();
    assert_eq!((first.code, site.served().len()), (Some(0), 1), "{}", first.stderr);
    asks(&site, &data, "happiness = [\"happy\"]\nanger = [\"angry\"]");
    expect(0, &data, &words);
    assert_eq!(site.served().len(), 4);
}

#[tokio::test]
async fn a_round_without_room_for_videos_still_asks_its_searches() {
    let folder = tempfile::tempdir().unwrap();
    let (site, data) = (Site::open(folder.path().join("site")), folder.path().join("data"));
    site.answer("happy", &[("film-000000".to_owned(), 7_000)]);
    asks(&site, &data, "happiness = [\"happy\"]");
    let mut command = webemotion(&data, &["run", "--only", "crawl"]);
    command.env("WEBEMOTION_CRAWL_MIN_FREE_BYTES", "9_000_000_000_000_000");
    let ended: Ended = command.output().unwrap().into();
    assert_eq!((ended.code, site.served().len()), (Some(5), 0), "{}{}", ended.stdout, ended.stderr);
    assert!(!ended.stdout.contains("the limit is reached"), "{}", ended.stdout);
    assert_eq!(ask(&data, "select state from job where stage = 'search'").await, ["done"]);
}

/// By it the next round, also one on another machine, knows that the one before was killed.
#[tokio::test]
async fn a_round_bears_the_name_that_stands_in_its_locks() {
    let folder = tempfile::tempdir().unwrap();
    let (site, data) = (Site::open(folder.path().join("site")), folder.path().join("data"));
    site.answer("happy", &[("film-000000".to_owned(), 7_000)]);
    asks(&site, &data, "happiness = [\"happy\"]");
    site.feel("slow");
    let mut command = webemotion(&data, &["run", "--only", "crawl,clips"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !site.folder.join("begun").exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "no download was begun");
        sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let holder = ask(&data, "select holder from round").await;
    for lock in ["crawl", "clips"] {
        assert_eq!([text(&data.join("locks").join(format!("{lock}.lock")))], holder[..]);
    }
}

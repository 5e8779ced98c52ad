//! One round from outside: what it says before, while and after it is done, and to whom.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::night::film;
use crate::program::{Ended, closing, expect, run, webemotion};

/// A data folder whose source is a folder with one film of a face.
fn with_a_film() -> (tempfile::TempDir, PathBuf) {
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
    let notify = format!("cat > '{}'", told.display());
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

    let again = closing(&expect(4, &data, &["--json", "run"]));
    assert_eq!(again["outcome"], "nothing was due", "{again:#}");
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

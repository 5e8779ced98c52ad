//! What is taken out of a data folder: by whom, and that it stays out.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::path::{Path, PathBuf};

use webemotion::catalog::Catalog;
use webemotion::clock::Clock;
use webemotion::store::{Locked, Store};

use crate::program::{ask, closing, expect, run};
use crate::rounds::with_a_film;

fn pictures(data: &Path) -> usize {
    let page = fs::read_to_string(data.join("reports/round-0001.html")).unwrap();
    page.matches("data:image/jpeg").count()
}

#[tokio::test]
async fn a_forgotten_video_is_gone_with_its_pictures_and_does_not_come_back() {
    let (folder, data) = with_a_film();
    expect(0, &data, &["run", "--only", "crawl,clips,report"]);
    let shown = pictures(&data);
    assert!(shown > 0);

    let film = folder.path().join("videos/fear/a.mp4");
    let film = film.to_str().unwrap();
    let would = closing(&expect(0, &data, &["--json", "forget", film, "--dry-run"]));
    assert_eq!((&would["pictures"], pictures(&data)), (&shown.into(), shown));
    let by_number = expect(2, &data, &["forget", "1"]);
    assert!(by_number.stderr.contains("`webemotion forget "), "{}", by_number.stderr);
    let done = closing(&expect(0, &data, &["--json", "forget", film, "--reason", "asked by mail"]));
    assert_eq!((&done["files"], &done["pages"]), (&would["files"], &would["pages"]));
    let rows =
        "select (select count(*) from video) || (select count(*) from crop) || (select count(*) from job)";
    assert_eq!(ask(&data, rows).await, ["000"]);
    assert!(Store::open(&data).unwrap().files().unwrap().is_empty());
    assert_eq!(pictures(&data), 0);
    assert!(expect(4, &data, &["forget", film]).stdout.contains("was forgotten before"));
    expect(4, &data, &["run", "--only", "crawl,clips"]);
    assert_eq!(ask(&data, rows).await[0].chars().next(), Some('0'), "it came back");
    expect(0, &data, &["check"]);
}

/// The files below a folder that have these bytes, or are called by them.
fn having(folder: &Path, bytes: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(having(&path, bytes));
        } else if path.file_name().unwrap().to_string_lossy().contains(bytes)
            || fs::read(&path).unwrap().windows(bytes.len()).any(|some| some == bytes.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn no_file_of_a_data_folder_goes_on_naming_what_was_forgotten() {
    let (folder, data) = with_a_film();
    let films = folder.path().join("videos/fear");
    let sound = films.join("Jane Doe cries.mp4");
    let broken = films.join("John Doe cries.mp4");
    fs::rename(films.join("a.mp4"), &sound).unwrap();
    fs::write(&broken, b"no film").unwrap();
    run(&data, &["run", "--only", "crawl,clips,report"]);
    // As an earlier release left them.
    let said = format!("{} cannot be read, and {} neither", sound.display(), broken.display());
    let reports = data.join("reports");
    fs::write(reports.join("scn-1.md"), format!("| fetch | unplayable | {said} |\n")).unwrap();
    fs::write(reports.join("scn-1.html"), format!("<td><code>{said}</code></td>")).unwrap();
    fs::write(reports.join("scn-1.json"), serde_json::json!({"example": said}).to_string()).unwrap();
    let earlier = "update round set summary = json_set(summary, '$.outcome', (select max(url) from video)) returning holder";
    assert_eq!(ask(&data, earlier).await.len(), 1);
    assert!(having(&data, "Doe cries").len() > 3);

    expect(0, &data, &["forget", sound.to_str().unwrap(), broken.to_str().unwrap()]);
    let left = having(&data, "Doe cries");
    assert!(left.is_empty(), "{left:?}");
    let page = fs::read_to_string(reports.join("scn-1.json")).unwrap();
    assert_eq!(page, "{\"example\":\"(forgotten)\"}");
    expect(0, &data, &["check"]);
}

#[test]
fn while_one_brings_or_removes_files_another_one_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    for place in [&data, &other] {
        expect(4, place, &["run", "--only", "report"]);
    }
    let lock = Store::open(&data).unwrap().lock("files", "somebody").unwrap();
    assert!(matches!(lock, Locked::Taken(_)));
    for words in [&["gc"][..], &["merge", other.to_str().unwrap()], &["forget", "abcdefghijk"]] {
        let ended = expect(4, &data, words);
        assert!(ended.stderr.contains("is at work already: somebody"), "{}", ended.stderr);
    }
    drop(lock);
    expect(0, &data, &["gc"]);
}

#[tokio::test]
async fn a_backup_takes_the_place_of_a_damaged_catalog_and_brings_back_nobody_who_was_forgotten() {
    let (folder, data) = with_a_film();
    let (film, backup) = (folder.path().join("videos/fear/a.mp4"), folder.path().join("backup.sqlite"));
    let (film, backup) = (film.to_str().unwrap(), backup.to_str().unwrap());
    expect(0, &data, &["run", "--only", "crawl"]);
    expect(0, &data, &["backup", backup]);
    expect(0, &data, &["forget", film]);

    let path = data.join("catalog.sqlite");
    let reader = Catalog::open_read_only(&path, &Clock::system()).await.unwrap();
    reader.newest_ms().await.unwrap();
    assert!(expect(4, &data, &["restore", backup]).stderr.contains("is in use by process"));
    reader.close().await;
    let told = closing(&expect(0, &data, &["--json", "restore", backup]));
    assert_eq!(told["removed"]["videos"].as_array().unwrap().len(), 1, "{told:#}");
    assert_eq!(ask(&data, "select cast(count(*) as text) from video").await, ["0"]);

    fs::write(&path, "what a broken disk left").unwrap();
    fs::write(data.join("catalog.sqlite-wal"), "of who was killed").unwrap();
    expect(3, &data, &["status"]);
    let told = expect(1, &data, &["restore", backup]).stdout;
    assert!(told.contains("`webemotion forget` has to be told of it again"), "{told}");
    assert_eq!(ask(&data, "select cast(count(*) as text) from video").await, ["1"]);
    expect(0, &data, &["status"]);
}

//! How a command ends: what it leaves behind, what it says when its results find no place, and how fast when asked twice.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::night::film;
use crate::program::{ask, expect, webemotion};

/// A data folder that has taken in one film.
fn fetched(folder: &Path, words: &[&str]) -> crate::program::Ended {
    let films = folder.join("films");
    fs::create_dir(&films).unwrap();
    film(2, &films.join("a.mp4"));
    let source = format!("local:{}", films.display());
    let crawl = ["crawl", "--source", &source, "--emotion", "fear"];
    expect(0, &folder.join("data"), &[&crawl, words].concat())
}

#[tokio::test]
async fn the_catalogs_file_alone_has_all_that_a_command_did() {
    let folder = tempfile::tempdir().unwrap();
    let ended = fetched(folder.path(), &["--log-format", "json"]);
    for line in ended.stderr.lines() {
        let told: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(told["fields"]["message"].is_string(), "{line}");
    }
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    fs::create_dir(&copy).unwrap();
    fs::copy(data.join("catalog.sqlite"), copy.join("catalog.sqlite")).unwrap();
    assert_eq!(ask(&copy, "select state from job where stage = 'fetch'").await, ["done"]);
    assert!(!data.join("catalog.sqlite-wal").exists());
}

#[test]
fn results_that_find_no_room_are_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = webemotion(folder.path(), &["config", "show"]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ended = command.stdout(Stdio::from(full)).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(5), "{said}");
    assert!(said.contains("cannot write to standard output"), "{said}");
}

/// Runs a command line as somebody who may not write another one's folder; root may.
fn as_a_stranger(data: &Path, words: &[&str]) -> (Option<i32>, String) {
    const NOBODY: u32 = 65_534;
    let mut command = webemotion(data, words);
    if data.metadata().unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    let ended = command.output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[test]
fn a_data_folder_that_may_only_be_read_is_shown_and_copied_and_a_matter_of_usage_to_who_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    fetched(folder.path(), &[]);
    fs::create_dir(&out).unwrap();
    let modes = |of_data| {
        let catalog = data.join("catalog.sqlite");
        for (path, mode) in
            [(folder.path(), 0o755), (&out, 0o777), (&catalog, 0o644), (data.as_path(), of_data)]
        {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
    };
    modes(0o555);
    let copy = out.join("catalog.sqlite");
    let ended = [
        as_a_stranger(&data, &["status"]),
        as_a_stranger(&data, &["backup", copy.to_str().unwrap()]),
        as_a_stranger(&data, &["retry", "--reason", "private"]),
    ];
    modes(0o755);
    let codes: Vec<_> = ended.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [Some(0), Some(0), Some(2)], "{ended:?}");
    assert!(ended[2].1.contains("that this user may write"), "{ended:?}");
    assert!(copy.is_file());
}

/// Waits until a program has a handler for SIGTERM.
fn listens(child: &Child) -> bool {
    const SIGTERM: u64 = 1 << (15 - 1);
    let given_up = Instant::now() + Duration::from_secs(30);
    while Instant::now() < given_up {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
        if u64::from_str_radix(caught.trim(), 16).unwrap_or_default() & SIGTERM != 0 {
            return true;
        }
        sleep(Duration::from_millis(10));
    }
    false
}

#[tokio::test]
async fn who_asks_twice_waits_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fetched(folder.path(), &[]);
    // Somebody writes and does not come to an end.
    let options = SqliteConnectOptions::new().filename(data.join("catalog.sqlite"));
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("begin immediate").execute(&mut other).await.unwrap();
    ends_when_told_twice(webemotion(&data, &["retry", "--reason", "private"]).spawn().unwrap());
}

#[test]
fn who_asks_twice_waits_for_nobody_who_hears_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, pipe) = (folder.path().join("data"), folder.path().join("pipe"));
    fetched(folder.path(), &[]);
    // Nobody reads: who opens it to write stands still.
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    ends_when_told_twice(webemotion(&data, &["report", "--out", pipe.to_str().unwrap()]).spawn().unwrap());
}

fn ends_when_told_twice(mut child: Child) {
    assert!(listens(&child));
    let began = Instant::now();
    for _ in 0..2 {
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
        // Two signals of one kind that come at once are one.
        sleep(Duration::from_millis(300));
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(20), "it waited for the other one");
}

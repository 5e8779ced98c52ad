//! How a command ends: what it leaves behind, what it says when its results find no place, and how fast when asked twice.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::night::film;
use crate::program::{Ended, ask, expect, webemotion};

/// A data folder that has taken in one film.
fn fetched(folder: &Path, words: &[&str]) -> Ended {
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

/// Somebody whom the files' modes bind, by the words that stand before a command line.
struct Bound(&'static [&'static str]);

impl Bound {
    /// Oneself, or root without the rights to pass modes by; nobody where neither is bound, which is said.
    #[expect(clippy::print_stderr, reason = "who reads the test's output learns what was not tested")]
    fn find() -> Option<Self> {
        const WAYS: [&[&str]; 2] = [&["env"], &["setpriv", "--bounding-set=-dac_override,-dac_read_search"]];
        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), Permissions::from_mode(0o555)).unwrap();
        let binds = |way: &&[&str]| {
            let mut shell = Command::new(way[0]);
            shell.args(&way[1..]).args(["sh", "-c", "! mkdir \"$0/$$\"", closed.path().to_str().unwrap()]);
            shell.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        let found = WAYS.into_iter().find(binds).map(Self);
        if found.is_none() {
            eprintln!("SKIPPED: the modes of files bind nobody here");
        }
        found
    }

    fn run(&self, data: &Path, words: &[&str]) -> Ended {
        let command = webemotion(data, words);
        let mut bound = Command::new(self.0[0]);
        bound.args(&self.0[1..]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => bound.env(name, value),
                None => bound.env_remove(name),
            };
        }
        bound.output().unwrap().into()
    }
}

/// Gives a data folder and its catalog their modes, and back when dropped, so that both can be removed.
struct Modes<'a>(&'a Path);

impl<'a> Modes<'a> {
    fn set(data: &'a Path, of_folder: u32) -> Self {
        let modes = Self(data);
        modes.give(of_folder, 0o444);
        modes
    }

    fn give(&self, of_folder: u32, of_catalog: u32) {
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        set(self.0, 0o755);
        set(&self.0.join("catalog.sqlite"), of_catalog);
        set(self.0, of_folder);
    }
}

impl Drop for Modes<'_> {
    fn drop(&mut self) {
        self.give(0o755, 0o644);
    }
}

#[test]
fn a_data_folder_that_may_only_be_read_is_shown_and_copied_and_a_matter_of_usage_to_who_writes() {
    let Some(bound) = Bound::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy.sqlite"));
    fetched(folder.path(), &[]);
    let _modes = Modes::set(&data, 0o555);
    let ended = [
        bound.run(&data, &["status"]),
        bound.run(&data, &["backup", copy.to_str().unwrap()]),
        bound.run(&data, &["retry", "--reason", "private"]),
    ];
    let codes = ended.each_ref().map(|ended| ended.code);
    let said = ended.each_ref().map(|ended| ended.stderr.as_str());
    assert_eq!(codes, [Some(0), Some(0), Some(2)], "{said:?}");
    assert!(said[2].contains("that this user may write"), "{said:?}");
    assert!(copy.is_file());
}

#[test]
fn a_data_folder_that_may_not_be_looked_into_is_not_taken_for_an_empty_one() {
    let Some(bound) = Bound::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (data, own) = (folder.path().join("data"), folder.path().join("own"));
    fetched(folder.path(), &[]);
    let _modes = Modes::set(&data, 0o000);
    let other = data.to_str().unwrap();
    for (folder, words) in [(&data, &["status"][..]), (&data, &["doctor"]), (&own, &["merge", other])] {
        let ended = bound.run(folder, words);
        let said = ended.stdout + &ended.stderr;
        assert!(ended.code.is_some_and(|code| code != 0), "{said}");
        assert!(said.contains(&format!("cannot look into {other}: Permission denied")), "{said}");
    }
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

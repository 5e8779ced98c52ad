//! The program as a user starts it, for the topics that judge it from outside.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

/// A program that nothing of the caller's own settings reaches.
pub fn bare(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"WEBEMOTION_")) {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG");
    command
}

/// A command line on a data folder, which little room is enough for.
pub fn webemotion(data: &Path, words: &[&str]) -> Command {
    let mut command = bare(env!("CARGO_BIN_EXE_webemotion"));
    command.env("WEBEMOTION_DATA", data).env("WEBEMOTION_CRAWL_MIN_FREE_BYTES", "1");
    command.args(words).stdin(Stdio::null());
    command
}

/// A path as a file of settings writes it, whatever its letters are.
pub fn in_toml(path: &Path) -> toml::Value {
    path.to_str().unwrap().into()
}

/// How a command ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Runs a command line to its end.
pub fn run(data: &Path, words: &[&str]) -> Ended {
    webemotion(data, words).output().unwrap().into()
}

/// Runs a command line that has to end with this exit code.
pub fn expect(code: i32, data: &Path, words: &[&str]) -> Ended {
    let ended = run(data, words);
    assert_eq!(ended.code, Some(code), "webemotion {}\n{}{}", words.join(" "), ended.stdout, ended.stderr);
    ended
}

/// The last line of a command's standard output, which closes its events.
pub fn closing(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(ended.stdout.lines().last().unwrap_or_default()).unwrap_or_default()
}

/// Asks a catalog as it is on disk; each row is one text.
pub async fn ask(data: &Path, question: &'static str) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(data.join("catalog.sqlite"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let rows = sqlx::query_scalar(question).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}

/// The demo's small world, answering on loopback until it is dropped.
pub struct SmallWorld {
    child: Child,
    /// Settings that lead to it.
    pub settings: PathBuf,
}

impl SmallWorld {
    pub fn serve(folder: &Path) -> Self {
        let mut command = webemotion(folder, &["demo", "--small", "--serve"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines.any(|line| line.is_ok_and(|line| line.contains("answering at"))),
            "the demo did not answer"
        );
        Self { child, settings: folder.join("webemotion.toml") }
    }
}

impl Drop for SmallWorld {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

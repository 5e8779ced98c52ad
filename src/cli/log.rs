//! Log lines: on standard error, and for a round also in a file of its own. Secrets are removed from both.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use anyhow::Context;
use regex::Regex;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::clock::Clock;
use crate::failure::Failure;
use crate::progress::{Event, Reporter};
use crate::words::stamp;
use crate::youtube::ApiKey;

use super::{Global, LogFormat, crawl};

/// The log file of this process's round, once there is one.
static ROUND_FILE: Mutex<Option<File>> = Mutex::new(None);

/// Starts the log; `RUST_LOG` overrides `-v` and `-q`. Lines of a round also go to its file, once there is one. Warnings
/// about slow queries, which only show that the machine is busy, go to the file only, unless `-v` is given.
pub(super) fn start(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (_, 0) => "warn,sqlx=error",
        (_, 1) => "webemotion=info,warn,sqlx=error",
        _ => "webemotion=debug,info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let in_file = if global.verbose > 0 { "webemotion=debug,warn" } else { "webemotion=info,warn" };
    let terminal = tracing_subscriber::fmt::layer().with_writer(|| Redacting(io::stderr()));
    let file = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Redacting(RoundFile));
    let (terminal, file) = match global.log_format {
        LogFormat::Text => (terminal.with_ansi(super::is_coloured(&io::stderr())).boxed(), file.boxed()),
        LogFormat::Json => (terminal.json().boxed(), file.json().boxed()),
    };
    let log = tracing_subscriber::registry()
        .with(terminal.with_filter(filter))
        .with(file.with_filter(EnvFilter::new(in_file)));
    // A second start in one process (tests) keeps the first log.
    let _ = log.try_init();
    // A panic is logged like everything else; the caller reports its consequences.
    std::panic::set_hook(Box::new(|panic| {
        let trace = Backtrace::capture();
        let trace = (trace.status() == BacktraceStatus::Captured).then(|| format!("\n{trace}"));
        tracing::error!("{panic}{}", trace.unwrap_or_default());
    }));
}

/// Opens the log file of a round, and removes the oldest ones.
pub(super) fn begin_round(folder: &Path, clock: &Clock, keep: u32) -> anyhow::Result<()> {
    fs::create_dir_all(folder).map_err(|error| Failure::unwritable(folder, &error))?;
    let path = folder.join(file_name(clock.now_ms(), std::process::id()));
    let file = File::options().create(true).append(true).open(&path);
    let file = file.map_err(|error| Failure::unwritable(&path, &error))?;
    *ROUND_FILE.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    rotate(folder, keep)
}

fn file_name(now_ms: i64, process: u32) -> String {
    format!("run-{}-{process}.log", stamp(now_ms))
}

/// Keeps the newest files; their names sort by time.
fn rotate(folder: &Path, keep: u32) -> anyhow::Result<()> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("run-") && name.ends_with(".log") {
            logs.push(path);
        }
    }
    logs.sort();
    let surplus = logs.len().saturating_sub(keep.max(1) as usize);
    for path in &logs[..surplus] {
        fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

struct RoundFile;

impl Write for RoundFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match ROUND_FILE.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(file) => file.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes whole lines with secrets removed.
struct Redacting<W>(W);

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(redacted(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Google API keys by their form, and any value after a name such as `key=`.
static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"AIza[0-9A-Za-z_-]{20,}|(?i)\b(?P<name>(?:api[_-]?)?key|token|password|secret)=[^&\s"']+"#)
        .expect("the pattern is a constant, and a test uses it")
});

/// The key that this process uses. An invalid one is reported where it is needed.
static KEY: LazyLock<Option<ApiKey>> = LazyLock::new(|| crawl::key().ok().flatten());

fn redacted(text: &str) -> String {
    redacted_of(text, KEY.as_ref())
}

fn redacted_of(text: &str, key: Option<&ApiKey>) -> String {
    const STAND_IN: &str = "[redacted]";
    let text = match key.filter(|key| key.is_rare()) {
        Some(key) => key.redacted(text.as_bytes()),
        None => text.to_owned(),
    };
    let stand_in = |found: &regex::Captures<'_>| match found.name("name") {
        Some(name) => format!("{}={STAND_IN}", name.as_str()),
        None => STAND_IN.to_owned(),
    };
    SECRETS.replace_all(&text, stand_in).into_owned()
}

/// Reports to another reporter and to the log, so that a round's log file shows its progress.
pub(super) struct Logged(pub(super) Arc<dyn Reporter>);

impl Reporter for Logged {
    fn report(&self, event: &Event) {
        match event {
            Event::Began { task, total, unit } => {
                tracing::info!(total = total.unwrap_or_default(), "{task} begins, counted in {unit}");
            }
            Event::Advanced { task, done, note, .. } => tracing::debug!(done, "{task}: {note}"),
            Event::Ended { task, note } => tracing::info!("{task} ends: {note}"),
            Event::Measured { task, measures } => tracing::debug!(%measures, "{task} measured"),
            Event::Said { text } => tracing::info!("{text}"),
        }
        self.0.report(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_removed() {
        let line = "asked https://example.org/search?part=id&key=s3cr3t-key&q=happy with AIzaSyA1234567890abcdefghij_-x";
        assert_eq!(
            redacted(line),
            "asked https://example.org/search?part=id&key=[redacted]&q=happy with [redacted]"
        );
        assert_eq!(redacted("the keyword is monkey business"), "the keyword is monkey business");
        let key = ApiKey::new("from-a-file-1").unwrap();
        assert_eq!(redacted_of("403 for from-a-file-1", Some(&key)), "403 for [key]");
        assert_eq!(redacted_of("next exit", ApiKey::new("x").ok().as_ref()), "next exit");
    }

    #[test]
    fn the_newest_logs_are_kept_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let day = 24 * 3_600_000;
        for number in 0..5 {
            fs::write(folder.path().join(file_name(number * day, 7)), "x").unwrap();
        }
        fs::write(folder.path().join("diary.log"), "mine").unwrap();
        rotate(folder.path(), 2).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["diary.log", "run-19700104T000000Z-7.log", "run-19700105T000000Z-7.log"]);
    }
}

//! Standard output, and the end of a command: its exit code and, if it failed, its error message. Output that could not be
//! written, or a panic, is a failure like any other.

use std::io::{self, ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;
use serde_json::json;

use super::LogFormat;
use crate::failure::{Exit, Failure, Reason};

/// The error of the first line that could not be written: a command that lost its results has failed.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Whether standard output is suppressed: see [`Hush`].
static IS_HUSHED: AtomicBool = AtomicBool::new(false);

/// While it lives, nothing is written to standard output: for a command that is run as part of another one, which has its
/// own closing line.
pub(super) struct Hush(());

impl Hush {
    pub(super) fn begin() -> Self {
        IS_HUSHED.store(true, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Hush {
    fn drop(&mut self) {
        IS_HUSHED.store(false, Ordering::Relaxed);
    }
}

/// Writes one line to standard output. A closed pipe is ignored; any other error fails the command at its end.
pub(crate) fn say(line: impl std::fmt::Display) {
    let _ = say_if_read(line);
}

/// The same; returns false once the pipe is closed.
pub(crate) fn say_if_read(line: impl std::fmt::Display) -> bool {
    if IS_HUSHED.load(Ordering::Relaxed) {
        return true;
    }
    let written = writeln!(io::stdout().lock(), "{line}");
    let is_read = written.is_ok();
    if let Some(error) = written.err().filter(|error| error.kind() != ErrorKind::BrokenPipe) {
        let _ = UNWRITTEN.set(error);
    }
    is_read
}

fn unwritten(error: &io::Error) -> anyhow::Error {
    let detail = format!("cannot write to standard output: {error}");
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Failure::transient(Reason::Disk, detail)
            .with_hint("free some space, then start the same command again")
            .into(),
        _ => anyhow::anyhow!(detail),
    }
}

/// Runs a function; a panic in it becomes a failure.
pub(super) fn caught<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(defect(words.unwrap_or("a panic without words")).into())
    })
}

fn defect(what: &str) -> Failure {
    Failure::bug(format!("a defect of webemotion: {what}"))
        .with_hint("that is no fault of yours: please report it, with the log line above that says where")
}

/// Prints the failure and its hint on standard error; returns the process's exit code.
pub(super) fn end(ended: anyhow::Result<Exit>, log_format: LogFormat) -> ExitCode {
    let ended = match (ended, UNWRITTEN.get()) {
        (Ok(Exit::Done | Exit::NothingToDo), Some(error)) => Err(unwritten(error)),
        (ended, _) => ended,
    };
    let exit = ended.unwrap_or_else(|error| {
        let failure = cause(&error);
        let hint = failure.as_ref().and_then(|failure| failure.hint.as_deref());
        // If standard error is closed, there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{}", last_words(&format!("{error:#}"), hint, log_format));
        failure.map_or(Exit::SomeDead, |failure| failure.exit())
    });
    ExitCode::from(exit as u8)
}

/// Ends the process at once, without destructors: threads may still be using libtorch, whose destructors an exit would run.
pub(super) fn leave(exit: Exit) -> ! {
    // SAFETY: `_exit` takes any number, and does not return.
    unsafe { libc::_exit(exit as i32) }
}

/// The failure in an error; a panic of a task or thread is a bug.
fn cause(error: &anyhow::Error) -> Option<Failure> {
    error.chain().find_map(|cause| {
        let panicked = cause.downcast_ref::<tokio::task::JoinError>().filter(|it| it.is_panic());
        panicked.map(|it| defect(&it.to_string())).or_else(|| cause.downcast_ref().cloned())
    })
}

/// An error and its hint, in the format of log lines.
fn last_words(error: &str, hint: Option<&str>, log_format: LogFormat) -> String {
    match (log_format, hint) {
        (LogFormat::Json, hint) => {
            json!({"level": "ERROR", "fields": {"message": error, "hint": hint}}).to_string()
        }
        (LogFormat::Text, Some(hint)) => format!("error: {error}\nhint: {hint}"),
        (LogFormat::Text, None) => format!("error: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_error_message_has_the_format_of_the_log() {
        let words = |format| last_words("no net\nat all", Some("train one"), format);
        assert_eq!(words(LogFormat::Text), "error: no net\nat all\nhint: train one");
        let line: serde_json::Value = serde_json::from_str(&words(LogFormat::Json)).unwrap();
        assert_eq!(line["fields"], json!({"message": "no net\nat all", "hint": "train one"}));
        assert!(!words(LogFormat::Json).contains('\n'));
    }

    #[test]
    fn a_panic_is_a_bug_in_any_thread() {
        let here = caught::<Exit>(|| panic!("index 7 of 3")).unwrap_err();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let elsewhere =
            runtime.block_on(async { tokio::task::spawn_blocking(|| panic!("{} of 3", 7)).await });
        for error in [here, elsewhere.map(|()| Exit::Done).context("while looking").unwrap_err()] {
            let failure = cause(&error).unwrap();
            assert_eq!(failure.exit(), Exit::Bug);
            assert!(failure.detail.starts_with("a defect") && failure.detail.contains("of 3"), "{failure}");
        }
    }

    #[test]
    fn output_to_a_full_disk_pauses_and_other_write_errors_fail() {
        let exit = |kind: ErrorKind| cause(&unwritten(&kind.into())).map(|failure| failure.exit());
        assert_eq!(exit(ErrorKind::StorageFull), Some(Exit::Paused));
        assert_eq!(exit(ErrorKind::PermissionDenied), None, "it has no code of its own");
    }
}

//! One worker process as its parent sees it: started, asked, ended, and, when it died, why. It knows no pool.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::task::{Answer, Product, Task};
use super::wire::frame_length;
use crate::clock::Stop;
use crate::config::WorkerConfig;
use crate::failure::{Failure, FailureKind, Reason};
use crate::youtube::ApiKey;

/// How a task ended without an outcome.
pub(super) enum Ending {
    /// The worker said so and lives on.
    Failed(Failure),
    /// The worker is gone.
    Lost(Failure),
}

/// Why no answer came.
enum Trouble {
    /// The pipe broke: the worker died.
    Broken(std::io::Error),
    /// It has to be ended.
    Stuck(Failure),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error)
    }
}

/// A child process that takes one task at a time.
pub(super) struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    last_words: JoinHandle<String>,
    /// It was heard at least once: the program can run here.
    was_heard: bool,
}

/// A worker needs pictures of the same sizes again and again: glibc is not to give their memory back each time, which
/// costs more than all copies of them. Nor is each thread to have a heap of its own: what they keep adds up.
const KEEPS_MEMORY: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
    ("MALLOC_TRIM_THRESHOLD_", "1073741824"),
    ("MALLOC_ARENA_MAX", "3"),
];
const LAST_WORDS_BYTES: usize = 4_000;
/// What a shell and the system's loader end with where a program, or a library that it needs, cannot be loaded.
const CANNOT_LOAD: [i32; 2] = [126, 127];

impl Worker {
    /// Starts a worker, in a group of its own: Ctrl-C in a terminal must not reach it, for work in hand is to end.
    pub(super) fn start(program: &Path, arguments: &[String]) -> Result<Self, Failure> {
        let mut child = Command::new(program)
            .args(arguments)
            .env_remove(ApiKey::VARIABLE)
            .envs(KEEPS_MEMORY)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| missing(program, &error))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(Failure::bug("a worker was started without its pipes"));
        };
        let last_words = tokio::spawn(keep_last_words(errors));
        Ok(Self { child, input, output, last_words, was_heard: false })
    }

    /// Has a task done. A worker that falls silent, gets no further, or is wanted no more is ended.
    pub(super) async fn run(
        &mut self,
        task: &Task,
        limits: &WorkerConfig,
        stop: &Stop,
    ) -> Result<Product, Ending> {
        let asked = tokio::select! {
            asked = self.ask(task, limits) => asked,
            () = stop.urgent() => Err(Trouble::Stuck(Failure::transient(Reason::Interrupted, "interrupted"))),
        };
        match asked {
            Ok(outcome) => outcome.map_err(Ending::Failed),
            Err(Trouble::Broken(error)) => Err(Ending::Lost(self.bury(&error.to_string()).await)),
            Err(Trouble::Stuck(failure)) => {
                self.kill().await;
                Err(Ending::Lost(failure))
            }
        }
    }

    /// Sends a task and waits for its outcome, as long as the worker gets on with it.
    async fn ask(&mut self, task: &Task, limits: &WorkerConfig) -> Result<Result<Product, Failure>, Trouble> {
        let silence = Duration::from_secs(limits.silence_timeout_s);
        let patience = Duration::from_secs(limits.task_timeout_s);
        let fell_silent = |_| Trouble::Stuck(silent(silence));
        tokio::time::timeout(silence, self.send(task)).await.map_err(fell_silent)??;
        let (mut farthest_ms, mut advanced) = (i64::MIN, Instant::now());
        loop {
            let answer = tokio::time::timeout(silence, self.receive()).await.map_err(fell_silent)??;
            self.was_heard = true;
            match answer {
                Answer::Working { done_ms } if done_ms > farthest_ms => {
                    (farthest_ms, advanced) = (done_ms, Instant::now());
                }
                Answer::Working { .. } if advanced.elapsed() > patience => {
                    return Err(Trouble::Stuck(no_further(farthest_ms, patience)));
                }
                Answer::Working { .. } => {}
                Answer::Said { text } => tracing::warn!("{text}"),
                Answer::Done(outcome) => return Ok(Ok(*outcome)),
                Answer::Failed(failure) => return Ok(Err(failure)),
            }
        }
    }

    async fn send(&mut self, task: &Task) -> std::io::Result<()> {
        let bytes = rmp_serde::to_vec_named(task).map_err(std::io::Error::other)?;
        self.input.write_u32_le(frame_length(&bytes)?).await?;
        self.input.write_all(&bytes).await?;
        self.input.flush().await
    }

    async fn receive(&mut self) -> std::io::Result<Answer> {
        let length = self.output.read_u32_le().await?;
        let mut bytes = vec![0; length as usize];
        self.output.read_exact(&mut bytes).await?;
        rmp_serde::from_slice(&bytes).map_err(std::io::Error::other)
    }

    /// Ends the worker whatever it is at. An idle one has nothing to put in order, and libtorch would take its time.
    pub(super) async fn kill(&mut self) {
        // It may have died by itself a moment ago, which is what is wanted.
        let _ = self.child.kill().await;
    }

    /// Why the worker's pipe broke, as far as its exit status and last words tell.
    async fn bury(&mut self, error: &str) -> Failure {
        let status = match tokio::time::timeout(Duration::from_secs(2), self.child.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => {
                self.kill().await;
                None
            }
        };
        let last_words = tokio::time::timeout(Duration::from_secs(1), &mut self.last_words).await;
        let last_words = last_words.map_or_else(|_| String::new(), Result::unwrap_or_default);
        let failure = crashed(status, error, &last_words);
        let code = status.and_then(|status| status.code());
        let never_ran = !self.was_heard && code.is_some_and(|code| CANNOT_LOAD.contains(&code));
        if never_ran && failure.reason == Reason::WorkerCrashed { unloadable(&last_words) } else { failure }
    }
}

async fn keep_last_words(mut errors: tokio::process::ChildStderr) -> String {
    let (mut kept, mut buffer) = (Vec::new(), vec![0; LAST_WORDS_BYTES]);
    while let Ok(read) = errors.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        kept.extend_from_slice(&buffer[..read]);
        let surplus = kept.len().saturating_sub(LAST_WORDS_BYTES);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

fn silent(silence: Duration) -> Failure {
    timed_out(&format!("silent for {} s", silence.as_secs()), "silence_timeout_s")
}

fn no_further(farthest_ms: i64, patience: Duration) -> Failure {
    let how = format!("no further than {farthest_ms} ms of the video for {} s", patience.as_secs());
    timed_out(&how, "task_timeout_s")
}

fn timed_out(how: &str, setting: &str) -> Failure {
    let hint = format!("where the machine is only slow, raise {setting} under [workers] in webemotion.toml");
    Failure::transient(Reason::WorkerTimedOut, format!("the worker was ended: {how}")).with_hint(hint)
}

/// The program is missing: the next worker would fail in the same way.
fn missing(program: &Path, error: &std::io::Error) -> Failure {
    Failure::permanent(Reason::ToolMissing, format!("cannot start {}: {error}", program.display()))
        .with_hint("cargo build --release makes it; it must lie beside webemotion")
}

/// The program is there, but not all that it needs.
fn unloadable(last_words: &str) -> Failure {
    let said = if last_words.is_empty() { "it said nothing" } else { last_words };
    Failure::permanent(Reason::ToolMissing, format!("a worker cannot be loaded: {said}")).with_hint(
        "run scripts/setup, which fetches libtorch, or put libtorch's lib folder on LD_LIBRARY_PATH",
    )
}

fn crashed(status: Option<ExitStatus>, error: &str, last_words: &str) -> Failure {
    let out_of_memory = [
        "bad_alloc",
        "memory allocation of",
        "can't allocate memory",
        "Cannot allocate memory",
        "out of memory",
    ];
    let reason = if out_of_memory.iter().any(|sign| last_words.contains(sign)) {
        Reason::WorkerOutOfMemory
    } else {
        Reason::WorkerCrashed
    };
    let status = status.map_or_else(|| error.to_owned(), |status| status.to_string());
    let said = if last_words.is_empty() { String::new() } else { format!(": {last_words}") };
    Failure {
        kind: FailureKind::Transient,
        reason,
        detail: format!("a worker died ({status}){said}"),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::{Pid, getpgid};

    use super::*;

    #[tokio::test]
    async fn ctrl_c_in_a_terminal_does_not_reach_a_worker() {
        let worker = Worker::start(Path::new("/bin/cat"), &[]).unwrap();
        let pid = Pid::from_raw(worker.child.id().unwrap().cast_signed());
        assert_eq!(getpgid(Some(pid)).unwrap(), pid, "a terminal's signals go to a whole group");
    }
}

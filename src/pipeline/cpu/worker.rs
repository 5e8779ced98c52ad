//! One worker process as its parent sees it: started, asked, ended, and, when it died, why. It knows no pool.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

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

/// A child process that takes one task at a time.
pub(super) struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    last_words: JoinHandle<String>,
}

/// A worker needs pictures of the same sizes again and again: glibc is not to give their memory back each time, which
/// costs more than all copies of them.
const KEEPS_MEMORY: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "1073741824"), ("MALLOC_TRIM_THRESHOLD_", "1073741824")];
const LAST_WORDS_BYTES: usize = 4_000;

impl Worker {
    pub(super) fn start(program: &Path, arguments: &[String]) -> Result<Self, Failure> {
        let mut child = Command::new(program)
            .args(arguments)
            .env_remove(ApiKey::VARIABLE)
            .envs(KEEPS_MEMORY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Failure::bug(format!("cannot start {}: {error}", program.display())))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(Failure::bug("a worker was started without its pipes"));
        };
        let last_words = tokio::spawn(keep_last_words(errors));
        Ok(Self { child, input, output, last_words })
    }

    pub(super) async fn run(
        &mut self,
        task: &Task,
        limits: &WorkerConfig,
        stop: &Stop,
    ) -> Result<Product, Ending> {
        if let Err(error) = self.send(task).await {
            return Err(Ending::Lost(self.bury(&error.to_string()).await));
        }
        let silence = Duration::from_secs(limits.silence_timeout_s);
        loop {
            let answer = tokio::select! {
                answer = tokio::time::timeout(silence, self.receive()) => answer,
                () = stop.urgent() => {
                    self.kill().await;
                    return Err(Ending::Lost(Failure::transient(Reason::Interrupted, "interrupted")));
                }
            };
            match answer {
                Ok(Ok(Answer::Working { .. })) => {}
                Ok(Ok(Answer::Done(outcome))) => return Ok(*outcome),
                Ok(Ok(Answer::Failed(failure))) => return Err(Ending::Failed(failure)),
                Ok(Err(error)) => return Err(Ending::Lost(self.bury(&error.to_string()).await)),
                Err(_) => {
                    self.kill().await;
                    return Err(Ending::Lost(timed_out(format!("silent for {} s", silence.as_secs()))));
                }
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

    /// The worker's pipe broke: why, as far as its exit status and last words tell.
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
        crashed(status, error, &last_words)
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

pub(super) fn timed_out(how: String) -> Failure {
    Failure::transient(Reason::WorkerTimedOut, format!("the worker was ended: {how}"))
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

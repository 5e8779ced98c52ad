//! One worker process, seen from its parent: starts it, runs tasks in it, kills it, and reports why it died.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::MORE_MEMORY;
use super::task::{Message, Product, Task};
use super::wire::frame_length;
use crate::clock::Stop;
use crate::config::WorkerConfig;
use crate::failure::{Failure, Reason};
use crate::pipeline::inspection::FollowedFace;
use crate::youtube::ApiKey;

/// Why a task has no result.
pub(super) enum NoProduct {
    /// The worker reported a failure, and can take the next task.
    Failed(Failure),
    /// The worker has died or was killed.
    WorkerLost(Failure),
}

/// Why a worker's messages broke off.
enum Interruption {
    /// The pipe broke: the worker has died.
    Broken(std::io::Error),
    /// The worker must be killed.
    Stuck(Failure),
}

impl From<std::io::Error> for Interruption {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error)
    }
}

/// A child process that runs one task at a time.
pub(super) struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// Collects the end of its stderr.
    last_words: JoinHandle<String>,
    /// It has sent at least one message, so the program can run here.
    was_heard: bool,
}

/// Settings of glibc's allocator. A worker allocates pictures of the same few sizes all the time: returning them to the
/// kernel costs more than all copies of them. Few arenas, because every arena keeps what it has freed.
const ALLOCATOR: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
    ("MALLOC_TRIM_THRESHOLD_", "1073741824"),
    ("MALLOC_ARENA_MAX", "3"),
];
/// How much of the end of a worker's stderr is kept.
const LAST_WORDS_BYTES: usize = 4_000;
/// Exit codes of a shell and of the dynamic loader when a program, or a library that it needs, cannot be loaded.
const CANNOT_LOAD: [i32; 2] = [126, 127];

impl Worker {
    /// Starts a worker in a process group of its own: Ctrl-C in a terminal must not reach it, so that it can finish the
    /// task in hand.
    pub(super) fn start(program: &Path, arguments: &[String]) -> Result<Self, Failure> {
        let mut child = Command::new(program)
            .args(arguments)
            .env_remove(ApiKey::VARIABLE)
            .envs(ALLOCATOR)
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

    /// Runs a task. Kills a worker that is silent or makes no progress for too long, and on an urgent stop.
    pub(super) async fn run(
        &mut self,
        task: &Task,
        limits: &WorkerConfig,
        stop: &Stop,
        faces: Option<&mpsc::Sender<FollowedFace>>,
    ) -> Result<Product, NoProduct> {
        let asked = tokio::select! {
            asked = self.ask(task, limits, faces) => asked,
            () = stop.urgent() => {
                Err(Interruption::Stuck(Failure::transient(Reason::Interrupted, "interrupted")))
            }
        };
        match asked {
            // It never returns memory to the kernel: the next task gets a new worker.
            Ok(Err(failure)) if failure.reason == Reason::WorkerOutOfMemory => {
                self.kill().await;
                Err(NoProduct::WorkerLost(failure))
            }
            Ok(outcome) => outcome.map_err(NoProduct::Failed),
            Err(Interruption::Broken(error)) => {
                Err(NoProduct::WorkerLost(self.post_mortem(&error.to_string()).await))
            }
            Err(Interruption::Stuck(failure)) => {
                self.kill().await;
                Err(NoProduct::WorkerLost(failure))
            }
        }
    }

    /// Sends a task and waits for its result, within the limits on silence and on time without progress.
    async fn ask(
        &mut self,
        task: &Task,
        limits: &WorkerConfig,
        faces: Option<&mpsc::Sender<FollowedFace>>,
    ) -> Result<Result<Product, Failure>, Interruption> {
        let silence = Duration::from_secs(limits.silence_timeout_s);
        let patience = Duration::from_secs(limits.task_timeout_s);
        let fell_silent = |_| Interruption::Stuck(silent(silence));
        tokio::time::timeout(silence, self.send(task)).await.map_err(fell_silent)??;
        let (mut farthest_ms, mut advanced) = (i64::MIN, Instant::now());
        loop {
            let answer = tokio::time::timeout(silence, self.receive()).await.map_err(fell_silent)??;
            self.was_heard = true;
            match answer {
                Message::Working { done_ms } if done_ms > farthest_ms => {
                    (farthest_ms, advanced) = (done_ms, Instant::now());
                }
                Message::Working { .. } if advanced.elapsed() > patience => {
                    return Err(Interruption::Stuck(no_further(farthest_ms, patience)));
                }
                Message::Working { .. } => {}
                Message::Said { text } => tracing::warn!("{text}"),
                Message::Face(face) => forward(face, faces).await?,
                Message::Done(outcome) => return Ok(Ok(*outcome)),
                Message::Failed(failure) => return Ok(Err(failure)),
            }
        }
    }

    async fn send(&mut self, task: &Task) -> std::io::Result<()> {
        let bytes = rmp_serde::to_vec_named(task).map_err(std::io::Error::other)?;
        self.input.write_u32_le(frame_length(&bytes)?).await?;
        self.input.write_all(&bytes).await?;
        self.input.flush().await
    }

    async fn receive(&mut self) -> std::io::Result<Message> {
        let length = self.output.read_u32_le().await?;
        let mut bytes = vec![0; length as usize];
        self.output.read_exact(&mut bytes).await?;
        rmp_serde::from_slice(&bytes).map_err(std::io::Error::other)
    }

    /// Kills the worker, whatever it is doing. An idle one has nothing to clean up, and libtorch would exit slowly.
    pub(super) async fn kill(&mut self) {
        // Fails if it has just died by itself, which is as good.
        let _ = self.child.kill().await;
    }

    /// The failure for a broken pipe, from the worker's exit status and the end of its stderr.
    async fn post_mortem(&mut self, error: &str) -> Failure {
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

/// Passes a face on. Waits while its receiver is busy, which does not count as the worker's silence.
async fn forward(face: FollowedFace, faces: Option<&mpsc::Sender<FollowedFace>>) -> Result<(), Interruption> {
    let Some(faces) = faces else {
        return Err(Interruption::Stuck(Failure::bug("a worker sent a face that no task asked for")));
    };
    let gone = |_| Interruption::Stuck(Failure::bug("the receiver of a video's faces is gone"));
    faces.send(face).await.map_err(gone)
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

/// The program cannot be started; neither could the next worker.
fn missing(program: &Path, error: &std::io::Error) -> Failure {
    Failure::permanent(Reason::ToolMissing, format!("cannot start {}: {error}", program.display()))
        .with_hint("cargo build --release makes it; it must lie beside webemotion")
}

/// The program exists, but a library that it needs does not.
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
    let failure = Failure::transient(reason, format!("a worker died ({status}){said}"));
    if reason == Reason::WorkerOutOfMemory { failure.with_hint(MORE_MEMORY) } else { failure }
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

//! The door to heavy work: a pool of worker processes, each opening one video at a time.
//!
//! A video from the internet is opened nowhere else, so a crash in a codec costs one attempt of one job. Workers live
//! long, because loading libtorch and the params takes longer than many a video; they die with their parent. This side
//! is async and sees no frame; the other side is [`serve`], which is blocking and sees no row.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;

use crate::clock::Stop;
use crate::config::{ClipRecipe, WorkerConfig};
use crate::face::select::ClipPlan;
use crate::failure::{Failure, FailureKind, Reason};
use crate::types::{CropStyle, Scan, SeenFace, VideoFacts};
use crate::youtube::ApiKey;

use super::inspection::{FollowedFace, InspectOptions, Inspection};

/// One piece of heavy work. Paths are absolute.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Task {
    /// Does this file hold a video that decodes, about as long as was promised?
    Check {
        /// The file.
        path: PathBuf,
        /// What the site said, if it said anything.
        promised_duration_ms: Option<i64>,
    },
    /// Find the shots and follow the faces.
    Scan {
        /// The file.
        path: PathBuf,
        /// The thresholds.
        recipe: ClipRecipe,
        /// Where clips are laid down that can be cut on the way.
        clips: PathBuf,
    },
    /// Cut clips and take their samples.
    Cut {
        /// The source video.
        path: PathBuf,
        /// The faces to follow, and the stretches to cut.
        plans: Vec<ClipPlan>,
        /// The thresholds.
        recipe: ClipRecipe,
        /// Where the clips are laid down.
        clips: PathBuf,
    },
    /// Follow the faces of a video and crop them.
    Faces {
        /// The file.
        path: PathBuf,
        /// The thresholds.
        recipe: ClipRecipe,
        /// Side of a crop, pixels.
        side_px: u32,
    },
    /// Make the crops of known faces.
    Recrop {
        /// The file.
        path: PathBuf,
        /// Which faces, and how.
        recrop: Recrop,
    },
    /// Say what is in a picture or video.
    Inspect {
        /// The file, as it was named.
        path: PathBuf,
        /// What to look for.
        options: InspectOptions,
        /// The thresholds that the options start from.
        recipe: ClipRecipe,
    },
}

/// Faces that were found earlier, and how they are to be cropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recrop {
    /// The faces.
    pub faces: Vec<SeenFace>,
    /// Size and margin.
    pub style: CropStyle,
    /// JPEG quality, 1 to 100.
    pub jpeg_quality: u8,
}

/// A crop as a JPEG file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Picture {
    /// The file's bytes.
    #[serde(with = "serde_bytes")]
    pub jpeg: Vec<u8>,
}

/// What a task came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Product {
    /// Of [`Task::Check`].
    Checked(VideoFacts),
    /// Of [`Task::Scan`].
    Scanned(Scan),
    /// Of [`Task::Cut`]: the clips lie in the folder.
    Cut,
    /// Of [`Task::Faces`].
    Faces(Vec<FollowedFace>),
    /// Of [`Task::Recrop`]: a crop of each face, in their order.
    Recropped(Vec<Picture>),
    /// Of [`Task::Inspect`].
    Inspected(Inspection),
}

/// What a worker says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// Still at work: so much of the video is behind it.
    Working {
        /// Milliseconds of video done.
        done_ms: i64,
    },
    /// The task is done.
    Done(Box<Product>),
    /// It is not.
    Failed(Failure),
}

/// The pool. Cloning shares it.
#[derive(Clone)]
pub struct Cpu(Arc<Pool>);

struct Pool {
    program: PathBuf,
    arguments: Vec<String>,
    limits: WorkerConfig,
    slots: Semaphore,
    idle: Mutex<Vec<Worker>>,
}

impl Cpu {
    /// A pool of `count` workers, started as they are needed: `program arguments…` must end in [`serve`].
    pub fn new(program: PathBuf, arguments: Vec<String>, count: usize, limits: WorkerConfig) -> Self {
        Self(Arc::new(Pool {
            program,
            arguments,
            limits,
            slots: Semaphore::new(count.max(1)),
            idle: Mutex::default(),
        }))
    }

    /// Lets the workers end: they hear that there is nothing more to do.
    pub async fn close(self) {
        for worker in self.0.idle.lock().await.drain(..) {
            worker.end().await;
        }
    }

    /// Runs one task in a free worker, waiting for one if need be.
    pub async fn run(&self, task: &Task, stop: &Stop) -> Result<Product, Failure> {
        let _slot = self.0.slots.acquire().await.map_err(|error| Failure::bug(error.to_string()))?;
        let idle = self.0.idle.lock().await.pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => Worker::start(&self.0)?,
        };
        let limit = Duration::from_secs(self.0.limits.task_timeout_s);
        let outcome = match tokio::time::timeout(limit, worker.run(task, &self.0.limits, stop)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                worker.kill().await;
                Err(Ending::Lost(timed_out(format!("not done after {} s", limit.as_secs()))))
            }
        };
        match outcome {
            Ok(outcome) => {
                self.0.idle.lock().await.push(worker);
                Ok(outcome)
            }
            Err(Ending::Failed(failure)) => {
                self.0.idle.lock().await.push(worker);
                Err(failure)
            }
            Err(Ending::Lost(failure)) => Err(failure),
        }
    }
}

/// How a task ended without an outcome.
enum Ending {
    /// The worker said so and lives on.
    Failed(Failure),
    /// The worker is gone.
    Lost(Failure),
}

struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    last_words: JoinHandle<String>,
}

const LAST_WORDS_BYTES: usize = 4_000;
const LOOK_AT_STOP: Duration = Duration::from_millis(200);
/// An idle worker has so long to end by itself.
const TO_END: Duration = Duration::from_secs(5);

impl Worker {
    fn start(pool: &Pool) -> Result<Self, Failure> {
        let mut child = Command::new(&pool.program)
            .args(&pool.arguments)
            .env_remove(ApiKey::VARIABLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Failure::bug(format!("cannot start {}: {error}", pool.program.display())))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(Failure::bug("a worker was started without its pipes"));
        };
        let last_words = tokio::spawn(keep_last_words(errors));
        Ok(Self { child, input, output, last_words })
    }

    async fn run(&mut self, task: &Task, limits: &WorkerConfig, stop: &Stop) -> Result<Product, Ending> {
        if let Err(error) = self.send(task).await {
            return Err(Ending::Lost(self.bury(&error.to_string()).await));
        }
        let silence = Duration::from_secs(limits.silence_timeout_s);
        loop {
            let answer = tokio::select! {
                answer = tokio::time::timeout(silence, self.receive()) => answer,
                () = urgent(stop) => {
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

    /// The worker's input ends, and so does the worker, or it is made to.
    async fn end(self) {
        let Self { mut child, input, .. } = self;
        drop(input);
        if tokio::time::timeout(TO_END, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }

    async fn kill(&mut self) {
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

async fn urgent(stop: &Stop) {
    while !stop.is_urgent() {
        tokio::time::sleep(LOOK_AT_STOP).await;
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

fn timed_out(how: String) -> Failure {
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

fn frame_length(bytes: &[u8]) -> std::io::Result<u32> {
    u32::try_from(bytes.len()).map_err(std::io::Error::other)
}

/// The other side: reads tasks, answers each by `work`, and ends when the input ends. `work` may say how far it is.
pub fn serve(
    mut input: impl Read,
    mut output: impl Write,
    mut work: impl FnMut(Task, &mut dyn FnMut(i64)) -> Result<Product, Failure>,
) -> std::io::Result<()> {
    while let Some(task) = read_frame(&mut input)? {
        let mut trouble = None;
        let mut working = |done_ms| {
            if let Err(error) = write_frame(&mut output, &Answer::Working { done_ms }) {
                trouble = Some(error);
            }
        };
        let outcome = work(task, &mut working);
        if let Some(error) = trouble {
            return Err(error);
        }
        let answer = outcome.map_or_else(Answer::Failed, |outcome| Answer::Done(Box::new(outcome)));
        write_frame(&mut output, &answer)?;
    }
    Ok(())
}

fn read_frame<T: DeserializeOwned>(input: &mut impl Read) -> std::io::Result<Option<T>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    input.read_exact(&mut bytes)?;
    rmp_serde::from_slice(&bytes).map(Some).map_err(std::io::Error::other)
}

fn write_frame(output: &mut impl Write, answer: &Answer) -> std::io::Result<()> {
    let bytes = rmp_serde::to_vec_named(answer).map_err(std::io::Error::other)?;
    output.write_all(&frame_length(&bytes)?.to_le_bytes())?;
    output.write_all(&bytes)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limits: WorkerConfig) -> Cpu {
        Cpu::new("/bin/sh".into(), vec!["-c".to_owned(), script.to_owned()], 1, limits)
    }

    fn check() -> Task {
        Task::Check { path: "video.mp4".into(), promised_duration_ms: None }
    }

    #[tokio::test]
    async fn a_worker_that_dies_costs_one_attempt_and_leaves_its_last_words() {
        let cpu = shell("echo the codec fell over >&2; kill -SEGV $$", WorkerConfig::default());
        let failure = cpu.run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!((failure.kind, failure.reason), (FailureKind::Transient, Reason::WorkerCrashed));
        assert!(failure.detail.contains("the codec fell over"), "{}", failure.detail);
        assert!(failure.detail.contains("signal: 11"), "{}", failure.detail);
    }

    #[tokio::test]
    async fn a_worker_out_of_memory_is_told_apart() {
        let cpu = shell("echo 'memory allocation of 9 bytes failed' >&2; exit 1", WorkerConfig::default());
        let failure = cpu.run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!(failure.reason, Reason::WorkerOutOfMemory);
    }

    #[tokio::test]
    async fn a_silent_worker_is_ended() {
        let cpu = shell("sleep 60", WorkerConfig { silence_timeout_s: 1, ..WorkerConfig::default() });
        let failure = cpu.run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!(failure.reason, Reason::WorkerTimedOut);
    }

    #[test]
    fn tasks_are_answered_in_turn_until_the_input_ends() {
        let mut input = Vec::new();
        for _ in 0..2 {
            let bytes = rmp_serde::to_vec_named(&check()).unwrap();
            input.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            input.extend(bytes);
        }
        let mut output = Vec::new();
        serve(input.as_slice(), &mut output, |_, working| {
            working(40);
            Err(Failure::rejected(Reason::NotAVideo, "no video"))
        })
        .unwrap();
        let mut output = output.as_slice();
        for _ in 0..2 {
            assert!(matches!(read_frame(&mut output).unwrap(), Some(Answer::Working { done_ms: 40 })));
            assert!(matches!(read_frame(&mut output).unwrap(), Some(Answer::Failed(_))));
        }
        assert!(read_frame::<Answer>(&mut output).unwrap().is_none());
    }
}

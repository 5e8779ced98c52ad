//! A pool of worker processes for the heavy work, each with one video at a time.
//!
//! A video from the internet is opened nowhere else, so a crash in a codec costs one attempt of one job. Workers are
//! reused, because loading libtorch and the params takes longer than many a video does; they die with their parent. This
//! side is async and handles no frames; the other side, [`serve`], is blocking and handles no rows.

mod calls;
mod task;
mod wire;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore, mpsc};

use crate::clock::Stop;
use crate::config::WorkerConfig;
use crate::failure::Failure;
use crate::pipeline::inspection::FollowedFace;

pub use task::{CutTask, FacesTask, Message, Picture, Product, Recrop, Task};
pub use wire::serve;
use worker::{NoProduct, Worker};

/// The hint for a worker that ran out of memory.
pub(crate) const MORE_MEMORY: &str = "raise max_memory_bytes under [workers] in webemotion.toml";

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
    /// A pool of `count` workers, started when needed with `program arguments…`, which must run [`serve`].
    pub fn new(program: PathBuf, arguments: Vec<String>, count: usize, limits: WorkerConfig) -> Self {
        Self(Arc::new(Pool {
            program,
            arguments,
            limits,
            slots: Semaphore::new(count.max(1)),
            idle: Mutex::default(),
        }))
    }

    /// Ends the idle workers.
    pub async fn close(self) {
        for mut worker in self.0.idle.lock().await.drain(..) {
            worker.kill().await;
        }
    }

    /// Runs one task in a free worker; waits for one if all are busy.
    async fn run(&self, task: &Task, stop: &Stop) -> Result<Product, Failure> {
        self.run_for(task, stop, None).await
    }

    /// [`Cpu::run`], with a receiver for the faces that the worker sends.
    async fn run_for(
        &self,
        task: &Task,
        stop: &Stop,
        faces: Option<&mpsc::Sender<FollowedFace>>,
    ) -> Result<Product, Failure> {
        let _slot = self.0.slots.acquire().await.map_err(|error| Failure::bug(error.to_string()))?;
        let idle = self.0.idle.lock().await.pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => Worker::start(&self.0.program, &self.0.arguments)?,
        };
        match worker.run(task, &self.0.limits, stop, faces).await {
            Ok(product) => {
                self.0.idle.lock().await.push(worker);
                Ok(product)
            }
            Err(NoProduct::Failed(failure)) => {
                self.0.idle.lock().await.push(worker);
                Err(failure)
            }
            Err(NoProduct::WorkerLost(failure)) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClipRecipe;
    use crate::failure::{FailureKind, Reason};

    fn shell(script: &str, limits: WorkerConfig) -> Cpu {
        Cpu::new("/bin/sh".into(), vec!["-c".to_owned(), script.to_owned()], 1, limits)
    }

    fn check() -> Task {
        Task::Check { path: "video.mp4".into(), promised_duration_ms: None }
    }

    #[tokio::test]
    async fn a_worker_that_dies_fails_the_task_for_now_with_the_end_of_its_stderr() {
        let cpu = shell("echo the codec fell over >&2; kill -SEGV $$", WorkerConfig::default());
        let failure = cpu.run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!((failure.kind, failure.reason), (FailureKind::Transient, Reason::WorkerCrashed));
        assert!(failure.detail.contains("the codec fell over"), "{}", failure.detail);
        assert!(failure.detail.contains("signal: 11"), "{}", failure.detail);
    }

    #[tokio::test]
    async fn a_worker_that_runs_out_of_memory_has_its_own_reason() {
        let cpu = shell("echo 'memory allocation of 9 bytes failed' >&2; exit 1", WorkerConfig::default());
        let failure = cpu.run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!(failure.reason, Reason::WorkerOutOfMemory);
        assert!(failure.hint.unwrap().contains("max_memory_bytes"));
    }

    #[tokio::test]
    async fn a_silent_worker_is_killed() {
        let cpu = shell("sleep 60", WorkerConfig { silence_timeout_s: 1, ..WorkerConfig::default() });
        let failure = cpu.run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!(failure.reason, Reason::WorkerTimedOut);
        assert!(failure.hint.unwrap().contains("silence_timeout_s"));
    }

    /// A shell command that reports progress; `done_ms` is one octal digit.
    fn beat(done_ms: &str) -> String {
        format!(r"printf '\023\000\000\000\201\247Working\201\247done_ms\00'{done_ms}")
    }

    const DONE: &str = r"printf '\012\000\000\000\201\244Done\243Cut'";

    #[tokio::test]
    async fn the_task_timeout_only_counts_time_without_progress() {
        let limits = WorkerConfig { task_timeout_s: 1, silence_timeout_s: 30, ..WorkerConfig::default() };
        let progresses = format!("for ms in 1 2 3 4 5; do {}; sleep 0.4; done; {DONE}; cat", beat("$ms"));
        let product = shell(&progresses, limits.clone()).run(&check(), &Stop::default()).await.unwrap();
        assert!(matches!(product, Product::Cut));
        let hangs = format!("while :; do {}; sleep 0.2; done", beat("7"));
        let failure = shell(&hangs, limits).run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!((failure.kind, failure.reason), (FailureKind::Transient, Reason::WorkerTimedOut));
        assert!(failure.detail.contains("no further than 7 ms"), "{}", failure.detail);
        assert!(failure.hint.unwrap().contains("task_timeout_s"));
    }

    #[tokio::test]
    async fn faces_are_passed_on_one_by_one_before_the_task_is_done() {
        let face = |track| FollowedFace { track, start_s: 0.0, end_s: 1.0, crops: Vec::new() };
        let mut sent = Vec::new();
        let done = Message::Done(Box::new(Product::Faces));
        for message in [Message::Face(face(1)), Message::Face(face(0)), done] {
            let bytes = rmp_serde::to_vec_named(&message).unwrap();
            sent.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            sent.extend(bytes);
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("messages");
        std::fs::write(&file, sent).unwrap();
        let cpu = shell(&format!("cat '{}'; cat >/dev/null", file.display()), WorkerConfig::default());
        let (sender, mut faces) = mpsc::channel(1);
        let task = FacesTask { path: "video.mp4".into(), recipe: ClipRecipe::default(), side_px: 64 };
        let stop = Stop::default();
        let receive = async { (faces.recv().await, faces.recv().await, faces.recv().await) };
        let (done, received) = tokio::join!(cpu.faces(task, &stop, sender), receive);
        done.unwrap();
        assert_eq!(received, (Some(face(1)), Some(face(0)), None));
    }

    #[tokio::test]
    async fn a_program_that_does_not_exist_is_a_missing_tool() {
        let cpu = Cpu::new("/nowhere/webemotion-nets".into(), Vec::new(), 1, WorkerConfig::default());
        let failure = cpu.run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!((failure.kind, failure.reason), (FailureKind::Permanent, Reason::ToolMissing));
        assert!(failure.detail.contains("/nowhere/webemotion-nets"), "{}", failure.detail);
    }

    #[tokio::test]
    async fn a_worker_that_cannot_be_loaded_is_a_missing_tool_and_one_that_ran_is_not() {
        let fails = "echo 'error while loading shared libraries: libtorch.so' >&2; exit 127";
        let failure =
            shell(fails, WorkerConfig::default()).run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!((failure.kind, failure.reason), (FailureKind::Permanent, Reason::ToolMissing));
        assert!(failure.detail.contains("libtorch.so"), "{}", failure.detail);
        // This one reads from the task before it dies.
        let ran = format!("head -c 10 >/dev/null; {}; {fails}", beat("1"));
        let failure = shell(&ran, WorkerConfig::default()).run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!(failure.reason, Reason::WorkerCrashed);
        let too_large = "echo 'libtorch.so: Cannot allocate memory' >&2; exit 127";
        let failure =
            shell(too_large, WorkerConfig::default()).run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!(failure.reason, Reason::WorkerOutOfMemory);
    }
}

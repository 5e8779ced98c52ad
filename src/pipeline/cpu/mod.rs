//! The door to heavy work: a pool of worker processes, each opening one video at a time.
//!
//! A video from the internet is opened nowhere else, so a crash in a codec costs one attempt of one job. Workers live
//! long, because loading libtorch and the params takes longer than many a video; they die with their parent. This side
//! is async and sees no frame; the other side is [`serve`], which is blocking and sees no row.

mod task;
mod wire;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore};

use crate::clock::Stop;
use crate::config::WorkerConfig;
use crate::failure::Failure;

pub use task::{Answer, Picture, Product, Recrop, Task};
pub use wire::serve;
use worker::{Ending, Worker};

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

    /// Ends the workers, which are idle.
    pub async fn close(self) {
        for mut worker in self.0.idle.lock().await.drain(..) {
            worker.kill().await;
        }
    }

    /// Runs one task in a free worker, waiting for one if need be.
    pub async fn run(&self, task: &Task, stop: &Stop) -> Result<Product, Failure> {
        let _slot = self.0.slots.acquire().await.map_err(|error| Failure::bug(error.to_string()))?;
        let idle = self.0.idle.lock().await.pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => Worker::start(&self.0.program, &self.0.arguments)?,
        };
        match worker.run(task, &self.0.limits, stop).await {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{FailureKind, Reason};

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
        assert!(failure.hint.unwrap().contains("silence_timeout_s"));
    }

    /// Shell words that say so many milliseconds (one octal digit) are done.
    fn beat(done_ms: &str) -> String {
        format!(r"printf '\023\000\000\000\201\247Working\201\247done_ms\00'{done_ms}")
    }

    const DONE: &str = r"printf '\012\000\000\000\201\244Done\243Cut'";

    #[tokio::test]
    async fn a_worker_that_gets_on_may_take_longer_than_one_that_stands_still() {
        let limits = WorkerConfig { task_timeout_s: 1, silence_timeout_s: 30, ..WorkerConfig::default() };
        let gets_on = format!("for ms in 1 2 3 4 5; do {}; sleep 0.4; done; {DONE}; cat", beat("$ms"));
        let product = shell(&gets_on, limits.clone()).run(&check(), &Stop::default()).await.unwrap();
        assert!(matches!(product, Product::Cut));
        let stands_still = format!("while :; do {}; sleep 0.2; done", beat("7"));
        let failure = shell(&stands_still, limits).run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!((failure.kind, failure.reason), (FailureKind::Transient, Reason::WorkerTimedOut));
        assert!(failure.detail.contains("no further than 7 ms"), "{}", failure.detail);
        assert!(failure.hint.unwrap().contains("task_timeout_s"));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_a_missing_tool() {
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
        // It takes the task before it dies.
        let ran = format!("head -c 10 >/dev/null; {}; {fails}", beat("1"));
        let failure = shell(&ran, WorkerConfig::default()).run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!(failure.reason, Reason::WorkerCrashed);
        let too_large = "echo 'libtorch.so: Cannot allocate memory' >&2; exit 127";
        let failure =
            shell(too_large, WorkerConfig::default()).run(&check(), &Stop::default()).await.unwrap_err();
        assert_eq!(failure.reason, Reason::WorkerOutOfMemory);
    }
}

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
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};

use crate::clock::Stop;
use crate::config::WorkerConfig;
use crate::failure::Failure;

pub use task::{Answer, Picture, Product, Recrop, Task};
pub use wire::serve;
use worker::{Ending, Worker, timed_out};

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
    }
}

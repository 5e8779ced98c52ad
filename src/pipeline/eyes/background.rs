//! Work on background threads, begun in the order in which it was submitted. The thread that runs the detector is the
//! bottleneck of a scan: framing and encoding are kept off it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use nix::sys::resource::{Resource, getrlimit};

use crate::failure::{Failure, Reason};
use crate::pipeline::cpu::MORE_MEMORY;

type Work = Box<dyn FnOnce() + Send>;

/// A few threads and one bounded queue. Dropping it blocks until all submitted work is done: that work writes into
/// folders which the caller may remove next.
pub(super) struct Background {
    /// `None` while it is dropped.
    queue: Option<SyncSender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

/// The result of submitted work, once it is there.
pub(super) struct Pending<T>(Receiver<Result<T, Failure>>);

impl Background {
    /// Starts `threads` threads with a queue of `capacity`; while the queue is full, [`Background::submit`] blocks.
    pub(super) fn new(threads: usize, capacity: usize) -> Self {
        let (queue, works) = sync_channel::<Work>(capacity);
        let works = Arc::new(Mutex::new(works));
        let spawn = |_| {
            let works = Arc::clone(&works);
            thread::spawn(move || {
                while let Some(work) = next(&works) {
                    work();
                }
            })
        };
        Self { queue: Some(queue), threads: (0..threads).map(spawn).collect() }
    }

    /// Queues work; it begins after all work that was submitted earlier has begun.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Pending<T> {
        let (sender, receiver) = sync_channel(1);
        let work = Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            // Fails if the result is no longer wanted and the receiver is gone.
            let _ = sender.send(outcome.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))));
        });
        // Fails only without any thread: then the work and its sender are dropped, and `Pending::wait` fails.
        let _ = self.queue.as_ref().map(|queue| queue.send(work));
        Pending(receiver)
    }
}

/// Waits for the oldest queued work; `None` once the queue is closed and empty.
fn next(works: &Mutex<Receiver<Work>>) -> Option<Work> {
    works.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// The failure for a panic, which may be a lack of memory: FFmpeg's wrapper panics with `out of bounds` on a frame that
/// got none.
fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    let detail = format!("work on a background thread ended early: {text}");
    if is_memory_used_up() {
        Failure::transient(Reason::WorkerOutOfMemory, detail).with_hint(MORE_MEMORY)
    } else {
        Failure::bug(detail)
    }
}

/// Whether this process has a limited address space and uses more than nine tenths of it.
fn is_memory_used_up() -> bool {
    let limit_bytes = getrlimit(Resource::RLIMIT_AS).map_or(u64::MAX, |(limit, _)| limit);
    let used_bytes = std::fs::read_to_string("/proc/self/status").ok().and_then(|text| vm_size_bytes(&text));
    used_bytes.is_some_and(|used| used > limit_bytes / 10 * 9)
}

/// The address space in use, from the text of `/proc/self/status`.
fn vm_size_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1_024)
}

impl<T> Pending<T> {
    /// Blocks until the result is there.
    pub(super) fn wait(self) -> Result<T, Failure> {
        self.0.recv().unwrap_or_else(|_| Err(Failure::bug("work on a background thread ended early")))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // Work that panics is caught, so the threads end normally.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn work_runs_in_submission_order_and_is_finished_before_drop_returns() {
        let done = Arc::new(AtomicUsize::new(0));
        let background = Background::new(1, 4);
        let count = |by: usize| {
            let done = Arc::clone(&done);
            move || Ok(done.fetch_add(by, Ordering::SeqCst))
        };
        let (first, second) = (background.submit(count(1)), background.submit(count(10)));
        assert_eq!((second.wait().unwrap(), first.wait().unwrap()), (1, 0));
        drop(background.submit(count(100)));
        drop(background);
        assert_eq!(done.load(Ordering::SeqCst), 111);
    }

    #[test]
    fn two_threads_work_at_once() {
        let background = Background::new(2, 0);
        let (sender, receiver) = sync_channel::<()>(0);
        let receives = background.submit(move || receiver.recv().map_err(|_| Failure::bug("no sender")));
        let sends = background.submit(move || sender.send(()).map_err(|_| Failure::bug("no receiver")));
        assert!(sends.wait().is_ok() && receives.wait().is_ok());
    }

    #[test]
    fn waiting_returns_the_failure_and_reports_a_panic() {
        let background = Background::new(1, 4);
        let failed = background.submit(|| Err::<(), _>(Failure::bug("no light")));
        assert_eq!(failed.wait().unwrap_err().detail, "no light");
        let lost = background.submit(|| -> Result<(), Failure> { panic!("for the test") });
        assert!(lost.wait().unwrap_err().detail.contains("ended early: for the test"));
        assert_eq!(background.submit(|| Ok(1)).wait().unwrap(), 1, "the thread lives on");
    }

    #[test]
    fn the_size_of_the_address_space_is_read_in_bytes() {
        let status = "Name:\twebemotion-nets\nVmPeak:\t  205000 kB\nVmSize:\t  204800 kB\n";
        assert_eq!(vm_size_bytes(status), Some(204_800 * 1_024));
        assert_eq!(vm_size_bytes("Name:\twebemotion-nets\n"), None);
    }
}

//! Work that nobody waits for yet, done on threads of its own in the order in which it is given: the thread that looks at
//! frames is the one that everything waits for.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::failure::Failure;

type Work = Box<dyn FnOnce() + Send>;

/// Threads that work aside. Dropping this waits until they have done all that they were given: they write into folders
/// that others clear up.
pub(super) struct Aside {
    /// `None` while it is dropped.
    door: Option<SyncSender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

/// What will come of a piece of work.
pub(super) struct Later<T>(Receiver<Result<T, Failure>>);

impl Aside {
    /// So many threads, with room for so many pieces of work that wait; where there is no room, [`Aside::give`] waits.
    pub(super) fn new(threads: usize, waiting: usize) -> Self {
        let (door, works) = sync_channel::<Work>(waiting);
        let works = Arc::new(Mutex::new(works));
        let spawn = |_| {
            let works = Arc::clone(&works);
            thread::spawn(move || {
                while let Some(work) = next(&works) {
                    work();
                }
            })
        };
        Self { door: Some(door), threads: (0..threads).map(spawn).collect() }
    }

    /// Has work done once all that was given before is begun.
    pub(super) fn give<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Later<T> {
        let (sender, receiver) = sync_channel(1);
        let work = Box::new(move || {
            // If nobody wants the result any more, the receiver is gone.
            let _ = sender.send(work());
        });
        // Where no thread is left, the work is dropped, and with it the sender: `Later::take` then says so.
        let _ = self.door.as_ref().map(|door| door.send(work));
        Later(receiver)
    }
}

/// Waits for the oldest piece of work; `None` once there will be no more.
fn next(works: &Mutex<Receiver<Work>>) -> Option<Work> {
    works.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

impl<T> Later<T> {
    /// Waits for the result.
    pub(super) fn take(self) -> Result<T, Failure> {
        self.0.recv().unwrap_or_else(|_| Err(Failure::bug("a thread that works aside ended early")))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.door = None;
        for thread in self.threads.drain(..) {
            // If it panicked, whoever waited for it was told.
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
    fn work_is_done_in_its_order_and_what_was_given_is_done_in_the_end() {
        let done = Arc::new(AtomicUsize::new(0));
        let aside = Aside::new(1, 4);
        let count = |by: usize| {
            let done = Arc::clone(&done);
            move || Ok(done.fetch_add(by, Ordering::SeqCst))
        };
        let (first, second) = (aside.give(count(1)), aside.give(count(10)));
        assert_eq!((second.take().unwrap(), first.take().unwrap()), (1, 0));
        drop(aside.give(count(100)));
        drop(aside);
        assert_eq!(done.load(Ordering::SeqCst), 111);
    }

    #[test]
    fn two_threads_work_at_once() {
        let aside = Aside::new(2, 0);
        let (sender, receiver) = sync_channel::<()>(0);
        let waits = aside.give(move || receiver.recv().map_err(|_| Failure::bug("nobody called")));
        let calls = aside.give(move || sender.send(()).map_err(|_| Failure::bug("nobody waits")));
        assert!(calls.take().is_ok() && waits.take().is_ok());
    }

    #[test]
    fn a_failure_and_a_panic_are_told_to_who_waits() {
        let aside = Aside::new(1, 4);
        let failed = aside.give(|| Err::<(), _>(Failure::bug("no light")));
        assert_eq!(failed.take().unwrap_err().detail, "no light");
        let lost = aside.give(|| -> Result<(), Failure> { panic!("for the test") });
        assert!(lost.take().unwrap_err().detail.contains("ended early"));
        assert!(aside.give(|| Ok(1)).take().is_err());
    }
}

//! Work that nobody waits for yet, done on a thread of its own in the order in which it is given: the thread that looks
//! at frames is the one that everything waits for.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::failure::Failure;

type Work = Box<dyn FnOnce() + Send>;

/// A thread that works aside. Dropped, it does what it was given before: it writes where others clear up.
pub(super) struct Aside {
    /// Nothing once it is dropped.
    door: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
}

/// What will come of a piece of work.
pub(super) struct Later<T>(Receiver<Result<T, Failure>>);

impl Aside {
    /// A thread before whose door so much work waits; with more, whoever brings it waits.
    pub(super) fn new(waiting: usize) -> Self {
        let (door, works) = sync_channel::<Work>(waiting);
        let thread = thread::spawn(move || works.into_iter().for_each(|work| work()));
        Self { door: Some(door), thread: Some(thread) }
    }

    /// Has work done after all that was given before.
    pub(super) fn give<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Later<T> {
        let (sender, receiver) = sync_channel(1);
        let work = Box::new(move || {
            // Who does not want it any more has let the receiver go.
            let _ = sender.send(work());
        });
        // A thread that is gone drops the work, and with it the sender: whoever takes what comes of it is told.
        let _ = self.door.as_ref().map(|door| door.send(work));
        Later(receiver)
    }
}

impl<T> Later<T> {
    /// Waits for what comes of it.
    pub(super) fn take(self) -> Result<T, Failure> {
        self.0.recv().unwrap_or_else(|_| Err(Failure::bug("a thread that works aside ended early")))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.door = None;
        // If it panicked, whoever waited for it was told.
        let _ = self.thread.take().map(JoinHandle::join);
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
        let aside = Aside::new(4);
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
    fn a_failure_and_a_panic_are_told_to_who_waits() {
        let aside = Aside::new(4);
        let failed = aside.give(|| Err::<(), _>(Failure::bug("no light")));
        assert_eq!(failed.take().unwrap_err().detail, "no light");
        let lost = aside.give(|| -> Result<(), Failure> { panic!("for the test") });
        assert!(lost.take().unwrap_err().detail.contains("ended early"));
        assert!(aside.give(|| Ok(1)).take().is_err());
    }
}

//! Runs one child process in a group of its own until nothing of it is left. Its output is passed on by line, its
//! errors are kept within bounds, and it is ended on request, when no longer needed, too slow, silent or too long. It
//! knows nothing of yt-dlp.

mod bounded;
mod watchdog;

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::MissedTickBehavior;

use self::bounded::{HeadAndTail, LineSplitter};
use self::watchdog::Watchdog;
use super::Limits;
use crate::clock::Stop;

/// Receives a child's lines.
pub(super) trait Listener: Send {
    /// One line of standard output, without its end; cut at [`Listener::longest_line`].
    fn line(&mut self, line: &[u8]);
    /// Bytes that the child has downloaded; `None` while it does not download.
    fn downloaded_bytes(&self) -> Option<u64>;
    /// Longest line that is kept, bytes.
    fn longest_line(&self) -> usize;
    /// Whether nothing that the child may still print or do is wanted.
    fn wants_no_more(&self) -> bool {
        false
    }
}

/// Why we ended a child.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum StopCause {
    Stopped,
    /// Its listener wants no more lines.
    NothingMoreWanted,
    TimedOut {
        /// Which limit was passed.
        detail: String,
        /// Whether anything had been downloaded.
        has_moved: bool,
    },
}

/// A child that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// The beginning and the end of its standard error.
    pub(super) stderr: Vec<u8>,
    pub(super) stop_cause: Option<StopCause>,
}

/// How often the watchdog checks.
const TICK: Duration = Duration::from_millis(100);

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or waited for.
pub(super) async fn run(
    mut command: Command,
    limits: &Limits,
    listener: &mut dyn Listener,
    stop: &Stop,
) -> io::Result<Ended> {
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    die_with_this_process(&mut command);
    let mut child = command.spawn()?;
    let group = Group::of(&child);
    let mut watch = Watchdog::new(limits, Instant::now());
    let mut streams = Streams::of(&mut child, listener.longest_line());
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut exited: Option<(ExitStatus, Instant)> = None;
    let mut ending = Termination::default();
    let status = loop {
        tokio::select! {
            has_output = streams.read_some(listener), if streams.are_open() => {
                if has_output { watch.record_output(Instant::now()); }
            }
            status = child.wait(), if exited.is_none() => exited = Some((status?, Instant::now())),
            _ = tick.tick() => {}
        }
        if let Some((status, since)) = exited {
            // A grandchild may hold the pipes open for ever; its output is not waited for.
            if !streams.are_open() || since.elapsed() > DRAIN {
                break status;
            }
        } else {
            let cause = if stop.is_asked() {
                Some(StopCause::Stopped)
            } else if listener.wants_no_more() {
                Some(StopCause::NothingMoreWanted)
            } else {
                watch.check(listener.downloaded_bytes())
            };
            ending.advance(cause, stop.is_urgent(), limits.grace, &group);
        }
    };
    Ok(Ended { status, stderr: streams.into_stderr(), stop_cause: ending.cause })
}

/// Has the kernel kill the child when this process is killed (SIGKILL, out of memory): it must not go on writing where
/// the next process works. A child that called prctl(2) too late finds its parent gone, and gives up.
fn die_with_this_process(command: &mut Command) {
    let parent = nix::unistd::getpid();
    // SAFETY: between fork and exec only prctl(2) and getppid(2) are called; both are async-signal-safe, and the
    // closure neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
        });
    }
}

/// How long the pipes of an ended child are read.
const DRAIN: Duration = Duration::from_millis(500);

/// Ends a child step by step: SIGTERM at the first cause, SIGKILL when it does not follow.
#[derive(Default)]
struct Termination {
    cause: Option<StopCause>,
    asked_at: Option<Instant>,
    killed: bool,
}

impl Termination {
    fn advance(&mut self, cause: Option<StopCause>, is_urgent: bool, grace: Duration, group: &Group) {
        if self.cause.is_none() {
            self.cause = cause;
        }
        if self.cause.is_none() {
            return;
        }
        let asked_at = *self.asked_at.get_or_insert_with(|| {
            group.signal(Signal::SIGTERM);
            Instant::now()
        });
        if !self.killed && (is_urgent || asked_at.elapsed() >= grace) {
            group.signal(Signal::SIGKILL);
            self.killed = true;
        }
    }
}

/// The child's process group. Whatever is left of it (grandchildren, or all when our future is dropped) dies with this.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // That the group is empty already is no error.
            let _ = killpg(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

type Pipe = Box<dyn AsyncRead + Send + Unpin>;

/// Both pipes of a child.
struct Streams {
    out: Option<Pipe>,
    err: Option<Pipe>,
    out_chunk: Vec<u8>,
    err_chunk: Vec<u8>,
    lines: LineSplitter,
    stderr: HeadAndTail,
}

const CHUNK: usize = 16 * 1_024;

impl Streams {
    fn of(child: &mut Child, longest_line: usize) -> Self {
        Self {
            out: child.stdout.take().map(|pipe| Box::new(pipe) as Pipe),
            err: child.stderr.take().map(|pipe| Box::new(pipe) as Pipe),
            out_chunk: vec![0; CHUNK],
            err_chunk: vec![0; CHUNK],
            lines: LineSplitter::new(longest_line),
            stderr: HeadAndTail::default(),
        }
    }

    fn are_open(&self) -> bool {
        self.out.is_some() || self.err.is_some()
    }

    /// Waits for the next bytes of either pipe; false when a pipe closed. May be cancelled without loss.
    async fn read_some(&mut self, listener: &mut dyn Listener) -> bool {
        let (is_out, count) = tokio::select! {
            count = read(&mut self.out, &mut self.out_chunk), if self.out.is_some() => (true, count),
            count = read(&mut self.err, &mut self.err_chunk), if self.err.is_some() => (false, count),
            else => return false,
        };
        match (is_out, count) {
            (true, 0) => {
                self.out = None;
                self.lines.finish(&mut |line| listener.line(line));
            }
            (false, 0) => self.err = None,
            (true, count) => self.lines.push(&self.out_chunk[..count], &mut |line| listener.line(line)),
            (false, count) => self.stderr.push(&self.err_chunk[..count]),
        }
        count > 0
    }

    fn into_stderr(self) -> Vec<u8> {
        self.stderr.into_bytes()
    }
}

/// Bytes read; 0 at the end and on any error, which for a pipe means the same.
async fn read(pipe: &mut Option<Pipe>, chunk: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(chunk).await.unwrap_or(0),
        None => 0,
    }
}

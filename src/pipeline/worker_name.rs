//! The name of a process among all that work on a catalog: `HOST:PID:TIME`, TIME in hexadecimal milliseconds since
//! 1970. A slot's name has `/SLOT` at its end.

use crate::clock::Clock;
use crate::words::date;

/// The name of this process.
pub fn worker_name(clock: &Clock) -> String {
    format!("{}:{}:{:x}", host(), std::process::id(), clock.now_ms())
}

/// This machine's name.
pub(super) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// A worker name for people: `process 4711 on host-1, since 2026-11-25 01:00 UTC`.
pub(crate) fn in_words(worker: &str) -> String {
    let Some(holder) = Holder::parse(worker) else { return worker.to_owned() };
    format!("process {} on {}, since {}", holder.pid, holder.host, date(holder.named_at_ms))
}

/// The parts of a worker name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Holder<'a> {
    pub(super) host: &'a str,
    pub(super) pid: u32,
    pub(super) named_at_ms: i64,
}

impl<'a> Holder<'a> {
    /// Reads a name of [`worker_name`], with or without a slot.
    pub(super) fn parse(worker: &'a str) -> Option<Self> {
        let process = worker.split_once('/').map_or(worker, |(process, _slot)| process);
        let mut parts = process.rsplitn(3, ':');
        let named_at_ms = i64::from_str_radix(parts.next()?, 16).ok()?;
        Some(Self { pid: parts.next()?.parse().ok()?, host: parts.next()?, named_at_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_name_says_who_it_is() {
        let holder = Holder::parse("host-1:4711:19a/0").unwrap();
        assert_eq!(holder, Holder { host: "host-1", pid: 4_711, named_at_ms: 0x19a });
        assert_eq!(in_words("host-1:4711:0/0"), "process 4711 on host-1, since 1970-01-01 00:00 UTC");
        for other in ["", "tester", "host:x:19a/0", "host:1:zz", "1:19a"] {
            assert_eq!(Holder::parse(other), None, "{other}");
        }
    }
}

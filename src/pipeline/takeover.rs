//! Ends the leases of processes that were killed, which would otherwise last for minutes. Knows worker names and what
//! the kernel says of processes; nothing of the work.

use std::path::Path;

use crate::catalog::{Catalog, jobs};
use crate::failure::Failure;

use super::worker_name::{Holder, host};

/// The start time of a process is known to the second only, and the clock may have been adjusted since.
const TOLERANCE_MS: i64 = 5_000;
/// The kernel reports times in hundredths of a second, whatever its own tick is.
const MS_PER_TICK: i64 = 10;

/// Makes the jobs of this machine's dead processes due again; returns how many. Jobs of other machines wait until their
/// leases expire, since their processes cannot be seen from here.
pub(crate) async fn take_back(catalog: &Catalog) -> Result<u64, Failure> {
    let mut dead: Vec<String> = jobs::held(catalog).await?.into_iter().map(|lease| lease.worker).collect();
    dead.sort_unstable();
    dead.dedup();
    dead.retain(|worker| is_dead(worker));
    if dead.is_empty() { Ok(0) } else { Ok(jobs::take_back(catalog, &dead).await?) }
}

/// Whether a worker name is that of a process of this machine that has certainly ended.
pub(crate) fn is_dead(worker: &str) -> bool {
    Holder::parse(worker).is_some_and(|holder| holder.host == host() && holder.is_dead())
}

impl Holder<'_> {
    /// Whether the process has certainly ended; false if the system does not say which processes run.
    fn is_dead(&self) -> bool {
        if !Path::new("/proc/self/stat").exists() {
            return false;
        }
        match std::fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => {
                let is_other = || began_ms(&stat).is_some_and(|ms| ms > self.named_at_ms + TOLERANCE_MS);
                is_defunct(&stat) || is_other()
            }
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }
}

/// The fields of proc_pid_stat(5) from the third one, the state; the name before them may contain any character.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace()
}

fn is_defunct(stat: &str) -> bool {
    matches!(fields(stat).next(), Some("Z" | "X"))
}

/// When the process began, milliseconds since 1970.
fn began_ms(stat: &str) -> Option<i64> {
    const BEGINNING: usize = 22 - 3;
    let ticks: i64 = fields(stat).nth(BEGINNING)?.parse().ok()?;
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    let boot_s: i64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot_s * 1_000 + ticks * MS_PER_TICK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::jobs::Claim;
    use crate::clock::Clock;
    use crate::pipeline::worker_name;
    use crate::types::{JobState, StageName};

    /// A worker name of a process that has ended.
    fn dead_worker() -> String {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        format!("{}:{}:{:x}/0", host(), child.id(), Clock::system().now_ms())
    }

    async fn held_by(workers: &[&str]) -> (tempfile::TempDir, Catalog) {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.sqlite"), &Clock::system()).await.unwrap();
        for (subject, worker) in (1..).zip(workers) {
            let mut tx = catalog.begin().await.unwrap();
            jobs::enqueue(&mut tx, StageName::Scan, "1", 0, subject).await.unwrap();
            tx.commit().await.unwrap();
            let claim = Claim { stage: StageName::Scan, rev: "1", worker, lease_ms: 120_000 };
            jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
        }
        (folder, catalog)
    }

    #[tokio::test]
    async fn the_job_of_a_killed_process_is_due_at_once_and_its_attempt_counts_only_after_many_deaths() {
        let worker = dead_worker();
        let (_folder, catalog) = held_by(&[&worker]).await;
        assert_eq!(jobs::count_due(&catalog, StageName::Scan).await.unwrap(), 0);
        let mut attempts = Vec::new();
        for _ in 0..6 {
            assert_eq!(take_back(&catalog).await.unwrap(), 1);
            let job = jobs::get(&catalog, StageName::Scan, 1).await.unwrap().unwrap();
            assert_eq!((job.state, job.worker), (JobState::Open, None));
            attempts.push(job.attempt);
            assert_eq!(jobs::count_due(&catalog, StageName::Scan).await.unwrap(), 1);
            let claim = Claim { stage: StageName::Scan, rev: "1", worker: &worker, lease_ms: 120_000 };
            jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
        }
        assert_eq!(attempts, [0, 0, 0, 0, 1, 2]);
    }

    #[tokio::test]
    async fn an_attempt_that_only_waited_for_its_turn_does_not_count() {
        let worker = dead_worker();
        let (_folder, catalog) = held_by(&[&worker]).await;
        let id = jobs::get(&catalog, StageName::Scan, 1).await.unwrap().unwrap().id;
        let job = jobs::HeldJob { id, subject_id: 1, attempt: 1, worker, rev: "1".to_owned() };
        assert!(jobs::set_waiting(&catalog, &job, true).await.unwrap());
        assert_eq!(take_back(&catalog).await.unwrap(), 1);
        let job = jobs::get(&catalog, StageName::Scan, 1).await.unwrap().unwrap();
        assert_eq!((job.state, job.attempt), (JobState::Open, 0));
    }

    #[tokio::test]
    async fn who_lives_or_works_elsewhere_keeps_its_jobs() {
        let living = format!("{}/1", worker_name(&Clock::system()));
        let elsewhere = dead_worker().replacen(&host(), "another-machine", 1);
        let (_folder, catalog) = held_by(&[&living, &elsewhere, "somebody"]).await;
        assert_eq!(take_back(&catalog).await.unwrap(), 0);
        assert_eq!(jobs::held(&catalog).await.unwrap().len(), 3);
    }

    #[test]
    fn a_process_that_only_got_the_number_of_a_dead_one_holds_nothing() {
        let (host, pid) = (host(), std::process::id());
        let holder = |named_at_ms| Holder { host: &host, pid, named_at_ms };
        let now_ms = Clock::system().now_ms();
        assert!(!holder(now_ms).is_dead());
        assert!(holder(now_ms - 24 * 3_600_000).is_dead());
    }

    #[test]
    fn a_process_name_may_hold_anything() {
        assert!(is_defunct("7 (a ) R b) Z 1 1"));
        assert!(!is_defunct("7 (Z) S 1 1"));
    }
}

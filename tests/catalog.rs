//! The catalog and the driver of stages together: leases, retries, pauses, speed.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use webemotion::catalog::jobs::{self, Claim, HeldJob};
use webemotion::catalog::{Catalog, CatalogError, Transaction, funnel, pauses};
use webemotion::clock::{Clock, Stop};
use webemotion::failure::{Exit, Failure, Reason};
use webemotion::pipeline::{DrivePlan, Driven, Driver, JobContext, Outcome, Stage};
use webemotion::progress::Silent;
use webemotion::types::{JobState, StageName};

const NOW_MS: i64 = 1_800_000_000_000;

async fn empty() -> (TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db"), &Clock::fixed(NOW_MS)).await.unwrap();
    (folder, catalog)
}

async fn ask_for(catalog: &Catalog, subjects: std::ops::RangeInclusive<i64>) -> u64 {
    let mut tx = catalog.begin().await.unwrap();
    let new =
        jobs::enqueue_all(&mut tx, StageName::Scan, "1", 0, &subjects.collect::<Vec<_>>()).await.unwrap();
    tx.commit().await.unwrap();
    new
}

async fn claim(catalog: &Catalog, worker: &str) -> Option<HeldJob> {
    let claim = Claim { stage: StageName::Scan, rev: "1", worker, lease_ms: 60_000 };
    jobs::claim(catalog, claim, &jobs::JobFilter::default()).await.unwrap()
}

/// A stage whose work is a closure, and which remembers what it committed.
struct Fake<F> {
    work: F,
    committed: Mutex<BTreeMap<i64, u32>>,
}

impl<F> Fake<F> {
    fn new(work: F) -> Self {
        Self { work, committed: Mutex::default() }
    }
}

impl<F: Fn(i64) -> Result<Outcome, Failure> + Sync> Stage for Fake<F> {
    const NAME: StageName = StageName::Scan;
    const UNIT: &'static str = "videos";
    type Subject = i64;
    type Output = (i64, Outcome);

    fn rev(&self) -> String {
        "1".to_owned()
    }

    async fn load(&self, _catalog: &Catalog, subject_id: i64) -> Result<i64, Failure> {
        Ok(subject_id)
    }

    async fn run(&self, subject: i64, _context: &JobContext<'_>) -> Result<(i64, Outcome), Failure> {
        tokio::task::yield_now().await;
        Ok((subject, (self.work)(subject)?))
    }

    async fn commit(&self, tx: &mut Transaction, output: (i64, Outcome)) -> Result<Outcome, CatalogError> {
        jobs::enqueue(tx, StageName::Cut, "1", 0, output.0).await?;
        *self.committed.lock().unwrap().entry(output.0).or_default() += 1;
        Ok(output.1)
    }
}

async fn drive<S: Stage>(catalog: &Catalog, stage: &S) -> Result<Driven, Failure> {
    let plan = DrivePlan { slots: 2, ..DrivePlan::new("tester".to_owned()) };
    Driver::new(catalog, plan, &Stop::default(), &Silent).drive(stage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_never_share_a_job() {
    let (folder, catalog) = empty().await;
    ask_for(&catalog, 1..=2_000).await;
    let other = Catalog::open(&folder.path().join("catalog.db"), catalog.clock()).await.unwrap();
    let began = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..8 {
        let catalog = if number % 2 == 0 { catalog.clone() } else { other.clone() };
        workers.spawn(async move {
            let mut mine = vec![];
            while let Some(job) = claim(&catalog, &format!("worker {number}")).await {
                let mut tx = catalog.begin().await.unwrap();
                assert!(jobs::finish(&mut tx, &job).await.unwrap());
                tx.commit().await.unwrap();
                mine.push(job.subject_id);
            }
            mine
        });
    }
    let mut all: Vec<i64> = workers.join_all().await.into_iter().flatten().collect();
    all.sort_unstable();
    assert_eq!(all, (1..=2_000).collect::<Vec<_>>());
    println!("2,000 jobs claimed and finished in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_lost_lease_changes_nothing() {
    let (_folder, catalog) = empty().await;
    ask_for(&catalog, 1..=1).await;
    let slow = claim(&catalog, "slow").await.unwrap();
    assert!(claim(&catalog, "quick").await.is_none(), "it is held");
    catalog.clock().advance_ms(60_000);
    let quick = claim(&catalog, "quick").await.unwrap();
    assert_eq!((quick.id, quick.attempt), (slow.id, 2));

    assert!(!jobs::heartbeat(&catalog, &slow, 60_000).await.unwrap());
    let mut tx = catalog.begin().await.unwrap();
    assert!(!jobs::finish(&mut tx, &slow).await.unwrap());
    assert!(!jobs::give_back(&mut tx, &slow, NOW_MS).await.unwrap());
    assert!(jobs::finish(&mut tx, &quick).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(jobs::get(&catalog, StageName::Scan, 1).await.unwrap().unwrap().state, JobState::Done);
}

/// While it works, its lease passes and another worker takes the job.
struct Robbed(Catalog);

impl Stage for Robbed {
    const NAME: StageName = StageName::Scan;
    const UNIT: &'static str = "videos";
    type Subject = i64;
    type Output = i64;

    fn rev(&self) -> String {
        "1".to_owned()
    }

    async fn load(&self, _catalog: &Catalog, subject_id: i64) -> Result<i64, Failure> {
        Ok(subject_id)
    }

    async fn run(&self, subject: i64, context: &JobContext<'_>) -> Result<i64, Failure> {
        context.clock.advance_ms(120_000);
        claim(&self.0, "thief").await.unwrap();
        Ok(subject)
    }

    async fn commit(&self, tx: &mut Transaction, subject: i64) -> Result<Outcome, CatalogError> {
        jobs::enqueue(tx, StageName::Cut, "1", 0, subject).await?;
        Ok(Outcome::Done)
    }
}

#[tokio::test]
async fn a_result_that_comes_after_its_lease_is_thrown_away_with_its_follow_ups() {
    let (_folder, catalog) = empty().await;
    ask_for(&catalog, 1..=1).await;
    let summary = drive(&catalog, &Robbed(catalog.clone())).await.unwrap();
    assert_eq!((summary.done, summary.lost), (0, 1));
    let job = jobs::get(&catalog, StageName::Scan, 1).await.unwrap().unwrap();
    assert_eq!((job.state, job.worker.as_deref()), (JobState::Held, Some("thief")));
    assert!(jobs::get(&catalog, StageName::Cut, 1).await.unwrap().is_none());
}

#[tokio::test]
async fn a_job_that_kills_its_worker_ends_dead() {
    let (_folder, catalog) = empty().await;
    ask_for(&catalog, 1..=1).await;
    for attempt in 1..=3 {
        assert_eq!(claim(&catalog, "doomed").await.unwrap().attempt, attempt);
        catalog.clock().advance_ms(60_000);
    }
    let summary =
        drive(&catalog, &Fake::new(|_| unreachable!("it is not tried a fourth time"))).await.unwrap();
    assert_eq!((summary.dead, summary.done), (1, 0));
    let job = jobs::get(&catalog, StageName::Scan, 1).await.unwrap().unwrap();
    assert_eq!((job.state, job.reason), (JobState::Dead, Some(Reason::AttemptsExhausted)));
}

#[tokio::test]
async fn every_failure_gets_what_it_says_of_itself() {
    let (folder, catalog) = empty().await;
    ask_for(&catalog, 1..=5).await;
    let stage = Fake::new(|subject| match subject {
        1 => Ok(Outcome::Done),
        2 => Ok(Outcome::Rejected { reason: Reason::NoFace, detail: "0 of 40 frames".to_owned() }),
        3 => Err(Failure::rejected(Reason::NotAVideo, "no video stream")),
        4 => Err(Failure::transient(Reason::Network, "connection reset")),
        _ => Err(Failure::bug("index out of range")),
    });
    let summary = drive(&catalog, &stage).await.unwrap();
    let counts = (summary.done, summary.rejected, summary.postponed, summary.dead);
    assert_eq!(counts, (1, 2, 1, 1));
    assert!(summary.next_due_ms.unwrap() >= NOW_MS + 60_000);
    assert!(
        jobs::get(&catalog, StageName::Cut, 2).await.unwrap().is_some(),
        "a verdict keeps the rows that explain it"
    );
    assert!(jobs::get(&catalog, StageName::Cut, 3).await.unwrap().is_none());

    for _ in 0..2 {
        catalog.clock().advance_ms(3_600_000);
        drive(&catalog, &stage).await.unwrap();
    }
    let job = jobs::get(&catalog, StageName::Scan, 4).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempt, job.reason), (JobState::Dead, 3, Some(Reason::Network)));
    let file = SqliteConnectOptions::new().filename(folder.path().join("catalog.db"));
    let mut connection = SqliteConnection::connect_with(&file).await.unwrap();
    let written = sqlx::query_scalar("select count(*) from attempt where job_id = $1").bind(job.id.0);
    let written: i64 = written.fetch_one(&mut connection).await.unwrap();
    assert_eq!(written, 3);
    assert!(stage.committed.lock().unwrap().values().all(|times| *times == 1));
}

#[tokio::test]
async fn verdicts_come_back_by_reason() {
    let (_folder, catalog) = empty().await;
    ask_for(&catalog, 1..=4).await;
    drive(
        &catalog,
        &Fake::new(|subject| match subject {
            1 | 2 => Err(Failure::rejected(Reason::NoFace, "none")),
            _ => Err(Failure::rejected(Reason::Undecodable, "frame 0")),
        }),
    )
    .await
    .unwrap();
    assert_eq!(jobs::retry(&catalog, Reason::NoFace, Some(StageName::Fetch)).await.unwrap(), 0);
    assert_eq!(jobs::retry(&catalog, Reason::NoFace, None).await.unwrap(), 2);
    assert_eq!(drive(&catalog, &Fake::new(|_| Ok(Outcome::Done))).await.unwrap().done, 2);
    let left = funnel::stages(&catalog).await.unwrap();
    let undecodable = left.iter().find(|count| count.reason == Some(Reason::Undecodable)).unwrap();
    assert_eq!((undecodable.state, undecodable.jobs), (JobState::Rejected, 2));
}

#[tokio::test]
async fn a_rate_limit_pauses_the_whole_stage_and_harms_no_job() {
    let (_folder, catalog) = empty().await;
    ask_for(&catalog, 1..=50).await;
    let stage = Fake::new(|_| Err(Failure::transient(Reason::RateLimited, "HTTP Error 429")));
    let summary = drive(&catalog, &stage).await.unwrap();
    assert!(summary.given_back <= 2, "only what was in hand");
    let pause = summary.paused.unwrap();
    assert_eq!((pause.reason, pause.resume_at), (Reason::RateLimited, Some(NOW_MS + 3_600_000)));
    assert_eq!(jobs::get(&catalog, StageName::Scan, 1).await.unwrap().unwrap().attempt, 0);

    let idle = drive(&catalog, &Fake::new(|_| Ok(Outcome::Done))).await.unwrap();
    assert!(idle.is_idle() && idle.paused.is_some());
    catalog.clock().advance_ms(3_600_000);
    assert_eq!(drive(&catalog, &Fake::new(|_| Ok(Outcome::Done))).await.unwrap().done, 50);
}

#[tokio::test]
async fn who_is_blocked_waits_until_a_person_lifts_the_pause() {
    let (_folder, catalog) = empty().await;
    ask_for(&catalog, 1..=3).await;
    let blocked = Fake::new(|_| Err(Failure::transient(Reason::Blocked, "sign in to confirm")));
    drive(&catalog, &blocked).await.unwrap();
    catalog.clock().advance_ms(365 * 24 * 3_600_000);
    let fine = Fake::new(|_| Ok(Outcome::Done));
    assert!(drive(&catalog, &fine).await.unwrap().is_idle());
    assert!(pauses::lift(&catalog, StageName::Scan).await.unwrap());
    assert_eq!(drive(&catalog, &fine).await.unwrap().done, 3);
}

#[tokio::test]
async fn what_will_not_pass_for_one_job_holds_up_no_other() {
    let (_folder, catalog) = empty().await;
    ask_for(&catalog, 1..=3).await;
    let stage = Fake::new(|subject| match subject {
        1 => Err(Failure::permanent(Reason::Disk, "permission denied")),
        _ => Ok(Outcome::Done),
    });
    let summary = drive(&catalog, &stage).await.unwrap();
    assert_eq!((summary.done, summary.dead, summary.paused), (2, 1, None));
}

#[tokio::test]
async fn a_network_that_is_down_pauses_for_minutes_and_harms_no_job() {
    let (_folder, catalog) = empty().await;
    ask_for(&catalog, 1..=9).await;
    let stage = Fake::new(|_| Err(Failure::transient(Reason::Offline, "nobody is reached")));
    let pause = drive(&catalog, &stage).await.unwrap().paused.unwrap();
    assert_eq!((pause.reason, pause.resume_at), (Reason::Offline, Some(NOW_MS + 300_000)));
    catalog.clock().advance_ms(300_000);
    assert_eq!(drive(&catalog, &Fake::new(|_| Ok(Outcome::Done))).await.unwrap().done, 9);
}

#[tokio::test]
async fn a_missing_tool_ends_the_run_and_harms_no_job() {
    let (_folder, catalog) = empty().await;
    ask_for(&catalog, 1..=9).await;
    let stage = Fake::new(|_| Err(Failure::permanent(Reason::ToolMissing, "yt-dlp not found")));
    assert_eq!(drive(&catalog, &stage).await.unwrap_err().exit(), Exit::Unusable);
    assert_eq!(drive(&catalog, &Fake::new(|_| Ok(Outcome::Done))).await.unwrap().done, 9);
}

#[tokio::test]
async fn limits_and_the_wish_to_stop_end_a_run_early() {
    let (_folder, catalog) = empty().await;
    ask_for(&catalog, 1..=20).await;
    let fine = Fake::new(|_| Ok(Outcome::Done));
    let stop = Stop::default();
    let run = |plan: DrivePlan| Driver::new(&catalog, plan, &stop, &Silent).drive(&fine);
    let plan = DrivePlan { slots: 4, ..DrivePlan::new("tester".to_owned()) };
    assert_eq!(run(DrivePlan { max_jobs: Some(7), ..plan.clone() }).await.unwrap().done, 7);
    assert!(run(DrivePlan { deadline_ms: Some(NOW_MS), ..plan.clone() }).await.unwrap().is_idle());
    stop.ask();
    assert!(run(plan.clone()).await.unwrap().is_idle());
    assert_eq!(jobs::count_due(&catalog, StageName::Scan).await.unwrap(), 13);
}

#[tokio::test]
async fn asking_twice_to_stop_gives_the_job_back() {
    let (_folder, catalog) = empty().await;
    ask_for(&catalog, 1..=1).await;
    struct Endless(Stop);
    impl Stage for Endless {
        const NAME: StageName = StageName::Scan;
        const UNIT: &'static str = "videos";
        type Subject = ();
        type Output = ();

        fn rev(&self) -> String {
            "1".to_owned()
        }
        async fn load(&self, _catalog: &Catalog, _subject_id: i64) -> Result<(), Failure> {
            Ok(())
        }
        async fn run(&self, (): (), _context: &JobContext<'_>) -> Result<(), Failure> {
            self.0.ask();
            self.0.ask();
            std::future::pending().await
        }
        async fn commit(&self, _tx: &mut Transaction, (): ()) -> Result<Outcome, CatalogError> {
            Ok(Outcome::Done)
        }
    }
    let stage = Endless(Stop::default());
    let plan = DrivePlan::new("tester".to_owned());
    let summary = Driver::new(&catalog, plan, &stage.0, &Silent).drive(&stage).await.unwrap();
    assert_eq!(summary.given_back, 1);
    let job = jobs::get(&catalog, StageName::Scan, 1).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempt, job.due_at), (JobState::Open, 0, Some(NOW_MS)));
}

#[tokio::test]
async fn asking_twice_is_harmless_and_a_new_revision_makes_work_new() {
    let (_folder, catalog) = empty().await;
    assert_eq!(ask_for(&catalog, 1..=3).await, 3);
    assert_eq!(ask_for(&catalog, 1..=3).await, 0);
    drive(&catalog, &Fake::new(|_| Ok(Outcome::Done))).await.unwrap();
    assert_eq!(ask_for(&catalog, 1..=3).await, 0, "what is done stays done");
    let mut tx = catalog.begin().await.unwrap();
    assert_eq!(jobs::enqueue(&mut tx, StageName::Scan, "2", 0, 1).await.unwrap(), 1);
    let verdict = jobs::Verdict { reason: Reason::TooLong, detail: "300 s" };
    jobs::enqueue_rejected(&mut tx, StageName::Fetch, "1", 9, verdict).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(jobs::get(&catalog, StageName::Scan, 1).await.unwrap().unwrap().state, JobState::Open);
    assert_eq!(
        jobs::get(&catalog, StageName::Fetch, 9).await.unwrap().unwrap().reason,
        Some(Reason::TooLong)
    );
    assert_eq!(jobs::retry(&catalog, Reason::TooLong, Some(StageName::Fetch)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_read_only_catalog_can_be_looked_at_while_another_writes() {
    let (folder, catalog) = empty().await;
    ask_for(&catalog, 1..=3).await;
    let look = Catalog::open_read_only(&folder.path().join("catalog.db"), catalog.clock()).await.unwrap();
    let _writing = catalog.begin().await.unwrap();
    assert_eq!(jobs::count_due(&look, StageName::Scan).await.unwrap(), 3);
    let claim = Claim { stage: StageName::Scan, rev: "1", worker: "reader", lease_ms: 1 };
    assert!(jobs::claim(&look, claim, &jobs::JobFilter::default()).await.is_err(), "it cannot write");
}

//! Driving small stages of the tests' own.

use super::*;
use crate::catalog::CatalogError;
use crate::clock::Clock;
use crate::pipeline::Patience;
use crate::progress::Silent;

/// Refuses the first subject for this reason, always.
struct Refusing(Reason);

impl Stage for Refusing {
    const NAME: StageName = StageName::Fetch;
    const UNIT: &'static str = "videos";
    type Subject = i64;
    type Output = ();

    fn rev(&self) -> String {
        "1".to_owned()
    }

    async fn load(&self, _catalog: &Catalog, subject_id: i64) -> Result<i64, Failure> {
        Ok(subject_id)
    }

    async fn run(&self, subject: i64, _context: &JobContext<'_>) -> Result<(), Failure> {
        if subject == 1 { Err(Failure::transient(self.0, "refused")) } else { Ok(()) }
    }

    async fn commit(&self, _tx: &mut Transaction, _output: ()) -> Result<Outcome, CatalogError> {
        Ok(Outcome::Done)
    }
}

/// Drives three jobs, the first of which is refused. Every pause is over at once.
async fn drive_refusing(reason: Reason, first_backoff_ms: i64) -> Driven {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db"), &Clock::fixed(5)).await.unwrap();
    let mut tx = catalog.begin().await.unwrap();
    for (priority, subject_id) in [(0, 1), (1, 2), (1, 3)] {
        jobs::enqueue(&mut tx, StageName::Fetch, "1", priority, subject_id).await.unwrap();
    }
    tx.commit().await.unwrap();
    let patience = Patience { first_backoff_ms, rate_limited_ms: 0, disk_ms: 0, ..Patience::default() };
    let plan = DrivePlan { max_jobs: Some(20), patience, ..DrivePlan::new("tester".to_owned()) };
    Driver::new(&catalog, plan, &Stop::default(), &Silent).drive(&Refusing(reason)).await.unwrap()
}

#[tokio::test]
async fn a_job_that_the_site_refuses_every_time_is_given_up_and_the_others_go_on() {
    let Driven { done, dead, postponed, given_back, .. } = drive_refusing(Reason::RateLimited, 0).await;
    assert_eq!((done, dead, postponed, given_back), (2, 1, 2, 2));
}

#[tokio::test]
async fn what_another_process_has_in_hand_is_not_work_that_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db"), &Clock::fixed(5)).await.unwrap();
    let mut tx = catalog.begin().await.unwrap();
    jobs::enqueue(&mut tx, StageName::Fetch, "1", 0, 7).await.unwrap();
    tx.commit().await.unwrap();
    let claim = Claim { stage: StageName::Fetch, rev: "1", worker: "another", lease_ms: 60_000 };
    jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
    let (plan, stage) = (DrivePlan::new("tester".to_owned()), Refusing(Reason::Disk));
    let driven = Driver::new(&catalog, plan, &Stop::default(), &Silent).drive(&stage).await.unwrap();
    assert!(driven.is_idle());
    assert_eq!(driven.next_due_ms, None);
}

/// Loses its lease at the first attempt, as if its process were dead, and writes down what it cleaned up. Such an attempt
/// counts from the fifth time on.
struct Losing(Catalog, Mutex<Vec<i64>>);

impl Stage for Losing {
    const NAME: StageName = StageName::Cut;
    const UNIT: &'static str = "videos";
    type Subject = ();
    type Output = ();

    fn rev(&self) -> String {
        "1".to_owned()
    }

    async fn load(&self, _catalog: &Catalog, _subject_id: i64) -> Result<(), Failure> {
        Ok(())
    }

    async fn run(&self, _subject: (), context: &JobContext<'_>) -> Result<(), Failure> {
        if context.job.attempt == 1 {
            jobs::take_back(&self.0, std::slice::from_ref(&context.job.worker)).await?;
        }
        Ok(())
    }

    async fn commit(&self, _tx: &mut Transaction, _output: ()) -> Result<Outcome, CatalogError> {
        Ok(Outcome::Rejected { reason: Reason::NoFace, detail: String::new() })
    }

    fn clean_up(&self, subject_id: i64) -> Result<(), Failure> {
        self.1.lock().unwrap().push(subject_id);
        Ok(())
    }
}

#[tokio::test]
async fn only_whoever_ends_a_job_in_the_catalog_removes_its_unfinished_work() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db"), &Clock::fixed(5)).await.unwrap();
    let mut tx = catalog.begin().await.unwrap();
    jobs::enqueue(&mut tx, StageName::Cut, "1", 0, 7).await.unwrap();
    tx.commit().await.unwrap();
    let stage = Losing(catalog.clone(), Mutex::default());
    let plan = DrivePlan::new("tester".to_owned());
    let driven = Driver::new(&catalog, plan, &Stop::default(), &Silent).drive(&stage).await.unwrap();
    assert_eq!((driven.lost, driven.rejected), (5, 1));
    assert_eq!(*stage.1.lock().unwrap(), [7]);
}

#[tokio::test]
async fn a_job_that_finds_no_room_lets_the_others_go_first_and_is_not_given_up() {
    let Driven { done, dead, postponed, given_back, .. } = drive_refusing(Reason::Disk, 60_000).await;
    assert_eq!((done, dead, postponed, given_back), (2, 0, 0, 3));
}

#[test]
fn a_drive_that_looks_at_videos_reports_its_speed_and_the_time_left() {
    let gain = Gain { video_ms: 240_000, faces: 9 };
    let tally = Tally { ended: 2, total: Some(8), gain, ..Tally::default() };
    let rate = tally.throughput(120_000).unwrap();
    assert_eq!((rate.video_hours_per_hour, rate.faces, rate.eta_s), (2.0, 9, Some(360)));
    let more_comes = Tally { total: None, ..tally };
    assert_eq!(more_comes.throughput(120_000).unwrap().eta_s, None);
    assert!(more_comes.throughput(0).is_some(), "a clock that stands still");
    assert!(Tally { ended: 2, ..Tally::default() }.throughput(120_000).is_none());
}

#[test]
fn jobs_that_are_due_but_not_wanted_are_not_waited_for() {
    let plan = DrivePlan::new("worker".to_owned());
    assert_eq!(total(&plan, 1_000), Some(1_000));
    let few = DrivePlan { max_jobs: Some(10), ..plan };
    assert_eq!((total(&few, 1_000), total(&few, 4)), (Some(10), Some(4)));
    assert_eq!(total(&DrivePlan { upstream_ended: Some(Stop::default()), ..few }, 1_000), None);
}

//! The `job` table: the work of every stage, and the leases on it.
//!
//! A holder identifies itself with its [`HeldJob`]. Every function that ends or extends a lease updates exactly that row
//! and returns whether it did: false means that the lease was lost and that the result must be discarded.

mod filter;
mod wanted;

use super::{Catalog, Result, Transaction, json, number, word};
use crate::failure::Reason;
use crate::types::{JobId, JobState, StageName};

pub use filter::JobFilter;
pub use wanted::{
    await_source, cut_again, enqueue, enqueue_all, enqueue_rejected, fetch_again, keep_answered, overrule,
    reopen, retry, set_rev, source_is_back, withdraw,
};

/// A job that a worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldJob {
    /// Its row.
    pub id: JobId,
    /// The search or video it is about.
    pub subject_id: i64,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Who holds it.
    pub worker: String,
    /// The revision it is done with.
    pub rev: String,
}

/// What is claimed, by whom and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The stage.
    pub stage: StageName,
    /// The stage's current revision and recipe: the job is done with these, also if it was enqueued with others.
    pub rev: &'a str,
    /// The claimer's name, unique among processes.
    pub worker: &'a str,
    /// How long the lease lasts without a heartbeat.
    pub lease_ms: i64,
}

/// A job as `status` and `explain` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its row.
    pub id: JobId,
    /// Its state.
    pub state: JobState,
    /// Attempts so far.
    pub attempt: u32,
    /// When it may next be claimed; none when it is finished.
    pub due_at: Option<i64>,
    /// Who holds it.
    pub worker: Option<String>,
    /// Why it did not end in `done`, or was postponed.
    pub reason: Option<Reason>,
    /// The same in a sentence.
    pub detail: Option<String>,
}

/// A lease, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    /// The stage.
    pub stage: StageName,
    /// The search or video.
    pub subject_id: i64,
    /// Who holds it.
    pub worker: String,
    /// Which attempt it is.
    pub attempt: u32,
    /// When it ends unless it is extended; milliseconds since 1970.
    pub ends_at: i64,
}

/// Why a job ends or waits, as a reason and as a sentence.
#[derive(Debug, Clone, Copy)]
pub struct Verdict<'a> {
    /// The reason.
    pub reason: Reason,
    /// The sentence, with the numbers that led to it.
    pub detail: &'a str,
}

/// Claims the most urgent job that is due and passes the filter; none when there is no such job or the stage is paused.
/// The attempt counts from now on, except while its holder [waits](set_waiting).
pub async fn claim(catalog: &Catalog, claim: Claim<'_>, filter: &JobFilter) -> Result<Option<HeldJob>> {
    let of = filter.columns();
    let Claim { stage, rev, worker, lease_ms } = claim;
    let stage = stage.as_str();
    let now_ms = catalog.clock.now_ms();
    let until_ms = now_ms + lease_ms;
    let row = sqlx::query_file!(
        "queries/catalog/job/claim.sql",
        stage,
        now_ms,
        worker,
        rev,
        until_ms,
        of.emotion,
        of.list,
        of.site,
        of.lexicon,
        of.rev
    )
    .fetch_optional(&catalog.writer)
    .await?;
    row.map(|row| {
        Ok(HeldJob {
            id: JobId(row.id),
            subject_id: row.subject_id,
            attempt: number(row.attempt)?,
            worker: worker.to_owned(),
            rev: rev.to_owned(),
        })
    })
    .transpose()
}

/// Extends a lease.
pub async fn heartbeat(catalog: &Catalog, job: &HeldJob, lease_ms: i64) -> Result<bool> {
    let until_ms = catalog.clock.now_ms() + lease_ms;
    let done = sqlx::query_file!(
        "queries/catalog/job/heartbeat.sql",
        job.id.0,
        job.worker,
        job.attempt,
        job.rev,
        until_ms
    )
    .execute(&catalog.writer)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records whether a job's holder is only waiting for its turn: if it dies meanwhile, the attempt does not count.
pub async fn set_waiting(catalog: &Catalog, job: &HeldJob, is_waiting: bool) -> Result<bool> {
    let done = sqlx::query_file!(
        "queries/catalog/job/set_waiting.sql",
        job.id.0,
        job.worker,
        job.attempt,
        job.rev,
        is_waiting
    )
    .execute(&catalog.writer)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a job as done.
pub async fn finish(tx: &mut Transaction, job: &HeldJob) -> Result<bool> {
    end(tx, job, JobState::Done, None).await
}

/// Ends a job as rejected: the verdict is about its subject.
pub async fn reject(tx: &mut Transaction, job: &HeldJob, verdict: Verdict<'_>) -> Result<bool> {
    end(tx, job, JobState::Rejected, Some(verdict)).await
}

/// Ends a job as dead: it is not tried again until a person asks for it.
pub async fn give_up(tx: &mut Transaction, job: &HeldJob, verdict: Verdict<'_>) -> Result<bool> {
    end(tx, job, JobState::Dead, Some(verdict)).await
}

async fn end(
    tx: &mut Transaction,
    job: &HeldJob,
    state: JobState,
    verdict: Option<Verdict<'_>>,
) -> Result<bool> {
    let (reason, detail) = (verdict.map(|it| it.reason.as_str()), verdict.map(|it| it.detail));
    let (state, now_ms) = (state.as_str(), tx.now_ms());
    let done = sqlx::query_file!(
        "queries/catalog/job/end.sql",
        job.id.0,
        job.worker,
        job.attempt,
        job.rev,
        state,
        reason,
        detail,
        now_ms
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Postpones a job until a time (milliseconds since 1970). The attempt counts.
pub async fn postpone(
    tx: &mut Transaction,
    job: &HeldJob,
    verdict: Verdict<'_>,
    due_at: i64,
) -> Result<bool> {
    let (reason, detail) = (verdict.reason.as_str(), verdict.detail);
    let done = sqlx::query_file!(
        "queries/catalog/job/postpone.sql",
        job.id.0,
        job.worker,
        job.attempt,
        job.rev,
        reason,
        detail,
        due_at
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Releases a job, which is due again at a time (milliseconds since 1970). The attempt does not count.
pub async fn give_back(tx: &mut Transaction, job: &HeldJob, due_at: i64) -> Result<bool> {
    let done = sqlx::query_file!(
        "queries/catalog/job/give_back.sql",
        job.id.0,
        job.worker,
        job.attempt,
        job.rev,
        due_at
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How often the process that holds a job may die without its attempt counting.
const MAX_ORPHANED: i64 = 4;

/// Ends the leases of processes that died; returns how many. An attempt counts only from the fifth such death of its job on,
/// since then the job may be the cause; never where it was only waiting for its turn.
pub async fn take_back(catalog: &Catalog, workers: &[String]) -> Result<u64> {
    let list = json(workers)?;
    let done = sqlx::query_file!("queries/catalog/job/take_back.sql", list, MAX_ORPHANED)
        .execute(&catalog.writer)
        .await?;
    Ok(done.rows_affected())
}

/// Records how a job ended elsewhere: in another catalog that is merged, or with an earlier scan that is put in force again.
/// A job that is done here with the same revision stays as it is.
pub async fn record_merged_end(
    tx: &mut Transaction,
    stage: StageName,
    subject_id: i64,
    rev: &str,
    end: &MergedEnd,
) -> Result<()> {
    let (stage, state) = (stage.as_str(), end.state.as_str());
    let (reason, now_ms) = (end.reason.map(Reason::as_str), tx.now_ms());
    sqlx::query_file!(
        "queries/catalog/job/record_merged_end.sql",
        stage,
        subject_id,
        rev,
        state,
        reason,
        end.detail,
        now_ms
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How a job ended elsewhere, see [`record_merged_end`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedEnd {
    /// The state, a finished one.
    pub state: JobState,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// The same in a sentence.
    pub detail: Option<String>,
}

/// The number of jobs of a stage that are due now.
pub async fn count_due(catalog: &Catalog, stage: StageName) -> Result<u64> {
    count_due_of(catalog, stage, &JobFilter::default()).await
}

/// The same among the jobs that pass a filter.
pub async fn count_due_of(catalog: &Catalog, stage: StageName, filter: &JobFilter) -> Result<u64> {
    let of = filter.columns();
    let (stage, now_ms) = (stage.as_str(), catalog.clock.now_ms());
    let count = sqlx::query_file_scalar!(
        "queries/catalog/job/count_due.sql",
        stage,
        now_ms,
        of.emotion,
        of.list,
        of.site,
        of.lexicon,
        of.rev
    )
    .fetch_one(&catalog.reader)
    .await?;
    number(count)
}

/// The number of videos that have a file and no scan job of this revision.
pub async fn count_unasked(catalog: &Catalog, scan_rev: &str) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/job/count_unasked.sql", scan_rev)
        .fetch_one(&catalog.reader)
        .await?;
    number(count)
}

/// When the next job of a stage that passes the filter is due; milliseconds since 1970. Jobs in hand are left out: their
/// holders bring them to an end.
pub async fn next_due_ms(catalog: &Catalog, stage: StageName, filter: &JobFilter) -> Result<Option<i64>> {
    let of = filter.columns();
    let (stage, now_ms) = (stage.as_str(), catalog.clock.now_ms());
    let due_at = sqlx::query_file_scalar!(
        "queries/catalog/job/get_next_due.sql",
        stage,
        of.emotion,
        of.list,
        of.site,
        of.lexicon,
        of.rev,
        now_ms
    );
    Ok(due_at.fetch_one(&catalog.reader).await?)
}

/// The job of a stage on a subject.
pub async fn get(catalog: &Catalog, stage: StageName, subject_id: i64) -> Result<Option<Job>> {
    let stage = stage.as_str();
    let row = sqlx::query_file!("queries/catalog/job/get.sql", stage, subject_id)
        .fetch_optional(&catalog.reader)
        .await?;
    row.map(|row| {
        Ok(Job {
            id: JobId(row.id),
            state: word(&row.state)?,
            attempt: number(row.attempt)?,
            due_at: row.due_at,
            worker: row.worker,
            reason: row.reason.as_deref().map(word).transpose()?,
            detail: row.detail,
        })
    })
    .transpose()
}

/// All leases, for `status`, including expired ones.
pub async fn held(catalog: &Catalog) -> Result<Vec<HeldLease>> {
    let rows = sqlx::query_file!("queries/catalog/job/list_held.sql").fetch_all(&catalog.reader).await?;
    rows.into_iter()
        .map(|row| {
            Ok(HeldLease {
                stage: word(&row.stage)?,
                subject_id: row.subject_id,
                worker: row.worker,
                attempt: number(row.attempt)?,
                ends_at: row.due_at,
            })
        })
        .collect()
}

//! The `job` table: every piece of work of every stage, and the leases on it.
//!
//! Whoever holds a job says so with its [`HeldJob`]; each function that ends or prolongs a lease touches exactly that
//! row and returns whether it did. False means that the lease was lost, and that the result is to be thrown away.

mod wanted;

use super::{Catalog, Result, Transaction, json, number, word};
use crate::failure::Reason;
use crate::types::{Emotion, JobId, JobState, StageName};

pub use wanted::{
    await_source, cut_again, enqueue, enqueue_all, enqueue_rejected, fetch_again, keep_answered, overrule,
    reopen, retry, set_rev, source_is_back, withdraw,
};

/// A job in somebody's hands.
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
    /// With which revision.
    pub rev: String,
}

/// Who claims what, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The stage.
    pub stage: StageName,
    /// The stage's revision and recipe: what the work is done with, whatever it was asked for with.
    pub rev: &'a str,
    /// Names the claimer; no two processes share it.
    pub worker: &'a str,
    /// How long the lease lasts without a heartbeat.
    pub lease_ms: i64,
}

/// Which jobs of a stage are meant; the default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Only {
    /// Jobs of this emotion: that of the search, else that of the video.
    pub emotion: Option<Emotion>,
    /// Jobs on videos that this list names.
    pub list: Option<String>,
    /// Jobs on videos of this site: `youtube`, or `local` for those on disk.
    pub site: Option<&'static str>,
    /// Of the searches those of this lexicon; jobs of other stages are of none, and are all meant.
    pub lexicon: Option<String>,
    /// Of the searches those asked for with this revision; jobs of other stages are all meant.
    pub rev: Option<String>,
}

/// A job as `status` and `explain` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its row.
    pub id: JobId,
    /// How it stands.
    pub state: JobState,
    /// Attempts so far.
    pub attempt: u32,
    /// When anyone may next take it; none when it is finished.
    pub due_at: Option<i64>,
    /// Who holds it.
    pub worker: Option<String>,
    /// Why it did not end in `done`, or was put off.
    pub reason: Option<Reason>,
    /// In words.
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
    /// When it ends unless it is prolonged; milliseconds since 1970.
    pub ends_at: i64,
}

/// A verdict that needed no work.
#[derive(Debug, Clone, Copy)]
pub struct Verdict<'a> {
    /// Why.
    pub reason: Reason,
    /// In words, with the numbers that led to it.
    pub detail: &'a str,
}

/// Takes the most urgent of these jobs that is due, unless none is or the stage is paused. The attempt counts from here,
/// but not while its holder [waits](set_waits).
pub async fn claim(catalog: &Catalog, claim: Claim<'_>, only: &Only) -> Result<Option<HeldJob>> {
    let (emotion, list) = (only.emotion.map(Emotion::as_str), only.list.as_deref());
    let (site, lexicon, of_rev) = (only.site, only.lexicon.as_deref(), only.rev.as_deref());
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
        emotion,
        list,
        site,
        lexicon,
        of_rev
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

/// Prolongs a lease.
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

/// Says whether a job's holder only waits for its turn: if it dies meanwhile, the attempt does not count.
pub async fn set_waits(catalog: &Catalog, job: &HeldJob, waits: bool) -> Result<bool> {
    let done = sqlx::query_file!(
        "queries/catalog/job/set_waits.sql",
        job.id.0,
        job.worker,
        job.attempt,
        job.rev,
        waits
    )
    .execute(&catalog.writer)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a job well.
pub async fn finish(tx: &mut Transaction, job: &HeldJob) -> Result<bool> {
    end(tx, job, JobState::Done, None).await
}

/// Ends a job with a verdict about its subject.
pub async fn reject(tx: &mut Transaction, job: &HeldJob, verdict: Verdict<'_>) -> Result<bool> {
    end(tx, job, JobState::Rejected, Some(verdict)).await
}

/// Ends a job that nobody should try again by himself.
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

/// Puts a job off until a time (milliseconds since 1970). The attempt counts.
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

/// Lets go of a job at once. The attempt does not count.
pub async fn give_back(tx: &mut Transaction, job: &HeldJob) -> Result<bool> {
    let now_ms = tx.now_ms();
    let done = sqlx::query_file!(
        "queries/catalog/job/give_back.sql",
        job.id.0,
        job.worker,
        job.attempt,
        job.rev,
        now_ms
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends the leases of workers that no longer are; says how many. The attempts count, for one of these jobs may be the
/// cause; not those of jobs that only waited for their turn.
pub async fn take_back(catalog: &Catalog, workers: &[String]) -> Result<u64> {
    let list = json(workers)?;
    let done = sqlx::query_file!("queries/catalog/job/take_back.sql", list).execute(&catalog.writer).await?;
    Ok(done.rows_affected())
}

/// Writes down how a job ended in another catalog. What is done here with the same revision stays as it is.
pub async fn settle(
    tx: &mut Transaction,
    stage: StageName,
    subject_id: i64,
    rev: &str,
    end: &MergedEnd,
) -> Result<()> {
    let (stage, state) = (stage.as_str(), end.state.as_str());
    let (reason, now_ms) = (end.reason.map(Reason::as_str), tx.now_ms());
    sqlx::query_file!(
        "queries/catalog/job/settle.sql",
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

/// How a job ended in another catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedEnd {
    /// In which state: a finished one.
    pub state: JobState,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// In words.
    pub detail: Option<String>,
}

/// How many jobs of a stage are due now.
pub async fn count_due(catalog: &Catalog, stage: StageName) -> Result<u64> {
    count_due_of(catalog, stage, &Only::default()).await
}

/// The same among some jobs only.
pub async fn count_due_of(catalog: &Catalog, stage: StageName, only: &Only) -> Result<u64> {
    let (emotion, list) = (only.emotion.map(Emotion::as_str), only.list.as_deref());
    let (site, lexicon, of_rev) = (only.site, only.lexicon.as_deref(), only.rev.as_deref());
    let (stage, now_ms) = (stage.as_str(), catalog.clock.now_ms());
    let count = sqlx::query_file_scalar!(
        "queries/catalog/job/count_due.sql",
        stage,
        now_ms,
        emotion,
        list,
        site,
        lexicon,
        of_rev
    )
    .fetch_one(&catalog.reader)
    .await?;
    number(count)
}

/// How many videos have a file that nobody was asked to look at with this revision of `scan`.
pub async fn count_unasked(catalog: &Catalog, scan_rev: &str) -> Result<u64> {
    let count = sqlx::query_file_scalar!("queries/catalog/job/count_unasked.sql", scan_rev)
        .fetch_one(&catalog.reader)
        .await?;
    number(count)
}

/// When the next of these jobs of a stage is due, or the next lease on one ends; milliseconds since 1970.
pub async fn next_due_ms(catalog: &Catalog, stage: StageName, only: &Only) -> Result<Option<i64>> {
    let (emotion, list) = (only.emotion.map(Emotion::as_str), only.list.as_deref());
    let (site, lexicon, of_rev) = (only.site, only.lexicon.as_deref(), only.rev.as_deref());
    let stage = stage.as_str();
    let due_at = sqlx::query_file_scalar!(
        "queries/catalog/job/get_next_due.sql",
        stage,
        emotion,
        list,
        site,
        lexicon,
        of_rev
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

/// All leases, for `status`; those whose end has passed are nobody's any more.
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

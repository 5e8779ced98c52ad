//! Which jobs there are to do: enqueued, reopened, overruled or withdrawn. None of these functions needs a lease.

use super::Verdict;
use crate::catalog::answers::Asking;
use crate::catalog::{Catalog, Result, Transaction, json};
use crate::failure::Reason;
use crate::types::{StageName, VideoId};

/// Enqueues a job; lower `priority` comes first. Doing it twice changes nothing; with a new `rev` the job is due again.
pub async fn enqueue(
    tx: &mut Transaction,
    stage: StageName,
    rev: &str,
    priority: i64,
    subject_id: i64,
) -> Result<u64> {
    enqueue_all(tx, stage, rev, priority, &[subject_id]).await
}

/// Enqueues jobs on many subjects at once; returns how many are new.
pub async fn enqueue_all(
    tx: &mut Transaction,
    stage: StageName,
    rev: &str,
    priority: i64,
    subject_ids: &[i64],
) -> Result<u64> {
    let (stage, list, now_ms) = (stage.as_str(), json(subject_ids)?, tx.now_ms());
    let done = sqlx::query_file!("queries/catalog/job/enqueue.sql", stage, rev, priority, list, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

/// Changes the revision of a stage's jobs: finished jobs stay finished.
pub async fn set_rev(tx: &mut Transaction, stage: StageName, from: &str, to: &str) -> Result<u64> {
    let stage = stage.as_str();
    let done = sqlx::query_file!("queries/catalog/job/set_rev.sql", stage, from, to)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

/// Marks searches that have a complete answer to the same asking as done with this revision, so that they are not asked
/// again. Returns how many. Call it before [`enqueue_all`] opens the others.
pub async fn keep_answered(
    tx: &mut Transaction,
    rev: &str,
    asking: &Asking,
    searches: &[i64],
) -> Result<u64> {
    let list = json(searches)?;
    let done = sqlx::query_file!(
        "queries/catalog/job/keep_answered.sql",
        rev,
        asking.fingerprint,
        asking.wanted,
        list
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected())
}

/// Records a job on a video as rejected before it began, so that `retry` finds it. It replaces one that is enqueued and
/// not yet begun, unless a list names the video or its file is wanted again. A job that is done stays done.
pub async fn enqueue_rejected(
    tx: &mut Transaction,
    stage: StageName,
    rev: &str,
    subject_id: i64,
    verdict: Verdict<'_>,
) -> Result<()> {
    let (stage, now_ms) = (stage.as_str(), tx.now_ms());
    let (reason, detail) = (verdict.reason.as_str(), verdict.detail);
    sqlx::query_file!(
        "queries/catalog/job/enqueue_rejected.sql",
        stage,
        subject_id,
        rev,
        reason,
        detail,
        now_ms
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Reopens a job that was rejected for a reason which no longer holds; returns whether there was one.
pub async fn overrule(
    tx: &mut Transaction,
    stage: StageName,
    reason: Reason,
    priority: i64,
    subject_id: i64,
) -> Result<bool> {
    let (stage, reason, now_ms) = (stage.as_str(), reason.as_str(), tx.now_ms());
    let done =
        sqlx::query_file!("queries/catalog/job/overrule.sql", stage, subject_id, reason, priority, now_ms)
            .execute(tx.connection())
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes open jobs, as for retired searches; returns how many.
pub async fn withdraw(tx: &mut Transaction, stage: StageName, subject_ids: &[i64]) -> Result<u64> {
    let (stage, list) = (stage.as_str(), json(subject_ids)?);
    let done =
        sqlx::query_file!("queries/catalog/job/withdraw.sql", stage, list).execute(tx.connection()).await?;
    Ok(done.rows_affected())
}

/// Reopens jobs that were rejected or given up for a reason, of one stage or of all; returns how many. Jobs that wait for
/// their video's file go on waiting.
pub async fn retry(catalog: &Catalog, reason: Reason, stage: Option<StageName>) -> Result<u64> {
    let (reason, stage) = (reason.as_str(), stage.map(StageName::as_str));
    let now_ms = catalog.clock.now_ms();
    let done = sqlx::query_file!("queries/catalog/job/retry.sql", reason, stage, now_ms)
        .execute(&catalog.writer)
        .await?;
    Ok(done.rows_affected())
}

/// Has discarded files fetched again for videos whose scan or cut did not end in `done` with a revision of the scan;
/// returns how many. Call it before [`retry`] reopens those scans.
pub async fn fetch_again(catalog: &Catalog, rev: &str) -> Result<u64> {
    let now_ms = catalog.clock.now_ms();
    let done = sqlx::query_file!("queries/catalog/job/fetch_again.sql", rev, now_ms)
        .execute(&catalog.writer)
        .await?;
    Ok(done.rows_affected())
}

/// Reopens finished jobs, as when their files are gone; returns how many.
pub async fn reopen(tx: &mut Transaction, stage: StageName, subject_ids: &[i64]) -> Result<u64> {
    let (stage, list, now_ms) = (stage.as_str(), json(subject_ids)?, tx.now_ms());
    let done = sqlx::query_file!("queries/catalog/job/reopen.sql", stage, list, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

/// Has a video of which lists name parts cut again, if a cut was enqueued before; the result of one under way will be
/// discarded. Returns the number of jobs, 0 or 1.
pub async fn cut_again(tx: &mut Transaction, video: VideoId) -> Result<u64> {
    let now_ms = tx.now_ms();
    let done = sqlx::query_file!("queries/catalog/job/cut_again.sql", video.0, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

/// Reopens the scan and the cut of a video whose file is there again, if they ended because it was missing; returns the
/// number of jobs.
pub async fn source_is_back(tx: &mut Transaction, video: VideoId) -> Result<u64> {
    let now_ms = tx.now_ms();
    let done = sqlx::query_file!("queries/catalog/job/source_is_back.sql", video.0, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

/// Has finished jobs done again once the videos' files are there; returns how many. Until then they are rejected, since
/// they cannot be done without a file.
pub async fn await_source(
    tx: &mut Transaction,
    stage: StageName,
    subject_ids: &[i64],
    detail: &str,
) -> Result<u64> {
    let (stage, list, now_ms) = (stage.as_str(), json(subject_ids)?, tx.now_ms());
    let done = sqlx::query_file!("queries/catalog/job/await_source.sql", stage, list, detail, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

//! What is to be done: jobs asked for, asked for again, and wanted no more. Nobody holds them here.

use super::Verdict;
use crate::catalog::answers::Asking;
use crate::catalog::{Catalog, Result, Transaction, json};
use crate::failure::Reason;
use crate::types::{StageName, VideoId};

/// Asks for one piece of work; lower `priority` comes first. Asking twice is harmless, a new `rev` makes it new.
pub async fn enqueue(
    tx: &mut Transaction,
    stage: StageName,
    rev: &str,
    priority: i64,
    subject_id: i64,
) -> Result<u64> {
    enqueue_all(tx, stage, rev, priority, &[subject_id]).await
}

/// Asks for work on many subjects at once; says how much of it is new.
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

/// Gives the work of a stage that has one revision another one: what is finished stays so.
pub async fn set_rev(tx: &mut Transaction, stage: StageName, from: &str, to: &str) -> Result<u64> {
    let stage = stage.as_str();
    let done = sqlx::query_file!("queries/catalog/job/set_rev.sql", stage, from, to)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

/// Gives searches that have a whole answer to the same asking a revision, and has them done: nobody asks twice. Says how
/// many. Ask before [`enqueue_all`] opens the others.
pub async fn keep_answered(
    tx: &mut Transaction,
    rev: &str,
    asking: &Asking,
    searches: &[i64],
) -> Result<u64> {
    let list = json(searches)?;
    let done =
        sqlx::query_file!("queries/catalog/job/keep_answered.sql", rev, asking.beside, asking.wanted, list)
            .execute(tx.connection())
            .await?;
    Ok(done.rows_affected())
}

/// Writes down a job on a video that is rejected before it began, so that `retry` finds it: also one that was asked for
/// and waits to be begun, unless a list names the video or its file is wanted again. Work that is done stays done.
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

/// Asks for work after all that was rejected for a reason which no longer holds; says whether it was.
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

/// Takes open jobs back, as for retired searches; says how many.
pub async fn withdraw(tx: &mut Transaction, stage: StageName, subject_ids: &[i64]) -> Result<u64> {
    let (stage, list) = (stage.as_str(), json(subject_ids)?);
    let done =
        sqlx::query_file!("queries/catalog/job/withdraw.sql", stage, list).execute(tx.connection()).await?;
    Ok(done.rows_affected())
}

/// Makes rejected and dead jobs of a reason due again, of one stage or of all; says how many. Those that wait for their
/// video's file wait on.
pub async fn retry(catalog: &Catalog, reason: Reason, stage: Option<StageName>) -> Result<u64> {
    let (reason, stage) = (reason.as_str(), stage.map(StageName::as_str));
    let now_ms = catalog.clock.now_ms();
    let done = sqlx::query_file!("queries/catalog/job/retry.sql", reason, stage, now_ms)
        .execute(&catalog.writer)
        .await?;
    Ok(done.rows_affected())
}

/// Has the discarded files fetched again of videos whose look or cut did not come to its end with a revision of the
/// look; says how many. Ask before [`retry`] opens those looks.
pub async fn fetch_again(catalog: &Catalog, rev: &str) -> Result<u64> {
    let now_ms = catalog.clock.now_ms();
    let done = sqlx::query_file!("queries/catalog/job/fetch_again.sql", rev, now_ms)
        .execute(&catalog.writer)
        .await?;
    Ok(done.rows_affected())
}

/// Has finished work done once more, as for files that are gone; says how many jobs that are.
pub async fn reopen(tx: &mut Transaction, stage: StageName, subject_ids: &[i64]) -> Result<u64> {
    let (stage, list, now_ms) = (stage.as_str(), json(subject_ids)?, tx.now_ms());
    let done = sqlx::query_file!("queries/catalog/job/reopen.sql", stage, list, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

/// Has a video cut again of which lists mean parts, where a cut was asked for before; a cut that goes on is thrown away.
/// Says how many jobs that are.
pub async fn cut_again(tx: &mut Transaction, video: VideoId) -> Result<u64> {
    let now_ms = tx.now_ms();
    let done = sqlx::query_file!("queries/catalog/job/cut_again.sql", video.0, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

/// Has a video whose file is there again looked at and cut, where that ended for want of the file; says how many jobs
/// that are.
pub async fn source_is_back(tx: &mut Transaction, video: VideoId) -> Result<u64> {
    let now_ms = tx.now_ms();
    let done = sqlx::query_file!("queries/catalog/job/source_is_back.sql", video.0, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

/// Has finished work done once more when the videos' files are there again; says how many jobs that are. Until then they
/// are rejected, since without a file nobody can do them.
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

//! The `attempt` table: the failure of each unsuccessful attempt at a job, with the tool's raw message.

use super::jobs::HeldJob;
use super::{Catalog, Result, Transaction, number};
use crate::failure::{Failure, FailureKind, Reason};
use crate::types::JobId;

/// Records an unsuccessful attempt.
pub async fn insert(tx: &mut Transaction, job: &HeldJob, failure: &Failure) -> Result<()> {
    let (kind, reason, now_ms) = (kind_text(failure.kind), failure.reason.as_str(), tx.now_ms());
    sqlx::query_file!(
        "queries/catalog/attempt/insert.sql",
        job.id.0,
        job.attempt,
        job.worker,
        kind,
        reason,
        failure.detail,
        now_ms
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The number of a job's attempts that failed for a reason.
pub async fn count(tx: &mut Transaction, job: JobId, reason: Reason) -> Result<u64> {
    let reason = reason.as_str();
    let count = sqlx::query_file_scalar!("queries/catalog/attempt/count.sql", job.0, reason)
        .fetch_one(tx.connection())
        .await?;
    number(count)
}

/// Empties what the site said to searches before a time (milliseconds since 1970): an error may name a video.
pub async fn expire(catalog: &Catalog, before_ms: i64) -> Result<()> {
    let mut tx = catalog.begin().await?;
    sqlx::query_file!("queries/catalog/attempt/expire_search_details.sql", before_ms)
        .execute(tx.connection())
        .await?;
    sqlx::query_file!("queries/catalog/job/expire_search_details.sql", before_ms)
        .execute(tx.connection())
        .await?;
    tx.commit().await
}

fn kind_text(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Rejected => "rejected",
        FailureKind::Transient => "transient",
        FailureKind::Permanent => "permanent",
        FailureKind::Bug => "bug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{jobs, tests::empty};
    use crate::types::StageName;

    #[tokio::test]
    async fn what_the_site_said_to_a_search_is_emptied_with_its_raw_answers() {
        let (_folder, catalog) = empty().await;
        for (stage, subject) in [(StageName::Search, 1), (StageName::Search, 2), (StageName::Fetch, 3)] {
            let mut tx = catalog.begin().await.unwrap();
            jobs::enqueue(&mut tx, stage, "1", 0, subject).await.unwrap();
            tx.commit().await.unwrap();
            let claim = jobs::Claim { stage, rev: "1", worker: "w", lease_ms: 10_000 };
            let held = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
            let failure = Failure::permanent(Reason::Network, "a title: private");
            let verdict = jobs::Verdict { reason: failure.reason, detail: &failure.detail };
            let mut tx = catalog.begin().await.unwrap();
            insert(&mut tx, &held, &failure).await.unwrap();
            assert!(jobs::give_up(&mut tx, &held, verdict).await.unwrap());
            tx.commit().await.unwrap();
            catalog.clock().advance_ms(1_000);
        }
        // Of the searches only the first is that old.
        expire(&catalog, catalog.clock().now_ms() - 2_500).await.unwrap();
        let saying = "select subject_id from job where detail is not null order by 1";
        let attempts = "select subject_id from attempt join job on job.id = job_id where attempt.detail <> '' order by 1";
        for query in [saying, attempts] {
            let left: Vec<i64> = sqlx::query_scalar(query).fetch_all(&catalog.reader).await.unwrap();
            assert_eq!(left, [2, 3]);
        }
        expire(&catalog, i64::MAX).await.unwrap();
        let left: Vec<i64> = sqlx::query_scalar(saying).fetch_all(&catalog.reader).await.unwrap();
        assert_eq!(left, [3], "a video's own go with it");
    }
}

//! The `round` table: every `webemotion run`. Also counts the jobs that ended or were postponed between two times.

use super::{Catalog, Result, Transaction, number, word};
use crate::failure::Reason;
use crate::types::{JobState, StageName};

/// One start of `webemotion run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Its row.
    pub id: i64,
    /// The process that runs or ran it.
    pub holder: String,
    /// Milliseconds since 1970.
    pub started_at: i64,
    /// Milliseconds since 1970; none while it runs.
    pub ended_at: Option<i64>,
    /// Its exit code; none while it runs, or if it was killed.
    pub exit: Option<i64>,
    /// Its summary as JSON.
    pub summary: Option<String>,
}

/// The number of a stage's jobs that ended in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The stage.
    pub stage: StageName,
    /// The state; [`JobState::Open`] for jobs that were postponed.
    pub state: JobState,
    /// Why, where there is a reason.
    pub reason: Option<Reason>,
    /// How many.
    pub jobs: u64,
}

/// Records that a round begins; returns its row.
pub async fn begin(tx: &mut Transaction, holder: &str) -> Result<i64> {
    let now_ms = tx.now_ms();
    Ok(sqlx::query_file_scalar!("queries/catalog/round/insert.sql", holder, now_ms)
        .fetch_one(tx.connection())
        .await?)
}

/// Records how a round ended; without an exit code it was killed. Returns whether it was still running.
pub async fn end(tx: &mut Transaction, round: i64, exit: Option<i64>, summary: Option<&str>) -> Result<bool> {
    let now_ms = tx.now_ms();
    let done = sqlx::query_file!("queries/catalog/round/end.sql", round, now_ms, exit, summary)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The last rounds, newest first.
pub async fn list(catalog: &Catalog, most: u32) -> Result<Vec<Round>> {
    Ok(sqlx::query_file_as!(Round, "queries/catalog/round/list.sql", most).fetch_all(&catalog.reader).await?)
}

/// The jobs that ended in `from_ms..until_ms`, milliseconds since 1970.
pub async fn ended(catalog: &Catalog, from_ms: i64, until_ms: i64) -> Result<Vec<Ended>> {
    let rows = sqlx::query_file!("queries/catalog/round/count_ended.sql", from_ms, until_ms)
        .fetch_all(&catalog.reader)
        .await?;
    rows.into_iter()
        .map(|row| {
            let (stage, state) = (word(&row.stage)?, word(&row.state)?);
            let reason = row.reason.as_deref().map(word).transpose()?;
            Ok(Ended { stage, state, reason, jobs: number(row.jobs)? })
        })
        .collect()
}

/// The jobs that failed in `from_ms..until_ms` and wait for their next attempt.
pub async fn postponed(catalog: &Catalog, from_ms: i64, until_ms: i64) -> Result<Vec<Ended>> {
    let rows = sqlx::query_file!("queries/catalog/round/count_postponed.sql", from_ms, until_ms)
        .fetch_all(&catalog.reader)
        .await?;
    rows.into_iter()
        .map(|row| {
            let (stage, reason) = (word(&row.stage)?, Some(word(&row.reason)?));
            Ok(Ended { stage, state: JobState::Open, reason, jobs: number(row.jobs)? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::jobs::{self, Claim, Verdict};
    use crate::catalog::{attempts, tests::empty};
    use crate::failure::Failure;

    #[tokio::test]
    async fn a_round_ends_once_and_one_that_was_killed_has_no_exit_code() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let first = begin(&mut tx, "host:1:1").await.unwrap();
        assert!(end(&mut tx, first, Some(5), Some("{}")).await.unwrap());
        assert!(!end(&mut tx, first, Some(0), None).await.unwrap());
        let second = begin(&mut tx, "host:2:2").await.unwrap();
        assert!(end(&mut tx, second, None, None).await.unwrap());
        tx.commit().await.unwrap();
        let exits: Vec<_> =
            list(&catalog, 10).await.unwrap().into_iter().map(|it| (it.id, it.exit)).collect();
        assert_eq!(exits, [(second, None), (first, Some(5))]);
        assert_eq!(list(&catalog, 1).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_job_counts_when_it_ended_and_a_postponed_one_when_it_failed() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue_all(&mut tx, StageName::Fetch, "1", 0, &[1, 2]).await.unwrap();
        tx.commit().await.unwrap();
        let claim = Claim { stage: StageName::Fetch, rev: "1", worker: "me", lease_ms: 1_000 };
        let one = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
        let other = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
        let mut tx = catalog.begin().await.unwrap();
        let verdict = Verdict { reason: Reason::Private, detail: "Private video" };
        jobs::reject(&mut tx, &one, verdict).await.unwrap();
        attempts::insert(&mut tx, &other, &Failure::transient(Reason::Network, "reset")).await.unwrap();
        let later = tx.now_ms() + 60_000;
        jobs::postpone(&mut tx, &other, Verdict { reason: Reason::Network, detail: "reset" }, later)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let (from, until) = (1_000_000, 1_000_001);
        let all = ended(&catalog, from, until).await.unwrap();
        assert_eq!((all.len(), all[0].state, all[0].jobs), (1, JobState::Rejected, 1));
        let waiting = postponed(&catalog, from, until).await.unwrap();
        assert_eq!((waiting.len(), waiting[0].reason), (1, Some(Reason::Network)));
        assert!(ended(&catalog, until, until + 9).await.unwrap().is_empty());
        assert!(postponed(&catalog, 0, from).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_job_that_a_pause_released_is_not_put_off() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        jobs::enqueue(&mut tx, StageName::Fetch, "1", 0, 1).await.unwrap();
        tx.commit().await.unwrap();
        let claim = Claim { stage: StageName::Fetch, rev: "1", worker: "me", lease_ms: 1_000 };
        let held = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
        let mut tx = catalog.begin().await.unwrap();
        let now_ms = tx.now_ms();
        attempts::insert(&mut tx, &held, &Failure::transient(Reason::RateLimited, "429")).await.unwrap();
        assert!(jobs::give_back(&mut tx, &held, now_ms).await.unwrap());
        tx.commit().await.unwrap();
        assert!(postponed(&catalog, 0, i64::MAX).await.unwrap().is_empty());
    }
}

//! The `budget` table: a token bucket for each identity that the site sees, shared by all workers of the catalog.

use super::{Catalog, Result};

/// How fast a bucket fills, and its capacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Tokens per hour.
    pub per_hour: f64,
    /// Capacity in tokens; a new bucket is full.
    pub burst: f64,
}

/// The result of [`take`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A token was taken.
    Taken,
    /// There is none: try again after this many milliseconds.
    Wait(i64),
}

/// A bucket, for `status`.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// The identity that the site sees.
    pub identity: String,
    /// Tokens at `refilled_at`.
    pub tokens: f64,
    /// Milliseconds since 1970.
    pub refilled_at: i64,
}

const HOUR_MS: f64 = 3_600_000.0;

/// Takes one token, or returns how long to wait for it.
pub async fn take(catalog: &Catalog, identity: &str, rate: Rate) -> Result<Token> {
    let mut tx = catalog.begin().await?;
    let row =
        sqlx::query_file!("queries/catalog/budget/get.sql", identity).fetch_optional(tx.connection()).await?;
    let now_ms = tx.now_ms();
    let standing = row.map_or(rate.burst, |row| refilled(row.tokens, now_ms - row.refilled_at, rate));
    let (token, tokens) = if standing >= 1.0 {
        (Token::Taken, standing - 1.0)
    } else {
        (Token::Wait(wait_ms(standing, rate)), standing)
    };
    sqlx::query_file!("queries/catalog/budget/put.sql", identity, tokens, now_ms)
        .execute(tx.connection())
        .await?;
    tx.commit().await?;
    Ok(token)
}

/// All buckets, for `status`.
pub async fn list(catalog: &Catalog) -> Result<Vec<Budget>> {
    let rows =
        sqlx::query_file_as!(Budget, "queries/catalog/budget/list.sql").fetch_all(&catalog.reader).await?;
    Ok(rows)
}

/// The tokens after `elapsed_ms`; none are added if the clock was set back.
fn refilled(tokens: f64, elapsed_ms: i64, rate: Rate) -> f64 {
    (tokens + elapsed_ms.max(0) as f64 * rate.per_hour / HOUR_MS).min(rate.burst)
}

fn wait_ms(standing: f64, rate: Rate) -> i64 {
    ((1.0 - standing) * HOUR_MS / rate.per_hour).ceil() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::empty;

    #[tokio::test]
    async fn a_bucket_gives_its_burst_and_then_its_rate() {
        let (_folder, catalog) = empty().await;
        let rate = Rate { per_hour: 225.0, burst: 2.0 };
        let take = || take(&catalog, "me", rate);
        assert_eq!(take().await.unwrap(), Token::Taken);
        assert_eq!(take().await.unwrap(), Token::Taken);
        assert_eq!(take().await.unwrap(), Token::Wait(16_000));
        catalog.clock().advance_ms(8_000);
        assert_eq!(take().await.unwrap(), Token::Wait(8_000));
        catalog.clock().advance_ms(8_000);
        assert_eq!(take().await.unwrap(), Token::Taken);
        catalog.clock().advance_ms(24 * 3_600_000);
        assert_eq!(take().await.unwrap(), Token::Taken);
        assert_eq!(list(&catalog).await.unwrap()[0].tokens, 1.0, "a day's rest gives no more than the burst");
    }
}

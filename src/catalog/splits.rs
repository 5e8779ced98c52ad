//! The `split` table: which part of the data a source (channel, else video) belongs to, for ever.
//!
//! The rule: the first three sources, in the order of their hashes, go to train, validation and test, so that even a
//! small catalog has all three. From the fourth on the hash decides: 70 % train, 15 % validation, 15 % test.

use sha2::{Digest, Sha256};

use super::{Catalog, Result, Transaction, word};
use crate::types::Split;

/// Gives every source that has samples its split; says how many were new. Sources that have one keep it.
pub async fn assign(catalog: &Catalog) -> Result<u64> {
    let mut tx = catalog.begin().await?;
    let mut standing =
        sqlx::query_file_scalar!("queries/catalog/split/count.sql").fetch_one(tx.connection()).await?;
    let mut sources = sqlx::query_file_scalar!("queries/catalog/split/list_unassigned.sql")
        .fetch_all(tx.connection())
        .await?;
    sources.sort_by_cached_key(|source| Sha256::digest(source));
    let new = sources.len() as u64;
    for source in sources {
        insert(&mut tx, &source, split_of(&source, standing)).await?;
        standing += 1;
    }
    tx.commit().await?;
    Ok(new)
}

/// Writes down the split of one source, as a merge or a released list demands it; one that stands already stays.
pub async fn insert(tx: &mut Transaction, source: &str, split: Split) -> Result<()> {
    let (split, now_ms) = (split.as_str(), tx.now_ms());
    sqlx::query_file!("queries/catalog/split/insert.sql", source, split, now_ms)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// All sources with their splits, by name.
pub async fn list(catalog: &Catalog) -> Result<Vec<(String, Split)>> {
    let rows = sqlx::query_file!("queries/catalog/split/list.sql").fetch_all(&catalog.reader).await?;
    rows.into_iter().map(|row| Ok((row.source, word(&row.split)?))).collect()
}

/// The split of a source that comes after `standing` others.
fn split_of(source: &str, standing: i64) -> Split {
    match standing {
        0 => return Split::Train,
        1 => return Split::Validation,
        2 => return Split::Test,
        _ => {}
    }
    let digest = Sha256::digest(source);
    match u16::from_be_bytes([digest[0], digest[1]]) % 100 {
        0..70 => Split::Train,
        70..85 => Split::Validation,
        _ => Split::Test,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::empty;
    use crate::catalog::{samples, videos};

    async fn film(catalog: &Catalog, numbers: std::ops::Range<u32>) {
        let mut tx = catalog.begin().await.unwrap();
        for number in numbers {
            let channel = format!("channel {}", number / 2);
            let video = videos::tests::some(&number.to_string(), Some(&channel));
            let video = videos::upsert(&mut tx, &video).await.unwrap().unwrap();
            samples::tests::fill(&mut tx, video, 1).await;
        }
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn three_sources_are_enough_for_all_three_splits() {
        let (_folder, catalog) = empty().await;
        film(&catalog, 0..6).await;
        assert_eq!(assign(&catalog).await.unwrap(), 3);
        let mut splits: Vec<_> = list(&catalog).await.unwrap().into_iter().map(|(_, split)| split).collect();
        splits.sort();
        assert_eq!(splits, [Split::Train, Split::Validation, Split::Test]);
    }

    #[tokio::test]
    async fn splits_are_stable_as_the_catalog_grows() {
        let (_folder, catalog) = empty().await;
        film(&catalog, 0..20).await;
        assign(&catalog).await.unwrap();
        let before = list(&catalog).await.unwrap();
        film(&catalog, 15..200).await;
        assert_eq!(assign(&catalog).await.unwrap(), 90);
        let after = list(&catalog).await.unwrap();
        assert!(before.iter().all(|source| after.contains(source)));
        assert_eq!(assign(&catalog).await.unwrap(), 0);
        let train = after.iter().filter(|(_, split)| *split == Split::Train).count();
        assert!((60..=80).contains(&train), "{train} of 100 sources are for training");
    }
}

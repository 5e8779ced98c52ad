//! The `split` table: which part of the data a source (channel, else video) belongs to, for ever.
//!
//! The rule: the first three sources, in the order of their hashes, go to train, validation and test, so that even a
//! small catalog has all three. From the fourth on the hash decides: 70 % train, 15 % validation, 15 % test.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use super::{Catalog, Result, Transaction, word};
use crate::types::Split;

/// Gives every source that has samples its split; says how many were new. Sources that have one keep it. Sources that
/// share footage get the same one.
pub async fn assign(catalog: &Catalog) -> Result<u64> {
    let mut tx = catalog.begin().await?;
    let mut standing =
        sqlx::query_file_scalar!("queries/catalog/split/count.sql").fetch_one(tx.connection()).await?;
    let mut sources = sqlx::query_file_scalar!("queries/catalog/split/list_unassigned.sql")
        .fetch_all(tx.connection())
        .await?;
    sources.sort_by_cached_key(|source| Sha256::digest(source));
    let shared = shared(&mut tx).await?;
    let mut known =
        if shared.is_empty() { HashMap::new() } else { all(&mut tx).await?.into_iter().collect() };
    let new = sources.len() as u64;
    for source in sources {
        let of_kin = kin(&source, &shared).into_iter().find_map(|source| known.get(source).copied());
        let split = of_kin.unwrap_or_else(|| split_of(&source, standing));
        insert(&mut tx, &source, split).await?;
        known.insert(source, split);
        standing += 1;
    }
    tx.commit().await?;
    Ok(new)
}

/// Which sources share footage with a source.
type Shared = BTreeMap<String, BTreeSet<String>>;

async fn shared(tx: &mut Transaction) -> Result<Shared> {
    let rows = sqlx::query_file!("queries/catalog/split/list_shared.sql").fetch_all(tx.connection()).await?;
    let mut shared = Shared::new();
    for row in rows {
        shared.entry(row.one.clone()).or_default().insert(row.other.clone());
        shared.entry(row.other).or_default().insert(row.one);
    }
    Ok(shared)
}

/// All sources that share footage with this one, also by way of others.
fn kin<'a>(source: &'a str, shared: &'a Shared) -> BTreeSet<&'a str> {
    let (mut kin, mut unseen) = (BTreeSet::new(), vec![source]);
    while let Some(next) = unseen.pop() {
        if kin.insert(next) {
            unseen.extend(shared.get(next).into_iter().flatten().map(String::as_str));
        }
    }
    kin
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
    list_with(&catalog.reader).await
}

/// The same within a transaction.
async fn all(tx: &mut Transaction) -> Result<Vec<(String, Split)>> {
    list_with(tx.connection()).await
}

async fn list_with(executor: impl sqlx::SqliteExecutor<'_>) -> Result<Vec<(String, Split)>> {
    let rows = sqlx::query_file!("queries/catalog/split/list.sql").fetch_all(executor).await?;
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
    use crate::catalog::{clips, samples, videos};

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
    async fn sources_that_share_footage_share_their_split_and_so_do_their_samples() {
        let (_folder, catalog) = empty().await;
        film(&catalog, 0..60).await;
        let copies = clips::motions(&catalog).await.unwrap();
        let mut tx = catalog.begin().await.unwrap();
        // Each clip of the later half is a copy of one of the earlier half.
        for (at, copy) in copies.iter().enumerate().skip(31) {
            clips::set_compared(&mut tx, copy.clip, Some(copies[at - 30].clip)).await.unwrap();
        }
        tx.commit().await.unwrap();
        assign(&catalog).await.unwrap();
        let splits: HashMap<String, Split> = list(&catalog).await.unwrap().into_iter().collect();
        let of = |video: usize| splits[&format!("channel:channel {}", video / 2)];
        for copy in 31..60 {
            assert_eq!(of(copy), of(copy - 30), "{copy}");
        }
        assert!(splits.values().any(|split| *split != Split::Train));
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

//! The `split` table: the part of the data that a source (channel, else video) belongs to. It never changes.
//!
//! The rule: while train, validation or test has no source, the next one, in the order of the hashes, goes there, so that
//! even a small catalog has all three. From then on the hash decides: 70 % train, 15 % validation, 15 % test.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use super::{Catalog, Result, Transaction, word};
use crate::types::Split;

/// Gives every source with samples a split; returns how many are new. Sources that have one keep it. Sources that share
/// footage get the same one.
pub async fn assign(catalog: &Catalog) -> Result<u64> {
    let mut tx = catalog.begin().await?;
    let mut sources = sqlx::query_file_scalar!("queries/catalog/split/list_unassigned.sql")
        .fetch_all(tx.connection())
        .await?;
    sources.sort_by_cached_key(|source| Sha256::digest(source));
    let shared = shared(&mut tx).await?;
    let mut known: HashMap<String, Split> = all(&mut tx).await?.into_iter().collect();
    let mut missing = vec![Split::Train, Split::Validation, Split::Test];
    missing.retain(|split| !known.values().any(|known| known == split));
    let new = sources.len() as u64;
    for source in sources {
        let linked = linked_sources(&source, &shared);
        let inherited = linked.into_iter().find_map(|source| known.get(source).copied());
        let split = inherited.or(missing.first().copied()).unwrap_or_else(|| split_of(&source));
        missing.retain(|missing| *missing != split);
        insert(&mut tx, &source, split).await?;
        known.insert(source, split);
    }
    tx.commit().await?;
    Ok(new)
}

/// For each source that shares footage with others, the first of them by name: equal where footage is shared, directly
/// or through others. A source that is not named shares none.
pub async fn sharing_footage(catalog: &Catalog) -> Result<HashMap<String, String>> {
    let mut tx = catalog.begin().await?;
    let shared = shared(&mut tx).await?;
    let first =
        |source: &String| linked_sources(source, &shared).first().copied().unwrap_or_default().to_owned();
    Ok(shared.keys().map(|source| (source.clone(), first(source))).collect())
}

/// For each source, the sources that share footage with it.
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

/// All sources that share footage with this one, directly or through others.
fn linked_sources<'a>(source: &'a str, shared: &'a Shared) -> BTreeSet<&'a str> {
    let (mut linked, mut unseen) = (BTreeSet::new(), vec![source]);
    while let Some(next) = unseen.pop() {
        if linked.insert(next) {
            unseen.extend(shared.get(next).into_iter().flatten().map(String::as_str));
        }
    }
    linked
}

/// Stores the split of one source, unless it has one.
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

/// The split of a source once every split has one.
fn split_of(source: &str) -> Split {
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
    async fn a_split_whose_sources_are_gone_gets_the_next_source() {
        let (_folder, catalog) = empty().await;
        film(&catalog, 0..6).await;
        assign(&catalog).await.unwrap();
        for (first, split) in [(10, Split::Train), (12, Split::Test), (14, Split::Validation)] {
            sqlx::query("delete from video where source in (select source from split where split = $1)")
                .bind(split.as_str())
                .execute(&catalog.writer)
                .await
                .unwrap();
            sqlx::query("delete from split where split = $1")
                .bind(split.as_str())
                .execute(&catalog.writer)
                .await
                .unwrap();
            let before = list(&catalog).await.unwrap();
            film(&catalog, first..first + 2).await;
            assert_eq!(assign(&catalog).await.unwrap(), 1);
            let after = list(&catalog).await.unwrap();
            let new: Vec<_> = after.iter().filter(|source| !before.contains(source)).collect();
            assert_eq!(new[0].1, split);
        }
    }

    #[tokio::test]
    async fn sources_that_share_footage_share_their_split_and_so_do_their_samples() {
        let (_folder, catalog) = empty().await;
        film(&catalog, 0..60).await;
        let copies = clips::motions(&catalog).await.unwrap();
        let mut tx = catalog.begin().await.unwrap();
        // Each clip of the second half duplicates one of the first half.
        for (at, copy) in copies.iter().enumerate().skip(31) {
            clips::set_compared(&mut tx, copy, Some(&copies[at - 30])).await.unwrap();
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

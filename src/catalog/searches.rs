//! The `search` table: searches on a site, also those that a local folder or a list stands for. A changed lexicon retires
//! rows and never deletes them.

use serde::{Deserialize, Serialize};

use super::{Catalog, CatalogError, Result, Transaction, json, word};
use crate::types::{Emotion, SearchId};

/// A search that should exist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewSearch {
    /// The emotion it is for.
    pub emotion: Emotion,
    /// The words as sent; for `local` the folder.
    pub text: String,
    /// The emotion word in it.
    pub word: String,
    /// The country in it.
    pub country: Option<String>,
    /// The age word in it.
    pub age_word: Option<String>,
    /// The language of its words.
    pub language: Option<String>,
}

/// A search as the catalog has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// Its row.
    pub id: SearchId,
    /// `youtube`, `local` or `list`.
    pub provider: String,
    /// The lexicon it belongs to.
    pub lexicon: String,
    /// The search itself.
    pub asked: NewSearch,
    /// When its lexicon dropped it; milliseconds since 1970.
    pub retired_at: Option<i64>,
}

/// What [`plan`] changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Planned {
    /// Searches that are new.
    pub added: u64,
    /// Searches that were retired and are in force again, moved to this lexicon, or changed.
    pub revived: u64,
    /// Searches of this lexicon that it no longer contains. The caller withdraws their jobs.
    pub retired: Vec<SearchId>,
}

/// Makes these the searches of a lexicon: adds, revives and retires rows. Doing it twice changes nothing, and no evidence
/// is lost.
pub async fn plan(
    tx: &mut Transaction,
    provider: &str,
    lexicon: &str,
    searches: &[NewSearch],
) -> Result<Planned> {
    let list = json(searches)?;
    let now_ms = tx.now_ms();
    let before = count(tx).await?;
    let written = sqlx::query_file!("queries/catalog/search/plan.sql", list, provider, lexicon, now_ms)
        .execute(tx.connection())
        .await?
        .rows_affected();
    let added = count(tx).await?.abs_diff(before);
    let retired =
        sqlx::query_file_scalar!("queries/catalog/search/retire.sql", list, provider, lexicon, now_ms)
            .fetch_all(tx.connection())
            .await?;
    Ok(Planned { added, revived: written - added, retired: retired.into_iter().map(SearchId).collect() })
}

/// Adds a search of another catalog, if it is not here yet; returns its row here.
pub async fn adopt(tx: &mut Transaction, search: &Search) -> Result<SearchId> {
    let (asked, now_ms) = (&search.asked, tx.now_ms());
    let emotion = asked.emotion.as_str();
    let id = sqlx::query_file_scalar!(
        "queries/catalog/search/adopt.sql",
        search.provider,
        search.lexicon,
        emotion,
        asked.text,
        asked.word,
        asked.country,
        asked.age_word,
        asked.language,
        now_ms,
        search.retired_at
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(SearchId(id))
}

async fn count(tx: &mut Transaction) -> Result<i64> {
    Ok(sqlx::query_file_scalar!("queries/catalog/search/count.sql").fetch_one(tx.connection()).await?)
}

/// One search.
pub async fn get(catalog: &Catalog, id: SearchId) -> Result<Search> {
    sqlx::query_file_as!(Row, "queries/catalog/search/get.sql", id.0)
        .fetch_optional(&catalog.reader)
        .await?
        .ok_or_else(|| CatalogError::NoRow { what: format!("search {}", id.0) })?
        .read()
}

/// All searches of a provider that are in force, in the order they were planned.
pub async fn list(catalog: &Catalog, provider: &str) -> Result<Vec<Search>> {
    let rows = sqlx::query_file_as!(Row, "queries/catalog/search/list.sql", provider)
        .fetch_all(&catalog.reader)
        .await?;
    rows.into_iter().map(Row::read).collect()
}

struct Row {
    id: i64,
    provider: String,
    lexicon: String,
    emotion: String,
    text: String,
    word: String,
    country: Option<String>,
    age_word: Option<String>,
    language: Option<String>,
    retired_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Search> {
        Ok(Search {
            id: SearchId(self.id),
            provider: self.provider,
            lexicon: self.lexicon,
            asked: NewSearch {
                emotion: word(&self.emotion)?,
                text: self.text,
                word: self.word,
                country: self.country,
                age_word: self.age_word,
                language: self.language,
            },
            retired_at: self.retired_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::empty;

    fn some(count: usize) -> Vec<NewSearch> {
        let one = |index: usize| NewSearch {
            emotion: Emotion::ALL[index % 8],
            text: format!("happy woman number {index}"),
            word: "happy".to_owned(),
            country: Some("Japan".to_owned()),
            age_word: None,
            language: None,
        };
        (0..count).map(one).collect()
    }

    #[tokio::test]
    async fn planning_ten_thousand_searches_twice_changes_nothing() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let planned = plan(&mut tx, "youtube", "webemotion", &some(10_800)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(planned, Planned { added: 10_800, revived: 0, retired: vec![] });
        let mut tx = catalog.begin().await.unwrap();
        assert_eq!(plan(&mut tx, "youtube", "webemotion", &some(10_800)).await.unwrap(), Planned::default());
    }

    #[tokio::test]
    async fn a_changed_lexicon_retires_and_revives() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        plan(&mut tx, "youtube", "mine", &some(5)).await.unwrap();
        let fewer = plan(&mut tx, "youtube", "mine", &some(3)).await.unwrap();
        assert_eq!(fewer.retired, [SearchId(4), SearchId(5)]);
        let again = plan(&mut tx, "youtube", "mine", &some(4)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(again, Planned { added: 0, revived: 1, retired: vec![] });
        assert_eq!(list(&catalog, "youtube").await.unwrap().len(), 4);
        assert_eq!(get(&catalog, SearchId(1)).await.unwrap().asked, some(1)[0]);
        assert!(get(&catalog, SearchId(5)).await.unwrap().retired_at.is_some());
    }

    #[tokio::test]
    async fn a_corrected_lexicon_updates_its_searches() {
        let (_folder, catalog) = empty().await;
        let said = |language: &str, country: &str| {
            let (language, country) = (Some(language.to_owned()), Some(country.to_owned()));
            [NewSearch { language, country, age_word: Some("woman".to_owned()), ..some(1)[0].clone() }]
        };
        let mut tx = catalog.begin().await.unwrap();
        plan(&mut tx, "youtube", "mine", &said("jp", "Nippon")).await.unwrap();
        let corrected = plan(&mut tx, "youtube", "mine", &said("ja", "Japan")).await.unwrap();
        let again = plan(&mut tx, "youtube", "mine", &said("ja", "Japan")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((corrected.added, corrected.revived), (0, 1));
        assert_eq!(again, Planned::default());
        assert_eq!(get(&catalog, SearchId(1)).await.unwrap().asked, said("ja", "Japan")[0]);
    }
}

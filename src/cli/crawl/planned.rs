//! The stored plan of a crawl: its searches, how they are asked, and which are answered already.

use std::collections::BTreeMap;

use crate::catalog::answers::Asking;
use crate::catalog::jobs::JobFilter;
use crate::catalog::{Catalog, answers, jobs, searches};
use crate::config::CrawlConfig;
use crate::failure::Failure;
use crate::pipeline::search;
use crate::types::Emotion;
use crate::youtube::PlannedSearch;

use super::super::Session;
use super::Wanted;
use super::plan::{is_wanted, lexicon};

/// The searches of a crawl.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// The lexicon's name: only its searches are asked.
    pub(super) lexicon: String,
    /// The revision under which they are asked.
    pub(super) rev: String,
    /// Searches of the lexicon and the emotion that are wanted.
    pub(super) searches: usize,
    /// Searches of other lexicons that are due; they wait for a crawl with that lexicon.
    pub(super) of_others: u64,
}

/// Stores the lexicon's searches, and enqueues those that have no answer yet.
pub(super) async fn store(
    session: &Session,
    wanted: &Wanted,
    policy: &CrawlConfig,
    asking: &Asking,
) -> anyhow::Result<Planned> {
    let lexicon = lexicon(wanted.lexicon.as_deref(), policy)?;
    let planned: Vec<searches::NewSearch> =
        lexicon.searches().filter(|search| is_wanted(search, wanted)).map(new_search).collect();
    let plan = Plan { lexicon: lexicon.name(), emotion: wanted.emotion, asking };
    adopt_first_rev(&session.catalog, asking).await?;
    plan.store(&session.catalog, &planned).await?;
    Ok(plan.planned(&session.catalog).await?)
}

/// The plan stored before.
pub(super) async fn stored(
    session: &Session,
    wanted: &Wanted,
    policy: &CrawlConfig,
    asking: &Asking,
) -> anyhow::Result<Planned> {
    let lexicon = lexicon(wanted.lexicon.as_deref(), policy)?;
    let plan = Plan { lexicon: lexicon.name(), emotion: wanted.emotion, asking };
    Ok(plan.planned(&session.catalog).await?)
}

/// Treats answers of an earlier release, which did not record how they were asked for, as asked for like this.
async fn adopt_first_rev(catalog: &Catalog, asking: &Asking) -> Result<(), Failure> {
    let mut tx = catalog.begin().await?;
    answers::set_asked_before(&mut tx, search::FIRST_REV, asking).await?;
    jobs::set_rev(&mut tx, search::NAME, search::FIRST_REV, &search::rev(asking)).await?;
    tx.commit().await?;
    Ok(())
}

/// The lexicon and the emotion of the searches, and how they are asked.
struct Plan<'a> {
    lexicon: &'a str,
    emotion: Option<Emotion>,
    asking: &'a Asking,
}

impl Plan<'_> {
    /// Makes these the searches of the lexicon and enqueues them. The second search of any emotion comes after the
    /// first of every other, and so on, so that the emotions grow evenly.
    async fn store(&self, catalog: &Catalog, planned: &[searches::NewSearch]) -> Result<(), Failure> {
        let mut tx = catalog.begin().await?;
        let changed = searches::plan(&mut tx, "youtube", self.lexicon, planned).await?;
        let retired: Vec<i64> = changed.retired.iter().map(|id| id.0).collect();
        jobs::withdraw(&mut tx, search::NAME, &retired).await?;
        tx.commit().await?;
        let mut turns: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let mut next_turn = [0_i64; Emotion::ALL.len()];
        let asked = self.asked(catalog).await?;
        for search in &asked {
            let turn = &mut next_turn[search.asked.emotion.index()];
            turns.entry(*turn).or_default().push(search.id.0);
            *turn += 1;
        }
        let all: Vec<i64> = asked.iter().map(|search| search.id.0).collect();
        let rev = search::rev(self.asking);
        let mut tx = catalog.begin().await?;
        jobs::keep_answered(&mut tx, &rev, self.asking, &all).await?;
        for (turn, ids) in &turns {
            jobs::enqueue_all(&mut tx, search::NAME, &rev, *turn, ids).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The lexicon's searches in force, of the wanted emotion if one is named.
    async fn asked(&self, catalog: &Catalog) -> Result<Vec<searches::Search>, Failure> {
        let mut asked = searches::list(catalog, "youtube").await?;
        asked.retain(|search| {
            search.lexicon == self.lexicon && self.emotion.is_none_or(|only| only == search.asked.emotion)
        });
        Ok(asked)
    }

    /// The plan as it is stored now.
    async fn planned(&self, catalog: &Catalog) -> Result<Planned, Failure> {
        let own = JobFilter { lexicon: Some(self.lexicon.to_owned()), ..JobFilter::default() };
        let own_due = jobs::count_due_of(catalog, search::NAME, &own).await?;
        let of_others = jobs::count_due(catalog, search::NAME).await?.saturating_sub(own_due);
        let (lexicon, rev) = (self.lexicon.to_owned(), search::rev(self.asking));
        Ok(Planned { lexicon, rev, searches: self.asked(catalog).await?.len(), of_others })
    }
}

fn new_search(search: PlannedSearch) -> searches::NewSearch {
    searches::NewSearch {
        emotion: search.emotion,
        text: search.text,
        word: search.word,
        country: search.country,
        age_word: search.age_word,
        language: search.language,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::LicencePolicy;
    use crate::types::SearchId;

    fn search(text: &str) -> searches::NewSearch {
        searches::NewSearch {
            emotion: Emotion::Fear,
            text: text.to_owned(),
            word: text.to_owned(),
            country: None,
            age_word: None,
            language: None,
        }
    }

    fn plan<'a>(lexicon: &'a str, asking: &'a Asking) -> Plan<'a> {
        Plan { lexicon, emotion: None, asking }
    }

    async fn empty() -> (tempfile::TempDir, Catalog) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.sqlite");
        let catalog = Catalog::open(&path, &Clock::fixed(1_000_000)).await.unwrap();
        (folder, catalog)
    }

    #[tokio::test]
    async fn a_crawl_asks_what_its_lexicon_plans_and_leaves_that_of_others_alone() {
        let (_folder, catalog) = empty().await;
        let asking = search::asking(&CrawlConfig::default(), false);
        let rev = search::rev(&asking);
        let (one, other) = ([search("scared"), search("afraid")], [search("afraid"), search("timid")]);
        // A search that both have belongs to the lexicon planned last; the rest of the first still waits for its own crawl.
        for (lexicon, words, of_others) in [("one", one, 0), ("other", other, 1)] {
            let plan = plan(lexicon, &asking);
            plan.store(&catalog, &words).await.unwrap();
            let planned = Planned { lexicon: lexicon.to_owned(), rev: rev.clone(), searches: 2, of_others };
            assert_eq!(plan.planned(&catalog).await.unwrap(), planned);
        }
        let claim = jobs::Claim { stage: search::NAME, rev: &rev, worker: "w", lease_ms: 60_000 };
        for (lexicon, texts) in [("other", vec!["afraid", "timid"]), ("one", vec!["scared"])] {
            let only = JobFilter { lexicon: Some(lexicon.to_owned()), ..JobFilter::default() };
            assert!(jobs::next_due_ms(&catalog, search::NAME, &only).await.unwrap().is_some());
            let mut asked = Vec::new();
            while let Some(job) = jobs::claim(&catalog, claim, &only).await.unwrap() {
                let search = searches::get(&catalog, SearchId(job.subject_id)).await.unwrap();
                asked.push(search.asked.text);
            }
            asked.sort();
            assert_eq!(asked, texts);
        }
    }

    /// Answers a search; with `asking`, it is recorded how it was asked.
    async fn end(catalog: &Catalog, job: &jobs::HeldJob, asking: Option<&Asking>) {
        let mut tx = catalog.begin().await.unwrap();
        let page = answers::NewAnswer {
            search: SearchId(job.subject_id),
            asked_of: "ytdlp",
            tool_version: "1",
            page: 0,
            hits: 0,
            raw: b"",
        };
        let first_page = answers::insert(&mut tx, &page).await.unwrap();
        if let Some(asking) = asking {
            answers::set_asked(&mut tx, first_page, asking).await.unwrap();
        }
        assert!(jobs::finish(&mut tx, job).await.unwrap());
        tx.commit().await.unwrap();
    }

    /// Answers all searches that are due for this asking; returns how many.
    async fn answer(catalog: &Catalog, asking: &Asking) -> usize {
        let rev = search::rev(asking);
        let only = JobFilter { rev: Some(rev.clone()), ..JobFilter::default() };
        let claim = jobs::Claim { stage: search::NAME, rev: &rev, worker: "w", lease_ms: 60_000 };
        let mut asked = 0;
        while let Some(job) = jobs::claim(catalog, claim, &only).await.unwrap() {
            end(catalog, &job, Some(asking)).await;
            asked += 1;
        }
        asked
    }

    fn policies() -> (CrawlConfig, CrawlConfig) {
        let policy = CrawlConfig::default();
        (policy.clone(), CrawlConfig { licence: LicencePolicy::Any, ..policy })
    }

    #[tokio::test]
    async fn searches_are_asked_again_under_another_policy_and_never_twice_under_one() {
        let (_folder, catalog) = empty().await;
        let (policy, any) = policies();
        let [fewer, more] =
            [5, 50].map(|results| CrawlConfig { results_per_search: results, ..policy.clone() });
        let abroad = CrawlConfig { region: Some("FR".to_owned()), ..policy.clone() };
        let ask = async |policy: &CrawlConfig| {
            let asking = search::asking(policy, false);
            plan("one", &asking).store(&catalog, &[search("scared")]).await.unwrap();
            answer(&catalog, &asking).await
        };
        let mut asked = Vec::new();
        for policy in [&policy, &any, &policy, &any, &fewer, &abroad, &more, &policy] {
            asked.push(ask(policy).await);
        }
        assert_eq!(asked, [1, 1, 0, 0, 0, 0, 1, 0]);
    }

    #[tokio::test]
    async fn searches_enqueued_under_another_policy_wait_for_its_own_crawl() {
        let (_folder, catalog) = empty().await;
        let (policy, any) = policies();
        let (first, second) = (search::asking(&policy, false), search::asking(&any, false));
        let words = [search("scared"), search("afraid")];
        plan("one", &first).store(&catalog, &words).await.unwrap();
        assert_eq!(answer(&catalog, &first).await, 2);
        plan("one", &second).store(&catalog, &words).await.unwrap();
        assert_eq!(answer(&catalog, &first).await, 0, "these are asked otherwise");
        // Planned again, the first has its answers, and nothing waits.
        plan("one", &first).store(&catalog, &words).await.unwrap();
        assert_eq!(jobs::count_due(&catalog, search::NAME).await.unwrap(), 0);
        plan("one", &second).store(&catalog, &words).await.unwrap();
        assert_eq!(answer(&catalog, &second).await, 2);
    }

    #[tokio::test]
    async fn a_crawl_for_one_emotion_enqueues_no_other() {
        let (_folder, catalog) = empty().await;
        let asking = search::asking(&CrawlConfig::default(), false);
        let words = [search("scared"), searches::NewSearch { emotion: Emotion::Anger, ..search("angry") }];
        let plan = Plan { emotion: Some(Emotion::Fear), ..plan("one", &asking) };
        plan.store(&catalog, &words).await.unwrap();
        assert_eq!(plan.planned(&catalog).await.unwrap().searches, 1);
        assert_eq!(jobs::count_due(&catalog, search::NAME).await.unwrap(), 1);
        assert_eq!(searches::list(&catalog, "youtube").await.unwrap().len(), 2, "none is retired");
    }

    #[tokio::test]
    async fn answers_of_an_earlier_release_count_as_asked_for_under_the_policy_in_force() {
        let (_folder, catalog) = empty().await;
        let (policy, any) = policies();
        let mut tx = catalog.begin().await.unwrap();
        let planned = searches::plan(&mut tx, "youtube", "one", &[search("scared")]).await.unwrap();
        assert_eq!(planned.added, 1);
        jobs::enqueue(&mut tx, search::NAME, search::FIRST_REV, 0, 1).await.unwrap();
        tx.commit().await.unwrap();
        let claim =
            jobs::Claim { stage: search::NAME, rev: search::FIRST_REV, worker: "w", lease_ms: 60_000 };
        let job = jobs::claim(&catalog, claim, &JobFilter::default()).await.unwrap().unwrap();
        end(&catalog, &job, None).await;
        let mut asked = Vec::new();
        for policy in [&any, &policy, &any] {
            let asking = search::asking(policy, false);
            adopt_first_rev(&catalog, &asking).await.unwrap();
            plan("one", &asking).store(&catalog, &[search("scared")]).await.unwrap();
            asked.push(answer(&catalog, &asking).await);
        }
        assert_eq!(asked, [0, 1, 0]);
    }
}

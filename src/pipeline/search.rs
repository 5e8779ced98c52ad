//! The stage search → video: asks the site one search, judges its hits and stores them as evidence.

use std::sync::Arc;

use serde_json::json;

use crate::catalog::answers::Asking;
use crate::catalog::{
    self, Catalog, CatalogError, Transaction, answers, evidence, jobs, searches, tombstones, videos,
};
use crate::clock::Stop;
use crate::config::CrawlConfig;
use crate::failure::{Failure, Reason};
use crate::types::{AnswerId, SearchId, StageName};
use crate::youtube::{Answer, FoundVideo, Question, SearchProvider, asks_for_short, policy};

use super::budget::Budget;
use super::{JobContext, Outcome, Stage, fetch};

/// The stage's name in the job table.
pub(crate) const NAME: StageName = StageName::Search;
/// Raised when its output would differ for the same settings.
const REV: &str = "2";
/// The revision of searches in catalogs that do not record the settings they were asked with.
pub(crate) const FIRST_REV: &str = "1";

/// What is asked under a policy; the same is never asked twice. The provider is not part of it, since both are asked
/// the same, except that only the Data API is told the region and whether videos may be long. Other rules that reject
/// hits are not part of it either: `retry` reverts their verdicts.
pub(crate) fn asking(policy: &CrawlConfig, has_key: bool) -> Asking {
    let region = policy.region.as_deref().filter(|_| has_key);
    let asked = if has_key && !asks_for_short(policy) {
        json!([policy.licence, region, "any-duration"])
    } else {
        json!([policy.licence, region])
    };
    let fingerprint = format!("{REV}-{asked}");
    Asking { fingerprint, wanted: policy.results_per_search }
}

/// The revision of searches that are asked like this. Asked differently, a search is new work.
pub(crate) fn rev(asking: &Asking) -> String {
    format!("{}-{}", asking.fingerprint, asking.wanted)
}

/// Asks searches of one provider.
pub(crate) struct SearchStage {
    /// The provider.
    pub(crate) provider: Arc<dyn SearchProvider>,
    /// The provider's name in the ledger: `ytdlp` or `data-api`.
    pub(crate) asked_of: &'static str,
    /// The pace of requests to the site itself; none for the Data API, which has its own quota.
    pub(crate) budget: Option<Budget>,
    /// Which hits are kept.
    pub(crate) policy: CrawlConfig,
}

/// A search and its answer.
pub(crate) struct AnsweredSearch {
    search: searches::Search,
    answer: Answer,
}

impl Stage for SearchStage {
    const NAME: StageName = NAME;
    const UNIT: &'static str = "searches";
    type Subject = searches::Search;
    type Output = AnsweredSearch;

    fn rev(&self) -> String {
        rev(&self.asking())
    }

    fn shares_rate_limit_with(&self) -> &'static [StageName] {
        // A pause of the Data API does not concern downloads.
        if self.budget.is_some() { &[fetch::NAME] } else { &[] }
    }

    async fn load(&self, catalog: &Catalog, subject_id: i64) -> Result<Self::Subject, Failure> {
        Ok(searches::get(catalog, SearchId(subject_id)).await?)
    }

    async fn run(&self, search: Self::Subject, context: &JobContext<'_>) -> Result<AnsweredSearch, Failure> {
        if let Some(budget) = &self.budget {
            budget.wait_for_turn(NAME, context).await?;
        }
        let answer =
            ask(self.provider.as_ref(), &search, self.policy.results_per_search, context.stop).await?;
        Ok(AnsweredSearch { search, answer })
    }

    async fn commit(&self, tx: &mut Transaction, asked: AnsweredSearch) -> Result<Outcome, CatalogError> {
        let AnsweredSearch { search, answer } = asked;
        // Ranks continue across pages; the first page represents the whole answer.
        let Some(first_page) = self.put(tx, &search, &answer).await? else { return Ok(Outcome::Done) };
        answers::set_asked(tx, first_page, &self.asking()).await?;
        let (mut kept, wanted) = (0, self.policy.results_per_search);
        // The nth video of each emotion that may be fetched comes before the (n + 1)th of any: classes stay balanced.
        let before = videos::count_of_emotion(tx, search.asked.emotion).await?;
        for hit in &answer.hits {
            if kept == wanted {
                break;
            }
            let next = match policy::judge(hit, &self.policy) {
                Some(reason) => Next::Reject(reason),
                None => {
                    kept += 1;
                    Next::Fetch { priority: before + i64::from(kept) }
                }
            };
            let found = evidence::Evidence {
                search: search.id,
                answer: first_page,
                rank: hit.rank,
                emotion: search.asked.emotion,
            };
            record_hit(tx, hit, &found, next).await?;
        }
        let Some(said) = answer.broke_off.filter(|_| kept < wanted) else { return Ok(Outcome::Done) };
        answers::set_broke_off(tx, first_page, &said).await?;
        let detail = format!("the site broke off when {kept} of {wanted} videos were found: {said}");
        Ok(Outcome::InPart { reason: Reason::Network, detail })
    }
}

impl SearchStage {
    /// How this stage asks. With a budget it asks the site itself, without a key.
    fn asking(&self) -> Asking {
        asking(&self.policy, self.budget.is_none())
    }

    /// Stores the answer's pages; returns the first.
    async fn put(
        &self,
        tx: &mut Transaction,
        search: &searches::Search,
        answer: &Answer,
    ) -> catalog::Result<Option<AnswerId>> {
        let mut pages = Vec::new();
        for (page, raw) in answer.pages.iter().enumerate() {
            let row = answers::NewAnswer {
                search: search.id,
                asked_of: self.asked_of,
                tool_version: &answer.tool_version,
                page,
                hits: if page == 0 { answer.hits.len() } else { 0 },
                raw,
            };
            pages.push(answers::insert(tx, &row).await?);
        }
        // An answer that names videos which were forgotten here is not kept.
        let named: Vec<&str> = answer.hits.iter().map(|hit| hit.site_id.as_str()).collect();
        if tombstones::any_stands(tx, "youtube", &named).await? {
            answers::empty(tx, &pages).await?;
        }
        Ok(pages.first().copied())
    }
}

async fn ask(
    provider: &dyn SearchProvider,
    search: &searches::Search,
    keep: u32,
    stop: &Stop,
) -> Result<Answer, Failure> {
    let question =
        Question { text: &search.asked.text, want: keep, language: search.asked.language.as_deref() };
    Ok(provider.search(question, stop).await?)
}

/// What is to be done about a hit.
enum Next {
    /// Fetch it; a lower priority comes first.
    Fetch { priority: i64 },
    /// Reject it before it is fetched.
    Reject(Reason),
}

/// Records one hit: the video, the evidence, and the job to fetch it or its rejection.
async fn record_hit(
    tx: &mut Transaction,
    hit: &FoundVideo,
    found: &evidence::Evidence,
    next: Next,
) -> catalog::Result<()> {
    let video = videos::NewVideo {
        site: "youtube".to_owned(),
        site_id: hit.site_id.clone(),
        url: hit.url.clone(),
        title: Some(hit.title.clone()),
        channel_id: hit.channel_id.clone(),
        channel_name: hit.channel_name.clone(),
        promised_duration_ms: hit.duration_ms,
        licence: hit.licence.clone(),
    };
    let Some(id) = videos::upsert(tx, &video).await? else { return Ok(()) };
    evidence::insert(tx, id, found).await?;
    match next {
        Next::Fetch { priority } => {
            jobs::enqueue(tx, fetch::NAME, fetch::REV, priority, id.0).await?;
            // A premiere is an ordinary video by now, and what the site was processing may be out.
            for reason in [Reason::Live, Reason::NotYet] {
                jobs::overrule(tx, fetch::NAME, reason, priority, id.0).await?;
            }
            Ok(())
        }
        Next::Reject(reason) => {
            let verdict = jobs::Verdict { reason, detail: "by what the search says of it" };
            jobs::enqueue_rejected(tx, fetch::NAME, fetch::REV, id.0, verdict).await
        }
    }
}

#[cfg(test)]
mod tests;

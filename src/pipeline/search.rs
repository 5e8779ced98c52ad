//! The stage search → video: one question to the site, its hits judged and written down as evidence.

use std::sync::Arc;

use crate::catalog::{self, Catalog, CatalogError, Transaction, answers, evidence, jobs, searches, videos};
use crate::clock::Stop;
use crate::config::CrawlConfig;
use crate::failure::{Failure, Reason};
use crate::types::SearchId;
use crate::youtube::{Answer, FoundVideo, Question, SearchProvider, policy};

use super::{JobContext, Outcome, Stage, fetch};

/// The stage's name in the job table.
pub(crate) const NAME: &str = "search";
/// Raised when its output would differ.
pub(crate) const REV: &str = "1";

/// Asks searches of one provider.
pub(crate) struct SearchStage {
    provider: Arc<dyn SearchProvider>,
    asked_of: &'static str,
    policy: CrawlConfig,
}

impl SearchStage {
    /// `asked_of` is the provider's name in the ledger: `ytdlp` or `data-api`.
    pub(crate) fn new(
        provider: Arc<dyn SearchProvider>,
        asked_of: &'static str,
        policy: CrawlConfig,
    ) -> Self {
        Self { provider, asked_of, policy }
    }
}

/// A search and what came back.
pub(crate) struct Asked {
    search: searches::Search,
    answer: Answer,
}

impl Stage for SearchStage {
    const NAME: &'static str = NAME;
    const UNIT: &'static str = "searches";
    type Subject = searches::Search;
    type Output = Asked;

    fn rev(&self) -> String {
        REV.to_owned()
    }

    async fn load(&self, catalog: &Catalog, subject_id: i64) -> Result<Self::Subject, Failure> {
        Ok(searches::get(catalog, SearchId(subject_id)).await?)
    }

    async fn run(&self, search: Self::Subject, context: &JobContext<'_>) -> Result<Asked, Failure> {
        let answer =
            ask(self.provider.as_ref(), &search, self.policy.results_per_search, context.stop).await?;
        Ok(Asked { search, answer })
    }

    async fn commit(&self, tx: &mut Transaction, asked: Asked) -> Result<Outcome, CatalogError> {
        let Asked { search, answer } = asked;
        let mut pages = Vec::new();
        for (page, raw) in answer.pages.iter().enumerate() {
            let row = answers::NewAnswer {
                search: search.id,
                asked_of: self.asked_of,
                tool_version: &answer.tool_version,
                page,
                hits: answer.hits.len(),
                raw,
            };
            pages.push(answers::insert(tx, &row).await?);
        }
        // A hit's rank runs through all pages; the first page stands for the whole answer.
        let Some(&answer_row) = pages.first() else { return Ok(Outcome::Done) };
        let mut kept = 0;
        for hit in &answer.hits {
            if kept == self.policy.results_per_search {
                break;
            }
            let verdict = policy::judge(hit, &self.policy);
            kept += u32::from(verdict.is_none());
            let found = evidence::Evidence {
                search: search.id,
                answer: answer_row,
                rank: hit.rank,
                emotion: search.asked.emotion,
            };
            note(tx, hit, &found, verdict).await?;
        }
        Ok(Outcome::Done)
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

/// Writes down one hit: the video, why we think what we think of it, and what is to be done about it.
async fn note(
    tx: &mut Transaction,
    hit: &FoundVideo,
    found: &evidence::Evidence,
    verdict: Option<Reason>,
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
    match verdict {
        None => jobs::enqueue(tx, fetch::NAME, fetch::REV, 0, id.0).await.map(drop),
        Some(reason) => {
            let verdict = jobs::Verdict { reason, detail: "by what the search says of it" };
            jobs::enqueue_rejected(tx, fetch::NAME, fetch::REV, id.0, verdict).await
        }
    }
}

//! `crawl` of YouTube: plans, asks and downloads, both at once and from one budget.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::catalog::jobs::Only;
use crate::clock::Stop;
use crate::config::CrawlConfig;
use crate::failure::{Exit, Failure};
use crate::pipeline::RunSummary;
use crate::pipeline::budget::Budget;
use crate::pipeline::fetch::FetchStage;
use crate::pipeline::search::SearchStage;
use crate::youtube::{ApiKey, DataApi, YtDlp};

use super::super::drive::{Limits, drive, exit};
use super::super::{Session, say};
use super::{CrawlArgs, fetch_stage, plan, terms, told};

pub(super) async fn crawl(
    session: &Session,
    args: &CrawlArgs,
    policy: CrawlConfig,
    mut limits: Limits,
) -> anyhow::Result<Exit> {
    let ytdlp = YtDlp::new(session.config.tools.find_ytdlp()?, &policy);
    let key = key()?;
    let planned = plan::write_down(session, &args.wanted).await?;
    let may_download = terms::accepted(session, args.accept_terms || policy.accept_terms).await?;
    limits.only = Only { emotion: args.wanted.emotion, lexicon: Some(planned.lexicon), ..Only::default() };
    let budget = Budget::new(session.catalog.clone(), &policy);
    let searching = search_stage(&ytdlp, key, &policy, &budget)?;
    let facts = json!({"searches": planned.searches, "of_other_lexicons": planned.of_others});
    if planned.of_others > 0 && !session.json {
        say(format_args!(
            "crawl: {} searches of other lexicons are due; a crawl with theirs asks them",
            planned.of_others
        ));
    }
    if !may_download {
        let searched = drive(session, &searching, &Limits { max_jobs: None, ..limits }).await?;
        told::close(session, facts, Some(&searched), None);
        return Ok(exit(session, &[&searched]));
    }
    let fetching = fetch_stage(session, args, &policy, &limits, Some((ytdlp, budget)))?;
    let (searched, fetched) = both(session, &searching, &fetching, &limits).await?;
    told::close(session, facts, Some(&searched), Some(&fetched));
    Ok(exit(session, &[&searched, &fetched]))
}

/// Searches and downloads side by side: downloads wait for what searches find, and once enough was downloaded, or
/// downloads fail, searches end. Who wants no video has enough at once.
async fn both(
    session: &Session,
    searching: &SearchStage,
    fetching: &FetchStage,
    limits: &Limits,
) -> Result<(RunSummary, RunSummary), Failure> {
    let (all_asked, enough) = (Stop::default(), limits.enough.clone().unwrap_or_default());
    if limits.max_jobs == Some(0) {
        enough.ask();
    }
    let searches = async {
        let searched = drive(session, searching, &Limits { max_jobs: None, ..limits.clone() }).await;
        all_asked.ask();
        if searched.is_err() {
            enough.ask();
        }
        searched
    };
    let downloads = async {
        let limits =
            Limits { until: Some(all_asked.clone()), slots: session.config.crawl.at_once, ..limits.clone() };
        let fetched = drive(session, fetching, &limits).await;
        enough.ask();
        fetched
    };
    let (searched, fetched) = tokio::join!(searches, downloads);
    Ok((searched?, fetched?))
}

/// The key of the Data API, from the environment or a file that it names.
pub(crate) fn key() -> Result<Option<ApiKey>, Failure> {
    let from_environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (from_environment(ApiKey::VARIABLE), from_environment("WEBEMOTION_YOUTUBE_API_KEY_FILE")) {
        (Some(key), _) => ApiKey::new(&key).map(Some),
        (None, Some(path)) => ApiKey::from_file(Path::new(&path)).map(Some),
        (None, None) => Ok(None),
    }
}

fn search_stage(
    ytdlp: &YtDlp,
    key: Option<ApiKey>,
    policy: &CrawlConfig,
    budget: &Budget,
) -> Result<SearchStage, Failure> {
    let policy = policy.clone();
    Ok(match key {
        Some(key) => {
            let provider = Arc::new(DataApi::new(key, &policy)?);
            SearchStage { provider, asked_of: "data-api", budget: None, policy }
        }
        None => {
            let (provider, budget) = (Arc::new(ytdlp.clone()), Some(budget.clone()));
            SearchStage { provider, asked_of: "ytdlp", budget, policy }
        }
    })
}

//! `crawl` of YouTube: plans, then searches and downloads, both at once and from one budget.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::catalog::answers::{self, Asking};
use crate::catalog::jobs::JobFilter;
use crate::clock::Stop;
use crate::config::CrawlConfig;
use crate::failure::{Exit, Failure};
use crate::pipeline::Driven;
use crate::pipeline::budget::Budget;
use crate::pipeline::fetch::FetchStage;
use crate::pipeline::search::{self, SearchStage};
use crate::words::{are, count, noun};
use crate::youtube::{ApiKey, DataApi, YtDlp};

use super::super::drive::{Limits, drive, exit};
use super::super::{Session, say};
use super::planned::{self, Planned};
use super::{CrawlArgs, closing, fetch_stage, terms};

/// Searches that a round asks in one go while there is no room for videos: clips may make room meanwhile.
const SEARCHES_WITHOUT_ROOM: u64 = 20;

pub(super) async fn crawl(
    session: &Session,
    args: &CrawlArgs,
    policy: CrawlConfig,
    limits: Limits,
) -> anyhow::Result<Exit> {
    let tools = Tools::find(session, policy)?;
    let planned = planned::store(session, &args.wanted, &tools.policy, &tools.asking()).await?;
    if planned.of_others > 0 && !session.json {
        say(format_args!(
            "crawl: {} {} of other lexicons {} due; a crawl with their lexicon asks for the answers",
            planned.of_others,
            noun(planned.of_others, "searches"),
            are(planned.of_others)
        ));
    }
    ask_and_fetch(session, args, tools, planned, limits).await
}

/// Continues with the plan made when the crawl began.
pub(super) async fn resume(
    session: &Session,
    args: &CrawlArgs,
    policy: CrawlConfig,
    limits: Limits,
) -> anyhow::Result<Exit> {
    let tools = Tools::find(session, policy)?;
    let planned = planned::stored(session, &args.wanted, &tools.policy, &tools.asking()).await?;
    ask_and_fetch(session, args, tools, planned, limits).await
}

/// What is needed to ask the site.
struct Tools {
    ytdlp: YtDlp,
    key: Option<ApiKey>,
    policy: CrawlConfig,
}

impl Tools {
    fn find(session: &Session, policy: CrawlConfig) -> anyhow::Result<Self> {
        let ytdlp = YtDlp::new(session.config.tools.find_ytdlp()?, &policy);
        Ok(Self { ytdlp, key: key()?, policy })
    }

    fn asking(&self) -> Asking {
        search::asking(&self.policy, self.key.is_some())
    }
}

async fn ask_and_fetch(
    session: &Session,
    args: &CrawlArgs,
    tools: Tools,
    planned: Planned,
    mut limits: Limits,
) -> anyhow::Result<Exit> {
    let Tools { ytdlp, key, policy } = tools;
    let may_download = terms::accepted(session, args.accept_terms || policy.accept_terms).await?;
    let (lexicon, rev) = (Some(planned.lexicon.clone()), Some(planned.rev.clone()));
    limits.only = JobFilter { emotion: args.wanted.emotion, lexicon, rev, ..JobFilter::default() };
    let budget = Budget::new(session.catalog.clone(), &policy);
    let searching = search_stage(&ytdlp, key, &policy, &budget)?;
    if !may_download {
        let searched = drive(session, &searching, &of_searches(&limits)).await?;
        close(session, &planned, &searched, None).await?;
        return Ok(exit(session, &[&searched]));
    }
    if limits.room == Some(0) {
        let some = Limits { room: Some(SEARCHES_WITHOUT_ROOM), ..of_searches(&limits) };
        let searched = drive(session, &searching, &some).await?;
        close(session, &planned, &searched, Some(&Driven::default())).await?;
        return Ok(exit(session, &[&searched]));
    }
    let fetching = fetch_stage(session, args, &policy, &limits, Some((ytdlp, budget)))?;
    let (searched, fetched) = both(session, &searching, &fetching, &limits).await?;
    close(session, &planned, &searched, Some(&fetched)).await?;
    Ok(exit(session, &[&searched, &fetched]))
}

/// The limits for searches: what limits the number of videos does not limit them.
fn of_searches(limits: &Limits) -> Limits {
    Limits { max_jobs: None, room: None, ..limits.clone() }
}

/// The closing line, with the number of answers that the site broke off.
async fn close(
    session: &Session,
    planned: &Planned,
    searched: &Driven,
    fetched: Option<&Driven>,
) -> Result<(), Failure> {
    let in_part = answers::count_in_part(&session.catalog, &planned.lexicon).await?;
    let facts = json!({"searches": planned.searches, "of_other_lexicons": planned.of_others,
        "answered_in_part": in_part});
    closing::close(session, facts, Some(searched), fetched);
    if in_part > 0 && !session.json && !searched.is_idle() {
        say(format_args!(
            "crawl: of {} {} of lexicon {} there is only a part of the answer, for the site broke off; \
             what was given up is asked again after `webemotion retry --reason network --stage search`",
            count(in_part),
            noun(in_part, "searches"),
            planned.lexicon
        ));
    }
    Ok(())
}

/// Runs searches and downloads concurrently. Downloads wait for what searches find; searches end once enough was
/// downloaded, which is at once if no video is wanted, or if downloads fail.
async fn both(
    session: &Session,
    searching: &SearchStage,
    fetching: &FetchStage,
    limits: &Limits,
) -> Result<(Driven, Driven), Failure> {
    let searches_ended = Stop::default();
    let no_more_claims = limits.no_more_claims.clone().unwrap_or_default();
    if limits.max_jobs == Some(0) {
        no_more_claims.ask();
    }
    let searches = async {
        let searched = drive(session, searching, &of_searches(limits)).await;
        searches_ended.ask();
        if searched.is_err() {
            no_more_claims.ask();
        }
        searched
    };
    let downloads = async {
        let limits = Limits {
            upstream_ended: Some(searches_ended.clone()),
            slots: session.config.crawl.at_once,
            ..limits.clone()
        };
        let fetched = drive(session, fetching, &limits).await;
        no_more_claims.ask();
        fetched
    };
    let (searched, fetched) = tokio::join!(searches, downloads);
    let (mut searched, fetched) = (searched?, fetched?);
    searched.is_limited &= !limits.is_room_used(&fetched);
    Ok((searched, fetched))
}

/// The key of the Data API, from the environment or from a file named there.
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

//! `webemotion crawl`: searches and downloads, or takes in videos that are on disk.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use crate::catalog::{acceptances, jobs, searches};
use crate::config::{CrawlConfig, LicencePolicy};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::budget::Budget;
use crate::pipeline::fetch::FetchStage;
use crate::pipeline::search::SearchStage;
use crate::pipeline::{Patience, RunSummary, intake, scan, search};
use crate::types::Emotion;
use crate::youtube::{ApiKey, DataApi, Lexicon, SearchProvider, YtDlp};

use super::drive::{Limits, drive, exit, outlook};
use super::{Global, Session, duration, say, session};

/// Flags of `crawl`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  webemotion crawl plan\n  webemotion crawl --accept-terms --max-videos 100\n  \
        webemotion crawl --source local:videos            (videos/happiness/a.mp4 …)\n  \
        webemotion crawl --source local:talks --emotion neutral"
)]
pub(crate) struct CrawlArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    wanted: Wanted,
    /// You have read the site's terms and decide to download under them; remembered in the catalog
    #[arg(long)]
    accept_terms: bool,
    /// Which licences may be downloaded [default: from the settings, creative-commons]
    #[arg(long, value_parser = licence)]
    license: Option<LicencePolicy>,
    /// Fetch no more than this many videos
    #[arg(long, value_name = "N")]
    max_videos: Option<u64>,
    /// Begin nothing new after this time, such as 90s, 30m or 8h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_runtime: Option<i64>,
    /// Wait for pauses to end instead of leaving with exit code 5
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Print what would be asked, and how long it would take; asks nothing
    #[command(after_help = "Example:\n  webemotion crawl plan --emotion fear --lexicon words.toml")]
    Plan(Wanted),
}

/// What to look for, and where.
#[derive(Debug, Clone, clap::Args)]
struct Wanted {
    /// Where videos come from: youtube, or local:DIR with a folder for each emotion
    #[arg(long, default_value = "youtube", value_name = "SOURCE")]
    source: Source,
    /// Only this emotion; with local:DIR all its videos are of this emotion
    #[arg(long)]
    emotion: Option<Emotion>,
    /// The search words, a file as queries/youtube/webemotion.toml [default: that one]
    #[arg(long, value_name = "FILE")]
    lexicon: Option<PathBuf>,
    /// Also ask the age words that mostly find minors
    #[arg(long)]
    include_minors: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Source {
    Youtube,
    Local(PathBuf),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "youtube" => Ok(Self::Youtube),
            Some(("local", folder)) if !folder.is_empty() => Ok(Self::Local(folder.into())),
            _ => Err("say youtube, or local:DIR".to_owned()),
        }
    }
}

fn licence(text: &str) -> Result<LicencePolicy, String> {
    match text {
        "creative-commons" => Ok(LicencePolicy::CreativeCommons),
        "any" => Ok(LicencePolicy::Any),
        _ => Err("say creative-commons or any".to_owned()),
    }
}

pub(crate) async fn run(args: CrawlArgs, global: &Global) -> anyhow::Result<Exit> {
    if let Some(What::Plan(wanted)) = &args.what {
        return plan(wanted, global);
    }
    crawl(&Session::create(global).await?, &args).await
}

/// Crawls as the flags say.
pub(crate) async fn crawl(session: &Session, args: &CrawlArgs) -> anyhow::Result<Exit> {
    let mut policy = session.config.crawl.clone();
    policy.licence = args.license.unwrap_or(policy.licence);
    let limits = limits(session, args, &policy);
    match &args.wanted.source {
        Source::Local(folder) => from_disk(session, folder, args.wanted.emotion, limits).await,
        Source::Youtube => from_youtube(session, args, policy, limits).await,
    }
}

fn limits(session: &Session, args: &CrawlArgs, policy: &CrawlConfig) -> Limits {
    let milliseconds = |seconds: u64| i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
    Limits {
        max_jobs: args.max_videos,
        deadline_ms: args.max_runtime.map(|runtime_ms| session.clock.now_ms() + runtime_ms),
        wait_ms: if args.wait { i64::MAX / 4 } else { 0 },
        slots: 1,
        patience: Patience {
            backoff_ms: milliseconds(policy.retry_pause_s),
            rate_limited_ms: milliseconds(policy.rate_limited_pause_s),
            ..Patience::default()
        },
    }
}

/// The lexicon that the flags mean, else the settings.
fn lexicon(wanted: &Wanted, policy: &CrawlConfig) -> anyhow::Result<Lexicon> {
    let Some(path) = wanted.lexicon.as_ref().or(policy.lexicon.as_ref()) else {
        return Ok(Lexicon::builtin());
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::permanent(Reason::Usage, format!("cannot read {}: {error}", path.display()))
    })?;
    Lexicon::parse(&text, &path.display().to_string()).map_err(|error| {
        let failure = Failure::permanent(Reason::Usage, error.to_string());
        failure.with_hint("queries/youtube/webemotion.toml is an example").into()
    })
}

fn planned(lexicon: &Lexicon, wanted: &Wanted) -> Vec<searches::NewSearch> {
    lexicon
        .searches()
        .filter(|search| wanted.include_minors || !search.surfaces_minors)
        .filter(|search| wanted.emotion.is_none_or(|emotion| emotion == search.emotion))
        .map(|search| searches::NewSearch {
            emotion: search.emotion,
            text: search.text,
            word: search.word,
            country: search.country,
            age_word: search.age_word,
            language: search.language,
        })
        .collect()
}

const SEARCHES_A_DAY_WITH_A_KEY: u64 = 100;

fn plan(wanted: &Wanted, global: &Global) -> anyhow::Result<Exit> {
    let config = session::load_config(global)?.crawl;
    let lexicon = lexicon(wanted, &config)?;
    let (all, asked) = (lexicon.count() as u64, planned(&lexicon, wanted).len() as u64);
    let most_videos = asked * u64::from(config.results_per_search);
    let days = |videos: u64| videos as f64 / f64::from(config.videos_per_hour) / 24.0;
    if global.json {
        say(json!({"lexicon": lexicon.name(), "searches": asked, "left_out": all - asked,
            "most_videos": most_videos, "videos_per_hour": config.videos_per_hour,
            "most_days": days(most_videos), "days_of_search_quota": asked.div_ceil(SEARCHES_A_DAY_WITH_A_KEY)}));
        return Ok(Exit::Done);
    }
    say(format_args!("lexicon {}: {asked} searches", lexicon.name()));
    if all > asked {
        say(format_args!(
            "  left out: {} (of other emotions, or mostly of minors: --include-minors)",
            all - asked
        ));
    }
    say(format_args!(
        "  results kept of each: {}, so at most {most_videos} videos",
        config.results_per_search
    ));
    say(format_args!(
        "  at {} videos an hour: at most {:.1} days; WebEmotion kept 19 % of its results, {:.1} days",
        config.videos_per_hour,
        days(most_videos),
        days(most_videos) * 0.19
    ));
    say(format_args!(
        "  with a Data API key: {} days of search quota ({SEARCHES_A_DAY_WITH_A_KEY} a day)",
        asked.div_ceil(SEARCHES_A_DAY_WITH_A_KEY)
    ));
    Ok(Exit::Done)
}

async fn from_disk(
    session: &Session,
    folder: &Path,
    emotion: Option<Emotion>,
    mut limits: Limits,
) -> anyhow::Result<Exit> {
    let found = intake::take_in(&session.catalog, folder, emotion).await?;
    limits.patience = super::drive::local_patience();
    limits.wait_ms = super::drive::local_wait_ms(session.config.workers.max_attempts);
    let stage = fetch_stage(session, &session.config.crawl, None)?;
    let fetched = drive(session, &stage, &limits).await?;
    close(
        session,
        json!({"videos": found.videos, "new": found.new, "skipped": found.skipped}),
        None,
        Some(&fetched),
    );
    Ok(exit(session, &[&fetched]))
}

async fn from_youtube(
    session: &Session,
    args: &CrawlArgs,
    policy: CrawlConfig,
    limits: Limits,
) -> anyhow::Result<Exit> {
    let ytdlp = YtDlp::new(session.config.tools.find_ytdlp()?, &policy);
    let planned = plan_searches(session, &args.wanted).await?;
    let may_download = accepted(session, args.accept_terms || policy.accept_terms).await?;
    let (provider, asked_of) = provider(&ytdlp, &policy)?;
    let search_stage = SearchStage::new(provider, asked_of, policy.clone());
    let search_limits = Limits { max_jobs: None, ..limits.clone() };
    let searched = drive(session, &search_stage, &search_limits).await?;
    if !may_download {
        close(session, json!({"searches": planned}), Some(&searched), None);
        return Ok(exit(session, &[&searched]));
    }
    let budget = Budget::new(session.catalog.clone(), policy.videos_per_hour, policy.pause_s);
    let stage = fetch_stage(session, &policy, Some((ytdlp, budget)))?;
    let fetched = drive(session, &stage, &limits).await?;
    close(session, json!({"searches": planned}), Some(&searched), Some(&fetched));
    Ok(exit(session, &[&searched, &fetched]))
}

async fn plan_searches(session: &Session, wanted: &Wanted) -> anyhow::Result<u64> {
    let lexicon = lexicon(wanted, &session.config.crawl)?;
    let wanted = planned(&lexicon, wanted);
    let mut tx = session.catalog.begin().await.map_err(Failure::from)?;
    let planned = searches::plan(&mut tx, "youtube", lexicon.name(), &wanted).await.map_err(Failure::from)?;
    let retired: Vec<i64> = planned.retired.iter().map(|id| id.0).collect();
    jobs::withdraw(&mut tx, search::NAME, &retired).await.map_err(Failure::from)?;
    tx.commit().await.map_err(Failure::from)?;
    let in_force = searches::list(&session.catalog, "youtube").await.map_err(Failure::from)?;
    let ids: Vec<i64> = in_force.iter().map(|search| search.id.0).collect();
    let mut tx = session.catalog.begin().await.map_err(Failure::from)?;
    jobs::enqueue_all(&mut tx, search::NAME, search::REV, 0, &ids).await.map_err(Failure::from)?;
    tx.commit().await.map_err(Failure::from)?;
    Ok(ids.len() as u64)
}

pub(crate) const TERMS: &str = "https://www.youtube.com/t/terms";
const TERMS_VERSION: &str = "2023-12-15";

/// Whether the user took the decision to download, now or earlier; a new decision is written down.
async fn accepted(session: &Session, now: bool) -> anyhow::Result<bool> {
    let before = acceptances::latest(&session.catalog, TERMS).await.map_err(Failure::from)?;
    if now && before.is_none() {
        let mut tx = session.catalog.begin().await.map_err(Failure::from)?;
        acceptances::insert(&mut tx, TERMS, TERMS_VERSION).await.map_err(Failure::from)?;
        tx.commit().await.map_err(Failure::from)?;
    }
    Ok(now || before.is_some())
}

fn provider(ytdlp: &YtDlp, policy: &CrawlConfig) -> anyhow::Result<(Arc<dyn SearchProvider>, &'static str)> {
    let from_environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let key = match (
        from_environment("WEBEMOTION_YOUTUBE_API_KEY"),
        from_environment("WEBEMOTION_YOUTUBE_API_KEY_FILE"),
    ) {
        (Some(key), _) => Some(ApiKey::new(&key)?),
        (None, Some(path)) => Some(ApiKey::from_file(Path::new(&path))?),
        (None, None) => None,
    };
    Ok(match key {
        Some(key) => (Arc::new(DataApi::new(key, policy).map_err(Failure::from)?), "data-api"),
        None => (Arc::new(ytdlp.clone()), "ytdlp"),
    })
}

fn fetch_stage(
    session: &Session,
    policy: &CrawlConfig,
    ytdlp: Option<(YtDlp, Budget)>,
) -> anyhow::Result<FetchStage> {
    Ok(FetchStage {
        store: session.store.clone(),
        ytdlp,
        cpu: super::cpu(session, 1).context("cannot prepare the workers")?,
        policy: policy.clone(),
        scan_rev: scan::rev(&session.config.clips),
    })
}

/// The closing line: what was done.
fn close(
    session: &Session,
    mut facts: serde_json::Value,
    searched: Option<&RunSummary>,
    fetched: Option<&RunSummary>,
) {
    if session.json {
        facts["event"] = "crawled".into();
        for (name, summary) in [("searched", searched), ("fetched", fetched)] {
            facts[name] = summary.map_or(serde_json::Value::Null, |summary| {
                json!({"done": summary.done, "rejected": summary.rejected, "dead": summary.dead,
                    "paused": summary.paused.as_ref().map(|pause| pause.reason)})
            });
        }
        say(facts);
        return;
    }
    let mut parts = Vec::new();
    if let Some(summary) = searched {
        parts.push(format!("{} searches asked{}", summary.done, outlook(session, summary)));
    }
    match fetched {
        Some(summary) => parts.push(format!(
            "{} videos fetched, {} rejected, {} given up{}",
            summary.done,
            summary.rejected,
            summary.dead,
            outlook(session, summary)
        )),
        None => parts.push("metadata only: say --accept-terms to download (see README)".to_owned()),
    }
    say(format_args!("crawl: {}", parts.join("; ")));
}

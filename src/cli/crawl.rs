//! `webemotion crawl`: searches and downloads, or adds videos from a local folder or a list. Here are its flags and the
//! choice between these; each has a file of its own.

mod closing;
mod listed;
mod local;
mod plan;
mod planned;
mod site;
mod terms;

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;

use crate::clock::Stop;
use crate::config::{CrawlConfig, LicencePolicy};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::Patience;
use crate::pipeline::budget::{Budget, ByteLimit};
use crate::pipeline::fetch::FetchStage;
use crate::pipeline::{local as on_disk, scan};
use crate::types::Emotion;
use crate::words::{read_bytes, read_span};
use crate::youtube::YtDlp;

use super::drive::Limits;
use super::{Global, Session, gc};

pub(super) use self::plan::lexicon_of_settings;
pub(super) use self::site::key;
pub(super) use self::terms::{TERMS, stands};

/// Flags of `crawl`.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  webemotion crawl plan\n  webemotion crawl --accept-terms --max-videos 100\n  \
        webemotion crawl --accept-terms --max-runtime 8h --max-bytes 20GB\n  \
        webemotion crawl --source local:videos            (videos/happiness/a.mp4 …)\n  \
        webemotion crawl --source local:talks --emotion neutral\n  \
        webemotion crawl --from released.csv --accept-terms"
)]
pub(crate) struct CrawlArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    wanted: Wanted,
    /// Take exactly the videos of this list: CSV with the columns that the README describes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "lexicon", "include_minors"])]
    from: Option<PathBuf>,
    /// You have read the site's terms and decide to download under them; remembered in the catalog
    #[arg(long)]
    accept_terms: bool,
    /// Which licences may be downloaded: creative-commons, or any; searches that were not yet asked so are all asked
    /// again [default: from the settings, creative-commons]
    #[arg(long, value_parser = licence)]
    license: Option<LicencePolicy>,
    /// Fetch no more than this many videos
    #[arg(long, value_name = "N")]
    max_videos: Option<u64>,
    /// Begin nothing new after this time, such as 90s, 30m or 8h
    #[arg(long, value_name = "TIME", value_parser = read_span)]
    max_runtime: Option<i64>,
    /// Begin nothing new once files of this size were fetched, such as 500MB or 20GB
    #[arg(long, value_name = "SIZE", value_parser = read_bytes)]
    max_bytes: Option<u64>,
    /// Wait for pauses to end instead of leaving with exit code 5
    #[arg(long)]
    wait: bool,
    /// The room for videos that a round has now: it limits downloads, and searches go on
    #[arg(skip)]
    room: Option<u64>,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Print what would be asked, and how long it would take; asks nothing
    #[command(after_help = "Example:\n  webemotion crawl plan --emotion fear --lexicon words.toml")]
    Plan(Wanted),
}

/// What to look for, and where.
#[derive(Debug, Clone, Default, clap::Args)]
struct Wanted {
    /// Where videos come from: youtube, or local:DIR with a folder for each emotion
    #[arg(long, default_value = "youtube", value_name = "SOURCE")]
    source: Source,
    /// Only this emotion (neutral, happiness, surprise, sadness, anger, disgust, fear, contempt); with local:DIR all
    /// its videos are of this emotion, with --from those that name none
    #[arg(long)]
    emotion: Option<Emotion>,
    /// The search words, a file as queries/youtube/webemotion.toml [default: that one]
    #[arg(long, value_name = "FILE")]
    lexicon: Option<PathBuf>,
    /// Also ask the age words that mostly find minors
    #[arg(long)]
    include_minors: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
enum Source {
    #[default]
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

impl CrawlArgs {
    /// The flags for a round, which takes the source from the settings. There is room for this many videos, and time
    /// for this many milliseconds.
    pub(super) fn of_round(source: &str, room: u64, max_runtime: Option<i64>) -> Result<Self, Failure> {
        let wrong = |complaint| Failure::permanent(Reason::Usage, format!("run.source: {complaint}"));
        let wanted = Wanted { source: source.parse().map_err(wrong)?, ..Wanted::default() };
        Ok(Self { wanted, room: Some(room), max_runtime, ..Self::default() })
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
        return plan::print(wanted, global);
    }
    if let (None, Source::Local(folder)) = (&args.from, &args.wanted.source) {
        // Checked first, so that a wrong word leaves no data folder behind.
        on_disk::check(folder)?;
    }
    crawl(&Session::create(global).await?, &args).await
}

/// Crawls as the flags say.
pub(crate) async fn crawl(session: &Session, args: &CrawlArgs) -> anyhow::Result<Exit> {
    let policy = policy(session, args);
    gc::expire(session).await?;
    let limits = limits(session, args, &policy);
    match (&args.from, &args.wanted.source) {
        (Some(list), _) => listed::crawl(session, args, list, policy, limits).await,
        (None, Source::Local(folder)) => local::crawl(session, folder, args, limits).await,
        (None, Source::Youtube) => site::crawl(session, args, policy, limits).await,
    }
}

/// Continues a crawl, whose local files were added and whose searches were planned when it began.
pub(super) async fn resume(session: &Session, args: &CrawlArgs) -> anyhow::Result<Exit> {
    let policy = policy(session, args);
    let limits = limits(session, args, &policy);
    match &args.wanted.source {
        Source::Local(_) => local::resume(session, args, limits).await,
        Source::Youtube => site::resume(session, args, policy, limits).await,
    }
}

/// The settings, with the flags applied.
fn policy(session: &Session, args: &CrawlArgs) -> CrawlConfig {
    let policy = session.config.crawl.clone();
    CrawlConfig { licence: args.license.unwrap_or(policy.licence), ..policy }
}

fn limits(session: &Session, args: &CrawlArgs, policy: &CrawlConfig) -> Limits {
    let milliseconds = |seconds: u64| i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let (first_backoff_ms, patience) = (milliseconds(policy.retry_pause_s), Patience::default());
    Limits {
        max_jobs: args.max_videos,
        room: args.room,
        deadline_ms: args.max_runtime.map(|runtime_ms| session.clock.now_ms().saturating_add(runtime_ms)),
        no_more_claims: Some(Stop::default()),
        wait_ms: if args.wait { i64::MAX / 4 } else { 0 },
        slots: 1,
        patience: Patience {
            first_backoff_ms,
            longest_backoff_ms: patience.longest_backoff_ms.max(first_backoff_ms),
            rate_limited_ms: milliseconds(policy.rate_limited_pause_s),
            ..patience
        },
        ..Limits::default()
    }
}

fn fetch_stage(
    session: &Session,
    args: &CrawlArgs,
    policy: &CrawlConfig,
    limits: &Limits,
    ytdlp: Option<(YtDlp, Budget)>,
) -> anyhow::Result<FetchStage> {
    let no_more_claims = limits.no_more_claims.clone().unwrap_or_default();
    Ok(FetchStage {
        store: session.store.clone(),
        ytdlp,
        cpu: super::cpu(session, 1).context("cannot prepare the workers")?,
        policy: policy.clone(),
        byte_limit: args.max_bytes.map(|most_bytes| ByteLimit::new(most_bytes, no_more_claims)),
        scan_rev: scan::rev(&session.config.clips),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::JobId;

    #[tokio::test]
    async fn times_are_as_long_as_they_were_set() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let policy = CrawlConfig { retry_pause_s: 86_400, ..CrawlConfig::default() };
        let args = CrawlArgs { max_runtime: Some(i64::MAX), ..CrawlArgs::default() };
        let limits = limits(&session, &args, &policy);
        assert!(limits.patience.backoff_ms(JobId(1), 1) >= 86_400_000);
        assert_eq!(limits.deadline_ms, Some(i64::MAX));
    }
}

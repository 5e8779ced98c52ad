//! `webemotion refresh`: asks the Data API again about videos whose metadata grows old, and finds those that are gone.

use serde_json::json;

use crate::catalog::{forget, videos};
use crate::failure::{Exit, Failure, Reason};
use crate::types::VideoId;
use crate::youtube::{DataApi, FoundVideo, IDS_A_CALL, SiteId};

use super::{Global, Session, crawl, say};

/// Flags of `refresh`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  webemotion refresh                      once a week keeps titles from expiring\n  \
    webemotion refresh --purge              and removes what its owner removed from the site"
)]
pub(crate) struct RefreshArgs {
    /// Ask about videos whose metadata is older than this many days; after 30 it is emptied
    #[arg(long, value_name = "DAYS", default_value_t = 20)]
    older_than: u32,
    /// Remove videos that were missing twice, a day apart, with their files, clips, samples and labels
    #[arg(long)]
    purge: bool,
}

const DAY_MS: i64 = 24 * 3_600_000;

/// What a refresh came to.
#[derive(Default)]
struct Tally {
    renewed: usize,
    missing: usize,
    purged: usize,
    files: usize,
}

pub(crate) async fn run(args: RefreshArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let api = DataApi::new(key()?, &session.config.crawl).map_err(Failure::from)?;
    let mut tally = Tally::default();
    // Fixed now: what this refresh asks about is younger.
    let began_ms = session.clock.now_ms();
    while !session.stop.is_asked() {
        let stale = stale(&session, began_ms, args.older_than).await?;
        if stale.is_empty() {
            break;
        }
        ask(&session, &api, &stale, &mut tally).await?;
    }
    let missing = videos::missing(&session.catalog, DAY_MS).await.map_err(Failure::from)?;
    for (id, _) in missing.iter().filter(|(_, is_certain)| args.purge && *is_certain) {
        purge(&session, *id, &mut tally).await?;
    }
    close(&session, &missing, &tally);
    let is_idle = tally.renewed + tally.missing + tally.purged == 0;
    Ok(match (session.stop.is_asked(), is_idle) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::NothingToDo,
        (false, false) => Exit::Done,
    })
}

async fn stale(
    session: &Session,
    began_ms: i64,
    older_than_days: u32,
) -> Result<Vec<(VideoId, String)>, Failure> {
    let before_ms = began_ms - i64::from(older_than_days) * DAY_MS;
    let most = u32::try_from(IDS_A_CALL).unwrap_or(u32::MAX);
    Ok(videos::stale(&session.catalog, before_ms, began_ms - DAY_MS, most).await?)
}

fn key() -> Result<crate::youtube::ApiKey, Failure> {
    crawl::key()?.ok_or_else(|| {
        let detail = "refresh asks the Data API, and there is no key";
        Failure::permanent(Reason::Usage, detail)
            .with_hint("set WEBEMOTION_YOUTUBE_API_KEY; without one, crawl empties titles after 30 days")
    })
}

async fn ask(
    session: &Session,
    api: &DataApi,
    stale: &[(VideoId, String)],
    tally: &mut Tally,
) -> Result<(), Failure> {
    let ids: Vec<SiteId> = stale.iter().filter_map(|(_, site_id)| SiteId::new(site_id)).collect();
    let found = api.look_up(&ids, &session.stop).await?;
    let mut tx = session.catalog.begin().await?;
    for (id, site_id) in stale {
        match found.iter().find(|video| video.site_id == *site_id) {
            Some(video) => {
                videos::upsert(&mut tx, &told(video)).await?;
                tally.renewed += 1;
            }
            None => {
                videos::set_missing(&mut tx, *id).await?;
                tally.missing += 1;
            }
        }
    }
    Ok(tx.commit().await?)
}

fn told(video: &FoundVideo) -> videos::NewVideo {
    videos::NewVideo {
        site: "youtube".to_owned(),
        site_id: video.site_id.clone(),
        url: video.url.clone(),
        title: Some(video.title.clone()),
        channel_id: video.channel_id.clone(),
        channel_name: video.channel_name.clone(),
        promised_duration_ms: video.duration_ms,
        licence: video.licence.clone(),
    }
}

async fn purge(session: &Session, id: VideoId, tally: &mut Tally) -> Result<(), Failure> {
    let mut tx = session.catalog.begin().await?;
    let files = forget::video(&mut tx, id, "gone from the site").await?;
    tx.commit().await?;
    for file in &files {
        session.store.remove(&file.to_string_lossy())?;
    }
    tally.purged += 1;
    tally.files += files.len();
    Ok(())
}

fn close(session: &Session, missing: &[(VideoId, bool)], tally: &Tally) {
    let left = missing.len() - tally.purged;
    let certain = missing.iter().filter(|(_, is_certain)| *is_certain).count() - tally.purged;
    if session.json {
        say(
            json!({"event": "refreshed", "renewed": tally.renewed, "missing": left, "missing_twice": certain,
            "purged": tally.purged, "files": tally.files}),
        );
        return;
    }
    let advice =
        if certain > 0 { format!(", {certain} of them twice: --purge removes those") } else { String::new() };
    say(format_args!(
        "refresh: {} videos renewed, {left} missing from the site{advice}; {} removed with {} files",
        tally.renewed, tally.purged, tally.files
    ));
}

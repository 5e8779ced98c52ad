//! `webemotion refresh`: asks the Data API again about videos whose metadata grows old, and finds those that are gone.

use std::path::PathBuf;

use serde_json::json;

use crate::catalog::{forget, videos};
use crate::failure::{Exit, Failure, Reason};
use crate::types::VideoId;
use crate::youtube::{DataApi, FoundVideo, IDS_A_CALL, SiteId};

use super::{Global, Session, crawl, forget::wipe, say};

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
    /// Removed because their tombstone stands.
    tombstoned: usize,
    files: usize,
}

pub(crate) async fn run(args: RefreshArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let _lock = session.lock_files()?;
    let api = DataApi::new(key()?, &session.config.crawl).map_err(Failure::from)?;
    let mut tally = Tally::default();
    // Listed once: whatever is answered, nothing is asked about twice.
    for some in stale(&session, args.older_than).await?.chunks(IDS_A_CALL) {
        if session.stop.is_asked() {
            break;
        }
        ask(&session, &api, some, &mut tally).await?;
    }
    let missing = videos::missing(&session.catalog, DAY_MS).await.map_err(Failure::from)?;
    if args.purge {
        let certain: Vec<VideoId> =
            missing.iter().filter(|(_, is_certain)| *is_certain).map(|(id, _)| *id).collect();
        purge(&session, &certain, &mut tally).await?;
    }
    close(&session, &missing, &tally);
    // Removed rows leave the catalog's own file too.
    let is_wiped = tally.purged + tally.tombstoned == 0 || wipe(&session).await?;
    let is_idle = tally.renewed + tally.missing + tally.purged + tally.tombstoned == 0;
    Ok(match (session.stop.is_asked(), is_idle) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::NothingToDo,
        (false, false) if !is_wiped => Exit::SomeDead,
        (false, false) => Exit::Done,
    })
}

async fn stale(session: &Session, older_than_days: u32) -> Result<Vec<(VideoId, String)>, Failure> {
    let now_ms = session.clock.now_ms();
    let before_ms = now_ms - i64::from(older_than_days) * DAY_MS;
    Ok(videos::stale(&session.catalog, before_ms, now_ms - DAY_MS).await?)
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
    let mut tombstoned = Vec::new();
    for (id, site_id) in stale {
        let Some(video) = found.iter().find(|video| video.site_id == *site_id) else {
            videos::set_missing(&mut tx, *id).await?;
            tally.missing += 1;
            continue;
        };
        if videos::upsert(&mut tx, &told(video)).await?.is_some() {
            tally.renewed += 1;
        } else {
            tombstoned.push(*id);
        }
    }
    // These must not be here. Their tombstones stay as they are.
    let files = forget::videos(&mut tx, &tombstoned, "its tombstone stood").await?;
    tx.commit().await?;
    tally.tombstoned += tombstoned.len();
    remove(session, &files, tally)
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

async fn purge(session: &Session, ids: &[VideoId], tally: &mut Tally) -> Result<(), Failure> {
    let mut tx = session.catalog.begin().await?;
    let files = forget::videos(&mut tx, ids, "gone from the site").await?;
    tx.commit().await?;
    tally.purged += ids.len();
    remove(session, &files, tally)
}

/// Removes the files of forgotten videos.
fn remove(session: &Session, files: &[PathBuf], tally: &mut Tally) -> Result<(), Failure> {
    for file in files {
        session.store.remove(&file.to_string_lossy())?;
    }
    tally.files += files.len();
    Ok(())
}

fn close(session: &Session, missing: &[(VideoId, bool)], tally: &Tally) {
    let left = missing.len() - tally.purged;
    let certain = missing.iter().filter(|(_, is_certain)| *is_certain).count() - tally.purged;
    if session.json {
        say(
            json!({"event": "refreshed", "renewed": tally.renewed, "missing": left, "missing_twice": certain,
            "purged": tally.purged, "tombstoned": tally.tombstoned, "files": tally.files}),
        );
        return;
    }
    let advice =
        if certain > 0 { format!(", {certain} of them twice: --purge removes those") } else { String::new() };
    say(format_args!(
        "refresh: {} videos renewed, {left} missing from the site{advice}; {} removed with {} files",
        tally.renewed,
        tally.purged + tally.tombstoned,
        tally.files
    ));
}

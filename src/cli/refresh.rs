//! `webemotion refresh`: asks the Data API again about videos with old metadata, and finds those that are gone.

use serde_json::json;

use crate::catalog::videos;
use crate::failure::{Exit, Failure, Reason};
use crate::types::VideoId;
use crate::words::plural;
use crate::youtube::{DataApi, FoundVideo, IDS_A_CALL, SiteId};

use super::removal::{self, Removed};
use super::{Global, Session, crawl, say};

/// Flags of `refresh`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  webemotion refresh                      once a week keeps titles from expiring\n  \
    webemotion refresh --purge              and removes what its owner removed from the site\n\n\
    What --purge removes goes as `webemotion forget` has it go, with its rows, face crops, files and unfinished work, and\n\
    from the pages below reports/, and it is kept from coming back. Its title was emptied when it was first\n\
    missed: pages lose its id and its pictures, and may go on telling its title. A video that was forgotten and is here all\n\
    the same goes in any case. What a worker has in hand is left for the next time.\n\n\
    It ends with 1 when a page cannot be cleaned, or another process reads the catalog, so that its file still has what\n\
    was removed."
)]
pub(crate) struct RefreshArgs {
    /// Ask about videos whose metadata is older than this many days; after 30 it is emptied
    #[arg(long, value_name = "DAYS", default_value_t = 20)]
    older_than: u32,
    /// Remove videos that were missing twice, a day apart, with all that came of them
    #[arg(long)]
    purge: bool,
}

const DAY_MS: i64 = 24 * 3_600_000;

/// The result of a refresh.
#[derive(Default)]
struct Tally {
    renewed: usize,
    missing: usize,
    /// Gone from the site for certain.
    purged: Removed,
    /// Here although they have a tombstone.
    tombstoned: Removed,
}

impl Tally {
    fn both(&self) -> [&Removed; 2] {
        [&self.purged, &self.tombstoned]
    }

    /// The number of videos removed.
    fn removed(&self) -> usize {
        self.both().iter().map(|removed| removed.videos.len()).sum()
    }

    /// The number of their files removed.
    fn files(&self) -> usize {
        self.both().iter().map(|removed| removed.files.len()).sum()
    }
}

pub(crate) async fn run(args: RefreshArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let _lock = session.lock_files()?;
    let api = DataApi::new(key()?, &session.config.crawl).map_err(Failure::from)?;
    let (mut tally, mut tombstoned) = (Tally::default(), Vec::new());
    // Listed once, so that no video is asked about twice.
    for some in stale(&session, args.older_than).await?.chunks(IDS_A_CALL) {
        if session.stop.is_asked() {
            break;
        }
        tombstoned.extend(ask(&session, &api, some, &mut tally).await?);
    }
    // These must not be here; their tombstones stay.
    tally.tombstoned = removal::remove_rows(&session, &tombstoned, "its tombstone stood", false).await?;
    let missing = videos::missing(&session.catalog, DAY_MS).await.map_err(Failure::from)?;
    if args.purge {
        let certain: Vec<VideoId> =
            missing.iter().filter(|(_, is_certain)| *is_certain).map(|(id, _)| *id).collect();
        tally.purged = removal::remove_rows(&session, &certain, "gone from the site", false).await?;
    }
    close(&session, &missing, &tally);
    // Removes deleted rows from the catalog's own file too.
    let is_wiped = tally.removed() == 0 || removal::wipe(&session).await?;
    let is_all = is_wiped && tally.both().iter().all(|removed| removed.is_all());
    let is_idle = tally.renewed + tally.missing + tally.removed() == 0;
    Ok(match (session.stop.is_asked(), is_idle) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::NothingToDo,
        (false, false) if !is_all => Exit::SomeDead,
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

/// Asks about some videos, and stores the answers. Returns those that the site names although they have a tombstone.
async fn ask(
    session: &Session,
    api: &DataApi,
    stale: &[(VideoId, String)],
    tally: &mut Tally,
) -> Result<Vec<VideoId>, Failure> {
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
        if videos::upsert(&mut tx, &new_video(video)).await?.is_some() {
            tally.renewed += 1;
        } else {
            tombstoned.push(*id);
        }
    }
    tx.commit().await?;
    Ok(tombstoned)
}

fn new_video(video: &FoundVideo) -> videos::NewVideo {
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

fn close(session: &Session, missing: &[(VideoId, bool)], tally: &Tally) {
    let purged = tally.purged.videos.len();
    let left = missing.len() - purged;
    let certain = missing.iter().filter(|(_, is_certain)| *is_certain).count() - purged;
    let in_hand: Vec<&String> = tally.both().iter().flat_map(|removed| &removed.in_hand).collect();
    if session.json {
        say(
            json!({"event": "refreshed", "renewed": tally.renewed, "missing": left, "missing_twice": certain,
            "purged": purged, "tombstoned": tally.tombstoned.videos.len(), "files": tally.files(), "in_hand": in_hand}),
        );
        return;
    }
    for video in in_hand {
        say(format_args!("{video}: a worker has it in hand: left until refresh comes again"));
    }
    let advice =
        if certain > 0 { format!(", {certain} of them twice: --purge removes those") } else { String::new() };
    say(format_args!(
        "refresh: {} renewed, {left} missing from the site{advice}; {} removed with {}",
        plural(tally.renewed, "video"),
        tally.removed(),
        plural(tally.files(), "file")
    ));
}

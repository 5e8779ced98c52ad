//! `webemotion refresh`: asks the Data API again about videos with old metadata, and finds those that are gone.

use std::collections::HashSet;

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
#[command(after_help = "Examples:\n  \
    webemotion refresh                      once a week keeps titles from expiring\n  \
    webemotion refresh --purge              and removes what its owner removed from the site\n\n\
    What --purge removes goes as `webemotion forget` has it go, with its rows, face crops, files and unfinished \
    work, and from the pages below reports/, and it is kept from coming back. Its title was emptied when it was \
    first missed: pages lose its id and its pictures, and may go on telling its title. A video that was \
    forgotten and is here all the same goes in any case. What a worker has in hand is left for the next time.\n\n\
    It ends with 1 when a page cannot be cleaned, or another process reads the catalog, so that its file still \
    has what was removed; and when the site names so few of the videos that its answer cannot be believed: then \
    none counts as missing, and --purge removes none.")]
pub(crate) struct RefreshArgs {
    /// Ask about videos whose metadata is older than this many days; after 30 it is emptied
    #[arg(long, value_name = "DAYS", default_value_t = 20)]
    older_than: u32,
    /// Remove videos that were missing twice, a day apart, with all that came of them
    #[arg(long)]
    purge: bool,
}

const DAY_MS: i64 = 24 * 3_600_000;
/// All of so few videos may have left the site by chance.
const HANDFUL: usize = 5;
/// From so many on, more than half of all is too much to be chance.
const MANY: usize = 20;

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

/// What the site said of all videos that it was asked about.
#[derive(Default)]
struct Answers {
    renewed: usize,
    /// Those that it names although they have a tombstone.
    tombstoned: Vec<VideoId>,
    /// Those that it does not name.
    missing: Vec<VideoId>,
    /// The number asked about that were not missing before.
    asked: usize,
    /// The number of those that it does not name.
    lost: usize,
    /// Whether one question about more than a handful of them got an empty answer.
    is_batch_lost: bool,
}

impl Answers {
    /// Counts one answer: how many were asked about that were not missing before, and how many of them it does not name.
    fn count(&mut self, asked: usize, lost: usize) {
        self.asked += asked;
        self.lost += lost;
        self.is_batch_lost |= asked > HANDFUL && lost == asked;
    }

    /// Why the answers cannot be believed, if so. Videos leave the site one by one; an API that is half disabled, has
    /// changed its answer or is behind a proxy names none of them, and believing it would remove the whole data set.
    fn doubt(&self) -> Option<Failure> {
        let is_too_much = self.lost >= MANY && self.lost * 2 > self.asked;
        if !self.is_batch_lost && !is_too_much {
            return None;
        }
        let detail = format!(
            "the Data API does not name {} of {}{}: this is not believed, and none counts as missing",
            self.lost,
            plural(self.asked, "video"),
            if self.is_batch_lost { ", none at all in one answer" } else { "" }
        );
        Some(Failure::transient(Reason::Unexplained, detail).with_hint(
            "look whether they are on the site, and whether the key's project may use the Data API; \
             then start the same command again, or remove what is gone with `webemotion forget`",
        ))
    }
}

pub(crate) async fn run(args: RefreshArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let _lock = session.lock_files()?;
    let api = DataApi::new(key()?, &session.config.crawl).map_err(Failure::from)?;
    let answers = ask_all(&session, &api, args.older_than).await?;
    let doubt = answers.doubt();
    let mut tally = Tally { renewed: answers.renewed, ..Tally::default() };
    // These must not be here; their tombstones stay.
    tally.tombstoned =
        removal::remove_rows(&session, &answers.tombstoned, "its tombstone stood", false).await?;
    if doubt.is_none() {
        tally.missing = set_missing(&session, &answers.missing).await?;
    }
    let missing = videos::missing(&session.catalog, DAY_MS).await.map_err(Failure::from)?;
    if args.purge && doubt.is_none() {
        let certain = missing.iter().filter(|(_, is_certain)| *is_certain);
        let certain: Vec<VideoId> = certain.map(|(id, _)| *id).collect();
        tally.purged = removal::remove_rows(&session, &certain, "gone from the site", false).await?;
    }
    close(&session, &missing, &tally);
    // Removes deleted rows from the catalog's own file too.
    let is_wiped = tally.removed() == 0 || removal::wipe(&session).await?;
    if let Some(doubt) = doubt {
        return Err(doubt.into());
    }
    let is_all = is_wiped && tally.both().iter().all(|removed| removed.is_all());
    let is_idle = tally.renewed + tally.missing + tally.removed() == 0;
    Ok(match (session.stop.is_asked(), is_idle) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::NothingToDo,
        (false, false) if !is_all => Exit::SomeDead,
        (false, false) => Exit::Done,
    })
}

/// Asks about all videos whose metadata is old. What is missing is judged when all are asked, so nothing of it is stored yet.
async fn ask_all(session: &Session, api: &DataApi, older_than_days: u32) -> Result<Answers, Failure> {
    let before = videos::missing(&session.catalog, DAY_MS).await?;
    let before: HashSet<VideoId> = before.into_iter().map(|(id, _)| id).collect();
    let mut answers = Answers::default();
    // Listed once, so that no video is asked about twice.
    for some in stale(session, older_than_days).await?.chunks(IDS_A_CALL) {
        if session.stop.is_asked() {
            break;
        }
        let gone = ask(session, api, some, &mut answers).await?;
        let asked = some.iter().filter(|(id, _)| !before.contains(id)).count();
        let lost = gone.iter().filter(|id| !before.contains(id)).count();
        answers.count(asked, lost);
        answers.missing.extend(gone);
    }
    Ok(answers)
}

/// Records that the site no longer names these videos; returns how many they are.
async fn set_missing(session: &Session, gone: &[VideoId]) -> Result<usize, Failure> {
    let mut tx = session.catalog.begin().await?;
    for id in gone {
        videos::set_missing(&mut tx, *id).await?;
    }
    tx.commit().await?;
    Ok(gone.len())
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

/// Asks about some videos, and stores what the site says of those that it names. Returns the others.
async fn ask(
    session: &Session,
    api: &DataApi,
    stale: &[(VideoId, String)],
    answers: &mut Answers,
) -> Result<Vec<VideoId>, Failure> {
    let ids: Vec<SiteId> = stale.iter().filter_map(|(_, site_id)| SiteId::new(site_id)).collect();
    let found = api.look_up(&ids, &session.stop).await?;
    let mut tx = session.catalog.begin().await?;
    let mut gone = Vec::new();
    for (id, site_id) in stale {
        let Some(video) = found.iter().find(|video| video.site_id == *site_id) else {
            gone.push(*id);
            continue;
        };
        if videos::upsert(&mut tx, &new_video(video)).await?.is_some() {
            answers.renewed += 1;
        } else {
            answers.tombstoned.push(*id);
        }
    }
    tx.commit().await?;
    Ok(gone)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn is_doubted(batches: &[(usize, usize)]) -> bool {
        let mut answers = Answers::default();
        for (asked, lost) in batches {
            answers.count(*asked, *lost);
        }
        answers.doubt().is_some()
    }

    #[test]
    fn an_answer_that_loses_most_of_a_data_set_is_not_believed() {
        assert!(!is_doubted(&[]) && !is_doubted(&[(0, 0)]) && !is_doubted(&[(5, 5)]));
        assert!(!is_doubted(&[(7, 6)]) && !is_doubted(&[(50, 25), (50, 24)]));
        assert!(is_doubted(&[(6, 6)]) && is_doubted(&[(50, 0), (50, 50)]));
        assert!(is_doubted(&[(39, 20)]) && is_doubted(&[(50, 26), (50, 25)]));
    }
}

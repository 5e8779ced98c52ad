//! The crawl of a round: searches and downloads as far as there is room and time, and waits for both.

use std::time::Duration;

use crate::catalog::pauses::{self, Pause};
use crate::catalog::rounds;
use crate::config::Config;
use crate::failure::Failure;
use crate::pipeline::{cut, fetch, scan, search};
use crate::types::{JobState, StageName};

use super::super::Session;
use super::super::crawl::{self, CrawlArgs};
use super::Standing;
use super::agenda::{is_disk_low, room};
use super::legs::{LegState, LegStates, goes_on, time_left};

/// While crawl waits for the end of a pause, it checks this often whether the pause still holds.
const PAUSE_CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// The first rest after crawls that brought nothing, milliseconds.
const FIRST_REST_MS: i64 = 600_000;
/// The longest one, milliseconds.
const LONGEST_REST_MS: i64 = 3_600_000;

/// Searches, and downloads while there is room for more videos. Waits for room that clips will make, and for a pause
/// that ends before the deadline. A crawl that is not due begins only after such a wait. Returns whether it crawled at all.
pub(super) async fn crawl_leg(
    session: &Session,
    is_due: bool,
    deadline_ms: Option<i64>,
    both: &LegStates,
) -> anyhow::Result<bool> {
    let config = &session.config;
    let (mut has_crawled, mut may_search) = (false, true);
    let (mut fruitless, mut rest_until_ms) = (0, 0);
    let mut left = match config.run.max_videos {
        0 => u64::MAX,
        most => most,
    };
    while goes_on(session, deadline_ms) && left > 0 {
        let before = Standing::of_queue(session).await?;
        let room = room(&before, config).min(left);
        let downloads = has_downloads(&before, config) && before.pause_of(fetch::NAME).is_none();
        let searches = has_searches(&before, config) && before.pause_of(search::NAME).is_none();
        let can_work = (searches && may_search) || (downloads && room > 0) || (!has_crawled && is_due);
        let rests = session.clock.now_ms() < rest_until_ms;
        if rests || !can_work {
            both.crawl.set(LegState::Waiting);
            if downloads && !rests && may_get_room(&before, both) {
                both.clips.changed(session).await;
                continue;
            }
            let resume_ms =
                if rests { Some(rest_until_ms) } else { next_resume_ms(session, &before).await? };
            if !wait(session, resume_ms, deadline_ms).await {
                break;
            }
            continue;
        }
        both.crawl.set(LegState::Working);
        let wanted = CrawlArgs::of_round(&config.run.source, room, time_left(session, deadline_ms))?;
        if has_crawled {
            crawl::resume(session, &wanted).await?;
        } else {
            crawl::crawl(session, &wanted).await?;
        }
        has_crawled = true;
        // Not the difference of due jobs: searches add downloads while others end.
        let brought = Brought::since(session, before.at_ms).await?;
        let paused = pauses::in_force(&session.catalog).await.map_err(Failure::from)?;
        let is_paused = |stage: StageName| paused.iter().any(|pause| pause.stage == stage);
        left = left.saturating_sub(room.min(brought.downloads));
        // Work that does not get on is left to the next round, unless it waits for a pause.
        may_search = brought.searches + brought.downloads > 0 || is_paused(search::NAME);
        fruitless = if brought.is_any_good { 0 } else { fruitless + 1 };
        rest_until_ms = session.clock.now_ms() + rest_ms(fruitless);
        if downloads && room > 0 && brought.downloads == 0 && !is_paused(fetch::NAME) {
            break;
        }
    }
    Ok(has_crawled)
}

/// Whether there are downloads that neither the terms nor a full disk hold up.
fn has_downloads(standing: &Standing, config: &Config) -> bool {
    standing.may_download && standing.downloads > 0 && !is_disk_low(standing, config)
}

/// Whether the site is searched, and there are searches that have no answer yet.
fn has_searches(standing: &Standing, config: &Config) -> bool {
    config.run.source == "youtube" && (standing.searches > 0 || !standing.is_planned)
}

/// How long crawl rests after this many crawls in a row that brought nothing, milliseconds. The first comes back when its
/// pause is over; each further one waits twice as long, so that a long outage does not use up the attempts of many jobs.
fn rest_ms(fruitless: u32) -> i64 {
    if fruitless < 2 { 0 } else { (FIRST_REST_MS << (fruitless - 2).min(10)).min(LONGEST_REST_MS) }
}

/// Waits for a time, but no longer than until the pauses are to be checked again; false if there is none before the
/// deadline. Without a deadline nothing is waited for.
async fn wait(session: &Session, resume_ms: Option<i64>, deadline_ms: Option<i64>) -> bool {
    let in_time = |resume_ms: &i64| deadline_ms.is_some_and(|end_ms| *resume_ms < end_ms);
    let Some(resume_ms) = resume_ms.filter(in_time) else { return false };
    let left_ms = resume_ms.saturating_sub(session.clock.now_ms()).max(0);
    let left = Duration::from_millis(left_ms.unsigned_abs()).min(PAUSE_CHECK_INTERVAL);
    // The caller checks whether the pause is over or the user wants to stop.
    let _ = tokio::time::timeout(left, session.stop.asked()).await;
    true
}

/// Whether clips will make room: they are at work, or have work that nothing blocks.
fn may_get_room(standing: &Standing, both: &LegStates) -> bool {
    let is_held_up = standing.pause_of(scan::NAME).or(standing.pause_of(cut::NAME)).is_some();
    match both.clips.get() {
        LegState::Working => true,
        LegState::Waiting => standing.scans_and_cuts + standing.unseen_files > 0 && !is_held_up,
        LegState::Ended => false,
    }
}

/// When the first pause that blocks work of crawl ends, milliseconds since 1970; none if no such pause ends by itself.
async fn next_resume_ms(session: &Session, standing: &Standing) -> Result<Option<i64>, Failure> {
    let blocks_work = |pause: &Pause| match pause.stage {
        search::NAME => has_searches(standing, &session.config),
        fetch::NAME => has_downloads(standing, &session.config),
        _ => false,
    };
    let in_force = pauses::in_force(&session.catalog).await?;
    let blocking = in_force.iter().filter(|pause| blocks_work(pause));
    Ok(blocking.filter_map(|pause| pause.resume_at).min())
}

/// What a crawl brought.
struct Brought {
    /// Searches that ended.
    searches: u64,
    /// Downloads that ended.
    downloads: u64,
    /// Whether any of these ended otherwise than by being given up.
    is_any_good: bool,
}

impl Brought {
    async fn since(session: &Session, since_ms: i64) -> Result<Self, Failure> {
        let mut ended = rounds::ended(&session.catalog, since_ms, i64::MAX).await?;
        ended.retain(|it| [search::NAME, fetch::NAME].contains(&it.stage));
        let of =
            |stage: StageName| -> u64 { ended.iter().filter(|it| it.stage == stage).map(|it| it.jobs).sum() };
        let is_any_good = ended.iter().any(|it| it.state != JobState::Dead);
        Ok(Self { searches: of(search::NAME), downloads: of(fetch::NAME), is_any_good })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;

    #[tokio::test]
    async fn a_round_waits_for_a_pause_that_blocks_work_and_ends_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let soon_ms = session.clock.now_ms() + 60_000;
        let mut tx = session.catalog.begin().await.unwrap();
        let limited = Reason::RateLimited;
        pauses::begin(&mut tx, StageName::Fetch, limited, "", Some(soon_ms)).await.unwrap();
        pauses::begin(&mut tx, StageName::Search, Reason::Blocked, "", None).await.unwrap();
        tx.commit().await.unwrap();
        let resume_ms = async |downloads, searches| {
            let (may_download, is_planned) = (true, true);
            let of_queue = Standing { downloads, searches, may_download, is_planned, ..Standing::default() };
            let queue = Standing { free_bytes: 1 << 40, ..of_queue };
            next_resume_ms(&session, &queue).await.unwrap()
        };
        assert_eq!(resume_ms(1, 0).await, Some(soon_ms));
        assert_eq!(resume_ms(0, 1).await, None, "that pause waits for a person");
        assert_eq!(resume_ms(0, 0).await, None);
    }

    #[tokio::test]
    async fn nothing_is_waited_for_that_comes_after_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let now_ms = session.clock.now_ms();
        let soon_ms = Some(now_ms + 20);
        assert!(wait(&session, soon_ms, Some(now_ms + 60_000)).await);
        assert!(!wait(&session, soon_ms, soon_ms).await);
        assert!(!wait(&session, soon_ms, None).await);
        assert!(!wait(&session, None, Some(now_ms + 60_000)).await);
    }

    #[test]
    fn a_long_outage_is_asked_about_ever_more_rarely() {
        let minutes = [0, 1, 2, 3, 4, 5, 99].map(|fruitless| rest_ms(fruitless) / 60_000);
        assert_eq!(minutes, [0, 0, 10, 20, 40, 60, 60]);
    }
}

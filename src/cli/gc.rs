//! `webemotion gc`: removes what must not be here or is not needed: videos with a tombstone, files that no row names,
//! unfinished work without a lease, and expired raw answers.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use serde::Serialize;

use crate::catalog::{Transaction, answers, attempts, forget, jobs, videos};
use crate::failure::{Exit, Failure};
use crate::words::{bytes, plural};

use super::{Global, Session, removal, say};

/// Flags of `gc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    webemotion gc --dry-run\n  \
    webemotion gc --json | jq .freed_bytes\n\n\
    Removes files below videos/ and clips/ that no row names, unfinished work, raw answers and titles that are \
    older than 30 days, and videos that were forgotten and are here all the same, as after a merge by hand: \
    these go as `webemotion forget` has them go, also from the pages below reports/. While a job is held files \
    are left alone, and so are videos that a worker has in hand; while a merge, restore, forget or refresh is at \
    work gc ends at once with 4. It ends with 1 when a page cannot be cleaned, or while another process reads \
    the catalog, so that its file still has what was deleted.")]
pub(crate) struct GcArgs {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Data from the site may be kept this long unless it is refreshed (its developer policies, III.E.4.d).
const KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// Files removed at a time while others wait for the catalog.
const BATCH: usize = 500;

/// What was removed, or would be.
#[derive(Debug, Default, Serialize)]
struct Collected {
    event: &'static str,
    dry_run: bool,
    /// Videos with a tombstone, removed with everything derived from them.
    tombstoned: usize,
    /// Further ones, which a worker is processing.
    in_hand: Vec<String>,
    /// Pages below `reports/` from which they were removed.
    pages: BTreeSet<PathBuf>,
    /// Pages that cannot be cleaned of them.
    unclean: BTreeSet<PathBuf>,
    /// Files that no row names.
    files: Vec<String>,
    /// Their bytes.
    freed_bytes: u64,
    /// Pieces of unfinished work.
    unfinished: Vec<String>,
    /// Raw answers emptied.
    raw_answers: u64,
    /// Videos whose title and channel's name were emptied.
    metadata: u64,
    /// Files were left alone, since a job is held: a file is in place a moment before its row.
    is_at_work: bool,
    /// The catalog's own file still contains what was deleted, since another process is reading.
    is_read: bool,
}

pub(crate) async fn run(args: GcArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let _lock = session.lock_files()?;
    let tombstoned = forget::tombstoned(&session.catalog).await.map_err(Failure::from)?;
    let buried = removal::remove_rows(&session, &tombstoned, "its tombstone stood", args.dry_run).await?;
    let mut collected = sweep(&session, args.dry_run).await?;
    collected.tombstoned = buried.videos.len();
    (collected.in_hand, collected.pages, collected.unclean) = (buried.in_hand, buried.pages, buried.unclean);
    let expired = if args.dry_run { expiring(&session).await? } else { expire(&session).await? };
    (collected.raw_answers, collected.metadata) = (expired.answers, expired.videos);
    collected.is_read = !args.dry_run && !removal::wipe(&session).await?;
    close(&session, &collected)?;
    let is_all = collected.unclean.is_empty() && !collected.is_read;
    Ok(match (session.stop.is_asked(), is_all) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Done,
        (false, false) => Exit::SomeDead,
    })
}

/// Removes files that no row names and unfinished work, or only counts them, unless a job is held.
///
/// The order protects files that appear meanwhile. Files are listed first, so later ones are not considered. Then each
/// batch is removed while the catalog is locked for writing: no job can be claimed, so no unfinished work is resumed and
/// no file is put in an orphan's place; and a job that has ended has written the rows of its files, which are read last.
async fn sweep(session: &Session, dry_run: bool) -> Result<Collected, Failure> {
    let (mut files, unfinished) = (session.store.files()?, session.store.unfinished()?);
    keep_orphans(session, &mut files).await?;
    let mut collected = Collected { event: "collected", dry_run, ..Collected::default() };
    collected.is_at_work = is_at_work(session).await?;
    for some in files.chunks(BATCH) {
        let Some(_lock) = lock_if_idle(session, &mut collected).await? else { return Ok(collected) };
        let mut orphans = some.to_vec();
        keep_orphans(session, &mut orphans).await?;
        let size =
            |path: &String| std::fs::metadata(session.store.absolute(path)).map_or(0, |facts| facts.len());
        collected.freed_bytes += orphans.iter().map(size).sum::<u64>();
        if !dry_run {
            orphans.iter().try_for_each(|path| session.store.remove(path))?;
        }
        collected.files.extend(orphans);
    }
    for some in unfinished.chunks(BATCH) {
        let Some(_lock) = lock_if_idle(session, &mut collected).await? else { return Ok(collected) };
        if !dry_run {
            some.iter().try_for_each(|work| session.store.clear_staging(work))?;
        }
        collected.unfinished.extend_from_slice(some);
    }
    Ok(collected)
}

/// Retains the files that no row names.
async fn keep_orphans(session: &Session, files: &mut Vec<String>) -> Result<(), Failure> {
    let rows = videos::files(&session.catalog).await?;
    let named: HashSet<String> =
        rows.into_iter().map(|(path, _)| path.to_string_lossy().into_owned()).collect();
    files.retain(|path| !named.contains(path));
    Ok(())
}

/// Locks the catalog for writing until it is dropped; none while a job is held.
async fn lock_if_idle(session: &Session, collected: &mut Collected) -> Result<Option<Transaction>, Failure> {
    if collected.is_at_work {
        return Ok(None);
    }
    let lock = session.catalog.begin().await?;
    collected.is_at_work = is_at_work(session).await?;
    Ok((!collected.is_at_work).then_some(lock))
}

/// Whether a job is held. An expired lease does not count: mostly its worker is dead. One that was suspended, or whose
/// clock was set forward, may go on and renew it; what it had begun in its staging folder is then gone, and its attempt
/// fails.
async fn is_at_work(session: &Session) -> Result<bool, Failure> {
    let now_ms = session.clock.now_ms();
    Ok(jobs::held(&session.catalog).await?.iter().any(|lease| lease.ends_at > now_ms))
}

fn close(session: &Session, collected: &Collected) -> anyhow::Result<()> {
    if session.json {
        say(serde_json::to_string(collected)?);
        return Ok(());
    }
    let would = if collected.dry_run { "would be " } else { "" };
    for video in &collected.in_hand {
        say(format_args!("{video}: has a tombstone, and a worker has it in hand: left until gc comes again"));
    }
    let waits = if collected.is_at_work {
        "; files are left alone while jobs are held, run it again later"
    } else {
        ""
    };
    say(format_args!(
        "gc: {} ({}), {} of unfinished work and {} with a tombstone {would}removed, {} and the titles of {} \
         {would}emptied{waits}",
        plural(collected.files.len(), "file"),
        bytes(collected.freed_bytes),
        plural(collected.unfinished.len(), "piece"),
        plural(collected.tombstoned, "video"),
        plural(collected.raw_answers, "raw answer"),
        plural(collected.metadata, "video")
    ));
    Ok(())
}

/// What was emptied, or would be, because it expired.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expired {
    /// Raw answers.
    pub(crate) answers: u64,
    /// Videos that lost their title and their channel's name.
    pub(crate) videos: u64,
}

/// What [`expire`] would empty.
async fn expiring(session: &Session) -> Result<Expired, Failure> {
    let before_ms = session.clock.now_ms() - KEPT_MS;
    Ok(Expired {
        answers: answers::count_expired(&session.catalog, before_ms).await?,
        videos: videos::count_expired_metadata(&session.catalog, before_ms).await?,
    })
}

/// Empties data from the site that is older than thirty days. Ids, evidence and labels stay. Every crawl does it too.
pub(crate) async fn expire(session: &Session) -> Result<Expired, Failure> {
    let before_ms = session.clock.now_ms() - KEPT_MS;
    attempts::expire(&session.catalog, before_ms).await?;
    Ok(Expired {
        answers: answers::expire(&session.catalog, before_ms).await?,
        videos: videos::expire_metadata(&session.catalog, before_ms).await?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::jobs::Claim;
    use crate::catalog::samples;
    use crate::types::StageName;

    /// A data folder with a file that no row names yet.
    async fn with_an_orphan(folder: &std::path::Path) -> Session {
        let session = Session::still(folder).await;
        std::fs::create_dir_all(session.store.absolute("clips")).unwrap();
        std::fs::write(session.store.absolute("clips/1.mp4"), b"a clip").unwrap();
        session
    }

    #[tokio::test]
    async fn a_file_whose_row_is_written_meanwhile_is_kept_and_one_without_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let session = with_an_orphan(folder.path()).await;
        assert_eq!(sweep(&session, true).await.unwrap().files, ["clips/1.mp4"]);
        let mut tx = session.catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        samples::tests::fill(&mut tx, id, 1).await;
        let naming = async {
            tokio::task::yield_now().await;
            tx.commit().await.unwrap();
        };
        let (swept, ()) = tokio::join!(sweep(&session, false), naming);
        assert!(swept.unwrap().files.is_empty());
        assert!(session.store.absolute("clips/1.mp4").is_file());

        std::fs::write(session.store.absolute("clips/2.mp4"), b"nobody's").unwrap();
        assert_eq!(sweep(&session, false).await.unwrap().files, ["clips/2.mp4"]);
        assert_eq!(session.store.files().unwrap(), ["clips/1.mp4"]);
    }

    #[tokio::test]
    async fn every_file_of_several_batches_is_removed_and_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let session = with_an_orphan(folder.path()).await;
        for number in 0..BATCH {
            std::fs::write(session.store.absolute(&format!("clips/a-{number}.mp4")), b"nobody's").unwrap();
        }
        let all = session.store.files().unwrap();
        let swept = sweep(&session, false).await.unwrap();
        assert_eq!((swept.files, swept.freed_bytes), (all, 6 + 8 * BATCH as u64));
        assert!(session.store.files().unwrap().is_empty());
    }

    #[tokio::test]
    async fn while_a_job_is_held_files_and_unfinished_work_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let session = with_an_orphan(folder.path()).await;
        session.store.staging("cut-1").unwrap();
        let mut tx = session.catalog.begin().await.unwrap();
        jobs::enqueue(&mut tx, StageName::Cut, "1", 0, 1).await.unwrap();
        tx.commit().await.unwrap();
        let claim = Claim { stage: StageName::Cut, rev: "1", worker: "me", lease_ms: 1_000 };
        jobs::claim(&session.catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
        let swept = sweep(&session, false).await.unwrap();
        assert!(swept.is_at_work && swept.files.is_empty() && swept.unfinished.is_empty());
        assert_eq!(session.store.files().unwrap(), ["clips/1.mp4"]);
        session.clock.advance_ms(2_000);
        assert_eq!(sweep(&session, false).await.unwrap().unfinished, ["cut-1"]);
    }

    #[tokio::test]
    async fn only_one_process_moves_files_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let session = with_an_orphan(folder.path()).await;
        let lock = session.lock_files().unwrap();
        let second = session.lock_files().unwrap_err();
        assert_eq!(second.exit(), Exit::NothingToDo);
        assert!(
            second.detail.contains("merge, restore, gc, forget or refresh is at work already: process"),
            "{second}"
        );
        drop(lock);
        session.lock_files().unwrap();
    }
}

//! `webemotion gc`: removes what must not be here or serves nobody: rows of videos with a tombstone, files that no row
//! names, unfinished work that nobody holds, and raw answers past their time.

use std::collections::HashSet;

use serde::Serialize;

use crate::catalog::{answers, forget, jobs, videos};
use crate::failure::{Exit, Failure};

use super::{Global, Session, say};

/// Flags of `gc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  webemotion gc --dry-run\n  webemotion gc --json | jq .freed_bytes")]
pub(crate) struct GcArgs {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// What the site told may be kept this long unless it is asked again (its developer policies, III.E.4.d).
const KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// What was removed, or would be.
#[derive(Debug, Default, Serialize)]
struct Collected {
    event: &'static str,
    dry_run: bool,
    /// Videos whose tombstone stands, removed with all that came of them.
    tombstoned: usize,
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
    /// Files were left alone: a file stands in its place a moment before its row does.
    is_at_work: bool,
}

pub(crate) async fn run(args: GcArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let mut collected = Collected { event: "collected", dry_run: args.dry_run, ..find(&session).await? };
    if !args.dry_run {
        remove(&session, &collected).await?;
        let expired = expire(&session).await?;
        (collected.raw_answers, collected.metadata) = (expired.answers, expired.videos);
    }
    close(&session, &collected)?;
    Ok(Exit::Done)
}

async fn find(session: &Session) -> Result<Collected, Failure> {
    let now_ms = session.clock.now_ms();
    // A lease that is over holds nothing: whoever had it has lost the job.
    let is_at_work = jobs::held(&session.catalog).await?.iter().any(|lease| lease.ends_at > now_ms);
    let tombstoned = forget::tombstoned(&session.catalog).await?.len();
    if is_at_work {
        return Ok(Collected { tombstoned, is_at_work, ..Collected::default() });
    }
    let named: HashSet<String> = videos::files(&session.catalog)
        .await?
        .into_iter()
        .map(|(path, _)| path.to_string_lossy().into_owned())
        .collect();
    let files: Vec<String> =
        session.store.files()?.into_iter().filter(|path| !named.contains(path)).collect();
    let size = |path: &String| std::fs::metadata(session.store.absolute(path)).map_or(0, |facts| facts.len());
    let freed_bytes = files.iter().map(size).sum();
    let unfinished = session.store.unfinished()?;
    Ok(Collected { tombstoned, files, freed_bytes, unfinished, ..Collected::default() })
}

/// Removes what was found.
async fn remove(session: &Session, collected: &Collected) -> Result<(), Failure> {
    for (video, reason) in forget::tombstoned(&session.catalog).await? {
        let mut tx = session.catalog.begin().await?;
        let files = forget::video(&mut tx, video, &reason).await?;
        tx.commit().await?;
        for file in files {
            session.store.remove(&file.to_string_lossy())?;
        }
    }
    for path in &collected.files {
        session.store.remove(path)?;
    }
    for work in &collected.unfinished {
        session.store.clear_staging(work)?;
    }
    Ok(())
}

fn close(session: &Session, collected: &Collected) -> anyhow::Result<()> {
    if session.json {
        say(serde_json::to_string(collected)?);
        return Ok(());
    }
    let would = if collected.dry_run { "would be removed" } else { "removed" };
    let waits = if collected.is_at_work {
        "; files are left alone while jobs are held, run it again later"
    } else {
        ""
    };
    say(format_args!(
        "gc: {} files ({} MB), {} pieces of unfinished work and {} videos with a tombstone {would}, {} raw answers \
         and the titles of {} videos emptied{waits}",
        collected.files.len(),
        collected.freed_bytes / 1_000_000,
        collected.unfinished.len(),
        collected.tombstoned,
        collected.raw_answers,
        collected.metadata
    ));
    Ok(())
}

/// What was emptied because it is older than it may be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expired {
    /// Raw answers.
    pub(crate) answers: u64,
    /// Videos that lost their title and their channel's name.
    pub(crate) videos: u64,
}

/// Empties what the site told more than thirty days ago. Ids, evidence and labels stay. Every crawl does it too.
pub(crate) async fn expire(session: &Session) -> Result<Expired, Failure> {
    let before_ms = session.clock.now_ms() - KEPT_MS;
    Ok(Expired {
        answers: answers::expire(&session.catalog, before_ms).await?,
        videos: videos::expire_metadata(&session.catalog, before_ms).await?,
    })
}

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

/// Raw answers are kept this long; YouTube's terms allow no more.
const RAW_ANSWERS_MS: i64 = 30 * 24 * 3_600_000;

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
    /// Files were left alone: a file stands in its place a moment before its row does.
    is_at_work: bool,
}

pub(crate) async fn run(args: GcArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let mut collected = Collected { event: "collected", dry_run: args.dry_run, ..find(&session).await? };
    if !args.dry_run {
        collected.raw_answers = remove(&session, &collected).await?;
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

/// Removes what was found; returns how many raw answers were emptied.
async fn remove(session: &Session, collected: &Collected) -> Result<u64, Failure> {
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
    let before_ms = session.clock.now_ms() - RAW_ANSWERS_MS;
    Ok(answers::expire(&session.catalog, before_ms).await?)
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
         emptied{waits}",
        collected.files.len(),
        collected.freed_bytes / 1_000_000,
        collected.unfinished.len(),
        collected.tombstoned,
        collected.raw_answers
    ));
    Ok(())
}

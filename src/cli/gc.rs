//! `webemotion gc`: removes files that no row names, unfinished work that nobody holds, and raw answers past their time.

use std::collections::HashSet;

use serde_json::json;

use crate::catalog::{answers, jobs, videos};
use crate::failure::{Exit, Failure};

use super::{Global, Session, say};

/// Flags of `gc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  webemotion gc --dry-run")]
pub(crate) struct GcArgs {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Raw answers are kept this long; YouTube's terms allow no more.
const RAW_ANSWERS_MS: i64 = 30 * 24 * 3_600_000;

pub(crate) async fn run(args: GcArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::existing(global).await?;
    let named = videos::files(&session.catalog).await.map_err(Failure::from)?;
    let named: HashSet<String> =
        named.into_iter().map(|(path, _)| path.to_string_lossy().into_owned()).collect();
    let is_at_work = !jobs::held(&session.catalog).await.map_err(Failure::from)?.is_empty();
    let stored = session.store.files().map_err(Failure::from)?;
    let orphans: Vec<String> = if is_at_work {
        // A file stands in its place a moment before its row does.
        Vec::new()
    } else {
        stored.into_iter().filter(|path| !named.contains(path)).collect()
    };
    let unfinished =
        if is_at_work { Vec::new() } else { session.store.unfinished().map_err(Failure::from)? };
    let mut expired = 0;
    if !args.dry_run {
        for path in &orphans {
            session.store.remove(path).map_err(Failure::from)?;
        }
        for work in &unfinished {
            session.store.clear_staging(work).map_err(Failure::from)?;
        }
        let before_ms = session.clock.now_ms() - RAW_ANSWERS_MS;
        expired = answers::expire(&session.catalog, before_ms).await.map_err(Failure::from)?;
    }
    if session.json {
        say(
            json!({"event": "collected", "files": orphans, "unfinished": unfinished, "raw_answers": expired, "dry_run": args.dry_run}),
        );
    } else {
        let would = if args.dry_run { "would be removed" } else { "removed" };
        let waits =
            if is_at_work { "; files are left alone while jobs are held, run it again later" } else { "" };
        say(format_args!(
            "gc: {} files and {} pieces of unfinished work {would}, {expired} raw answers emptied{waits}",
            orphans.len(),
            unfinished.len()
        ));
    }
    Ok(Exit::Done)
}

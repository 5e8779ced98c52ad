//! `webemotion restore`: goes back to a backup of the catalog, where the catalog is damaged or lost.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::catalog::restore::{self, Restored, SoundCopy};
use crate::catalog::{CatalogError, forget};
use crate::clock::Clock;
use crate::config::Leg;
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::worker_name;
use crate::store::{self, Lock, Store, StoreError};
use crate::words::{date, plural};

use super::merge::clear_up;
use super::removal::{self, Removed};
use super::session::{clock, load_config, lock, lock_files};
use super::{Global, Session, say};

/// Flags of `restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    webemotion restore /backup/catalog-2026-11-30.sqlite && webemotion check --repair\n\n\
    The backup is checked, and a copy of it becomes the catalog; the backup itself stays as it is. The catalog \
    that is there is moved aside with its write-ahead log, so that nothing is lost and nothing of it is replayed \
    into the other. Delete it once you miss nothing. Nobody may be at work on the data folder: else it ends at \
    once with 4.\n\n\
    What was forgotten after the backup was made is removed from it, if the catalog that is there can still be \
    read; if not, it has to be forgotten again. What else came after the backup is due again, and its files are \
    removed by `webemotion gc`.\n\n\
    Exit codes: 0 done; 1 done, but what was forgotten is not known, or a part of it could not be removed; 3 the \
    backup cannot be used, and nothing was changed.")]
pub(crate) struct RestoreArgs {
    /// What `webemotion backup` wrote
    file: PathBuf,
}

/// The prefix of its unfinished work's name.
pub(super) const WORK: &str = "restore";

pub(crate) async fn run(args: RestoreArgs, global: &Global) -> anyhow::Result<Exit> {
    load_config(global)?;
    let store = Store::open(&global.data()).map_err(StoreError::of_named_folder)?;
    must_be_another(&args.file, &store)?;
    let clock = clock(global);
    let _locks = lock_all(&store, &clock)?;
    clear_up(&store, WORK)?;
    let scratch = store.scratch(WORK).map_err(Failure::from)?;
    let copy = restore::copy(&args.file, &scratch.path().join(store::CATALOG), &clock).await;
    let copy: SoundCopy = copy.map_err(of_backup)?;
    let until_ms = copy.until_ms;
    let restored = restore::put(copy, &store.catalog(), &clock).await.map_err(Failure::from)?;
    drop(scratch);
    let session = Session::existing(global).await?;
    let removed = remove_forgotten(&session).await?;
    close(&session, &args.file, until_ms, &restored, &removed);
    let is_all = restored.tombstones.is_some() && removed.is_all() && removed.in_hand.is_empty();
    Ok(if is_all { Exit::Done } else { Exit::SomeDead })
}

fn must_be_another(file: &Path, store: &Store) -> Result<(), Failure> {
    let is_same = file.canonicalize().is_ok_and(|file| Some(file) == store.catalog().canonicalize().ok());
    if !is_same {
        return Ok(());
    }
    let detail = format!("{} is the catalog itself", file.display());
    Err(Failure::permanent(Reason::Usage, detail).with_hint("name a file that `webemotion backup` wrote"))
}

/// Takes every lock. A process that works without one has the catalog open, which is refused when the catalog is replaced.
fn lock_all(store: &Store, clock: &Clock) -> Result<Vec<Lock>, Failure> {
    let holder = worker_name(clock);
    let legs = Leg::ALL.into_iter().map(|leg| lock(store, leg.as_str(), leg.as_str(), &holder));
    std::iter::once(lock_files(store, &holder)).chain(legs).collect()
}

/// The failure for a bad backup, which is a usage error: the catalog stays as it is.
fn of_backup(error: CatalogError) -> Failure {
    let failure = error.failure();
    match error {
        CatalogError::NotACatalog { .. }
        | CatalogError::Missing { .. }
        | CatalogError::Damaged { .. }
        | CatalogError::Refused { .. } => {
            failure.with_hint("name another file that `webemotion backup` wrote; nothing was changed")
        }
        _ => failure,
    }
}

/// The backup may have what was forgotten since: by now it has the tombstones.
async fn remove_forgotten(session: &Session) -> Result<Removed, Failure> {
    let tombstoned = forget::tombstoned(&session.catalog).await?;
    let mut removed = removal::remove_rows(session, &tombstoned, "its tombstone stood", false).await?;
    removed.is_read = !removal::wipe(session).await?;
    Ok(removed)
}

fn close(session: &Session, file: &Path, until_ms: i64, restored: &Restored, removed: &Removed) {
    if session.json {
        say(json!({"event": "restored", "file": file, "until_ms": until_ms, "replaced": restored.replaced,
            "tombstones": restored.tombstones, "removed": removed}));
        return;
    }
    let until = date(until_ms);
    say(format_args!("restore: the catalog is that of {}, which ends at {until}", file.display()));
    if let Some(replaced) = &restored.replaced {
        say(format_args!("restore: what was there is {} now", replaced.display()));
    }
    if restored.tombstones.is_none() {
        say(format_args!(
            "restore: what was forgotten since {until} is not known: `webemotion forget` has to be told of it again"
        ));
    } else if !removed.videos.is_empty() {
        say(format_args!("restore: {} forgotten since removed again", plural(removed.videos.len(), "video")));
    }
    if !removed.in_hand.is_empty() {
        let videos = plural(removed.in_hand.len(), "video");
        say(format_args!(
            "restore: {videos} forgotten since still in hand of a worker: `webemotion gc` later"
        ));
    }
    say("restore: done; `webemotion check` says whether files are missing that it names");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::empty;

    #[tokio::test]
    async fn a_file_that_is_no_backup_is_named_and_not_the_data_folder() {
        let (folder, catalog) = empty().await;
        let (file, copy) = (folder.path().join("diary.sqlite"), folder.path().join("copy.sqlite"));
        std::fs::write(&file, b"dear diary").unwrap();
        for named in [file, folder.path().join("nothing.sqlite")] {
            let failure = of_backup(restore::copy(&named, &copy, catalog.clock()).await.unwrap_err());
            assert_eq!(failure.exit(), Exit::Unusable, "{failure}");
            assert!(
                failure.hint.as_deref().is_some_and(|hint| hint.contains("`webemotion backup`")),
                "{failure}"
            );
        }
        assert!(!copy.exists());
    }
}

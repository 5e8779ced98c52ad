//! `webemotion merge`: unites catalogs that were worked on apart.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::catalog::{Catalog, CatalogError, forget};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::merge::{self, Merged, Taken};
use crate::pipeline::{duplicates, scan};
use crate::store::{self, Store, StoreError};
use crate::words::plural;

use super::removal::{self, Removed};
use super::{Global, Session, say};

/// Flags of `merge`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    webemotion --data all merge node-0 node-1\n  \
    webemotion --data all merge nodes/*\n\n\
    Looks, clips and samples of finished videos are taken in with their files; the others stay due. Of a video \
    that two catalogs worked on with other settings the work with the settings in force here counts. The order \
    of the catalogs matters only where none has these: then the first one counts. What searches found adds up, \
    whichever work counts.\n\n\
    What was forgotten in one of the catalogs must not come back here either: what is here of it is removed \
    first, as `webemotion forget` does.\n\n\
    A second time does nothing. Kill it at any moment and start it again. While one merge, restore, gc, forget \
    or refresh is at work on the data folder another one ends at once with 4.")]
pub(crate) struct MergeArgs {
    /// Data folders, or the catalog.sqlite in them
    #[arg(required = true, value_name = "CATALOG")]
    catalogs: Vec<PathBuf>,
}

/// The prefixes of the names of a merge's unfinished work: a copy of a catalog, and of a file.
pub(super) const WORK: &str = "merge";

pub(crate) async fn run(args: MergeArgs, global: &Global) -> anyhow::Result<Exit> {
    // All are found before anything is done.
    let folders = args.catalogs.iter().map(|path| folder_of(path)).collect::<Result<Vec<_>, _>>()?;
    let session = Session::create(global).await?;
    let _lock = session.lock_files()?;
    clear_up(&session.store, WORK)?;
    let rev = scan::rev(&session.config.clips);
    // Earlier work with these settings here is put in force again, like the same work of another node.
    scan::restore_earlier(&session.catalog, &session.config.clips).await?;
    let (mut news, mut is_all) = (0, true);
    for folder in &folders {
        let source = Store::reading(folder).map_err(Failure::from)?;
        if source.root() == session.store.root() {
            let detail = format!("{} is the data folder itself", folder.display());
            return Err(Failure::permanent(Reason::Usage, detail).into());
        }
        let copy = session.store.scratch(WORK).map_err(Failure::from)?;
        let from = open_copy(&source.catalog(), copy.path(), &session).await?;
        let forgotten = forget_too(&session, &from).await?;
        let (into, reporter) = ((&session.catalog, &session.store), session.reporter.as_ref());
        let merged = merge::merge(into, (&from, &source), &rev, &session.stop, reporter).await?;
        from.close().await;
        drop(copy);
        close(&session, folder, &merged, &forgotten);
        news += forgotten.tombstones + forgotten.removed.videos.len() as u64;
        news += u64::from(matches!(merged, Merged::Now(taken) if taken.taken + taken.evidence > 0));
        is_all &= forgotten.removed.is_all() && forgotten.removed.in_hand.is_empty();
    }
    // Also where a merge that was killed took them in.
    duplicates::mark(&session.catalog, session.config.keep.duplicates).await?;
    Ok(match (is_all, news) {
        (false, _) => Exit::SomeDead,
        (true, 0) => Exit::NothingToDo,
        (true, _) => Exit::Done,
    })
}

/// The videos forgotten in another catalog.
#[derive(Debug, Default)]
struct Forgotten {
    /// The number of videos that had no tombstone here.
    tombstones: u64,
    /// What of them was removed here.
    removed: Removed,
}

/// Forgets the videos that were forgotten in another catalog, before that is merged.
async fn forget_too(session: &Session, from: &Catalog) -> Result<Forgotten, Failure> {
    let tombstones = merge::take_tombstones(&session.catalog, from).await?;
    let named = forget::tombstoned(&session.catalog).await?;
    let mut removed = removal::remove_rows(session, &named, "its tombstone stood", false).await?;
    removed.is_read = !removed.videos.is_empty() && !removal::wipe(session).await?;
    Ok(Forgotten { tombstones, removed })
}

/// Removes the unfinished work of one kind that killed processes left behind. The caller holds the lock on files: nobody is
/// at it.
pub(super) fn clear_up(store: &Store, kind: &str) -> Result<(), Failure> {
    for work in store.unfinished()?.iter().filter(|work| work.starts_with(kind)) {
        store.clear_staging(work)?;
    }
    Ok(())
}

/// Copies another catalog to the data folder's own disk and opens the copy: the catalog may be on a network file system,
/// where SQLite must not be used, or of an earlier release. It stays as it is. No process may be using it.
async fn open_copy(catalog: &Path, folder: &Path, session: &Session) -> Result<Catalog, Failure> {
    let copied = folder.join(store::CATALOG);
    for suffix in ["", "-wal"] {
        let of = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let (from, to) = (of(catalog), of(&copied));
        if from.is_file() {
            std::fs::copy(&from, &to).map_err(|error| {
                Failure::transient(Reason::Disk, format!("cannot copy {}: {error}", from.display()))
            })?;
        }
    }
    Catalog::open(&copied, &session.clock).await.map_err(|error| of_named(named(error, catalog)))
}

/// The failure for a named catalog: another program's file is not amended by another --data.
fn of_named(error: CatalogError) -> Failure {
    let failure = error.failure();
    match error {
        CatalogError::NotACatalog { .. } => {
            failure.with_hint("name data folders of webemotion, or the catalog.sqlite in them")
        }
        _ => failure,
    }
}

/// A failure of the copy, with the path of the named catalog instead.
fn named(error: CatalogError, catalog: &Path) -> CatalogError {
    let path = catalog.to_owned();
    match error {
        CatalogError::NotACatalog { why, .. } => CatalogError::NotACatalog { path, why },
        CatalogError::Newer { version, .. } => CatalogError::Newer { path, version },
        CatalogError::Unreadable { source, .. } => CatalogError::Unreadable { path, source },
        CatalogError::Migration { source, .. } => CatalogError::Migration { path, source },
        CatalogError::Refused { source, .. } => CatalogError::Refused { path, source },
        error => error,
    }
}

fn folder_of(path: &Path) -> Result<PathBuf, Failure> {
    let folder = if path.is_file() { path.parent().unwrap_or(Path::new(".")) } else { path };
    let found = store::catalog_in(folder).map_err(StoreError::of_named_folder).and_then(|found| {
        let detail = || format!("{} has no catalog", path.display());
        found.ok_or_else(|| Failure::permanent(Reason::Usage, detail()))
    });
    match found {
        Ok(_) => Ok(folder.to_owned()),
        Err(failure) => {
            Err(failure.with_hint("name data folders that this user may read, or the catalog.sqlite in them"))
        }
    }
}

fn close(session: &Session, folder: &Path, merged: &Merged, forgotten: &Forgotten) {
    let Forgotten { tombstones, removed } = forgotten;
    if session.json {
        let (taken, before) = match merged {
            Merged::Now(taken) => (Some(taken), None),
            Merged::Before(at_ms) => (None, Some(at_ms)),
        };
        say(json!({"event": "merged", "source": folder, "taken": taken, "merged_before_at": before,
            "tombstones": tombstones, "removed": removed}));
        return;
    }
    if *tombstones > 0 || !removed.videos.is_empty() {
        say(format_args!(
            "merge: {}: {} forgotten there must not come back; {} of them removed here",
            folder.display(),
            plural(*tombstones, "video"),
            removed.videos.len()
        ));
    }
    if !removed.in_hand.is_empty() {
        let videos = plural(removed.in_hand.len(), "video");
        say(format_args!("merge: {videos} forgotten there still in hand of a worker: `webemotion gc` later"));
    }
    match merged {
        Merged::Now(taken) => say(format_args!(
            "merge: {}: {} of {} finished videos are new here, with {}{}{}",
            folder.display(),
            taken.taken,
            taken.videos,
            plural(taken.clips, "clip"),
            kept(taken),
            evidence(taken)
        )),
        Merged::Before(_) => {
            say(format_args!("merge: {}: all that it has was merged before", folder.display()))
        }
    }
}

/// The sentence about videos that stay as they are; empty if there is none.
fn kept(taken: &Taken) -> String {
    if taken.kept == 0 {
        return String::new();
    }
    format!("; {} kept as cut here, with other settings", plural(taken.kept, "video"))
}

/// The sentence about new evidence of videos that stay; empty if there is none.
fn evidence(taken: &Taken) -> String {
    if taken.evidence == 0 {
        return String::new();
    }
    format!("; {} new here for videos that stay", plural(taken.evidence, "search hit"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{samples, tombstones, videos};

    #[tokio::test]
    async fn videos_forgotten_there_are_removed_here_before_the_merge() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(&folder.path().join("here")).await;
        let from = Catalog::open(&folder.path().join("there.db"), &session.clock).await.unwrap();
        let mut tx = session.catalog.begin().await.unwrap();
        for name in ["forgotten", "kept"] {
            let id = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
            samples::tests::fill(&mut tx, id, 2).await;
        }
        tx.commit().await.unwrap();
        let mut tx = from.begin().await.unwrap();
        tombstones::insert(&mut tx, "youtube", "forgotten", "asked for").await.unwrap();
        tx.commit().await.unwrap();
        let forgotten = forget_too(&session, &from).await.unwrap();
        assert_eq!((forgotten.tombstones, forgotten.removed.videos.len()), (1, 1));
        for (name, is_here) in [("forgotten", false), ("kept", true)] {
            let found = videos::find(&session.catalog, "youtube", name).await.unwrap();
            assert_eq!(found.is_some(), is_here, "{name}");
        }
        let again = forget_too(&session, &from).await.unwrap();
        assert_eq!((again.tombstones, again.removed.videos.len()), (0, 0));
    }

    #[tokio::test]
    async fn what_killed_work_of_one_kind_left_behind_goes_and_other_work_stays() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        for work in ["restore-left", "fetch-7"] {
            session.store.staging(work).unwrap();
        }
        clear_up(&session.store, "restore").unwrap();
        assert_eq!(session.store.unfinished().unwrap(), ["fetch-7"]);
    }

    #[test]
    fn videos_that_stay_as_they_are_are_reported_if_there_are_any() {
        assert_eq!(kept(&Taken::default()), "");
        let text = kept(&Taken { kept: 9, ..Taken::default() });
        assert_eq!(text, "; 9 videos kept as cut here, with other settings");
    }

    #[tokio::test]
    async fn a_catalog_that_cannot_be_merged_is_named_and_not_its_copy() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(&folder.path().join("here")).await;
        let there = folder.path().join("catalog.sqlite");
        std::fs::write(&there, b"the notes of somebody else").unwrap();
        let copy = session.store.scratch(WORK).unwrap();
        let refused = open_copy(&there, copy.path(), &session).await.unwrap_err();
        assert!(refused.detail.starts_with(&there.display().to_string()), "{refused}");
        let newer = CatalogError::Newer { path: copy.path().to_owned(), version: 7 };
        let said = named(newer, &there).to_string();
        assert_eq!(said, format!("{} was written by a newer webemotion (migration 7)", there.display()));
    }
}

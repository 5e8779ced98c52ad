//! `webemotion merge`: unites catalogs that were worked on apart.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::catalog::{Catalog, CatalogError};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::merge::{self, Merged, Taken};
use crate::pipeline::{scan, twins};
use crate::store::{self, Store, StoreError};
use crate::words::plural;

use super::{Global, Session, say};

/// Flags of `merge`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  webemotion --data all merge node-0 node-1\n  webemotion --data all merge nodes/*\n\n\
    Looks, clips and samples of finished videos are taken in with their files; the others stay due. Of a video that two\n\
    catalogs worked on with other settings the work with the settings in force here counts. The order of the catalogs\n\
    matters only where none has these: then the first one counts. A second time does nothing. Kill it at any moment and\n\
    start it again. While one merge, gc, forget or refresh is at work on the data folder another one ends at once with 4."
)]
pub(crate) struct MergeArgs {
    /// Data folders, or the catalog.sqlite in them
    #[arg(required = true, value_name = "CATALOG")]
    catalogs: Vec<PathBuf>,
}

/// How the names of a merge's unfinished work begin: a catalog's copy, and a file on its way here.
const WORK: &str = "merge";

pub(crate) async fn run(args: MergeArgs, global: &Global) -> anyhow::Result<Exit> {
    // All are looked for before anything is done with one.
    let folders = args.catalogs.iter().map(|path| folder_of(path)).collect::<Result<Vec<_>, _>>()?;
    let session = Session::create(global).await?;
    let _lock = session.lock_files()?;
    clear_up(&session.store)?;
    let rev = scan::rev(&session.config.clips);
    let mut news = 0;
    for folder in &folders {
        let source = Store::reading(folder).map_err(Failure::from)?;
        if source.root() == session.store.root() {
            let detail = format!("{} is the data folder itself", folder.display());
            return Err(Failure::permanent(Reason::Usage, detail).into());
        }
        let copy = session.store.scratch(WORK).map_err(Failure::from)?;
        let from = open_copy(&source.catalog(), copy.path(), &session).await?;
        let (into, reporter) = ((&session.catalog, &session.store), session.reporter.as_ref());
        let merged = merge::merge(into, (&from, &source), &rev, &session.stop, reporter).await?;
        from.close().await;
        drop(copy);
        close(&session, folder, &merged);
        news += u64::from(matches!(merged, Merged::Now(taken) if taken.taken > 0));
    }
    // Also where a merge that was killed took them in.
    twins::settle(&session.catalog, session.config.keep.duplicates).await?;
    Ok(if news == 0 { Exit::NothingToDo } else { Exit::Done })
}

/// Removes what merges that were killed left behind; the lock says that nobody is at it.
fn clear_up(store: &Store) -> Result<(), Failure> {
    for work in store.unfinished()?.iter().filter(|work| work.starts_with(WORK)) {
        store.clear_staging(work)?;
    }
    Ok(())
}

/// A catalog may lie on a network file system, where SQLite must not work, or have been written by an earlier release:
/// it is read from a copy on the data folder's own disk, and stays as it is. Nobody is to be at work on it.
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
    Ok(Catalog::open(&copied, &session.clock).await.map_err(|error| named(error, catalog))?)
}

/// What is wrong with a catalog's copy is wrong with the catalog that was named.
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

fn close(session: &Session, folder: &Path, merged: &Merged) {
    if session.json {
        let (taken, before) = match merged {
            Merged::Now(taken) => (Some(taken), None),
            Merged::Before(at_ms) => (None, Some(at_ms)),
        };
        say(json!({"event": "merged", "source": folder, "taken": taken, "merged_before_at": before}));
        return;
    }
    match merged {
        Merged::Now(taken) => say(format_args!(
            "merge: {}: {} of {} finished videos are new here, with {}{}",
            folder.display(),
            taken.taken,
            taken.videos,
            plural(taken.clips, "clip"),
            kept(taken)
        )),
        Merged::Before(_) => {
            say(format_args!("merge: {}: nothing new since it was merged", folder.display()))
        }
    }
}

/// What is said of videos that stay as they are; nothing where there is none.
fn kept(taken: &Taken) -> String {
    if taken.kept == 0 {
        return String::new();
    }
    format!("; {} kept as cut here, with other settings", plural(taken.kept, "video"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn videos_that_stay_as_they_are_are_told_where_there_are_any() {
        assert_eq!(kept(&Taken::default()), "");
        let told = kept(&Taken { kept: 9, ..Taken::default() });
        assert_eq!(told, "; 9 videos kept as cut here, with other settings");
    }

    #[tokio::test]
    async fn a_catalog_that_cannot_be_taken_in_is_named_and_not_its_copy() {
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

//! The only way in which videos are removed for good: rows, files, unfinished work, and their names in pages and other
//! rows. `forget`, `gc` and `refresh` choose the videos, and report what was removed.
//!
//! The order: first the names in pages and other rows, while the rows of the videos still have them; then these rows;
//! then the files; then the pages once more, since other processes may have written some. After a kill in between the
//! same command can be started again, and `gc` finds files that are left. The caller holds the lock for adding and
//! removing files.

mod lists;
mod pages;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::catalog::jobs::HeldLease;
use crate::catalog::names::Names;
use crate::catalog::videos::{self, NewVideo, Video};
use crate::catalog::{forget, jobs, local_files, samples, tombstones};
use crate::failure::{Failure, Reason};
use crate::pipeline::{cut, duplicates, fetch, search, worker_name};
use crate::types::{SampleId, VideoId};

use super::{Session, merge, restore};
use pages::Leaving;

/// Videos whose rows are removed in one transaction, during which nobody else can write.
const BATCH: usize = 200;
/// Videos whose names are searched for at a time.
const NAMED: usize = 10_000;

/// A video by its name at its site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) site: String,
    pub(crate) site_id: String,
}

impl Wanted {
    pub(crate) fn of(video: Video) -> Self {
        Self { site: video.found.site, site_id: video.found.site_id }
    }

    fn name(&self) -> String {
        format!("{} {}", self.site, self.site_id)
    }
}

/// What was removed, or would be. Videos are named `site id`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Removed {
    /// Videos that were here.
    pub(crate) videos: Vec<String>,
    /// Videos that were not here and are kept from coming.
    pub(crate) kept_out: Vec<String>,
    /// Videos that were forgotten before.
    pub(crate) before: Vec<String>,
    /// Videos that a worker is processing, and that are left for another time.
    pub(crate) in_hand: Vec<String>,
    /// Files of videos and clips, relative to the data folder.
    pub(crate) files: BTreeSet<String>,
    /// Pieces of unfinished work.
    pub(crate) unfinished: Vec<String>,
    /// Pictures in pages below `reports/`.
    pub(crate) pictures: usize,
    /// The pages that contained these, or the names of the videos.
    pub(crate) pages: BTreeSet<PathBuf>,
    /// Work lists below `shards/` that had the videos.
    pub(crate) lists: BTreeSet<PathBuf>,
    /// Pages and lists that cannot be cleaned, and other files below `reports/` that have the names of the videos.
    pub(crate) unclean: BTreeSet<PathBuf>,
    /// Videos that stay and have a clip with the same footage as one of those that go.
    pub(crate) same_footage: BTreeSet<String>,
    /// The catalog's own file still contains what was removed, since another process is reading. See [`wipe`].
    pub(crate) is_read: bool,
    /// Runs that had samples of the videos in their lists.
    pub(crate) runs: BTreeSet<String>,
}

impl Removed {
    /// Whether there was nothing to do.
    pub(crate) fn is_nothing(&self) -> bool {
        let videos = self.videos.len() + self.kept_out.len();
        videos + self.files.len() + self.unfinished.len() + self.pages.len() + self.lists.len() == 0
    }

    /// Whether nothing is left for a person to do.
    pub(crate) fn is_all(&self) -> bool {
        !self.is_read && self.unclean.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.videos.extend(other.videos);
        self.kept_out.extend(other.kept_out);
        self.before.extend(other.before);
        self.in_hand.extend(other.in_hand);
        self.files.extend(other.files);
        self.unfinished.extend(other.unfinished);
        self.pictures += other.pictures;
        self.pages.extend(other.pages);
        self.lists.extend(other.lists);
        self.unclean.extend(other.unclean);
        self.same_footage.extend(other.same_footage);
        self.runs.extend(other.runs);
    }
}

/// How videos are removed.
#[derive(Debug, Clone, Copy)]
struct How<'a> {
    /// Why, for the tombstone.
    reason: &'a str,
    /// Only find out what would be removed.
    dry_run: bool,
    /// All of them or none; otherwise, batch by batch, those that no worker is processing.
    at_once: bool,
}

/// What is known of the videos to remove.
#[derive(Debug, Default)]
struct Known {
    removed: Removed,
    /// Those that no worker is processing.
    free: Vec<Wanted>,
    rows: Vec<VideoId>,
    /// Videos that were not here.
    unknown: Vec<Wanted>,
    /// The names of all of them.
    called: Vec<NewVideo>,
    samples: HashSet<SampleId>,
}

/// Removes videos, and keeps those that are not here from coming; or only finds out what that would remove.
///
/// # Errors
/// When a worker is processing one of them, which would write its files again: then no row and no file was removed.
pub(crate) async fn remove(
    session: &Session,
    wanted: &BTreeSet<Wanted>,
    reason: &str,
    dry_run: bool,
) -> Result<Removed, Failure> {
    let wanted: Vec<Wanted> = wanted.iter().cloned().collect();
    take_out(session, &wanted, How { reason, dry_run, at_once: true }).await
}

/// Removes any number of videos by their rows, or only finds out what that would remove. Those that a worker is processing
/// are left for another time, and so are batches not begun before a request to stop.
pub(crate) async fn remove_rows(
    session: &Session,
    ids: &[VideoId],
    reason: &str,
    dry_run: bool,
) -> Result<Removed, Failure> {
    let mut all = Removed::default();
    for some in ids.chunks(NAMED) {
        let mut wanted = Vec::new();
        for id in some {
            wanted.push(Wanted::of(videos::get(&session.catalog, *id).await?));
        }
        all.add(take_out(session, &wanted, How { reason, dry_run, at_once: false }).await?);
    }
    Ok(all)
}

async fn take_out(session: &Session, wanted: &[Wanted], how: How<'_>) -> Result<Removed, Failure> {
    let mut known = survey(session, wanted, how).await?;
    if known.free.is_empty() || session.stop.is_asked() {
        return Ok(Removed { in_hand: known.removed.in_hand, ..Removed::default() });
    }
    let names = Names::of(&known.called)?;
    let mut removed = std::mem::take(&mut known.removed);
    let mut cleaned = clean(session, &known, &names, how).await?;
    if !how.dry_run {
        let mut tx = session.catalog.begin().await?;
        forget::redact(&mut tx, &names).await?;
        tx.commit().await?;
        removed = Removed { in_hand: removed.in_hand, ..Removed::default() };
        for some in known.free.chunks(if how.at_once { known.free.len() } else { BATCH }) {
            if session.stop.is_asked() {
                break;
            }
            removed.add(remove_batch(session, some, how).await?);
        }
        // A page that was written meanwhile may show them. The numbers of their samples may be another video's by now.
        known.samples.clear();
        cleaned.add(clean(session, &known, &names, how).await?);
        // If an original was removed, one of its duplicates becomes the original of the others.
        duplicates::mark(&session.catalog, session.config.keep.duplicates).await?;
    }
    removed.add(cleaned);
    Ok(removed)
}

/// Takes videos out of the pages and the work lists, or only finds those that have them.
async fn clean(session: &Session, known: &Known, names: &Names, how: How<'_>) -> Result<Removed, Failure> {
    let leaving = Leaving { samples: &known.samples, names };
    let pages = pages::clean(&session.catalog, &session.store.reports(), &leaving, how.dry_run).await?;
    let lists = lists::clean(&session.store.shards(), &known.free, how.dry_run)?;
    let mut unclean = pages.unclean;
    unclean.extend(lists.unclean);
    let (pictures, pages, lists) = (pages.pictures, pages.cleaned, lists.cleaned);
    Ok(Removed { pictures, pages, lists, unclean, ..Removed::default() })
}

/// Removes the rows of videos, then their files. A video that a worker has claimed since [`survey`] read it is kept.
async fn remove_batch(session: &Session, wanted: &[Wanted], how: How<'_>) -> Result<Removed, Failure> {
    // From here on no job of theirs can be claimed, and afterwards they have none.
    let mut tx = session.catalog.begin().await?;
    let known = survey(session, wanted, how).await?;
    // Before the rows are deleted, which frees their ids: the next video with such an id would resume this work.
    for work in &known.removed.unfinished {
        session.store.clear_staging(work)?;
    }
    forget::remove(&mut tx, &known.rows, how.reason).await?;
    for video in &known.unknown {
        tombstones::insert(&mut tx, &video.site, &video.site_id, how.reason).await?;
    }
    tx.commit().await?;
    for file in &known.removed.files {
        session.store.remove(file)?;
    }
    Ok(known.removed)
}

/// Finds out what is to be removed of videos.
async fn survey(session: &Session, wanted: &[Wanted], how: How<'_>) -> Result<Known, Failure> {
    let (mut known, held) = (Known::default(), held(session).await?);
    for video in wanted {
        let id = videos::find(&session.catalog, &video.site, &video.site_id).await?;
        match id.and_then(|id| held.get(&id)) {
            Some(lease) if how.at_once => return Err(in_hand(&video.name(), lease)),
            Some(_) => {
                known.removed.in_hand.push(video.name());
                continue;
            }
            None => {}
        }
        match id {
            Some(id) => survey_known(session, id, video, &mut known).await?,
            None => survey_unknown(session, video, &mut known).await?,
        }
        known.removed.files.extend(session.store.files_of(&video.site, &video.site_id)?);
        known.free.push(video.clone());
    }
    for video in wanted {
        known.removed.same_footage.remove(&video.name());
    }
    known.removed.unfinished = unfinished(session, &known.rows)?;
    Ok(known)
}

/// Adds what is to be removed of a video that is here.
async fn survey_known(
    session: &Session,
    id: VideoId,
    video: &Wanted,
    known: &mut Known,
) -> Result<(), Failure> {
    let catalog = &session.catalog;
    let found = videos::get(catalog, id).await?.found;
    // A local video may have been found at several paths.
    let places = local_files::of_video(catalog, id).await?.into_iter();
    known.called.extend(places.map(|url| NewVideo { url, ..found.clone() }));
    known.called.push(found);
    let samples = samples::faces_of_video(catalog, id).await?;
    known.samples.extend(samples.into_iter().map(|(sample, _)| sample));
    known.rows.push(id);
    known.removed.runs.extend(forget::runs_on(catalog, id).await?);
    known.removed.same_footage.extend(forget::same_footage(catalog, id).await?);
    let files = forget::files(catalog, id).await?;
    known.removed.files.extend(files.iter().map(|file| file.to_string_lossy().into_owned()));
    known.removed.videos.push(video.name());
    Ok(())
}

/// Adds what is to be done about a video that is not here.
async fn survey_unknown(session: &Session, video: &Wanted, known: &mut Known) -> Result<(), Failure> {
    let Wanted { site, site_id } = video.clone();
    if tombstones::stands(&session.catalog, &site, &site_id).await? {
        known.removed.before.push(video.name());
    } else {
        known.removed.kept_out.push(video.name());
        known.unknown.push(video.clone());
    }
    known.called.push(NewVideo { site, site_id, ..NewVideo::default() });
    Ok(())
}

/// The videos that workers are processing. An expired lease does not count: its worker is dead, or was suspended and finds
/// its job removed when it goes on.
async fn held(session: &Session) -> Result<HashMap<VideoId, HeldLease>, Failure> {
    let now_ms = session.clock.now_ms();
    let leases = jobs::held(&session.catalog).await?.into_iter();
    let of_videos = leases.filter(|lease| lease.stage != search::NAME && lease.ends_at > now_ms);
    Ok(of_videos.map(|lease| (VideoId(lease.subject_id), lease)).collect())
}

fn in_hand(name: &str, lease: &HeldLease) -> Failure {
    let who = worker_name::in_words(&lease.worker);
    let detail = format!("the {} of {name} is being processed by {who}", lease.stage);
    Failure::transient(Reason::Forgotten, detail).with_hint(
        "no row and no file was removed: wait for its end or stop it, then start the same command again",
    )
}

/// The unfinished work of videos.
fn unfinished(session: &Session, rows: &[VideoId]) -> Result<Vec<String>, Failure> {
    let names: Vec<_> = rows.iter().map(|id| (fetch::staging_name(*id), cut::staging_prefix(*id))).collect();
    let is_theirs = |work: &String| names.iter().any(|(fetch, cut)| work == fetch || work.starts_with(cut));
    Ok(session.store.unfinished()?.into_iter().filter(is_theirs).collect())
}

/// Removes the copies of catalogs that a merge or a restore left when it was killed, or only finds them: no
/// other is at work while the lock of those who bring and remove files is held.
pub(crate) fn clear_copies(session: &Session, dry_run: bool) -> Result<Vec<String>, Failure> {
    let is_copy = |work: &String| {
        [merge::WORK, restore::WORK]
            .iter()
            .any(|kind| work.strip_prefix(kind).is_some_and(|it| it.starts_with('-')))
    };
    let copies: Vec<String> = session.store.unfinished()?.into_iter().filter(is_copy).collect();
    if !dry_run {
        copies.iter().try_for_each(|work| session.store.clear_staging(work))?;
    }
    Ok(copies)
}

/// Removes deleted content from the catalog's own file. False, with a warning, while another process prevents it.
pub(crate) async fn wipe(session: &Session) -> Result<bool, Failure> {
    let is_wiped = session.catalog.checkpoint().await?;
    if !is_wiped {
        tracing::warn!(
            "what was deleted is no row any more, but {} still has its bytes, for another process reads it: wait for its \
             end or stop it, then start `webemotion gc`, and make no copy of the file before",
            session.store.catalog().display()
        );
    }
    Ok(is_wiped)
}

#[cfg(test)]
pub(super) mod tests;

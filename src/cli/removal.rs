//! The one way in which videos leave for good: rows, files, unfinished work, and what pages and other rows tell of them.
//! `forget`, `gc` and `refresh` choose the videos, and tell what went.
//!
//! The order: first what pages and other rows tell, while the rows of the videos still have their names; then these
//! rows; then the files. Whoever is killed in between starts the same command again, and `gc` finds the files that are
//! left. Others go on writing while pages are read. Whoever removes holds the lock of those who bring and remove files.

mod pages;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use serde::Serialize;

use crate::catalog::jobs::HeldLease;
use crate::catalog::names::Names;
use crate::catalog::videos::{self, NewVideo, Video};
use crate::catalog::{forget, jobs, local_files, samples, tombstones};
use crate::failure::{Failure, Reason};
use crate::pipeline::{cut, fetch, search, takeover, twins};
use crate::types::{SampleId, VideoId};

use super::Session;
use pages::{Leaving, Pages};

/// Videos whose rows go together where many do: nobody else can write meanwhile.
const BATCH: usize = 200;
/// Videos whose names are looked for at once.
const NAMED: usize = 10_000;

/// A video by its name at its site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Videos that a worker has in hand, and that are left for another time.
    pub(crate) in_hand: Vec<String>,
    /// Files of videos and clips, relative to the data folder.
    pub(crate) files: BTreeSet<String>,
    /// Pieces of unfinished work.
    pub(crate) unfinished: Vec<String>,
    /// Pictures in pages below `reports/`.
    pub(crate) pictures: usize,
    /// The pages that had them, or the names of the videos.
    pub(crate) pages: BTreeSet<PathBuf>,
    /// Pages that cannot be cleaned.
    pub(crate) unclean: BTreeSet<PathBuf>,
    /// The catalog's own file still has what was removed: another process reads. See [`wipe`].
    pub(crate) is_read: bool,
    /// Runs that had samples of the videos in their lists.
    pub(crate) runs: BTreeSet<String>,
}

impl Removed {
    /// Whether nothing had to be done.
    pub(crate) fn is_nothing(&self) -> bool {
        let videos = self.videos.len() + self.kept_out.len();
        videos + self.files.len() + self.unfinished.len() + self.pages.len() == 0
    }

    /// Whether nothing is left that a person has to see to.
    pub(crate) fn is_all(&self) -> bool {
        !self.is_read && self.unclean.is_empty()
    }

    fn told_of(&mut self, pages: Pages) {
        self.pictures = pages.pictures;
        self.pages = pages.cleaned;
        self.unclean = pages.unclean;
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
        self.unclean.extend(other.unclean);
        self.runs.extend(other.runs);
    }
}

/// How videos are removed.
#[derive(Debug, Clone, Copy)]
struct How<'a> {
    /// Why, for whoever asks later.
    reason: &'a str,
    /// Only look what would be removed.
    dry_run: bool,
    /// All or none of them; else, batch by batch, those that no worker has in hand.
    at_once: bool,
}

/// What is known of videos that are to go.
#[derive(Debug, Default)]
struct Known {
    told: Removed,
    /// Those that no worker has in hand.
    free: Vec<Wanted>,
    rows: Vec<VideoId>,
    /// Videos that were not here.
    unknown: Vec<Wanted>,
    /// What all of them are called.
    called: Vec<NewVideo>,
    samples: HashSet<SampleId>,
}

/// Removes videos, and keeps those that are not here from coming; or only looks what that would be.
///
/// # Errors
/// When a worker has one of them in hand, who would put its files there again: no row and no file was removed then.
pub(crate) async fn remove(
    session: &Session,
    wanted: &BTreeSet<Wanted>,
    reason: &str,
    dry_run: bool,
) -> Result<Removed, Failure> {
    let wanted: Vec<Wanted> = wanted.iter().cloned().collect();
    take_out(session, &wanted, How { reason, dry_run, at_once: true }).await
}

/// Removes videos by their rows, however many, or only looks what that would be. Those that a worker has in hand are left
/// for another time, and so is what is not begun when somebody asks to stop.
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
    let known = look(session, wanted, how).await?;
    if known.free.is_empty() || session.stop.is_asked() {
        return Ok(Removed { in_hand: known.told.in_hand, ..Removed::default() });
    }
    let (names, folder) = (Names::of(&known.called)?, session.store.reports());
    let leaving = Leaving { samples: &known.samples, names: &names };
    let pages = pages::clean(&session.catalog, &folder, &leaving, how.dry_run).await?;
    let mut removed = known.told;
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
        // Where an original went, one of its copies is now the original of the others.
        twins::settle(&session.catalog, session.config.keep.duplicates).await?;
    }
    removed.told_of(pages);
    Ok(removed)
}

/// Removes the rows of videos, then their files. Whoever took one of them since [`look`] first saw it keeps it.
async fn remove_batch(session: &Session, wanted: &[Wanted], how: How<'_>) -> Result<Removed, Failure> {
    // From here on nobody can take a job of theirs, and when it is over they have none.
    let mut tx = session.catalog.begin().await?;
    let known = look(session, wanted, how).await?;
    // Before the rows go: then their numbers are free, and the next video to get one would go on with this work.
    for work in &known.told.unfinished {
        session.store.clear_staging(work)?;
    }
    forget::videos(&mut tx, &known.rows, how.reason).await?;
    for video in &known.unknown {
        tombstones::insert(&mut tx, &video.site, &video.site_id, how.reason).await?;
    }
    tx.commit().await?;
    for file in &known.told.files {
        session.store.remove(file)?;
    }
    Ok(known.told)
}

/// Looks what is to go of videos.
async fn look(session: &Session, wanted: &[Wanted], how: How<'_>) -> Result<Known, Failure> {
    let (mut known, held) = (Known::default(), held(session).await?);
    for video in wanted {
        let id = videos::find(&session.catalog, &video.site, &video.site_id).await?;
        match id.and_then(|id| held.get(&id)) {
            Some(lease) if how.at_once => return Err(in_hand(&video.name(), lease)),
            Some(_) => {
                known.told.in_hand.push(video.name());
                continue;
            }
            None => {}
        }
        match id {
            Some(id) => look_at(session, id, video, &mut known).await?,
            None => look_for(session, video, &mut known).await?,
        }
        known.told.files.extend(session.store.files_of(&video.site, &video.site_id)?);
        known.free.push(video.clone());
    }
    known.told.unfinished = unfinished(session, &known.rows)?;
    Ok(known)
}

/// Writes down what is to go of a video that is here.
async fn look_at(session: &Session, id: VideoId, video: &Wanted, known: &mut Known) -> Result<(), Failure> {
    let catalog = &session.catalog;
    let found = videos::get(catalog, id).await?.found;
    // A video on disk may have been met at several places.
    let places = local_files::of_video(catalog, id).await?.into_iter();
    known.called.extend(places.map(|url| NewVideo { url, ..found.clone() }));
    known.called.push(found);
    let samples = samples::faces_of_video(catalog, id).await?;
    known.samples.extend(samples.into_iter().map(|(sample, _)| sample));
    known.rows.push(id);
    known.told.runs.extend(forget::runs_on(catalog, id).await?);
    let files = forget::files(catalog, id).await?;
    known.told.files.extend(files.iter().map(|file| file.to_string_lossy().into_owned()));
    known.told.videos.push(video.name());
    Ok(())
}

/// Writes down what is to be done about a video that is not here.
async fn look_for(session: &Session, video: &Wanted, known: &mut Known) -> Result<(), Failure> {
    let Wanted { site, site_id } = video.clone();
    if tombstones::stands(&session.catalog, &site, &site_id).await? {
        known.told.before.push(video.name());
    } else {
        known.told.kept_out.push(video.name());
        known.unknown.push(video.clone());
    }
    known.called.push(NewVideo { site, site_id, ..NewVideo::default() });
    Ok(())
}

/// The videos that workers have in hand. A lease that is over holds nothing: whoever had it has lost the job.
async fn held(session: &Session) -> Result<HashMap<VideoId, HeldLease>, Failure> {
    let now_ms = session.clock.now_ms();
    let leases = jobs::held(&session.catalog).await?.into_iter();
    let of_videos = leases.filter(|lease| lease.stage != search::NAME && lease.ends_at > now_ms);
    Ok(of_videos.map(|lease| (VideoId(lease.subject_id), lease)).collect())
}

fn in_hand(name: &str, lease: &HeldLease) -> Failure {
    let who = takeover::in_words(&lease.worker);
    let detail = format!("the {} of {name} is in hand of {who}", lease.stage);
    Failure::transient(Reason::Forgotten, detail).with_hint(
        "no row and no file was removed: wait for its end or stop it, then start the same command again",
    )
}

/// The unfinished work of videos.
fn unfinished(session: &Session, rows: &[VideoId]) -> Result<Vec<String>, Failure> {
    let names: Vec<_> = rows.iter().map(|id| (fetch::work(*id), cut::any_work(*id))).collect();
    let is_theirs = |work: &String| names.iter().any(|(fetch, cut)| work == fetch || work.starts_with(cut));
    Ok(session.store.unfinished()?.into_iter().filter(is_theirs).collect())
}

/// Has what was deleted leave the catalog's own file. False, with a warning, while another process is in the way.
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

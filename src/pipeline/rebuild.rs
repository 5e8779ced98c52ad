//! Adds the videos of a list to the catalog, as a search that the list answered: the same rows as for any other search,
//! and the list's own spans and boxes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, Transaction, evidence, jobs, listed, videos};
use crate::clock::Stop;
use crate::failure::{Failure, Reason};
use crate::lists::{self, Place, Row};
use crate::store;
use crate::types::Emotion;
use crate::words::plural;
use crate::youtube::SiteId;

use super::fetch;
use super::intake::{self, CHUNK, Origin};

/// A list that was added to the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rebuild {
    /// Its name in the catalog.
    pub(crate) list: String,
    /// Rows.
    pub(crate) rows: usize,
    /// Of these, ones that the catalog did not have.
    pub(crate) new: usize,
    /// Videos to be downloaded from YouTube.
    pub(crate) on_site: usize,
    /// Videos that were forgotten on request, and stay so.
    pub(crate) forgotten: usize,
    /// A message for each file that cannot be read; which video it held is unknown.
    pub(crate) unreadable: Vec<String>,
}

/// Before all videos that searches found.
const PRIORITY: i64 = -1;

/// A list whose rows all name a video or a file, and an emotion. It is not stored yet.
pub(crate) struct Checked {
    list: String,
    rows: usize,
    wanted: Vec<Wanted>,
    unreadable: Vec<String>,
}

impl Checked {
    /// Reads a list; fails with all rows that name no video or no emotion. Rows without an emotion get `emotion`, if it
    /// is given. A file that cannot be read counts as lost and is no error. Fails as interrupted when somebody asks to stop.
    pub(crate) fn read(path: &Path, emotion: Option<Emotion>, stop: &Stop) -> Result<Self, Failure> {
        let rows = lists::read(path)?;
        let list = name(path)?;
        let mut files = Files { stop, videos: BTreeMap::new() };
        let (count, mut wanted, mut problems) = (rows.len(), Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            match video(&row, emotion, &mut files) {
                Ok(Some((video, emotion))) => wanted.push(Wanted { row, video, emotion }),
                Ok(None) => {}
                Err(problem) => problems.push(format!("row {}: {problem}", row.line)),
            }
        }
        if stop.is_asked() {
            return Err(store::interrupted(path));
        }
        let unreadable = files.unreadable();
        lists::wrong(path, &problems).map_or(Ok(Self { list, rows: count, wanted, unreadable }), Err)
    }

    /// The number of YouTube videos in the list.
    pub(crate) fn on_site(&self) -> usize {
        let on_site = self.wanted.iter().filter(|wanted| wanted.video.site == "youtube");
        on_site.map(|wanted| &wanted.video.site_id).collect::<BTreeSet<_>>().len()
    }
}

/// Stores every row of a list and enqueues the videos' downloads. Doing it twice changes nothing.
pub(crate) async fn take_in(catalog: &Catalog, checked: &Checked) -> Result<Rebuild, Failure> {
    let Checked { list, rows, wanted, unreadable } = checked;
    let (rows, unreadable) = (*rows, unreadable.clone());
    let mut rebuild = Rebuild { list: list.clone(), rows, new: 0, on_site: 0, forgotten: 0, unreadable };
    let mut seen = BTreeMap::new();
    for emotion in Emotion::ALL {
        let rows: Vec<&Wanted> = wanted.iter().filter(|wanted| wanted.emotion == emotion).collect();
        if rows.is_empty() {
            continue;
        }
        let origin = Origin { provider: "list", lexicon: format!("{list}:{emotion}"), text: list.clone() };
        let named: Vec<_> = rows.iter().map(|row| (&row.video, row.video.site_id.as_str())).collect();
        let asked = intake::begin(catalog, &origin, emotion, &named).await?;
        for (chunk, rows) in rows.chunks(CHUNK).enumerate() {
            let mut tx = catalog.begin().await?;
            for (place, wanted) in rows.iter().enumerate() {
                let rank = u32::try_from(chunk * CHUNK + place + 1).unwrap_or(u32::MAX);
                let why = evidence::Evidence { search: asked.search, answer: asked.answer, rank, emotion };
                let is_new = write_down(&mut tx, list, wanted, &why).await?;
                rebuild.new += usize::from(is_new == Some(true));
                seen.insert(&wanted.video.site_id, (wanted.video.site == "local", is_new.is_some()));
            }
            tx.commit().await?;
        }
    }
    rebuild.on_site = seen.values().filter(|video| **video == (false, true)).count();
    rebuild.forgotten = seen.values().filter(|(_, stays)| !stays).count();
    Ok(rebuild)
}

/// A checked row.
struct Wanted {
    row: Row,
    video: videos::NewVideo,
    emotion: Emotion,
}

/// Stores one row and enqueues the download of its video. Returns whether the row is new; none if the video must not
/// come back.
async fn write_down(
    tx: &mut Transaction,
    list: &str,
    wanted: &Wanted,
    why: &evidence::Evidence,
) -> Result<Option<bool>, Failure> {
    let Some(id) = videos::upsert(tx, &wanted.video).await? else { return Ok(None) };
    evidence::insert(tx, id, why).await?;
    let row = listed::Listed {
        list: list.to_owned(),
        line: wanted.row.line,
        emotion: wanted.emotion,
        span: wanted.row.span,
        face: wanted.row.face,
        sha256: wanted.row.sha256.clone(),
    };
    let is_new = listed::insert(tx, id, &row).await?;
    jobs::enqueue(tx, fetch::NAME, fetch::REV, PRIORITY, id.0).await?;
    Ok(Some(is_new))
}

/// The name of a list in the catalog: that of its file, with a hash that distinguishes the file's versions.
fn name(path: &Path) -> Result<String, Failure> {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (_, sha256) = store::digest(path)?;
    Ok(format!("{file}#{}", &sha256[..12]))
}

/// A row's video and emotion; none if its file cannot be read.
fn video(
    row: &Row,
    emotion: Option<Emotion>,
    files: &mut Files<'_>,
) -> Result<Option<(videos::NewVideo, Emotion)>, String> {
    let emotion = row.emotion.or(emotion).ok_or("it has no emotion, and --emotion says none for all")?;
    let site_id = match &row.place {
        Place::Id(id) => {
            SiteId::new(id).ok_or_else(|| format!("'{}' is no id of a video", id.escape_debug()))?
        }
        Place::Address(address) => SiteId::in_address(address)
            .ok_or_else(|| format!("'{}' is no page of a video on YouTube", address.escape_debug()))?,
        Place::File(path) => {
            let on_disk = files.read(path, row.line).cloned();
            let channel_id = row.channel.clone();
            return Ok(on_disk.map(|video| (videos::NewVideo { channel_id, ..video }, emotion)));
        }
    };
    let video = videos::NewVideo {
        site: "youtube".to_owned(),
        url: site_id.url(),
        site_id: site_id.to_string(),
        channel_id: row.channel.clone(),
        ..videos::NewVideo::default()
    };
    Ok(Some((video, emotion)))
}

/// The files that a list names, each read once: its video, or the row's line and a message if it cannot be read.
struct Files<'a> {
    stop: &'a Stop,
    videos: BTreeMap<PathBuf, Result<videos::NewVideo, (u64, String)>>,
}

impl Files<'_> {
    /// The video of a file that the row on this line names, if it can be read.
    fn read(&mut self, path: &Path, line: u64) -> Option<&videos::NewVideo> {
        let stop = self.stop;
        let read = || on_disk(path, stop).map_err(|problem| (line, format!("row {line}: {problem}")));
        self.videos.entry(path.to_owned()).or_insert_with(read).as_ref().ok()
    }

    /// The messages about files that cannot be read, in the order of the list.
    fn unreadable(self) -> Vec<String> {
        let mut problems: Vec<(u64, String)> = self.videos.into_values().filter_map(Result::err).collect();
        problems.sort_unstable();
        problems.into_iter().map(|(_, problem)| problem).collect()
    }
}

fn on_disk(path: &Path, stop: &Stop) -> Result<videos::NewVideo, String> {
    let absolute = path.canonicalize().map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    // Devices and pipes may be endless.
    if !absolute.is_file() {
        return Err(format!("cannot read {}: it is no file", path.display()));
    }
    let goes_on = || !stop.is_asked();
    let (_, sha256) = store::digest_while(&absolute, goes_on).map_err(|error| error.to_string())?;
    Ok(intake::on_disk(&absolute, sha256))
}

/// The failure for a list with YouTube videos while the user has not accepted the site's terms.
pub(crate) fn needs_terms(on_site: usize) -> Failure {
    let detail = format!("the list names {} of YouTube", plural(on_site, "video"));
    Failure::permanent(Reason::Usage, detail)
        .with_hint("read the site's terms, and say --accept-terms if you decide to download under them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_not_read() {
        let why = on_disk(Path::new("/dev/zero"), &Stop::default()).unwrap_err();
        assert_eq!(why, "cannot read /dev/zero: it is no file");
    }

    #[test]
    fn once_somebody_asks_to_stop_no_further_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("film.mp4"), b"a film").unwrap();
        let list = folder.path().join("list.csv");
        std::fs::write(&list, "path,emotion\nfilm.mp4,fear\n").unwrap();
        let read = |stop: &Stop| Checked::read(&list, None, stop).map(|checked| checked.wanted.len());
        let stop = Stop::default();
        assert_eq!(read(&stop).unwrap(), 1);
        stop.ask();
        assert_eq!(read(&stop).unwrap_err().reason, Reason::Interrupted);
    }
}

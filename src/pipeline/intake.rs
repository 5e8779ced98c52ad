//! Adds videos on disk to the catalog, as a search that the folder answered: the rows are those of any other search.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::ops::RangeFrom;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::catalog::local_files::{self, LocalFile, Stamp};
use crate::catalog::{Catalog, Transaction, answers, evidence, jobs, searches, tombstones, videos};
use crate::clock::{Clock, Stop};
use crate::failure::Failure;
use crate::progress::{Event, Reporter};
use crate::store::{self, StoreError};
use crate::types::{AnswerId, Emotion, SearchId};
use crate::words::plural;

use super::{fetch, local};

const TASK: &str = "take in";
/// Videos stored in one transaction; other writers wait meanwhile.
pub(super) const CHUNK: usize = 500;

/// What was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intake {
    /// Videos that could be read.
    pub(crate) videos: usize,
    /// Of these, new ones.
    pub(crate) new: u64,
    /// Videos that were skipped because they are in no folder of an emotion.
    pub(crate) unfiled: usize,
    /// Files that are not videos by name.
    pub(crate) skipped: usize,
    /// Videos and folders that cannot be read, and videos whose names are not UTF-8.
    pub(crate) unreadable: usize,
    /// Videos that were not reached before the intake had to end.
    pub(crate) left: usize,
}

/// The limits of an intake, and where it reports progress.
pub(crate) struct IntakeLimits<'a> {
    /// It ends soon after this is asked.
    pub(crate) stop: &'a Stop,
    /// It also ends at this time, milliseconds since 1970.
    pub(crate) deadline_ms: Option<i64>,
    /// Where progress is reported.
    pub(crate) reporter: &'a dyn Reporter,
}

impl IntakeLimits<'_> {
    /// Whether it may go on; can be called on any thread.
    fn goes_on(&self, clock: &Clock) -> impl Fn() -> bool + Send + use<> {
        let (stop, clock, deadline_ms) = (self.stop.clone(), clock.clone(), self.deadline_ms);
        move || !stop.is_asked() && deadline_ms.is_none_or(|end_ms| clock.now_ms() < end_ms)
    }
}

/// Stores every video of a folder and enqueues the copying of its file. Doing it twice changes nothing: a file of the
/// same size and time is not read again. If it has to end early, what was read is kept; if it is killed, all but the
/// last few.
pub(crate) async fn take_in(
    catalog: &Catalog,
    folder: &Path,
    emotion: Option<Emotion>,
    limits: &IntakeLimits<'_>,
) -> Result<Intake, Failure> {
    let named = folder.to_owned();
    let listing = super::blocking(move || local::list(&named, emotion)).await??;
    let local::Listing { videos, unfiled, skipped, unreadable } = listing;
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).display().to_string();
    let mut intake = Intake { videos: 0, new: 0, unfiled, skipped, unreadable, left: 0 };
    let total = Some(videos.len() as u64);
    limits.reporter.report(&Event::Began { task: TASK.to_owned(), total, unit: "videos".to_owned() });
    let mut reader = Reader { catalog, limits, known: local_files::list(catalog).await?, done: 0 };
    for emotion in Emotion::ALL {
        let filed = videos.iter().filter(|(_, filed)| *filed == emotion);
        let paths: Vec<&Path> = filed.map(|(path, _)| path.as_path()).collect();
        // One lexicon for each folder and emotion, so that another folder retires nothing.
        let lexicon = format!("{folder}:{emotion}");
        let origin = Origin { provider: "local", lexicon, text: folder.clone() };
        let mut ranks = 1..;
        for paths in paths.chunks(CHUNK) {
            let found = reader.read(paths, &mut intake).await?;
            intake.videos += found.len();
            intake.new += write_down(catalog, &origin, emotion, &found, &mut ranks).await?;
        }
    }
    let note = format!("{}, {} of them new", plural(intake.videos, "video"), intake.new);
    limits.reporter.report(&Event::Ended { task: TASK.to_owned(), note });
    Ok(intake)
}

/// A local video, and the stamp of its file before it was read; none if the file system does not give one.
struct Found {
    video: videos::NewVideo,
    stamp: Option<Stamp>,
}

/// What a file holds.
enum Identified {
    /// A video.
    Video(Found),
    /// Unknown: it cannot be read, or the intake ended while it was read.
    Unreadable(StoreError),
}

/// Finds out which video each file holds.
struct Reader<'a> {
    catalog: &'a Catalog,
    limits: &'a IntakeLimits<'a>,
    known: HashMap<String, LocalFile>,
    done: u64,
}

impl Reader<'_> {
    /// The videos of these files; files that cannot be read are only counted.
    async fn read(&mut self, paths: &[&Path], intake: &mut Intake) -> Result<Vec<Found>, Failure> {
        let goes_on = self.limits.goes_on(self.catalog.clock());
        let mut found = Vec::new();
        for path in paths {
            if !goes_on() {
                intake.left += 1;
                continue;
            }
            match self.identify(path).await? {
                Identified::Video(video) => found.push(video),
                Identified::Unreadable(_) if !goes_on() => intake.left += 1,
                Identified::Unreadable(error) => {
                    tracing::warn!("{error}: passed over");
                    intake.unreadable += 1;
                }
            }
            self.done += 1;
            let note = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.limits.reporter.report(&Event::Advanced {
                task: TASK.to_owned(),
                done: self.done,
                note,
                throughput: None,
            });
        }
        Ok(found)
    }

    /// The video of a file, by its known hash, else by that of its bytes; not on the runtime's own threads.
    async fn identify(&self, path: &Path) -> Result<Identified, Failure> {
        let known = path.to_str().and_then(|path| self.known.get(path)).cloned();
        let (path, goes_on) = (path.to_owned(), self.limits.goes_on(self.catalog.clock()));
        super::blocking(move || {
            let stamp = stamp(&path);
            let sha256 = match known {
                Some(file) if Some(file.stamp) == stamp => Ok(file.sha256),
                _ => store::digest_while(&path, goes_on).map(|(_, sha256)| sha256),
            };
            match sha256 {
                Ok(sha256) => Identified::Video(Found { video: on_disk(&path, sha256), stamp }),
                Err(error) => Identified::Unreadable(error),
            }
        })
        .await
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let facts = fs::metadata(path).ok()?;
    let modified_ms = facts.mtime() * 1_000 + facts.mtime_nsec() / 1_000_000;
    Some(Stamp { size_bytes: facts.len(), modified_ms })
}

/// The row of a local video; the hash of its bytes is its id.
pub(super) fn on_disk(path: &Path, sha256: String) -> videos::NewVideo {
    videos::NewVideo {
        site: "local".to_owned(),
        site_id: sha256,
        url: path.display().to_string(),
        title: path.file_name().map(|name| name.to_string_lossy().into_owned()),
        ..videos::NewVideo::default()
    }
}

/// A source of videos other than a site's search.
pub(super) struct Origin {
    /// `local` or `list`.
    pub(super) provider: &'static str,
    /// Its lexicon, one for each emotion.
    pub(super) lexicon: String,
    /// Its name for people.
    pub(super) text: String,
}

/// The rows that evidence of an origin points to.
pub(super) struct StoredSearch {
    pub(super) search: SearchId,
    pub(super) answer: AnswerId,
}

/// Stores a search of an origin for an emotion and its answer: the origin's names of the videos, without those that
/// must not come back.
pub(super) async fn begin(
    catalog: &Catalog,
    origin: &Origin,
    emotion: Emotion,
    found: &[(&videos::NewVideo, &str)],
) -> Result<StoredSearch, Failure> {
    let asked = searches::NewSearch {
        emotion,
        text: origin.text.clone(),
        word: emotion.to_string(),
        country: None,
        age_word: None,
        language: None,
    };
    let mut tx = catalog.begin().await?;
    searches::plan(&mut tx, origin.provider, &origin.lexicon, std::slice::from_ref(&asked)).await?;
    tx.commit().await?;
    let known = searches::list(catalog, origin.provider).await?;
    let search = known.iter().find(|search| search.asked == asked);
    let search = search.ok_or_else(|| Failure::bug("a search was planned and is not there"))?.id;
    let mut tx = catalog.begin().await?;
    let named = not_forgotten(&mut tx, found).await?;
    let raw = serde_json::to_vec(&named).map_err(|error| Failure::bug(error.to_string()))?;
    let answer = answers::NewAnswer {
        search,
        asked_of: origin.provider,
        tool_version: env!("CARGO_PKG_VERSION"),
        page: 0,
        hits: found.len(),
        raw: &raw,
    };
    let answer = answers::insert(&mut tx, &answer).await?;
    tx.commit().await?;
    Ok(StoredSearch { search, answer })
}

/// The names of the videos that are not forgotten.
async fn not_forgotten<'a>(
    tx: &mut Transaction,
    found: &[(&videos::NewVideo, &'a str)],
) -> Result<Vec<&'a str>, Failure> {
    let mut forgotten = HashSet::new();
    for site in ["local", "youtube"] {
        let of_site = found.iter().filter(|(video, _)| video.site == site);
        let ids: Vec<&str> = of_site.map(|(video, _)| video.site_id.as_str()).collect();
        forgotten.extend(tombstones::standing(tx, site, &ids).await?);
    }
    let stay = found.iter().filter(|(video, _)| !forgotten.contains(&video.site_id));
    Ok(stay.map(|(_, name)| *name).collect())
}

/// Stores the videos of an origin; `ranks` yields the next ranks.
async fn write_down(
    catalog: &Catalog,
    origin: &Origin,
    emotion: Emotion,
    found: &[Found],
    ranks: &mut RangeFrom<u32>,
) -> Result<u64, Failure> {
    if found.is_empty() {
        return Ok(0);
    }
    let named: Vec<_> = found.iter().map(|Found { video, .. }| (video, video.url.as_str())).collect();
    let StoredSearch { search, answer } = begin(catalog, origin, emotion, &named).await?;
    let mut tx = catalog.begin().await?;
    let mut new = 0;
    for (Found { video, stamp }, rank) in found.iter().zip(ranks) {
        let Some(id) = videos::upsert(&mut tx, video).await? else { continue };
        if let Some(stamp) = stamp {
            local_files::put(&mut tx, &video.url, *stamp, id).await?;
        }
        evidence::insert(&mut tx, id, &evidence::Evidence { search, answer, rank, emotion }).await?;
        new += jobs::enqueue(&mut tx, fetch::NAME, fetch::REV, 0, id.0).await?;
    }
    tx.commit().await?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::progress::Silent;
    use crate::types::VideoId;

    #[tokio::test]
    async fn a_folder_that_is_asked_again_does_not_bring_back_the_name_of_who_was_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db"), &Clock::fixed(0)).await.unwrap();
        let origin = Origin { provider: "local", lexicon: "films".to_owned(), text: "films".to_owned() };
        let film = |name: &str| Found { video: on_disk(Path::new(name), name.to_owned()), stamp: None };
        let found = [film("/films/a.mp4"), film("/films/b.mp4")];
        let mut tx = catalog.begin().await.unwrap();
        tombstones::insert(&mut tx, "local", &found[0].video.site_id, "asked for").await.unwrap();
        let named: Vec<_> = found.iter().map(|it| (&it.video, it.video.url.as_str())).collect();
        assert_eq!(not_forgotten(&mut tx, &named).await.unwrap(), ["/films/b.mp4"]);
        tx.commit().await.unwrap();
        assert_eq!(write_down(&catalog, &origin, Emotion::Fear, &found, &mut (1..)).await.unwrap(), 1);
    }

    /// A folder of videos with these bytes, and a catalog beside it.
    async fn with_videos(bytes: &[&str]) -> (tempfile::TempDir, Catalog) {
        let folder = tempfile::tempdir().unwrap();
        let videos = folder.path().join("videos");
        fs::create_dir(&videos).unwrap();
        for (number, bytes) in bytes.iter().enumerate() {
            fs::write(videos.join(format!("{number}.mp4")), bytes).unwrap();
        }
        let catalog = Catalog::open(&folder.path().join("catalog.db"), &Clock::fixed(5)).await.unwrap();
        (folder, catalog)
    }

    async fn intake(folder: &Path, catalog: &Catalog, limits: &IntakeLimits<'_>) -> Intake {
        take_in(catalog, &folder.join("videos"), Some(Emotion::Fear), limits).await.unwrap()
    }

    #[tokio::test]
    async fn a_file_that_says_the_same_of_itself_is_not_read_again() {
        let (folder, catalog) = with_videos(&["one", "two"]).await;
        let limits = IntakeLimits { stop: &Stop::default(), deadline_ms: None, reporter: &Silent };
        let new = async || intake(folder.path(), &catalog, &limits).await.new;
        assert_eq!(new().await, 2);
        // Other bytes at the same length and time: who reads them finds another video.
        let path = folder.path().join("videos/0.mp4");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "six").unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(new().await, 0);
        file.set_modified(modified + Duration::from_secs(1)).unwrap();
        assert_eq!(new().await, 1);
    }

    /// Asks for an end once a first video was read.
    struct Impatient(Stop);

    impl Reporter for Impatient {
        fn report(&self, event: &Event) {
            if matches!(event, Event::Advanced { .. }) {
                self.0.ask();
            }
        }
    }

    #[tokio::test]
    async fn an_intake_that_is_to_end_keeps_what_it_read_and_says_how_much_is_left() {
        let (folder, catalog) = with_videos(&["one", "two", "three"]).await;
        let stop = Stop::default();
        let limits = IntakeLimits { stop: &stop, deadline_ms: None, reporter: &Impatient(stop.clone()) };
        let ended = intake(folder.path(), &catalog, &limits).await;
        assert_eq!((ended.videos, ended.new, ended.left, ended.unreadable), (1, 1, 2, 0));
        let late = IntakeLimits { stop: &Stop::default(), deadline_ms: Some(5), reporter: &Silent };
        assert_eq!(intake(folder.path(), &catalog, &late).await.left, 3);
        let rest = IntakeLimits { deadline_ms: None, ..late };
        assert_eq!(intake(folder.path(), &catalog, &rest).await.new, 2);
    }

    /// Asks for an end once more than a chunk was read.
    struct Killer(Stop);

    impl Reporter for Killer {
        fn report(&self, event: &Event) {
            if matches!(event, Event::Advanced { done, .. } if *done > CHUNK as u64) {
                self.0.ask();
            }
        }
    }

    #[tokio::test]
    async fn an_intake_that_is_killed_keeps_what_it_read_but_for_the_last_few() {
        let bytes: Vec<String> = (0..CHUNK + 100).map(|number| number.to_string()).collect();
        let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
        let (folder, catalog) = with_videos(&bytes).await;
        let killed = Stop::default();
        let limits =
            IntakeLimits { stop: &Stop::default(), deadline_ms: None, reporter: &Killer(killed.clone()) };
        tokio::select! {
            _ = intake(folder.path(), &catalog, &limits) => panic!("it was not killed"),
            () = killed.asked() => {}
        }
        assert_eq!(local_files::list(&catalog).await.unwrap().len(), CHUNK);
        let rest = IntakeLimits { reporter: &Silent, ..limits };
        assert_eq!(intake(folder.path(), &catalog, &rest).await.new, 100);
        let last = evidence::of_video(&catalog, VideoId(600)).await.unwrap();
        assert_eq!(last[0].evidence.rank, 600, "ranks run on");
    }
}

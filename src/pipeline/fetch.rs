//! The stage video → file: downloads or copies one video, has a worker check it, and moves it to its place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, CatalogError, Transaction, jobs, videos};
use crate::clock::Stop;
use crate::config::CrawlConfig;
use crate::failure::{Failure, Reason};
use crate::store::{self, Store, StoredFile};
use crate::types::{StageName, VideoFacts, VideoId};
use crate::words::bytes;
use crate::youtube::policy::{self, Named};
use crate::youtube::{Downloaded, SiteId, YtDlp};

use super::budget::{Budget, ByteLimit};
use super::cpu::Cpu;
use super::{JobContext, Outcome, Stage, scan, search};

/// The stage's name in the job table.
pub(crate) const NAME: StageName = StageName::Fetch;
/// Raised when its output would differ.
pub(crate) const REV: &str = "1";
/// Containers have no longer one.
const LONGEST_EXTENSION: usize = 8;

/// Fetches videos of YouTube and of this machine's disk.
pub(crate) struct FetchStage {
    /// The data folder.
    pub(crate) store: Store,
    /// The download tool and its pace; none when only local files are copied.
    pub(crate) ytdlp: Option<(YtDlp, Budget)>,
    /// The workers that check files; none if this program was built without FFmpeg.
    pub(crate) cpu: Option<Cpu>,
    /// Policy and pace.
    pub(crate) policy: CrawlConfig,
    /// The bytes that the run may download.
    pub(crate) byte_limit: Option<ByteLimit>,
    /// The revision of the scans that follow, see [`scan::rev`].
    pub(crate) scan_rev: String,
}

/// The name of the staging folder of a video's file.
pub(crate) fn staging_name(video: VideoId) -> String {
    format!("fetch-{}", video.0)
}

/// A video that has its file.
pub(crate) struct Fetched {
    id: VideoId,
    /// What its site said of it at the download; none for a local video.
    downloaded: Option<Downloaded>,
    file: StoredFile,
    facts: VideoFacts,
}

impl Stage for FetchStage {
    const NAME: StageName = NAME;
    const UNIT: &'static str = "videos";
    type Subject = videos::Video;
    type Output = Fetched;

    fn rev(&self) -> String {
        REV.to_owned()
    }

    fn shares_rate_limit_with(&self) -> &'static [StageName] {
        &[search::NAME]
    }

    async fn load(&self, catalog: &Catalog, subject_id: i64) -> Result<Self::Subject, Failure> {
        Ok(videos::get(catalog, VideoId(subject_id)).await?)
    }

    async fn run(&self, video: Self::Subject, context: &JobContext<'_>) -> Result<Fetched, Failure> {
        let staging = staging_name(video.id);
        let fetched = self.fetch(&video, &staging, context).await;
        super::clear_staging_if_rejected(&self.store, &staging, fetched)
    }

    async fn commit(&self, tx: &mut Transaction, fetched: Fetched) -> Result<Outcome, CatalogError> {
        let Fetched { id, downloaded, file, facts } = fetched;
        // The channel decides the video's source, on which its split depends. The row may be newer than the download.
        if let Some(downloaded) = downloaded {
            let found = videos::get_in(tx, id).await?.found;
            videos::upsert(tx, &refreshed_row(&found, downloaded)).await?;
        }
        let file = videos::VideoFile {
            path: file.path.into(),
            size_bytes: file.size_bytes,
            sha256: file.sha256,
            container: facts.container,
            video_codec: facts.video_codec,
            width: facts.width,
            height: facts.height,
            duration_ms: facts.duration_ms,
            frame_rate: facts.frame_rate,
        };
        videos::set_file(tx, id, &file).await?;
        jobs::enqueue(tx, scan::NAME, &self.scan_rev, 0, id.0).await?;
        jobs::source_is_back(tx, id).await?;
        Ok(Outcome::Done)
    }
}

impl FetchStage {
    async fn fetch(
        &self,
        video: &videos::Video,
        staging: &str,
        context: &JobContext<'_>,
    ) -> Result<Fetched, Failure> {
        self.judge(video)?;
        self.store.guard(self.policy.min_free_bytes)?;
        let folder = self.store.staging(staging)?;
        let (part, downloaded) = if video.found.site == "local" {
            (self.copy_local(video, &folder).await?, None)
        } else {
            let downloaded = self.download(video, &folder, context).await?;
            (downloaded.path.clone(), Some(downloaded))
        };
        let promised = downloaded.as_ref().and_then(|it| it.duration_ms);
        let promised = promised.or(video.found.promised_duration_ms);
        let facts = self.examine(&part, promised, context.stop).await?;
        let place = store::video_path(&video.found.site, &video.found.site_id, &extension_of(&part));
        // Large files take long to hash and to sync.
        let store = self.store.clone();
        let file = super::blocking(move || store.publish(&part, &place)).await??;
        self.store.clear_staging(staging)?;
        if let Some(limit) = &self.byte_limit {
            limit.spend(file.size_bytes);
        }
        Ok(Fetched { id: video.id, downloaded, file, facts })
    }

    /// Judges by the block lists, which may have grown since the video was found. What is not known yet is judged at
    /// the download.
    fn judge(&self, video: &videos::Video) -> Result<(), Failure> {
        let found = &video.found;
        let named = Named {
            title: found.title.as_deref(),
            channel_id: found.channel_id.as_deref(),
            channel_name: found.channel_name.as_deref(),
        };
        match policy::judge_named(named, &self.policy) {
            Some(detail) => Err(Failure::rejected(Reason::Blocklisted, detail)),
            None => Ok(()),
        }
    }

    async fn examine(&self, part: &Path, promised: Option<i64>, stop: &Stop) -> Result<VideoFacts, Failure> {
        let Some(cpu) = &self.cpu else { return Ok(VideoFacts::default()) };
        cpu.check(part.to_owned(), promised, stop).await
    }

    /// Copies a local video. Its id is the hash of the bytes that were taken in: a file that has changed since is
    /// another video.
    async fn copy_local(&self, video: &videos::Video, folder: &Path) -> Result<PathBuf, Failure> {
        let source = PathBuf::from(&video.found.url);
        let part = folder.join(source.file_name().unwrap_or_default());
        let (target, expected) = (part.clone(), video.found.site_id.clone());
        let (store, min_free_bytes) = (self.store.clone(), self.policy.min_free_bytes);
        let empty = folder.to_owned();
        super::blocking(move || {
            // Nothing was begun: an empty folder is not left behind.
            guard_copy(&store, &source, min_free_bytes).inspect_err(|_| drop(fs::remove_dir(&empty)))?;
            copy_of_hash(&source, &target, &expected)
        })
        .await??;
        Ok(part)
    }

    async fn download(
        &self,
        video: &videos::Video,
        folder: &Path,
        context: &JobContext<'_>,
    ) -> Result<Downloaded, Failure> {
        let Some((ytdlp, budget)) = &self.ytdlp else {
            let detail =
                format!("video {} is one of {}, and no yt-dlp is at hand", video.id.0, video.found.site);
            return Err(Failure::permanent(Reason::ToolMissing, detail)
                .with_hint("`webemotion crawl` without --source downloads it"));
        };
        budget.wait_for_turn(NAME, context).await?;
        let site_id = SiteId::new(&video.found.site_id)
            .ok_or_else(|| Failure::bug(format!("video {} has an id that is none", video.id.0)))?;
        Ok(ytdlp.download(&site_id, folder, &mut |_| {}, context.stop).await?)
    }
}

/// A video's row with what its site says at the download. A channel that the row has stays: a list may have named it.
fn refreshed_row(found: &videos::NewVideo, downloaded: Downloaded) -> videos::NewVideo {
    videos::NewVideo {
        title: downloaded.title,
        channel_id: found.channel_id.clone().or(downloaded.channel_id),
        channel_name: downloaded.channel_name,
        promised_duration_ms: downloaded.duration_ms.or(found.promised_duration_ms),
        licence: downloaded.licence,
        ..found.clone()
    }
}

/// The extension that a file keeps in its place, of ASCII letters and digits; none if there is no such. After the last dot
/// of a local file's name may stand the rest of its title, too long for a name here.
fn extension_of(part: &Path) -> String {
    let extension = part.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let is_one =
        extension.len() <= LONGEST_EXTENSION && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_one { extension } else { String::new() }
}

/// Copies a file; half a copy is removed. What the data folder's disk refuses concerns all videos; what a source
/// refuses concerns that video alone.
fn copy(source: &Path, target: &Path) -> Result<(), Failure> {
    let copied = File::open(source).and_then(|mut from| io::copy(&mut from, &mut made_anew(target)?));
    let Err(error) = copied else { return Ok(()) };
    // A copy is never resumed, and half of one may fill the disk.
    if target.is_file() {
        let _ = fs::remove_file(target);
    }
    let detail = |error: &io::Error| format!("cannot copy {}: {error}", source.display());
    match File::open(source).and_then(|mut file| io::copy(&mut file, &mut io::sink())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::rejected(Reason::Gone, detail(&error)))
        }
        Err(error) => Err(Failure::permanent(Reason::SourceGone, detail(&error))
            .with_hint("see that the file may be read, then `webemotion retry --reason source-gone`")),
        Ok(_) => Err(Failure::transient(Reason::Disk, detail(&error))
            .with_hint("look at the free space and the rights of the data folder")),
    }
}

/// Fails when less than `min_free_bytes` would be free beside a copy of the file.
fn guard_copy(store: &Store, source: &Path, min_free_bytes: u64) -> Result<(), Failure> {
    let size_bytes = fs::metadata(source).map_or(0, |facts| facts.len());
    store.guard(min_free_bytes.saturating_add(size_bytes)).map_err(|failure| {
        let detail = format!("no room for {} ({}): {}", source.display(), bytes(size_bytes), failure.detail);
        Failure { detail, ..failure }
    })
}

/// Copies a file that must still have this SHA-256.
fn copy_of_hash(source: &Path, target: &Path, sha256: &str) -> Result<(), Failure> {
    copy(source, target)?;
    if store::digest(target)?.1 == sha256 {
        return Ok(());
    }
    let detail = format!("{} has changed since it was taken in", source.display());
    Err(Failure::rejected(Reason::Gone, detail)
        .with_hint("`webemotion crawl --source local:DIR` takes it in as another video"))
}

/// A file that may be written, whatever the rights of its source. What an interrupted copy left may be read-only.
fn made_anew(path: &Path) -> io::Result<File> {
    if path.is_file() {
        fs::remove_file(path)?;
    }
    File::create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::clock::Clock;
    use crate::failure::FailureKind;
    use crate::pipeline::{DrivePlan, Driver};
    use crate::progress::Silent;
    use crate::types::JobState;

    #[tokio::test]
    async fn without_its_tool_a_video_of_the_site_waits_unharmed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let catalog = Catalog::open(&store.catalog(), &Clock::system()).await.unwrap();
        let (site, site_id) = ("youtube".to_owned(), "video-00001".to_owned());
        let video = videos::NewVideo { site, site_id, ..videos::NewVideo::default() };
        let mut tx = catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &video).await.unwrap().unwrap();
        jobs::enqueue(&mut tx, NAME, REV, 0, id.0).await.unwrap();
        tx.commit().await.unwrap();
        let policy = CrawlConfig { min_free_bytes: 1, ..CrawlConfig::default() };
        let scan_rev = "1".to_owned();
        let stage = FetchStage { store, ytdlp: None, cpu: None, policy, byte_limit: None, scan_rev };
        let (plan, stop) = (DrivePlan::new("tester".to_owned()), Stop::default());
        let failure = Driver::new(&catalog, plan, &stop, &Silent).drive(&stage).await.unwrap_err();
        assert_eq!(failure.reason, Reason::ToolMissing);
        let job = jobs::get(&catalog, NAME, id.0).await.unwrap().unwrap();
        assert_eq!((job.state, job.attempt), (JobState::Open, 0));
    }

    fn downloaded() -> Downloaded {
        Downloaded {
            path: PathBuf::new(),
            title: Some("told".to_owned()),
            channel_id: Some("UCtold".to_owned()),
            channel_name: None,
            duration_ms: None,
            licence: Some("Creative Commons".to_owned()),
        }
    }

    #[test]
    fn what_a_site_says_at_the_download_is_newer_and_a_channel_that_a_list_named_stays() {
        let found = videos::NewVideo {
            title: Some("found".to_owned()),
            promised_duration_ms: Some(9_000),
            ..videos::NewVideo::default()
        };
        let row = refreshed_row(&found, downloaded());
        assert_eq!((row.title.as_deref(), row.channel_id.as_deref()), (Some("told"), Some("UCtold")));
        assert_eq!(
            (row.promised_duration_ms, row.licence),
            (Some(9_000), Some("Creative Commons".to_owned()))
        );
        let listed = videos::NewVideo { channel_id: Some("UClisted".to_owned()), ..found };
        assert_eq!(refreshed_row(&listed, downloaded()).channel_id.as_deref(), Some("UClisted"));
    }

    #[tokio::test]
    async fn a_video_without_a_channel_by_then_gets_it_with_its_file_and_with_it_its_source() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let catalog = Catalog::open(&store.catalog(), &Clock::system()).await.unwrap();
        let found = videos::NewVideo {
            site: "youtube".to_owned(),
            site_id: "video-00001".to_owned(),
            ..videos::NewVideo::default()
        };
        // The second was named by a list while its download ran.
        let listed = videos::NewVideo {
            site_id: "video-00002".to_owned(),
            channel_id: Some("UClisted".to_owned()),
            promised_duration_ms: Some(9_000),
            ..found.clone()
        };
        let (policy, scan_rev) = (CrawlConfig::default(), "1".to_owned());
        let stage = FetchStage { store, ytdlp: None, cpu: None, policy, byte_limit: None, scan_rev };
        for (found, source, promised) in
            [(found, "channel:UCtold", None), (listed, "channel:UClisted", Some(9_000))]
        {
            let mut tx = catalog.begin().await.unwrap();
            let id = videos::upsert(&mut tx, &found).await.unwrap().unwrap();
            let path = format!("videos/{}.mp4", found.site_id);
            let file = StoredFile { path, size_bytes: 5, sha256: "00".repeat(32) };
            let (downloaded, facts) = (Some(downloaded()), VideoFacts::default());
            let fetched = Fetched { id, downloaded, file, facts };
            stage.commit(&mut tx, fetched).await.unwrap();
            tx.commit().await.unwrap();
            let video = videos::get(&catalog, id).await.unwrap();
            assert_eq!((video.source.as_str(), video.file.is_some()), (source, true));
            assert_eq!(video.found.promised_duration_ms, promised);
        }
    }

    #[test]
    fn a_title_after_the_last_dot_is_no_extension() {
        let title = format!("Dr. Smith {}", "explains and ".repeat(15));
        let ends = ["a.MP4", "a.webm", "a", "a.matroska1", "a.b c", title.as_str()];
        assert_eq!(ends.map(|name| extension_of(Path::new(name))), ["mp4", "webm", "", "", "", ""]);
    }

    #[test]
    fn a_read_only_source_leaves_a_copy_that_can_be_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("a.mp4"), folder.path().join("b.mp4"));
        let read_only = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
        fs::write(&source, b"film").unwrap();
        // As an earlier release left it.
        fs::write(&target, b"half of another film").unwrap();
        read_only(&source);
        read_only(&target);
        for _ in 0..2 {
            copy(&source, &target).unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"film");
            assert_eq!(target.metadata().unwrap().permissions().mode() & 0o200, 0o200);
        }
    }

    #[test]
    fn a_file_that_changed_since_it_was_taken_in_is_not_stored_under_its_old_hash() {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("a.mp4"), folder.path().join("b.mp4"));
        fs::write(&source, b"film").unwrap();
        let sha256 = store::digest(&source).unwrap().1;
        copy_of_hash(&source, &target, &sha256).unwrap();
        fs::write(&source, b"another film").unwrap();
        let failure = copy_of_hash(&source, &target, &sha256).unwrap_err();
        assert_eq!((failure.kind, failure.reason), (FailureKind::Rejected, Reason::Gone));
    }

    #[test]
    fn a_file_larger_than_the_free_space_is_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let source = folder.path().join("a.mp4");
        // A file of one hole takes no room.
        File::create(&source).unwrap().set_len(1 << 30).unwrap();
        let min_free_bytes = store.free_bytes().unwrap().saturating_sub(1 << 29);
        let failure = guard_copy(&store, &source, min_free_bytes).unwrap_err();
        assert_eq!(failure.reason, Reason::Disk);
        assert!(failure.detail.contains("no room for ") && failure.detail.contains("a.mp4"), "{failure}");
    }

    #[test]
    fn half_a_copy_does_not_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("a.mp4"), folder.path().join("b.mp4"));
        // Opens, and refuses to be read, as a disk with a bad sector does.
        fs::create_dir(&source).unwrap();
        assert!(copy(&source, &target).is_err());
        assert!(!target.exists());
    }

    fn refusal(source: &Path, target: &Path) -> (FailureKind, Reason) {
        let failure = copy(source, target).unwrap_err();
        (failure.kind, failure.reason)
    }

    #[test]
    fn a_source_that_cannot_be_read_is_its_own_matter_and_a_full_disk_is_everybodys() {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("a.mp4"), folder.path().join("b.mp4"));
        assert_eq!(refusal(&source, &target), (FailureKind::Rejected, Reason::Gone));
        // Opens, and refuses to be read.
        fs::create_dir(&source).unwrap();
        assert_eq!(refusal(&source, &target), (FailureKind::Permanent, Reason::SourceGone));
        fs::remove_dir(&source).unwrap();
        fs::write(&source, b"film").unwrap();
        // Every write to this device says that no space is left.
        assert_eq!(refusal(&source, Path::new("/dev/full")), (FailureKind::Transient, Reason::Disk));
        copy(&source, &target).unwrap();
    }
}

//! The stage video → file: downloads or copies one video, has it examined by a worker, and gives it its place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, CatalogError, Transaction, jobs, videos};
use crate::clock::Stop;
use crate::config::CrawlConfig;
use crate::failure::{Failure, Reason};
use crate::store::{self, Store, StoredFile};
use crate::types::{VideoFacts, VideoId};
use crate::youtube::policy::{self, Named};
use crate::youtube::{SiteId, YtDlp};

use super::budget::{Budget, ByteLimit};
use super::cpu::{Cpu, Product, Task};
use super::{JobContext, Outcome, Stage, scan, search};

/// The stage's name in the job table.
pub(crate) const NAME: &str = "fetch";
/// Raised when its output would differ.
pub(crate) const REV: &str = "1";

/// Fetches videos of YouTube and of this machine's disk.
pub(crate) struct FetchStage {
    /// Where files go.
    pub(crate) store: Store,
    /// The download tool and its pace; none when only files on disk are fetched.
    pub(crate) ytdlp: Option<(YtDlp, Budget)>,
    /// Who looks into the file; none where this program was built without FFmpeg.
    pub(crate) cpu: Option<Cpu>,
    /// Policy and pace.
    pub(crate) policy: CrawlConfig,
    /// How much the run may bring home.
    pub(crate) byte_limit: Option<ByteLimit>,
    /// Revision of the looks that follow, see [`scan::rev`].
    pub(crate) scan_rev: String,
}

/// A video that has its file.
pub(crate) struct Fetched {
    id: VideoId,
    file: StoredFile,
    facts: VideoFacts,
}

impl Stage for FetchStage {
    const NAME: &'static str = NAME;
    const UNIT: &'static str = "videos";
    type Subject = videos::Video;
    type Output = Fetched;

    fn rev(&self) -> String {
        REV.to_owned()
    }

    fn neighbours(&self) -> &'static [&'static str] {
        &[search::NAME]
    }

    async fn load(&self, catalog: &Catalog, subject_id: i64) -> Result<Self::Subject, Failure> {
        Ok(videos::get(catalog, VideoId(subject_id)).await?)
    }

    async fn run(&self, video: Self::Subject, context: &JobContext<'_>) -> Result<Fetched, Failure> {
        let work = format!("fetch-{}", video.id.0);
        let fetched = self.fetch(&video, &work, context).await;
        super::settled(&self.store, &work, fetched)
    }

    async fn commit(&self, tx: &mut Transaction, fetched: Fetched) -> Result<Outcome, CatalogError> {
        let Fetched { id, file, facts } = fetched;
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
        work: &str,
        context: &JobContext<'_>,
    ) -> Result<Fetched, Failure> {
        self.judge(video)?;
        self.store.guard(self.policy.min_free_bytes)?;
        let staging = self.store.staging(work)?;
        let local = video.found.site == "local";
        let part = if local {
            take(video, &staging).await?
        } else {
            self.download(video, &staging, context).await?
        };
        let promised = video.found.promised_duration_ms;
        let facts = self.examine(&part, promised, context.stop).await?;
        let extension = part.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let place = store::video_path(&video.found.site, &video.found.site_id, &extension);
        // Large files take long to hash and to sync.
        let store = self.store.clone();
        let file = super::blocking(move || store.publish(&part, &place)).await??;
        self.store.clear_staging(work)?;
        if let Some(limit) = &self.byte_limit {
            limit.spend(file.size_bytes);
        }
        Ok(Fetched { id: video.id, file, facts })
    }

    /// Block lists may have grown since the video was found.
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
        let task = Task::Check { path: part.to_owned(), promised_duration_ms: promised };
        match cpu.run(&task, stop).await? {
            Product::Checked(facts) => Ok(facts),
            _ => Err(Failure::bug("a worker answered another question than `check`")),
        }
    }

    async fn download(
        &self,
        video: &videos::Video,
        staging: &Path,
        context: &JobContext<'_>,
    ) -> Result<PathBuf, Failure> {
        let Some((ytdlp, budget)) = &self.ytdlp else {
            let detail =
                format!("video {} is one of {}, and no yt-dlp is at hand", video.id.0, video.found.site);
            return Err(Failure::permanent(Reason::ToolMissing, detail)
                .with_hint("`webemotion crawl` without --source downloads it"));
        };
        budget.wait_for_turn(NAME, context.stop).await?;
        let site_id = SiteId::new(&video.found.site_id)
            .ok_or_else(|| Failure::bug(format!("video {} has an id that is none", video.id.0)))?;
        let downloaded = ytdlp.download(&site_id, staging, &mut |_| {}, context.stop).await?;
        Ok(downloaded.path)
    }
}

/// Copies a video of this machine's disk.
async fn take(video: &videos::Video, staging: &Path) -> Result<PathBuf, Failure> {
    let source = PathBuf::from(&video.found.url);
    let part = staging.join(source.file_name().unwrap_or_default());
    let target = part.clone();
    super::blocking(move || copy(&source, &target)).await??;
    Ok(part)
}

/// Only what the data folder's disk refuses concerns all videos: what a source refuses is its own matter.
fn copy(source: &Path, target: &Path) -> Result<(), Failure> {
    let Err(error) = fs::copy(source, target) else { return Ok(()) };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::failure::FailureKind;
    use crate::pipeline::{RunPlan, Runner};
    use crate::progress::Silent;

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
        let (plan, stop) = (RunPlan::new("tester".to_owned()), Stop::default());
        let failure = Runner::new(&catalog, plan, &stop, &Silent).drive(&stage).await.unwrap_err();
        assert_eq!(failure.reason, Reason::ToolMissing);
        let job = jobs::get(&catalog, NAME, id.0).await.unwrap().unwrap();
        assert_eq!((job.state.as_str(), job.attempt), ("open", 0));
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

//! The stage video → file: downloads or copies one video, has it examined by a worker, and gives it its place.

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
        let part =
            if local { copy(video, &staging)? } else { self.download(video, &staging, context).await? };
        let promised = video.found.promised_duration_ms;
        let facts = self.examine(&part, promised, context.stop).await?;
        let extension = part.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let place = store::video_path(&video.found.site, &video.found.site_id, &extension);
        let file = self.store.publish(&part, &place)?;
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
            return Err(Failure::bug("a video of YouTube was fetched without yt-dlp"));
        };
        budget.wait_for_turn(NAME, context.stop).await?;
        let site_id = SiteId::new(&video.found.site_id)
            .ok_or_else(|| Failure::bug(format!("video {} has an id that is none", video.id.0)))?;
        let downloaded = ytdlp.download(&site_id, staging, &mut |_| {}, context.stop).await?;
        Ok(downloaded.path)
    }
}

fn copy(video: &videos::Video, staging: &Path) -> Result<PathBuf, Failure> {
    let source = Path::new(&video.found.url);
    let name = source.file_name().unwrap_or_default();
    let part = staging.join(name);
    std::fs::copy(source, &part).map_err(|error| unreadable(source, &error))?;
    Ok(part)
}

fn unreadable(source: &Path, error: &std::io::Error) -> Failure {
    let detail = format!("cannot copy {}: {error}", source.display());
    match error.kind() {
        std::io::ErrorKind::NotFound => Failure::rejected(Reason::Gone, detail),
        std::io::ErrorKind::PermissionDenied => Failure::permanent(Reason::Disk, detail),
        _ => Failure::transient(Reason::Disk, detail),
    }
}

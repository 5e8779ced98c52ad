//! The stage video → file: downloads or copies one video, has it examined by a worker, and gives it its place.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use crate::catalog::{Catalog, Transaction, budgets, jobs, videos};
use crate::clock::Stop;
use crate::config::CrawlConfig;
use crate::failure::{Failure, Reason};
use crate::store::{self, Store, StoredFile};
use crate::types::{VideoFacts, VideoId};
use crate::youtube::{DownloadRequest, YtDlp};

use super::{JobContext, Stage, scan};

/// The stage's name in the job table.
pub(crate) const NAME: &str = "fetch";
/// Raised when its output would differ.
pub(crate) const REV: &str = "1";

/// Opens a file in a worker and says what is in it; none where this program was built without FFmpeg.
pub(crate) type Examine = Box<
    dyn Fn(PathBuf, Option<i64>, Stop) -> Pin<Box<dyn Future<Output = Result<VideoFacts, Failure>> + Send>>
        + Send
        + Sync,
>;

/// Fetches videos of YouTube and of this machine's disk.
pub(crate) struct FetchStage {
    /// Where files go.
    pub(crate) store: Store,
    /// The download tool; none when only files on disk are fetched.
    pub(crate) ytdlp: Option<YtDlp>,
    /// Looks into the file.
    pub(crate) examine: Option<Examine>,
    /// Policy and pace.
    pub(crate) policy: CrawlConfig,
}

/// A video that has its file.
pub(crate) struct Fetched {
    id: VideoId,
    file: StoredFile,
    facts: Option<VideoFacts>,
}

impl Stage for FetchStage {
    const NAME: &'static str = NAME;
    type Subject = videos::Video;
    type Output = Fetched;

    fn rev(&self) -> String {
        REV.to_owned()
    }

    async fn load(&self, catalog: &Catalog, subject_id: i64) -> Result<Self::Subject, Failure> {
        Ok(videos::get(catalog, VideoId(subject_id)).await?)
    }

    async fn run(&self, video: Self::Subject, context: &JobContext) -> Result<Fetched, Failure> {
        self.store.guard(self.policy.min_free_bytes)?;
        let work = format!("fetch-{}", video.id.0);
        let staging = self.store.staging(&work)?;
        let local = video.found.site == "local";
        let part = if local { copy(&video, &staging)? } else { self.download(&video, &staging, context).await? };
        let promised = video.found.promised_duration_ms;
        let facts = match &self.examine {
            Some(examine) => Some(examine(part.clone(), promised, context.stop.clone()).await?),
            None => None,
        };
        let extension = part.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let place = store::video_path(&video.found.site, &video.found.site_id, &extension);
        let file = self.store.publish(&part, &place)?;
        self.store.clear_staging(&work)?;
        Ok(Fetched { id: video.id, file, facts })
    }

    async fn commit(&self, tx: &mut Transaction, fetched: Fetched) -> Result<(), Failure> {
        let Fetched { id, file, facts } = fetched;
        let facts = facts.unwrap_or_default();
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
        jobs::enqueue(tx, scan::NAME, scan::REV, 0, id.0).await?;
        Ok(())
    }
}

impl FetchStage {
    async fn download(
        &self,
        video: &videos::Video,
        staging: &Path,
        context: &JobContext,
    ) -> Result<PathBuf, Failure> {
        let Some(ytdlp) = &self.ytdlp else {
            return Err(Failure::bug("a video of YouTube was fetched without yt-dlp"));
        };
        self.wait_for_turn(context).await?;
        let request = DownloadRequest { site_id: video.found.site_id.clone() };
        let downloaded = ytdlp.download(&request, staging, &mut |_| {}, &context.stop).await?;
        Ok(downloaded.path)
    }

    /// Takes one video out of the budget that all workers of this catalog share, waiting for it if need be.
    async fn wait_for_turn(&self, context: &JobContext) -> Result<(), Failure> {
        let rate = budgets::Rate { per_hour: f64::from(self.policy.videos_per_hour), burst: 1.0 };
        loop {
            match budgets::take(&context.catalog, EGRESS, rate).await? {
                budgets::Token::Taken => return Ok(()),
                budgets::Token::Wait(wait_ms) => context.sleep_ms(wait_ms).await?,
            }
        }
    }
}

/// The identity under which this machine reaches the site.
const EGRESS: &str = "default";

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

/// Waits in small steps, so that a stop is heard.
pub(super) async fn sleep(wait_ms: i64, stop: &Stop) -> Result<(), Failure> {
    let mut left = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
    while left > Duration::ZERO {
        if stop.is_asked() {
            return Err(Failure::transient(Reason::Interrupted, "interrupted while waiting"));
        }
        let step = left.min(Duration::from_millis(200));
        tokio::time::sleep(step).await;
        left -= step;
    }
    Ok(())
}

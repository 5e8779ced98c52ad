//! A loopback YouTube: it answers the real yt-dlp over TLS, serves media with ranges, and speaks the Data API v3.
//! It serves files and facts that it is given; it knows neither how videos are drawn nor what they show.

mod data_api;
mod found;
mod innertube;
mod media;
mod tls;

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::data_api::ApiFault;
pub use self::found::FoundBy;
pub use self::innertube::{OddAnswer, SearchFault};
pub use self::media::MediaFault;

/// One video of the site.
#[derive(Debug, Clone)]
pub struct SiteVideo {
    /// Eleven characters of `A-Z a-z 0-9 _ -`.
    pub site_id: String,
    /// Its title, told as it is.
    pub title: String,
    /// Its channel's id: `UC` and 22 characters of `A-Z a-z 0-9 _ -`, else yt-dlp passes it over.
    pub channel_id: String,
    /// Its channel's name.
    pub channel_name: String,
    /// The length that the site promises, seconds; the file may be another.
    pub duration_s: u32,
    /// Its licence.
    pub licence: SiteLicence,
    /// The media file.
    pub file: PathBuf,
    /// What the site answers when it is to be played.
    pub answer: SiteAnswer,
    /// Which searches find it, and how high.
    pub found_by: Vec<FoundBy>,
}

/// A video's licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteLicence {
    /// The site's own.
    Standard,
    /// Creative Commons, reuse allowed.
    CreativeCommons,
}

/// What the site answers when a video is to be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteAnswer {
    /// It plays; so does a broken file, byte for byte.
    Plays,
    /// It is private.
    Private,
    /// Its uploader removed it. Searches still find it; the Data API has no details of it.
    Removed,
    /// The first time the session is told to slow down, later it plays.
    RateLimitedOnce,
    /// It is refused in these words.
    Refused {
        /// `ERROR`, `UNPLAYABLE`, `LOGIN_REQUIRED` …
        status: &'static str,
        /// The reason.
        reason: String,
        /// What follows it.
        subreason: String,
    },
    /// It is answered oddly.
    Odd(OddAnswer),
    /// The call that should play it fails with this HTTP status.
    PlayerStatus(u16),
    /// It plays, but its media address misbehaves.
    Media(MediaFault),
}

/// How often each part of the site was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requests {
    /// Pages of keyless searches.
    pub search_pages: u64,
    /// Videos to be played.
    pub players: u64,
    /// Media, each range on its own.
    pub media: u64,
    /// `search.list`.
    pub api_searches: u64,
    /// `videos.list`.
    pub api_videos: u64,
}

#[derive(Default)]
struct Counters {
    search_pages: AtomicU64,
    players: AtomicU64,
    media: AtomicU64,
    api_searches: AtomicU64,
    api_videos: AtomicU64,
}

/// What all handlers share.
struct World {
    videos: Vec<SiteVideo>,
    by_id: HashMap<String, usize>,
    asked: Counters,
    /// How often each video was to be played, and its media asked for.
    plays: Mutex<HashMap<String, u32>>,
    media_tries: Mutex<HashMap<String, u32>>,
    api_fault: Mutex<Option<ApiFault>>,
    search_fault: Mutex<Option<SearchFault>>,
    media_host: String,
    reset_host: String,
}

impl World {
    fn video(&self, site_id: &str) -> Option<&SiteVideo> {
        self.by_id.get(site_id).map(|index| &self.videos[*index])
    }
}

/// Counts one more and tells how many there were before.
fn count_up(counts: &Mutex<HashMap<String, u32>>, key: &str) -> u32 {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let count = counts.entry(key.to_owned()).or_insert(0);
    *count += 1;
    *count - 1
}

/// The running site; it stops listening when dropped.
pub struct Site {
    youtube_host: String,
    ca: PathBuf,
    data_api_url: String,
    world: Arc<World>,
    tasks: Vec<JoinHandle<()>>,
}

impl Site {
    /// Starts the site on free ports of loopback. Its certificate authority is written to `folder/site-ca.pem`.
    ///
    /// # Errors
    /// When no port can be taken, or the certificate not be made or written.
    pub async fn start(videos: Vec<SiteVideo>, folder: &Path) -> io::Result<Self> {
        let secure = bind().await?;
        let plain = bind().await?;
        let reset = bind().await?;
        let youtube_host = secure.local_addr()?.to_string();
        let media_host = plain.local_addr()?.to_string();
        let ca = folder.join("site-ca.pem");
        let secure = tls::TlsListener::new(secure, &ca)?;
        let by_id = videos.iter().enumerate().map(|(index, video)| (video.site_id.clone(), index)).collect();
        let world = Arc::new(World {
            videos,
            by_id,
            asked: Counters::default(),
            plays: Mutex::default(),
            media_tries: Mutex::default(),
            api_fault: Mutex::default(),
            search_fault: Mutex::default(),
            reset_host: reset.local_addr()?.to_string(),
            media_host: media_host.clone(),
        });
        let tasks = vec![
            serve(secure, secure_routes(&world)),
            serve(plain, plain_routes(&world)),
            tokio::spawn(media::reset_all(reset)),
        ];
        Ok(Self { youtube_host, ca, data_api_url: format!("http://{media_host}/youtube/v3"), world, tasks })
    }

    /// `127.0.0.1:PORT`, what `crawl.youtube_host` takes.
    pub fn youtube_host(&self) -> &str {
        &self.youtube_host
    }

    /// The certificate file to trust, what `crawl.youtube_ca` takes.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// What `crawl.data_api_url` takes.
    pub fn data_api_url(&self) -> &str {
        &self.data_api_url
    }

    /// How often each part was asked so far.
    pub fn requests(&self) -> Requests {
        let asked = &self.world.asked;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Requests {
            search_pages: count(&asked.search_pages),
            players: count(&asked.players),
            media: count(&asked.media),
            api_searches: count(&asked.api_searches),
            api_videos: count(&asked.api_videos),
        }
    }

    /// From now on the Data API answers with this fault, or soundly again.
    pub fn break_data_api(&self, fault: Option<ApiFault>) {
        *self.world.api_fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// From now on keyless searches are answered with this fault, or soundly again.
    pub fn break_search(&self, fault: Option<SearchFault>) {
        *self.world.search_fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn bind() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

fn serve<L>(listener: L, routes: Router) -> JoinHandle<()>
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
    tokio::spawn(async move {
        // It ends only when aborted.
        let _ = axum::serve(listener, routes).await;
    })
}

fn secure_routes(world: &Arc<World>) -> Router {
    Router::new()
        .route("/youtubei/v1/search", post(innertube::search))
        .route("/youtubei/v1/player", post(innertube::player))
        .route("/youtubei/v1/next", post(innertube::next))
        .with_state(Arc::clone(world))
}

fn plain_routes(world: &Arc<World>) -> Router {
    Router::new()
        .route("/media/{site_id}", get(media::serve))
        .route("/youtube/v3/search", get(data_api::search))
        .route("/youtube/v3/videos", get(data_api::videos))
        .with_state(Arc::clone(world))
}

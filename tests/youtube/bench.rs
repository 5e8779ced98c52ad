//! What these tests share: a small site, a configuration that leads to it, and short limits.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use webemotion::clock::Stop;
use webemotion::config::{CrawlConfig, LicencePolicy, ToolConfig};
use webemotion::demo::site::{FoundBy, MediaFault, Site, SiteAnswer, SiteLicence, SiteVideo};
use webemotion::youtube::{Downloaded, Limits, SiteId, YoutubeError, YtDlp};

/// A site on loopback with a folder for downloads.
pub struct Bench {
    pub site: Site,
    pub crawl: CrawlConfig,
    pub folder: TempDir,
}

/// What every media address serves: it begins like an MP4 file and never repeats itself.
pub fn media_bytes() -> Vec<u8> {
    let mut bytes = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec();
    let mut state = 1_u32;
    while bytes.len() < 300_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.push((state >> 24) as u8);
    }
    bytes
}

/// An id that ends in a number.
pub fn id(number: u32) -> String {
    format!("video-{number:05}")
}

/// A sound video that `happy` finds at the rank of its number.
pub fn video(number: u32) -> SiteVideo {
    SiteVideo {
        site_id: id(number),
        title: format!("a happy video {number}"),
        channel_id: format!("UCchannel-{number:014}"),
        channel_name: "a channel".to_owned(),
        duration_s: 30,
        licence: SiteLicence::CreativeCommons,
        file: PathBuf::new(),
        answer: SiteAnswer::Plays,
        found_by: vec![FoundBy::word("happy", number)],
    }
}

/// A video whose media misbehaves.
pub fn faulty(number: u32, fault: MediaFault) -> SiteVideo {
    SiteVideo { answer: SiteAnswer::Media(fault), ..video(number) }
}

impl Bench {
    pub async fn new(mut videos: Vec<SiteVideo>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("media.mp4");
        std::fs::write(&file, media_bytes()).unwrap();
        for video in &mut videos {
            video.file.clone_from(&file);
        }
        let site = Site::start(videos, folder.path()).await.unwrap();
        let crawl = CrawlConfig {
            licence: LicencePolicy::Any,
            pause_s: 0.0,
            youtube_host: Some(site.youtube_host().to_owned()),
            youtube_ca: Some(site.ca().to_owned()),
            data_api_url: site.data_api_url().to_owned(),
            ..CrawlConfig::default()
        };
        // A name that a shell, a template and a tilde would spoil.
        std::fs::create_dir(folder.path().join("$HOME %(id)s ~")).unwrap();
        Self { site, crawl, folder }
    }

    /// Where downloads go.
    pub fn downloads(&self) -> PathBuf {
        self.folder.path().join("$HOME %(id)s ~")
    }

    /// The real yt-dlp, hurried.
    pub fn ytdlp(&self) -> YtDlp {
        let program = ToolConfig::default().find_ytdlp().expect("scripts/setup installs yt-dlp");
        hurried(YtDlp::new(program, &self.crawl))
    }

    /// Downloads one of the videos.
    pub async fn download(&self, number: u32) -> Result<Downloaded, YoutubeError> {
        let site_id = SiteId::new(&id(number)).unwrap();
        self.ytdlp().download(&site_id, &self.downloads(), &mut |_| (), &Stop::default()).await
    }
}

/// The same tool with limits that a test can wait for.
pub fn hurried(mut ytdlp: YtDlp) -> YtDlp {
    ytdlp.limits = Limits {
        wall_clock: Duration::from_secs(30),
        silence: Duration::from_secs(15),
        rate_window: Duration::from_secs(2),
        grace: Duration::from_millis(300),
        read_timeout: Duration::from_secs(2),
        retries: 2,
        retry_pause: Duration::ZERO,
        ..ytdlp.limits
    };
    ytdlp
}

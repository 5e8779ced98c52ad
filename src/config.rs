//! One validated configuration: defaults, then `webemotion.toml`, then `WEBEMOTION_*`, then flags.
//!
//! Every room takes its own part of it as plain values; no room reads settings files or `WEBEMOTION_*` itself. The Data
//! API's key is a secret, not a setting: `cli/crawl` reads it.

mod check;
mod hwaccel;
mod keep;
mod layers;
mod round;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Reason};

pub use hwaccel::Hwaccel;
pub use keep::KeepConfig;
pub use layers::{Origin, Resolved};
pub use round::{Leg, RunConfig, TrainConfig, TrainWhen};

/// All settings. The default is what an empty file means.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What `crawl` may search and download.
    pub crawl: CrawlConfig,
    /// How `clips` finds faces and cuts clips.
    pub clips: ClipRecipe,
    /// What is kept once it is no longer needed.
    pub keep: KeepConfig,
    /// How worker processes are limited.
    pub workers: WorkerConfig,
    /// When `run` trains, and how.
    pub train: TrainConfig,
    /// What `run` does.
    pub run: RunConfig,
    /// Where tools and params are.
    pub tools: ToolConfig,
}

/// The documented settings file; a test checks that it equals the defaults.
pub const TEMPLATE: &str = include_str!("config.toml");

impl Config {
    /// Reads a settings file, if one is given, then the environment, and checks every value.
    pub fn load(file: Option<&Path>) -> Result<Self, Failure> {
        Self::resolve(file).map(|resolved| resolved.config)
    }

    /// The same, with the origin of every value.
    pub fn resolve(file: Option<&Path>) -> Result<Resolved, Failure> {
        layers::resolve(file, std::env::vars_os())
    }
}

fn wrong(detail: String) -> Failure {
    Failure::permanent(Reason::Usage, detail)
        .with_hint("`webemotion config init` writes a file with every setting and what it means")
}

/// Policy, budget and pace of the crawl.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrawlConfig {
    /// Videos of this many seconds or more are rejected; WebEmotion took those under four minutes.
    pub max_duration_s: u32,
    /// Results kept of each search, by rank; WebEmotion took 20.
    pub results_per_search: u32,
    /// Which licences may be downloaded.
    pub licence: LicencePolicy,
    /// A video whose title contains one of these words or phrases is rejected. Case does not matter; in scripts that
    /// separate words by spaces only whole words count.
    pub blocked_titles: Vec<String>,
    /// Videos of these channels, by id or name, are rejected.
    pub blocked_channels: Vec<String>,
    /// ISO 3166-1 code of the country in which a video must be available; only the Data API can tell.
    pub region: Option<String>,
    /// The user has read the site's terms and decided to download under them.
    pub accept_terms: bool,
    /// Videos an hour that may be requested from the site, shared by all workers of the catalog.
    pub videos_per_hour: u32,
    /// Names the network address that the site sees: crawls of one catalog with the same name share one budget.
    pub egress: String,
    /// Concurrent downloads in one crawl.
    pub at_once: usize,
    /// Least pause between two videos, seconds; at random up to twice as long.
    pub pause_s: f64,
    /// How long the crawl pauses after the site asked for it, seconds.
    pub rate_limited_pause_s: u64,
    /// Pause before the second attempt of a video, seconds; doubled for the third.
    pub retry_pause_s: u64,
    /// The largest file that is downloaded, bytes.
    pub max_file_bytes: u64,
    /// No download begins with less free disk space than this, bytes.
    pub min_free_bytes: u64,
    /// A download may take this long, seconds.
    pub download_timeout_s: u64,
    /// A file of search words to use instead of the built-in lexicon.
    pub lexicon: Option<PathBuf>,
    /// Host and port to ask instead of YouTube's own API host (`innertube_host`); set by tests and the demo.
    pub youtube_host: Option<String>,
    /// A certificate file to trust for that host.
    pub youtube_ca: Option<PathBuf>,
    /// Base address of the Data API.
    pub data_api_url: String,
}

impl Default for CrawlConfig {
    fn default() -> Self {
        Self {
            max_duration_s: 240,
            results_per_search: 20,
            licence: LicencePolicy::CreativeCommons,
            blocked_titles: Vec::new(),
            blocked_channels: Vec::new(),
            region: None,
            accept_terms: false,
            videos_per_hour: 200,
            egress: "default".to_owned(),
            at_once: 1,
            pause_s: 5.0,
            rate_limited_pause_s: 3_600,
            retry_pause_s: 60,
            max_file_bytes: 200_000_000,
            min_free_bytes: 2_000_000_000,
            download_timeout_s: 900,
            lexicon: None,
            youtube_host: None,
            youtube_ca: None,
            data_api_url: "https://www.googleapis.com/youtube/v3".to_owned(),
        }
    }
}

/// Which licences may be downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LicencePolicy {
    /// Only videos marked as Creative Commons by their owner.
    CreativeCommons,
    /// Any, as the WebEmotion paper did.
    Any,
}

/// Every threshold between a video and its samples. Its hash is stored with every row that was derived with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipRecipe {
    /// Looks per second of video, at which tracked faces are followed. The whole picture is searched every four seconds
    /// while faces are tracked, every 0.4 s while none is, where a shot begins, and when a face is lost.
    pub scout_fps: f64,
    /// Smallest face to detect, pixels of the decoded picture.
    pub min_face_px: f32,
    /// Acceptance thresholds of the P-, R- and O-net.
    pub detector_thresholds: [f32; 3],
    /// At a cut, a frame's difference from the one before is at least this many times the mean of the frames around it.
    pub cut_ratio: f64,
    /// Least mean difference of a cut, 0 to 255.
    pub cut_min_difference: f64,
    /// The shortest shot between two dissolves, and the least time from a cut or fade to a fade-in that begins a shot,
    /// milliseconds. Hard cuts may be closer together.
    pub min_shot_ms: i64,
    /// Left out at both ends of a shot, milliseconds.
    pub shot_guard_ms: i64,
    /// A face may be missing this long within one track, milliseconds.
    pub max_gap_ms: i64,
    /// Least overlap (IoU) of a face with the last place of its track.
    pub min_iou: f32,
    /// The shortest clip, milliseconds; WebEmotion's rule is five seconds.
    pub min_clip_ms: i64,
    /// The longest clip: longer tracks are split, milliseconds.
    pub max_clip_ms: i64,
    /// Share of a track's looked-at frames on which the face must be seen, 0 to 1.
    pub min_coverage: f32,
    /// Least median side of the face in a track that becomes a clip, pixels.
    pub min_clip_face_px: f32,
    /// Side of a clip's picture, pixels.
    pub clip_side_px: u32,
    /// The clip's window is the face's box scaled by this factor.
    pub clip_margin: f32,
    /// Time between two samples of a clip, milliseconds.
    pub sample_every_ms: i64,
    /// Side of a sample's picture, pixels.
    pub sample_side_px: u32,
    /// JPEG quality of samples, 1 to 100.
    pub jpeg_quality: u8,
    /// Samples less sharp than this are kept, but marked as rejected.
    pub min_sharpness: f32,
    /// Samples turned further than this (yaw, degrees) are kept, but marked as rejected.
    pub max_yaw_deg: f32,
}

impl Default for ClipRecipe {
    fn default() -> Self {
        Self {
            scout_fps: 5.0,
            min_face_px: 40.0,
            detector_thresholds: [0.6, 0.7, 0.7],
            cut_ratio: 3.5,
            cut_min_difference: 12.0,
            min_shot_ms: 600,
            shot_guard_ms: 120,
            max_gap_ms: 500,
            min_iou: 0.3,
            min_clip_ms: 5_000,
            max_clip_ms: 10_000,
            min_coverage: 0.9,
            min_clip_face_px: 48.0,
            clip_side_px: 256,
            clip_margin: 1.6,
            sample_every_ms: 1_000,
            sample_side_px: 224,
            jpeg_quality: 92,
            min_sharpness: 8.0,
            max_yaw_deg: 60.0,
        }
    }
}

/// More than machines have cores: a typing error must not start thousands of processes.
pub(crate) const MOST_WORKERS: u64 = 256;

/// Limits of one worker process, which opens one video at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// Worker processes, at most 256; 0 means one per core.
    pub count: usize,
    /// Address space of a worker, bytes; 0 means no limit. A worker that opened a device has none: CUDA reserves more than it uses.
    pub max_memory_bytes: u64,
    /// A worker that is silent for this long is killed, seconds.
    pub silence_timeout_s: u64,
    /// A worker that makes no progress in its video for this long is killed, seconds. A whole task has no limit.
    pub task_timeout_s: u64,
    /// A job is given up after this many attempts.
    pub max_attempts: u32,
    /// What decodes videos. A worker's address space is not limited while a device decodes.
    pub hwaccel: Hwaccel,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            count: 0,
            max_memory_bytes: 6_000_000_000,
            silence_timeout_s: 60,
            task_timeout_s: 3_600,
            max_attempts: 3,
            hwaccel: Hwaccel::None,
        }
    }
}

/// Where tools and params are; unset ones are searched for beside the program and in its parent folders.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolConfig {
    /// The yt-dlp program.
    pub ytdlp: Option<PathBuf>,
    /// The MTCNN params, `mtcnn.safetensors`.
    pub mtcnn: Option<PathBuf>,
}

impl ToolConfig {
    /// The yt-dlp to run: as set, else `.venv/bin/yt-dlp` above the program or the working folder, else on the PATH.
    pub fn find_ytdlp(&self) -> Result<PathBuf, Failure> {
        let on_path = || {
            // A configured file that is missing is an error, and is not replaced by another one.
            let path = std::env::var_os("PATH").filter(|_| self.ytdlp.is_none())?;
            std::env::split_paths(&path).map(|folder| folder.join("yt-dlp")).find(|file| file.is_file())
        };
        find(self.ytdlp.as_deref(), ".venv/bin/yt-dlp")
            .or_else(on_path)
            .ok_or_else(|| missing("yt-dlp", self.ytdlp.as_deref()))
    }

    /// The MTCNN params to load: as set, else `.params/mtcnn.safetensors` above the program or the working folder.
    pub fn find_mtcnn(&self) -> Result<PathBuf, Failure> {
        find(self.mtcnn.as_deref(), ".params/mtcnn.safetensors")
            .ok_or_else(|| missing("the MTCNN params", self.mtcnn.as_deref()))
    }
}

fn find(set: Option<&Path>, below: &str) -> Option<PathBuf> {
    if let Some(path) = set {
        return path.is_file().then(|| path.to_owned());
    }
    let program = std::env::current_exe().ok();
    let folder = std::env::current_dir().ok();
    let mut above = program.iter().chain(folder.iter()).flat_map(|start| start.ancestors());
    above.find_map(|ancestor| Some(ancestor.join(below)).filter(|path| path.is_file()))
}

fn missing(what: &str, set: Option<&Path>) -> Failure {
    let place = set.map_or_else(String::new, |path| format!(" at {}", path.display()));
    Failure::permanent(Reason::ToolMissing, format!("{what} not found{place}"))
        .with_hint("run scripts/setup, or name the file under [tools] in webemotion.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webemotion.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path))
    }

    #[test]
    fn the_template_names_every_setting_with_its_default() {
        let set: String =
            TEMPLATE.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
        let mut config: Config = toml::from_str(&set).unwrap();
        for optional in
            ["region", "lexicon", "youtube_host", "youtube_ca", "ytdlp", "mtcnn", "notify", "metrics"]
        {
            assert!(TEMPLATE.contains(optional), "{optional}");
        }
        let defaults = Config::default();
        config.tools = defaults.tools.clone();
        (config.crawl.lexicon, config.crawl.youtube_host, config.crawl.youtube_ca) = (None, None, None);
        (config.run.notify, config.run.metrics) = (None, None);
        config.crawl.region = None;
        assert_eq!(config, defaults);
        let keys = |value: &toml::Value| {
            value.as_table().unwrap().values().map(|t| t.as_table().unwrap().len()).sum::<usize>()
        };
        let written = keys(&toml::Value::try_from(&defaults).unwrap());
        assert_eq!(keys(&toml::from_str(&set).unwrap()), written + 8, "eight settings have no default");
    }

    #[test]
    fn an_unknown_setting_is_an_error_that_names_its_line() {
        let failure = load("[crawl]\nmax_durations_s = 3\n").unwrap_err();
        assert_eq!(failure.reason, Reason::Usage);
        assert!(failure.detail.contains("line 2"), "{}", failure.detail);
        assert!(failure.detail.contains("max_durations_s"), "{}", failure.detail);
    }

    #[test]
    fn a_path_in_a_settings_file_is_relative_to_that_file() {
        let config = load("[crawl]\nyoutube_ca = 'ca.pem'\n").unwrap();
        assert!(config.crawl.youtube_ca.unwrap().is_absolute());
    }
}

//! yt-dlp as a child process: what we tell it and how long we wait. It is the one part that follows the site's
//! changes, so users can upgrade it without us; nothing here decides what may be downloaded.

mod canary;
mod child;
mod download;
mod facts;
mod lines;
mod search;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use self::canary::Canary;
pub use self::download::Downloaded;
pub use self::facts::ToolFacts;
pub use self::lines::{Extracted, Progress};
use super::data_api::ApiKey;
use super::error::YoutubeError;
use super::fault::FaultDetector;
use crate::config::CrawlConfig;

/// How long yt-dlp may take, and how hard it tries by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// One child may run this long in all.
    pub wall_clock: Duration,
    /// It may say nothing at all for this long.
    pub silence: Duration,
    /// The download rate is measured over stretches of this length.
    pub rate_window: Duration,
    /// A download slower than this over a whole stretch is ended: the socket time-out sees only single reads.
    pub min_bytes_per_s: u64,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// yt-dlp's own time-out of one read.
    pub read_timeout: Duration,
    /// yt-dlp's own retries of connection errors.
    pub retries: u32,
    /// Pause before the first of them; it doubles up to a minute.
    pub retry_pause: Duration,
    /// Pause between two requests for one video.
    pub request_pause: Duration,
}

impl Limits {
    fn of(crawl: &CrawlConfig) -> Self {
        // Without a pause between videos there is no point in one within a video.
        let request_pause_s = crawl.pause_s.clamp(0.0, 0.75);
        Self {
            wall_clock: Duration::from_secs(crawl.download_timeout_s),
            silence: Duration::from_secs(180),
            rate_window: Duration::from_secs(60),
            min_bytes_per_s: 4_096,
            grace: Duration::from_secs(5),
            read_timeout: Duration::from_secs(20),
            retries: 5,
            retry_pause: Duration::from_secs(1),
            request_pause: Duration::from_secs_f64(request_pause_s),
        }
    }
}

/// yt-dlp, ready to search and download. Clones share what they learn about its state.
#[derive(Debug, Clone)]
pub struct YtDlp {
    program: PathBuf,
    crawl: CrawlConfig,
    /// Those that follow from the configuration, until others are set.
    pub limits: Limits,
    faults: FaultDetector,
    canary: Canary,
}

impl YtDlp {
    /// Takes the program to run; nothing is started yet.
    pub fn new(program: PathBuf, crawl: &CrawlConfig) -> Self {
        let program = std::path::absolute(&program).unwrap_or(program);
        let (limits, faults, canary) = (Limits::of(crawl), FaultDetector::default(), Canary::default());
        Self { program, crawl: crawl.clone(), limits, faults, canary }
    }

    /// A call with all that searches and downloads share: no configuration but ours, no cache, no self-update, UTF-8.
    fn command(&self) -> Command {
        let mut command = self.bare_command();
        command.args(["--no-cache-dir", "--no-update", "--no-color", "--encoding", "utf-8"]);
        command.arg("--socket-timeout").arg(seconds(self.limits.read_timeout));
        command.arg("--sleep-requests").arg(seconds(self.limits.request_pause));
        command.arg("--retries").arg(self.limits.retries.to_string());
        command.args(["--extractor-retries", "3", "--file-access-retries", "3"]);
        if !self.limits.retry_pause.is_zero() {
            command.arg("--retry-sleep").arg(format!("http:exp={}:60", seconds(self.limits.retry_pause)));
        }
        self.add_host(&mut command);
        command
    }

    fn bare_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--ignore-config", "--no-plugin-dirs"]).stdin(Stdio::null());
        // Without UTF-8 mode, characters that the locale does not know vanish from messages.
        command.env("PYTHONUTF8", "1").env_remove(ApiKey::VARIABLE);
        // They would put another yt-dlp, or another Python's modules, before those of the program that was named.
        command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        command
    }

    /// Sends yt-dlp to another host than YouTube's own, in documented words. Only the `web` page and the player's
    /// scripts are skipped: the `next` call stays, because its answer contains the video's licence.
    fn add_host(&self, command: &mut Command) {
        if let Some(host) = &self.crawl.youtube_host {
            let youtube = format!(
                "youtube:innertube_host={host};player_skip=webpage,configs,js;player_client=visionos"
            );
            command.arg("--extractor-args").arg(youtube);
            command.args(["--extractor-args", "youtubetab:skip=webpage"]);
            command.args(["--no-js-runtimes", "--proxy", ""]);
        }
        if let Some(ca) = &self.crawl.youtube_ca {
            command.args(["--compat-options", "no-certifi"]);
            command.env("SSL_CERT_FILE", std::path::absolute(ca).unwrap_or_else(|_| ca.clone()));
        }
    }

    fn not_run(&self, source: std::io::Error) -> YoutubeError {
        YoutubeError::Tool { program: self.program.clone(), source }
    }

    /// The program that is run.
    pub fn program(&self) -> &Path {
        &self.program
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_python_variables_do_not_reach_yt_dlp() {
        let tool = YtDlp::new("yt-dlp".into(), &CrawlConfig::default());
        for command in [tool.bare_command(), tool.command()] {
            let is_removed = |name: &str| command.as_std().get_envs().any(|it| it == (name.as_ref(), None));
            assert!(["PYTHONPATH", "PYTHONHOME"].into_iter().all(is_removed), "{command:?}");
        }
    }
}

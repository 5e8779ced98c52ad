//! One video, one child: how yt-dlp is called for a download, and what its end means. A success is accepted only
//! when the file is there.

use std::io;
use std::path::{Path, PathBuf};

use super::YtDlp;
use super::child::{self, Ended, Listener, StopCause};
use super::lines::{self, Extracted, Line, Moved, Progress};
use super::search::milliseconds;
use crate::clock::Stop;
use crate::config::CrawlConfig;
use crate::failure::Reason;
use crate::youtube::border::{self, SiteId};
use crate::youtube::error::YoutubeError;
use crate::youtube::policy;
use crate::youtube::refusals::{Refusal, classify};

/// A finished download, and what the site said of its video. The file has not been opened yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Downloaded {
    /// `<site id>.<extension>` in the folder that was given.
    pub path: PathBuf,
    /// One line, at most 300 characters.
    pub title: Option<String>,
    /// The channel's id.
    pub channel_id: Option<String>,
    /// One line, at most 300 characters.
    pub channel_name: Option<String>,
    /// The length that the site promised, milliseconds.
    pub duration_ms: Option<i64>,
    /// The licence as the watch page names it; `None` means the site's own, or unknown.
    pub licence: Option<String>,
}

/// Smaller dimension at most 720 if there is such a format; of one size SDR, since HDR comes out flat where no tones are
/// mapped; H.264 and MP4 preferred.
const SORT: &str = "res:720,hdr:sdr,vcodec:h264,ext:mp4,proto";
const SORT_PLAIN: &str = "res:720,hdr:sdr";
/// A reason to end without an error that is only printed to the screen.
const TOO_LARGE: &[u8] = b"[download] File is larger than max-filesize";
/// The sound is not used.
const FORMAT: &str = "bv/bv*";
/// `b` alone would also take sound where there is nothing else.
const FORMAT_PLAIN: &str = "b[vcodec!=?none]/bv*";

impl YtDlp {
    /// Downloads one video into an existing folder. A `.part` file of an earlier try is continued. What the site says
    /// just before the first byte is judged by [`policy::judge_extracted`]; a tool that must not go on is ended.
    ///
    /// # Errors
    /// The site's refusal, a verdict of the policy, a passed limit, or [`YoutubeError::Stopped`]. What came so far
    /// stays in the folder.
    pub async fn download(
        &self,
        site_id: &SiteId,
        folder: &Path,
        on_progress: &mut (dyn FnMut(Progress) + Send),
        stop: &Stop,
    ) -> Result<Downloaded, YoutubeError> {
        if !folder.is_dir() {
            let source = io::ErrorKind::NotADirectory.into();
            return Err(YoutubeError::Folder { path: folder.to_owned(), source });
        }
        let downloaded = self.attempts(site_id, folder, on_progress, stop).await;
        self.faults.record(site_id.as_str(), downloaded)
    }

    /// At most two: some refusals pass when asked once more in another way.
    async fn attempts(
        &self,
        site_id: &SiteId,
        folder: &Path,
        on_progress: &mut (dyn FnMut(Progress) + Send),
        stop: &Stop,
    ) -> Result<Downloaded, YoutubeError> {
        let first = self.attempt(site_id, folder, Choice::BEST, &mut *on_progress, stop).await;
        let Err(YoutubeError::Refused { refusal, .. }) = &first else { return first };
        match refusal {
            // yt-dlp never gets past a part file that is complete already.
            Refusal::CompletePart => remove_parts(site_id, folder)?,
            // A fresh extraction brings fresh media addresses.
            Refusal::MediaRefused | Refusal::ToolBroken => {}
            Refusal::Format => return self.attempt(site_id, folder, Choice::PLAIN, on_progress, stop).await,
            _ => return first,
        }
        self.attempt(site_id, folder, Choice::BEST, on_progress, stop).await
    }

    async fn attempt(
        &self,
        site_id: &SiteId,
        folder: &Path,
        choice: Choice,
        on_progress: &mut (dyn FnMut(Progress) + Send),
        stop: &Stop,
    ) -> Result<Downloaded, YoutubeError> {
        let command = self.download_command(site_id, folder, choice);
        let mut output = DownloadOutput::of(&self.crawl, on_progress);
        let ended = child::run(command, &self.limits, &mut output, stop).await;
        let ended = ended.map_err(|source| self.not_run(source))?;
        self.verdict(site_id, folder, &output, &ended)
    }

    fn download_command(&self, site_id: &SiteId, folder: &Path, choice: Choice) -> tokio::process::Command {
        let mut command = self.command();
        command.args(["--no-playlist", "--abort-on-error", "--abort-on-unavailable-fragments", "--no-mtime"]);
        command.arg("--max-filesize").arg(self.crawl.max_file_bytes.to_string());
        command.arg("--match-filters").arg(policy::match_filter(&self.crawl));
        command.args(["--format", choice.format, "--format-sort", choice.sort]);
        command.args(["--limit-rate", "4M", "--merge-output-format", "mp4"]);
        command.args(["--no-quiet", "--newline", "--progress", "--progress-delta", "1"]).args(lines::PRINT);
        // In the folder itself, so that no character of its path is expanded as a variable or a template.
        command.current_dir(folder).args(["--output", "%(id)s.%(ext)s", "--", &site_id.url()]);
        command
    }

    fn verdict(
        &self,
        site_id: &SiteId,
        folder: &Path,
        output: &DownloadOutput<'_>,
        ended: &Ended,
    ) -> Result<Downloaded, YoutubeError> {
        let what = site_id.to_string();
        let said = border::message(&ended.stderr);
        match &ended.stop_cause {
            Some(StopCause::Stopped) => return Err(YoutubeError::Stopped),
            Some(StopCause::TimedOut { detail, has_moved }) => {
                let (detail, has_moved) = (detail.clone(), *has_moved);
                return Err(YoutubeError::TimedOut { what, detail, has_moved, said });
            }
            None if !ended.status.success() => {
                let refusal = classify(&ended.stderr);
                return Err(YoutubeError::Refused { what, refusal, said });
            }
            Some(StopCause::NothingMoreWanted) | None => {}
        }
        // It may have finished before our signal: what the policy rejects is not kept even so.
        if let Some((reason, detail)) = output.judged.clone() {
            return Err(YoutubeError::NotAllowed { what, reason, detail });
        }
        if let Some(moved) = &output.moved {
            let extracted = output.extracted.clone().unwrap_or_default();
            return finished(site_id, folder, moved, &extracted);
        }
        if output.is_too_large {
            let detail = format!("larger than {} bytes", self.crawl.max_file_bytes);
            return Err(YoutubeError::NotAllowed { what, reason: Reason::TooLarge, detail });
        }
        Err(YoutubeError::NoFile { what, detail: format!("it named no file; it said: {said}") })
    }
}

/// The accepted formats, in order of preference.
#[derive(Clone, Copy)]
struct Choice {
    format: &'static str,
    sort: &'static str,
}

impl Choice {
    const BEST: Self = Self { format: FORMAT, sort: SORT };
    const PLAIN: Self = Self { format: FORMAT_PLAIN, sort: SORT_PLAIN };
}

/// What yt-dlp's lines said of a download.
struct DownloadOutput<'a> {
    crawl: &'a CrawlConfig,
    on_progress: &'a mut (dyn FnMut(Progress) + Send),
    extracted: Option<Extracted>,
    /// Why the policy rejects it, by what the site said of it.
    judged: Option<(Reason, String)>,
    moved: Option<Moved>,
    bytes: Option<u64>,
    is_too_large: bool,
}

impl<'a> DownloadOutput<'a> {
    fn of(crawl: &'a CrawlConfig, on_progress: &'a mut (dyn FnMut(Progress) + Send)) -> Self {
        let (extracted, judged, moved, bytes) = (None, None, None, None);
        Self { crawl, on_progress, extracted, judged, moved, bytes, is_too_large: false }
    }
}

impl Listener for DownloadOutput<'_> {
    fn line(&mut self, line: &[u8]) {
        match lines::read(line) {
            Some(Line::Extracted(extracted)) => {
                self.judged = policy::judge_extracted(&extracted, self.crawl);
                self.extracted = Some(extracted);
            }
            Some(Line::Begun) => self.bytes = Some(0),
            Some(Line::Progress(progress)) => {
                self.bytes = Some(progress.downloaded_bytes);
                (self.on_progress)(progress);
            }
            Some(Line::Moved(moved)) => {
                self.bytes = None;
                self.moved = Some(moved);
            }
            None => self.is_too_large |= line.trim_ascii_start().starts_with(TOO_LARGE),
        }
    }

    fn downloaded_bytes(&self) -> Option<u64> {
        self.bytes
    }

    fn longest_line(&self) -> usize {
        64 * 1_024
    }

    fn wants_no_more(&self) -> bool {
        self.judged.is_some()
    }
}

/// Accepts a file only if it is in our folder, has its video's name, and is not empty.
fn finished(
    site_id: &SiteId,
    folder: &Path,
    moved: &Moved,
    extracted: &Extracted,
) -> Result<Downloaded, YoutubeError> {
    let no_file = |detail: String| YoutubeError::NoFile { what: site_id.to_string(), detail };
    let named = Path::new(&moved.filepath);
    let is_ours = moved.id == site_id.as_str()
        && extracted.id == site_id.as_str()
        && named.file_stem().is_some_and(|stem| stem == site_id.as_str())
        && named.parent().is_some_and(|parent| is_same_folder(parent, folder));
    let (true, Some(name)) = (is_ours, named.file_name()) else {
        return Err(no_file(format!("it names {}", border::line(&moved.filepath))));
    };
    let path = folder.join(name);
    let facts = path.symlink_metadata().map_err(|source| no_file(format!("{}: {source}", path.display())))?;
    if !facts.is_file() || facts.len() == 0 {
        return Err(no_file(format!("{} is empty or no file", path.display())));
    }
    let line = |text: &Option<String>| text.as_deref().map(border::line).filter(|line| !line.is_empty());
    Ok(Downloaded {
        title: line(&extracted.title),
        channel_id: extracted.channel_id.as_deref().and_then(border::channel_id),
        channel_name: line(&extracted.channel_name),
        duration_ms: extracted.duration_s.map(milliseconds),
        licence: line(&extracted.licence),
        path,
    })
}

/// Compares what the names lead to: the tool resolves links in its working folder, we do not.
fn is_same_folder(named: &Path, folder: &Path) -> bool {
    match (folder.join(named).canonicalize(), folder.canonicalize()) {
        (Ok(named), Ok(folder)) => named == folder,
        _ => false,
    }
}

/// Removes what earlier tries left of this video, and only of this one.
fn remove_parts(site_id: &SiteId, folder: &Path) -> Result<(), YoutubeError> {
    let unusable = |source: io::Error| YoutubeError::Folder { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(unusable)? {
        let entry = entry.map_err(unusable)?;
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(site_id.as_str()));
        let is_part = rest.is_some_and(|rest| {
            rest.starts_with('.') && (rest.ends_with(".part") || rest.ends_with(".ytdl"))
        });
        if is_part {
            std::fs::remove_file(entry.path()).map_err(unusable)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site_id() -> SiteId {
        SiteId::new("vid00000001").unwrap()
    }

    fn extracted() -> Extracted {
        Extracted {
            id: "vid00000001".into(),
            title: Some("a\u{1b}[2J title".into()),
            channel_id: Some("../UC".into()),
            duration_s: Some(12.0),
            ..Extracted::default()
        }
    }

    #[test]
    fn a_file_elsewhere_is_never_accepted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vid00000001.mp4"), b"x").unwrap();
        for named in ["/etc/passwd", "../vid00000001.mp4", "a/vid00000001.mp4", "", "vid00000002.mp4"] {
            let moved = Moved { id: "vid00000001".into(), filepath: named.into() };
            let error = finished(&site_id(), folder.path(), &moved, &extracted()).unwrap_err();
            assert!(matches!(error, YoutubeError::NoFile { .. }), "{named}");
        }
        let moved = Moved { id: "vid00000001".into(), filepath: "vid00000001.mp4".into() };
        let downloaded = finished(&site_id(), folder.path(), &moved, &extracted()).unwrap();
        assert_eq!(downloaded.path, folder.path().join("vid00000001.mp4"));
    }

    #[test]
    fn what_the_site_says_of_a_video_is_cleaned_and_returned_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vid00000001.mp4"), b"x").unwrap();
        let moved = Moved { id: "vid00000001".into(), filepath: "vid00000001.mp4".into() };
        let downloaded = finished(&site_id(), folder.path(), &moved, &extracted()).unwrap();
        assert_eq!((downloaded.title.as_deref(), downloaded.channel_id), (Some("a[2J title"), None));
        assert_eq!((downloaded.duration_ms, downloaded.licence), (Some(12_000), None));
    }

    #[test]
    fn of_two_formats_of_one_size_the_sdr_one_is_preferred() {
        let ytdlp = YtDlp::new("yt-dlp".into(), &CrawlConfig::default());
        for choice in [Choice::BEST, Choice::PLAIN] {
            let command = ytdlp.download_command(&site_id(), Path::new("."), choice);
            let sort = command.as_std().get_args().skip_while(|word| *word != "--format-sort").nth(1);
            let sort = sort.unwrap().to_str().unwrap().to_owned();
            assert!(sort.starts_with("res:720,hdr:sdr"), "{sort}");
        }
    }

    #[test]
    fn only_this_videos_parts_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let names =
            ["vid00000001.mp4.part", "vid00000001.f136.mp4.part", "vid00000001.mp4", "vid00000002.mp4.part"];
        for name in names {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        remove_parts(&site_id(), folder.path()).unwrap();
        let left = names.map(|name| folder.path().join(name).exists());
        assert_eq!(left, [false, false, true, true]);
    }
}

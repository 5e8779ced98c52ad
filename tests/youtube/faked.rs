//! A scripted yt-dlp that misbehaves as no fixture can make the real one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use webemotion::clock::Stop;
use webemotion::config::{CrawlConfig, LicencePolicy};
use webemotion::failure::{Exit, Reason};
use webemotion::youtube::{Downloaded, Question, Refusal, SearchProvider, SiteId, YoutubeError, YtDlp};

use super::bench::hurried;

const STARTED: &str = r#"echo '@S {"id":"video-00001","duration":10}'; echo '@B {"id":"video-00001"}'"#;

/// Writes the script and makes it the tool.
fn faked(folder: &Path, script: &str) -> YtDlp {
    let program = folder.join("yt-dlp");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let crawl = CrawlConfig { licence: LicencePolicy::Any, ..CrawlConfig::default() };
    let mut ytdlp = hurried(YtDlp::new(program, &crawl));
    ytdlp.limits.silence = Duration::from_secs(1);
    ytdlp
}

async fn download(folder: &TempDir, script: &str) -> Result<Downloaded, YoutubeError> {
    let site_id = SiteId::new("video-00001").unwrap();
    faked(folder.path(), script).download(&site_id, folder.path(), &mut |_| (), &Stop::default()).await
}

/// Long for a signal, and short beside the minute that the scripts' children would sleep.
const DELIVERY: Duration = Duration::from_secs(2);

fn is_alive(pid_file: &Path) -> bool {
    let pid = std::fs::read_to_string(pid_file).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    // A zombie is dead: whoever adopted it has only not asked yet.
    let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    // A signal is delivered when the kernel next lets its receiver run, not when it is sent.
    let sent = Instant::now();
    while lives() && sent.elapsed() < DELIVERY {
        std::thread::sleep(Duration::from_millis(5));
    }
    lives()
}

#[tokio::test]
async fn a_hang_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let error = download(&folder, "exec sleep 60").await.unwrap_err();
    assert!(
        matches!(&error, YoutubeError::TimedOut { detail, .. } if detail.contains("said nothing")),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' TERM\nsleep 60 &\necho $! > grandchild\necho $$ > child\nwhile :; do sleep 1; done";
    let error = download(&folder, script).await.unwrap_err();
    assert!(matches!(error, YoutubeError::TimedOut { .. }), "{error}");
    assert!(!is_alive(&folder.path().join("child")));
    assert!(!is_alive(&folder.path().join("grandchild")));
}

#[tokio::test]
async fn a_flood_of_errors_is_kept_within_bounds_and_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let script = "yes 'some noise that fills the pipe' | head -c 20000000 >&2\n\
                  echo 'ERROR: [youtube] video-00001: Private video' >&2\nexit 1";
    let error = download(&folder, script).await.unwrap_err();
    let YoutubeError::Refused { refusal, said, .. } = error else { panic!("{error}") };
    assert_eq!(refusal, Refusal::Private);
    assert!(said.len() < 5_000 && said.ends_with("Private video"));
}

#[tokio::test]
async fn bytes_that_are_no_text_hurt_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "{STARTED}\nprintf '\\377\\376@D {{\\n@P \\200\\n@D {{\"id\"'\nprintf '\\303(\\033[2J' >&2\nexit 1"
    );
    let error = download(&folder, &script).await.unwrap_err();
    assert!(matches!(&error, YoutubeError::Refused { refusal: Refusal::Unknown, .. }), "{error}");
    assert!(!error.to_string().contains('\u{1b}'));
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipe_delays_nobody_and_dies() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "{STARTED}\nprintf x > video-00001.mp4\nsleep 60 &\necho $! > grandchild\n\
         echo '@D {{\"id\":\"video-00001\",\"filepath\":\"video-00001.mp4\"}}'"
    );
    let began = Instant::now();
    let downloaded = download(&folder, &script).await.unwrap();
    assert_eq!(std::fs::read(downloaded.path).unwrap(), b"x");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(!is_alive(&folder.path().join("grandchild")));
}

#[tokio::test]
async fn it_dies_with_a_killed_crawl() {
    // Another process of this very program plays the crawl, and is killed without a word.
    if std::env::var_os("WEBEMOTION_TEST_CRAWL").is_some() {
        let folder = std::path::PathBuf::from(std::env::var_os("WEBEMOTION_TEST_CRAWL").unwrap());
        let site_id = SiteId::new("video-00001").unwrap();
        let mut ytdlp = faked(&folder, &format!("{STARTED}\necho $$ > child\nexec sleep 60"));
        ytdlp.limits.silence = Duration::from_secs(60);
        let _ = ytdlp.download(&site_id, &folder, &mut |_| (), &Stop::default()).await;
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut crawl = std::process::Command::new(std::env::current_exe().unwrap());
    crawl.args(["--exact", "youtube::faked::it_dies_with_a_killed_crawl", "--nocapture"]);
    let mut crawl = crawl.env("WEBEMOTION_TEST_CRAWL", folder.path()).spawn().unwrap();
    let pid_file = folder.path().join("child");
    let began = Instant::now();
    while !std::fs::read_to_string(&pid_file).is_ok_and(|pid| !pid.trim().is_empty()) {
        assert!(began.elapsed() < Duration::from_secs(20), "the tool did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    crawl.kill().unwrap();
    crawl.wait().unwrap();
    assert!(!is_alive(&pid_file));
}

#[tokio::test]
async fn success_without_a_file_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty"), b"").unwrap();
    let named =
        |path: &str| format!("{STARTED}\necho '@D {{\"id\":\"video-00001\",\"filepath\":\"{path}\"}}'");
    let scripts = [
        "exit 0".to_owned(),
        STARTED.to_owned(),
        named("video-00001.mp4"),
        named("/etc/passwd"),
        named("../video-00001.mp4"),
        format!(": > video-00001.mkv\n{}", named("video-00001.mkv")),
        format!("ln -sf /etc/passwd video-00001.webm\n{}", named("video-00001.webm")),
    ];
    for script in scripts {
        let error = download(&folder, &script).await.unwrap_err();
        assert!(matches!(error, YoutubeError::NoFile { .. }), "{script}: {error}");
    }
}

#[tokio::test]
async fn many_videos_that_it_cannot_read_speak_against_the_tool() {
    let table = [
        ("No video formats found!; please report this issue", Reason::NoFormat),
        (
            "The following content is not available on this app.. Watch on the latest version",
            Reason::NoFormat,
        ),
        ("The stars are not right", Reason::Unexplained),
    ];
    for (words, reason) in table {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("echo 'ERROR: [youtube] x: {words}' >&2\nexit 1");
        let ytdlp = faked(folder.path(), &script);
        let mut told = Vec::new();
        for number in 1..=5 {
            let site_id = SiteId::new(&format!("video-{number:05}")).unwrap();
            let downloaded = ytdlp.download(&site_id, folder.path(), &mut |_| (), &Stop::default()).await;
            told.push(downloaded.unwrap_err().failure().reason);
        }
        assert_eq!(told[..4], [reason; 4], "{words}");
        assert_eq!(told[4], Reason::ToolOutdated, "{words}");
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_no_missing_tool() {
    let folder = tempfile::tempdir().unwrap();
    let site_id = SiteId::new("video-00001").unwrap();
    let ytdlp = faked(folder.path(), "exit 0");
    let nowhere = folder.path().join("nowhere");
    let error = ytdlp.download(&site_id, &nowhere, &mut |_| (), &Stop::default()).await.unwrap_err();
    assert_eq!(error.failure().reason, Reason::Disk);
}

#[tokio::test]
async fn an_urgent_stop_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut ytdlp = faked(folder.path(), "trap '' TERM\nwhile :; do echo; sleep 0.1; done");
    ytdlp.limits.grace = Duration::from_secs(60);
    let stop = Stop::default();
    stop.ask();
    stop.ask();
    let site_id = SiteId::new("video-00001").unwrap();
    let error = ytdlp.download(&site_id, folder.path(), &mut |_| (), &stop).await.unwrap_err();
    assert!(matches!(error, YoutubeError::Stopped), "{error}");
}

#[tokio::test]
async fn a_failed_search_is_no_empty_answer() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "echo '{\"entries\":[null]}'\necho 'ERROR: [youtube:search] x: Failed to resolve' >&2\nexit 1";
    let question = Question { text: "happy", want: 1, language: None };
    let error = faked(folder.path(), script).search(question, &Stop::default()).await.unwrap_err();
    assert_eq!(error.failure().reason, Reason::Network);
}

#[tokio::test]
async fn a_tool_that_is_not_there_is_named_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let ytdlp = YtDlp::new(folder.path().join("no-such-tool"), &CrawlConfig::default());
    let failure = ytdlp.version().await.unwrap_err().failure();
    assert_eq!(failure.exit(), Exit::Unusable);
    assert!(failure.detail.contains("no-such-tool") && failure.hint.unwrap().contains("scripts/setup"));
}

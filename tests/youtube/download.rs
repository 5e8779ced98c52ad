//! Downloads through the real yt-dlp: what arrives, what is refused, and which faults become which reason.

use webemotion::clock::Stop;
use webemotion::config::LicencePolicy;
use webemotion::demo::site::{MediaFault, SiteAnswer, SiteLicence, SiteVideo};
use webemotion::failure::{FailureKind, Reason};
use webemotion::youtube::{Progress, Refusal, SiteId, YoutubeError};

use super::bench::{Bench, faulty, id, media_bytes, video};

fn refused(number: u32, status: &'static str, reason: &str) -> SiteVideo {
    let (reason, subreason) = (reason.to_owned(), String::new());
    SiteVideo { answer: SiteAnswer::Refused { status, reason, subreason }, ..video(number) }
}

async fn reasons(bench: &Bench, count: u32) -> Vec<(Reason, FailureKind)> {
    let mut reasons = Vec::new();
    for number in 1..=count {
        let failure = bench.download(number).await.unwrap_err().failure();
        reasons.push((failure.reason, failure.kind));
    }
    reasons
}

#[tokio::test]
async fn a_download_is_the_file_byte_for_byte() {
    let bench = Bench::new(vec![video(1)]).await;
    let mut seen: Vec<Progress> = Vec::new();
    let site_id = SiteId::new(&id(1)).unwrap();
    let mut on_progress = |progress| seen.push(progress);
    let downloaded = bench
        .ytdlp()
        .download(&site_id, &bench.downloads(), &mut on_progress, &Stop::default())
        .await
        .unwrap();
    assert!(std::fs::read(&downloaded.path).unwrap() == media_bytes());
    assert_eq!(
        (downloaded.title.as_deref(), downloaded.duration_ms),
        (Some("a happy video 1"), Some(30_000))
    );
    assert_eq!(
        (downloaded.channel_id.as_deref(), downloaded.channel_name.as_deref()),
        (Some("UCchannel-00000000000001"), Some("a channel"))
    );
    assert_eq!(downloaded.licence.as_deref(), Some("Creative Commons Attribution license (reuse allowed)"));
    assert_eq!(seen.last().map(|progress| progress.downloaded_bytes), Some(300_000));
    assert_eq!(std::fs::read_dir(bench.downloads()).unwrap().count(), 1);
}

#[tokio::test]
async fn each_refusal_has_its_reason() {
    let bench = Bench::new(vec![
        SiteVideo { answer: SiteAnswer::Private, ..video(1) },
        SiteVideo { answer: SiteAnswer::Removed, ..video(2) },
        refused(3, "UNPLAYABLE", "The uploader has not made this video available in your country"),
        refused(4, "UNPLAYABLE", "Join this channel to get access to members-only content like this video"),
        refused(5, "LIVE_STREAM_OFFLINE", "Premieres in 2 days"),
        refused(6, "LOGIN_REQUIRED", "Sign in to confirm you\u{2019}re not a bot"),
    ])
    .await;
    let told = reasons(&bench, 6).await;
    let rejected = FailureKind::Rejected;
    assert_eq!(
        told[..5],
        [
            (Reason::Private, rejected),
            (Reason::Gone, rejected),
            (Reason::Geo, rejected),
            (Reason::MembersOnly, rejected),
            (Reason::NotYet, rejected),
        ]
    );
    assert_eq!(told[5], (Reason::Blocked, FailureKind::Transient));
}

#[tokio::test]
async fn a_rate_limit_pauses_and_passes() {
    let bench = Bench::new(vec![
        SiteVideo { answer: SiteAnswer::RateLimitedOnce, ..video(1) },
        SiteVideo { answer: SiteAnswer::PlayerStatus(429), ..video(2) },
    ])
    .await;
    let error = bench.download(1).await.unwrap_err();
    assert!(matches!(error, YoutubeError::Refused { refusal: Refusal::RateLimited, .. }), "{error}");
    assert!(bench.download(1).await.is_ok());
    // Only a warning tells of this one; the error after it speaks of missing formats.
    let error = bench.download(2).await.unwrap_err();
    assert!(matches!(error, YoutubeError::Refused { refusal: Refusal::RateLimited, .. }), "{error}");
}

#[tokio::test]
async fn what_breaks_the_policy_is_never_fetched() {
    let mut bench = Bench::new(vec![
        SiteVideo { duration_s: 240, ..video(1) },
        SiteVideo { licence: SiteLicence::Standard, ..video(2) },
        video(3),
    ])
    .await;
    bench.crawl.licence = LicencePolicy::CreativeCommons;
    let told = reasons(&bench, 2).await;
    assert_eq!(told, [(Reason::TooLong, FailureKind::Rejected), (Reason::Licence, FailureKind::Rejected)]);
    assert_eq!(bench.site.requests().media, 0);
    bench.crawl.max_file_bytes = 100_000;
    let error = bench.download(3).await.unwrap_err();
    assert_eq!(error.failure().reason, Reason::TooLarge);
    bench.crawl.max_file_bytes = 1_000_000;
    assert!(bench.download(3).await.is_ok());
}

#[tokio::test]
async fn what_a_block_list_names_is_ended_when_the_site_names_it() {
    // Their media would take for ever.
    let mut bench = Bench::new((1..=3).map(|number| faulty(number, MediaFault::Drip)).collect()).await;
    bench.crawl.blocked_titles = vec!["video 1".to_owned()];
    bench.crawl.blocked_channels = vec!["UCchannel-00000000000002".to_owned()];
    let told = reasons(&bench, 2).await;
    assert_eq!(told, [(Reason::Blocklisted, FailureKind::Rejected); 2]);
    bench.crawl.blocked_channels = vec!["A Channel".to_owned()];
    let error = bench.download(3).await.unwrap_err();
    assert!(error.to_string().contains("'A Channel', which crawl.blocked_channels lists"), "{error}");
}

#[tokio::test]
async fn media_refused_by_its_server_is_tried_afresh_once() {
    let bench =
        Bench::new(vec![faulty(1, MediaFault::Status(403)), faulty(2, MediaFault::Status(404))]).await;
    let told = reasons(&bench, 2).await;
    assert_eq!(told, [(Reason::Network, FailureKind::Transient); 2]);
    assert_eq!(bench.site.requests().players, 4);
}

#[tokio::test]
async fn a_rate_limited_media_server_pauses_everything() {
    let bench = Bench::new(vec![faulty(1, MediaFault::Status(429))]).await;
    assert_eq!(reasons(&bench, 1).await, [(Reason::RateLimited, FailureKind::Transient)]);
}

#[tokio::test]
async fn a_server_that_recovers_is_waited_for() {
    let bench = Bench::new(vec![faulty(1, MediaFault::UnavailableTwice)]).await;
    let downloaded = bench.download(1).await.unwrap();
    assert!(std::fs::read(downloaded.path).unwrap() == media_bytes());
    assert_eq!(bench.site.requests().media, 3);
}

#[tokio::test]
async fn broken_connections_are_the_networks_fault() {
    let bench = Bench::new(vec![
        faulty(1, MediaFault::Truncated),
        faulty(2, MediaFault::Reset),
        faulty(3, MediaFault::Empty),
    ])
    .await;
    assert_eq!(reasons(&bench, 3).await, [(Reason::Network, FailureKind::Transient); 3]);
}

#[tokio::test]
async fn a_stalled_server_is_given_up() {
    let bench = Bench::new(vec![faulty(1, MediaFault::Stall)]).await;
    assert_eq!(reasons(&bench, 1).await, [(Reason::Network, FailureKind::Transient)]);
}

#[tokio::test]
async fn a_drip_is_ended_by_our_own_watchdog() {
    let bench = Bench::new(vec![faulty(1, MediaFault::Drip)]).await;
    let error = bench.download(1).await.unwrap_err();
    assert!(
        matches!(&error, YoutubeError::TimedOut { detail, .. } if detail.contains("bytes a second")),
        "{error}"
    );
}

#[tokio::test]
async fn a_web_page_that_calls_itself_a_video_arrives_for_the_probe_to_reject() {
    let bench = Bench::new(vec![faulty(1, MediaFault::Html)]).await;
    let downloaded = bench.download(1).await.unwrap();
    assert!(std::fs::read(downloaded.path).unwrap().starts_with(b"<!doctype html>"));
}

#[tokio::test]
async fn part_files_are_continued_also_complete_ones() {
    let bench = Bench::new(vec![video(1), video(2)]).await;
    let part = |number| bench.downloads().join(format!("{}.mp4.part", id(number)));
    std::fs::write(part(1), &media_bytes()[..100_000]).unwrap();
    std::fs::write(part(2), media_bytes()).unwrap();
    for number in [1, 2] {
        let downloaded = bench.download(number).await.unwrap();
        assert!(std::fs::read(downloaded.path).unwrap() == media_bytes(), "{number}");
        assert!(!part(number).exists());
    }
}

#[tokio::test]
async fn a_full_disk_is_ours_to_mend() {
    let bench = Bench::new(vec![video(1)]).await;
    // Every write to this device says that no space is left.
    std::os::unix::fs::symlink("/dev/full", bench.downloads().join("video-00001.mp4.part")).unwrap();
    let error = bench.download(1).await.unwrap_err();
    assert!(error.to_string().contains("No space left on device"), "{error}");
    assert_eq!(error.failure().reason, Reason::Disk);
}

#[tokio::test]
async fn stopping_leaves_a_part_file() {
    let bench = Bench::new(vec![faulty(1, MediaFault::Stall)]).await;
    let stop = Stop::default();
    let asked = stop.clone();
    let site_id = SiteId::new(&id(1)).unwrap();
    let mut on_progress = |progress: Progress| {
        if progress.downloaded_bytes > 0 {
            asked.ask();
        }
    };
    let error =
        bench.ytdlp().download(&site_id, &bench.downloads(), &mut on_progress, &stop).await.unwrap_err();
    assert!(matches!(error, YoutubeError::Stopped), "{error}");
    assert!(bench.downloads().join("video-00001.mp4.part").exists());
}

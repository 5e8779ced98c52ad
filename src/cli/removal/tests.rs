use std::path::Path;
use std::time::Duration;

use super::*;
use crate::catalog::jobs::Claim;
use crate::catalog::{Catalog, pauses, rounds};
use crate::clock::Clock;
use crate::store;
use crate::types::StageName;

pub(crate) const ID: &str = "abcdefghijk";
const TITLE: &str = "Jane Doe cries";

/// A video with samples, files and work that was begun.
pub(crate) async fn with_a_video(folder: &Path) -> (Session, VideoId) {
    let session = Session::still(folder).await;
    let mut tx = session.catalog.begin().await.unwrap();
    let titled = NewVideo { title: Some(TITLE.to_owned()), ..videos::tests::some(ID, Some("UC1")) };
    let id = videos::upsert(&mut tx, &titled).await.unwrap().unwrap();
    samples::tests::fill(&mut tx, id, 2).await;
    jobs::enqueue(&mut tx, StageName::Cut, "1", 0, id.0).await.unwrap();
    tx.commit().await.unwrap();
    let orphan = store::clip_path("youtube", ID, "12345678", 0, 0);
    for file in ["clips/1.mp4", &store::video_path("youtube", ID, "mp4"), &orphan] {
        let path = session.store.absolute(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"a face").unwrap();
    }
    for work in ["fetch-1", "cut-1-12345678", "cut-11-12345678"] {
        session.store.staging(work).unwrap();
    }
    (session, id)
}

/// A worker takes its job for a second.
pub(crate) async fn take(session: &Session) {
    let claim = Claim { stage: StageName::Cut, rev: "1", worker: "host-1:4711:0/0", lease_ms: 1_000 };
    jobs::claim(&session.catalog, claim, &jobs::Only::default()).await.unwrap().unwrap();
}

/// What other rows, pages and summaries tell of the video.
async fn tell_of(session: &Session) {
    let said = format!("ERROR: [youtube] {ID}: '{TITLE}' is private");
    let mut tx = session.catalog.begin().await.unwrap();
    pauses::begin(&mut tx, StageName::Fetch, Reason::Blocked, &said, None).await.unwrap();
    let round = rounds::begin(&mut tx, "host:1:1").await.unwrap();
    let summary = format!("{{\"failures\":[{{\"example\":\"{said}\"}}]}}");
    rounds::end(&mut tx, round, Some(1), Some(&summary)).await.unwrap();
    tx.commit().await.unwrap();
    let reports = session.store.absolute("reports");
    std::fs::create_dir_all(&reports).unwrap();
    std::fs::write(reports.join("round-0001.json"), summary).unwrap();
    for page in ["round-0001.html", "scn-1.md"] {
        std::fs::write(reports.join(page), &said).unwrap();
    }
}

/// The files of a folder, at any depth, that have these bytes or are called by them.
fn naming(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(naming(&path, name));
        } else if path.to_string_lossy().contains(name)
            || std::fs::read(&path).unwrap().windows(name.len()).any(|bytes| bytes == name.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn whoever_removes_a_video_leaves_nothing_of_it_but_its_tombstone() {
    let folder = tempfile::tempdir().unwrap();
    let (session, id) = with_a_video(folder.path()).await;
    tell_of(&session).await;
    let would = remove_rows(&session, &[id], "gone from the site", true).await.unwrap();
    assert_eq!((would.videos.len(), would.files.len(), would.pages.len()), (1, 3, 3));
    assert!(!naming(session.store.root(), TITLE).is_empty(), "a dry run removes nothing");

    let removed = remove_rows(&session, &[id], "gone from the site", false).await.unwrap();
    assert_eq!((&removed.files, &removed.pages), (&would.files, &would.pages));
    assert_eq!(session.store.unfinished().unwrap(), ["cut-11-12345678"], "that of another video");
    assert!(wipe(&session).await.unwrap());
    let left = naming(session.store.root(), TITLE);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(naming(session.store.root(), ID), [session.store.catalog()], "by its tombstone");
    let summary = rounds::list(&session.catalog, 1).await.unwrap().remove(0).summary.unwrap();
    assert_eq!(summary, "{\"failures\":[{\"example\":\"(forgotten)\"}]}");
}

#[tokio::test]
async fn of_many_videos_those_in_hand_are_left_and_the_others_go() {
    let folder = tempfile::tempdir().unwrap();
    let (session, held) = with_a_video(folder.path()).await;
    let mut tx = session.catalog.begin().await.unwrap();
    let mut ids = vec![held];
    for number in 0..BATCH {
        let video = videos::tests::some(&format!("video-{number:05}"), None);
        ids.push(videos::upsert(&mut tx, &video).await.unwrap().unwrap());
    }
    tx.commit().await.unwrap();
    take(&session).await;
    let removed = remove_rows(&session, &ids, "its tombstone stood", false).await.unwrap();
    assert_eq!((removed.videos.len(), removed.in_hand), (BATCH, vec![format!("youtube {ID}")]));
    assert_eq!(session.store.files().unwrap().len(), 3);
    session.clock.advance_ms(2_000);
    let removed = remove_rows(&session, &[held], "its tombstone stood", false).await.unwrap();
    assert_eq!((removed.videos.len(), removed.files.len(), removed.unfinished.len()), (1, 3, 2));
}

#[tokio::test]
async fn a_video_that_somebody_takes_while_pages_are_cleaned_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (session, id) = with_a_video(folder.path()).await;
    let wanted = [Wanted::of(videos::get(&session.catalog, id).await.unwrap())];
    take(&session).await;
    let (reason, dry_run) = ("gone from the site", false);
    let left = remove_batch(&session, &wanted, How { reason, dry_run, at_once: false }).await.unwrap();
    assert_eq!((left.videos.len(), left.in_hand), (0, vec![format!("youtube {ID}")]));
    let refused = remove_batch(&session, &wanted, How { reason, dry_run, at_once: true }).await.unwrap_err();
    assert!(refused.with_remedy().contains("no row and no file was removed"), "{refused}");
    assert_eq!(session.store.files().unwrap().len(), 3);
    videos::get(&session.catalog, id).await.unwrap();
}

#[tokio::test]
async fn while_pages_are_read_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let (session, id) = with_a_video(folder.path()).await;
    let page = session.store.absolute("reports/slow.md");
    std::fs::create_dir_all(page.parent().unwrap()).unwrap();
    nix::unistd::mkfifo(&page, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let path = session.store.catalog();
    let writer = std::thread::spawn(move || {
        // Opens once it is read, and is read until it is closed.
        let _pipe = std::fs::File::options().write(true).open(&page).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let writing = async {
            let other = Catalog::open(&path, &Clock::fixed(1_000_000)).await.unwrap();
            other.begin().await.unwrap().commit().await.unwrap();
        };
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(9), writing).await.is_ok() })
    });
    let removed = remove_rows(&session, &[id], "gone from the site", false).await.unwrap();
    assert_eq!(removed.videos.len(), 1);
    assert!(writer.join().unwrap(), "the catalog was locked while a page was read");
}

#[tokio::test]
async fn once_somebody_asks_to_stop_no_further_video_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (session, id) = with_a_video(folder.path()).await;
    session.stop.ask();
    let removed = remove_rows(&session, &[id], "gone from the site", false).await.unwrap();
    assert!(removed.is_nothing() && session.store.files().unwrap().len() == 3);
}

#[tokio::test]
async fn of_a_video_on_disk_every_path_goes_that_it_was_met_at() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::still(folder.path()).await;
    let mut tx = session.catalog.begin().await.unwrap();
    let url = "/films/Jane Doe.mp4".to_owned();
    let film = NewVideo { site: "local".to_owned(), url, ..videos::tests::some("c0ffee", None) };
    let id = videos::upsert(&mut tx, &film).await.unwrap().unwrap();
    for path in [film.url.as_str(), "/copies/Jane D. cries.mp4"] {
        let stamp = local_files::Stamp { size_bytes: 3, modified_ms: 5 };
        local_files::put(&mut tx, path, stamp, id).await.unwrap();
    }
    tx.commit().await.unwrap();
    let page = session.store.absolute("reports/scn-1.md");
    std::fs::create_dir_all(page.parent().unwrap()).unwrap();
    std::fs::write(&page, "cannot read /copies/Jane D. cries.mp4").unwrap();
    remove_rows(&session, &[id], "its tombstone stood", false).await.unwrap();
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "cannot read (forgotten)");
}

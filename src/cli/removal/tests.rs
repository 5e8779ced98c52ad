use std::path::Path;
use std::time::Duration;

use super::*;
use crate::catalog::jobs::Claim;
use crate::catalog::{Catalog, pauses, rounds};
use crate::clock::Clock;
use crate::types::StageName;
use crate::{files, store};

pub(crate) const ID: &str = "abcdefghijk";
const OTHER: &str = "zyxwvutsrqp";
const TITLE: &str = "Jane Doe cries";

/// A video with samples, files and unfinished work.
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

/// Claims the video's job for a second.
pub(crate) async fn take(session: &Session) {
    let claim = Claim { stage: StageName::Cut, rev: "1", worker: "host-1:4711:0/0", lease_ms: 1_000 };
    jobs::claim(&session.catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
}

/// Other rows, pages and summaries that name the video.
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
    let line = |id: &str, title: &str| {
        format!("{{\"video\":{{\"site\":\"youtube\",\"site_id\":\"{id}\",\"title\":\"{title}\"}}}}\n")
    };
    let list = format!("{{\"webemotion_shard\":2}}\n{}{}", line(ID, TITLE), line(OTHER, "another"));
    std::fs::create_dir_all(session.store.shards()).unwrap();
    std::fs::write(session.store.shards().join("shard-00000-of-00001.jsonl"), list).unwrap();
}

/// The files below a folder that contain these bytes or have them in their name.
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
async fn only_its_tombstone_is_left_of_a_removed_video() {
    let folder = tempfile::tempdir().unwrap();
    let (session, id) = with_a_video(folder.path()).await;
    tell_of(&session).await;
    let would = remove_rows(&session, &[id], "gone from the site", true).await.unwrap();
    assert_eq!((would.videos.len(), would.files.len(), would.pages.len()), (1, 3, 3));
    assert_eq!(would.lists.len(), 1);
    assert!(!naming(session.store.root(), TITLE).is_empty(), "a dry run removes nothing");

    let removed = remove_rows(&session, &[id], "gone from the site", false).await.unwrap();
    assert_eq!((&removed.files, &removed.pages), (&would.files, &would.pages));
    assert_eq!(removed.lists, would.lists);
    assert_eq!(naming(session.store.root(), OTHER), removed.lists.into_iter().collect::<Vec<_>>());
    assert_eq!(session.store.unfinished().unwrap(), ["cut-11-12345678"], "that of another video");
    assert!(wipe(&session).await.unwrap());
    let left = naming(session.store.root(), TITLE);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(naming(session.store.root(), ID), [session.store.catalog()], "by its tombstone");
    let summary = rounds::list(&session.catalog, 1).await.unwrap().remove(0).summary.unwrap();
    assert_eq!(summary, "{\"failures\":[{\"example\":\"(forgotten)\"}]}");
}

#[tokio::test]
async fn of_many_videos_those_with_a_worker_are_left_and_the_others_removed() {
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
async fn a_video_that_is_claimed_while_pages_are_cleaned_stays() {
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
async fn other_processes_can_write_while_pages_are_cleaned_and_their_pages_are_cleaned_too() {
    let folder = tempfile::tempdir().unwrap();
    let (session, id) = with_a_video(folder.path()).await;
    let reports = session.store.reports();
    std::fs::create_dir_all(&reports).unwrap();
    let (page, later) = (reports.join("slow.md"), reports.join("later.md"));
    std::fs::write(&page, ID).unwrap();
    // What goes first says that the pages are listed; until the part is dropped its page cannot be written.
    let left = reports.join("begun.md.part");
    std::fs::write(&left, ID).unwrap();
    let part = files::Part::of(&page).unwrap();
    let (path, meanwhile) = (session.store.catalog(), later.clone());
    let writer = std::thread::spawn(move || {
        while left.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::fs::write(meanwhile, ID).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let writing = async {
            let other = Catalog::open(&path, &Clock::fixed(1_000_000)).await.unwrap();
            other.begin().await.unwrap().commit().await.unwrap();
        };
        let is_written =
            runtime.block_on(async { tokio::time::timeout(Duration::from_secs(9), writing).await.is_ok() });
        drop(part);
        is_written
    });
    let removed = remove_rows(&session, &[id], "gone from the site", false).await.unwrap();
    assert!(writer.join().unwrap(), "the catalog was locked while a page was cleaned");
    assert_eq!((removed.videos.len(), &removed.pages), (1, &BTreeSet::from([page.clone(), later.clone()])));
    for page in [page, later] {
        assert_eq!(std::fs::read_to_string(page).unwrap(), "(forgotten)");
    }
}

#[tokio::test]
async fn after_a_request_to_stop_no_further_video_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (session, id) = with_a_video(folder.path()).await;
    session.stop.ask();
    let removed = remove_rows(&session, &[id], "gone from the site", false).await.unwrap();
    assert!(removed.is_nothing() && session.store.files().unwrap().len() == 3);
}

#[tokio::test]
async fn every_path_of_a_removed_local_video_is_removed() {
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

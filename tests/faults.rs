//! Bad input and faults of the machine: each has its exit code, its reason and its hint, and nothing else is harmed.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use webemotion::media::ClipWriter;

use crate::program::{Ended, ask, expect, webemotion};

/// Two seconds of a moving bar, without a face.
fn film(path: &Path) {
    let mut writer = ClipWriter::create(path, 160, 120, 10.0).unwrap();
    for frame in 0..20_u32 {
        let bar = |x, _| if x / 8 == frame { Rgb([240, 200, 40]) } else { Rgb([40, 60, 90]) };
        writer.push(&RgbImage::from_fn(160, 120, bar), i64::from(frame) * 100).unwrap();
    }
    writer.finish().unwrap();
}

/// A folder `videos` with one good film, beside a data folder that does not exist yet.
fn with_a_film() -> (tempfile::TempDir, std::path::PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let videos = folder.path().join("videos");
    fs::create_dir(&videos).unwrap();
    film(&videos.join("good.mp4"));
    let (data, source) = (folder.path().join("data"), format!("local:{}", videos.display()));
    (folder, data, source)
}

fn has_hint(ended: &Ended, words: &str) {
    let hint = ended.stderr.lines().find(|line| line.starts_with("hint:"));
    assert!(hint.is_some_and(|hint| hint.contains(words)), "no hint with '{words}':\n{}", ended.stderr);
}

#[test]
fn a_missing_tool_ends_with_3_and_says_what_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut crawl = webemotion(folder.path(), &["crawl"]);
    let ended: Ended = crawl.env("WEBEMOTION_YTDLP", "/nonexistent/yt-dlp").output().unwrap().into();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    has_hint(&ended, "scripts/setup");

    let mut clips = webemotion(folder.path(), &["clips"]);
    let ended: Ended = clips.env("WEBEMOTION_MTCNN", "/nonexistent/mtcnn").output().unwrap().into();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    has_hint(&ended, "scripts/setup");
}

#[test]
fn a_folder_without_a_catalog_ends_with_3_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["clips", "train", "status", "report", "gc"] {
        let ended = expect(3, &folder.path().join("nothing"), &[command]);
        has_hint(&ended, "--data");
    }
    assert!(!folder.path().join("nothing").exists());
}

#[test]
fn a_file_that_is_no_catalog_is_left_alone() {
    let (_folder, data, source) = with_a_film();
    fs::create_dir(&data).unwrap();
    for garbage in [&b"a diary, no catalog at all"[..], b"SQLite format 3\0 but not really"] {
        fs::write(data.join("catalog.sqlite"), garbage).unwrap();
        for words in [&["crawl", "--source", &source, "--emotion", "fear"][..], &["clips"], &["status"]] {
            expect(3, &data, words);
            assert_eq!(fs::read(data.join("catalog.sqlite")).unwrap(), garbage);
        }
    }
}

#[tokio::test]
async fn a_newer_catalog_is_left_alone() {
    let (_folder, data, source) = with_a_film();
    let crawl = ["crawl", "--source", &source, "--emotion", "fear"];
    expect(0, &data, &crawl);
    let options = SqliteConnectOptions::new().filename(data.join("catalog.sqlite"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (99990101000000, 'of a later release', true, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    sqlx::query("pragma wal_checkpoint(truncate)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let before = fs::read(data.join("catalog.sqlite")).unwrap();
    for words in [&crawl[..], &["clips"], &["status"]] {
        let ended = expect(3, &data, words);
        assert!(ended.stderr.contains("newer"), "{}", ended.stderr);
        assert!(fs::read(data.join("catalog.sqlite")).unwrap() == before, "{words:?} wrote to it");
    }
}

#[tokio::test]
async fn a_broken_video_is_one_rejected_row_and_the_run_goes_on() {
    let (folder, data, source) = with_a_film();
    let videos = folder.path().join("videos");
    let mut spoilt = fs::read(videos.join("good.mp4")).unwrap();
    let frames = spoilt.windows(4).position(|word| word == b"mdat").unwrap() + 4;
    spoilt[frames..].fill(0x55);
    fs::write(videos.join("broken.mp4"), spoilt).unwrap();
    fs::write(videos.join("text.mp4"), "dear diary\n".repeat(100)).unwrap();
    fs::write(videos.join("empty.mp4"), "").unwrap();

    expect(0, &data, &["crawl", "--source", &source, "--emotion", "fear"]);
    let outcomes = "select title || ' ' || stage || ' ' || state || ' ' || coalesce(job.reason, '')
                    from job join video on video.id = subject_id and stage <> 'search' order by 1";
    assert_eq!(
        ask(&data, outcomes).await,
        [
            "broken.mp4 fetch rejected undecodable",
            "empty.mp4 fetch rejected not-a-video",
            "good.mp4 fetch done ",
            "good.mp4 scan open ",
            "text.mp4 fetch rejected not-a-video",
        ]
    );
    expect(0, &data, &["clips"]);
    assert!(ask(&data, outcomes).await.contains(&"good.mp4 cut rejected no-face".to_owned()));
    expect(4, &data, &["clips"]);
    expect(4, &data, &["crawl", "--source", &source, "--emotion", "fear"]);
}

#[tokio::test]
async fn a_source_that_is_gone_holds_up_no_other_and_comes_back() {
    let (folder, data, source) = with_a_film();
    let crawl = ["crawl", "--source", &source, "--emotion", "fear"];
    expect(0, &data, &crawl);
    let lost = ask(&data, "select file_path from video").await.remove(0);
    fs::remove_file(data.join(lost)).unwrap();
    // Another film, whose look comes after: the same but for an empty box at its end.
    let videos = folder.path().join("videos");
    let film = fs::read(videos.join("good.mp4")).unwrap();
    fs::write(videos.join("other.mp4"), [&film[..], b"\0\0\0\x08free"].concat()).unwrap();
    expect(0, &data, &crawl);
    expect(1, &data, &["clips"]);
    let looks = "select title || ' ' || state || ' ' || coalesce(job.reason, '') from job
                 join video on stage = 'scan' and video.id = subject_id order by 1";
    assert_eq!(ask(&data, looks).await, ["good.mp4 dead source-gone", "other.mp4 done "]);

    expect(0, &data, &["check", "--repair"]);
    expect(0, &data, &crawl);
    assert_eq!(ask(&data, looks).await, ["good.mp4 open ", "other.mp4 done "]);
    expect(0, &data, &["clips"]);
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_passed_over_and_counted() {
    let (folder, data, source) = with_a_film();
    std::os::unix::fs::symlink("../nowhere/a.mp4", folder.path().join("videos/annexed.mp4")).unwrap();
    let ended = expect(0, &data, &["crawl", "--source", &source, "--emotion", "fear"]);
    assert!(ended.stderr.contains("annexed.mp4"), "{}", ended.stderr);
    assert!(ended.stdout.contains("1 video or folder cannot be read"), "{}", ended.stdout);
    assert_eq!(ask(&data, "select title from video where file_path is not null").await, ["good.mp4"]);
}

#[test]
fn an_unknown_setting_ends_with_2_and_its_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("webemotion.toml"), "[crawl]\nmax_duration = 3\n").unwrap();
    let ended = expect(2, folder.path(), &["crawl"]);
    assert!(ended.stderr.contains("line 2") && ended.stderr.contains("max_duration"), "{}", ended.stderr);
    expect(2, folder.path(), &["crawl", "--no-such-flag"]);
}

#[tokio::test]
async fn a_full_disk_pauses_with_5_and_leaves_nothing_half_written() {
    let (_folder, data, source) = with_a_film();
    let crawl = ["crawl", "--source", &source, "--emotion", "fear"];
    let mut full = webemotion(&data, &crawl);
    full.env("WEBEMOTION_CRAWL_MIN_FREE_BYTES", "9_000_000_000_000_000");
    let ended: Ended = full.output().unwrap().into();
    assert_eq!(ended.code, Some(5), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("paused (disk)"), "{}", ended.stdout);
    assert_eq!(ask(&data, "select state || attempt from job where stage = 'fetch'").await, ["open0"]);
    assert_eq!(ask(&data, "select site_id from video where file_path is not null").await, [""; 0]);
    assert!(!data.join("videos").exists());
    assert_eq!(fs::read_dir(data.join("staging")).unwrap().count(), 0);

    // Room again: nobody has to wait for the pause's hour, or to lift it.
    expect(0, &data, &crawl);
}

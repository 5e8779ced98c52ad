//! What `clips` can do with videos besides cutting them: explain, crop again, let go.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::path::Path;

use crate::night::film;
use crate::program::{ask, closing, expect};

/// Size, margin and bytes of every crop.
async fn crops(data: &Path) -> Vec<String> {
    ask(data, "select sample_id || ' ' || side_px || ' ' || margin || ' ' || hex(jpeg) from crop order by 1")
        .await
}

#[tokio::test]
async fn a_video_is_explained_cropped_again_and_let_go_and_comes_back_when_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (videos, data) = (folder.path().join("videos"), folder.path().join("data"));
    fs::create_dir(&videos).unwrap();
    film(11, &videos.join("one.mp4"));
    let crawl = ["crawl", "--source", &format!("local:{}", videos.display()), "--emotion", "fear"];
    expect(0, &data, &crawl);
    let unseen = expect(4, &data, &["clips", "--explain", "1"]);
    assert!(unseen.stderr.contains("`webemotion clips` scans it"), "{}", unseen.stderr);
    expect(0, &data, &["clips"]);
    explained(&data, &videos.join("one.mp4")).await;
    let first = cropped_again(&data).await;

    let let_go = closing(&expect(0, &data, &["--json", "clips", "--discard-videos"]));
    assert_eq!(let_go["discarded"], 1);
    assert!(let_go["freed_bytes"].as_u64().unwrap() > 10_000);
    let row = "select (file_path is null) || (discarded_at is not null) || (sha256 is not null) from video";
    assert_eq!(ask(&data, row).await, ["111"]);
    assert!(videos.join("one.mp4").is_file(), "only the copy goes");
    expect(0, &data, &["check"]);
    assert_eq!(closing(&expect(0, &data, &["--json", "gc"]))["files"], serde_json::json!([]));
    assert!(expect(0, &data, &["clips", "--explain", "1"]).stdout.contains("its file is gone"));
    assert_eq!(closing(&expect(0, &data, &["--json", "status"]))["funnel"]["emotions"][6]["files"], 1);

    let kept = expect(4, &data, &["clips", "--recrop", "--side", "64"]);
    assert!(kept.stdout.contains("keep their crops"), "{}", kept.stdout);
    assert_eq!(crops(&data).await, first);
    fs::write(data.join("webemotion.toml"), "[clips]\nmin_coverage = 0.8\n").unwrap();
    let left = closing(&expect(4, &data, &["--json", "clips"]));
    assert_eq!((&left["left_behind"], &left["scanned"]["done"]), (&1.into(), &0.into()));
    assert_eq!(crops(&data).await, first);
    assert_eq!(closing(&expect(0, &data, &["--json", "retry", "--reason", "source-gone"]))["jobs"], 1);
    expect(0, &data, &crawl);
    assert_eq!(ask(&data, "select state from job where stage = 'scan'").await, ["open"]);
    assert_eq!(ask(&data, row).await, ["001"]);
}

/// Every way to name the video tells the same, and what is told is what the catalog has.
async fn explained(data: &Path, file: &Path) {
    let told = closing(&expect(0, data, &["--json", "clips", "--explain", "1"]));
    let tracks = told["tracks"].as_array().unwrap();
    let passed = tracks.iter().filter(|track| track["reason"].is_null()).count();
    let removed: u64 =
        told["rules"].as_array().unwrap()[..3].iter().map(|rule| rule["removed"].as_u64().unwrap()).sum();
    assert_eq!(tracks.len(), passed + usize::try_from(removed).unwrap());
    let counts = "select (select count(*) from clip) || ' ' || (select count(*) from sample)";
    assert_eq!(ask(data, counts).await, [format!("{} {}", told["clips"], told["samples"])]);
    assert!(told["clips"].as_u64().unwrap() > 0);
    let copy = ask(data, "select file_path from video").await.remove(0);
    for name in [file.to_str().unwrap(), data.join(copy).to_str().unwrap()] {
        assert_eq!(closing(&expect(0, data, &["--json", "clips", "--explain", name])), told);
    }
    let table = expect(0, data, &["clips", "--explain", "1"]).stdout;
    assert!(table.contains("face-too-small") && table.contains("verdict"), "{table}");
    expect(2, data, &["clips", "--explain", "no-such-video"]);
}

/// Crops of another kind come, and those that come back are the first ones to the bit; returns them.
async fn cropped_again(data: &Path) -> Vec<String> {
    let first = crops(data).await;
    let made = closing(&expect(0, data, &["--json", "clips", "--recrop", "--side", "96", "--margin", "1.5"]));
    assert_eq!((&made["videos"], &made["samples"]), (&1.into(), &first.len().into()));
    let others = crops(data).await;
    assert_eq!(others.len(), first.len());
    assert!(others.iter().all(|crop| crop.split(' ').skip(1).take(2).eq(["96", "1.5"])));
    expect(4, data, &["clips", "--recrop", "--side", "96", "--margin", "1.5"]);
    expect(0, data, &["clips", "--recrop"]);
    assert_eq!(crops(data).await, first);
    first
}

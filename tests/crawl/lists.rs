//! Rebuilding from a list: exactly its videos, its spans and boxes beside them, and what is lost by reason.

use std::fs;

use webemotion::demo::site::{SiteAnswer, SiteVideo};

use super::place::{Place, film, short};
use crate::program::{ask, closing};
use crate::youtube::bench::id;

#[tokio::test]
async fn a_list_is_fetched_exactly_and_its_losses_are_told_by_reason() {
    let videos = vec![
        short(1),
        SiteVideo { answer: SiteAnswer::Removed, ..short(2) },
        SiteVideo { answer: SiteAnswer::Private, ..short(3) },
        short(4),
    ];
    let (place, bench) = Place::at_site(videos).await;
    film(&bench.folder.path().join("media.mp4"));
    let list = place.folder.path().join("released.csv");
    let rows = format!(
        "id,url,emotion,channel,start_ms,end_ms,x,y,width,height\n\
         {},,happiness,UCone,0,5000,0.25,0.1,0.5,0.6\n{},,happiness,UCone,5000,10000,,,,\n\
         ,https://www.youtube.com/watch?v={},fear,,,,,,,\n{},,fear,,,,,,,\n",
        id(1),
        id(1),
        id(2),
        id(3)
    );
    fs::write(&list, rows).unwrap();
    // All that a search finds waits; a rebuild leaves what it does not name waiting.
    place.replace("accept_terms = true", "accept_terms = false");
    place.expect(0, &["crawl"]).await;
    place.replace("accept_terms = false", "accept_terms = true");
    let last = closing(&place.expect(0, &["--json", "crawl", "--from", list.to_str().unwrap()]).await);
    assert_eq!((&last["videos"], &last["there"], &last["rows"]), (&3.into(), &1.into(), &4.into()), "{last}");
    assert_eq!(last["lost"], serde_json::json!([["gone", 1], ["private", 1]]));
    assert!((last["loss_rate"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9);
    let waiting =
        "select site_id || ' ' || state from job join video on stage = 'fetch' and video.id = subject_id
                   where site_id = 'video-00004'";
    assert_eq!(ask(&place.data, waiting).await, ["video-00004 open"]);
    let kept =
        "select json_array(site_id, line, start_ms, end_ms, json_extract(face, '$.width'), listed.emotion)
                from listed join video on video.id = video_id order by line";
    let kept = ask(&place.data, kept).await;
    assert_eq!(kept.len(), 4);
    assert_eq!(kept[0], r#"["video-00001",1,0,5000,0.5,"happiness"]"#);
    // Once more changes nothing.
    let again = closing(&place.expect(4, &["--json", "crawl", "--from", list.to_str().unwrap()]).await);
    assert_eq!((&again["there"], &again["lost"]), (&last["there"], &last["lost"]));
}

#[tokio::test]
async fn a_list_without_channels_learns_them_at_the_download_and_so_do_the_block_lists() {
    let titled = |number: u32, title: &str| SiteVideo { title: title.to_owned(), ..short(number) };
    let named = SiteVideo { channel_name: "Kids TV".to_owned(), ..short(3) };
    let (place, bench) = Place::at_site(vec![short(1), titled(2, "my child laughs"), named]).await;
    film(&bench.folder.path().join("media.mp4"));
    place.set("blocked_titles = ['child']\nblocked_channels = ['kids tv']");
    let list = place.folder.path().join("list.csv");
    fs::write(&list, format!("id,emotion\n{},fear\n{},fear\n{},fear\n", id(1), id(2), id(3))).unwrap();
    let last = closing(&place.expect(0, &["--json", "crawl", "--from", list.to_str().unwrap()]).await);
    assert_eq!(
        (&last["there"], &last["lost"]),
        (&1.into(), &serde_json::json!([["blocklisted", 2]])),
        "{last}"
    );
    let known =
        "select json_array(title, source, channel_name, licence) from video where file_path is not null";
    let known = ask(&place.data, known).await;
    let licence = "Creative Commons Attribution license (reuse allowed)";
    let told = ["a happy video 1", "channel:UCchannel-00000000000001", "a channel", licence];
    assert_eq!(known, [serde_json::json!(told).to_string()]);
    assert_eq!(
        fs::read_dir(place.data.join("staging")).map_or(0, Iterator::count),
        0,
        "a blocked file stayed"
    );
    let forgotten = ["--json", "forget", "--channel", "UCchannel-00000000000001", "--dry-run"];
    assert_eq!(closing(&place.expect(0, &forgotten).await)["videos"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_manifest_names_files_on_disk() {
    let place = Place::scripted(1, 1);
    let folder = place.folder.path();
    fs::create_dir(folder.join("films")).unwrap();
    film(&folder.join("films/a.mp4"));
    fs::write(folder.join("manifest.csv"), "path,emotion,channel\nfilms/a.mp4,sad,UCfilms\n").unwrap();
    let list = folder.join("manifest.csv");
    place.expect(0, &["crawl", "--from", list.to_str().unwrap()]).await;
    let found = ask(&place.data, "select json_array(site, title, emotion, source) from video").await;
    assert_eq!(found, [r#"["local","a.mp4","sadness","channel:UCfilms"]"#]);
    fs::write(&list, "path\nfilms/a.mp4\n").unwrap();
    let ended = place.expect(2, &["crawl", "--from", list.to_str().unwrap()]).await;
    assert!(
        ended.stderr.contains("row 1: it has no emotion") && ended.stderr.contains("hint:"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_file_that_is_gone_is_lost_alone_and_one_that_changed_is_told() {
    let place = Place::scripted(1, 1);
    let folder = place.folder.path();
    film(&folder.join("a.mp4"));
    let (_, sha256) = webemotion::store::digest(&folder.join("a.mp4")).unwrap();
    let list = folder.join("list.csv");
    let rows = format!("a.mp4;fear;{sha256}\na.mp4;fear;00\nb.mp4;fear;\nb.mp4;anger;\n");
    fs::write(&list, format!("path;emotion;sha256\n{rows}")).unwrap();
    let words = ["crawl", "--from", list.to_str().unwrap()];
    let last = closing(&place.expect(0, &[&["--json"], &words[..]].concat()).await);
    assert_eq!((&last["videos"], &last["there"], &last["differing"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(last["lost"], serde_json::json!([["source-gone", 1]]));
    let told = place.expect(4, &words).await.stdout;
    assert!(told.contains("row 2: ") && told.contains("a.mp4 is another file"), "{told}");
    assert!(told.contains("row 3: cannot read") && !told.contains("row 4: "), "{told}");
}

#[tokio::test]
async fn a_list_of_the_site_needs_the_terms() {
    let place = Place::scripted(1, 1);
    place.replace("accept_terms = true", "");
    let list = place.folder.path().join("list.csv");
    fs::write(&list, "id,emotion\nvideo-00001,fear\n").unwrap();
    let words = ["crawl", "--from", list.to_str().unwrap()];
    let ended = place.expect(2, &words).await;
    assert!(ended.stderr.contains("--accept-terms"), "{}", ended.stderr);
    assert_eq!(place.downloads().len(), 0);
    let written =
        "select (select count(*) from search) || (select count(*) from video) || (select count(*) from job)";
    assert_eq!(ask(&place.data, written).await, ["000"], "what was refused was written down");
    place.expect(0, &[&words[..], &["--accept-terms"]].concat()).await;
    assert_eq!(place.downloads(), ["video-00001"]);
}

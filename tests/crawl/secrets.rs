//! The key of the Data API: in no log, no error, no row and no process list.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::place::{Place, film, short};
use crate::program::Ended;

/// The site knows it as a bad key and repeats it in its answer.
const BAD: &str = "bad-key";
const GOOD: &str = "AIzaSyNobodyMayEverReadThisKey-0123456";

async fn crawl(place: &Place, name: &str, value: &str) -> (Ended, String) {
    let mut command = place.command(&["-v", "-v", "crawl"]);
    command.env(name, value).env("RUST_LOG", "trace").stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    tokio::task::spawn_blocking(move || {
        let child = command.spawn().unwrap();
        let pid = child.id();
        let watching = std::thread::spawn(move || {
            let mut seen = String::new();
            // What `ps` would show of the crawl and of its children, and the children's environment.
            while fs::metadata(format!("/proc/{pid}/exe")).is_ok() {
                let own = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                seen += &own;
                let children =
                    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
                for child in children.split_whitespace() {
                    let line = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
                    // Between fork and exec a child still shows its parent's memory, environment included.
                    if line != own {
                        seen += &line;
                        seen += &fs::read_to_string(format!("/proc/{child}/environ")).unwrap_or_default();
                    }
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            seen
        });
        let output = child.wait_with_output().unwrap();
        (Ended::from(output), watching.join().unwrap())
    })
    .await
    .unwrap()
}

fn is_in_a_file_of(folder: &std::path::Path, secret: &str) -> bool {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).unwrap().windows(secret.len()).any(|part| part == secret.as_bytes()) {
                return true;
            }
        }
    }
    false
}

#[tokio::test]
async fn a_key_is_nowhere_but_in_its_request() {
    for (key, code) in [(GOOD, 0), (BAD, 2)] {
        let (place, bench) = Place::at_site(vec![short(1)]).await;
        film(&bench.folder.path().join("media.mp4"));
        let (ended, seen) = crawl(&place, "WEBEMOTION_YOUTUBE_API_KEY", key).await;
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(bench.site.requests().api_searches > 0, "the key was not used");
        assert!(!seen.is_empty() && !seen.contains(key), "a process shows the key");
        assert!(code != 0 || seen.contains("yt-dlp\0--ignore-config"), "nobody looked at yt-dlp: {seen}");
        assert!(!ended.stdout.contains(key) && !ended.stderr.contains(key), "{}", ended.stderr);
        assert!(!is_in_a_file_of(&place.data, key), "a file holds the key");
        if code == 2 {
            assert!(ended.stderr.contains("hint: check WEBEMOTION_YOUTUBE_API_KEY"), "{}", ended.stderr);
        }
    }
}

#[tokio::test]
async fn a_key_file_is_used_only_when_nobody_else_may_read_it() {
    let (place, bench) = Place::at_site(vec![short(1)]).await;
    film(&bench.folder.path().join("media.mp4"));
    let file = place.folder.path().join("key");
    fs::write(&file, GOOD).unwrap();
    for (mode, code) in [(0o644, 2), (0o600, 0)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let (ended, _) = crawl(&place, "WEBEMOTION_YOUTUBE_API_KEY_FILE", file.to_str().unwrap()).await;
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(!ended.stderr.contains(GOOD));
        assert_eq!(ended.stderr.contains("chmod 600"), code == 2, "{}", ended.stderr);
    }
    assert!(bench.site.requests().api_searches > 0);
}

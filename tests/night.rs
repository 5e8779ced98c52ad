//! A site for many nights: a scripted yt-dlp whose mood the test sets, and films with one face each.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use webemotion::clock::Stop;
use webemotion::demo::camera::shoot;
use webemotion::demo::world::{Kind, World, WorldSize};

/// Films one person for some seconds and says for how many milliseconds; another seed is another person.
pub fn film(seed: u64, path: &Path) -> i64 {
    let world = World::plan(seed, WorldSize::Small, 0.0);
    let one = world.videos.into_iter().find(|video| video.kind == Kind::Normal).unwrap();
    shoot(&one.film.unwrap(), path, &Stop::default(), &mut || ()).unwrap();
    one.duration_ms
}

/// Answers as yt-dlp would, by the files of its folder: `answers/<word>.json`, `films/<id>.mp4`, and `mood`, which is
/// `good`, `busy` (the site asks for a pause), `slow` (a download takes a minute) or `old` (no format is understood).
/// Every download that ended well is a line in `served`.
const SCRIPT: &str = r#"#!/bin/sh
here=$(dirname "$0")
mood=$(cat "$here/mood")
for last; do :; done
case "$*" in
  *--version*) echo 2026.11.01; exit 0;;
  *--dump-single-json*) cat "$here/answers/${last##*:}.json"; exit 0;;
esac
id=${last##*=}
case "$mood" in
  busy) echo "ERROR: [youtube] $id: HTTP Error 429: Too Many Requests" >&2; exit 1;;
  old) echo "ERROR: [youtube] $id: No video formats found!; please report this issue" >&2; exit 1;;
  slow) touch "$here/begun"; sleep 60; exit 1;;
esac
echo "@S {\"id\":\"$id\",\"duration\":7}"
echo "@B {\"id\":\"$id\"}"
cp "$here/films/$id.mp4" "$id.mp4"
echo "$id" >> "$here/served"
echo "@D {\"id\":\"$id\",\"filepath\":\"$id.mp4\",\"format_id\":\"18\",\"vcodec\":\"h264\"}"
"#;

/// The site.
pub struct Site {
    pub folder: PathBuf,
}

impl Site {
    /// Makes the site with no video yet.
    pub fn open(folder: PathBuf) -> Self {
        for part in ["answers", "films"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let site = Self { folder };
        fs::write(site.program(), SCRIPT).unwrap();
        fs::set_permissions(site.program(), fs::Permissions::from_mode(0o755)).unwrap();
        site.feel("good");
        site
    }

    /// The yt-dlp to name in the settings.
    pub fn program(&self) -> PathBuf {
        self.folder.join("yt-dlp")
    }

    /// Sets the mood.
    pub fn feel(&self, mood: &str) {
        fs::write(self.folder.join("mood"), mood).unwrap();
    }

    /// Lets a word find these videos, each an id and a length in milliseconds.
    pub fn answer(&self, word: &str, videos: &[(String, i64)]) {
        let entry = |(id, duration_ms): &(String, i64)| {
            serde_json::json!({"id": id, "title": format!("{word} {id}"), "duration": *duration_ms as f64 / 1_000.0,
                "channel": format!("channel of {id}"), "channel_id": format!("UC{id}")})
        };
        let answer = serde_json::json!({"entries": videos.iter().map(entry).collect::<Vec<_>>(),
            "_version": {"version": "2026.11.01"}});
        fs::write(self.folder.join("answers").join(format!("{word}.json")), answer.to_string()).unwrap();
    }

    /// Whose download ended well, in order.
    pub fn served(&self) -> Vec<String> {
        let served = fs::read_to_string(self.folder.join("served")).unwrap_or_default();
        served.lines().map(str::to_owned).collect()
    }
}

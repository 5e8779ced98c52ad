//! A data folder with settings, and the tool that it crawls with: the real yt-dlp against a site on loopback, or a script
//! that plays both.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use webemotion::demo::site::SiteVideo;
use webemotion::media::ClipWriter;

use crate::program::{Ended, in_toml, webemotion};
use crate::youtube::bench::{Bench, video};

/// A data folder of its own.
pub struct Place {
    pub folder: TempDir,
    pub data: PathBuf,
    /// The script that stands in for yt-dlp, if one does.
    tool: Option<PathBuf>,
}

impl Place {
    /// Settings under which a crawl waits for nothing; `more` are further lines of `[crawl]`.
    fn new(more: &str, words: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("words.toml"), words).unwrap();
        let settings = format!(
            "[crawl]\nlexicon = 'words.toml'\npause_s = 0.0\nvideos_per_hour = 3_600_000\nretry_pause_s = 600\n\
             results_per_search = 40\nlicence = 'any'\naccept_terms = true\nmin_free_bytes = 1\n{more}\n"
        );
        fs::write(data.join("webemotion.toml"), settings).unwrap();
        Self { folder, data, tool: None }
    }

    /// A folder that crawls a site of these videos, which `happy` finds.
    pub async fn at_site(videos: Vec<SiteVideo>) -> (Self, Bench) {
        let bench = Bench::new(videos).await;
        let more = format!(
            "youtube_host = '{}'\nyoutube_ca = {}\ndata_api_url = '{}'",
            bench.site.youtube_host(),
            in_toml(bench.site.ca()),
            bench.site.data_api_url()
        );
        (Self::new(&more, "name = 'one'\njoin = '{word}'\n[emotions]\nhappiness = ['happy']\n"), bench)
    }

    /// A folder whose tool is a script: `words` searches of each of two emotions find `each` videos.
    pub fn scripted(words: usize, each: usize) -> Self {
        let list = |emotion: &str| {
            (0..words).map(|word| format!("'{emotion}{word}'")).collect::<Vec<_>>().join(", ")
        };
        let lexicon = format!(
            "name = 'two'\njoin = '{{word}}'\n[emotions]\nhappiness = [{}]\nfear = [{}]\n",
            list("happy"),
            list("scared")
        );
        let mut place = Self::new("", &lexicon);
        let tool = place.folder.path().join("yt-dlp");
        film(&place.folder.path().join("film.mp4"));
        fs::write(&tool, script(each)).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        place.tool = Some(tool);
        place
    }

    /// Adds settings.
    pub fn set(&self, lines: &str) {
        self.change_settings(|text| format!("{text}{lines}\n"));
    }

    /// Changes a setting.
    pub fn replace(&self, old: &str, new: &str) {
        self.change_settings(|text| {
            assert!(text.contains(old), "no setting {old}");
            text.replace(old, new)
        });
    }

    fn change_settings(&self, change: impl Fn(&str) -> String) {
        let path = self.data.join("webemotion.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, change(&text)).unwrap();
    }

    /// A command line on this folder.
    pub fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = webemotion(&self.data, words);
        if let Some(tool) = &self.tool {
            command.env("WEBEMOTION_YTDLP", tool);
        }
        command.current_dir(&self.data);
        command
    }

    /// Runs a command line to its end, while the site of this test goes on answering.
    pub async fn run(&self, words: &[&str]) -> Ended {
        let mut command = self.command(words);
        tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    /// Runs a command line that has to end with this exit code.
    pub async fn expect(&self, code: i32, words: &[&str]) -> Ended {
        let ended = self.run(words).await;
        assert_eq!(ended.code, Some(code), "{words:?}\n{}{}", ended.stdout, ended.stderr);
        ended
    }

    /// How often the script was asked to download each video, one id a line.
    pub fn downloads(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("downloads.log")).unwrap_or_default();
        log.lines().map(ToOwned::to_owned).collect()
    }
}

/// A video that promises about as much as [`film`] holds.
pub fn short(number: u32) -> SiteVideo {
    SiteVideo { duration_s: 1, ..video(number) }
}

/// Half a second of a moving bar.
pub fn film(path: &Path) {
    let mut writer = ClipWriter::create(path, 64, 48, 10.0).unwrap();
    for frame in 0..5_u32 {
        let bar = |x, _| if x / 8 == frame { Rgb([240, 200, 40]) } else { Rgb([40, 60, 90]) };
        writer.push(&RgbImage::from_fn(64, 48, bar), i64::from(frame) * 100).unwrap();
    }
    writer.finish().unwrap();
}

/// Answers searches with `each` videos whose ids follow from the text, and downloads with the film that lies beside it.
fn script(each: usize) -> String {
    format!(
        r#"#!/bin/sh
here=$(dirname "$0")
for last; do :; done
case "$last" in
ytsearch*)
  text=${{last#*:}}
  printf '{{"entries":['
  n=0
  while [ $n -lt {each} ]; do
    [ $n -gt 0 ] && printf ','
    printf '{{"id":"%s","title":"%s %d","duration":1,"channel_id":"UC%s"}}' \
      "$(printf '%s-%d----------' "$text" $n | cut -c1-11)" "$text" $n "$text"
    n=$((n + 1))
  done
  printf '],"_version":{{"version":"2026.10.26"}}}}\n' ;;
*)
  id=${{last##*=}}
  echo "$id" >> "$here/downloads.log"
  echo "@S {{\"id\":\"$id\",\"duration\":1}}"
  cp "$here/film.mp4" "$id.mp4"
  echo "@D {{\"id\":\"$id\",\"filepath\":\"$id.mp4\"}}" ;;
esac
"#
    )
}

/// Changes rows behind the program's back.
pub async fn change(data: &Path, statement: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("catalog.sqlite"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

//! Fourteen nights of `webemotion run` with what goes wrong in fourteen nights.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::night::{Site, film};
use crate::program::{Ended, ask, closing, expect, in_toml, webemotion};

const DAY_S: u64 = 86_400;
/// Training as small as it can be.
const TRAINING: &str = r#"["--epochs", "1", "--image-size", "32", "--batch-size", "8"]"#;

/// What is expected of one night.
struct Night {
    /// What the site or the machine is like.
    mood: &'static str,
    /// The exit code; none when the round is killed.
    exit: Option<i32>,
    /// Videos downloaded.
    videos: usize,
    /// Words of the summary's outcome.
    outcome: &'static str,
    /// Words that stand somewhere in the summary.
    says: &'static str,
}

const fn night(
    mood: &'static str,
    exit: Option<i32>,
    videos: usize,
    outcome: &'static str,
    says: &'static str,
) -> Night {
    Night { mood, exit, videos, outcome, says }
}

/// One video a night, from the tenth on three.
const NIGHTS: [Night; 14] = [
    night("good", Some(0), 1, "done", "the lexicon's searches are to be planned"),
    night("good", Some(0), 1, "done", "9 downloads are due"),
    night(
        "busy",
        Some(5),
        0,
        "paused: fetch (rate-limited), search (rate-limited)",
        "downloading is paused (rate-limited)",
    ),
    night("good", Some(0), 1, "done", "8 downloads are due"),
    night("full", Some(5), 0, "paused: downloads (disk)", "the disk is low"),
    night("good", Some(0), 1, "done", "7 downloads are due"),
    night("slow", None, 0, "", ""),
    night("good", Some(0), 1, "done", "Round 7 ended without a result"),
    night("old", Some(5), 0, "paused: fetch (tool-outdated)", "downloading is paused (tool-outdated)"),
    night("good", Some(0), 3, "done, with training run scn-1", "5 downloads are due"),
    night("words", Some(0), 3, "done", "searches"),
    night("good", Some(0), 1, "done", "samples"),
    night("good", Some(4), 0, "nothing was due", "whatever crawl brings"),
    night("good", Some(4), 0, "nothing was due", "no search is due, unless the lexicon changed"),
];

struct Fortnight {
    site: Site,
    data: PathBuf,
}

impl Fortnight {
    fn begin(folder: &Path) -> Self {
        let site = Site::open(folder.join("site"));
        let data = folder.join("data");
        fs::create_dir_all(&data).unwrap();
        let ids: Vec<(String, i64)> = (0..12)
            .map(|seed| {
                let id = format!("film-{seed:06}");
                let duration_ms = film(seed, &site.folder.join("films").join(format!("{id}.mp4")));
                (id, duration_ms)
            })
            .collect();
        site.answer("happy", &ids[..2]);
        site.answer("angry", &ids[2..10]);
        site.answer("scared", &ids[10..]);
        let fortnight = Self { site, data };
        fortnight.ask_for("happiness = [\"happy\"]\nanger = [\"angry\"]");
        let settings = format!(
            "[crawl]\nlexicon = 'words.toml'\naccept_terms = true\nlicence = 'any'\nvideos_per_hour = 3_600_000\n\
             pause_s = 0.0\nmin_free_bytes = 1\n[tools]\nytdlp = {}\n[workers]\ncount = 1\n\
             [train]\nflags = {TRAINING}\n[train.when]\nnew_samples = 40\n",
            in_toml(&fortnight.site.program())
        );
        fs::write(fortnight.data.join("webemotion.toml"), settings).unwrap();
        fortnight
    }

    fn ask_for(&self, emotions: &str) {
        let words = format!("name = \"nights\"\njoin = \"{{word}}\"\n[emotions]\n{emotions}\n");
        fs::write(self.data.join("words.toml"), words).unwrap();
    }

    fn command(&self, day: u64, night: &Night) -> std::process::Command {
        // Shorter than every pause: a round waits for one that ends in time.
        let mut command = webemotion(&self.data, &["--json", "run", "--max-runtime", "45m"]);
        command.env("WEBEMOTION_CLOCK_SHIFT_S", (day * DAY_S).to_string());
        command.env("WEBEMOTION_RUN_MAX_VIDEOS", if day < 10 { "1" } else { "3" });
        if night.mood == "full" {
            command.env("WEBEMOTION_CRAWL_MIN_FREE_BYTES", "9_000_000_000_000_000");
        }
        command
    }

    /// Kills the round in the middle of a download.
    fn kill(&self, day: u64, night: &Night) {
        let mut child = self.command(day, night).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while !self.site.folder.join("begun").exists() {
            assert!(began.elapsed() < Duration::from_secs(60), "no download was begun");
            sleep(Duration::from_millis(20));
        }
        let second: Ended = self.command(day, night).output().unwrap().into();
        assert_eq!(second.code, Some(4), "a second start ends at once: {}", second.stderr);
        assert!(second.stderr.contains("at work already: process"), "{}", second.stderr);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_fortnight_of_nights_loses_nothing_and_does_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let fortnight = Fortnight::begin(folder.path());
    let mut summaries = Vec::new();
    for (day, night) in (1..).zip(&NIGHTS) {
        let before = fortnight.site.served().len();
        if night.mood == "words" {
            fortnight.ask_for("happiness = [\"happy\"]\nfear = [\"scared\"]");
        }
        let moods = ["busy", "slow", "old"];
        fortnight.site.feel(moods.iter().find(|mood| **mood == night.mood).unwrap_or(&"good"));
        if night.exit.is_none() {
            fortnight.kill(day, night);
            println!("night {day:>2}: killed");
            continue;
        }
        let began = Instant::now();
        let ended: Ended = fortnight.command(day, night).output().unwrap().into();
        let summary = closing(&ended);
        let outcome = summary["outcome"].as_str().unwrap_or_default();
        println!(
            "night {day:>2}: {:?} after {:>4.1} s  {outcome}",
            ended.code,
            began.elapsed().as_secs_f64()
        );
        assert_eq!(ended.code, night.exit, "night {day}\n{}\n{}", ended.stdout, ended.stderr);
        assert_eq!(outcome, night.outcome, "night {day}\n{summary:#}");
        assert!(
            summary.to_string().contains(night.says),
            "night {day} does not say {}\n{summary:#}",
            night.says
        );
        assert_eq!(fortnight.site.served().len() - before, night.videos, "night {day}\n{summary:#}");
        summaries.push(summary);
    }
    nothing_is_lost(&fortnight, &summaries).await;
    the_trail_is_there(&fortnight.data, summaries.len());
}

/// Every video was fetched, looked at and cut once, and the summaries together say just that.
async fn nothing_is_lost(fortnight: &Fortnight, summaries: &[Value]) {
    let mut served = fortnight.site.served();
    let fetched = served.len();
    served.sort();
    served.dedup();
    assert_eq!((served.len(), fetched), (12, 12), "a video was fetched twice or not at all");
    let unended = "select stage || ' ' || subject_id from job where state <> 'done'";
    let data = &fortnight.data;
    assert_eq!(ask(data, unended).await, [""; 0]);
    for stage in ["search", "fetch", "scan", "cut"] {
        let told: u64 = summaries
            .iter()
            .flat_map(|summary| summary["work"].as_array().unwrap())
            .filter(|work| work["stage"] == stage)
            .map(|work| work["done"].as_u64().unwrap())
            .sum();
        assert_eq!(told, if stage == "search" { 3 } else { 12 }, "{stage}");
    }
    assert_eq!(ask(data, "select state from run").await, ["done"; 1]);
    let doubled = "select sample_id || '' from run_sample group by run_id, sample_id having count(*) > 1";
    assert_eq!(ask(data, doubled).await, [""; 0]);
    let exits = "select coalesce(exit, 'killed') || '' from round order by id";
    let expected: Vec<String> = NIGHTS
        .iter()
        .map(|night| night.exit.map_or_else(|| "killed".to_owned(), |exit| exit.to_string()))
        .collect();
    assert_eq!(ask(data, exits).await, expected);
    expect(0, data, &["check"]);
}

fn the_trail_is_there(data: &Path, rounds: usize) {
    let index = fs::read_to_string(data.join("reports/index.html")).unwrap();
    for round in (1..=14).filter(|round| *round != 7) {
        let page = format!("round-{round:04}");
        assert!(index.contains(&page), "{page} is not linked");
        assert!(data.join("reports").join(format!("{page}.html")).is_file());
    }
    let logs = fs::read_dir(data.join("logs")).unwrap().count();
    assert!(logs > rounds, "{logs} logs: one for each round, also the killed one");
}

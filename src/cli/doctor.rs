//! `webemotion doctor`: checks that everything the commands need is there, and reports what is old or wrong. Changes
//! nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::catalog::{Catalog, RESTORE, acceptances, pauses};
use crate::clock::Clock;
use crate::config::Config;
use crate::failure::{Exit, Failure, Reason};
use crate::store::{self, Store};
use crate::words::{bytes, wall_clock};
use crate::youtube::{ApiKey, YtDlp};

use super::{Global, crawl, say, session, status};

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  webemotion doctor && webemotion crawl")]
pub(crate) struct DoctorArgs {}

/// One finding.
struct Finding {
    what: &'static str,
    /// What was found, or what is missing or wrong.
    said: Result<String, Failure>,
    /// What should be fixed although it works.
    warnings: Vec<Warning>,
}

/// Something that works but should be fixed, and how.
struct Warning {
    what: String,
    hint: &'static str,
}

impl Finding {
    fn new(what: &'static str, said: Result<String, Failure>) -> Self {
        Self { what, said, warnings: Vec::new() }
    }

    fn warn(mut self, is_wrong: bool, what: impl Into<String>, hint: &'static str) -> Self {
        if is_wrong {
            self.warnings.push(Warning { what: what.into(), hint });
        }
        self
    }
}

pub(crate) async fn run(_args: DoctorArgs, global: &Global) -> anyhow::Result<Exit> {
    let config = session::load_config(global)?;
    let clock = Clock::system();
    let mut findings = vec![Finding::new("program", Ok(program())), ytdlp(&config, &clock).await];
    findings.extend(linked());
    findings.push(mtcnn(&config));
    findings.push(key());
    findings.push(disk(&config, &global.data()));
    findings.extend(catalog(global, &clock).await);
    for finding in &findings {
        print(finding, global.json);
    }
    Ok(if findings.iter().all(|finding| finding.said.is_ok()) { Exit::Done } else { Exit::Unusable })
}

fn program() -> String {
    let media = if cfg!(feature = "media") { "media" } else { "no media" };
    let train = if cfg!(feature = "train") { "train" } else { "no train" };
    format!("webemotion {} with {media}, {train}", env!("CARGO_PKG_VERSION"))
}

async fn ytdlp(config: &Config, clock: &Clock) -> Finding {
    let facts = async {
        let program = config.tools.find_ytdlp()?;
        let facts = YtDlp::new(program.clone(), &config.crawl).facts(clock).await?;
        facts.refusal().map_or(Ok((program, facts)), Err)
    };
    let (program, facts) = match facts.await {
        Ok(found) => found,
        Err(failure) => return Finding::new("yt-dlp", Err(failure)),
    };
    let runtime = facts.js_runtime.as_deref().unwrap_or("none");
    let said = format!("{} at {}, JavaScript runtime {runtime}", facts.version, program.display());
    let finding = facts.warnings().into_iter().fold(Finding::new("yt-dlp", Ok(said)), |finding, warning| {
        finding.warn(true, warning, "run scripts/setup, or upgrade yt-dlp and deno yourself")
    });
    let refusal = match &facts.js_runtime {
        Some(runtime) => runs_no_script(runtime, &program).await,
        None => None,
    };
    finding.warn(
        refusal.is_some(),
        refusal.unwrap_or_default(),
        "run scripts/setup; a sandbox has to let it compile at run time (systemd: @pkey in SystemCallFilter)",
    )
}

/// How long the JavaScript runtime may take for one line.
const SCRIPT_LIMIT: Duration = Duration::from_secs(20);

/// Why the JavaScript runtime cannot run a script, if so: in a sandbox that forbids it to compile, it still prints its
/// version. Only deno is tried, the one that yt-dlp uses by default.
async fn runs_no_script(runtime: &str, ytdlp: &Path) -> Option<String> {
    if !runtime.starts_with("deno-") {
        return None;
    }
    // Where yt-dlp searches: beside itself, then on the PATH.
    let beside = ytdlp.canonicalize().map(|program| program.with_file_name("deno"));
    let deno = beside.ok().filter(|file| file.is_file()).unwrap_or_else(|| PathBuf::from("deno"));
    let mut command = Command::new(&deno);
    command.args(["eval", "--no-config", "--no-lock", "console.log(6 * 7)"]);
    command.env("DENO_NO_UPDATE_CHECK", "1").env_remove(ApiKey::VARIABLE);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let why = match tokio::time::timeout(SCRIPT_LIMIT, command.output()).await {
        Ok(Ok(ended)) if ended.status.success() && ended.stdout.trim_ascii() == b"42" => return None,
        Ok(Ok(ended)) => ended.status.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it takes more than {} s", SCRIPT_LIMIT.as_secs()),
    };
    Some(format!("{runtime} runs no script ({}: {why}): yt-dlp will miss formats", deno.display()))
}

/// The libraries that this program uses.
fn linked() -> Vec<Finding> {
    let mut findings = Vec::new();
    #[cfg(feature = "media")]
    findings.push(Finding::new("FFmpeg", Ok(format!("libavcodec {}", crate::media::version()))));
    #[cfg(feature = "train")]
    findings.push(Finding::new("libtorch", super::nets_program::devices()));
    if findings.is_empty() {
        findings
            .push(Finding::new("libraries", Ok("none: this build searches and downloads only".to_owned())));
    }
    findings
}

/// The SHA-256 of the file that scripts/setup makes from the published params.
const MTCNN_SHA256: &str = "0295363a936d2f40e35bd1f81cbe107530f7d12e9000d23704bd05e38c257853";

fn mtcnn(config: &Config) -> Finding {
    let found = config.tools.find_mtcnn().and_then(|path| {
        let (size_bytes, sha256) = store::digest(&path)?;
        Ok((format!("{} ({size_bytes} bytes, sha256 {})", path.display(), &sha256[..12]), sha256))
    });
    match found {
        Ok((said, sha256)) => Finding::new("MTCNN params", Ok(said)).warn(
            sha256 != MTCNN_SHA256,
            format!("these are not the params that were tested (sha256 {}…)", &MTCNN_SHA256[..12]),
            "run scripts/setup; with params of your own this is expected",
        ),
        Err(failure) => Finding::new("MTCNN params", Err(failure)),
    }
}

/// Whether there is a key; the key itself is never shown.
fn key() -> Finding {
    let said = crawl::key().map(|key: Option<ApiKey>| match key {
        Some(_) => "there is one: searches ask the Data API".to_owned(),
        None => "none: searches go through yt-dlp (WEBEMOTION_YOUTUBE_API_KEY sets one)".to_owned(),
    });
    Finding::new("YouTube API key", said)
}

fn disk(config: &Config, data: &Path) -> Finding {
    if !data.is_dir() {
        let said = format!("{} is not there yet: crawl and demo make it", data.display());
        return Finding::new("data folder", Ok(said));
    }
    let free = Store::reading(data).and_then(|store| store.free_bytes()).map_err(Failure::from);
    let wanted = config.crawl.min_free_bytes;
    match free {
        Ok(free_bytes) => {
            let said = format!("{}, {} free", data.display(), bytes(free_bytes));
            let short = format!("less than crawl.min_free_bytes ({}): downloads pause", bytes(wanted));
            Finding::new("data folder", Ok(said)).warn(free_bytes < wanted, short, "free some disk space")
        }
        Err(failure) => Finding::new("data folder", Err(failure)),
    }
}

/// The catalog, its pauses, and whether the clock agrees with its times.
async fn catalog(global: &Global, clock: &Clock) -> Vec<Finding> {
    let examined = match store::catalog_in(&global.data()) {
        Ok(None) => return vec![Finding::new("catalog", Ok("none yet".to_owned())), clock_finding(clock, 0)],
        Ok(Some(path)) => examine(&path, clock).await,
        Err(error) => Err(error.of_named_folder()),
    };
    match examined {
        Ok((catalog, newest_ms)) => vec![catalog, clock_finding(clock, newest_ms)],
        Err(failure) => vec![Finding::new("catalog", Err(failure)), clock_finding(clock, 0)],
    }
}

async fn examine(path: &Path, clock: &Clock) -> Result<(Finding, i64), Failure> {
    let catalog = Catalog::open_read_only(path, clock).await?;
    let complaints = catalog.complaints().await?;
    if let Some(complaint) = complaints.first() {
        let detail = format!("{} is damaged: {complaint}", path.display());
        return Err(Failure::permanent(Reason::Catalog, detail).with_hint(RESTORE));
    }
    let accepted = acceptances::latest(&catalog, crawl::TERMS).await?;
    let terms = match accepted {
        Some(acceptance) if crawl::stands(&acceptance) => format!("terms of {} accepted", acceptance.version),
        Some(acceptance) => {
            format!("terms of {} accepted, and they have changed since: metadata only", acceptance.version)
        }
        None => "terms not accepted: metadata only".to_owned(),
    };
    let mut finding = Finding::new("catalog", Ok(format!("{} is sound; {terms}", path.display())));
    for pause in pauses::in_force(&catalog).await? {
        finding = warn_of(finding, &pause);
    }
    Ok((finding, catalog.newest_ms().await?))
}

/// Adds that a stage stands still, and what was said when it was paused.
fn warn_of(finding: Finding, pause: &pauses::Pause) -> Finding {
    let mut what = format!("{} stands still ({})", pause.stage, pause.reason);
    let said = status::first_line(&pause.detail);
    if !said.is_empty() {
        what += &format!(": {said}");
    }
    let hint = match pause.resume_at {
        Some(_) => "wait, it goes on by itself; `webemotion status` says when",
        None => "see to what the site said, then `webemotion retry --stage STAGE`",
    };
    finding.warn(true, what, hint)
}

/// The newest row may be this far in the future. If it is further, the clock was set back, and leases and pauses last too
/// long.
const TOLERANCE_MS: i64 = 300_000;

fn clock_finding(clock: &Clock, newest_ms: i64) -> Finding {
    let ahead_s = (newest_ms - clock.now_ms()) / 1_000;
    Finding::new("clock", Ok(wall_clock(clock.now_ms()))).warn(
        newest_ms > clock.now_ms() + TOLERANCE_MS,
        format!("the catalog's newest row is {ahead_s} s in the future"),
        "set the clock (NTP); pauses and leases last longer until then",
    )
}

fn print(finding: &Finding, json: bool) {
    if json {
        let failure = finding.said.as_ref().err();
        let warnings: Vec<_> =
            finding.warnings.iter().map(|it| json!({"warning": it.what, "hint": it.hint})).collect();
        say(json!({"event": "examined", "tool": finding.what, "found": finding.said.as_ref().ok(),
            "missing": failure.map(|it| &it.detail), "hint": failure.and_then(|it| it.hint.as_ref()),
            "warnings": warnings}));
        return;
    }
    match &finding.said {
        Ok(said) => say(format_args!("ok       {}: {said}", finding.what)),
        Err(failure) => {
            say(format_args!("wrong    {}: {}", finding.what, failure.detail));
            if let Some(hint) = &failure.hint {
                say(format_args!("         hint: {hint}"));
            }
        }
    }
    for warning in &finding.warnings {
        say(format_args!("warning  {}: {}", finding.what, warning.what));
        say(format_args!("         hint: {}", warning.hint));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A yt-dlp with this script as deno beside it.
    fn tool(folder: &Path, deno: &str) -> PathBuf {
        for (name, script) in [("yt-dlp", "exit 1"), ("deno", deno)] {
            let program = folder.join(name);
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder.join("yt-dlp")
    }

    #[test]
    fn a_folder_that_is_looked_at_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        disk(&Config::default(), folder.path());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn there_is_a_warning_about_a_runtime_that_prints_its_version_but_runs_no_script() {
        let folder = tempfile::tempdir().unwrap();
        let ytdlp = tool(folder.path(), "kill -KILL $$");
        let warning = runs_no_script("deno-2.9.8", &ytdlp).await.unwrap();
        assert!(warning.contains("deno-2.9.8 runs no script") && warning.contains("SIGKILL"), "{warning}");
        assert_eq!(runs_no_script("node-22.1.0", &ytdlp).await, None, "yt-dlp does not take it");
        tool(folder.path(), "echo 42");
        assert_eq!(runs_no_script("deno-2.9.8", &ytdlp).await, None);
    }
}

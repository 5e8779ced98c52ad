//! `webemotion doctor`: says whether all tools are there, and what is old.

use serde_json::json;

use crate::clock::Clock;
use crate::failure::{Exit, Failure};
use crate::youtube::YtDlp;

use super::{Global, say, session};

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  webemotion doctor && webemotion crawl")]
pub(crate) struct DoctorArgs {}

/// One finding.
struct Finding {
    what: &'static str,
    /// What is there, or what is missing.
    said: Result<String, Failure>,
    /// What should be mended though it works.
    warnings: Vec<String>,
}

pub(crate) async fn run(_args: DoctorArgs, global: &Global) -> anyhow::Result<Exit> {
    let tools = session::load_config(global)?.tools;
    let config = session::load_config(global)?.crawl;
    let mut findings = vec![Finding { what: "features", said: Ok(features()), warnings: Vec::new() }];
    findings.push(match tools.find_ytdlp() {
        Ok(program) => match YtDlp::new(program.clone(), &config).facts(&Clock::system()).await {
            Ok(facts) => Finding {
                what: "yt-dlp",
                warnings: facts.warnings(),
                said: Ok(format!(
                    "{} ({}), JavaScript runtime {}",
                    facts.version,
                    program.display(),
                    facts.js_runtime.as_deref().unwrap_or("none")
                )),
            },
            Err(error) => Finding { what: "yt-dlp", said: Err(error.into()), warnings: Vec::new() },
        },
        Err(failure) => Finding { what: "yt-dlp", said: Err(failure), warnings: Vec::new() },
    });
    let mtcnn = tools.find_mtcnn().map(|path| path.display().to_string());
    findings.push(Finding { what: "MTCNN params", said: mtcnn, warnings: Vec::new() });
    for finding in &findings {
        print(finding, global.json);
    }
    Ok(if findings.iter().all(|finding| finding.said.is_ok()) { Exit::Done } else { Exit::Unusable })
}

fn features() -> String {
    let media = if cfg!(feature = "media") { "media (FFmpeg)" } else { "no media" };
    let train = if cfg!(feature = "train") { "train (libtorch)" } else { "no train" };
    format!("{media}, {train}")
}

fn print(finding: &Finding, json: bool) {
    if json {
        let (said, missing) = match &finding.said {
            Ok(said) => (Some(said), None),
            Err(failure) => (None, Some(&failure.detail)),
        };
        say(json!({"tool": finding.what, "found": said, "missing": missing, "warnings": finding.warnings}));
        return;
    }
    match &finding.said {
        Ok(said) => say(format_args!("ok       {}: {said}", finding.what)),
        Err(failure) => {
            say(format_args!("missing  {}: {}", finding.what, failure.detail));
            if let Some(hint) = &failure.hint {
                say(format_args!("         hint: {hint}"));
            }
        }
    }
    for warning in &finding.warnings {
        say(format_args!("warning  {warning}"));
    }
}

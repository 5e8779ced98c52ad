//! `webemotion check`: whether the catalog is sound and every file is what its row says; with `--repair`, has what is
//! lost made once more.

use std::collections::BTreeSet;

use serde_json::json;

use crate::catalog::check::{self, PromisedFile};
use crate::catalog::{jobs, videos};
use crate::failure::{Exit, Failure};
use crate::pipeline::{cut, fetch};
use crate::progress::Event;
use crate::store;
use crate::types::VideoId;

use super::{Global, Session, say};

/// Flags of `check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  webemotion check --quick\n  webemotion check --repair && webemotion run\n\n\
    Exit codes: 0 all is well, or will be after the next crawl and clips; 1 something is wrong, see --repair; 3 the\n\
    catalog's own file is damaged: go back to a backup."
)]
pub(crate) struct CheckArgs {
    /// Compare sizes only; without it every file is read and hashed
    #[arg(long)]
    quick: bool,
    /// Have lost and spoilt files made once more: videos are fetched, clips cut and sampled again
    #[arg(long)]
    repair: bool,
}

const TASK: &str = "check";

/// What is wrong.
#[derive(Debug, Default)]
struct Findings {
    /// Of the catalog's own file; nothing here mends that.
    damage: Vec<String>,
    /// Of other files and rows, in words.
    problems: Vec<String>,
    /// Videos whose file is to be fetched again.
    videos: BTreeSet<VideoId>,
    /// Videos whose clips are to be cut again.
    cuts: BTreeSet<VideoId>,
}

pub(crate) async fn run(args: CheckArgs, global: &Global) -> anyhow::Result<Exit> {
    let session =
        if args.repair { Session::existing(global).await? } else { Session::reading(global).await? };
    let findings = look(&session, args.quick).await?;
    let mut repaired = 0;
    if args.repair && findings.damage.is_empty() {
        repaired = repair(&session, &findings).await?;
    }
    close(&session, &findings, repaired);
    let is_mended = args.repair && findings.problems.len() as u64 == repaired;
    Ok(if !findings.damage.is_empty() {
        Exit::Unusable
    } else if findings.problems.is_empty() || is_mended {
        Exit::Done
    } else {
        Exit::SomeDead
    })
}

async fn look(session: &Session, quick: bool) -> Result<Findings, Failure> {
    let mut findings = Findings { damage: check::integrity(&session.catalog).await?, ..Findings::default() };
    let files = check::files(&session.catalog).await?;
    let total = Some(files.len() as u64);
    session.reporter.report(&Event::Began { task: TASK.to_owned(), total, unit: "files".to_owned() });
    for (done, file) in (1..).zip(&files) {
        if session.stop.is_asked() {
            return Err(Failure::transient(
                crate::failure::Reason::Interrupted,
                "interrupted while checking",
            ));
        }
        if let Some(problem) = problem_with(session, file, quick) {
            findings.problems.push(format!("{} {}: {problem}", file.what, file.path.display()));
            let lost = if file.what == "video" { &mut findings.videos } else { &mut findings.cuts };
            lost.insert(file.video);
        }
        session.reporter.report(&Event::Advanced { task: TASK.to_owned(), done, note: String::new() });
    }
    for video in check::without_crop(&session.catalog).await? {
        findings.problems.push(format!("video {}: samples without a picture", video.0));
        findings.cuts.insert(video);
    }
    // Clips whose source was discarded are cut again from a fetched one.
    for video in &findings.cuts {
        if videos::get(&session.catalog, *video).await?.file.is_none() {
            findings.videos.insert(*video);
        }
    }
    let note = format!("{} problems", findings.problems.len() + findings.damage.len());
    session.reporter.report(&Event::Ended { task: TASK.to_owned(), note });
    Ok(findings)
}

fn problem_with(session: &Session, file: &PromisedFile, quick: bool) -> Option<String> {
    let path = session.store.root().join(&file.path);
    match std::fs::metadata(&path) {
        Err(error) => return Some(error.to_string()),
        Ok(facts) if facts.len() != file.size_bytes => {
            return Some(format!("it has {} bytes, and its row says {}", facts.len(), file.size_bytes));
        }
        Ok(_) => {}
    }
    if quick {
        return None;
    }
    match store::digest(&path) {
        Ok((_, sha256)) if sha256 == file.sha256 => None,
        Ok(_) => Some("its bytes are not those that were stored".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Opens the jobs that make lost files again; says how many problems that settles. A clip that is cut again gets new
/// samples: what training runs thought of the old ones goes with them.
async fn repair(session: &Session, findings: &Findings) -> Result<u64, Failure> {
    let ids = |videos: &BTreeSet<VideoId>| videos.iter().map(|id| id.0).collect::<Vec<_>>();
    let mut tx = session.catalog.begin().await?;
    for video in &findings.videos {
        videos::discard_file(&mut tx, *video).await?;
    }
    jobs::reopen(&mut tx, fetch::NAME, &ids(&findings.videos)).await?;
    jobs::reopen(&mut tx, cut::NAME, &ids(&findings.cuts)).await?;
    tx.commit().await?;
    Ok(findings.problems.len() as u64)
}

fn close(session: &Session, findings: &Findings, repaired: u64) {
    if session.json {
        say(json!({"event": "checked", "damage": findings.damage, "problems": findings.problems,
            "fetch_again": findings.videos.len(), "cut_again": findings.cuts.len(), "repaired": repaired}));
        return;
    }
    for line in findings.damage.iter().chain(&findings.problems) {
        say(line);
    }
    if !findings.damage.is_empty() {
        say("check: the catalog's file is damaged: go back to a backup (`webemotion backup` makes them)");
    } else if findings.problems.is_empty() {
        say("check: all is well");
    } else if repaired > 0 {
        say(format_args!(
            "check: {} problems; {} videos will be fetched and {} cut again by the next `webemotion run`",
            findings.problems.len(),
            findings.videos.len(),
            findings.cuts.len()
        ));
    } else {
        say(format_args!("check: {} problems; --repair has lost files made again", findings.problems.len()));
    }
}

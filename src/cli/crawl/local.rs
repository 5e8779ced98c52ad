//! `crawl --source local:DIR`: videos that are on disk already.

use std::path::Path;

use serde_json::json;

use crate::catalog::jobs::Only;
use crate::failure::Exit;
use crate::pipeline::Driven;
use crate::pipeline::intake::{self, Intake, Watch};

use super::super::drive::{Limits, drive, exit, local_patience, local_wait_ms};
use super::super::{Session, say};
use super::{CrawlArgs, closing, fetch_stage};

pub(super) async fn crawl(
    session: &Session,
    folder: &Path,
    args: &CrawlArgs,
    limits: Limits,
) -> anyhow::Result<Exit> {
    let (stop, reporter) = (&session.stop, session.reporter.as_ref());
    let watch = Watch { stop, deadline_ms: limits.deadline_ms, reporter };
    let found = intake::take_in(&session.catalog, folder, args.wanted.emotion, &watch).await?;
    let fetched = fetch(session, args, limits).await?;
    let facts = json!({"videos": found.videos, "new": found.new, "unfiled": found.unfiled,
        "skipped": found.skipped, "unreadable": found.unreadable, "left": found.left});
    closing::close(session, facts, None, Some(&fetched));
    if !session.json {
        tell_passed_over(&found);
    }
    Ok(match exit(session, &[&fetched]) {
        Exit::NothingToDo if found.left > 0 => Exit::Done,
        exit => exit,
    })
}

/// Fetches more of the videos that were taken in.
pub(super) async fn go_on(session: &Session, args: &CrawlArgs, limits: Limits) -> anyhow::Result<Exit> {
    let fetched = fetch(session, args, limits).await?;
    closing::close(session, json!({}), None, Some(&fetched));
    Ok(exit(session, &[&fetched]))
}

async fn fetch(session: &Session, args: &CrawlArgs, mut limits: Limits) -> anyhow::Result<Driven> {
    // Downloads that are due wait for a crawl of their site: there is no yt-dlp here.
    limits.only = Only { site: Some("local"), ..Only::default() };
    limits.patience = local_patience();
    limits.wait_ms = local_wait_ms(session.config.workers.max_attempts);
    let stage = fetch_stage(session, args, &session.config.crawl, &limits, None)?;
    Ok(drive(session, &stage, &limits).await?)
}

/// Says which files of the folder were not taken in, and why.
fn tell_passed_over(found: &Intake) {
    if found.unfiled > 0 {
        say(format_args!(
            "crawl: {} videos lie in no folder of an emotion and were passed over; --emotion says it for all",
            found.unfiled
        ));
    }
    if found.skipped > 0 {
        say(format_args!("crawl: {} files are no videos by their names", found.skipped));
    }
    if found.unreadable > 0 {
        say(format_args!(
            "crawl: {} videos and folders cannot be read; the log names each",
            found.unreadable
        ));
    }
    if found.left > 0 {
        say(format_args!(
            "crawl: {} videos are still to be read; the same command goes on with them",
            found.left
        ));
    }
}

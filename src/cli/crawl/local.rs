//! `crawl --source local:DIR`: videos that are on disk already.

use std::path::Path;

use serde_json::json;

use crate::catalog::jobs::JobFilter;
use crate::failure::Exit;
use crate::pipeline::Driven;
use crate::pipeline::intake::{self, Intake, IntakeLimits};
use crate::words::{are, plural, were};

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
    let watch = IntakeLimits { stop, deadline_ms: limits.deadline_ms, reporter };
    let found = intake::take_in(&session.catalog, folder, args.wanted.emotion, &watch).await?;
    let fetched = fetch(session, args, limits).await?;
    let facts = json!({"videos": found.videos, "new": found.new, "unfiled": found.unfiled,
        "skipped": found.skipped, "unreadable": found.unreadable, "left": found.left});
    closing::close(session, facts, None, Some(&fetched));
    if !session.json {
        report_skipped(&found);
    }
    Ok(match exit(session, &[&fetched]) {
        Exit::NothingToDo if found.left > 0 => Exit::Done,
        exit => exit,
    })
}

/// Fetches more of the videos that were added.
pub(super) async fn resume(session: &Session, args: &CrawlArgs, limits: Limits) -> anyhow::Result<Exit> {
    let fetched = fetch(session, args, limits).await?;
    closing::close(session, json!({}), None, Some(&fetched));
    Ok(exit(session, &[&fetched]))
}

async fn fetch(session: &Session, args: &CrawlArgs, mut limits: Limits) -> anyhow::Result<Driven> {
    // Downloads that are due wait for a crawl of their site, since yt-dlp is not needed here and may be missing.
    limits.only = JobFilter { site: Some("local"), ..JobFilter::default() };
    limits.patience = local_patience();
    limits.wait_ms = local_wait_ms(session.config.workers.max_attempts);
    let stage = fetch_stage(session, args, &session.config.crawl, &limits, None)?;
    Ok(drive(session, &stage, &limits).await?)
}

/// Logs which files of the folder were not added, and why.
fn report_skipped(found: &Intake) {
    if found.unfiled > 0 {
        say(format_args!(
            "crawl: {} in no folder of an emotion {} passed over; --emotion says it for all",
            plural(found.unfiled, "video"),
            were(found.unfiled as u64)
        ));
    }
    if found.skipped > 0 {
        say(format_args!("crawl: not videos by name: {}", plural(found.skipped, "file")));
    }
    if found.unreadable > 0 {
        say(format_args!(
            "crawl: {} cannot be read; the log names each",
            match found.unreadable {
                1 => "1 video or folder".to_owned(),
                number => format!("{number} videos and folders"),
            }
        ));
    }
    if found.left > 0 {
        say(format_args!(
            "crawl: {} {} still to be read; the same command goes on",
            plural(found.left, "video"),
            are(found.left as u64)
        ));
    }
}

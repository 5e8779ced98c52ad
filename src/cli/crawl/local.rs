//! `crawl --source local:DIR`: videos that are on disk already.

use std::path::Path;

use serde_json::json;

use crate::failure::Exit;
use crate::pipeline::intake;

use super::super::Session;
use super::super::drive::{Limits, drive, exit, local_patience, local_wait_ms};
use super::{CrawlArgs, fetch_stage, told};

pub(super) async fn crawl(
    session: &Session,
    folder: &Path,
    args: &CrawlArgs,
    mut limits: Limits,
) -> anyhow::Result<Exit> {
    let found = intake::take_in(&session.catalog, folder, args.wanted.emotion).await?;
    limits.patience = local_patience();
    limits.wait_ms = local_wait_ms(session.config.workers.max_attempts);
    let stage = fetch_stage(session, args, &session.config.crawl, &limits, None)?;
    let fetched = drive(session, &stage, &limits).await?;
    let facts = json!({"videos": found.videos, "new": found.new, "skipped": found.skipped});
    told::close(session, facts, None, Some(&fetched));
    Ok(exit(session, &[&fetched]))
}

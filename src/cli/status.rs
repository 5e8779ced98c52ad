//! `webemotion status`: how far every emotion and stage is, and what stands in the way.

use std::io::IsTerminal;

use serde_json::json;

use crate::catalog::{funnel, jobs, pauses, runs};
use crate::failure::{Exit, Failure};
use crate::report;

use super::{Global, Session, say};

/// Flags of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  webemotion status --json | jq .funnel.steps")]
pub(crate) struct StatusArgs {}

pub(crate) async fn run(_args: StatusArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::reading(global).await?;
    let report = report::gather_catalog(&session.catalog, "status").await.map_err(Failure::from)?;
    let paused = pauses::in_force(&session.catalog).await.map_err(Failure::from)?;
    let held = jobs::held(&session.catalog).await.map_err(Failure::from)?;
    let disk = funnel::disk(&session.catalog).await.map_err(Failure::from)?;
    let runs = runs::list(&session.catalog).await.map_err(Failure::from)?;
    let free_bytes = session.store.free_bytes().map_err(Failure::from)?;
    if session.json {
        let paused: Vec<_> = paused
            .iter()
            .map(|pause| json!({"stage": pause.stage, "reason": pause.reason, "resume_at": pause.resume_at}))
            .collect();
        say(
            json!({"event": "status", "funnel": report.funnel, "failures": report.failures, "paused": paused,
            "held": held.len(), "disk": disk, "free_bytes": free_bytes,
            "runs": runs.iter().map(|run| &run.name).collect::<Vec<_>>()}),
        );
        return Ok(Exit::Done);
    }
    let is_terminal = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if let Some(funnel) = &report.funnel {
        say(report::status(funnel, is_terminal));
    }
    for pause in &paused {
        let until = match pause.resume_at {
            Some(at) => format!("for {} s more", (at - session.clock.now_ms()).max(0) / 1_000),
            None => format!("until `webemotion retry --stage {}`", pause.stage),
        };
        say(format_args!("paused: {} ({}) {until}", pause.stage, pause.reason));
    }
    let megabytes = |bytes: u64| bytes / 1_000_000;
    say(format_args!(
        "disk: videos {} MB, clips {} MB, catalog {} MB, free {} MB; jobs in hand: {}; runs: {}",
        megabytes(disk.videos),
        megabytes(disk.clips),
        megabytes(disk.catalog),
        megabytes(free_bytes),
        held.len(),
        runs.len()
    ));
    Ok(Exit::Done)
}

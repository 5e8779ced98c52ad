//! `webemotion status`: the progress of every emotion and stage, failures and pauses, who is at work, and what `run`
//! would do next. Read here, drawn in `view`.

mod view;

use std::time::Duration;

use serde::Serialize;

use crate::catalog::{budgets, funnel, jobs, pauses, rounds, runs};
use crate::failure::{Exit, Failure};
use crate::pipeline::{takeover, worker_name};
use crate::report::{self, FailureExample, Funnel, RoundStep};
use crate::types::StageName;

use super::run::{Standing, Work, agenda};
use super::{Global, Session, is_coloured, say, say_if_read};

/// Flags of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  webemotion status\n  webemotion status --watch\n  \
    webemotion status --json | jq .funnel.steps")]
pub(crate) struct StatusArgs {
    /// Show it again and again, every so many seconds [default of SECONDS: 2]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,
}

/// The number of rounds and of runs shown.
const LAST: u32 = 5;
const HOUR_MS: f64 = 3_600_000.0;

/// The status. Times are milliseconds since 1970.
#[derive(Debug, Serialize)]
struct Status {
    event: &'static str,
    at_ms: i64,
    funnel: Option<Funnel>,
    failures: Vec<FailureExample>,
    paused: Vec<Paused>,
    budgets: Vec<Budget>,
    held: usize,
    leases: Vec<Lease>,
    locks: Vec<Lock>,
    disk: funnel::DiskBytes,
    free_bytes: u64,
    rounds: Vec<Round>,
    runs: Vec<String>,
    last_runs: Vec<Run>,
    next: Vec<RoundStep>,
}

#[derive(Debug, Serialize)]
struct Paused {
    stage: StageName,
    reason: String,
    detail: String,
    resume_at: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Budget {
    identity: String,
    tokens: f64,
    per_hour: f64,
    next_token_at: i64,
}

#[derive(Debug, Serialize)]
struct Lease {
    stage: StageName,
    worker: String,
    holder: String,
    jobs: usize,
    ends_at: i64,
}

#[derive(Debug, Serialize)]
struct Lock {
    command: String,
    holder: String,
}

#[derive(Debug, Serialize)]
struct Round {
    round: i64,
    started_at: i64,
    /// None while it runs, or if it was killed.
    ended_at: Option<i64>,
    exit: Option<i64>,
    outcome: String,
}

#[derive(Debug, Serialize)]
struct Run {
    name: String,
    state: runs::RunState,
    started_at: i64,
    finished_at: Option<i64>,
    /// When the labels that it changed came into force, if they are.
    adopted_at: Option<i64>,
}

pub(crate) async fn run(args: StatusArgs, global: &Global) -> anyhow::Result<Exit> {
    let session = Session::reading(global).await?;
    let work = Work::of(&session.config)?;
    let Some(every_s) = args.watch else {
        show(&session, &gather(&session, &work).await?)?;
        return Ok(Exit::Done);
    };
    while !session.stop.is_asked() {
        let status = gather(&session, &work).await?;
        if !session.json && is_coloured(&std::io::stdout()) {
            say("\u{1b}[H\u{1b}[2J");
        }
        if !show(&session, &status)? {
            break;
        }
        let _ = tokio::time::timeout(Duration::from_secs(every_s), session.stop.asked()).await;
    }
    Ok(Exit::Done)
}

/// Prints the status; returns false once the pipe is closed.
fn show(session: &Session, status: &Status) -> anyhow::Result<bool> {
    Ok(if session.json {
        say_if_read(serde_json::to_string(status)?)
    } else {
        say_if_read(view::draw(status, is_coloured(&std::io::stdout())))
    })
}

async fn gather(session: &Session, work: &Work) -> Result<Status, anyhow::Error> {
    let catalog = &session.catalog;
    // Concurrently, on separate connections, since each reads hundreds of thousands of rows.
    let report = async { Ok(report::gather_standing(catalog).await.map_err(Failure::from)?) };
    let disk = async { Ok(funnel::disk(catalog).await.map_err(Failure::from)?) };
    let ((funnel, failures), disk, standing) = tokio::try_join!(report, disk, Standing::read(session, work))?;
    let all_runs = runs::list(catalog).await.map_err(Failure::from)?;
    let held = jobs::held(catalog).await.map_err(Failure::from)?;
    let now_ms = session.clock.now_ms();
    Ok(Status {
        event: "status",
        at_ms: now_ms,
        funnel: Some(funnel),
        failures,
        paused: paused(session).await?,
        budgets: budgets(session).await?,
        held: held.len(),
        leases: leases(held),
        locks: locks(session)?,
        disk,
        free_bytes: standing.free_bytes,
        rounds: last_rounds(session).await?,
        runs: all_runs.iter().map(|run| run.name.clone()).collect(),
        last_runs: all_runs.into_iter().rev().take(LAST as usize).map(last_run).collect(),
        next: agenda::agenda(&standing, &session.config).iter().map(agenda::Step::outlook).collect(),
    })
}

/// The first line of what was said, as a terminal may show it.
pub(super) fn first_line(detail: &str) -> String {
    let line = detail.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).collect()
}

async fn paused(session: &Session) -> Result<Vec<Paused>, Failure> {
    let all = pauses::in_force(&session.catalog).await?.into_iter();
    Ok(all
        .map(|pause| Paused {
            stage: pause.stage,
            reason: pause.reason.as_str(),
            detail: pause.detail,
            resume_at: pause.resume_at,
        })
        .collect())
}

/// The token buckets, refilled until now at the settings' rate.
async fn budgets(session: &Session) -> Result<Vec<Budget>, Failure> {
    let (now_ms, per_hour) = (session.clock.now_ms(), f64::from(session.config.crawl.videos_per_hour));
    let all = budgets::list(&session.catalog).await?.into_iter();
    Ok(all
        .map(|bucket| {
            let elapsed_ms = (now_ms - bucket.refilled_at).max(0) as f64;
            let tokens = (bucket.tokens + elapsed_ms * per_hour / HOUR_MS).min(1.0);
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds of less than an hour")]
            let wait_ms = ((1.0 - tokens).max(0.0) * HOUR_MS / per_hour) as i64;
            Budget { identity: bucket.identity, tokens, per_hour, next_token_at: now_ms + wait_ms }
        })
        .collect())
}

/// The leases, one line per process and stage.
fn leases(held: Vec<jobs::HeldLease>) -> Vec<Lease> {
    let mut leases: Vec<Lease> = Vec::new();
    for lease in held {
        let worker = lease.worker.split('/').next().unwrap_or_default().to_owned();
        match leases.iter_mut().find(|it| it.worker == worker && it.stage == lease.stage) {
            Some(known) => {
                known.jobs += 1;
                known.ends_at = known.ends_at.min(lease.ends_at);
            }
            None => leases.push(Lease {
                holder: worker_name::in_words(&worker),
                stage: lease.stage,
                worker,
                jobs: 1,
                ends_at: lease.ends_at,
            }),
        }
    }
    leases
}

fn locks(session: &Session) -> Result<Vec<Lock>, Failure> {
    let all = session.store.lock_holders()?.into_iter();
    Ok(all
        .filter(|(_, holder)| !takeover::is_dead(holder))
        .map(|(command, holder)| Lock { command, holder: worker_name::in_words(&holder) })
        .collect())
}

async fn last_rounds(session: &Session) -> Result<Vec<Round>, Failure> {
    let all = rounds::list(&session.catalog, LAST).await?.into_iter();
    Ok(all
        .map(|round| {
            let summary = round.summary.as_deref().and_then(|text| serde_json::from_str(text).ok());
            let outcome = summary.and_then(|it: serde_json::Value| Some(it["outcome"].as_str()?.to_owned()));
            let is_dead = round.ended_at.is_some() || takeover::is_dead(&round.holder);
            let unsaid = if is_dead { "killed" } else { "under way" };
            Round {
                round: round.id,
                started_at: round.started_at,
                // The recorded end of a killed round is when the next round found it.
                ended_at: round.ended_at.filter(|_| round.exit.is_some()),
                exit: round.exit,
                outcome: outcome.unwrap_or_else(|| unsaid.to_owned()),
            }
        })
        .collect())
}

fn last_run(run: runs::Run) -> Run {
    Run {
        name: run.name,
        state: run.state,
        started_at: run.started_at,
        finished_at: run.finished_at,
        adopted_at: run.adopted_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_round_has_no_known_end() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let mut tx = session.catalog.begin().await.unwrap();
        for exit in [None, Some(0)] {
            let round = rounds::begin(&mut tx, "host:1:1").await.unwrap();
            rounds::end(&mut tx, round, exit, None).await.unwrap();
        }
        tx.commit().await.unwrap();
        let rounds = last_rounds(&session).await.unwrap();
        assert_eq!(rounds.iter().map(|it| it.ended_at).collect::<Vec<_>>(), [Some(1_000_000), None]);
    }
}

//! `webemotion run`: one round of what is due, in the order of the data flow, for a scheduler to start every night.
//! `standing` reads the situation, `agenda` decides what to do, `legs` does it (`crawl_leg` the crawl, with its waits), and
//! `ledger` records it: with the exit code of `verdict`, and for Prometheus in `metrics`.

pub(crate) mod agenda;
mod crawl_leg;
mod ledger;
mod legs;
mod metrics;
mod standing;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use crate::config::{Config, Leg};
use crate::failure::{Exit, Failure};
use crate::pipeline::worker_name;
use crate::store::Lock;
use crate::words::read_span;

use super::ending::Hush;
use super::log::{self, Logged};
use super::{Global, Session, say};
use ledger::Ledger;
pub(crate) use standing::Standing;

/// Flags of `run`; what they do not say is in the settings under `[run]` and `[train]`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  webemotion run --dry-run\n  webemotion run --max-runtime 8h\n  \
    webemotion run --only clips,report --metrics /var/lib/node_exporter/webemotion.prom\n  \
    webemotion run --notify 'curl -fsS --data-binary @- https://example.org/hook'\n\n\
    scripts/schedule/ has units for systemd, cron, Slurm and Kubernetes. A second start ends at once with 4.")]
pub(crate) struct RunArgs {
    /// Begin nothing new after this time, such as 90s, 30m or 8h [default: run.max_runtime_s]
    #[arg(long, value_name = "TIME", value_parser = read_span)]
    max_runtime: Option<i64>,
    /// Only these commands [default: run.commands]
    #[arg(long, value_name = "COMMANDS", value_delimiter = ',', value_enum)]
    only: Vec<Leg>,
    /// Say what would be done, and why; do nothing
    #[arg(long)]
    dry_run: bool,
    /// Give the summary as JSON to this shell command [default: run.notify]
    #[arg(long, value_name = "CMD")]
    notify: Option<String>,
    /// Write metrics for Prometheus' textfile collector [default: run.metrics]
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
}

impl RunArgs {
    /// The options of a round: flags override settings.
    fn apply(&self, config: &mut Config) {
        if !self.only.is_empty() {
            config.run.commands.clone_from(&self.only);
        }
        if let Some(runtime_ms) = self.max_runtime {
            config.run.max_runtime_s = runtime_ms.div_euclid(1_000).unsigned_abs();
        }
        if self.notify.is_some() {
            config.run.notify.clone_from(&self.notify);
        }
        if self.metrics.is_some() {
            config.run.metrics.clone_from(&self.metrics);
        }
    }
}

/// The settings' `train.flags`, parsed like a command line.
pub(crate) struct Work {
    #[cfg(feature = "train")]
    train: super::train::TrainArgs,
}

impl Work {
    /// Parses `train.flags`.
    #[cfg(feature = "train")]
    pub(crate) fn of(config: &Config) -> Result<Self, Failure> {
        use super::train::{DatasetArg, TrainArgs};
        use crate::failure::Reason;
        let wrong = |detail: &str| {
            Failure::permanent(Reason::Usage, format!("train.flags: {detail}"))
                .with_hint("write them as after `webemotion train`, one word each: [\"--method\", \"scn\"]")
        };
        let train: TrainArgs =
            super::typed("train", &config.train.flags).map_err(|failure| wrong(&failure.detail))?;
        if !train.common.dataset.contains(&DatasetArg::Catalog) {
            return Err(wrong("run trains on the catalog, so --dataset must name it"));
        }
        if train.seeds > 1 {
            return Err(wrong("a round trains one net, so --seeds must be 1"));
        }
        train.recipe().check().map_err(|error| wrong(&error.failure().detail))?;
        Ok(Self { train })
    }

    #[cfg(not(feature = "train"))]
    #[expect(clippy::unnecessary_wraps, reason = "with the feature `train` flags may be wrong")]
    pub(crate) fn of(_config: &Config) -> Result<Self, Failure> {
        Ok(Self {})
    }

    /// The method that is trained.
    #[cfg(feature = "train")]
    pub(crate) fn method(&self) -> String {
        self.train.recipe().method.as_str().to_owned()
    }

    /// The default one: without training the flags are not read, but what is new for it is still counted.
    #[cfg(not(feature = "train"))]
    pub(crate) fn method(&self) -> String {
        "scn".to_owned()
    }
}

pub(crate) async fn run(args: RunArgs, global: &Global) -> anyhow::Result<Exit> {
    let mut session =
        if args.dry_run { Session::reading(global).await? } else { Session::create(global).await? };
    let planned = session.config.run.commands.clone();
    args.apply(&mut session.config);
    let work = Work::of(&session.config)?;
    if args.dry_run {
        return say_agenda(&session, &work).await;
    }
    // The same name is in the locks and in the round's row: by it the next round recognises one that died on another
    // machine.
    let holder = worker_name(&session.clock);
    let locks = locks(&session, &holder)?;
    log::begin_round(&session.store.logs(), &session.clock, session.config.run.keep_logs)?;
    session.reporter = Arc::new(Logged(session.reporter));
    let ledger = Ledger::begin(&session, &locks, &holder).await?;
    let deadline_ms = match session.config.run.max_runtime_s {
        0 => None,
        runtime_s => {
            Some(session.clock.now_ms() + i64::try_from(runtime_s).unwrap_or(i64::MAX / 2_000) * 1_000)
        }
    };
    // The commands of a round would print closing lines of their own.
    let hush = global.quiet.then(Hush::begin);
    let steps = legs::walk(&session, &work, deadline_ms).await?;
    let (exit, report) = ledger.close(&session, &work, steps, planned).await?;
    drop(hush);
    ledger::say_end(&session, &report, global.quiet)?;
    Ok(exit)
}

/// Takes one lock per command of the round, so that another round with one of these commands on this data folder ends at
/// once.
fn locks(session: &Session, holder: &str) -> Result<Vec<Lock>, Failure> {
    let legs = Leg::ALL.into_iter().filter(|leg| session.config.run.commands.contains(leg));
    legs.map(|leg| session.lock(leg.as_str(), leg.as_str(), holder)).collect()
}

async fn say_agenda(session: &Session, work: &Work) -> anyhow::Result<Exit> {
    let standing = Standing::read(session, work).await?;
    let steps = agenda::agenda(&standing, &session.config);
    for step in &steps {
        if session.json {
            say(json!({"event": "would", "command": step.leg.as_str(), "due": step.is_due, "why": step.why}));
        } else {
            let due = if step.is_due { "due" } else { "not due" };
            say(format_args!("{:<7} {due:<8} {}", step.leg.as_str(), step.why));
        }
    }
    Ok(Exit::Done)
}

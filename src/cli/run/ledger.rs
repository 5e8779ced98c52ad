//! What a round leaves behind: its row, its pages, its summary, metrics, and the word to whoever is to be notified.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::catalog::rounds;
use crate::config::Leg;
use crate::failure::{Exit, Failure};
use crate::pipeline::takeover;
use crate::report::{self, RoundReport};
use crate::store::Lock;

use super::super::{Session, report as pages, say, typed};
use super::agenda::{agenda, is_disk_low};
use super::legs::StepDone;
use super::verdict::{Circumstances, verdict};
use super::{Standing, Work, metrics};

/// A shell command that is to be notified may take this long.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(60);
/// Rounds that are looked through for one that was killed.
const LOOK_BACK: u32 = 20;

/// A round that has begun.
pub(super) struct Ledger {
    round: i64,
    started_at_ms: i64,
    before: Option<String>,
}

impl Ledger {
    /// Writes down that the round begins, and that those before it whose process is no more were killed. `holder` is the
    /// name that stands in its locks.
    pub(super) async fn begin(session: &Session, locks: &[Lock], holder: &str) -> anyhow::Result<Self> {
        let all = rounds::list(&session.catalog, LOOK_BACK).await.map_err(Failure::from)?;
        let died = |before: &String| {
            takeover::is_dead(before)
                || locks.iter().any(|lock| lock.taken_over_from.as_ref() == Some(before))
        };
        let killed: Vec<i64> =
            all.iter().filter(|it| it.ended_at.is_none() && died(&it.holder)).map(|it| it.id).collect();
        let mut tx = session.catalog.begin().await.map_err(Failure::from)?;
        for round in &killed {
            rounds::end(&mut tx, *round, None, None).await.map_err(Failure::from)?;
        }
        let (round, started_at_ms) =
            (rounds::begin(&mut tx, holder).await.map_err(Failure::from)?, tx.now_ms());
        tx.commit().await.map_err(Failure::from)?;
        let before = killed.iter().max().map(|round| {
            format!("Round {round} ended without a word, as if killed; its work was taken up again.")
        });
        tracing::info!(round, "round begins");
        Ok(Self { round, started_at_ms, before })
    }

    /// Gathers what was done, writes it down everywhere, and says it.
    pub(super) async fn close(
        self,
        session: &Session,
        work: &Work,
        steps: Vec<StepDone>,
    ) -> anyhow::Result<Exit> {
        let gathered = report::gather_round(&session.catalog, self.round, self.started_at_ms).await;
        let mut report = gathered.map_err(Failure::from)?;
        let standing = Standing::look(session, work).await?;
        report.before = self.before;
        report.free_bytes = standing.free_bytes;
        report.next = agenda(&standing, &session.config).iter().map(super::agenda::Step::outlook).collect();
        if let Some(run) = steps.iter().find_map(|step| step.run.as_ref()) {
            report.run = report::gather_run_summary(&session.catalog, run).await.map_err(Failure::from)?;
        }
        let circumstances = Circumstances {
            is_interrupted: session.stop.is_asked(),
            failures: steps.iter().filter_map(|step| step.failure.as_ref()).collect(),
            is_disk_low: session.config.run.commands.contains(&Leg::Crawl)
                && is_disk_low(&standing, &session.config),
        };
        let (exit, outcome) = verdict(&report, &circumstances);
        (report.exit, report.outcome) = (exit as u8, outcome);
        report.steps = steps.into_iter().map(|done| done.step).collect();
        write_down(session, &report).await?;
        Ok(exit)
    }
}

/// The row first: what comes after it can be written again from it.
async fn write_down(session: &Session, report: &RoundReport) -> anyhow::Result<()> {
    let summary = serde_json::to_string(report)?;
    let mut tx = session.catalog.begin().await.map_err(Failure::from)?;
    rounds::end(&mut tx, report.round, Some(report.exit.into()), Some(&summary))
        .await
        .map_err(Failure::from)?;
    tx.commit().await.map_err(Failure::from)?;
    tracing::info!(round = report.round, exit = report.exit, "{}", report.outcome);
    if session.config.run.commands.contains(&Leg::Report) {
        write_pages(session, report).await?;
    }
    if let Some(file) = &session.config.run.metrics {
        metrics::write(file, report)?;
    }
    if let Some(command) = &session.config.run.notify {
        notify(command, &summary).await;
    }
    close(session, report)
}

/// The page of the round, its summary beside it, that of a training run that came to its end, and the index.
async fn write_pages(session: &Session, report: &RoundReport) -> anyhow::Result<()> {
    if let Some(run) = &report.run {
        pages::report(session, &typed("report", &["--run".to_owned(), run.name.clone()])?).await?;
    }
    let pretty = serde_json::to_string_pretty(report)?;
    pages::publish(session, &format!("{}.json", report.name()), &pretty).await?;
    let page = report::round_html(report);
    pages::publish(session, &format!("{}.html", report.name()), &page).await?;
    Ok(())
}

/// Tells a shell command. That it fails is said, and changes nothing.
async fn notify(command: &str, summary: &str) {
    let told = async {
        let mut shell = tokio::process::Command::new("/bin/sh");
        shell.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
        let mut child = shell.stderr(Stdio::inherit()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // Who does not read to the end has heard enough.
            let _ = input.write_all(summary.as_bytes()).await;
        }
        child.wait().await
    };
    match tokio::time::timeout(NOTIFY_TIMEOUT, told).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => tracing::warn!(%status, "the command of run.notify failed"),
        Ok(Err(error)) => tracing::warn!(%error, "the command of run.notify could not be run"),
        Err(_) => tracing::warn!("the command of run.notify took longer than a minute and was ended"),
    }
}

/// The closing line.
fn close(session: &Session, report: &RoundReport) -> anyhow::Result<()> {
    if session.json {
        let mut line = serde_json::to_value(report)?;
        line["event"] = json!("round");
        say(line);
        return Ok(());
    }
    let page = session.store.root().join("reports").join(format!("{}.html", report.name()));
    say(format_args!(
        "run: round {}: {}; {} jobs done, {} rejected, {} given up, {} put off; {} samples",
        report.round,
        report.outcome,
        report.jobs(|work| work.done),
        report.jobs(|work| work.rejected),
        report.jobs(|work| work.given_up),
        report.jobs(|work| work.put_off),
        report.totals.samples
    ));
    if page.is_file() {
        say(format_args!("report: {}", page.display()));
    }
    Ok(())
}

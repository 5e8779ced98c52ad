//! Records a round: its row, its pages, its summary, metrics, and the notification.

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
use crate::words::plural;
use crate::youtube::ApiKey;

use super::super::{Session, report as pages, say, typed};
use super::agenda::{agenda, is_disk_low, stages};
use super::legs::StepDone;
use super::verdict::{Circumstances, rank, verdict};
use super::{Standing, Work, metrics};

/// The notified shell command may take this long.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(60);
/// The number of earlier rounds that are checked for having been killed.
const CHECKED_ROUNDS: u32 = 20;

/// A round that has begun.
pub(super) struct Ledger {
    round: i64,
    started_at_ms: i64,
    before: Option<String>,
}

impl Ledger {
    /// Records that the round begins, and that earlier rounds whose process is dead were killed. `holder` is the name in
    /// its locks.
    pub(super) async fn begin(session: &Session, locks: &[Lock], holder: &str) -> anyhow::Result<Self> {
        let all = rounds::list(&session.catalog, CHECKED_ROUNDS).await.map_err(Failure::from)?;
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
            format!("Round {round} ended without a result, as if killed; its work was taken up again.")
        });
        tracing::info!(round, "round begins");
        Ok(Self { round, started_at_ms, before })
    }

    /// Gathers and records what was done; [`say_end`] prints it. `planned` are the commands in the settings, since flags that
    /// leave some out apply to this round only.
    pub(super) async fn close(
        self,
        session: &Session,
        work: &Work,
        steps: Vec<StepDone>,
        planned: Vec<Leg>,
    ) -> anyhow::Result<(Exit, RoundReport)> {
        let gathered = report::gather_round(&session.catalog, self.round, self.started_at_ms).await;
        let mut report = gathered.map_err(Failure::from)?;
        let standing = Standing::read(session, work).await?;
        report.before = self.before;
        report.free_bytes = standing.free_bytes;
        let mut next = session.config.clone();
        next.run.commands = planned;
        report.next = agenda(&standing, &next).iter().map(super::agenda::Step::outlook).collect();
        if let Some(run) = steps.iter().find_map(|step| step.run.as_ref()) {
            report.run = report::gather_run_summary(&session.catalog, run).await.map_err(Failure::from)?;
        }
        let circumstances = Circumstances {
            is_interrupted: session.stop.is_asked(),
            failures: steps.iter().filter_map(|step| step.failure.as_ref()).collect(),
            stages: stages(&session.config),
            is_disk_low: session.config.run.commands.contains(&Leg::Crawl)
                && is_disk_low(&standing, &session.config),
        };
        let (exit, outcome) = verdict(&report, &circumstances);
        (report.exit, report.outcome) = (exit as u8, outcome);
        report.steps = steps.into_iter().map(|done| done.step).collect();
        record(session, report, exit).await
    }
}

/// Writes the row first: everything after it can be made again from it. If a file cannot be written, the others still
/// are, and the notification is sent. Returns the worst exit code, of the round or of a file, which is also in the
/// notification; the row and the files have the round's own.
async fn record(
    session: &Session,
    mut report: RoundReport,
    exit: Exit,
) -> anyhow::Result<(Exit, RoundReport)> {
    let summary = serde_json::to_string(&report)?;
    let mut tx = session.catalog.begin().await.map_err(Failure::from)?;
    rounds::end(&mut tx, report.round, Some(report.exit.into()), Some(&summary))
        .await
        .map_err(Failure::from)?;
    tx.commit().await.map_err(Failure::from)?;
    tracing::info!(round = report.round, exit = report.exit, "{}", report.outcome);
    let mut failed: Vec<anyhow::Error> = Vec::new();
    if session.config.run.commands.contains(&Leg::Report) {
        failed.extend(write_pages(session, &report).await);
    }
    if let Some(file) = &session.config.run.metrics {
        failed.extend(metrics::write(file, &report).err().map(anyhow::Error::from));
    }
    for error in &failed {
        tracing::warn!("{error:#}");
    }
    let exits = failed.iter().map(|it| it.downcast_ref::<Failure>().map_or(Exit::SomeDead, Failure::exit));
    let worst = exits.fold(exit, |worst, exit| if rank(exit) > rank(worst) { exit } else { worst });
    report.exit = worst as u8;
    if let Some(command) = &session.config.run.notify {
        notify(command, &serde_json::to_string(&report)?).await;
    }
    Ok((worst, report))
}

/// Writes the page of the round, its summary, the page of a training run that ended in it, and the index. Returns the
/// errors.
async fn write_pages(session: &Session, report: &RoundReport) -> Vec<anyhow::Error> {
    let mut failed: Vec<anyhow::Error> = Vec::new();
    let page = report::round_html(report);
    for (form, text) in [("json", serde_json::to_string_pretty(report)), ("html", Ok(page))] {
        let name = format!("{}.{form}", report.name());
        let written = text.map_err(anyhow::Error::from);
        failed.extend(written.and_then(|text| Ok(pages::write_page(session, &name, &text)?)).err());
    }
    let mut has_index = false;
    if let Some(run) = &report.run {
        let written = write_run(session, &run.name).await;
        has_index = written.is_ok();
        failed.extend(written.err());
    }
    if !has_index {
        failed.extend(pages::write_index(session).await.err());
    }
    failed
}

/// Writes the page of a run, and the index.
async fn write_run(session: &Session, name: &str) -> anyhow::Result<()> {
    let words = ["--run".to_owned(), name.to_owned()];
    pages::report(session, &typed("report", &words)?).await.map(|_| ())
}

/// Runs the notified shell command. A failure of it is logged only.
async fn notify(command: &str, summary: &str) {
    let notified = async {
        let mut shell = tokio::process::Command::new("/bin/sh");
        // It may post its environment somewhere.
        shell.env_remove(ApiKey::VARIABLE);
        shell.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
        let mut child = shell.stderr(Stdio::inherit()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // A command that does not read all of its input has not failed.
            let _ = input.write_all(summary.as_bytes()).await;
        }
        child.wait().await
    };
    match tokio::time::timeout(NOTIFY_TIMEOUT, notified).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => tracing::warn!(%status, "the command of run.notify failed"),
        Ok(Err(error)) => tracing::warn!(%error, "the command of run.notify could not be run"),
        Err(_) => {
            let limit_s = NOTIFY_TIMEOUT.as_secs();
            tracing::warn!("the command of run.notify took longer than {limit_s} s and was ended");
        }
    }
}

/// Prints the closing line and, unless quiet, the path of the page.
pub(super) fn say_end(session: &Session, report: &RoundReport, is_quiet: bool) -> anyhow::Result<()> {
    if session.json {
        let mut line = serde_json::to_value(report)?;
        line["event"] = json!("round");
        say(line);
        return Ok(());
    }
    let page = session.store.reports().join(format!("{}.html", report.name()));
    say(format_args!(
        "run: round {}: {}; {} done, {} rejected, {} given up, {} put off; {}",
        report.round,
        report.outcome,
        plural(report.jobs(|work| work.done), "job"),
        report.jobs(|work| work.rejected),
        report.jobs(|work| work.given_up),
        report.jobs(|work| work.put_off),
        plural(report.totals.samples, "sample")
    ));
    if page.is_file() && !is_quiet {
        say(format_args!("report: {}", page.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::RunSummary;

    #[tokio::test]
    async fn the_notification_is_sent_although_a_file_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut session = Session::still(folder.path()).await;
        let path = folder.path().join("told.json");
        session.config.run.notify =
            Some(format!("cat > '{}'", path.display().to_string().replace('\'', r"'\''")));
        session.config.run.metrics = Some(folder.path().join("nowhere/webemotion.prom"));
        // A file in place of the folder of pages.
        std::fs::write(folder.path().join("reports"), "").unwrap();
        for (exit, worst) in [(Exit::Paused, Exit::Usage), (Exit::Unusable, Exit::Unusable)] {
            let mut tx = session.catalog.begin().await.unwrap();
            let round = rounds::begin(&mut tx, "host:1:1").await.unwrap();
            tx.commit().await.unwrap();
            let report = RoundReport { round, exit: exit as u8, ..RoundReport::default() };
            assert_eq!(record(&session, report, exit).await.unwrap().0, worst);
            let heard: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!((&heard["round"], &heard["exit"]), (&round.into(), &(worst as u8).into()));
        }
    }

    #[tokio::test]
    async fn other_pages_are_written_although_one_cannot_be() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let run = RunSummary { name: "gone".to_owned(), ..RunSummary::default() };
        let report = RoundReport { round: 7, run: Some(run), ..RoundReport::default() };
        let reports = session.store.absolute("reports");
        // A folder in place of the summary; and the run has no row.
        std::fs::create_dir_all(reports.join(format!("{}.json", report.name()))).unwrap();
        assert_eq!(write_pages(&session, &report).await.len(), 2);
        for page in [format!("{}.html", report.name()), "index.html".to_owned()] {
            assert!(reports.join(&page).is_file(), "{page}");
        }
    }
}

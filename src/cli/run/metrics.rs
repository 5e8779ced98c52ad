//! A round's numbers for the textfile collector of Prometheus's node exporter. The names are a public contract, listed in
//! the README of `scripts/schedule`.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::failure::Failure;
use crate::files::Part;
use crate::report::RoundReport;

/// Writes the file atomically, since the collector may read it at any time.
pub(super) fn write(file: &Path, report: &RoundReport) -> Result<(), Failure> {
    let written = Part::of(file).and_then(|part| {
        std::fs::write(part.path(), text(report))?;
        // The collector runs as another user.
        std::fs::set_permissions(part.path(), PermissionsExt::from_mode(0o644))?;
        part.place()
    });
    written.map_err(|error| Failure::unwritable(file, &error))
}

/// The exposition format, version 0.0.4.
fn text(report: &RoundReport) -> String {
    let mut text = String::new();
    let seconds = |milliseconds: i64| milliseconds as f64 / 1_000.0;
    let mut one = |name: &str, help: &str, value: f64| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    };
    one("webemotion_round", "Number of the last round.", report.round as f64);
    one(
        "webemotion_round_start_seconds",
        "When the last round began, since 1970.",
        seconds(report.started_at_ms),
    );
    one(
        "webemotion_round_end_seconds",
        "When the last round ended, since 1970.",
        seconds(report.ended_at_ms),
    );
    one("webemotion_round_exit_code", "Exit code of the last round.", f64::from(report.exit));
    one("webemotion_free_bytes", "Free space for the data folder.", report.free_bytes as f64);
    if let Some(accuracy) = report.run.as_ref().and_then(|run| run.last_five_accuracy) {
        one(
            "webemotion_accuracy",
            "Accuracy of the round's training run in its last epochs, 0 to 1.",
            accuracy,
        );
    }
    let mut many = |name: &str, help: &str, rows: Vec<(String, f64)>| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in rows {
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    };
    let outcomes = report.work.iter().flat_map(|work| {
        let counts = [
            ("done", work.done),
            ("rejected", work.rejected),
            ("given_up", work.given_up),
            ("put_off", work.put_off),
        ];
        counts.map(|(outcome, jobs)| (format!("stage=\"{}\",outcome=\"{outcome}\"", work.stage), jobs as f64))
    });
    many("webemotion_round_jobs", "Jobs of the last round by stage and outcome.", outcomes.collect());
    let totals = report.totals.named().map(|(what, count)| (format!("what=\"{what}\""), count as f64));
    many("webemotion_total", "What the catalog holds.", totals.to_vec());
    let paused = report.paused.iter().map(|pause| {
        let labels = format!("stage=\"{}\",reason=\"{}\"", pause.stage, pause.reason);
        (labels, pause.resume_at_ms.map_or(f64::INFINITY, seconds))
    });
    many("webemotion_paused_until_seconds", "When a paused stage goes on, since 1970.", paused.collect());
    text.replace(" inf\n", " +Inf\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{PausedStage, StageWork};
    use crate::types::StageName;

    #[test]
    fn every_line_is_a_comment_or_a_sample_and_the_file_is_whole() {
        let stage = StageName::Fetch;
        let work = StageWork { stage, done: 9, rejected: 2, given_up: 0, put_off: 0 };
        let pause = PausedStage { stage, reason: "blocked".to_owned(), resume_at_ms: None };
        let report = RoundReport {
            round: 3,
            exit: 5,
            work: vec![work],
            paused: vec![pause],
            ..RoundReport::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("webemotion.prom");
        write(&file, &report).unwrap();
        write(&file, &report).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines() {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let is_sample = || value.trim_start_matches('+').parse::<f64>().is_ok();
            assert!(line.starts_with("# ") || (name.starts_with("webemotion_") && is_sample()), "{line}");
        }
        assert!(text.contains("webemotion_round_jobs{stage=\"fetch\",outcome=\"done\"} 9\n"));
        assert!(text.contains("webemotion_paused_until_seconds{stage=\"fetch\",reason=\"blocked\"} +Inf\n"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a part is left behind");
    }
}

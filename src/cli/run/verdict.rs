//! What a round's exit code is, and how it is said. Pure.

use crate::failure::{Exit, Failure};
use crate::report::RoundReport;

/// What decides beside the report's own numbers.
#[derive(Debug, Default)]
pub(super) struct Circumstances<'a> {
    /// Ctrl-C or SIGTERM.
    pub(super) is_interrupted: bool,
    /// Failures of whole commands.
    pub(super) failures: Vec<&'a Failure>,
    /// No download could begin.
    pub(super) is_disk_low: bool,
}

/// The exit code and its sentence: what a person has to do comes first, then what passes, then what was done.
pub(super) fn verdict(report: &RoundReport, circumstances: &Circumstances<'_>) -> (Exit, String) {
    let done = report.jobs(|work| work.done + work.rejected);
    let dead = report.jobs(|work| work.given_up);
    let worst = circumstances.failures.iter().max_by_key(|failure| rank(failure.exit()));
    if circumstances.is_interrupted {
        return (Exit::Interrupted, "interrupted; the next round goes on".to_owned());
    }
    if let Some(failure) = worst.filter(|failure| failure.exit() != Exit::NothingToDo) {
        return (failure.exit(), format!("failed: {}", failure.detail));
    }
    let mut paused: Vec<String> =
        report.paused.iter().map(|pause| format!("{} ({})", pause.stage, pause.reason)).collect();
    if circumstances.is_disk_low && !report.paused.iter().any(|pause| pause.reason == "disk") {
        paused.push("downloads (disk)".to_owned());
    }
    if !paused.is_empty() {
        return (Exit::Paused, format!("paused: {}", paused.join(", ")));
    }
    match (done, dead, &report.run) {
        (_, 1.., _) => (Exit::SomeDead, format!("done, but {dead} jobs were given up")),
        (0, 0, None) if report.jobs(|work| work.put_off) == 0 => {
            (Exit::NothingToDo, "nothing was due".to_owned())
        }
        (_, 0, None) => (Exit::Done, "done".to_owned()),
        (_, 0, Some(run)) => (Exit::Done, format!("done, with training run {}", run.name)),
    }
}

/// Which of several failures the exit code tells.
fn rank(exit: Exit) -> u8 {
    match exit {
        Exit::Bug => 7,
        Exit::Unusable => 6,
        Exit::Usage => 5,
        Exit::SomeDead => 4,
        Exit::Paused => 3,
        Exit::Interrupted => 2,
        Exit::NothingToDo => 1,
        Exit::Done => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;
    use crate::report::{PausedStage, StageWork};

    fn report(done: u64, given_up: u64) -> RoundReport {
        let work = vec![StageWork { stage: "fetch".to_owned(), done, given_up, ..StageWork::default() }];
        RoundReport { work, ..RoundReport::default() }
    }

    fn exit(report: &RoundReport, circumstances: &Circumstances<'_>) -> u8 {
        verdict(report, circumstances).0 as u8
    }

    #[test]
    fn the_exit_code_tells_the_scheduler_what_happened() {
        let calm = Circumstances::default();
        assert_eq!(exit(&report(3, 0), &calm), 0);
        assert_eq!(exit(&report(3, 1), &calm), 1);
        assert_eq!(exit(&report(0, 0), &calm), 4);
        let pause =
            PausedStage { stage: "fetch".to_owned(), reason: "blocked".to_owned(), resume_at_ms: None };
        let paused = RoundReport { paused: vec![pause], ..report(3, 1) };
        assert_eq!(exit(&paused, &calm), 5);
        assert_eq!(exit(&report(1, 0), &Circumstances { is_disk_low: true, ..calm }), 5);
    }

    #[test]
    fn a_missing_tool_outweighs_a_pause_and_an_interruption_all() {
        let (missing, disk) =
            (Failure::permanent(Reason::ToolMissing, "no yt-dlp"), Failure::transient(Reason::Disk, "full"));
        let failures = vec![&disk, &missing];
        assert_eq!(
            exit(&report(1, 0), &Circumstances { failures: failures.clone(), ..Default::default() }),
            3
        );
        let interrupted = Circumstances { failures, is_interrupted: true, ..Default::default() };
        assert_eq!(exit(&report(1, 0), &interrupted), 130);
    }
}

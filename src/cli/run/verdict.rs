//! The exit code of a round, and its sentence.

use crate::failure::{Exit, Failure};
use crate::report::{PausedStage, RoundReport};
use crate::types::StageName;
use crate::words::{plural, were};

/// What decides in addition to the report's numbers.
#[derive(Debug, Default)]
pub(super) struct Circumstances<'a> {
    /// Ctrl-C or SIGTERM.
    pub(super) is_interrupted: bool,
    /// Failures of commands.
    pub(super) failures: Vec<&'a Failure>,
    /// The stages of the round's commands; pauses of others do not matter.
    pub(super) stages: Vec<StageName>,
    /// No download could begin.
    pub(super) is_disk_low: bool,
}

/// The exit code and its sentence: a need for a person comes first, then what passes by itself, then what was done. A pause
/// without an end also needs a person, who has to read the site's message and lift it.
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
    let (paused, waits_for_a_person) = pauses(report, circumstances);
    if dead > 0 {
        let but = if paused.is_empty() { String::new() } else { format!("; {paused}") };
        return (Exit::SomeDead, format!("done, but {} {} given up{but}", plural(dead, "job"), were(dead)));
    }
    if !paused.is_empty() {
        return (if waits_for_a_person { Exit::SomeDead } else { Exit::Paused }, paused);
    }
    match (done, &report.run) {
        (0, None) if report.jobs(|work| work.put_off) == 0 => {
            (Exit::NothingToDo, "nothing was due".to_owned())
        }
        (_, None) => (Exit::Done, "done".to_owned()),
        (_, Some(run)) => (Exit::Done, format!("done, with training run {}", run.name)),
    }
}

/// The pauses of the round's stages, in words, and whether a person has to lift one of them.
fn pauses(report: &RoundReport, circumstances: &Circumstances<'_>) -> (String, bool) {
    let own = |pause: &&PausedStage| circumstances.stages.contains(&pause.stage);
    let (passing, lasting): (Vec<_>, Vec<_>) =
        report.paused.iter().filter(own).partition(|pause| pause.resume_at_ms.is_some());
    let named = |pause: &&PausedStage| format!("{} ({})", pause.stage, pause.reason);
    let mut passing_words: Vec<String> = passing.iter().map(named).collect();
    if circumstances.is_disk_low && !passing.iter().any(|pause| pause.reason == "disk") {
        passing_words.push("downloads (disk)".to_owned());
    }
    let lasting_words: Vec<String> = lasting.iter().map(named).collect();
    let said = [("waits for a person", lasting_words), ("paused", passing_words)];
    let said = said.iter().filter(|(_, words)| !words.is_empty());
    let said: Vec<String> = said.map(|(how, words)| format!("{how}: {}", words.join(", "))).collect();
    (said.join("; "), !lasting.is_empty())
}

/// The rank of a failure: the exit code is that of the highest one.
pub(super) fn rank(exit: Exit) -> u8 {
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
        let work = vec![StageWork { stage: StageName::Fetch, done, rejected: 0, given_up, put_off: 0 }];
        RoundReport { work, ..RoundReport::default() }
    }

    fn exit(report: &RoundReport, circumstances: &Circumstances<'_>) -> u8 {
        verdict(report, circumstances).0 as u8
    }

    #[test]
    fn each_outcome_has_its_exit_code() {
        let calm = Circumstances::default();
        assert_eq!(exit(&report(3, 0), &calm), 0);
        assert_eq!(exit(&report(3, 1), &calm), 1);
        assert_eq!(verdict(&report(3, 1), &calm).1, "done, but 1 job was given up");
        assert_eq!(exit(&report(0, 0), &calm), 4);
        assert_eq!(exit(&report(1, 0), &Circumstances { is_disk_low: true, ..calm }), 5);
    }

    #[test]
    fn a_pause_without_an_end_needs_a_person_and_hides_no_job_that_was_given_up() {
        let of = |reason: &str, resume_at_ms, given_up| {
            let pause = PausedStage { stage: StageName::Fetch, reason: reason.to_owned(), resume_at_ms };
            RoundReport { paused: vec![pause], ..report(3, given_up) }
        };
        let at = |stages: [StageName; 2]| Circumstances { stages: stages.into(), ..Circumstances::default() };
        let crawls = at([StageName::Search, StageName::Fetch]);
        let cuts = at([StageName::Scan, StageName::Cut]);
        assert_eq!(exit(&of("rate-limited", Some(9), 0), &crawls), 5);
        assert_eq!(exit(&of("rate-limited", Some(9), 1), &crawls), 1);
        let (blocked, said) = verdict(&of("blocked", None, 0), &crawls);
        assert_eq!((blocked, said.as_str()), (Exit::SomeDead, "waits for a person: fetch (blocked)"));
        let (_, said) = verdict(&of("blocked", None, 2), &crawls);
        assert_eq!(said, "done, but 2 jobs were given up; waits for a person: fetch (blocked)");
        assert_eq!(exit(&of("blocked", None, 0), &cuts), 0, "that stage is not of this round");
    }

    #[test]
    fn a_full_disk_is_reported_although_a_stage_outside_the_round_is_paused_for_it() {
        let pause = PausedStage { stage: StageName::Scan, reason: "disk".to_owned(), resume_at_ms: Some(9) };
        let waiting = RoundReport { paused: vec![pause], ..report(0, 0) };
        let crawls = |stages| Circumstances { stages, is_disk_low: true, ..Circumstances::default() };
        let said = verdict(&waiting, &crawls(vec![StageName::Search, StageName::Fetch]));
        assert_eq!(said, (Exit::Paused, "paused: downloads (disk)".to_owned()));
        let (_, once) = verdict(&waiting, &crawls(vec![StageName::Fetch, StageName::Scan]));
        assert_eq!(once, "paused: scan (disk)");
    }

    #[test]
    fn a_missing_tool_outranks_a_pause_and_an_interruption_everything() {
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

//! Formats the status as text for a terminal.

use crate::report::{self, Table};
use crate::words::{bytes, date, plural, span};

use super::Status;

/// The whole page.
pub(super) fn draw(status: &Status, is_coloured: bool) -> String {
    let head = |text: &str| {
        if is_coloured { format!("\u{1b}[1m{text}\u{1b}[0m\n") } else { format!("{text}\n") }
    };
    let mut text = String::new();
    if let Some(funnel) = &status.funnel {
        text += &report::status(funnel, is_coloured);
    }
    for (name, part) in [
        ("stands still", pauses(status)),
        ("at work", work(status)),
        ("room", room(status)),
        ("last rounds", rounds(status)),
        ("last training runs", runs(status)),
        ("next round", next(status)),
    ] {
        if !part.is_empty() {
            text += &format!("\n{}{part}", head(name));
        }
    }
    text.trim_end().to_owned()
}

fn pauses(status: &Status) -> String {
    let line = |pause: &super::Paused| {
        let until = match pause.resume_at {
            Some(at) => format!("goes on in {}", span(at - status.at_ms)),
            None => format!("until `webemotion retry --stage {}`", pause.stage),
        };
        let said = match super::first_line(&pause.detail) {
            nothing if nothing.is_empty() => nothing,
            said => format!("    {said}\n"),
        };
        format!("  {} is paused ({}), {until}\n{said}", pause.stage, pause.reason)
    };
    status.paused.iter().map(line).collect()
}

fn work(status: &Status) -> String {
    let locks = status.locks.iter().map(|lock| format!("  {}: {}\n", lock.command, lock.holder));
    let leases = status.leases.iter().map(|lease| {
        let left = match lease.ends_at - status.at_ms {
            left_ms if left_ms > 0 => format!("lease for {} more", span(left_ms)),
            _ => "its lease is over: anyone may take it".to_owned(),
        };
        let jobs = plural(lease.jobs, "job");
        format!("  {} {jobs} in hand of {}; {left}\n", lease.stage, lease.holder)
    });
    locks.chain(leases).collect()
}

fn room(status: &Status) -> String {
    let disk = &status.disk;
    let mut text = format!(
        "  disk: videos {}, clips {}, catalog {}; {} free\n",
        bytes(disk.videos),
        bytes(disk.clips),
        bytes(disk.catalog),
        bytes(status.free_bytes)
    );
    for budget in &status.budgets {
        let when = match budget.next_token_at - status.at_ms {
            ..=0 => "now".to_owned(),
            wait_ms => format!("in {}", span(wait_ms)),
        };
        text += &format!(
            "  budget {}: {} videos an hour, the next one {when}\n",
            budget.identity, budget.per_hour
        );
    }
    text
}

fn rounds(status: &Status) -> String {
    let row = |round: &super::Round| {
        vec![
            format!("  {}", round.round),
            date(round.started_at),
            round.ended_at.map_or_else(|| "–".to_owned(), |at| span(at - round.started_at)),
            round.exit.map_or_else(|| "–".to_owned(), |exit| exit.to_string()),
            round.outcome.clone(),
        ]
    };
    table(["  round", "began", "took", "exit", "outcome"], status.rounds.iter().map(row).collect())
}

fn runs(status: &Status) -> String {
    let row = |run: &super::Run| {
        vec![
            format!("  {}", run.name),
            date(run.started_at),
            run.finished_at.map_or_else(|| "–".to_owned(), |at| span(at - run.started_at)),
            if run.adopted_at.is_some() { "adopted".to_owned() } else { run.state.to_string() },
        ]
    };
    table(["  run", "began", "took", "state"], status.last_runs.iter().map(row).collect())
}

fn next(status: &Status) -> String {
    let line = |step: &report::RoundStep| format!("  {:<7} {:<8} {}\n", step.command, step.outcome, step.why);
    status.next.iter().map(line).collect()
}

fn table<const COLUMNS: usize>(head: [&str; COLUMNS], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    Table { head: head.map(str::to_owned).to_vec(), rows }.render(false)
}

#[cfg(test)]
mod tests {
    use super::super::{Budget, Lease, Lock, Paused, Round, Run};
    use super::*;
    use crate::catalog::funnel::DiskBytes;
    use crate::catalog::runs::RunState;
    use crate::report::RoundStep;
    use crate::types::StageName;

    fn status() -> Status {
        let at_ms = 1_795_472_700_000;
        let minutes = |minutes: i64| at_ms + minutes * 60_000;
        let holder = || "process 4711 on host-1, since 2026-11-23 22:20 UTC".to_owned();
        Status {
            event: "status",
            at_ms,
            funnel: None,
            failures: vec![],
            paused: vec![
                Paused {
                    stage: StageName::Fetch,
                    reason: "rate-limited".into(),
                    detail: "429".into(),
                    resume_at: Some(minutes(42)),
                },
                Paused {
                    stage: StageName::Search,
                    reason: "blocked".into(),
                    detail: "\nERROR: Sign in to confirm\u{1b} you are not a bot\nand more".into(),
                    resume_at: None,
                },
            ],
            budgets: vec![Budget {
                identity: "default".into(),
                tokens: 0.0,
                per_hour: 200.0,
                next_token_at: at_ms + 18_000,
            }],
            held: 3,
            leases: vec![Lease {
                stage: StageName::Scan,
                worker: "host-1:4711:0".into(),
                holder: holder(),
                jobs: 3,
                ends_at: minutes(2),
            }],
            locks: vec![Lock { command: "clips".into(), holder: holder() }],
            disk: DiskBytes { videos: 81_000_000_000, clips: 3_400_000_000, catalog: 1_200_000_000 },
            free_bytes: 120_000_000_000,
            rounds: vec![
                Round {
                    round: 8,
                    started_at: minutes(-5),
                    ended_at: None,
                    exit: None,
                    outcome: "under way".into(),
                },
                Round {
                    round: 7,
                    started_at: minutes(-1_440),
                    ended_at: Some(minutes(-960)),
                    exit: Some(5),
                    outcome: "paused: fetch (rate-limited)".into(),
                },
            ],
            runs: vec!["scn-1".into()],
            last_runs: vec![Run {
                name: "scn-1".into(),
                state: RunState::Done,
                started_at: minutes(-1_000),
                finished_at: Some(minutes(-970)),
                adopted_at: None,
            }],
            next: vec![RoundStep {
                command: "crawl".into(),
                outcome: "due".into(),
                why: "3 searches are due".into(),
                took_ms: None,
            }],
        }
    }

    #[test]
    fn a_status_says_what_stands_still_who_works_and_what_is_next() {
        insta::assert_snapshot!(draw(&status(), false));
    }

    #[test]
    fn empty_sections_have_no_heading() {
        let quiet = Status {
            paused: vec![],
            leases: vec![],
            locks: vec![],
            rounds: vec![],
            last_runs: vec![],
            ..status()
        };
        let text = draw(&quiet, false);
        assert!(
            !text.contains("stands still") && !text.contains("at work") && !text.contains("last rounds"),
            "{text}"
        );
    }

    #[test]
    fn a_run_whose_labels_are_in_force_is_shown_as_adopted() {
        let mut status = status();
        status.last_runs[0].adopted_at = Some(status.at_ms);
        assert!(draw(&status, false).lines().any(|line| line.contains("scn-1") && line.ends_with("adopted")));
    }
}

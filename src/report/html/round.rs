//! The morning report: one round of `webemotion run` on one page.

use maud::{Markup, html as markup};

use crate::words::{bytes, count, date, known, plural, share, span};

use super::super::epochs::mean_of;
use super::super::round::{RoundReport, RoundStep, StageWork, Totals};
use super::super::run_report::RunSummary;
use super::labels::{change, picture};
use super::{failures, page};

/// Draws the page of a round.
pub fn round_html(report: &RoundReport) -> String {
    page(
        &format!("Round {}", report.round),
        &markup! {
            (head(report))
            section id="done" { h2 { "What was done" } (steps(&report.steps)) (work(&report.work)) }
            section id="failed" { h2 { "What failed, by cause" } (failures::failures(&report.failures)) }
            section id="changed" { h2 { "What changed since the round before" } (changed(report)) }
            section id="samples" { h2 { "New samples" } (pictures(report)) }
            section id="next" { h2 { "What the next round would do" } (next(report)) }
        },
    )
    .into_string()
}

fn head(report: &RoundReport) -> Markup {
    let tone = match report.exit {
        0 => "good",
        4 => "quiet",
        _ => "bad",
    };
    let done = report.jobs(|work| work.done);
    let failed = report.jobs(|work| work.rejected + work.given_up);
    markup! {
        header {
            p.kicker { a href="./index.html" { "webemotion reports" } }
            h1 { "Round " (report.round) }
            p.facts {
                span { "started " b { (date(report.started_at_ms)) } }
                span { "took " b { (span(report.ended_at_ms - report.started_at_ms)) } }
                span { "exit code " b { (report.exit) } }
            }
            p.verdict-line.(tone) { (report.outcome) }
            @if let Some(before) = &report.before { p.note { (before) } }
            @for paused in &report.paused {
                p.note {
                    "Paused: " b { (paused.stage) } " (" (paused.reason) "), "
                    @match paused.resume_at_ms {
                        Some(at) => { "goes on at " (date(at)) },
                        None => { "until " code { "webemotion retry --stage " (paused.stage) } },
                    }
                }
            }
        }
        dl.glances {
            (glance("Jobs done", &count(done), ""))
            (glance("Rejected or given up", &count(failed), &format!("{} put off", count(report.jobs(|it| it.put_off)))))
            (growth("Clips", report, |totals| totals.clips))
            (growth("Samples", report, |totals| totals.samples))
            @if let Some(run) = &report.run {
                (glance("Accuracy", &known(run.last_five_accuracy, share), &accuracy_of(run)))
            }
            (glance("Free disk", &bytes(report.free_bytes), ""))
        }
    }
}

/// The run of an accuracy, and how it was measured.
fn accuracy_of(run: &RunSummary) -> String {
    let on = run.measured_on.as_deref().map_or_else(String::new, |on| format!(" on {on}"));
    format!("run {}, {}{on}", run.name, mean_of(run.last_epochs))
}

fn glance(name: &str, value: &str, note: &str) -> Markup {
    markup! { div { dt { (name) } dd { (value) } dd.note { (note) } } }
}

/// What was added since the previous round; none in the first round, whose samples may all have been there before.
fn growth(name: &str, report: &RoundReport, of: fn(&Totals) -> u64) -> Markup {
    let all = of(&report.totals);
    match &report.totals_before {
        Some(before) => glance(name, &change(of(before), all), &format!("{} in all", count(all))),
        None => glance(name, &count(all), "in all"),
    }
}

fn steps(steps: &[RoundStep]) -> Markup {
    markup! {
        div.scroll { table.steps {
            thead { tr { th scope="col" { "command" } th scope="col" { "outcome" } th.right scope="col" { "took" } th scope="col" { "why" } } }
            tbody { @for step in steps { tr {
                th scope="row" { (step.command) }
                td class=(tone(&step.outcome)) { (step.outcome) }
                td.right { (step.took_ms.map_or_else(|| "–".to_owned(), span)) }
                td.why { (step.why) }
            } } }
        } }
    }
}

fn tone(outcome: &str) -> &'static str {
    match outcome {
        "done" | "due" => "good",
        "failed" => "bad",
        "cut short" => "warn",
        _ => "quiet",
    }
}

fn work(work: &[StageWork]) -> Markup {
    if work.is_empty() {
        return markup! { p { "No job came to its end." } };
    }
    markup! {
        h3 { "Jobs by stage" }
        div.scroll { table.numbers {
            thead { tr {
                th scope="col" { "stage" }
                @for name in ["done", "rejected", "given up", "put off"] { th.right scope="col" { (name) } }
            } }
            tbody { @for stage in work { tr {
                th scope="row" { (stage.stage) }
                @for number in [stage.done, stage.rejected, stage.given_up, stage.put_off] {
                    td.right { @if number == 0 { "–" } @else { (count(number)) } }
                }
            } } }
        } }
    }
}

fn changed(report: &RoundReport) -> Markup {
    let Some(before) = &report.totals_before else {
        return markup! { p { "This is the first round: there is nothing to compare with." } };
    };
    let rows = before.named().into_iter().zip(report.totals.named());
    markup! {
        div.scroll { table.numbers {
            thead { tr {
                th scope="col" { "what" }
                @for name in ["before", "now", "change"] { th.right scope="col" { (name) } }
            } }
            tbody { @for ((name, was), (_, is)) in rows { tr {
                th scope="row" { (name) }
                td.right { (count(was)) }
                td.right { (count(is)) }
                td.right { (change(was, is)) }
            } } }
        } }
    }
}

fn pictures(report: &RoundReport) -> Markup {
    if report.pictures.is_empty() {
        return markup! { p { "No sample was taken in this round." } };
    }
    let shown = plural(report.pictures.len(), "picture");
    markup! {
        p.note { (shown) ", the newest of each emotion. The word is what the video was searched for." }
        div.sheet { @for one in &report.pictures {
            figure.sample { (picture(&one.jpeg, one.sample_id)) figcaption { b { (one.emotion) } } }
        } }
    }
}

fn next(report: &RoundReport) -> Markup {
    markup! {
        div.scroll { table.steps {
            thead { tr { th scope="col" { "command" } th scope="col" { "outlook" } th scope="col" { "why" } } }
            tbody { @for step in &report.next { tr {
                th scope="row" { (step.command) }
                td class=(tone(&step.outcome)) { (step.outcome) }
                td.why { (step.why) }
            } } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::example;
    use super::*;

    #[test]
    fn a_rounds_report_says_what_was_done_what_failed_and_what_is_next() {
        let page = round_html(&example::round());
        for word in
            ["Round 12", "paused", "rate-limited", "+38", "sample 7", "train.when.new_samples", "2 min 05 s"]
        {
            assert!(page.contains(word), "{word}");
        }
        for forbidden in ["src=\"http", "href=\"http", "<script", "<link"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn the_outcome_has_the_colour_of_its_exit_code() {
        let page = round_html(&example::round());
        assert!(page.contains(r#"<p class="verdict-line bad">"#), "{page}");
    }

    #[test]
    fn the_first_round_has_nothing_to_compare_with() {
        let report = RoundReport { totals_before: None, ..example::round() };
        let page = round_html(&report);
        assert!(page.contains("This is the first round") && !page.contains("<dd>+"), "{page}");
    }
}

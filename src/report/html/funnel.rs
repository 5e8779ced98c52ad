//! The funnel: what is left after each step, why the rest was lost, the same by emotion, and how long the stages took.

use maud::{Markup, html};

use crate::words::{count, known, share, share_of, span};

use super::super::chart::{Segment, Tone, bar};
use super::super::funnel::{EmotionCounts, Funnel, FunnelStep, StageTime};
use super::not_known;

/// The steps with their reasons, then the table by emotion, then that of times.
pub(super) fn funnel(funnel: Option<&Funnel>) -> Markup {
    let Some(funnel) = funnel.filter(|funnel| !funnel.steps.is_empty()) else {
        return not_known("this run was not made from a catalog.");
    };
    html! {
        div.funnel {
            @for (place, one) in funnel.steps.iter().enumerate() {
                @let first = place == 0 || funnel.steps[place - 1].unit != one.unit;
                (step(one, funnel.whole(&one.unit), first))
            }
        }
        @if !funnel.emotions.is_empty() { h3 { "By emotion" } (emotions(funnel)) }
        @if !funnel.times.is_empty() { h3 { "Time at work" } (times(&funnel.times)) }
    }
}

fn step(step: &FunnelStep, whole: u64, first: bool) -> Markup {
    let part = share_of(step.kept, whole);
    html! {
        div.step.first[first] {
            div.what { @if first { b { (step.unit) } " " } (step.name) }
            (bar(&parts(step, whole)))
            div.figure { b { (count(step.kept)) } @if !first { " " span.note { (known(part, share)) } } }
            @if !step.lost.is_empty() || step.waiting.is_some_and(|waiting| waiting > 0) {
                ul.reasons {
                    @for lost in &step.lost { li { "−" (count(lost.count)) " " (lost.reason) } }
                    @if let Some(waiting) = step.waiting.filter(|waiting| *waiting > 0) {
                        li.waiting { (count(waiting)) " still waiting" }
                    }
                }
            }
        }
    }
}

/// Kept, then waiting, then lost here, all as shares of the unit's first step.
fn parts(step: &FunnelStep, whole: u64) -> Vec<Segment> {
    let lost = step.lost.iter().map(|lost| lost.count).sum();
    [(step.kept, Tone::Blue), (step.waiting.unwrap_or(0), Tone::Grey), (lost, Tone::Orange)]
        .into_iter()
        .filter_map(|(part, tone)| Some(Segment { share: share_of(part, whole)?, tone }))
        .collect()
}

fn emotions(funnel: &Funnel) -> Markup {
    let most = funnel.emotions.iter().filter_map(|counts| counts.samples).max().unwrap_or(0);
    html! {
        div.scroll {
            table.numbers.emotions {
                thead { tr {
                    th scope="col" { "emotion" }
                    @for column in EmotionCounts::COLUMNS { th.right scope="col" { (column) } }
                    th.wide {}
                } }
                tbody { @for counts in &funnel.emotions { (emotion(counts, most)) } }
                tfoot { tr {
                    th scope="row" { "all" }
                    @for total in funnel.totals() { td.right { (known(total, count)) } }
                    td {}
                } }
            }
        }
    }
}

fn emotion(counts: &EmotionCounts, most: u64) -> Markup {
    let part = counts.samples.and_then(|samples| share_of(samples, most));
    html! {
        tr {
            th scope="row" { (counts.emotion) }
            @for number in counts.counts() { td.right { (known(number, count)) } }
            td.wide { @if let Some(share) = part { (bar(&[Segment { share, tone: Tone::Blue }])) } }
        }
    }
}

fn times(times: &[StageTime]) -> Markup {
    html! {
        div.scroll { table.numbers {
            thead { tr {
                th scope="col" { "stage" }
                th.right scope="col" { "jobs done" }
                th.right scope="col" { "time" }
                th.right scope="col" { "time of a job" }
            } }
            tbody { @for StageTime { stage, done, worked_ms, job_ms } in times { tr {
                th scope="row" { (stage) }
                td.right { (count(*done)) }
                td.right { (known(job_ms.and(Some(*worked_ms)), span)) }
                td.right { (known(*job_ms, span)) }
            } } }
        } }
        p.note {
            "By the clock, from one job's end to the next one's, however many were in hand at once; more than ten minutes \
             without an end are left out. Of scan the sum of what each took, on whatever machine."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::example;
    use super::*;

    #[test]
    fn times_are_written_for_people() {
        let page = funnel(example::report().funnel.as_ref()).into_string();
        let row = |stage: &str, cells: [&str; 3]| {
            let cells = cells.map(|cell| format!("<td class=\"right\">{cell}</td>")).concat();
            format!("<th scope=\"row\">{stage}</th>{cells}")
        };
        assert!(page.contains(&row("fetch", ["2,310", "11 h 33 min", "18.0 s"])), "{page}");
        assert!(page.contains(&row("cut", ["1", "not known", "not known"])), "{page}");
    }
}

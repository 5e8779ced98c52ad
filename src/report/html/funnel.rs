//! What is left after each step, why the rest is not, and the same by emotion.

use maud::{Markup, html};

use super::super::chart::{Part, Tone, bar};
use super::super::funnel::{EmotionCounts, Funnel, FunnelStep};
use super::super::number::{count, known, share, share_of};
use super::not_known;

/// The steps with their reasons, then the table by emotion.
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
fn parts(step: &FunnelStep, whole: u64) -> Vec<Part> {
    let lost = step.lost.iter().map(|lost| lost.count).sum();
    [(step.kept, Tone::Blue), (step.waiting.unwrap_or(0), Tone::Grey), (lost, Tone::Orange)]
        .into_iter()
        .filter_map(|(part, tone)| Some(Part { share: share_of(part, whole)?, tone }))
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
            td.wide { @if let Some(share) = part { (bar(&[Part { share, tone: Tone::Blue }])) } }
        }
    }
}

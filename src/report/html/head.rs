//! The top of the page: title, facts, menu and the most important numbers.

use maud::{Markup, html};

use crate::words::{date, known, span};

use super::super::glance::glances;
use super::super::run_report::{RunFacts, RunReport};
use super::{Section, not_known};

/// Title, facts, menu and the numbers at a glance.
pub(super) fn head(report: &RunReport, sections: &[Section]) -> Markup {
    let glances = glances(report);
    html! {
        header {
            p.kicker { "webemotion report" }
            h1 { (report.title) }
            p.facts {
                @if let Some(run) = &report.run { (facts(run)) }
                span { "report of " (date(report.made_at_ms)) }
            }
            nav aria-label="Sections" {
                @for section in sections { a href=(format!("#{}", section.anchor)) { (section.name) } }
            }
        }
        @if glances.is_empty() { (not_known("there is nothing in the catalog yet.")) }
        @else {
            dl.glances {
                @for glance in &glances {
                    div { dt { (glance.name) } dd { (glance.value) } dd.note { (glance.note) } }
                }
            }
        }
    }
}

fn facts(run: &RunFacts) -> Markup {
    let took = run.started_at_ms.zip(run.finished_at_ms).map(|(start, end)| span(end - start));
    html! {
        span { "run " b { (run.name) } }
        span { "method " b { (run.method) } }
        @if let Some(noise) = &run.noise { span { "labels made wrong on purpose " b { (noise) } } }
        span { "state " b { (run.state) } }
        span { "device " b { (known(run.device.clone(), |device| device)) } }
        span { "started " b { (known(run.started_at_ms, date)) } }
        @if let Some(took) = took { span { "took " b { (took) } } }
    }
}

//! The failures by cause, and the settings of the run.

use maud::{Markup, html};

use crate::words::count;

use super::super::run_report::{FailureGroup, RunFacts};
use super::not_known;

/// One row a cause.
pub(super) fn failures(groups: &[FailureGroup]) -> Markup {
    if groups.is_empty() {
        return html! { p { "Nothing was rejected, put off or given up." } };
    }
    html! {
        div.scroll { table.numbers {
            thead { tr {
                th scope="col" { "stage" }
                th scope="col" { "cause" }
                th scope="col" { "outcome" }
                th.right scope="col" { "jobs" }
            } }
            tbody { @for group in groups { tr {
                td { (group.stage) }
                th scope="row" { (group.reason) }
                td { (group.outcome) }
                td.right { (count(group.count)) }
            } } }
        } }
        p.note { "What a job of each said: " code { "webemotion status --json" } "." }
    }
}

/// Every setting of the run.
pub(super) fn recipe(run: &RunFacts) -> Markup {
    if run.recipe.is_empty() {
        return not_known("the run's settings were not kept.");
    }
    html! {
        dl.recipe { @for (name, value) in &run.recipe { div { dt { (name) } dd { (value) } } } }
    }
}

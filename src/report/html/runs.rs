//! Runs side by side: in a report, and on the index page.

use maud::{Markup, html};

use crate::words::{count, date, known, share};

use super::super::run_report::RunSummary;

/// Other runs on the same catalog.
pub(super) fn compared(runs: &[RunSummary]) -> Markup {
    if runs.is_empty() {
        return html! { p { "None yet." } };
    }
    html! {
        div.scroll { table.numbers {
            thead { (run_head(false)) }
            tbody { @for run in runs { tr { th scope="row" { (run.name) } (run_cells(run)) } } }
        } }
    }
}

/// The head of a table of runs.
pub(in super::super) fn run_head(with_report: bool) -> Markup {
    html! {
        tr {
            th scope="col" { @if with_report { "report" } @else { "run" } }
            th scope="col" { "method" }
            th scope="col" { "state" }
            th scope="col" { "started" }
            th.right scope="col" { "epochs" }
            th.right scope="col" { "last-5 accuracy" }
            th.right scope="col" { "best" }
            th.right scope="col" { "class mean" }
            th scope="col" { "measured on" }
            th.right scope="col" { "relabelled" }
        }
    }
}

/// A run's cells after its name.
pub(in super::super) fn run_cells(run: &RunSummary) -> Markup {
    html! {
        td { (run.method()) }
        td { (run.state) }
        td { (known(run.started_at_ms, date)) }
        td.right { (count(run.epochs)) }
        td.right { (run.last_five()) }
        td.right { (known(run.best_accuracy, share)) }
        td.right { (known(run.mean_class_accuracy, share)) }
        td { (run.measured_on.as_deref().unwrap_or("–")) }
        td.right { (known(run.relabelled, count)) }
    }
}

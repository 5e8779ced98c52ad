//! The run's labels against the true ones, where these are known, and a comparison of methods.

use maud::{Markup, html};

use crate::words::{count, known, share, share_of};

use super::super::chart::{Segment, Tone, bar};
use super::super::run_report::RunReport;
use super::super::truth::{MethodResult, Truth};
use super::not_known;

/// What became of right and wrong labels, and the methods side by side.
pub(super) fn truth(report: &RunReport) -> Markup {
    let Some(truth) = report.truth.as_ref() else {
        return not_known("no true label of this data is known, so wrong labels cannot be counted.");
    };
    html! {
        (noise(truth))
        @if !truth.methods.is_empty() {
            h3 { "Methods on held-out samples with true labels" }
            (methods(&truth.methods))
        }
    }
}

fn noise(truth: &Truth) -> Markup {
    let wrong =
        |number| [Segment { share: share_of(number, truth.labels).unwrap_or(0.0), tone: Tone::Orange }];
    html! {
        table.numbers {
            tbody {
                tr {
                    th scope="row" { "wrong before" }
                    td.right { (count(truth.wrong_before)) } td.right { (known(truth.noise_before(), share)) }
                    td.wide { (bar(&wrong(truth.wrong_before))) }
                }
                tr {
                    th scope="row" { "wrong after" }
                    td.right { (count(truth.wrong_after())) } td.right { (known(truth.noise_after(), share)) }
                    td.wide { (bar(&wrong(truth.wrong_after()))) }
                }
                tr {
                    th scope="row" { "fixed" }
                    td.right { (count(truth.fixed)) } td.right { (known(truth.fixed_share(), share)) }
                    td.note { "of the wrong labels are right in the end" }
                }
                tr {
                    th scope="row" { "broken" }
                    td.right { (count(truth.broken)) } td.right { (known(truth.broken_share(), share)) }
                    td.note { "of the right labels are wrong in the end" }
                }
            }
        }
    }
}

fn methods(methods: &[MethodResult]) -> Markup {
    html! {
        div.scroll { table.numbers {
            thead { tr {
                th scope="col" { "method" }
                th.right scope="col" { "label noise after" }
                th.right scope="col" { "class mean" }
                th.right scope="col" { "accuracy" }
                th.wide {}
            } }
            tbody { @for method in methods { tr {
                th scope="row" { (method.method) }
                td.right { (known(method.noise_after, share)) }
                td.right { (known(method.mean_class_accuracy, share)) }
                td.right { (known(method.accuracy, share)) }
                td.wide { @if let Some(share) = method.accuracy { (bar(&[Segment { share, tone: Tone::Blue }])) } }
            } } }
        } }
    }
}

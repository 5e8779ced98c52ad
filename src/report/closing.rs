//! A command's closing text: the funnel, and the labels against the truth where it is known.

use crate::words::{count, known, share};

use super::run_report::RunReport;
use super::table::{Table, steps};
use super::truth::Truth;

/// The closing tables of a report as text for a terminal or a log; unknown parts are left out.
pub fn closing(report: &RunReport, coloured: bool) -> String {
    let funnel = report.funnel.as_ref().map(steps);
    let truth = report.truth.as_ref();
    let labels = truth.map(|truth| labels(truth).render(coloured));
    let methods =
        truth.filter(|truth| !truth.methods.is_empty()).map(|truth| methods(truth).render(coloured));
    [funnel, labels, methods].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn labels(truth: &Truth) -> Table {
    let row =
        |name: &str, number: u64, part: Option<f64>| vec![name.to_owned(), count(number), known(part, share)];
    Table {
        head: ["labels", "count", "share"].map(str::to_owned).to_vec(),
        rows: vec![
            row("wrong before training", truth.wrong_before, truth.noise_before()),
            row("wrong after relabelling", truth.wrong_after(), truth.noise_after()),
            row("fixed, of the wrong ones", truth.fixed, truth.fixed_share()),
            row("broken, of the right ones", truth.broken, truth.broken_share()),
        ],
    }
}

fn methods(truth: &Truth) -> Table {
    let row = |method: &super::truth::MethodResult| {
        vec![
            method.method.clone(),
            known(method.noise_after, share),
            known(method.mean_class_accuracy, share),
            known(method.accuracy, share),
        ]
    };
    Table {
        head: ["held-out, true labels", "label noise after", "class mean", "accuracy"]
            .map(str::to_owned)
            .to_vec(),
        rows: truth.methods.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn the_closing_text_has_the_funnel_and_the_fate_of_the_labels() {
        insta::assert_snapshot!(closing(&example::report(), false));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        assert_eq!(closing(&RunReport::default(), false), "");
    }
}

//! The learning curves of the run, and its confusion matrix.

use maud::{Markup, html};

use crate::words::{count, known, plural, share};

use super::super::chart::{ColumnChart, LineChart, Series, Tone, Unit, columns, heat, lines};
use super::super::epochs::EpochFacts;
use super::super::run_report::{RunReport, TestResult};
use super::{figure, not_known};

/// The curves, and the result on the test split.
pub(super) fn learning(report: &RunReport) -> Markup {
    if report.epochs.is_empty() {
        return not_known("no epoch has ended yet.");
    }
    let epochs = &report.epochs;
    html! {
        div.pair {
            (figure("Accuracy", "share classified as labelled", lines(&accuracy(epochs))))
            (figure("Loss", "mean over the training samples", lines(&loss(epochs))))
            (figure("Importance", "means of the two groups; share of batches with RR = 0", lines(&importance(epochs))))
            (figure("Relabels", "samples relabelled at an epoch's end", relabels(epochs)))
            (figure("Importance at the end", "training samples by importance", histogram(report)))
            figure {
                figcaption { strong { "Test split" } " " span.note { "it chooses nothing" } }
                (test_split(report.test.as_ref()))
            }
        }
    }
}

fn test_split(test: Option<&TestResult>) -> Markup {
    let Some(test) = test else { return not_known("the run has not come to its end, or has no test split.") };
    html! {
        dl.glances {
            div { dt { "Accuracy" } dd { (share(test.accuracy)) } dd.note { (count(test.samples)) " samples, mean of " (plural(test.epochs, "epoch")) } }
            div { dt { "Class mean" } dd { (known(test.mean_class_accuracy, share)) } dd.note { "mean of recalls" } }
        }
    }
}

/// A line of one measure over the epochs that have it.
fn series<'a>(
    name: &'a str,
    tone: Tone,
    epochs: &[EpochFacts],
    measure: fn(&EpochFacts) -> Option<f64>,
) -> Series<'a> {
    let points = epochs.iter().filter_map(|facts| Some((f64::from(facts.epoch), measure(facts)?)));
    Series { name, tone, points: points.filter(|point| point.1.is_finite()).collect() }
}

fn accuracy(epochs: &[EpochFacts]) -> LineChart<'static> {
    LineChart {
        title: "accuracy over epochs",
        across: "epoch",
        unit: Unit::Share,
        series: vec![
            series("training", Tone::Grey, epochs, |facts| facts.train_accuracy),
            series("validation", Tone::Blue, epochs, |facts| facts.validation_accuracy),
            series("class mean", Tone::Green, epochs, |facts| facts.mean_class_accuracy),
        ],
    }
}

fn loss(epochs: &[EpochFacts]) -> LineChart<'static> {
    let series = vec![series("training", Tone::Grey, epochs, |facts| facts.train_loss)];
    LineChart { title: "loss over epochs", across: "epoch", unit: Unit::Number, series }
}

fn importance(epochs: &[EpochFacts]) -> LineChart<'static> {
    LineChart {
        title: "importance over epochs",
        across: "epoch",
        unit: Unit::Share,
        series: vec![
            series("high group", Tone::Blue, epochs, |facts| facts.importance_high),
            series("low group", Tone::Orange, epochs, |facts| facts.importance_low),
            series("RR = 0", Tone::Grey, epochs, |facts| facts.rank_loss_zero_share),
        ],
    }
}

fn relabels(epochs: &[EpochFacts]) -> Option<Markup> {
    let counts: Vec<u64> = epochs
        .iter()
        .map(|facts| facts.relabels)
        .collect::<Option<Vec<u64>>>()
        .filter(|all| !all.is_empty())?;
    let ends = (epochs.first()?.epoch.to_string(), epochs.last()?.epoch.to_string());
    let title = "relabels over epochs";
    columns(&ColumnChart { title, counts: &counts, ends, across: "epoch", tone: Tone::Orange })
}

fn histogram(report: &RunReport) -> Option<Markup> {
    let histogram = report.importance.as_ref()?;
    columns(&ColumnChart {
        title: "training samples by importance",
        counts: &histogram.bins,
        ends: ("0".to_owned(), "1".to_owned()),
        across: "importance",
        tone: Tone::Blue,
    })
}

/// The confusion matrix and how to read it.
pub(super) fn confusion(report: &RunReport) -> Markup {
    let Some(confusion) = report.confusion.as_ref().filter(|confusion| !confusion.classes.is_empty()) else {
        return not_known("the run has not judged any held-out sample.");
    };
    html! {
        p { "Rows are " (confusion.rows_are) "; figures are per cent of the row." }
        div.pair {
            div.scroll { (heat(confusion)) }
            div {
                h3 { "Most frequent mistakes" }
                ol.mistakes {
                    @for (given, predicted, number) in confusion.mistakes().into_iter().take(8) {
                        li { (given) " taken for " b { (predicted) } " " span.note { (count(number)) } }
                    }
                }
            }
        }
    }
}

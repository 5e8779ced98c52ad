//! Labels before and after, and pictures of the samples with least importance or a changed label.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use crate::words::{count, decimal, known, plural, share_of, signed};

use super::super::chart::{Segment, Tone, bar};
use super::super::labels::{ClassCount, LeastImportant, RelabelledSample};
use super::super::run_report::RunReport;
use super::not_known;

/// The classes, then the contact sheets.
pub(super) fn labels(report: &RunReport) -> Markup {
    let shown = count(report.relabelled.len() as u64);
    html! {
        h3 { "Training samples by class" }
        div.scroll { (classes(&report.class_counts)) }
        h3 { "Would be relabelled" }
        @match report.relabelled_total {
            Some(0) => p { "No label: the run agrees with all of them, or does not relabel." },
            Some(total) => p { (plural(total, "sample")) ". The surest of each clip are shown (" (shown) "), with the net's probability of the new label over that of the old one." },
            None => (not_known("the run has not ended.")),
        }
        div.sheet { @for sample in &report.relabelled { (relabelled(sample)) } }
        h3 { "Least important" }
        @if report.least_important.is_empty() { (not_known("the run does not tell samples apart by importance.")) }
        @else { p { "The training samples that the run trusts least, one a clip, least first." } }
        div.sheet { @for sample in &report.least_important { (least_important(sample)) } }
    }
}

fn classes(classes: &[ClassCount]) -> Markup {
    if classes.is_empty() {
        return not_known("the run has no samples yet.");
    }
    let most = classes.iter().map(|class| class.before.max(class.after.unwrap_or(0))).max().unwrap_or(0);
    html! {
        table.numbers.classes {
            thead { tr {
                th scope="col" { "class" }
                th.right scope="col" { "before" }
                th.right scope="col" { "after" }
                th.right scope="col" { "change" }
                th.wide { span.key.grey {} "before " span.key.blue {} "after" }
            } }
            tbody { @for class in classes { (class_row(class, most)) } }
        }
    }
}

fn class_row(class: &ClassCount, most: u64) -> Markup {
    let part = |number: u64, tone| Segment { share: share_of(number, most).unwrap_or(0.0), tone };
    html! {
        tr {
            th scope="row" { (class.class) }
            td.right { (count(class.before)) }
            td.right { (known(class.after, count)) }
            td.right { (class.after.map_or("–".to_owned(), |after| change(class.before, after))) }
            td.wide {
                (bar(&[part(class.before, Tone::Grey)]))
                @if let Some(after) = class.after { (bar(&[part(after, Tone::Blue)])) }
            }
        }
    }
}

/// "+12", "−3" or "0".
pub(super) fn change(before: u64, after: u64) -> String {
    signed(after.cast_signed() - before.cast_signed())
}

fn relabelled(sample: &RelabelledSample) -> Markup {
    let importance = known(sample.importance, |importance| decimal(importance, 2));
    html! {
        figure.sample {
            (picture(&sample.jpeg, sample.sample_id))
            figcaption {
                span.from { (sample.from) " →" } b.to { (sample.to) }
                (verdict(sample.true_label.as_deref(), &sample.to))
                span.note {
                    (decimal(sample.p_max, 2)) " over " (decimal(sample.p_given, 2)) br;
                    "importance " (importance) br;
                    "epoch " (sample.epoch)
                }
            }
        }
    }
}

fn least_important(sample: &LeastImportant) -> Markup {
    html! {
        figure.sample {
            (picture(&sample.jpeg, sample.sample_id))
            figcaption {
                b { (sample.label) }
                (verdict(sample.true_label.as_deref(), &sample.label))
                span.note {
                    "predicted " (known(sample.predicted.clone(), |predicted| predicted)) br;
                    "importance " (decimal(sample.importance, 2))
                }
            }
        }
    }
}

/// Whether a label is the true one, if that is known.
fn verdict(true_label: Option<&str>, label: &str) -> Markup {
    html! {
        @match true_label {
            Some(truth) if truth == label => span.verdict.right { "✓ true" },
            Some(truth) => span.verdict.wrong { "✗ truly " (truth) },
            None => {},
        }
    }
}

pub(super) fn picture(jpeg: &[u8], sample_id: i64) -> Markup {
    let alt = format!("sample {sample_id}");
    html! {
        @if jpeg.is_empty() { div.missing { "no picture" } }
        @else {
            img src=(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg))) alt=(alt) title=(alt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_carries_its_sign() {
        assert_eq!([change(10, 12), change(12, 10), change(5, 5)], ["+2", "−2", "0"]);
    }

    #[test]
    fn a_label_is_judged_only_where_the_truth_is_known() {
        assert!(verdict(None, "fear").into_string().is_empty());
        assert!(verdict(Some("fear"), "fear").into_string().contains("✓"));
        assert!(verdict(Some("anger"), "fear").into_string().contains("truly anger"));
    }
}

//! The results of a run as text. Programs find all of it in `result.json` and `metrics.jsonl`.

use crate::train::recipe::Method;
use crate::train::{MeasuredOn, Measures, Trained};
use crate::words::{plural, share};

/// A blank, and eight heights of bars.
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Accuracies and labels, in one line.
pub(super) fn words(trained: &Trained) -> String {
    let labels = trained.labels.map_or_else(String::new, |labels| {
        format!(
            ", wrong labels {} → {} (fixed {}, broken {})",
            share(labels.before),
            share(labels.left),
            percent(labels.fixed),
            percent(labels.broken)
        )
    });
    format!("{}: {}{labels}", trained.method.as_str(), accuracies(&trained.measures()))
}

/// Accuracies, and the samples they were measured on.
pub(super) fn accuracies(measures: &Measures) -> String {
    format!(
        "last-5 accuracy {}, best {}, mean class {}{}",
        percent(measures.last5_accuracy),
        percent(measures.best_accuracy),
        percent(measures.mean_class_accuracy),
        on(measures.measured_on)
    )
}

/// The samples that accuracies were measured on, as a suffix in parentheses.
pub(super) fn on(measured_on: Option<MeasuredOn>) -> String {
    match measured_on {
        Some(on) if on.chose_the_best() => format!(" (on {on}, which also chose the best)"),
        Some(on) => format!(" (on {on})"),
        None => String::new(),
    }
}

/// A share in percent, or a dash when it is unknown.
pub(super) fn percent(known: Option<f64>) -> String {
    known.map_or_else(|| "–".to_owned(), share)
}

/// Details that show whether to trust the run: each class, calibration, importance, and unreadable pictures.
pub(super) fn details(trained: &Trained) -> Vec<String> {
    let parts =
        [classes(trained), importance(trained), unchanged(trained), precision(trained), unreadable(trained)];
    parts.into_iter().flatten().collect()
}

fn classes(trained: &Trained) -> Option<String> {
    let (last, split) = (trained.last.as_ref()?, trained.measured_on?);
    let recall = |(class, recall): (&String, &Option<f64>)| match recall {
        Some(recall) => format!("{class} {:.0} %", 100.0 * recall),
        None => format!("{class} –"),
    };
    let recalls: Vec<String> = trained.classes.iter().zip(&last.recalls).map(recall).collect();
    let (recalls, split) = (recalls.join(", "), split.as_str());
    Some(format!("recall ({split}, last epoch): {recalls}; calibration error {:.3}", last.calibration_error))
}

fn importance(trained: &Trained) -> Option<String> {
    let last = trained.epochs.last()?;
    let auc = trained.importance_auc.map(|auc| format!("AUC against wrong labels {auc:.2}"));
    if last.importance_histogram.iter().all(|&count| count == 0) {
        return auc.map(|auc| format!("importance: {auc}"));
    }
    let (bars, zero) = (bars(&last.importance_histogram), 100.0 * last.rank_zero_share);
    let auc = auc.map_or_else(String::new, |auc| format!(", {auc}"));
    Some(format!(
        "importance 0 |{bars}| 1{auc}; rank regularisation was 0 in {zero:.0} % of the last epoch's steps"
    ))
}

/// One character per bin: the largest bin has the full height, and only an empty one is blank.
fn bars(counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    counts
        .iter()
        .map(|&count| HEIGHTS[usize::try_from((count * 8).div_ceil(most)).unwrap_or(8).min(8)])
        .collect()
}

/// A remark if SCN changed no label: its third module, relabelling, did nothing.
fn unchanged(trained: &Trained) -> Option<String> {
    let is_scn = trained.method == Method::Scn;
    (is_scn && trained.relabels.is_empty())
        .then(|| "no label was changed; --relabel-epoch says when relabelling begins".to_owned())
}

fn precision(trained: &Trained) -> Option<String> {
    let precision = trained.labels?.precision?;
    Some(format!("of the labels that changed {} are right now", share(precision)))
}

fn unreadable(trained: &Trained) -> Option<String> {
    let first = trained.unreadable.first()?;
    let pictures = plural(trained.unreadable.len(), "picture");
    Some(format!("{pictures} could not be read, all are named in result.json; the first: {first}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::metrics::{EpochMetrics, LabelAudit, SplitMetrics};
    use crate::types::{Relabel, Split};

    fn trained() -> Trained {
        Trained {
            method: Method::Scn,
            recipe_hash: String::new(),
            classes: ["cat", "dog"].map(str::to_owned).to_vec(),
            device: "cpu".to_owned(),
            measured_on: Some(Split::Test),
            last5_accuracy: Some(0.75),
            best_accuracy: None,
            best_epoch: None,
            mean_class_accuracy: Some(0.5),
            last: Some(SplitMetrics {
                recalls: vec![Some(0.5), None],
                confusion: vec![vec![1, 1], vec![0, 0]],
                calibration_error: 0.25,
                ..SplitMetrics::default()
            }),
            labels: Some(LabelAudit {
                fixed: Some(0.5),
                broken: Some(0.1),
                left: 0.2,
                before: 0.3,
                precision: Some(0.8),
            }),
            importance_auc: Some(0.75),
            images_per_s: 1.0,
            epochs: vec![EpochMetrics {
                importance_histogram: [0, 0, 0, 0, 0, 0, 0, 1, 4, 8],
                rank_zero_share: 0.9,
                ..EpochMetrics::default()
            }],
            relabels: vec![Relabel {
                sample: 0,
                epoch: 1,
                from: 0,
                to: 1,
                p_max: 0.9,
                p_given: 0.1,
                importance: 0.5,
            }],
            opinions: Vec::new(),
            unreadable: vec!["a.png: torn".to_owned()],
        }
    }

    #[test]
    fn details_cover_classes_importance_labels_and_unreadable_pictures() {
        let said = details(&trained()).join("\n");
        assert_eq!(
            said,
            "recall (test, last epoch): cat 50 %, dog –; calibration error 0.250\n\
             importance 0 |       ▁▄█| 1, AUC against wrong labels 0.75; \
             rank regularisation was 0 in 90 % of the last epoch's steps\n\
             of the labels that changed 80.0 % are right now\n\
             1 picture could not be read, all are named in result.json; the first: a.png: torn"
        );
    }

    #[test]
    fn a_self_cure_network_that_changed_nothing_says_so() {
        let mut idle = trained();
        idle.relabels.clear();
        assert!(details(&idle).iter().any(|line| line.starts_with("no label was changed")));
        assert!(!details(&trained()).iter().any(|line| line.starts_with("no label was changed")));
    }

    #[test]
    fn a_baseline_has_no_importance_to_show() {
        let mut baseline = Trained { method: Method::Baseline, ..trained() };
        (baseline.labels, baseline.importance_auc, baseline.unreadable) = (None, None, Vec::new());
        baseline.epochs[0].importance_histogram = [0; 10];
        assert_eq!(details(&baseline).len(), 1);
        assert_eq!(
            words(&baseline),
            "baseline: last-5 accuracy 75.0 %, best –, mean class 50.0 % (on 2 test samples)"
        );
    }

    #[test]
    fn the_accuracies_say_if_the_best_was_chosen_on_the_same_samples() {
        let own = Trained { measured_on: Some(Split::Validation), ..trained() };
        let said = words(&own);
        assert!(said.contains("(on 2 validation samples, which also chose the best)"), "{said}");
        let unmeasured = accuracies(&Measures::default());
        assert_eq!(unmeasured, "last-5 accuracy –, best –, mean class –");
    }
}

//! Reads the stored metrics of each epoch, leniently: measures that a method or an older release lacks are missing.

use serde::Deserialize;

use super::super::epochs::{Confusion, EpochFacts};
use super::super::run_report::TestResult;

/// The metrics of one epoch, as far as reports show them.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Measured {
    epoch: u32,
    loss: Option<f64>,
    train_accuracy: Option<f64>,
    importance_high: Option<f64>,
    importance_low: Option<f64>,
    rank_zero_share: Option<f64>,
    importance_histogram: Vec<u64>,
    relabelled: Option<u64>,
    validation: Option<Held>,
    test: Option<Held>,
}

/// Measures on held-out samples.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
struct Held {
    accuracy: Option<f64>,
    mean_class_accuracy: Option<f64>,
    confusion: Vec<Vec<u64>>,
}

/// Reads the rows of a run's epochs; of a row that is not valid JSON every measure is missing.
pub(super) fn read(rows: &[(u32, String)]) -> Vec<Measured> {
    let one = |(epoch, metrics): &(u32, String)| {
        let measured: Measured = serde_json::from_str(metrics).unwrap_or_default();
        Measured { epoch: *epoch, ..measured }
    };
    rows.iter().map(one).collect()
}

/// An epoch as the report shows it. The share of RR = 0 is left out for a method without importance.
pub(super) fn facts(measured: Measured) -> EpochFacts {
    let has_importance = measured.importance_histogram.iter().any(|count| *count > 0);
    EpochFacts {
        epoch: measured.epoch,
        train_loss: measured.loss,
        train_accuracy: measured.train_accuracy,
        validation_accuracy: measured.validation.as_ref().and_then(|held| held.accuracy),
        mean_class_accuracy: measured.validation.as_ref().and_then(|held| held.mean_class_accuracy),
        importance_high: measured.importance_high,
        importance_low: measured.importance_low,
        rank_loss_zero_share: measured.rank_zero_share.filter(|_| has_importance),
        relabels: measured.relabelled,
    }
}

/// The test split's result: means over the last epochs that measured it, five at most.
pub(super) fn test(measured: &[Measured]) -> Option<TestResult> {
    let last: Vec<&Held> = measured.iter().rev().filter_map(|epoch| epoch.test.as_ref()).take(5).collect();
    let samples = last.first()?.confusion.iter().flatten().sum();
    Some(TestResult {
        samples,
        epochs: last.len() as u64,
        accuracy: mean(last.iter().filter_map(|held| held.accuracy))?,
        mean_class_accuracy: mean(last.iter().filter_map(|held| held.mean_class_accuracy)),
    })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// The last epoch's confusion on the validation samples, else on the test samples.
pub(super) fn confusion(measured: &[Measured], classes: &[String]) -> Option<Confusion> {
    let last = measured.last()?;
    let held =
        [(last.validation.as_ref(), "validation labels"), (last.test.as_ref(), "labels of the test split")];
    let found = held.into_iter().find_map(|(held, rows)| Some((held?, rows)));
    let (held, rows_are) = found.filter(|(held, _)| held.confusion.len() == classes.len())?;
    Some(Confusion {
        rows_are: rows_are.to_owned(),
        classes: classes.to_vec(),
        counts: held.confusion.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"{"loss": 0.5, "rank_zero_share": 0.25, "importance_histogram": [0, 2], "news": 1,
        "relabelled": 3, "validation": {"accuracy": 0.75, "mean_class_accuracy": 0.5, "confusion": [[3, 1], [0, 0]]},
        "test": {"accuracy": 0.5, "confusion": [[1, 1], [1, 1]]}}"#;

    #[test]
    fn missing_measures_are_unknown_and_new_ones_are_ignored() {
        let measured = read(&[(1, METRICS.to_owned()), (2, "no json".to_owned())]);
        let facts: Vec<_> = measured.into_iter().map(facts).collect();
        assert_eq!(
            (facts[0].train_loss, facts[0].train_accuracy, facts[0].relabels),
            (Some(0.5), None, Some(3))
        );
        assert_eq!((facts[0].validation_accuracy, facts[0].rank_loss_zero_share), (Some(0.75), Some(0.25)));
        assert_eq!(facts[1], EpochFacts { epoch: 2, ..EpochFacts::default() });
    }

    #[test]
    fn the_test_split_is_a_mean_of_the_last_epochs_that_measured_it() {
        let better = METRICS.replace("\"accuracy\": 0.5,", "\"accuracy\": 1.0,");
        let test = test(&read(&[(1, METRICS.to_owned()), (2, better)])).unwrap();
        assert_eq!((test.samples, test.epochs, test.accuracy), (4, 2, 0.75));
    }

    #[test]
    fn a_confusion_of_other_classes_is_not_shown() {
        let measured = read(&[(1, METRICS.to_owned())]);
        let classes = ["anger", "fear"].map(str::to_owned);
        assert_eq!(confusion(&measured, &classes).unwrap().counts, [[3, 1], [0, 0]]);
        assert_eq!(confusion(&measured, &classes[..1]), None);
    }
}

//! The accuracy of a run: from its own summary if it ended, else from its epochs so far; always with the samples that it
//! was measured on.

use serde::Deserialize;

use super::super::epochs::{EpochFacts, best, last_five, mean_of_last_five};
use super::super::run_report::RunSummary;
use super::epochs::{self, Measured};
use crate::catalog::runs::{Run, RunState};
use crate::types::Split;
use crate::words::plural;

/// A run's summary, as far as reports show it.
#[derive(Debug, Deserialize)]
struct Closing {
    last5_accuracy: Option<f64>,
    best_accuracy: Option<f64>,
    mean_class_accuracy: Option<f64>,
    measured_on: MeasuredOn,
}

#[derive(Debug, Deserialize)]
struct MeasuredOn {
    split: Split,
    samples: u64,
}

/// A summary line with the accuracies of a run; the rest of it is still empty.
pub(super) fn of(run: &Run, measured: &[Measured]) -> RunSummary {
    let summary = run.summary.as_deref().filter(|_| run.state == RunState::Done);
    let closing = summary.and_then(|summary| serde_json::from_str::<Closing>(summary).ok());
    let facts: Vec<EpochFacts> = measured.iter().cloned().map(epochs::facts).collect();
    match closing {
        Some(closing) => closed(&closing, measured, &facts),
        None => so_far(&facts),
    }
}

fn closed(closing: &Closing, measured: &[Measured], facts: &[EpochFacts]) -> RunSummary {
    let MeasuredOn { split, samples } = closing.measured_on;
    let last_epochs = match split {
        Split::Test => epochs::test(measured).map(|test| test.epochs),
        _ => last_five(facts).map(|(epochs, _)| epochs),
    };
    RunSummary {
        last_five_accuracy: closing.last5_accuracy,
        last_epochs: last_epochs.unwrap_or_default(),
        best_accuracy: closing.best_accuracy,
        mean_class_accuracy: closing.mean_class_accuracy,
        measured_on: Some(plural(samples, &format!("{} sample", split.as_str()))),
        ..RunSummary::default()
    }
}

fn so_far(facts: &[EpochFacts]) -> RunSummary {
    let last_five = last_five(facts);
    RunSummary {
        last_five_accuracy: last_five.map(|(_, accuracy)| accuracy),
        last_epochs: last_five.map_or(0, |(epochs, _)| epochs),
        best_accuracy: best(facts).map(|(_, accuracy)| accuracy),
        mean_class_accuracy: mean_of_last_five(facts, |one| one.mean_class_accuracy).map(|(_, mean)| mean),
        measured_on: last_five.map(|_| Split::Validation.as_str().to_owned()),
        ..RunSummary::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::RunId;

    const CLOSING: &str = r#"{"event": "trained", "last5_accuracy": 0.25, "best_accuracy": 0.375,
        "mean_class_accuracy": 0.125, "measured_on": {"split": "test", "samples": 8}}"#;

    fn run(state: RunState, summary: Option<&str>) -> Run {
        Run {
            id: RunId(1),
            name: "scn-1".to_owned(),
            method: "scn".to_owned(),
            recipe_hash: String::new(),
            seed: 7,
            folder: "runs/scn-1".to_owned(),
            state,
            classes: Vec::new(),
            device: None,
            noise: None,
            summary: summary.map(str::to_owned),
            started_at: 0,
            finished_at: None,
            adopted_at: None,
        }
    }

    fn measured() -> Vec<Measured> {
        let epoch = |accuracy: f64| {
            format!(r#"{{"validation": {{"accuracy": {accuracy}, "mean_class_accuracy": {accuracy}}}}}"#)
        };
        epochs::read(&[(1, epoch(0.5)), (2, epoch(1.0))])
    }

    #[test]
    fn a_finished_run_is_summarised_by_its_own_summary() {
        let accuracy = of(&run(RunState::Done, Some(CLOSING)), &measured());
        assert_eq!((accuracy.last_five_accuracy, accuracy.best_accuracy), (Some(0.25), Some(0.375)));
        assert_eq!(accuracy.mean_class_accuracy, Some(0.125));
        assert_eq!(accuracy.measured_on.as_deref(), Some("8 test samples"));
    }

    #[test]
    fn a_run_under_way_is_summarised_by_the_validation_accuracy_of_its_epochs() {
        for going_on in [run(RunState::Open, Some(CLOSING)), run(RunState::Done, None)] {
            let accuracy = of(&going_on, &measured());
            assert_eq!((accuracy.last_five_accuracy, accuracy.mean_class_accuracy), (Some(0.75), Some(0.75)));
            assert_eq!(accuracy.measured_on.as_deref(), Some("validation"));
        }
    }
}

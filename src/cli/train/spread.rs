//! Mean and standard deviation of the results of runs that differ only in their seed.

use serde::Serialize;
use serde_json::{Value, json};

use super::closing::on;
use crate::train::{ClosingLine, MeasuredOn, Measures};

/// Mean and deviation of one measure over runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The mean of the runs that have the measure.
    pub(crate) mean: f64,
    /// Their standard deviation as a sample's (divided by n − 1); `None` for one run.
    pub(crate) sd: Option<f64>,
}

impl Spread {
    /// Of the known values; `None` when there is none.
    pub(crate) fn of(values: impl IntoIterator<Item = Option<f64>>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().flatten().collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        (!values.is_empty()).then_some(Self { mean, sd })
    }

    /// As percent, `61.2 ± 0.8` or `61.2`.
    pub(crate) fn percent(&self) -> String {
        let sd = self.sd.map_or_else(String::new, |sd| format!(" ± {:.1}", 100.0 * sd));
        format!("{:.1}{sd}", 100.0 * self.mean)
    }
}

/// [`Measures`] over runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spreads {
    pub(crate) last5_accuracy: Option<Spread>,
    pub(crate) best_accuracy: Option<Spread>,
    pub(crate) mean_class_accuracy: Option<Spread>,
    /// What all of them were measured on; `None` where they differ.
    pub(crate) measured_on: Option<MeasuredOn>,
    pub(crate) fixed: Option<Spread>,
    pub(crate) broken: Option<Spread>,
    pub(crate) left: Option<Spread>,
    pub(crate) images_per_s: Option<Spread>,
}

impl Spreads {
    /// Over the runs' measures.
    pub(crate) fn of(runs: &[Measures]) -> Self {
        let spread = |measure: fn(&Measures) -> Option<f64>| Spread::of(runs.iter().map(measure));
        let first = runs.first().and_then(|run| run.measured_on);
        Self {
            last5_accuracy: spread(|run| run.last5_accuracy),
            best_accuracy: spread(|run| run.best_accuracy),
            mean_class_accuracy: spread(|run| run.mean_class_accuracy),
            measured_on: first.filter(|_| runs.iter().all(|run| run.measured_on == first)),
            fixed: spread(|run| run.labels.fixed),
            broken: spread(|run| run.labels.broken),
            left: spread(|run| run.labels.left),
            images_per_s: spread(|run| Some(run.images_per_s)),
        }
    }

    /// The closing line of `train --seeds`: the keys of one run's closing line with means, the same keys with deviations
    /// below `sd`, and the names of the runs.
    pub(crate) fn closing_line(&self, runs: &[ClosingLine]) -> Value {
        let mut line = self.numbers(|spread| Some(spread.mean));
        line["event"] = json!("trained");
        line["run"] = Value::Null;
        line["runs"] = runs.iter().map(|line| line.run.as_str()).collect();
        line["measured_on"] = json!(self.measured_on);
        line["sd"] = self.numbers(|spread| spread.sd);
        line
    }

    fn numbers(&self, number: fn(Spread) -> Option<f64>) -> Value {
        let of = |spread: Option<Spread>| spread.and_then(number);
        json!({
            "last5_accuracy": of(self.last5_accuracy),
            "best_accuracy": of(self.best_accuracy),
            "mean_class_accuracy": of(self.mean_class_accuracy),
            "labels": {"fixed": of(self.fixed), "broken": of(self.broken), "left": of(self.left)},
            "images_per_s": of(self.images_per_s),
        })
    }

    /// In words.
    pub(crate) fn describe(&self) -> String {
        let percent = |spread: Option<Spread>| {
            spread.map_or_else(|| "–".to_owned(), |spread| format!("{} %", spread.percent()))
        };
        let labels = self.left.map_or_else(String::new, |left| {
            let (fixed, broken) = (percent(self.fixed), percent(self.broken));
            format!(", wrong labels in the end {} % (fixed {fixed}, broken {broken})", left.percent())
        });
        format!(
            "last-5 accuracy {}, best {}, mean class {}{}{labels}",
            percent(self.last5_accuracy),
            percent(self.best_accuracy),
            percent(self.mean_class_accuracy),
            on(self.measured_on)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::LabelShares;
    use crate::types::Split;

    /// 0.5, 0.6, 0.7: the mean is 0.6, the squares sum to 0.02, divided by two the root is 0.1.
    #[test]
    fn the_deviation_is_the_sample_standard_deviation() {
        let spread = Spread::of([0.5, 0.6, 0.7].map(Some)).unwrap();
        assert!((spread.mean - 0.6).abs() < 1e-12 && (spread.sd.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(spread.percent(), "60.0 ± 10.0");
    }

    #[test]
    fn one_run_has_no_deviation_and_an_unknown_measure_no_mean() {
        assert_eq!(Spread::of([None, Some(0.25)]), Some(Spread { mean: 0.25, sd: None }));
        assert_eq!(Spread::of([None, None]), None);
    }

    #[test]
    fn the_closing_line_of_seeds_has_all_keys_of_one_runs_and_their_deviations() {
        let line = |run: &str, accuracy: f64, left: Option<f64>| ClosingLine {
            run: run.to_owned(),
            measures: Measures {
                last5_accuracy: Some(accuracy),
                mean_class_accuracy: Some(0.5),
                measured_on: Some(MeasuredOn { split: Split::Test, samples: 9 }),
                labels: LabelShares { left, ..LabelShares::default() },
                images_per_s: 100.0,
                ..Measures::default()
            },
        };
        let mut lines = [line("scn-1", 0.5, Some(0.1)), line("scn-2", 0.7, Some(0.3))];
        let runs = lines.clone().map(|line| line.measures);
        let closing = Spreads::of(&runs).closing_line(&lines);
        for key in json!(lines[0]).as_object().unwrap().keys() {
            assert!(closing.get(key).is_some(), "{key} is missing");
        }
        assert_eq!(
            (closing["run"].clone(), closing["runs"].clone()),
            (Value::Null, json!(["scn-1", "scn-2"]))
        );
        assert!((closing["last5_accuracy"].as_f64().unwrap() - 0.6).abs() < 1e-12);
        assert!((closing["sd"]["last5_accuracy"].as_f64().unwrap() - 0.02_f64.sqrt()).abs() < 1e-12);
        assert_eq!(closing["best_accuracy"], Value::Null);
        assert!((closing["labels"]["left"].as_f64().unwrap() - 0.2).abs() < 1e-12);
        assert_eq!(closing["sd"]["labels"]["fixed"], Value::Null);
        assert_eq!(closing["measured_on"], json!({"split": "test", "samples": 9}));
        lines[1].measures.measured_on = None;
        let runs = lines.map(|line| line.measures);
        assert_eq!(Spreads::of(&runs).measured_on, None, "not all of them on the same");
    }

    #[test]
    fn the_description_leaves_out_labels_whose_truth_is_unknown() {
        let run =
            Measures { last5_accuracy: Some(0.5), mean_class_accuracy: Some(0.4), ..Measures::default() };
        assert_eq!(Spreads::of(&[run]).describe(), "last-5 accuracy 50.0 %, best –, mean class 40.0 %");
        let labels = LabelShares { fixed: Some(0.5), broken: Some(0.01), left: Some(0.1) };
        let text = Spreads::of(&[Measures { labels, ..run }]).describe();
        assert!(text.ends_with(", wrong labels in the end 10.0 % (fixed 50.0 %, broken 1.0 %)"), "{text}");
    }
}

//! A run's opinions on all samples, as a table for people who clean a data set: `opinions.csv` in the run's folder.

use std::path::Path;

use super::folder::unwritable;
use crate::failure::Failure;
use crate::files::write_whole;
use crate::train::data::TrainingSet;
use crate::train::{Opinion, Trained};

const FILE: &str = "opinions.csv";
const HEAD: [&str; 9] =
    ["name", "split", "given", "label", "decision", "predicted", "p_predicted", "p_given", "importance"];

/// Writes the table, one row for each sample that could be read, by position.
///
/// `given` is the label that training began with, `label` the one in force at the end; `decision` says what to do with
/// the given one: keep, relabel or ask (a person). Probabilities and importance are 0 to 1; importance is empty for
/// methods that have none.
pub(super) fn write(folder: &Path, trained: &Trained, set: &TrainingSet) -> Result<(), Failure> {
    let path = folder.join(FILE);
    write_whole(&path, &table(trained, set)?).map_err(|error| unwritable(&path, &error))
}

fn table(trained: &Trained, set: &TrainingSet) -> Result<Vec<u8>, Failure> {
    let no_table = |error: csv::Error| Failure::bug(format!("opinions are no table: {error}"));
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(HEAD).map_err(no_table)?;
    for opinion in &trained.opinions {
        table.write_record(row(opinion, set)).map_err(no_table)?;
    }
    table.into_inner().map_err(|error| no_table(error.into_error().into()))
}

fn row(opinion: &Opinion, set: &TrainingSet) -> [String; 9] {
    let class = |index: usize| set.classes.get(index).cloned().unwrap_or_default();
    [
        set.pictures.name(opinion.sample),
        opinion.split.as_str().to_owned(),
        class(set.labels[opinion.sample]),
        class(opinion.label),
        opinion.decision.as_str().to_owned(),
        class(opinion.predicted),
        format!("{:.4}", opinion.p_predicted),
        format!("{:.4}", opinion.p_given),
        opinion.importance.map_or_else(String::new, |importance| format!("{importance:.4}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Decision;
    use crate::train::drawn::shapes;
    use crate::types::Split;

    #[test]
    fn a_row_names_the_sample_its_labels_and_the_decision() {
        let set = shapes(6, 1);
        let opinion = Opinion {
            sample: 4,
            split: Split::Train,
            label: 2,
            importance: Some(0.25),
            predicted: 2,
            p_predicted: 0.9,
            p_given: 0.05,
            decision: Decision::Relabel,
        };
        let row = row(&opinion, &set);
        assert_eq!(row[1..], ["train", "cross", "ring", "relabel", "ring", "0.9000", "0.0500", "0.2500"]);
        assert_eq!(row[0], set.pictures.name(4));
        let unknown = Opinion { importance: None, ..opinion };
        assert_eq!(super::row(&unknown, &set)[8], "");
    }
}

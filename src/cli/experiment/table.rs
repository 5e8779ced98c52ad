//! The table of an experiment: one row for each share of wrong labels and method, over seeds.

use serde::Serialize;
use serde_json::{Value, json};

use super::published::Column;
use crate::cli::train::spread::{Spread, Spreads};
use crate::train::Measures;
use crate::train::recipe::Method;

/// The result of one training of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Measured {
    /// Share of wrong labels.
    pub(super) noise: f64,
    pub(super) method: Method,
    pub(super) seed: u64,
    #[serde(flatten)]
    pub(super) measures: Measures,
    /// AUC of importance: the probability that a correct label's exceeds a wrong one's.
    pub(super) importance_auc: Option<f64>,
}

/// Trainings that differ in their seed only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) noise: f64,
    pub(super) method: Method,
    /// Trainings that are done.
    pub(super) runs: usize,
    #[serde(flatten)]
    pub(super) spreads: Spreads,
    pub(super) importance_auc: Option<Spread>,
    /// The paper's accuracy, where there is one.
    pub(super) paper: Option<f64>,
}

/// The rows of the finished cells, by ascending share, then in the order of [`Method`].
pub(super) fn rows(cells: &[Measured], paper: Option<Column>) -> Vec<Row> {
    let mut keys: Vec<(f64, Method)> = cells.iter().map(|cell| (cell.noise, cell.method)).collect();
    keys.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| (a.1 as u8).cmp(&(b.1 as u8))));
    keys.dedup();
    let row = |(noise, method): (f64, Method)| {
        let of_row = |cell: &&Measured| (cell.noise, cell.method) == (noise, method);
        let cells: Vec<&Measured> = cells.iter().filter(of_row).collect();
        let measures: Vec<Measures> = cells.iter().map(|cell| cell.measures).collect();
        Row {
            noise,
            method,
            runs: cells.len(),
            spreads: Spreads::of(&measures),
            importance_auc: Spread::of(cells.iter().map(|cell| cell.importance_auc)),
            paper: paper.and_then(|column| column.accuracy(method, noise)),
        }
    };
    keys.into_iter().map(row).collect()
}

/// The table for programs.
pub(super) fn json(data: &str, rows: &[Row], paper: Option<Column>) -> Value {
    json!({
        "event": "table", "experiment": "noise", "data": data, "rows": rows,
        "paper": paper.map(Column::note),
    })
}

const HEAD: [&str; 11] = [
    "wrong labels",
    "method",
    "runs",
    "last-5 accuracy",
    "best",
    "mean class",
    "fixed",
    "broken",
    "left",
    "AUC",
    "paper",
];

/// The table for people, in Markdown whose columns are aligned; all but runs and AUC in percent, mean ± standard deviation.
pub(super) fn markdown(data: &str, rows: &[Row], paper: Option<Column>) -> String {
    let lines: Vec<[String; 11]> = rows.iter().map(cells).collect();
    let shown = if paper.is_some() { HEAD.len() } else { HEAD.len() - 1 };
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.chain([HEAD[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..shown).map(width).collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, &width)| format!(" {cell:<width$} |"));
        format!("|{}\n", cells.collect::<String>())
    };
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    let body: String = lines.iter().map(|cells| line(cells)).collect();
    let notes = [
        Some(
            "last-5, best and mean class: accuracy on the test (else validation) part, percent, mean ± standard deviation (n − 1) over runs",
        ),
        Some(
            "fixed: share of the wrong labels that are right in the end; broken: of the right ones that are wrong; left: wrong of all",
        ),
        Some("AUC: chance that a right label's importance exceeds a wrong one's"),
        paper.map(Column::note),
    ];
    let notes: String = notes.into_iter().flatten().map(|note| format!("- {note}\n")).collect();
    let (head, rule) = (line(&HEAD.map(str::to_owned)), line(&rule));
    format!("Wrong labels on {data}\n\n{head}{rule}{body}\n{notes}")
}

fn cells(row: &Row) -> [String; 11] {
    let percent = |spread: Option<Spread>| spread.map_or_else(|| "–".to_owned(), |spread| spread.percent());
    let spreads = &row.spreads;
    [
        format!("{} %", (1_000.0 * row.noise).round() / 10.0),
        row.method.as_str().to_owned(),
        row.runs.to_string(),
        percent(spreads.last5_accuracy),
        percent(spreads.best_accuracy),
        percent(spreads.mean_class_accuracy),
        percent(spreads.fixed),
        percent(spreads.broken),
        percent(spreads.left),
        row.importance_auc.map_or_else(|| "–".to_owned(), |auc| format!("{:.2}", auc.mean)),
        row.paper.map_or_else(|| "–".to_owned(), |accuracy| format!("{:.2}", 100.0 * accuracy)),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::noise::tests::parse;
    use super::*;
    use crate::train::LabelShares;

    fn cell(noise: f64, method: Method, seed: u64, accuracy: f64) -> Measured {
        let labels = LabelShares { fixed: Some(0.5), broken: Some(0.1), left: Some(noise) };
        let measures = Measures {
            last5_accuracy: Some(accuracy),
            best_accuracy: Some(accuracy + 0.1),
            mean_class_accuracy: Some(accuracy - 0.1),
            measured_on: None,
            labels,
            images_per_s: 10.0,
        };
        let importance_auc = (method != Method::Baseline).then_some(0.75);
        Measured { noise, method, seed, measures, importance_auc }
    }

    /// Cells come by seed, rows do not. 0.5 and 0.7 have mean 0.6 and deviation √0.02 = 0.141.
    #[test]
    fn cells_of_one_share_and_method_become_one_row() {
        let cells = [
            cell(0.2, Method::Scn, 0, 0.5),
            cell(0.1, Method::Scn, 0, 0.8),
            cell(0.1, Method::Baseline, 0, 0.4),
            cell(0.2, Method::Scn, 1, 0.7),
        ];
        let rows = rows(&cells, None);
        let keys: Vec<(f64, Method, usize)> =
            rows.iter().map(|row| (row.noise, row.method, row.runs)).collect();
        assert_eq!(keys, [(0.1, Method::Baseline, 1), (0.1, Method::Scn, 1), (0.2, Method::Scn, 2)]);
        let last5 = rows[2].spreads.last5_accuracy.unwrap();
        assert!((last5.mean - 0.6).abs() < 1e-12 && (last5.sd.unwrap() - 0.02_f64.sqrt()).abs() < 1e-12);
        assert_eq!((rows[0].importance_auc, rows[0].spreads.last5_accuracy.unwrap().sd), (None, None));
    }

    #[test]
    fn the_table_is_markdown_that_can_be_read_as_it_is() {
        let paper = Column::of(&parse(&["--dataset", "raf-db:x"]).common);
        let cells =
            [cell(0.1, Method::Scn, 0, 0.5), cell(0.1, Method::Scn, 1, 0.7), cell(0.1, Method::Cure, 0, 0.6)];
        insta::assert_snapshot!(markdown("raf-db", &rows(&cells, paper), paper));
    }

    #[test]
    fn without_the_papers_data_there_is_no_column_for_it() {
        let text = markdown("folder", &rows(&[cell(0.1, Method::Scn, 0, 0.5)], None), None);
        assert!(!text.contains("paper"), "{text}");
        let table = json("folder", &rows(&[cell(0.1, Method::Scn, 0, 0.5)], None), None);
        assert_eq!((table["event"].as_str(), table["paper"].is_null()), (Some("table"), true));
        assert_eq!(
            (table["rows"][0]["method"].as_str(), table["rows"][0]["runs"].as_u64()),
            (Some("scn"), Some(1))
        );
        assert_eq!(table["rows"][0]["last5_accuracy"], json!({"mean": 0.5, "sd": null}));
    }
}

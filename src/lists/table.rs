//! A table's rows as texts under their column names, whatever the file's format. Knows no meaning.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use crate::failure::{Failure, Reason};

/// The columns that a list may have.
const COLUMNS: [&str; 12] =
    ["id", "url", "path", "emotion", "channel", "start_ms", "end_ms", "x", "y", "width", "height", "sha256"];

/// One row: the known columns that are not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cells(BTreeMap<&'static str, String>);

impl Cells {
    /// A cell's text.
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        self.0.get(column).map(String::as_str)
    }

    /// A cell's whole number.
    pub(super) fn whole(&self, column: &str) -> Result<Option<i64>, String> {
        self.read(column, "whole number")
    }

    /// A cell's number; one that is none, as NaN, is refused.
    pub(super) fn number(&self, column: &str) -> Result<Option<f32>, String> {
        match self.read::<f32>(column, "number")? {
            Some(number) if !number.is_finite() => Err(format!("{column} is '{number}', no number")),
            number => Ok(number),
        }
    }

    fn read<T: FromStr>(&self, column: &str, what: &str) -> Result<Option<T>, String> {
        let Some(text) = self.text(column) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("{column} is '{text}', no {what}"))
    }

    fn put(&mut self, column: &str, text: &str) {
        let (known, text) = (COLUMNS.into_iter().find(|known| *known == column), text.trim());
        if let Some(known) = known.filter(|_| !text.is_empty()) {
            self.0.insert(known, text.to_owned());
        }
    }
}

/// Reads a file by its ending.
pub(super) fn read(path: &Path) -> Result<Vec<Cells>, Failure> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match ending.as_str() {
        "csv" => read_csv(path),
        _ => Err(Failure::permanent(Reason::Usage, format!("{} is no .csv file", path.display())).with_hint(
            "other tables can be written as CSV: `duckdb -c \"copy 'list.parquet' to 'list.csv'\"`",
        )),
    }
}

fn read_csv(path: &Path) -> Result<Vec<Cells>, Failure> {
    let told = |what: String| Failure::permanent(Reason::Usage, format!("{}: {what}", path.display()));
    let reader = csv::ReaderBuilder::new().from_path(path);
    let mut reader = reader.map_err(|error| told(error.to_string()))?;
    let header = reader.headers().map_err(|error| told(error.to_string()))?.clone();
    // A program that marks its texts as UTF-8 does so before the first name.
    let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
    if !names.iter().any(|name| COLUMNS.contains(name)) {
        return Err(told(format!("none of the columns {} is in its header", COLUMNS.join(", "))));
    }
    let mut rows = Vec::new();
    for (row, record) in (1..).zip(reader.records()) {
        let record = record.map_err(|error| told(format!("row {row}: {error}")))?;
        let mut cells = Cells::default();
        names.iter().zip(&record).for_each(|(name, text)| cells.put(name, text));
        rows.push(cells);
    }
    Ok(rows)
}

//! A table's rows as texts under their column names, whatever the file's format. Knows no meaning.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::failure::{Failure, Reason};

/// The columns that a list may have.
const COLUMNS: [&str; 12] =
    ["id", "url", "path", "emotion", "channel", "start_ms", "end_ms", "x", "y", "width", "height", "sha256"];

/// No header line is longer.
const MOST_HEADER_BYTES: u64 = 1 << 20;

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
        self.read(column, "whole number", |text| text.parse().ok())
    }

    /// A cell's number, with a decimal point or comma; one that is none, as NaN, is refused.
    pub(super) fn number(&self, column: &str) -> Result<Option<f32>, String> {
        let read = |text: &str| text.replace(',', ".").parse().ok().filter(|number: &f32| number.is_finite());
        self.read(column, "number", read)
    }

    fn read<T>(
        &self,
        column: &str,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(text) = self.text(column) else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| format!("{column} is '{text}', no {what}"))
    }

    fn put(&mut self, column: &str, text: &str) {
        let (known, text) = (COLUMNS.into_iter().find(|known| *known == column), text.trim());
        if let Some(known) = known.filter(|_| !text.is_empty()) {
            self.0.insert(known, text.to_owned());
        }
    }
}

/// What separates the columns: that under which the first line has most of the known names, else the comma.
fn separator(path: &Path) -> std::io::Result<u8> {
    let mut first = Vec::new();
    BufReader::new(File::open(path)?).take(MOST_HEADER_BYTES).read_until(b'\n', &mut first)?;
    let first = String::from_utf8_lossy(&first);
    let known = |separator: &u8| {
        let names = first.split(char::from(*separator));
        let names = names.map(|name| name.trim_matches(|letter: char| !letter.is_ascii_alphanumeric()));
        names.filter(|name| COLUMNS.contains(name)).count()
    };
    // Of equals the last one is taken.
    Ok(b"\t;,".iter().copied().max_by_key(known).unwrap_or(b','))
}

/// Reads a file by its ending.
pub(super) fn read(path: &Path) -> Result<Vec<Cells>, Failure> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match ending.as_str() {
        "csv" | "tsv" => read_csv(path),
        _ => Err(Failure::permanent(Reason::Usage, format!("{} is no .csv file", path.display())).with_hint(
            "other tables can be written as CSV: `duckdb -c \"copy 'list.parquet' to 'list.csv'\"`",
        )),
    }
}

fn read_csv(path: &Path) -> Result<Vec<Cells>, Failure> {
    let refused = |what: String| Failure::permanent(Reason::Usage, format!("{}: {what}", path.display()));
    let separator = separator(path).map_err(|error| refused(error.to_string()))?;
    let reader = csv::ReaderBuilder::new().delimiter(separator).from_path(path);
    let mut reader = reader.map_err(|error| refused(error.to_string()))?;
    let header = reader.headers().map_err(|error| refused(error.to_string()))?.clone();
    // A program that marks its texts as UTF-8 does so before the first name.
    let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
    if !names.iter().any(|name| COLUMNS.contains(name)) {
        return Err(refused(format!("none of the columns {} is in its header", COLUMNS.join(", ")))
            .with_hint(
                "its first line is to name the columns, with commas, semicolons or tabs between them",
            ));
    }
    let mut rows = Vec::new();
    for (row, record) in (1..).zip(reader.records()) {
        let record = record.map_err(|error| refused(format!("row {row}: {error}")))?;
        let mut cells = Cells::default();
        names.iter().zip(&record).for_each(|(name, text)| cells.put(name, text));
        rows.push(cells);
    }
    Ok(rows)
}

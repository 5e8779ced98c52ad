//! Lines of lists as people, spreadsheets and R write them: fields quoted or not, with or without a header.

use std::path::Path;

use image::ImageFormat;

use super::DataError;

/// What may separate a name from a label.
pub(super) const SEPARATORS: [char; 4] = [',', ';', '\t', ' '];

/// A line that gives a picture a label.
pub(super) struct Labelled {
    /// One-based.
    pub(super) number: usize,
    /// With `/` between folders.
    pub(super) name: String,
    pub(super) label: usize,
}

/// Reads a text file, without its byte order mark.
pub(super) fn read_text(path: &Path) -> Result<String, DataError> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The rows of a table, including its header, each with its one-based line. Empty rows, as spreadsheets leave at the
/// end, are left out.
pub(super) fn rows(text: &str) -> impl Iterator<Item = (usize, Vec<String>)> {
    rows_separated_by(text, separator(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()))
}

/// The same where it is known what separates the columns.
pub(super) fn rows_separated_by(text: &str, mark: char) -> impl Iterator<Item = (usize, Vec<String>)> {
    let rows = (1..).zip(text.lines()).map(move |(number, line)| (number, fields(line, mark)));
    rows.filter(|(_, fields)| fields.iter().any(|field| !field.is_empty()))
}

/// What separates the columns of a table: the first of tab, semicolon and comma that its first line contains. Fields
/// may contain the others.
fn separator(head: &str) -> char {
    ['\t', ';'].into_iter().find(|&mark| head.contains(mark)).unwrap_or(',')
}

/// The lines of a list of `NAME LABEL`, without those of separators alone. The first line is a header if it names no
/// picture and does not end in a number.
pub(super) fn labelled(list: &Path) -> Result<Vec<Labelled>, DataError> {
    let text = read_text(list)?;
    let mut lines = Vec::new();
    let is_empty = |line: &str| line.trim().trim_matches(SEPARATORS).is_empty();
    let written = (1..).zip(text.lines()).filter(|(_, line)| !is_empty(line));
    for (place, (number, line)) in written.enumerate() {
        let bad = |problem: &str| DataError::Line {
            path: list.to_owned(),
            line: number,
            problem: format!("{problem} in '{line}'"),
        };
        let (name, label) = name_and_label(line).ok_or_else(|| bad("no label"))?;
        match label.parse() {
            // Windows separates folders by backslashes.
            Ok(label) => lines.push(Labelled { number, name: name.replace('\\', "/"), label }),
            Err(_) if place == 0 && ImageFormat::from_path(&name).is_err() => {}
            Err(_) => return Err(bad("no class index")),
        }
    }
    Ok(lines)
}

/// A name may contain separators. Before a quoted name, R writes the number of the row.
fn name_and_label(line: &str) -> Option<(String, String)> {
    let is_beside_quotes =
        |mark: &char| line.contains(&format!("\"{mark}")) || line.contains(&format!("{mark}\""));
    if let Some(mark) = SEPARATORS.into_iter().find(is_beside_quotes) {
        let mut fields = fields(line, mark);
        fields.retain(|field| !field.is_empty());
        let label = fields.pop()?;
        return Some((fields.pop()?, label));
    }
    let (name, label) = line.trim().trim_end_matches(SEPARATORS).rsplit_once(SEPARATORS)?;
    Some((name.trim_end_matches(SEPARATORS).to_owned(), label.to_owned()))
}

/// The fields of a line, trimmed and unquoted.
fn fields(line: &str, mark: char) -> Vec<String> {
    let trimmed = |field: &str| field.trim().to_owned();
    let unquoted = || {
        let mut table = csv::ReaderBuilder::new();
        table.has_headers(false).delimiter(u8::try_from(mark).ok()?);
        let record = table.from_reader(line.as_bytes()).into_records().next()?.ok()?;
        Some(record.iter().map(trimmed).collect())
    };
    let quoted = if line.contains('"') { unquoted() } else { None };
    quoted.unwrap_or_else(|| line.split(mark).map(trimmed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, usize)>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list.txt");
        std::fs::write(&list, text).unwrap();
        Ok(labelled(&list)?.into_iter().map(|line| (line.name, line.label)).collect())
    }

    #[test]
    fn names_and_labels_are_read_in_every_usual_notation() {
        for text in [
            "a/0.png 1\nb, c.png 2\n",
            "name,label\na/0.png,1\n\"b, c.png\",2\n",
            "\"name\" \"label\"\n\"a/0.png\" 1\n\"b, c.png\" 2\n",
            "\"\",\"name\",\"label\"\r\n\"1\",\"a/0.png\",1\r\n\"2\",\"b, c.png\",2\r\n",
            "\u{feff}name;label\n\"a/0.png\";\"1\"\n\"b, c.png\";\"2\"\n",
            "name,label,\r\na/0.png,1,\r\n\"b, c.png\",2,\r\n,,\r\n",
        ] {
            let expected = [("a/0.png".to_owned(), 1), ("b, c.png".to_owned(), 2)];
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn only_the_first_line_may_be_a_header_and_only_if_it_names_no_picture() {
        let error = read("name label\na.png 1\nb.png two\n").unwrap_err().to_string();
        assert!(error.ends_with("line 3: no class index in 'b.png two'"), "{error}");
        let error = read("a.png one\nb.png 2\n").unwrap_err().to_string();
        assert!(error.ends_with("line 1: no class index in 'a.png one'"), "{error}");
        assert!(read("a.png\n").unwrap_err().to_string().ends_with("line 1: no label in 'a.png'"));
    }

    #[test]
    fn rows_keep_their_line_numbers_and_quoted_fields_may_contain_the_separator() {
        let found: Vec<_> = rows("\"a\";b\r\n\r\n\"c;d\";e\n;\n").collect();
        let expected = [(1, ["a", "b"]), (3, ["c;d", "e"])];
        assert_eq!(found, expected.map(|(line, fields)| (line, fields.map(str::to_owned).to_vec())));
    }
}

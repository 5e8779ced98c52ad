//! Lists of videos as files: what a released data set is when it holds no pictures. Reads them into rows; knows neither
//! the catalog nor the site.
//!
//! # The format
//!
//! CSV (UTF-8, a header line, RFC 4180 quoting; commas, semicolons or tabs between the columns, whichever the header has).
//! One row is one stretch of one video; a video may have many. Columns may stand in any order, and further ones are passed
//! over.
//!
//! | column | type | meaning |
//! | --- | --- | --- |
//! | `id` | text | the video's id on YouTube, eleven characters |
//! | `url` | text | the address of its page on YouTube; instead of `id` |
//! | `path` | text | a file on disk, relative to the list; instead of `id` |
//! | `emotion` | text | the label: one of the eight nouns, or an adjective that data sets use for it |
//! | `channel` | text | the channel's id: what splits go by |
//! | `start_ms`, `end_ms` | whole number | presentation time, milliseconds, half open; empty: the whole video |
//! | `x`, `y`, `width`, `height` | number | the face at `start_ms`: left and top edge and size, fractions of the displayed picture |
//! | `sha256` | text | of the video's file when the list was made |
//!
//! Exactly one of `id`, `url` and `path` is needed in each row; `emotion` too, unless one is said for all. An empty cell is
//! the same as none.
//!
//! A row with a span or a box means that part of its video, however short; a box means the face that overlaps it best when
//! the part begins. Of a video that rows name in parts, only these become clips, each with its row's emotion; the parts of
//! all lists that were taken in add up, and of two that begin together at the same face the first one counts. Rows without
//! span and box mean the whole video.

mod table;

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Reason};
use crate::types::{Emotion, FaceBox, Span};

use self::table::Cells;

/// Where a listed video is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Its id on YouTube, unchecked.
    Id(String),
    /// The address of its page, unchecked.
    Address(String),
    /// A file.
    File(PathBuf),
}

/// One row of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its line, from 1; the header is not counted.
    pub line: u64,
    /// The video.
    pub place: Place,
    /// The label, if the list gives one.
    pub emotion: Option<Emotion>,
    /// The channel's id.
    pub channel: Option<String>,
    /// The part that is meant; none is the whole video.
    pub span: Option<Span>,
    /// Where the face is when the part begins.
    pub face: Option<FaceBox>,
    /// Hash of the file that the list was made from, in hexadecimal.
    pub sha256: Option<String>,
}

/// Told at most; more would hide the first.
const MOST_PROBLEMS: usize = 20;

/// Reads a list.
///
/// # Errors
/// The file cannot be read, or rows are wrong: all of them are told, with their lines, and none is used.
pub fn read(path: &Path) -> Result<Vec<Row>, Failure> {
    let cells = table::read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for (line, cells) in (1..).zip(&cells) {
        match row(line, cells, folder) {
            Ok(row) => rows.push(row),
            Err(problem) => problems.push(format!("row {line}: {problem}")),
        }
    }
    if rows.is_empty() && problems.is_empty() {
        problems.push("it has no rows".to_owned());
    }
    wrong(path, &problems).map_or(Ok(rows), Err)
}

/// What is wrong with a list, if anything is.
pub fn wrong(path: &Path, problems: &[String]) -> Option<Failure> {
    let (first, more) = (problems.get(..MOST_PROBLEMS).unwrap_or(problems), problems.len());
    if more == 0 {
        return None;
    }
    let more = more.saturating_sub(MOST_PROBLEMS);
    let rest = if more > 0 { format!("\n… and {more} more") } else { String::new() };
    let detail = format!("{}: {}{rest}", path.display(), first.join("\n"));
    Some(Failure::permanent(Reason::Usage, detail).with_hint("the README describes the columns of a list"))
}

fn row(line: u64, cells: &Cells, folder: &Path) -> Result<Row, String> {
    Ok(Row {
        line,
        place: place(cells, folder)?,
        emotion: cells
            .text("emotion")
            .map(|word| word.parse().map_err(|error| format!("emotion: {error}")))
            .transpose()?,
        channel: cells.text("channel").map(str::to_owned),
        span: span(cells)?,
        face: face(cells)?,
        sha256: cells.text("sha256").map(str::to_ascii_lowercase),
    })
}

fn place(cells: &Cells, folder: &Path) -> Result<Place, String> {
    match (cells.text("id"), cells.text("url"), cells.text("path")) {
        (Some(id), None, None) => Ok(Place::Id(id.to_owned())),
        (None, Some(url), None) => Ok(Place::Address(url.to_owned())),
        (None, None, Some(path)) => Ok(Place::File(folder.join(path))),
        (None, None, None) => Err("it has none of id, url and path".to_owned()),
        _ => Err("it has more than one of id, url and path".to_owned()),
    }
}

fn span(cells: &Cells) -> Result<Option<Span>, String> {
    match (cells.whole("start_ms")?, cells.whole("end_ms")?) {
        (None, None) => Ok(None),
        (Some(start_ms), Some(end_ms)) if 0 <= start_ms && start_ms < end_ms => {
            Ok(Some(Span { start_ms, end_ms }))
        }
        (Some(start_ms), Some(end_ms)) => Err(format!("{start_ms} to {end_ms} ms is no stretch of time")),
        _ => Err("start_ms and end_ms stand together or not at all".to_owned()),
    }
}

fn face(cells: &Cells) -> Result<Option<FaceBox>, String> {
    let sides = [cells.number("x")?, cells.number("y")?, cells.number("width")?, cells.number("height")?];
    match sides {
        [None, None, None, None] => Ok(None),
        [Some(x), Some(y), Some(width), Some(height)] if width > 0.0 && height > 0.0 && x.max(y) <= 1.0 => {
            Ok(Some(FaceBox { x, y, width, height }))
        }
        [Some(_), Some(_), Some(_), Some(_)] => {
            Err("x, y, width and height are no box in fractions of the picture".to_owned())
        }
        _ => Err("x, y, width and height stand together or not at all".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<Row>, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn a_row_may_say_all_or_little() {
        let rows = list(
            "id,emotion,start_ms,end_ms,x,y,width,height,channel,sha256,note\n\
             dQw4w9WgXcQ,happiness,1000,6000,0.25,0.1,0.5,0.6,UCx,AB12,\"a, b\"\n\
             dQw4w9WgXcQ,sad,,,,,,,,,\n",
        )
        .unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].span, Some(Span { start_ms: 1_000, end_ms: 6_000 }));
        assert_eq!(rows[0].face.unwrap().width, 0.5);
        assert_eq!(rows[0].sha256.as_deref(), Some("ab12"));
        assert_eq!((rows[1].emotion, rows[1].span, rows[1].line), (Some(Emotion::Sadness), None, 2));
    }

    #[test]
    fn semicolons_tabs_and_a_mark_before_the_header_are_read() {
        for (separator, x) in [(',', "0.25"), (';', "0,25"), ('\t', "0,25")] {
            let rows = "\u{feff}\"id\",emotion,note,x,y,width,height\nabc,fear,,X,X,X,X\n";
            let rows = list(&rows.replace(',', &separator.to_string()).replace('X', x)).unwrap();
            assert_eq!(rows[0].place, Place::Id("abc".to_owned()), "{separator:?}");
            assert_eq!(rows[0].face.unwrap().width, 0.25);
        }
        // Other programs' columns may hold whatever they like.
        assert_eq!(list("id,emotion,a;b;c\nabc,fear,x;y;z\n").unwrap()[0].emotion, Some(Emotion::Fear));
    }

    #[test]
    fn a_path_is_meant_from_where_the_list_is() {
        let rows = list("path,emotion\nclips/a.mp4,fear\n").unwrap();
        let Place::File(path) = &rows[0].place else { panic!("no file") };
        assert!(path.is_absolute() && path.ends_with("clips/a.mp4"));
    }

    #[test]
    fn every_wrong_row_is_told_with_its_number() {
        let failure = list(
            "id,url,emotion,start_ms,end_ms,x\n,,fear,,,\na,b,fear,,,\nabc,,joyous,,,\nabc,,fear,9,3,\nabc,,fear,9,,\n\
             abc,,fear,,,0.5\nabc,,fear,x,5,\n",
        )
        .unwrap_err();
        for row in 1..=7 {
            assert!(failure.detail.contains(&format!("row {row}:")), "{row}: {}", failure.detail);
        }
        assert_eq!(failure.reason, Reason::Usage);
    }

    #[test]
    fn a_list_without_a_known_column_or_row_is_refused() {
        assert!(list("video,label\nx,y\n").unwrap_err().detail.contains("none of the columns"));
        assert!(list("id,emotion\n").unwrap_err().detail.contains("no rows"));
        assert!(list("").unwrap_err().detail.contains("none of the columns"));
        assert!(list("id,emotion\nabc\n").unwrap_err().detail.contains("row 1"));
    }

    #[test]
    fn a_file_of_another_kind_is_named() {
        let failure = read(Path::new("/tmp/list.xlsx")).unwrap_err();
        assert!(failure.detail.contains("list.xlsx"), "{failure}");
        let failure = read(Path::new("/nonexistent/list.csv")).unwrap_err();
        assert!(failure.detail.contains("/nonexistent/list.csv"), "{failure}");
    }
}

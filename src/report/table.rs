//! Aligned text tables for a terminal or a log, and the funnel as such tables.

use crate::words::{count, known, share, share_of};

use super::funnel::{EmotionCounts, Funnel, FunnelStep, ReasonCount};

/// Rows of cells under a header; the first column is left-aligned, the others right-aligned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// The columns' names.
    pub head: Vec<String>,
    /// The rows, each with as many cells as the header.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Formats the table with two spaces between columns and no trailing spaces; `coloured` makes the header bold.
    pub fn render(&self, coloured: bool) -> String {
        let widths: Vec<usize> = (0..self.head.len()).map(|column| self.width(column)).collect();
        let head = line(&self.head, &widths);
        let head = if coloured { format!("\u{1b}[1m{head}\u{1b}[0m") } else { head };
        let rows = self.rows.iter().map(|row| line(row, &widths));
        let mut text = std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n");
        text.push('\n');
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = std::iter::once(&self.head).chain(&self.rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let cell = |(column, (cell, width)): (usize, (&String, &usize))| {
        let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
        if column == 0 { format!("{}{gap}", plain(cell)) } else { format!("{gap}{}", plain(cell)) }
    };
    let cells: Vec<String> = cells.iter().zip(widths).enumerate().map(cell).collect();
    cells.join("  ").trim_end().to_owned()
}

/// Replaces each control character, which a terminal would execute, by `?`.
pub fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// The funnel as text: emotions as rows and stages as columns, then each step with its reasons below, then those reasons
/// by emotion.
pub fn status(funnel: &Funnel, coloured: bool) -> String {
    let mut text = format!("{}\n{}", emotions(funnel).render(coloured), steps(funnel));
    let lost = lost(funnel);
    if !lost.rows.is_empty() {
        text.push_str(&format!("\n{}", lost.render(coloured)));
    }
    text
}

/// Each step of the funnel with its reasons below.
pub(super) fn steps(funnel: &Funnel) -> String {
    let mut text = String::new();
    for step in &funnel.steps {
        text.push_str(&step_line(step, funnel.whole(&step.unit)));
        for lost in &step.lost {
            text.push_str(&format!("    {:>9}  {}\n", count(lost.count), plain(&lost.reason)));
        }
    }
    text
}

fn step_line(step: &FunnelStep, whole: u64) -> String {
    let part = share_of(step.kept, whole).filter(|part| *part < 1.0);
    let part = part.map_or(String::new(), |part| format!("  {}", share(part)));
    let waiting = step.waiting.filter(|waiting| *waiting > 0);
    let waiting = waiting.map_or(String::new(), |waiting| format!("  ({} waiting)", count(waiting)));
    format!("{:<9} {:<14} {:>9}{part}{waiting}\n", plain(&step.unit), plain(&step.name), count(step.kept))
}

/// The losses: a row for each step and reason, a column for each emotion.
fn lost(funnel: &Funnel) -> Table {
    let emotions = || funnel.emotions.iter().map(|counts| counts.emotion.clone());
    let row = |step: &FunnelStep, lost: &ReasonCount| {
        let of = |emotion: String| match lost.emotions.get(&emotion) {
            Some(&number) => count(number),
            None => "–".to_owned(),
        };
        let name = format!("not {}: {}", step.name, lost.reason);
        std::iter::once(name).chain(emotions().map(of)).collect::<Vec<String>>()
    };
    let known = |lost: &&ReasonCount| !lost.emotions.is_empty();
    let rows =
        funnel.steps.iter().flat_map(|step| step.lost.iter().filter(known).map(move |lost| row(step, lost)));
    Table { head: std::iter::once("lost".to_owned()).chain(emotions()).collect(), rows: rows.collect() }
}

fn emotions(funnel: &Funnel) -> Table {
    let row = |name: &str, counts: [Option<u64>; 5]| {
        let counts = counts.into_iter().map(|number| known(number, count));
        std::iter::once(name.to_owned()).chain(counts).collect::<Vec<String>>()
    };
    let head = std::iter::once("emotion").chain(EmotionCounts::COLUMNS).map(str::to_owned).collect();
    let mut rows: Vec<Vec<String>> =
        funnel.emotions.iter().map(|counts| row(&counts.emotion, counts.counts())).collect();
    rows.push(row("all", funnel.totals()));
    Table { head, rows }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn the_status_table_matches_its_snapshot() {
        let report = example::report();
        insta::assert_snapshot!(status(&report.funnel.unwrap(), false));
    }

    #[test]
    fn colours_are_only_for_a_terminal_and_control_characters_are_replaced() {
        let table = Table { head: vec!["a".to_owned()], rows: vec![vec!["x\u{1b}[31m".to_owned()]] };
        assert!(table.render(true).contains("\u{1b}[1ma"));
        assert!(!table.render(false).contains('\u{1b}'));
    }
}

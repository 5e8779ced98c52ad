//! The page that links the reports of all runs.

use maud::html as markup;

use super::html::{page, run_cells, run_head};
use super::number::{date, plural};
use super::run_report::RunSummary;

/// A run and its page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IndexEntry {
    /// The run.
    pub run: RunSummary,
    /// Its page, relative to the index; none when no page was written.
    pub page: Option<String>,
}

/// Draws the list of runs, newest first, whatever order they come in.
pub fn index(entries: &[IndexEntry], made_at_ms: i64) -> String {
    let mut entries: Vec<&IndexEntry> = entries.iter().collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.run.started_at_ms));
    page("Runs", &markup! {
        header {
            p.kicker { "webemotion report" }
            h1 { "Runs" }
            p.facts {
                span { (plural(entries.len() as u64, "run")) }
                span { "list of " (date(made_at_ms)) }
            }
        }
        @if entries.is_empty() { p { "No run has been made yet: begin with " code { "webemotion train" } "." } }
        @else { div.scroll { table.numbers {
            thead { (run_head(true)) }
            tbody { @for entry in &entries { tr {
                th scope="row" {
                    @match &entry.page {
                        Some(page) => a href=(relative(page)) { (entry.run.name) },
                        None => (entry.run.name),
                    }
                }
                (run_cells(&entry.run))
            } } }
        } } }
    })
    .into_string()
}

/// A link that can only lead below the index: a name with a colon would be read as a scheme.
fn relative(page: &str) -> String {
    format!("./{}", page.trim_start_matches(['/', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, started_at_ms: i64) -> IndexEntry {
        let run =
            RunSummary { name: name.to_owned(), started_at_ms: Some(started_at_ms), ..RunSummary::default() };
        IndexEntry { run, page: Some(format!("{name}.html")) }
    }

    #[test]
    fn the_newest_run_stands_first() {
        let page = index(&[entry("older", 1_000), entry("newer", 2_000)], 3_000);
        assert!(page.find("newer").unwrap() < page.find("older").unwrap());
        assert!(page.contains("href=\"./newer.html\""));
    }

    #[test]
    fn a_link_leads_nowhere_else() {
        assert_eq!(relative("//elsewhere/x"), "./elsewhere/x");
        assert_eq!(relative("javascript:x"), "./javascript:x");
    }
}

//! The page that links the reports of all rounds and all training runs, and further pages.

use maud::{Markup, html as markup};

use crate::words::{date, plural, signed, span};

use super::html::{page, run_cells, run_head};
use super::run_report::RunSummary;

/// A run and its page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IndexEntry {
    /// The run.
    pub run: RunSummary,
    /// Its page, relative to the index; none when no page was written.
    pub page: Option<String>,
}

/// A round of `webemotion run` and its page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoundEntry {
    /// Its number.
    pub round: i64,
    /// Milliseconds since 1970.
    pub started_at_ms: i64,
    /// Milliseconds since 1970; none while it runs, or if it was killed.
    pub ended_at_ms: Option<i64>,
    /// Its outcome, in words.
    pub outcome: String,
    /// Samples in use that came with it, less those that went.
    pub samples: Option<i64>,
    /// Its page, relative to the index; none when no page was written.
    pub page: Option<String>,
}

/// Draws the lists of rounds and training runs, each sorted newest first. `others` are further pages: the title of each,
/// and its path relative to the index.
pub fn index(
    rounds: &[RoundEntry],
    entries: &[IndexEntry],
    others: &[(&str, String)],
    made_at_ms: i64,
) -> String {
    let mut entries: Vec<&IndexEntry> = entries.iter().collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.run.started_at_ms));
    let mut rounds: Vec<&RoundEntry> = rounds.iter().collect();
    rounds.sort_by_key(|entry| std::cmp::Reverse(entry.round));
    page(
        "Reports",
        &markup! {
            header {
                p.kicker { "webemotion report" }
                h1 { "Reports" }
                p.facts {
                    span { (plural(entries.len(), "training run")) }
                    @if !rounds.is_empty() { span { (plural(rounds.len(), "round")) } }
                    span { "list of " (date(made_at_ms)) }
                }
            }
            @if !rounds.is_empty() { section { h2 { "Rounds" } (rounds_table(&rounds)) } }
            section { h2 { "Training runs" } (runs_table(&entries)) }
            @if !others.is_empty() { section { h2 { "Further pages" } (further(others)) } }
        },
    )
    .into_string()
}

fn runs_table(entries: &[&IndexEntry]) -> Markup {
    if entries.is_empty() {
        return markup! { p { "No run has been made yet: begin with " code { "webemotion train" } "." } };
    }
    markup! {
        div.scroll { table.numbers {
            thead { (run_head(true)) }
            tbody { @for entry in entries { tr {
                th scope="row" { (link(entry.page.as_deref(), &entry.run.name)) }
                (run_cells(&entry.run))
            } } }
        } }
    }
}

fn rounds_table(rounds: &[&RoundEntry]) -> Markup {
    markup! {
        div.scroll { table.numbers {
            thead { tr {
                th scope="col" { "round" }
                th scope="col" { "started" }
                th.right scope="col" { "took" }
                th.right scope="col" { "samples" }
                th scope="col" { "outcome" }
            } }
            tbody { @for entry in rounds { tr {
                th scope="row" { (link(entry.page.as_deref(), &entry.round.to_string())) }
                td { (date(entry.started_at_ms)) }
                td.right { @match entry.ended_at_ms { Some(at) => (span(at - entry.started_at_ms)), None => "–" } }
                td.right { @match entry.samples { Some(new) => (signed(new)), None => "–" } }
                td.note { (entry.outcome) }
            } } }
        } }
    }
}

fn further(others: &[(&str, String)]) -> Markup {
    markup! { ul { @for (title, page) in others { li { (link(Some(page), title)) } } } }
}

fn link(page: Option<&str>, name: &str) -> Markup {
    markup! { @match page { Some(page) => a href=(relative(page)) { (name) }, None => (name) } }
}

/// A link that can only lead below the index: without `./` a name with a colon would be read as a scheme.
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
    fn the_newest_run_is_first() {
        let page = index(&[], &[entry("older", 1_000), entry("newer", 2_000)], &[], 3_000);
        assert!(page.find("newer").unwrap() < page.find("older").unwrap());
        assert!(page.contains("href=\"./newer.html\""));
    }

    #[test]
    fn rounds_come_before_runs_with_the_newest_first() {
        let round =
            |round| RoundEntry { round, page: Some(format!("round-{round}.html")), ..RoundEntry::default() };
        let page = index(&[round(1), round(2)], &[entry("some", 1_000)], &[], 3_000);
        let place = |what: &str| page.find(what).unwrap();
        assert!(
            place("./round-2.html") < place("./round-1.html")
                && place("./round-1.html") < place("./some.html")
        );
    }

    #[test]
    fn further_pages_are_linked_where_they_exist() {
        assert!(!index(&[], &[], &[], 3_000).contains("Further pages"));
        let page = index(&[], &[], &[("The catalog", "catalog.html".to_owned())], 3_000);
        assert!(page.contains("<a href=\"./catalog.html\">The catalog</a>"), "{page}");
    }

    #[test]
    fn a_link_cannot_lead_elsewhere() {
        assert_eq!(relative("//elsewhere/x"), "./elsewhere/x");
        assert_eq!(relative("javascript:x"), "./javascript:x");
    }
}

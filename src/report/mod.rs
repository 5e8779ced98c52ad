//! Rows in; HTML, Markdown, JSON and terminal tables out.
//!
//! Everything is drawn from one plain struct, [`RunReport`], whose missing parts are said to be "not known"; only
//! `gather` knows the catalog, nothing here knows the disk, and a page needs no network and no script.
//!
//! ```text
//! gather/                                        rows of the catalog in
//! run_report · round · index                     what one page says, as plain values: of a run, a round, all pages
//! funnel · labels · epochs · truth               the parts of a report, as plain values
//! glance                                         the few numbers that every form begins with
//! html/ · markdown · table · closing             the forms: a page, Markdown, a terminal's table, a closing line
//! chart/                                         pictures of numbers, as SVG inside a page
//! pages                                          what is taken out of pages that were written before
//! ```

mod chart;
mod closing;
mod epochs;
mod funnel;
mod gather;
mod glance;
mod html;
mod index;
mod labels;
mod markdown;
pub mod pages;
mod round;
mod run_report;
mod table;
mod truth;

#[cfg(test)]
mod example;

pub use closing::closing;
pub use epochs::{Confusion, EpochFacts, Histogram};
pub use funnel::{EmotionCounts, Funnel, FunnelStep, ReasonCount, StageTime};
pub use gather::{
    Gathering, gather_catalog, gather_index, gather_round, gather_rounds, gather_run, gather_run_summary,
    gather_standing,
};
pub use html::{html, round_html};
pub use index::{IndexEntry, RoundEntry, index};
pub use labels::{ClassCount, LeastImportant, RelabelledSample};
pub use markdown::markdown;
pub use round::{PausedStage, Picture, RoundReport, RoundStep, StageWork, Totals};
pub use run_report::{FailureExample, FailureGroup, RunFacts, RunReport, RunSummary, TestResult};
pub use table::{Table, plain, status};
pub use truth::{MethodResult, Truth};

/// The report as pretty JSON, without the pictures (they are in the catalog, by `sample_id`).
pub fn json(report: &RunReport) -> String {
    serde_json::to_string_pretty(report).expect("strings, numbers and lists always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_facts_and_no_pictures() {
        let report = example::report();
        let text = json(&report);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["relabelled"][0]["sample_id"], 200);
        assert_eq!(value["funnel"]["steps"][0]["kept"], 320);
        assert!(!text.contains("jpeg") && text.len() < 40_000, "{} bytes", text.len());
    }
}

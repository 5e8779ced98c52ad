//! Reports: catalog rows in; HTML, Markdown, JSON and terminal tables out.
//!
//! Everything is drawn from one plain struct, [`RunReport`], whose missing parts are written as "not known". Only `gather`
//! reads the catalog, nothing here touches the disk, and a page needs no network and no script.
//!
//! ```text
//! gather/                                        reads the catalog
//! run_report · round · index                     the content of a page, as plain values: a run, a round, all pages
//! funnel · labels · epochs · truth               the parts of a report, as plain values
//! glance                                         the few numbers that every format begins with
//! html/ · markdown · table · closing             the formats: a page, Markdown, a terminal's table, a closing text
//! chart/                                         charts as SVG inside a page
//! pages                                          removes pictures and names from pages written before
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
    fn the_json_has_all_values_and_no_pictures() {
        let report = example::report();
        let text = json(&report);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["relabelled"][0]["sample_id"], 200);
        assert_eq!(value["funnel"]["steps"][0]["kept"], 320);
        assert!(!text.contains("jpeg") && text.len() < 40_000, "{} bytes", text.len());
    }
}

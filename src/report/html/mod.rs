//! The report as one self-contained page: styles, charts and pictures are inside, and there are no scripts.

mod failures;
mod funnel;
mod head;
mod labels;
mod learning;
mod page;
mod round;
mod runs;
mod truth;

use maud::{Markup, html as markup};

pub(super) use page::page;
pub use round::round_html;
pub(super) use runs::{run_cells, run_head};

use super::run_report::RunReport;

/// Draws the whole page. Missing parts are written as "not known".
pub fn html(report: &RunReport) -> String {
    let sections = sections(report);
    page(
        &report.title,
        &markup! {
            (head::head(report, &sections))
            @for section in &sections {
                section id=(section.anchor) { h2 { (section.title) } (section.body) }
            }
        },
    )
    .into_string()
}

/// A part of the page with its entry in the menu.
struct Section {
    anchor: &'static str,
    /// Its name in the menu.
    name: &'static str,
    title: &'static str,
    body: Markup,
}

/// All sections. Without a training run the sections that need one are replaced by a single line.
fn sections(report: &RunReport) -> Vec<Section> {
    let section = |anchor, name, title, body| Section { anchor, name, title, body };
    let mut sections =
        vec![section("funnel", "Funnel", "From searches to samples", funnel::funnel(report.funnel.as_ref()))];
    match &report.run {
        Some(run) => sections.extend([
            section("learning", "Learning", "Learning", learning::learning(report)),
            section("confusion", "Confusion", "Who is taken for whom", learning::confusion(report)),
            section("labels", "Labels", "Labels", labels::labels(report)),
            section("truth", "Truth", "Against the truth", truth::truth(report)),
            section("recipe", "Recipe", "Recipe", failures::recipe(run)),
        ]),
        None => sections.push(section("training", "Training", "Training", not_trained())),
    }
    let others = if report.run.is_some() { "Other runs" } else { "Runs" };
    sections.push(section("runs", "Runs", others, runs::compared(&report.compared)));
    sections.push(section("failures", "Failures", "What went wrong", failures::failures(&report.failures)));
    sections
}

fn not_trained() -> Markup {
    markup! {
        p.unknown { "Not known: this report is on the catalog alone. " code { "webemotion train" } " makes a run." }
    }
}

/// Says that something is not known, and why.
fn not_known(why: &str) -> Markup {
    markup! { p.unknown { "Not known: " (why) } }
}

/// A drawing with its title.
fn figure(title: &str, note: &str, drawing: Option<Markup>) -> Markup {
    markup! {
        figure {
            figcaption { strong { (title) } @if !note.is_empty() { " " span.note { (note) } } }
            @match drawing {
                Some(drawing) => (drawing),
                None => p.unknown { "Not known: the run did not measure it." },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn the_page_makes_no_network_requests() {
        let page = html(&example::report());
        for forbidden in ["src=\"http", "href=\"http", "url(", "@import", "<script", "<link", "src=\"//"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(page.contains("default-src 'none'"));
        assert!(page.contains("src=\"data:image/jpeg;base64,"));
    }

    #[test]
    fn hostile_text_is_escaped() {
        let mut report = example::report();
        let hostile = "<script>alert(1)</script>\" onload=\"x";
        report.title = hostile.to_owned();
        report.failures[0].reason = hostile.to_owned();
        report.class_counts[0].class = hostile.to_owned();
        if let Some(confusion) = &mut report.confusion {
            confusion.classes[0] = hostile.to_owned();
        }
        let page = html(&report);
        assert!(!page.contains("<script"));
        assert!(!page.contains("\" onload=\""));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }

    #[test]
    fn numbers_are_written_for_people() {
        let mut report = example::report();
        report.epochs[0].train_loss = Some(f64::NAN);
        let page = html(&report);
        assert!(page.contains("12,271") && page.contains("87.0 %"));
        assert!(!page.contains(">NaN") && !page.contains("\"NaN"));
    }

    #[test]
    fn an_empty_report_says_what_is_not_known() {
        let without_run = html(&RunReport { title: "empty".to_owned(), ..RunReport::default() });
        assert_eq!(without_run.matches("Not known").count(), 3, "{without_run}");
        let run = Some(super::super::RunFacts::default());
        let with_run = html(&RunReport { run, ..RunReport::default() });
        assert!(with_run.matches("Not known").count() >= 8, "{with_run}");
        assert!(!without_run.contains("<svg") && !with_run.contains("<svg"));
    }

    #[test]
    fn every_menu_entry_leads_to_a_section() {
        let page = html(&example::report());
        let links = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
        let anchors: Vec<&str> = links.collect();
        assert_eq!(anchors.len(), 8);
        assert!(anchors.iter().all(|anchor| page.contains(&format!("id=\"{anchor}\""))), "{anchors:?}");
    }
}

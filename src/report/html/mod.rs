//! The report as one page that needs nothing else: styles, drawings and pictures are inside, scripts are not needed.

mod failures;
mod funnel;
mod head;
mod labels;
mod learning;
mod page;
mod runs;
mod truth;

use maud::{Markup, html as markup};

pub(super) use page::page;
pub(super) use runs::{run_cells, run_head};

use super::run_report::RunReport;

/// Draws the whole page. Missing parts are said to be not known.
pub fn html(report: &RunReport) -> String {
    page(
        &report.title,
        &markup! {
            (head::head(report))
            (section("funnel", "From searches to samples", &funnel::funnel(report.funnel.as_ref())))
            (section("learning", "Learning", &learning::learning(report)))
            (section("confusion", "Who is taken for whom", &learning::confusion(report)))
            (section("labels", "Labels", &labels::labels(report)))
            (section("truth", "Against the truth", &truth::truth(report)))
            (section("runs", "Other runs", &runs::compared(&report.compared)))
            (section("failures", "What went wrong", &failures::failures(&report.failures)))
            (section("recipe", "Recipe", &failures::recipe(report.run.as_ref())))
        },
    )
    .into_string()
}

/// The sections' anchors and names, as the page's menu shows them.
const MENU: [(&str, &str); 8] = [
    ("funnel", "Funnel"),
    ("learning", "Learning"),
    ("confusion", "Confusion"),
    ("labels", "Labels"),
    ("truth", "Truth"),
    ("runs", "Runs"),
    ("failures", "Failures"),
    ("recipe", "Recipe"),
];

fn section(anchor: &str, title: &str, body: &Markup) -> Markup {
    markup! {
        section id=(anchor) { h2 { (title) } (body) }
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
    fn the_page_asks_the_network_for_nothing() {
        let page = html(&example::report());
        for forbidden in ["src=\"http", "href=\"http", "url(", "@import", "<script", "<link", "src=\"//"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(page.contains("default-src 'none'"));
        assert!(page.contains("src=\"data:image/jpeg;base64,"));
    }

    #[test]
    fn hostile_words_are_shown_and_not_obeyed() {
        let mut report = example::report();
        let hostile = "<script>alert(1)</script>\" onload=\"x";
        report.title = hostile.to_owned();
        report.failures[0].example = Some(hostile.to_owned());
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
        let page = html(&RunReport { title: "empty".to_owned(), ..RunReport::default() });
        assert!(page.matches("Not known").count() >= 5, "{page}");
        assert!(!page.contains("<svg"));
    }

    #[test]
    fn every_menu_entry_leads_to_a_section() {
        let page = html(&example::report());
        for (anchor, _) in MENU {
            assert!(
                page.contains(&format!("href=\"#{anchor}\"")) && page.contains(&format!("id=\"{anchor}\""))
            );
        }
    }
}

//! The report as Markdown without pictures, for issues, logs and mail.

use crate::words::{count, date, decimal, known, share, share_of, span};

use super::epochs::mean_of;
use super::funnel::{EmotionCounts, Funnel};
use super::glance::glances;
use super::run_report::{FailureGroup, RunReport, RunSummary, TestResult};
use super::truth::Truth;

/// Writes the report. Missing parts are written as "not known", or left out where they would be empty tables.
pub fn markdown(report: &RunReport) -> String {
    let others = if report.run.is_some() { "Other runs" } else { "Runs" };
    let sections = [
        head(report),
        section("From searches to samples", report.funnel.as_ref().map(funnel)),
        section("By emotion", report.funnel.as_ref().map(emotions)),
        section("Time at work", report.funnel.as_ref().and_then(times)),
        section("Epochs", epochs(report)),
        section("Test split", report.test.as_ref().map(test)),
        section("Recall by class", recalls(report)),
        section("Training samples by class", classes(report)),
        section("Against the truth", report.truth.as_ref().map(truth)),
        section("Methods", report.truth.as_ref().and_then(methods)),
        section(others, Some(runs(&report.compared))),
        section("What went wrong", Some(failures(&report.failures))),
        section("Recipe", recipe(report)),
    ];
    sections.join("\n")
}

fn section(title: &str, body: Option<String>) -> String {
    let body = body.filter(|body| !body.is_empty()).unwrap_or_else(|| "Not known.\n".to_owned());
    format!("## {title}\n\n{body}")
}

fn head(report: &RunReport) -> String {
    let mut text = format!("# {}\n\n", cell(&report.title));
    if let Some(run) = &report.run {
        let device = known(run.device.as_deref(), cell);
        let facts = [cell(&run.name), cell(&run.method), cell(&run.state), device].join(" · ");
        text.push_str(&format!("Run {facts} · started {}\n\n", known(run.started_at_ms, date)));
        if let Some(noise) = &run.noise {
            text.push_str(&format!("Labels were made wrong on purpose: {}\n\n", cell(noise)));
        }
    }
    for glance in glances(report) {
        let note = if glance.note.is_empty() { String::new() } else { format!(" ({})", glance.note) };
        text.push_str(&format!("- {}: **{}**{note}\n", glance.name, glance.value));
    }
    text
}

fn funnel(funnel: &Funnel) -> String {
    let rows = funnel.steps.iter().map(|step| {
        let part = share_of(step.kept, funnel.whole(&step.unit));
        let lost = step.lost.iter().map(|lost| format!("{} {}", count(lost.count), cell(&lost.reason)));
        vec![
            format!("{} {}", cell(&step.unit), cell(&step.name)),
            count(step.kept),
            known(part, share),
            lost.collect::<Vec<_>>().join(", "),
        ]
    });
    table(&["step", "left", "of the first", "lost here"], rows)
}

fn emotions(funnel: &Funnel) -> String {
    let row = |name: &str, counts: [Option<u64>; 5]| {
        std::iter::once(cell(name)).chain(counts.map(|number| known(number, count))).collect::<Vec<_>>()
    };
    let rows = funnel.emotions.iter().map(|counts| row(&counts.emotion, counts.counts()));
    let head: Vec<&str> = std::iter::once("emotion").chain(EmotionCounts::COLUMNS).collect();
    table(&head, rows.chain(std::iter::once(row("all", funnel.totals()))))
}

fn times(funnel: &Funnel) -> Option<String> {
    let rows = funnel.times.iter().map(|time| {
        vec![
            time.stage.to_string(),
            count(time.done),
            known(time.job_ms.and(Some(time.worked_ms)), span),
            known(time.job_ms, span),
        ]
    });
    let head = ["stage", "jobs done", "time", "time of a job"];
    (!funnel.times.is_empty()).then(|| table(&head, rows))
}

fn epochs(report: &RunReport) -> Option<String> {
    let percent = |value: Option<f64>| known(value, share);
    let rows = report.epochs.iter().map(|facts| {
        vec![
            facts.epoch.to_string(),
            known(facts.train_loss, |loss| decimal(loss, 4)),
            percent(facts.train_accuracy),
            percent(facts.validation_accuracy),
            percent(facts.mean_class_accuracy),
            known(facts.relabels, count),
        ]
    });
    let head = ["epoch", "loss", "training", "validation", "class mean", "relabels"];
    (!report.epochs.is_empty()).then(|| table(&head, rows))
}

fn test(test: &TestResult) -> String {
    let (samples, of) = (count(test.samples), mean_of(test.epochs));
    let class_mean = known(test.mean_class_accuracy, share);
    format!(
        "- Accuracy: **{}** ({samples} samples, {of})\n- Class mean: **{class_mean}**\n",
        share(test.accuracy)
    )
}

fn recalls(report: &RunReport) -> Option<String> {
    let confusion = report.confusion.as_ref()?;
    let row = |(place, class): (usize, &String)| vec![cell(class), known(confusion.recall(place), share)];
    let table = table(&["class", "recall"], confusion.classes.iter().enumerate().map(row));
    Some(format!("Classes are {}.\n\n{table}", cell(&confusion.rows_are)))
}

fn classes(report: &RunReport) -> Option<String> {
    let rows = report
        .class_counts
        .iter()
        .map(|class| vec![cell(&class.class), count(class.before), known(class.after, count)]);
    (!report.class_counts.is_empty()).then(|| table(&["class", "before", "after"], rows))
}

fn truth(truth: &Truth) -> String {
    let row =
        |name: &str, number: u64, part: Option<f64>| vec![name.to_owned(), count(number), known(part, share)];
    let rows = [
        row("wrong before", truth.wrong_before, truth.noise_before()),
        row("wrong after", truth.wrong_after(), truth.noise_after()),
        row("fixed, of the wrong", truth.fixed, truth.fixed_share()),
        row("broken, of the right", truth.broken, truth.broken_share()),
    ];
    table(&["labels", "count", "share"], rows.into_iter())
}

fn methods(truth: &Truth) -> Option<String> {
    let rows = truth.methods.iter().map(|method| {
        vec![
            cell(&method.method),
            known(method.accuracy, share),
            known(method.mean_class_accuracy, share),
            known(method.noise_after, share),
        ]
    });
    let head = ["method", "accuracy", "class mean", "label noise after"];
    (!truth.methods.is_empty()).then(|| table(&head, rows))
}

fn runs(runs: &[RunSummary]) -> String {
    if runs.is_empty() {
        return "None yet.\n".to_owned();
    }
    let rows = runs.iter().map(|run| {
        vec![
            cell(&run.name),
            cell(&run.method()),
            known(run.started_at_ms, date),
            run.last_five(),
            known(run.mean_class_accuracy, share),
            known(run.measured_on.as_deref(), cell),
        ]
    });
    table(&["run", "method", "started", "last-5 accuracy", "class mean", "measured on"], rows)
}

fn failures(groups: &[FailureGroup]) -> String {
    if groups.is_empty() {
        return "Nothing was rejected, put off or given up.\n".to_owned();
    }
    let rows = groups.iter().map(|group| {
        vec![cell(group.stage.as_str()), cell(&group.reason), cell(&group.outcome), count(group.count)]
    });
    table(&["stage", "cause", "outcome", "jobs"], rows)
}

fn recipe(report: &RunReport) -> Option<String> {
    let recipe = &report.run.as_ref()?.recipe;
    let rows = recipe.iter().map(|(name, value)| vec![cell(name), cell(value)]);
    (!recipe.is_empty()).then(|| table(&["setting", "value"], rows))
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rule = "|---".repeat(head.len());
    let mut text = format!("| {} |\n{rule}|\n", head.join(" | "));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

/// Escapes foreign text, so that it can neither end its cell nor be read as markup.
pub(super) fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' => {
                safe.push('\\');
                safe.push(letter);
            }
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn the_markdown_matches_its_snapshot() {
        insta::assert_snapshot!(markdown(&example::report()));
    }

    #[test]
    fn an_empty_report_says_not_known_except_where_nothing_is_known_to_be_there() {
        let text = markdown(&RunReport::default());
        assert_eq!(text.matches("Not known.").count(), 10, "{text}");
        assert!(text.contains("## Runs\n\nNone yet.") && text.contains("Nothing was rejected"), "{text}");
    }

    #[test]
    fn the_accuracy_of_a_short_run_names_its_number_of_epochs() {
        let mut run = example::report().compared.remove(0);
        assert!(!runs(std::slice::from_ref(&run)).contains("(of"));
        run.last_epochs = 2;
        assert!(runs(&[run]).contains("| 84.2 % (of 2) |"));
    }

    #[test]
    fn foreign_text_stays_in_its_cell() {
        assert_eq!(cell("a|b\n<c>"), "a\\|b \\<c\\>");
    }
}

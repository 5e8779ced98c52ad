//! The few numbers that every renderer begins with.

use crate::words::{count, share, share_of};

use super::epochs::{best, last_five, mean_of};
use super::run_report::RunReport;

/// One number with its name and a note that puts it in proportion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// May be empty.
    pub(super) note: String,
}

/// The numbers that are known, in the order of the data flow.
pub(super) fn glances(report: &RunReport) -> Vec<Glance> {
    let all =
        [videos(report), clips(report), samples(report), accuracy(report), relabelled(report), noise(report)];
    all.into_iter().flatten().collect()
}

fn videos(report: &RunReport) -> Option<Glance> {
    let funnel = report.funnel.as_ref()?;
    let downloaded = funnel.step("videos", "downloaded").or_else(|| funnel.last("videos"))?;
    let note = format!("{} of {} found", downloaded.name, count(funnel.whole("videos")));
    Some(Glance { name: "Videos", value: count(downloaded.kept), note })
}

fn clips(report: &RunReport) -> Option<Glance> {
    let clips = report.funnel.as_ref()?.last("clips")?;
    Some(Glance { name: "Clips", value: count(clips.kept), note: "of one face each".to_owned() })
}

fn samples(report: &RunReport) -> Option<Glance> {
    let funnel = report.funnel.as_ref()?;
    let samples = funnel.last("samples")?;
    let rejected = funnel.whole("samples").saturating_sub(samples.kept);
    let note = if rejected > 0 { format!("{} more rejected", count(rejected)) } else { String::new() };
    Some(Glance { name: "Samples", value: count(samples.kept), note })
}

fn accuracy(report: &RunReport) -> Option<Glance> {
    let (epochs, mean) = last_five(&report.epochs)?;
    let (epoch, best) = best(&report.epochs)?;
    let note = format!("{}; best {} at epoch {epoch}", mean_of(epochs), share(best));
    Some(Glance { name: "Validation accuracy", value: share(mean), note })
}

fn relabelled(report: &RunReport) -> Option<Glance> {
    let total = report.relabelled_total?;
    let samples = report.class_counts.iter().map(|class| class.before).sum();
    let note = share_of(total, samples)
        .map_or(String::new(), |part| format!("{} of the training labels", share(part)));
    Some(Glance { name: "Relabelled", value: count(total), note })
}

fn noise(report: &RunReport) -> Option<Glance> {
    let truth = report.truth.as_ref()?;
    let (before, after) = (truth.noise_before()?, truth.noise_after()?);
    let note = format!(
        "of labels wrong; {} before. {} fixed, {} broken",
        share(before),
        count(truth.fixed),
        count(truth.broken)
    );
    Some(Glance { name: "Label noise", value: share(after), note })
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn the_accuracy_of_a_short_run_names_its_number_of_epochs() {
        let mut report = example::report();
        report.epochs.truncate(2);
        let note = accuracy(&report).unwrap().note;
        assert_eq!(note, "mean of the last 2 epochs; best 54.7 % at epoch 2");
    }
}

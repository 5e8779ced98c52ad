//! Turns a run's frozen list, opinions and relabels into counts and contact sheets.

use std::collections::{HashMap, HashSet};

use super::super::labels::{ClassCount, LeastImportant, RelabelledSample};
use super::super::truth::Truth;
use super::Gathering;
use crate::catalog::runs::{FrozenSample, ListedSample, Run, RunState, StoredOpinion};
use crate::types::{ClipId, Relabel, Split};

/// The training part of a run's list, with the run's last relabel of each sample.
pub(super) struct Judged<'a> {
    classes: &'a [String],
    /// Whether the run is done, so that a sample without a relabel keeps its label.
    is_done: bool,
    /// Whether the list says which labels were made wrong on purpose; lists of earlier releases do not.
    knows_clean_labels: bool,
    samples: Vec<JudgedSample>,
}

struct JudgedSample {
    frozen: FrozenSample,
    clip: ClipId,
    opinion: Option<StoredOpinion>,
    /// The last relabel, if it differs from the sample's first label.
    relabel: Option<Relabel>,
}

impl JudgedSample {
    fn last_label(&self) -> usize {
        self.relabel.map_or(self.frozen.label, |relabel| relabel.to)
    }
}

impl<'a> Judged<'a> {
    /// Joins a run's list with its relabels, which are ordered by epoch: the last one of a sample counts.
    pub(super) fn new(run: &'a Run, list: Vec<ListedSample>, relabels: &[Relabel]) -> Self {
        let mut last: HashMap<usize, Relabel> =
            relabels.iter().map(|relabel| (relabel.sample, *relabel)).collect();
        let of_training = list.into_iter().filter(|line| line.frozen.split == Split::Train);
        let samples = of_training.map(|ListedSample { position, frozen, clip, opinion, .. }| {
            let relabel = last.remove(&position).filter(|relabel| relabel.to != frozen.label);
            JudgedSample { frozen, clip, opinion, relabel }
        });
        let samples: Vec<JudgedSample> = samples.collect();
        let knows_clean_labels = samples.iter().any(|sample| sample.frozen.clean_label.is_some());
        Self { classes: &run.classes, is_done: run.state == RunState::Done, knows_clean_labels, samples }
    }

    fn class(&self, index: usize) -> String {
        self.classes.get(index).cloned().unwrap_or_else(|| format!("class {index}"))
    }

    /// Training samples of each class, before and after.
    pub(super) fn class_counts(&self) -> Vec<ClassCount> {
        if self.samples.is_empty() {
            return Vec::new();
        }
        let count = |is: &dyn Fn(&JudgedSample) -> bool| {
            self.samples.iter().filter(|sample| is(sample)).count() as u64
        };
        let known_after = self.relabelled_total().is_some();
        let class = |(index, class): (usize, &String)| ClassCount {
            class: class.clone(),
            before: count(&|sample| sample.frozen.label == index),
            after: known_after.then(|| count(&|sample| sample.last_label() == index)),
        };
        self.classes.iter().enumerate().map(class).collect()
    }

    /// The number of samples that ended with another label; unknown for a run under way that has not relabelled yet.
    pub(super) fn relabelled_total(&self) -> Option<u64> {
        let total = self.samples.iter().filter(|sample| sample.relabel.is_some()).count() as u64;
        (self.is_done || total > 0).then_some(total)
    }

    /// The importances of the training samples, if the method has them.
    pub(super) fn importances(&self) -> impl Iterator<Item = f64> {
        self.samples.iter().filter_map(|sample| Some(f64::from(sample.opinion?.importance?)))
    }

    /// The samples of least importance, one per clip, least first, without their pictures.
    pub(super) fn least_important(&self, gathering: &Gathering) -> Vec<LeastImportant> {
        let mut known: Vec<(f32, &JudgedSample, usize)> = self
            .samples
            .iter()
            .filter_map(|sample| Some((sample.opinion?.importance?, sample, sample.opinion?.predicted)))
            .collect();
        known.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut first = first_of_clip();
        let least = known.into_iter().filter(|one| first(one.1)).take(gathering.pictures);
        least
            .map(|(importance, sample, predicted)| LeastImportant {
                sample_id: sample.frozen.sample.0,
                jpeg: Vec::new(),
                label: self.class(sample.frozen.label),
                predicted: Some(self.class(predicted)),
                importance: f64::from(importance),
                true_label: self.true_label(sample, gathering),
            })
            .collect()
    }

    /// The samples whose label the run would change, one per clip, most confident first, without their pictures.
    pub(super) fn relabelled(&self, gathering: &Gathering) -> Vec<RelabelledSample> {
        let mut changed: Vec<(&JudgedSample, Relabel)> =
            self.samples.iter().filter_map(|sample| Some((sample, sample.relabel?))).collect();
        changed.sort_by(|one, other| other.1.p_max.total_cmp(&one.1.p_max));
        let mut first = first_of_clip();
        let surest = changed.into_iter().filter(|one| first(one.0)).take(gathering.pictures);
        surest
            .map(|(sample, relabel)| RelabelledSample {
                sample_id: sample.frozen.sample.0,
                jpeg: Vec::new(),
                from: self.class(sample.frozen.label),
                to: self.class(relabel.to),
                p_max: f64::from(relabel.p_max),
                p_given: f64::from(relabel.p_given),
                importance: Some(f64::from(relabel.importance)),
                epoch: relabel.epoch,
                true_label: self.true_label(sample, gathering),
            })
            .collect()
    }

    /// A sample's true label: the caller's; else, in a run whose labels were made wrong on purpose, the earlier one.
    fn true_label(&self, sample: &JudgedSample, gathering: &Gathering) -> Option<String> {
        if !gathering.truth.is_empty() {
            return gathering.truth.get(&sample.frozen.sample).cloned();
        }
        let clean_label = sample.frozen.clean_label.unwrap_or(sample.frozen.label);
        self.knows_clean_labels.then(|| self.class(clean_label))
    }

    /// The labels compared with the true ones; none if no true label is known.
    pub(super) fn truth(&self, gathering: &Gathering) -> Option<Truth> {
        let mut fate = Truth::default();
        for sample in &self.samples {
            let Some(true_label) = self.true_label(sample, gathering) else { continue };
            let right_before = self.class(sample.frozen.label) == true_label;
            let right_after = self.class(sample.last_label()) == true_label;
            fate.labels += 1;
            fate.wrong_before += u64::from(!right_before);
            fate.fixed += u64::from(!right_before && right_after);
            fate.broken += u64::from(right_before && !right_after);
        }
        (fate.labels > 0).then_some(fate)
    }
}

/// Returns for each sample whether it is the first of its clip: the samples of a clip are nearly the same picture, so a
/// sheet shows only one of them.
fn first_of_clip() -> impl FnMut(&JudgedSample) -> bool {
    let mut seen = HashSet::new();
    move |sample| seen.insert(sample.clip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{RunId, SampleId, VideoId};

    fn run(state: RunState) -> Run {
        Run {
            id: RunId(1),
            name: "one".to_owned(),
            method: "scn".to_owned(),
            recipe_hash: String::new(),
            seed: 1,
            folder: String::new(),
            state,
            classes: ["anger", "fear"].map(str::to_owned).to_vec(),
            device: None,
            noise: None,
            summary: None,
            started_at: 0,
            finished_at: None,
            adopted_at: None,
        }
    }

    /// Sample 100 + position; labels as given; importance falls with position.
    fn list(labels: &[usize]) -> Vec<ListedSample> {
        let one = |(position, label): (i64, &usize)| {
            let sample = SampleId(100 + position);
            let frozen =
                FrozenSample { sample, split: Split::Train, label: *label, clean_label: None, source: None };
            let importance = Some(1.0 - 0.25 * position as f32);
            let opinion = Some(StoredOpinion { importance, predicted: 1, p_predicted: 0.9, p_given: 0.1 });
            let (clip, video) = (ClipId(100 + position), VideoId(1));
            let source_split = Split::Train;
            ListedSample { position: position as usize, frozen, source_split, clip, video, opinion }
        };
        (0..).zip(labels).map(one).collect()
    }

    fn relabel(sample: usize, epoch: u32, from: usize, to: usize) -> Relabel {
        Relabel { sample, epoch, from, to, p_max: 0.5 + 0.1 * epoch as f32, p_given: 0.1, importance: 0.2 }
    }

    #[test]
    fn the_last_relabel_counts_and_one_back_to_the_first_label_does_not() {
        let run = run(RunState::Done);
        let relabels = [relabel(0, 1, 0, 1), relabel(1, 1, 0, 1), relabel(0, 2, 1, 0)];
        let judged = Judged::new(&run, list(&[0, 0, 1]), &relabels);
        assert_eq!(judged.relabelled_total(), Some(1));
        let counts = judged.class_counts();
        assert_eq!((counts[0].before, counts[0].after), (2, Some(1)));
        assert_eq!((counts[1].before, counts[1].after), (1, Some(2)));
    }

    #[test]
    fn a_relabel_stays_with_its_sample_when_another_is_removed() {
        let run = run(RunState::Done);
        let mut list = list(&[0, 0, 1]);
        list.remove(0);
        let judged = Judged::new(&run, list, &[relabel(0, 1, 0, 1), relabel(2, 1, 1, 0)]);
        assert_eq!(judged.relabelled_total(), Some(1));
        assert_eq!(
            judged.class_counts()[0].after,
            Some(2),
            "the two that are there are of the first class now"
        );
    }

    #[test]
    fn the_relabels_of_a_run_under_way_are_unknown_until_the_first() {
        let run = run(RunState::Open);
        let judged = Judged::new(&run, list(&[0, 1]), &[]);
        assert_eq!((judged.relabelled_total(), judged.class_counts()[0].after), (None, None));
    }

    #[test]
    fn the_least_important_samples_come_first_and_held_out_ones_are_left_out() {
        let run = run(RunState::Done);
        let mut list = list(&[0, 0, 1]);
        list[2].frozen.split = Split::Test;
        let judged = Judged::new(&run, list, &[]);
        let gathering = Gathering { pictures: 5, ..Gathering::default() };
        let ids: Vec<_> = judged.least_important(&gathering).iter().map(|sample| sample.sample_id).collect();
        assert_eq!(ids, [101, 100]);
    }

    #[test]
    fn a_sheet_shows_each_clip_once() {
        let run = run(RunState::Done);
        let mut list = list(&[0, 0, 1]);
        list[2].clip = list[1].clip;
        let judged = Judged::new(&run, list, &[relabel(1, 1, 0, 1), relabel(2, 2, 1, 0)]);
        let sheet = judged.least_important(&Gathering::default());
        assert_eq!(sheet.iter().map(|sample| sample.sample_id).collect::<Vec<_>>(), [102, 100]);
        let sheet = judged.relabelled(&Gathering::default());
        assert_eq!(sheet.iter().map(|sample| sample.sample_id).collect::<Vec<_>>(), [102]);
    }

    #[test]
    fn labels_are_compared_with_the_truth_where_it_is_known() {
        let run = run(RunState::Done);
        let relabels = [relabel(0, 1, 0, 1), relabel(1, 1, 0, 1)];
        let judged = Judged::new(&run, list(&[0, 0, 0, 1]), &relabels);
        let truth = [(100, "fear"), (101, "anger"), (102, "fear")];
        let truth = truth.into_iter().map(|(id, class)| (SampleId(id), class.to_owned())).collect();
        let fate = judged.truth(&Gathering { truth, ..Gathering::default() }).unwrap();
        assert_eq!((fate.labels, fate.wrong_before, fate.fixed, fate.broken), (3, 2, 1, 1));
        assert_eq!(judged.truth(&Gathering::default()), None);
    }

    #[test]
    fn where_labels_were_made_wrong_on_purpose_the_earlier_ones_are_the_truth() {
        let run = run(RunState::Done);
        let mut list = list(&[1, 0, 0, 1]);
        list[0].frozen.clean_label = Some(0);
        list[3].frozen.clean_label = Some(0);
        let judged = Judged::new(&run, list, &[relabel(0, 1, 1, 0), relabel(1, 1, 0, 1)]);
        let fate = judged.truth(&Gathering::default()).unwrap();
        assert_eq!((fate.labels, fate.wrong_before, fate.fixed, fate.broken), (4, 2, 1, 1));
        let sheet = judged.relabelled(&Gathering::default());
        let true_labels: Vec<_> = sheet.iter().map(|sample| sample.true_label.as_deref()).collect();
        assert_eq!(true_labels, [Some("anger"); 2]);
    }
}

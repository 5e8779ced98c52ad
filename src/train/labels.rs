//! The labels of a run: as given, in force, every change, and what the net predicted in this epoch. Labels change only
//! at the end of an epoch, and the given ones are kept. It knows no tensor.

use std::collections::BTreeMap;

use super::scn;
use crate::types::Relabel;

/// Labels of all samples of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Labels {
    given: Vec<usize>,
    current: Vec<usize>,
    changes: Vec<Relabel>,
    classes: usize,
    /// The views of the epoch under way.
    pub(crate) views: ViewSums,
    /// The scouts' predictions of the training samples, in their order, a row of C for each; empty without scouts.
    pub(crate) scout_predictions: Vec<f32>,
    /// Each sample's soft target in training, N×C; empty where the label alone is the target.
    pub(crate) targets: Vec<f32>,
    /// The posterior of each sample's true class at the end of a run of `cure`, N×C; empty until then.
    pub(crate) posterior: Vec<f32>,
}

/// What the net predicted for one augmented view of a sample.
pub(crate) struct View<'a> {
    /// C.
    pub(crate) probabilities: &'a [f32],
    pub(crate) importance: f32,
    /// Whether it was in the low-importance group of its batch.
    pub(crate) is_low: bool,
}

/// Sums over the views of an epoch so far; a sample may have several, one or none.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ViewSums {
    /// N×C.
    pub(crate) probabilities: Vec<f32>,
    /// N.
    pub(crate) importance: Vec<f32>,
    /// Number of views, N.
    pub(crate) count: Vec<u32>,
    /// Number of views in a low-importance group, N.
    pub(crate) low_count: Vec<u32>,
}

/// Which samples may be relabelled, and by how much the new class must lead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelabelRule {
    /// δ2.
    pub(crate) margin_2: f32,
    /// Only samples that were in the low group in most of their views.
    pub(crate) only_low_group: bool,
}

/// The mean over the views of samples that are decided about together.
struct MeanView {
    /// C.
    probabilities: Vec<f32>,
    /// Whether most views were in a low-importance group.
    is_low: bool,
}

impl Labels {
    pub(crate) fn new(given: Vec<usize>, classes: usize) -> Self {
        let views = ViewSums::new(given.len(), classes);
        Self {
            current: given.clone(),
            given,
            changes: Vec::new(),
            classes,
            views,
            scout_predictions: Vec::new(),
            targets: Vec::new(),
            posterior: Vec::new(),
        }
    }

    /// Sets what a checkpoint holds.
    pub(crate) fn restore(&mut self, current: Vec<usize>, changes: Vec<Relabel>) {
        self.current = current;
        self.changes = changes;
    }

    /// The labels that the samples began with.
    pub(crate) fn given(&self) -> &[usize] {
        &self.given
    }

    /// The labels in force.
    pub(crate) fn current(&self) -> &[usize] {
        &self.current
    }

    /// A sample's soft target, C, if it has one.
    pub(crate) fn target(&self, sample: usize) -> Option<&[f32]> {
        self.targets.get(sample * self.classes..(sample + 1) * self.classes)
    }

    /// Every change so far, oldest first.
    pub(crate) fn changes(&self) -> &[Relabel] {
        &self.changes
    }

    pub(crate) fn add_view(&mut self, sample: usize, view: View<'_>) {
        let sums = &mut self.views.probabilities[sample * self.classes..][..self.classes];
        for (sum, probability) in sums.iter_mut().zip(view.probabilities) {
            *sum += probability;
        }
        self.views.importance[sample] += view.importance;
        self.views.count[sample] += 1;
        self.views.low_count[sample] += u32::from(view.is_low);
    }

    /// Ends the epoch: relabels by `rule` (`None` keeps all labels) from the mean of each sample's views, then forgets
    /// the views. With `groups` (one number for each sample), the samples of a group are decided about together, from
    /// the mean of their means. A sample changes at most once an epoch, and may change back later.
    pub(crate) fn end_epoch(
        &mut self,
        epoch: u32,
        rule: Option<RelabelRule>,
        groups: Option<&[u64]>,
    ) -> Vec<Relabel> {
        let views = std::mem::replace(&mut self.views, ViewSums::new(self.given.len(), self.classes));
        let Some(rule) = rule else { return Vec::new() };
        let group = |sample: usize| groups.map_or(sample as u64, |groups| groups[sample]);
        let mut members: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for sample in (0..self.given.len()).filter(|&sample| views.count[sample] > 0) {
            members.entry(group(sample)).or_default().push(sample);
        }
        let mut relabels = Vec::new();
        for samples in members.values() {
            let mean = views.mean_over(samples, self.classes);
            if rule.only_low_group && !mean.is_low {
                continue;
            }
            for &sample in samples {
                let from = self.current[sample];
                if let Some(to) = scn::relabel(&mean.probabilities, from, rule.margin_2) {
                    let (p_max, p_given) = (mean.probabilities[to], mean.probabilities[from]);
                    let importance = views.importance[sample] / views.count[sample] as f32;
                    relabels.push(Relabel { sample, epoch, from, to, p_max, p_given, importance });
                }
            }
        }
        relabels.sort_by_key(|relabel| relabel.sample);
        self.apply(&relabels);
        relabels
    }

    /// Puts changes in force and records them.
    pub(crate) fn apply(&mut self, relabels: &[Relabel]) {
        for relabel in relabels {
            self.current[relabel.sample] = relabel.to;
        }
        self.changes.extend_from_slice(relabels);
    }
}

impl ViewSums {
    fn new(samples: usize, classes: usize) -> Self {
        Self {
            probabilities: vec![0.0; samples * classes],
            importance: vec![0.0; samples],
            count: vec![0; samples],
            low_count: vec![0; samples],
        }
    }

    /// The mean over samples that have views; each sample counts equally, however many views it has.
    fn mean_over(&self, samples: &[usize], classes: usize) -> MeanView {
        let mut probabilities = vec![0.0; classes];
        let (mut count, mut low_count) = (0, 0);
        for &sample in samples {
            let share = 1.0 / (self.count[sample] as f32 * samples.len() as f32);
            let row = &self.probabilities[sample * classes..][..classes];
            probabilities.iter_mut().zip(row).for_each(|(mean, sum)| *mean += share * sum);
            count += self.count[sample];
            low_count += self.low_count[sample];
        }
        MeanView { probabilities, is_low: 2 * low_count > count }
    }

    /// The mean importance over a sample's views; `None` when it has none.
    pub(crate) fn mean_importance(&self, sample: usize) -> Option<f32> {
        let count = self.count[sample];
        (count > 0).then(|| self.importance[sample] / count as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: RelabelRule = RelabelRule { margin_2: 0.2, only_low_group: false };

    /// A view in the important group, with importance 0.5.
    fn view(probabilities: &[f32]) -> View<'_> {
        View { probabilities, importance: 0.5, is_low: false }
    }

    /// SCN's public code samples with replacement and changes a label in the middle of an epoch.
    #[test]
    fn a_sample_with_two_views_keeps_its_label_until_the_epoch_ends() {
        let mut labels = Labels::new(vec![1, 0], 2);
        labels.add_view(0, view(&[0.9, 0.1]));
        assert_eq!(labels.current(), [1, 0], "still the old label");
        labels.add_view(0, View { importance: 0.7, ..view(&[0.7, 0.3]) });
        let relabels = labels.end_epoch(4, Some(RULE), None);
        assert_eq!(relabels.len(), 1);
        assert_eq!((relabels[0].from, relabels[0].to, relabels[0].epoch), (1, 0, 4));
        assert!((relabels[0].p_max - 0.8).abs() < 1e-6 && (relabels[0].importance - 0.6).abs() < 1e-6);
        assert_eq!((labels.current(), labels.given()), ([0, 0].as_slice(), [1, 0].as_slice()));
    }

    #[test]
    fn contradictory_views_change_nothing() {
        let mut labels = Labels::new(vec![1], 2);
        labels.add_view(0, view(&[0.9, 0.1]));
        labels.add_view(0, view(&[0.2, 0.8]));
        assert!(labels.end_epoch(1, Some(RULE), None).is_empty());
    }

    #[test]
    fn the_paper_s_scope_leaves_important_samples_alone() {
        let rule = RelabelRule { only_low_group: true, ..RULE };
        let mut labels = Labels::new(vec![1, 1], 2);
        labels.add_view(0, View { importance: 0.9, ..view(&[0.9, 0.1]) });
        labels.add_view(1, View { importance: 0.2, is_low: true, ..view(&[0.9, 0.1]) });
        let changed: Vec<usize> =
            labels.end_epoch(1, Some(rule), None).iter().map(|change| change.sample).collect();
        assert_eq!(changed, [1]);
    }

    #[test]
    fn a_change_can_be_undone_and_both_are_recorded() {
        let mut labels = Labels::new(vec![1], 2);
        labels.add_view(0, view(&[0.9, 0.1]));
        labels.end_epoch(1, Some(RULE), None);
        labels.add_view(0, view(&[0.1, 0.9]));
        labels.end_epoch(2, Some(RULE), None);
        assert_eq!(labels.current(), [1]);
        assert_eq!(labels.changes().len(), 2);
    }

    #[test]
    fn the_samples_of_a_clip_change_together_or_not_at_all() {
        let clips = [7, 7, 7, 9];
        let mut labels = Labels::new(vec![1, 1, 1, 1], 2);
        // One frame of three agrees with the given label, but the clip's mean decides for it too.
        for (sample, row) in [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.4, 0.6]].iter().enumerate() {
            labels.add_view(sample, view(row));
        }
        let relabels = labels.end_epoch(1, Some(RULE), Some(&clips));
        let changed: Vec<usize> = relabels.iter().map(|relabel| relabel.sample).collect();
        assert_eq!((changed, labels.current()), (vec![0, 1, 2], [0, 0, 0, 1].as_slice()));
        assert!((relabels[2].p_max - 1.9 / 3.0).abs() < 1e-6, "{relabels:?}");
    }

    #[test]
    fn a_frame_with_many_views_does_not_outvote_its_clip() {
        let mut labels = Labels::new(vec![1, 1, 1], 2);
        for _view in 0..9 {
            labels.add_view(0, view(&[1.0, 0.0]));
        }
        labels.add_view(1, view(&[0.0, 1.0]));
        labels.add_view(2, view(&[0.0, 1.0]));
        assert!(labels.end_epoch(1, Some(RULE), Some(&[7, 7, 7])).is_empty());
    }
}

//! The ledger of labels: what was given, what is in force, every change, and what the net said this epoch.
//! Labels change only at the end of an epoch; nothing given is ever lost. It knows no tensor.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scn;
use crate::types::Relabel;

/// Labels of all samples of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Labels {
    given: Vec<usize>,
    current: Vec<usize>,
    changes: Vec<Relabel>,
    classes: usize,
    /// What the net said in the epoch that is under way.
    pub(crate) seen: Seen,
    /// What scouts told of the training samples, in their order, a row of C for each; empty where none were asked.
    pub(crate) told: Vec<f32>,
    /// Each sample's target in training, N×C; empty where the label alone is the target.
    pub(crate) targets: Vec<f32>,
    /// What is believed of each sample's label at the end of a run, N×C; empty until then.
    pub(crate) belief: Vec<f32>,
}

/// Sums over the views that one epoch has shown so far; a sample may be seen often, once or never.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Seen {
    /// Probabilities, N×C.
    pub(crate) probabilities: Vec<f32>,
    /// Importances, N.
    pub(crate) importance: Vec<f32>,
    /// Views, N.
    pub(crate) views: Vec<u32>,
    /// Views in a low-importance group, N.
    pub(crate) low_views: Vec<u32>,
}

/// Which samples may be relabelled, and how sure the net must be.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct RelabelRule {
    /// δ2.
    pub(crate) margin_2: f32,
    /// Only samples that were in the low group in most of their views.
    pub(crate) only_low_group: bool,
}

/// What an epoch said of samples that are decided about together.
struct Verdict {
    /// Mean probabilities, C.
    probabilities: Vec<f32>,
    /// Whether most views were in a low-importance group.
    low: bool,
}

impl Labels {
    pub(crate) fn new(given: Vec<usize>, classes: usize) -> Self {
        let seen = Seen::new(given.len(), classes);
        Self {
            current: given.clone(),
            given,
            changes: Vec::new(),
            classes,
            seen,
            told: Vec::new(),
            targets: Vec::new(),
            belief: Vec::new(),
        }
    }

    /// The ledger as a checkpoint holds it.
    pub(crate) fn restore(&mut self, current: Vec<usize>, changes: Vec<Relabel>) {
        self.current = current;
        self.changes = changes;
    }

    /// The label a sample began with.
    pub(crate) fn given(&self) -> &[usize] {
        &self.given
    }

    /// The label in force.
    pub(crate) fn current(&self) -> &[usize] {
        &self.current
    }

    /// What a sample should be taken for, C, where that is more than one label.
    pub(crate) fn target(&self, sample: usize) -> Option<&[f32]> {
        self.targets.get(sample * self.classes..(sample + 1) * self.classes)
    }

    /// Every change so far, oldest first.
    pub(crate) fn changes(&self) -> &[Relabel] {
        &self.changes
    }

    /// Notes one view of a sample.
    pub(crate) fn see(&mut self, sample: usize, probabilities: &[f32], importance: f32, low: bool) {
        let sums = &mut self.seen.probabilities[sample * self.classes..][..self.classes];
        for (sum, probability) in sums.iter_mut().zip(probabilities) {
            *sum += probability;
        }
        self.seen.importance[sample] += importance;
        self.seen.views[sample] += 1;
        self.seen.low_views[sample] += u32::from(low);
    }

    /// Ends the epoch: decides with `rule` (none keeps all labels) from the mean of each sample's views, then forgets
    /// them. Where `groups` are given (one number for each sample), the samples of a group are decided about together,
    /// from the mean of their means. A sample changes at most once an epoch, and may change back later.
    pub(crate) fn end_epoch(
        &mut self,
        epoch: u32,
        rule: Option<RelabelRule>,
        groups: Option<&[u64]>,
    ) -> Vec<Relabel> {
        let seen = std::mem::replace(&mut self.seen, Seen::new(self.given.len(), self.classes));
        let Some(rule) = rule else { return Vec::new() };
        let group = |sample: usize| groups.map_or(sample as u64, |groups| groups[sample]);
        let mut members: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for sample in (0..self.given.len()).filter(|&sample| seen.views[sample] > 0) {
            members.entry(group(sample)).or_default().push(sample);
        }
        let mut relabels = Vec::new();
        for samples in members.values() {
            let verdict = seen.verdict(samples, self.classes);
            if rule.only_low_group && !verdict.low {
                continue;
            }
            for &sample in samples {
                let from = self.current[sample];
                if let Some(to) = scn::relabel(&verdict.probabilities, from, rule.margin_2) {
                    let (p_max, p_given) = (verdict.probabilities[to], verdict.probabilities[from]);
                    let importance = seen.importance[sample] / seen.views[sample] as f32;
                    relabels.push(Relabel { sample, epoch, from, to, p_max, p_given, importance });
                }
            }
        }
        relabels.sort_by_key(|relabel| relabel.sample);
        self.apply(&relabels);
        relabels
    }

    /// Puts changes in force and remembers them.
    pub(crate) fn apply(&mut self, relabels: &[Relabel]) {
        for relabel in relabels {
            self.current[relabel.sample] = relabel.to;
        }
        self.changes.extend_from_slice(relabels);
    }
}

impl Seen {
    fn new(samples: usize, classes: usize) -> Self {
        Self {
            probabilities: vec![0.0; samples * classes],
            importance: vec![0.0; samples],
            views: vec![0; samples],
            low_views: vec![0; samples],
        }
    }

    /// What the epoch said of samples that were seen; each counts alike, however often it was seen.
    fn verdict(&self, samples: &[usize], classes: usize) -> Verdict {
        let mut probabilities = vec![0.0; classes];
        let (mut views, mut low_views) = (0, 0);
        for &sample in samples {
            let share = 1.0 / (self.views[sample] as f32 * samples.len() as f32);
            let row = &self.probabilities[sample * classes..][..classes];
            probabilities.iter_mut().zip(row).for_each(|(mean, sum)| *mean += share * sum);
            views += self.views[sample];
            low_views += self.low_views[sample];
        }
        Verdict { probabilities, low: 2 * low_views > views }
    }

    /// Mean probabilities and mean importance of a sample's views; `None` when it was not seen.
    pub(crate) fn mean(&self, sample: usize, classes: usize) -> Option<(Vec<f32>, f32)> {
        let views = self.views[sample];
        if views == 0 {
            return None;
        }
        let row = &self.probabilities[sample * classes..][..classes];
        Some((row.iter().map(|sum| sum / views as f32).collect(), self.importance[sample] / views as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: RelabelRule = RelabelRule { margin_2: 0.2, only_low_group: false };

    /// Trap 16: sampled with replacement, the reference flips a label in the middle of an epoch.
    #[test]
    fn a_sample_seen_twice_keeps_its_label_until_the_epoch_ends() {
        let mut labels = Labels::new(vec![1, 0], 2);
        labels.see(0, &[0.9, 0.1], 0.5, false);
        assert_eq!(labels.current(), [1, 0], "still the old label");
        labels.see(0, &[0.7, 0.3], 0.7, false);
        let relabels = labels.end_epoch(4, Some(RULE), None);
        assert_eq!(relabels.len(), 1);
        assert_eq!((relabels[0].from, relabels[0].to, relabels[0].epoch), (1, 0, 4));
        assert!((relabels[0].p_max - 0.8).abs() < 1e-6 && (relabels[0].importance - 0.6).abs() < 1e-6);
        assert_eq!((labels.current(), labels.given()), ([0, 0].as_slice(), [1, 0].as_slice()));
    }

    #[test]
    fn views_that_contradict_each_other_change_nothing() {
        let mut labels = Labels::new(vec![1], 2);
        labels.see(0, &[0.9, 0.1], 0.5, false);
        labels.see(0, &[0.2, 0.8], 0.5, false);
        assert!(labels.end_epoch(1, Some(RULE), None).is_empty());
    }

    #[test]
    fn the_paper_s_scope_leaves_important_samples_alone() {
        let rule = RelabelRule { only_low_group: true, ..RULE };
        let mut labels = Labels::new(vec![1, 1], 2);
        labels.see(0, &[0.9, 0.1], 0.9, false);
        labels.see(1, &[0.9, 0.1], 0.2, true);
        let changed: Vec<usize> =
            labels.end_epoch(1, Some(rule), None).iter().map(|change| change.sample).collect();
        assert_eq!(changed, [1]);
    }

    #[test]
    fn a_change_can_be_undone_and_both_are_remembered() {
        let mut labels = Labels::new(vec![1], 2);
        labels.see(0, &[0.9, 0.1], 0.5, false);
        labels.end_epoch(1, Some(RULE), None);
        labels.see(0, &[0.1, 0.9], 0.5, false);
        labels.end_epoch(2, Some(RULE), None);
        assert_eq!(labels.current(), [1]);
        assert_eq!(labels.changes().len(), 2);
    }

    #[test]
    fn the_samples_of_a_clip_change_together_or_not_at_all() {
        let clips = [7, 7, 7, 9];
        let mut labels = Labels::new(vec![1, 1, 1, 1], 2);
        // One frame in three is sure of the given label: the clip's mean decides for it too.
        for (sample, row) in [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.4, 0.6]].iter().enumerate() {
            labels.see(sample, row, 0.5, false);
        }
        let relabels = labels.end_epoch(1, Some(RULE), Some(&clips));
        let changed: Vec<usize> = relabels.iter().map(|relabel| relabel.sample).collect();
        assert_eq!((changed, labels.current()), (vec![0, 1, 2], [0, 0, 0, 1].as_slice()));
        assert!((relabels[2].p_max - 1.9 / 3.0).abs() < 1e-6, "{relabels:?}");
    }

    #[test]
    fn a_frame_that_was_seen_often_does_not_outvote_its_clip() {
        let mut labels = Labels::new(vec![1, 1, 1], 2);
        for _view in 0..9 {
            labels.see(0, &[1.0, 0.0], 0.5, false);
        }
        labels.see(1, &[0.0, 1.0], 0.5, false);
        labels.see(2, &[0.0, 1.0], 0.5, false);
        assert!(labels.end_epoch(1, Some(RULE), Some(&[7, 7, 7])).is_empty());
    }
}

//! [`Method::Cure`]: before its first epoch a run asks scouts (nets that never saw the sample) about every training
//! label, weighs what they tell against the label that was given, and trains on what both witnesses make of a sample
//! instead of on one label. At its end it asks the trained net too, and changes the few labels that are surely wrong.

use std::collections::BTreeMap;

use super::error::TrainError;
use super::events::Decision;
use super::posterior::Posterior;
use super::recipe::{Method, RelabelBy};
use super::scouts;
use super::training::Training;
use crate::types::Relabel;

/// A scout's probability of a class counts as no less than this, so that one frame cannot veto a clip.
const FLOOR: f64 = 1e-3;

/// Samples that are judged as one, by clip or each for itself.
struct Unit {
    /// Positions in the training set.
    samples: Vec<usize>,
    /// The label that was given.
    given: usize,
    /// What nets tell of it, C.
    told: Vec<f32>,
}

impl Training<'_> {
    /// Asks the scouts, once in a run (a checkpoint remembers it), and makes the targets of what they tell.
    pub(crate) fn begin_cure(&mut self) -> Result<(), TrainError> {
        if self.recipe.method != Method::Cure || !self.labels.told.is_empty() {
            return Ok(());
        }
        self.labels.told = scouts::tell(self)?;
        let units = self.units(&self.labels.told);
        let posterior = self.posterior(&units);
        self.labels.targets = self.spread(&units, &posterior);
        self.save()?;
        scouts::dismiss(self);
        Ok(())
    }

    /// At the end of a run of `cure`: decides about all training labels, and puts the changes in force. The trained net
    /// is asked too, for it learnt from what is thought true of all samples: together with the scouts it fixes more
    /// labels and breaks no more.
    pub(crate) fn end_cure(&mut self) -> Result<Vec<Relabel>, TrainError> {
        let units = self.units(&self.labels.told);
        let learnt = self.units(&scouts::opinions(self)?);
        let given: Vec<usize> = units.iter().map(|unit| unit.given).collect();
        let posterior = self.posterior(&units).with_learner(&told(&units), &told(&learnt), &given);
        self.labels.belief = self.spread(&units, &posterior);
        let decided = posterior.decide(&given, self.recipe.cure.risk);
        let relabels = self.relabels(&units, &posterior, &decided);
        self.labels.apply(&relabels);
        Ok(relabels)
    }

    /// What was told (a row for each of the training samples) by unit; a unit's row is the geometric mean of its
    /// samples', for frames of one clip are one witness, asked many times.
    fn units(&self, told: &[f32]) -> Vec<Unit> {
        let classes = self.set.classes.len();
        let by_clip = self.recipe.relabel_by == RelabelBy::Clip;
        let groups = self.set.groups.as_ref().filter(|_| by_clip);
        let mut members: BTreeMap<(u64, usize), Vec<usize>> = BTreeMap::new();
        for (place, &sample) in self.train_samples.iter().enumerate() {
            let unit = groups.map_or(sample as u64, |groups| groups[sample]);
            members.entry((unit, self.labels.given()[sample])).or_default().push(place);
        }
        let unit = |((_, given), places): ((u64, usize), Vec<usize>)| {
            let row = |place: usize| &told[place * classes..][..classes];
            let told = geometric_mean(&places.iter().map(|&place| row(place)).collect::<Vec<_>>());
            Unit { samples: places.iter().map(|&place| self.train_samples[place]).collect(), given, told }
        };
        members.into_iter().map(unit).collect()
    }

    fn posterior(&self, units: &[Unit]) -> Posterior {
        let given: Vec<usize> = units.iter().map(|unit| unit.given).collect();
        Posterior::of(&told(units), &given, self.set.classes.len())
    }

    /// The posterior of every training sample, N×C; zeros for the samples of other splits.
    fn spread(&self, units: &[Unit], posterior: &Posterior) -> Vec<f32> {
        let classes = self.set.classes.len();
        let mut rows = vec![0.0; self.set.len() * classes];
        for (index, unit) in units.iter().enumerate() {
            let row: Vec<f32> = posterior.row(index).iter().map(|&p| p as f32).collect();
            for &sample in &unit.samples {
                rows[sample * classes..][..classes].copy_from_slice(&row);
            }
        }
        rows
    }

    fn relabels(&self, units: &[Unit], posterior: &Posterior, decided: &[Option<usize>]) -> Vec<Relabel> {
        let mut relabels = Vec::new();
        for (index, (unit, to)) in units.iter().zip(decided).enumerate() {
            let (Some(to), row, from) = (*to, posterior.row(index), unit.given) else { continue };
            let (p_max, p_given) = (row[to] as f32, row[from] as f32);
            let epoch = self.progress.epochs_done;
            relabels.extend(unit.samples.iter().map(|&sample| Relabel {
                sample,
                epoch,
                from,
                to,
                p_max,
                p_given,
                importance: p_given,
            }));
        }
        relabels.sort_by_key(|relabel| relabel.sample);
        relabels
    }

    /// For a training sample of `cure`: the probability of the label that was given.
    pub(crate) fn cure_importance(&self, sample: usize) -> Option<f32> {
        let classes = self.set.classes.len();
        let row = self.labels.belief.get(sample * classes..(sample + 1) * classes)?;
        let is_judged = row.iter().sum::<f32>() > 0.5;
        (self.recipe.method == Method::Cure && is_judged).then(|| row[self.labels.given()[sample]])
    }

    /// What should be done with the label of a training sample of `cure`; a label that is doubted, without a sure other
    /// one, goes to a person.
    pub(crate) fn cure_decision(&self, sample: usize) -> Option<Decision> {
        let p_given = self.cure_importance(sample)?;
        let is_changed = self.labels.current()[sample] != self.labels.given()[sample];
        Some(match (is_changed, p_given < 0.5) {
            (true, _) => Decision::Relabel,
            (false, true) => Decision::Ask,
            (false, false) => Decision::Keep,
        })
    }
}

/// What is told of each unit, one row after the other.
fn told(units: &[Unit]) -> Vec<f32> {
    units.iter().flat_map(|unit| unit.told.iter().copied()).collect()
}

/// Of equally long rows of probabilities; sums to 1.
fn geometric_mean(rows: &[&[f32]]) -> Vec<f32> {
    let classes = rows.first().map_or(0, |row| row.len());
    let mean = |class: usize| {
        let logs = rows.iter().map(|row| f64::from(row[class]).max(FLOOR).ln());
        (logs.sum::<f64>() / rows.len() as f64).exp()
    };
    let means: Vec<f64> = if rows.len() == 1 {
        rows[0].iter().map(|&p| p.into()).collect()
    } else {
        (0..classes).map(mean).collect()
    };
    let sum: f64 = means.iter().sum();
    means.into_iter().map(|mean| (mean / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_a_clip_are_one_witness() {
        let mean = geometric_mean(&[&[0.9, 0.1], &[0.4, 0.6]]);
        let expected = (0.9_f32 * 0.4).sqrt() / ((0.9_f32 * 0.4).sqrt() + (0.1_f32 * 0.6).sqrt());
        assert!((mean[0] - expected).abs() < 1e-6, "{mean:?}");
        let vetoed = geometric_mean(&[&[1.0, 0.0], &[0.9, 0.1], &[0.9, 0.1]]);
        assert!(vetoed[1] > 0.01, "{vetoed:?}");
    }
}

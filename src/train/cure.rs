//! [`Method::Cure`]: before the first epoch, scouts (nets that never saw the sample) predict every training sample; the
//! posterior from these predictions and the given label is the soft target of training. After the last epoch the
//! trained net predicts the samples too, and the few labels that are almost certainly wrong are changed.
//!
//! The method is this program's own and unpublished. What was measured of it is with [`super::recipe::CureRecipe`].

use std::collections::BTreeMap;

use super::error::TrainError;
use super::posterior::Posterior;
use super::recipe::{Method, RelabelBy};
use super::scouts;
use super::training::Training;
use crate::types::Relabel;

/// Least probability of a class in a frame, so that one frame cannot veto a clip.
const FRAME_FLOOR: f64 = 1e-3;

/// Samples that are judged together: those of a clip, or a single one.
struct Unit {
    /// Positions in the training set.
    samples: Vec<usize>,
    given: usize,
    /// Predicted probabilities, C.
    prediction: Vec<f32>,
}

impl Training<'_> {
    /// Trains the scouts, once in a run (a checkpoint keeps their predictions), and sets the soft targets.
    pub(crate) fn begin_cure(&mut self) -> Result<(), TrainError> {
        if self.recipe.method != Method::Cure || !self.labels.scout_predictions.is_empty() {
            return Ok(());
        }
        self.labels.scout_predictions = scouts::predictions(self)?;
        let judged = scouts::can_judge(self);
        let units = self.units(&self.labels.scout_predictions, &judged);
        let given: Vec<usize> = units.iter().map(|unit| unit.given).collect();
        let posterior = Posterior::of(&predictions(&units), &given, self.set.classes.len());
        let mut targets = self.posterior_rows(&units, &posterior);
        self.keep_labels(&mut targets, &judged);
        self.labels.targets = targets;
        self.save()?;
        scouts::remove_folder(self);
        Ok(())
    }

    /// At the end of a run of `cure`: decides about all training labels, and puts the changes in force. The trained
    /// net's predictions count too, since it learnt from the posterior of all samples: with it more labels are fixed,
    /// and no more are broken.
    pub(crate) fn end_cure(&mut self) -> Result<Vec<Relabel>, TrainError> {
        let judged = scouts::can_judge(self);
        let units = self.units(&self.labels.scout_predictions, &judged);
        let learnt = self.units(&scouts::own_predictions(self)?, &judged);
        let given: Vec<usize> = units.iter().map(|unit| unit.given).collect();
        let (predictions, learnt) = (predictions(&units), predictions(&learnt));
        let posterior = Posterior::of(&predictions, &given, self.set.classes.len());
        let posterior = posterior.with_learner(&predictions, &learnt, &given);
        self.labels.posterior = self.posterior_rows(&units, &posterior);
        let decided = posterior.decide(&given, self.recipe.cure.risk);
        let relabels = self.relabels(&units, &posterior, &decided);
        self.labels.apply(&relabels);
        Ok(relabels)
    }

    /// The targets of training samples that are not judged are their given labels; they have no posterior.
    fn keep_labels(&self, targets: &mut [f32], judged: &[bool]) {
        let classes = self.set.classes.len();
        for (&sample, _) in self.train_samples.iter().zip(judged).filter(|(_, judged)| !**judged) {
            targets[sample * classes + self.labels.given()[sample]] = 1.0;
        }
    }

    /// Predictions of the judged training samples (a row for each) by unit. A unit's row is the geometric mean of its
    /// samples' rows: frames of one clip are not independent evidence.
    fn units(&self, predictions: &[f32], judged: &[bool]) -> Vec<Unit> {
        let classes = self.set.classes.len();
        let by_clip = self.recipe.relabel_by == RelabelBy::Clip;
        let groups = self.set.groups.as_ref().filter(|_| by_clip);
        let mut members: BTreeMap<(u64, usize), Vec<usize>> = BTreeMap::new();
        for (place, &sample) in self.train_samples.iter().enumerate().filter(|(place, _)| judged[*place]) {
            let unit = groups.map_or(sample as u64, |groups| groups[sample]);
            members.entry((unit, self.labels.given()[sample])).or_default().push(place);
        }
        let unit = |((_, given), places): ((u64, usize), Vec<usize>)| {
            let row = |place: usize| &predictions[place * classes..][..classes];
            let prediction = geometric_mean(&places.iter().map(|&place| row(place)).collect::<Vec<_>>());
            let samples = places.iter().map(|&place| self.train_samples[place]).collect();
            Unit { samples, given, prediction }
        };
        members.into_iter().map(unit).collect()
    }

    /// The posterior of every judged training sample, N×C; zeros for all others.
    fn posterior_rows(&self, units: &[Unit], posterior: &Posterior) -> Vec<f32> {
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

    /// For a training sample of `cure`: the posterior probability of its given label.
    pub(crate) fn cure_importance(&self, sample: usize) -> Option<f32> {
        let classes = self.set.classes.len();
        let row = self.labels.posterior.get(sample * classes..(sample + 1) * classes)?;
        let is_judged = row.iter().sum::<f32>() > 0.5;
        (self.recipe.method == Method::Cure && is_judged).then(|| row[self.labels.given()[sample]])
    }
}

/// The units' rows, N×C.
fn predictions(units: &[Unit]) -> Vec<f32> {
    units.iter().flat_map(|unit| unit.prediction.iter().copied()).collect()
}

/// The geometric mean of rows of probabilities, normalised to sum to 1.
fn geometric_mean(rows: &[&[f32]]) -> Vec<f32> {
    let classes = rows.first().map_or(0, |row| row.len());
    let mean = |class: usize| {
        let logs = rows.iter().map(|row| f64::from(row[class]).max(FRAME_FLOOR).ln());
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
    fn a_clip_is_the_geometric_mean_of_its_frames() {
        let mean = geometric_mean(&[&[0.9, 0.1], &[0.4, 0.6]]);
        let expected = (0.9_f32 * 0.4).sqrt() / ((0.9_f32 * 0.4).sqrt() + (0.1_f32 * 0.6).sqrt());
        assert!((mean[0] - expected).abs() < 1e-6, "{mean:?}");
        let vetoed = geometric_mean(&[&[1.0, 0.0], &[0.9, 0.1], &[0.9, 0.1]]);
        assert!(vetoed[1] > 0.01, "{vetoed:?}");
    }
}

//! A run's labels against the true ones, which are known in the demo and where labels were made wrong on purpose.

use serde::Serialize;

use crate::words::share_of;

/// Labels against the truth, before and after relabelling.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Truth {
    /// Training samples whose true label is known.
    pub labels: u64,
    /// Labels that were wrong before training.
    pub wrong_before: u64,
    /// Of these, how many are right in the end.
    pub fixed: u64,
    /// Labels that were right before training and are wrong in the end.
    pub broken: u64,
    /// The methods compared, on held-out samples with true labels.
    pub methods: Vec<MethodResult>,
}

/// One method on held-out samples with true labels.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MethodResult {
    /// The method's name.
    pub method: String,
    /// Share classified right, 0 to 1.
    pub accuracy: Option<f64>,
    /// Mean of the classes' recalls, 0 to 1.
    pub mean_class_accuracy: Option<f64>,
    /// Share of wrong training labels in the end, 0 to 1.
    pub noise_after: Option<f64>,
}

impl Truth {
    /// Labels that are wrong in the end.
    pub(super) fn wrong_after(&self) -> u64 {
        (self.wrong_before + self.broken).saturating_sub(self.fixed)
    }

    /// Share of wrong labels before training.
    pub(super) fn noise_before(&self) -> Option<f64> {
        share_of(self.wrong_before, self.labels)
    }

    /// Share of wrong labels in the end.
    pub(super) fn noise_after(&self) -> Option<f64> {
        share_of(self.wrong_after(), self.labels)
    }

    /// Share of the originally wrong labels that are right in the end.
    pub(super) fn fixed_share(&self) -> Option<f64> {
        share_of(self.fixed, self.wrong_before)
    }

    /// Share of the originally right labels that are wrong in the end.
    pub(super) fn broken_share(&self) -> Option<f64> {
        share_of(self.broken, self.labels.saturating_sub(self.wrong_before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_falls_by_what_is_fixed_and_rises_by_what_is_broken() {
        let truth = Truth { labels: 1_000, wrong_before: 250, fixed: 150, broken: 15, ..Truth::default() };
        assert_eq!(truth.wrong_after(), 115);
        assert_eq!((truth.noise_before(), truth.noise_after()), (Some(0.25), Some(0.115)));
        assert_eq!((truth.fixed_share(), truth.broken_share()), (Some(0.6), Some(0.02)));
    }
}

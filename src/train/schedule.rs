//! The learning rate by epoch. Pure.

use serde::{Deserialize, Serialize};

/// How the learning rate changes from epoch to epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Schedule {
    /// Never.
    Constant,
    /// Times `factor` after every epoch.
    Exponential {
        /// 0 to 1.
        factor: f64,
    },
    /// Times `factor` after each of these epochs.
    Step {
        /// One-based.
        at: Vec<u32>,
        /// 0 to 1.
        factor: f64,
    },
    /// Half a cosine, from the full rate down to nearly 0.
    Cosine,
}

impl Schedule {
    /// The learning rate of a one-based epoch, as a share of the first epoch's.
    pub fn factor(&self, epoch: u32, epochs: u32) -> f64 {
        let done = epoch.saturating_sub(1);
        match self {
            Self::Constant => 1.0,
            Self::Exponential { factor } => factor.powi(done.cast_signed()),
            Self::Step { at, factor } => factor
                .powi(i32::try_from(at.iter().filter(|&&drop| done >= drop).count()).unwrap_or(i32::MAX)),
            Self::Cosine => {
                let share = f64::from(done) / f64::from(epochs.max(1));
                0.5 * (1.0 + (std::f64::consts::PI * share).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_schedule_drops_after_the_named_epochs() {
        let schedule = Schedule::Step { at: vec![15, 30], factor: 0.1 };
        let rates: Vec<f64> = [1, 15, 16, 30, 31].map(|epoch| schedule.factor(epoch, 40)).to_vec();
        for (rate, expected) in rates.iter().zip([1.0, 1.0, 0.1, 0.1, 0.01]) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
    }

    #[test]
    fn a_cosine_begins_at_the_full_rate_and_never_reaches_zero() {
        assert_eq!(Schedule::Cosine.factor(1, 10), 1.0);
        assert!((Schedule::Cosine.factor(6, 10) - 0.5).abs() < 1e-12);
        assert!(Schedule::Cosine.factor(10, 10) > 0.0);
    }
}

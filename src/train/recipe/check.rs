//! Which values a recipe may hold.

use super::super::data::TrainingSet;
use super::super::error::TrainError;
use super::super::schedule::Schedule;
use super::{Arch, Recipe};
use crate::types::Split;

impl Recipe {
    /// Checks all values.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] names the first invalid value.
    pub fn check(&self) -> Result<(), TrainError> {
        self.check_numbers()?;
        self.check_drops()
    }

    /// Checks the recipe against a set whose validation part has been held out.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] when early stopping has no validation part.
    pub fn check_for(&self, set: &TrainingSet) -> Result<(), TrainError> {
        match self.early_stop {
            Some(patience) if !set.splits.contains(&Split::Validation) => Err(TrainError::Recipe {
                name: "early_stop",
                value: patience.to_string(),
                must_be: "left out where no samples are held out for validation",
            }),
            _ => Ok(()),
        }
    }

    fn check_drops(&self) -> Result<(), TrainError> {
        let Schedule::Step { at, .. } = &self.schedule else { return Ok(()) };
        let is_bad = |(place, epoch): (usize, &u32)| *epoch == 0 || at[..place].contains(epoch);
        if at.iter().enumerate().any(is_bad) {
            let value = at.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            return Err(TrainError::Recipe {
                name: "drop_after",
                value,
                must_be: "epochs from 1 on, each named once",
            });
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), TrainError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let scn = &self.scn;
        let patience = self.early_stop.unwrap_or(u32::MAX);
        let accumulate = (1..=(self.batch_size / 2).max(1)).contains(&self.accumulate);
        let (least_size, size_must_be) = self.arch.least_image_size();
        let rules: [(&'static str, f64, bool, &'static str); 20] = [
            ("epochs", self.epochs.into(), self.epochs > 0, "at least 1"),
            // A single picture has no batch statistics.
            ("batch_size", self.batch_size as f64, self.batch_size > 1, "at least 2"),
            (
                "image_size",
                self.image_size.into(),
                (least_size..=1024).contains(&self.image_size),
                size_must_be,
            ),
            ("lr", self.optimizer.lr, positive(self.optimizer.lr), "above 0"),
            (
                "momentum",
                self.optimizer.momentum,
                (0.0..1.0).contains(&self.optimizer.momentum),
                "0 to below 1",
            ),
            ("weight_decay", self.optimizer.weight_decay, self.optimizer.weight_decay >= 0.0, "0 or more"),
            ("beta", scn.beta, share(scn.beta), "0 to 1"),
            ("margin_1", scn.margin_1, share(scn.margin_1), "0 to 1"),
            ("margin_2", scn.margin_2, share(scn.margin_2), "0 to 1"),
            ("gamma", scn.gamma, share(scn.gamma), "0 to 1"),
            ("cure.risk", self.cure.risk, share(self.cure.risk), "0 to 1"),
            ("cure.scout_share", self.cure.scout_share, positive(self.cure.scout_share), "above 0"),
            ("cure.folds", self.cure.folds.into(), (2..=100).contains(&self.cure.folds), "2 to 100"),
            ("augment.flip", self.augment.flip, share(self.augment.flip), "0 to 1"),
            ("augment.crop", self.augment.crop, (0.0..0.5).contains(&self.augment.crop), "0 to below 0.5"),
            ("augment.erase", self.augment.erase, share(self.augment.erase), "0 to 1"),
            (
                "augment.colour",
                self.augment.colour,
                (0.0..1.0).contains(&self.augment.colour),
                "0 to below 1",
            ),
            ("accumulate", self.accumulate as f64, accumulate, "1 to half of batch_size"),
            ("average", self.average, (0.0..1.0).contains(&self.average), "0 to below 1"),
            ("early_stop", patience.into(), patience > 0, "at least 1"),
        ];
        match rules.into_iter().find(|(_, _, holds, _)| !holds) {
            Some((name, value, _, must_be)) => {
                Err(TrainError::Recipe { name, value: value.to_string(), must_be })
            }
            None => Ok(()),
        }
    }
}

impl Arch {
    /// The least image size, pixels, and the allowed range in words.
    pub(crate) fn least_image_size(self) -> (u32, &'static str) {
        match self {
            // Each of its five poolings halves the side and rounds down.
            Self::Vgg16 => (32, "32 to 1024 for vgg16"),
            _ => (16, "16 to 1024"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::drawn::shapes;
    use crate::train::recipe::Method;

    fn refused(recipe: &Recipe) -> String {
        recipe.check().unwrap_err().to_string()
    }

    #[test]
    fn an_image_too_small_for_the_arch_is_refused_with_the_arch_s_name() {
        let recipe = Recipe { arch: Arch::Vgg16, image_size: 31, ..Recipe::new(Method::Baseline) };
        assert_eq!(refused(&recipe), "recipe: image_size is 31, but must be 32 to 1024 for vgg16");
        Recipe { image_size: 32, ..recipe.clone() }.check().unwrap();
        Recipe { arch: Arch::Resnet18, image_size: 16, ..recipe }.check().unwrap();
    }

    #[test]
    fn epochs_after_which_the_rate_drops_are_positive_and_unique() {
        let dropping = |at: &[u32]| Recipe {
            schedule: Schedule::Step { at: at.to_vec(), factor: 0.1 },
            ..Recipe::new(Method::Baseline)
        };
        for (at, shown) in [(&[0, 3][..], "0,3"), (&[3, 9, 3][..], "3,9,3")] {
            let must_be = "but must be epochs from 1 on, each named once";
            assert_eq!(refused(&dropping(at)), format!("recipe: drop_after is {shown}, {must_be}"));
        }
        dropping(&[9, 3]).check().unwrap();
    }

    #[test]
    fn early_stopping_without_validation_is_refused() {
        let recipe = Recipe { early_stop: Some(3), ..Recipe::new(Method::Baseline) };
        let mut set = shapes(60, 1);
        recipe.check_for(&set).unwrap();
        set.splits.iter_mut().for_each(|split| *split = Split::Train);
        assert_eq!(
            recipe.check_for(&set).unwrap_err().to_string(),
            "recipe: early_stop is 3, but must be left out where no samples are held out for validation"
        );
        Recipe { early_stop: None, ..recipe }.check_for(&set).unwrap();
    }

    #[test]
    fn a_share_above_one_is_refused_by_name() {
        let mut recipe = Recipe::new(Method::Scn);
        recipe.scn.beta = 1.2;
        assert_eq!(recipe.check().unwrap_err().to_string(), "recipe: beta is 1.2, but must be 0 to 1");
    }

    #[test]
    fn a_patience_of_zero_and_a_batch_of_one_are_refused() {
        let recipe = Recipe { early_stop: Some(0), ..Recipe::new(Method::Baseline) };
        assert_eq!(
            recipe.check().unwrap_err().to_string(),
            "recipe: early_stop is 0, but must be at least 1"
        );
        let recipe = Recipe { batch_size: 1, ..Recipe::new(Method::Baseline) };
        assert_eq!(
            recipe.check().unwrap_err().to_string(),
            "recipe: batch_size is 1, but must be at least 2"
        );
    }
}

//! What numbers a recipe may hold.

use super::super::error::TrainError;
use super::Recipe;

impl Recipe {
    /// Says the first value that cannot work.
    pub fn check(&self) -> Result<(), TrainError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let scn = &self.scn;
        let patience = self.early_stop.unwrap_or(u32::MAX);
        let accumulate = (1..=(self.batch_size / 2).max(1)).contains(&self.accumulate);
        let rules: [(&'static str, f64, bool, &'static str); 20] = [
            ("epochs", self.epochs.into(), self.epochs > 0, "at least 1"),
            // Of a single picture there are no batch statistics.
            ("batch_size", self.batch_size as f64, self.batch_size > 1, "at least 2"),
            ("image_size", self.image_size.into(), (16..=1024).contains(&self.image_size), "16 to 1024"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::recipe::Method;

    #[test]
    fn a_share_above_one_is_refused_by_name() {
        let mut recipe = Recipe::new(Method::Scn);
        recipe.scn.beta = 1.2;
        assert_eq!(recipe.check().unwrap_err().to_string(), "recipe: beta is 1.2, but must be 0 to 1");
    }

    #[test]
    fn a_run_that_would_end_before_it_began_is_refused() {
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

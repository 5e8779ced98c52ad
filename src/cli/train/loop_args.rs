//! The flags of the loop itself: how params move, how pictures are varied, when it ends. They know no method.

use clap::{Args, ValueEnum};

use super::args::{set, words};
use crate::train::recipe::{Normalise, Recipe};
use crate::train::schedule::Schedule;

/// How params move, how pictures are varied, when training ends.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The loop")]
pub struct LoopArgs {
    /// How the learning rate falls over the epochs [default: cosine]
    #[arg(long, value_enum)]
    pub schedule: Option<ScheduleArg>,
    /// What each drop leaves of the learning rate [default: step 0.1, exponential 0.9]
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pub drop_factor: Option<f64>,
    /// After which epochs --schedule step drops it [default: half and three quarters of all]
    #[arg(long, value_name = "EPOCH,…", value_delimiter = ',')]
    pub drop_after: Vec<u32>,
    /// SGD's momentum [default: 0.9]
    #[arg(long)]
    pub momentum: Option<f64>,
    /// Added to the gradient times the param [default: 0.0001]
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// Show each step's pictures to the net in this many parts: less memory [default: 1]
    #[arg(long, value_name = "PARTS")]
    pub accumulate: Option<usize>,
    /// End after so many epochs without a better validation accuracy [default: never]
    #[arg(long, value_name = "EPOCHS")]
    pub early_stop: Option<u32>,
    /// Judge by a running mean of the params that keeps this share of itself at each step, e.g. 0.999 [default: 0, off]
    #[arg(long, value_name = "SHARE")]
    pub average: Option<f64>,
    /// Chance that a training picture is mirrored [default: 0.5]
    #[arg(long, value_name = "CHANCE")]
    pub flip: Option<f64>,
    /// Largest shift and zoom of a training picture, as a share of its side; 0 for none [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    pub crop: Option<f64>,
    /// Chance that a rectangle of a training picture is erased [default: 0.25]
    #[arg(long, value_name = "CHANCE")]
    pub erase: Option<f64>,
    /// Largest change of a training picture's brightness and contrast; 0 for none [default: 0.2]
    #[arg(long, value_name = "SHARE")]
    pub colour: Option<f64>,
    /// How pixels become numbers; it must be what the file of --init was made with [default: imagenet]
    #[arg(long, value_enum)]
    pub normalise: Option<NormaliseArg>,
}

/// `--schedule`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScheduleArg {
    /// Never
    Constant,
    /// A little after every epoch
    Exponential,
    /// By much after a few epochs
    Step,
    /// Half a cosine down to nearly nothing
    Cosine,
}

words!(/// `--normalise`
NormaliseArg => Normalise {
    /// 0 to 1, less the ImageNet mean, by its deviation: torchvision's params
    Imagenet = Normalise::Imagenet,
    /// 0 to 1 as it is: RAN's and SCN's face params
    ZeroOne = Normalise::ZeroOne,
});

fn factor(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    if factor > 0.0 && factor <= 1.0 { Ok(factor) } else { Err("not above 0 and at most 1".to_owned()) }
}

impl LoopArgs {
    /// Changes what was named.
    pub(super) fn apply(&self, recipe: &mut Recipe) {
        if let Some(schedule) = self.schedule {
            recipe.schedule = self.schedule(schedule, recipe.epochs);
        }
        set(&mut recipe.optimizer.momentum, self.momentum);
        set(&mut recipe.optimizer.weight_decay, self.weight_decay);
        set(&mut recipe.accumulate, self.accumulate);
        set(&mut recipe.average, self.average);
        set(&mut recipe.augment.flip, self.flip);
        set(&mut recipe.augment.crop, self.crop);
        set(&mut recipe.augment.erase, self.erase);
        set(&mut recipe.augment.colour, self.colour);
        set(&mut recipe.normalise, self.normalise.map(Into::into));
        recipe.early_stop = self.early_stop.or(recipe.early_stop);
    }

    fn schedule(&self, schedule: ScheduleArg, epochs: u32) -> Schedule {
        let factor = |usual| self.drop_factor.unwrap_or(usual);
        match schedule {
            ScheduleArg::Constant => Schedule::Constant,
            ScheduleArg::Exponential => Schedule::Exponential { factor: factor(0.9) },
            ScheduleArg::Cosine => Schedule::Cosine,
            ScheduleArg::Step => {
                let usual = vec![epochs / 2, epochs * 3 / 4];
                let at = if self.drop_after.is_empty() { usual } else { self.drop_after.clone() };
                Schedule::Step { at, factor: factor(0.1) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;
    use super::*;

    #[test]
    fn a_step_schedule_knows_its_epochs_or_halves_them() {
        let recipe = parse(&["--schedule", "step", "--epochs", "40"]).recipe();
        assert_eq!(recipe.schedule, Schedule::Step { at: vec![20, 30], factor: 0.1 });
        let recipe = parse(&["--schedule", "step", "--drop-after", "15,30", "--drop-factor", "0.5"]).recipe();
        assert_eq!(recipe.schedule, Schedule::Step { at: vec![15, 30], factor: 0.5 });
    }

    #[test]
    fn what_is_not_named_stays_as_the_preset_has_it() {
        let recipe = parse(&["--preset", "paper", "--early-stop", "7", "--normalise", "zero-one"]).recipe();
        assert_eq!(recipe.schedule, Schedule::Step { at: vec![15, 30], factor: 0.1 });
        assert_eq!((recipe.early_stop, recipe.normalise), (Some(7), Normalise::ZeroOne));
        assert_eq!(recipe.accumulate, 1);
    }
}

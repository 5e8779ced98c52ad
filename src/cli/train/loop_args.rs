//! The flags of the training loop: optimizer, augmentation, and when it ends.

use clap::{Args, ValueEnum};

use super::args::{set, words};
use crate::train::OwnCard;
use crate::train::recipe::{Normalise, Recipe};
use crate::train::schedule::Schedule;

/// How params move, how pictures are varied, when training ends.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The loop")]
pub struct LoopArgs {
    /// How the learning rate falls over the epochs [default: cosine]
    #[arg(long, value_enum)]
    pub schedule: Option<ScheduleArg>,
    /// What each drop leaves of the learning rate; means --schedule step unless another is named that drops [default:
    /// step 0.1, exponential 0.9]
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pub drop_factor: Option<f64>,
    /// After which epochs, from 1 on, the learning rate drops; means --schedule step [default: half and three quarters
    /// of all]
    #[arg(long, value_name = "EPOCH,…", value_delimiter = ',')]
    pub drop_after: Vec<u32>,
    /// SGD's momentum [default: 0.9]
    #[arg(long)]
    pub momentum: Option<f64>,
    /// Added to the gradient times the param [default: 0.0001]
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// Show each step's pictures to the net in this many parts: less memory; batch statistics, rank regularisation and
    /// low groups are then those of a part [default: 1]
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
    /// How pixels become numbers; it must be what the file of --init was made with [default: as a file of this program
    /// says, else imagenet]
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
    /// Applies the flags that were given. Without a flag pictures are normalised as the file of `init` says, if it does.
    pub(super) fn apply(&self, recipe: &mut Recipe) {
        recipe.schedule = self.schedule(&recipe.schedule, recipe.epochs);
        set(&mut recipe.optimizer.momentum, self.momentum);
        set(&mut recipe.optimizer.weight_decay, self.weight_decay);
        set(&mut recipe.accumulate, self.accumulate);
        set(&mut recipe.average, self.average);
        set(&mut recipe.augment.flip, self.flip);
        set(&mut recipe.augment.crop, self.crop);
        set(&mut recipe.augment.erase, self.erase);
        set(&mut recipe.augment.colour, self.colour);
        let of_init = || Some(OwnCard::of(recipe.init.as_deref()?)?.normalise());
        let normalise = self.normalise.map(Into::into).or_else(of_init);
        set(&mut recipe.normalise, normalise);
        recipe.early_stop = self.early_stop.or(recipe.early_stop);
    }

    /// The schedule that was named, else the `usual` one, with the drops that were named. Flags for drops imply a step
    /// schedule, unless the schedule has drops.
    fn schedule(&self, usual: &Schedule, epochs: u32) -> Schedule {
        let steps = || {
            // With one epoch there is nothing to drop after, with two only one place.
            let mut at = vec![epochs / 2, epochs * 3 / 4];
            at.retain(|&epoch| epoch > 0);
            at.dedup();
            Schedule::Step { at, factor: 0.1 }
        };
        let mut schedule = match self.schedule {
            Some(ScheduleArg::Constant) => Schedule::Constant,
            Some(ScheduleArg::Exponential) => Schedule::Exponential { factor: 0.9 },
            Some(ScheduleArg::Cosine) => Schedule::Cosine,
            Some(ScheduleArg::Step) => steps(),
            None => usual.clone(),
        };
        let drops = match schedule {
            Schedule::Step { .. } => true,
            Schedule::Exponential { .. } => self.drop_after.is_empty(),
            Schedule::Constant | Schedule::Cosine => false,
        };
        if !drops && (self.drop_factor.is_some() || !self.drop_after.is_empty()) {
            schedule = steps();
        }
        match &mut schedule {
            Schedule::Step { at, factor } => {
                set(factor, self.drop_factor);
                set(at, Some(self.drop_after.clone()).filter(|epochs| !epochs.is_empty()));
            }
            Schedule::Exponential { factor } => set(factor, self.drop_factor),
            Schedule::Constant | Schedule::Cosine => {}
        }
        schedule
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn a_run_of_few_epochs_never_drops_twice_at_one_epoch_or_before_the_first() {
        for (epochs, expected) in [("1", &[][..]), ("2", &[1][..]), ("3", &[1, 2][..]), ("4", &[2, 3][..])] {
            let recipe = parse(&["--schedule", "step", "--epochs", epochs]).recipe();
            assert_eq!(recipe.schedule, Schedule::Step { at: expected.to_vec(), factor: 0.1 });
            recipe.check().unwrap();
        }
        for named in ["0,4", "4,4"] {
            let error = parse(&["--drop-after", named]).recipe().check().unwrap_err();
            assert!(error.to_string().starts_with(&format!("recipe: drop_after is {named}, ")), "{error}");
        }
    }

    #[test]
    fn the_file_of_init_decides_the_normalisation_unless_a_flag_does() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("best.safetensors");
        let card = json!({"net": {"classes": ["anger", "fear"], "recipe": {"normalise": "zero-one"}}});
        let head = json!({"__metadata__": {"webemotion": card.to_string()}}).to_string();
        std::fs::write(&own, [&(head.len() as u64).to_le_bytes()[..], head.as_bytes()].concat()).unwrap();
        let own = own.to_str().unwrap();
        let normalise = |words: &[&str]| parse(words).recipe().normalise;
        assert_eq!(normalise(&["--init", own]), Normalise::ZeroOne);
        assert_eq!(normalise(&["--init", own, "--normalise", "imagenet"]), Normalise::Imagenet);
        assert_eq!(normalise(&["--init", "face.pth"]), Normalise::Imagenet);
    }

    #[test]
    fn flags_for_drops_override_the_preset_and_need_no_other_flag() {
        let recipe = parse(&["--preset", "paper", "--drop-after", "1", "--drop-factor", "0.5"]).recipe();
        assert_eq!(recipe.schedule, Schedule::Step { at: vec![1], factor: 0.5 });
        let recipe = parse(&["--preset", "reference", "--drop-factor", "0.8"]).recipe();
        assert_eq!(recipe.schedule, Schedule::Exponential { factor: 0.8 });
        let recipe = parse(&["--epochs", "8", "--drop-after", "6"]).recipe();
        assert_eq!(recipe.schedule, Schedule::Step { at: vec![6], factor: 0.1 });
    }

    #[test]
    fn flags_that_are_not_given_leave_the_preset_unchanged() {
        let recipe = parse(&["--preset", "paper", "--early-stop", "7", "--normalise", "zero-one"]).recipe();
        assert_eq!(recipe.schedule, Schedule::Step { at: vec![15, 30], factor: 0.1 });
        assert_eq!((recipe.early_stop, recipe.normalise), (Some(7), Normalise::ZeroOne));
        assert_eq!(recipe.accumulate, 1);
    }
}

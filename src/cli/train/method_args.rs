//! The flags of the methods that change labels: SCN and cure.

use clap::{Args, ValueEnum};

use super::args::{set, words};
use crate::train::recipe::{LossForm, Recipe, RelabelBy, RelabelProbabilities, RelabelScope, RelabelStart};

/// SCN's numbers and readings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The Self-Cure Network")]
pub struct ScnArgs {
    /// Share of a batch that counts as important [default: 0.7]
    #[arg(long)]
    pub beta: Option<f64>,
    /// By how much its mean importance must lead [default: 0.07, from batch size 512 on 0.15]
    #[arg(long = "margin-1")]
    pub margin_1: Option<f64>,
    /// Learn margin 1: training can only lower it, and at 0 rank regularisation asks for no lead any more
    #[arg(long = "learn-margin-1")]
    pub learn_margin_1: bool,
    /// By how much another class must lead before a label changes [default: 0.2]
    #[arg(long = "margin-2")]
    pub margin_2: Option<f64>,
    /// Which samples may be relabelled [default: batch; the paper: low-group]
    #[arg(long, value_enum)]
    pub relabel_scope: Option<ScopeArg>,
    /// Decide about each sample, or about all samples of a clip together [default: clip]
    #[arg(long, value_enum)]
    pub relabel_by: Option<ByArg>,
    /// Whose softmax decides, and is given as the net's confidence [default: weighted]
    #[arg(long, value_enum)]
    pub relabel_probabilities: Option<ProbabilitiesArg>,
    /// Join the losses by gamma (the paper) or by their sum [default: sum]
    #[arg(long, value_enum)]
    pub loss: Option<LossArg>,
    /// Share of rank regularisation; means --loss gamma [default: 0.5]
    #[arg(long)]
    pub gamma: Option<f64>,
    /// First epoch that may relabel, or auto: before labels are learnt by heart [default: auto]
    #[arg(long, value_name = "EPOCH|auto", value_parser = relabel_start)]
    pub relabel_epoch: Option<RelabelStart>,
}

fn relabel_start(word: &str) -> Result<RelabelStart, String> {
    match (word, word.parse()) {
        ("auto", _) => Ok(RelabelStart::Auto),
        (_, Ok(epoch)) => Ok(RelabelStart::Epoch(epoch)),
        _ => Err("neither 'auto' nor an epoch".to_owned()),
    }
}

/// Cure's numbers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cure")]
pub struct CureArgs {
    /// Share of a class's labels that may be broken by changing others, as far as can be told [default: 0.02]
    #[arg(long, value_name = "SHARE")]
    pub risk: Option<f64>,
    /// Into how many parts the training samples are dealt, each judged by a net that saw only the others [default: 3]
    #[arg(long, value_name = "PARTS")]
    pub folds: Option<u32>,
    /// Most epochs of such a net, as a multiple of the run's [default: 2]
    #[arg(long, value_name = "FACTOR")]
    pub scout_share: Option<f64>,
}

words!(/// `--relabel-scope`
    ScopeArg => RelabelScope { LowGroup = RelabelScope::LowGroup, Batch = RelabelScope::Batch });
words!(/// `--relabel-by`
    ByArg => RelabelBy { Sample = RelabelBy::Sample, Clip = RelabelBy::Clip });
words!(/// `--relabel-probabilities`
ProbabilitiesArg => RelabelProbabilities {
    Weighted = RelabelProbabilities::Weighted, Raw = RelabelProbabilities::Raw,
});
words!(/// `--loss`
    LossArg => LossForm { Gamma = LossForm::Gamma, Sum = LossForm::Sum });

impl ScnArgs {
    pub(super) fn apply(&self, recipe: &mut Recipe) {
        set(&mut recipe.relabel_by, self.relabel_by.map(Into::into));
        let scn = &mut recipe.scn;
        set(&mut scn.beta, self.beta);
        set(&mut scn.margin_1, self.margin_1);
        set(&mut scn.margin_2, self.margin_2);
        set(&mut scn.gamma, self.gamma);
        set(&mut scn.relabel_scope, self.relabel_scope.map(Into::into));
        set(&mut scn.relabel_probabilities, self.relabel_probabilities.map(Into::into));
        let named = self.gamma.map(|_| LossForm::Gamma);
        set(&mut scn.loss_form, self.loss.map(Into::into).or(named));
        set(&mut scn.relabel_start, self.relabel_epoch);
        scn.margin_1_learnt |= self.learn_margin_1;
    }
}

impl CureArgs {
    pub(super) fn apply(&self, recipe: &mut Recipe) {
        let cure = &mut recipe.cure;
        set(&mut cure.risk, self.risk);
        set(&mut cure.folds, self.folds);
        set(&mut cure.scout_share, self.scout_share);
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::tests::parse;
    use super::*;

    #[test]
    fn a_given_gamma_is_used() {
        assert_eq!(parse(&["--gamma", "0.3"]).recipe().scn.loss_form, LossForm::Gamma);
        assert_eq!(parse(&["--gamma", "0.3", "--loss", "sum"]).recipe().scn.loss_form, LossForm::Sum);
        assert_eq!(parse(&[]).recipe().scn.loss_form, LossForm::Sum);
    }

    #[test]
    fn flags_that_are_given_apply_and_the_rest_stays() {
        let usual = parse(&[]).recipe();
        let recipe = parse(&["--method", "cure", "--risk", "0.05", "--scout-share", "0.5"]).recipe();
        assert_eq!((recipe.cure.risk, recipe.cure.scout_share), (0.05, 0.5));
        assert_eq!((recipe.cure.folds, &recipe.scn), (usual.cure.folds, &usual.scn));
    }
}

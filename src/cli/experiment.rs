//! `webemotion experiment`: many trainings that belong together, and their table.

mod grid;
mod noise;
mod published;
mod table;

use super::Global;
use crate::failure::Exit;

/// Flags of `experiment`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  webemotion experiment noise --dataset raf-db:/data/rafdb --levels 0.1,0.2,0.3 \
    --methods baseline,scn,cure --seeds 3"
)]
pub(crate) struct ExperimentArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, clap::Subcommand)]
enum Kind {
    /// Train every method at every share of wrong labels under several seeds: the paper's table 2
    Noise(Box<noise::NoiseArgs>),
}

/// Runs the command.
pub(crate) async fn run(args: ExperimentArgs, global: &Global) -> anyhow::Result<Exit> {
    match args.kind {
        Kind::Noise(args) => noise::run(*args, global).await,
    }
}

//! The commands that run nets in their own process. Only `webemotion-nets` is linked with them.

use clap::Subcommand;

use super::{Global, block_on, eval, experiment, export_net, measure_train, predict, run, say, train};
#[cfg(feature = "media")]
use super::{demo, inspect, worker};
use crate::failure::Exit;
use crate::train::devices_in_words;

#[derive(Debug, Subcommand)]
pub(super) enum Nets {
    /// Train a net on the samples, or on a data set of pictures
    #[command(display_order = 3)]
    Train(Box<train::TrainArgs>),
    /// Say which emotion a trained net sees in the faces of pictures
    #[command(display_order = 4)]
    Predict(predict::PredictArgs),
    /// Measure a trained net on a data set of pictures
    #[command(display_order = 5)]
    Eval(eval::EvalArgs),
    /// Compare methods: many trainings that belong together, and their table
    #[command(display_order = 6)]
    Experiment(experiment::ExperimentArgs),
    /// Write a trained net for other programs: params, TorchScript, and a card
    #[command(display_order = 7)]
    ExportNet(export_net::ExportNetArgs),
    /// Do what is due of crawl, clips, train and report: one round, for a scheduler
    #[command(display_order = 8)]
    Run(run::RunArgs),
    /// Look at pictures and videos without a catalog: faces, shots, tracks
    #[cfg(feature = "media")]
    #[command(display_order = 11)]
    Inspect(inspect::InspectArgs),
    /// Make a small world on loopback and do the whole walk in it
    #[cfg(feature = "media")]
    #[command(display_order = 19)]
    Demo(demo::DemoArgs),
    /// Measure the parts of training for scripts/bench
    #[command(hide = true)]
    MeasureTrain,
    /// Say which devices libtorch sees
    #[command(hide = true)]
    Devices,
    /// Open videos for another process
    #[cfg(feature = "media")]
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
}

pub(super) fn begin(command: Nets, global: &Global) -> anyhow::Result<Exit> {
    #[cfg(feature = "media")]
    if let Nets::Worker(args) = &command {
        super::log::start(global);
        return worker::run(args);
    }
    block_on(global, execute(command, global))
}

pub(super) async fn execute(command: Nets, global: &Global) -> anyhow::Result<Exit> {
    match command {
        Nets::Train(args) => train::command::run(*args, global).await,
        Nets::Predict(args) => predict::run(args, global).await,
        Nets::Eval(args) => eval::run(args, global).await,
        Nets::Experiment(args) => experiment::run(args, global).await,
        Nets::ExportNet(args) => export_net::run(args, global).await,
        Nets::Run(args) => run::run(args, global).await,
        #[cfg(feature = "media")]
        Nets::Inspect(args) => inspect::run(args, global).await,
        #[cfg(feature = "media")]
        Nets::Demo(args) => demo::run(args, global).await,
        Nets::MeasureTrain => measure_train::run(),
        Nets::Devices => {
            say(devices_in_words());
            Ok(Exit::Done)
        }
        #[cfg(feature = "media")]
        Nets::Worker(args) => worker::run(&args),
    }
}

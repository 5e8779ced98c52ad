//! One file per command: its flags and its `run`. The only room that uses `anyhow`.

#[cfg(feature = "train")]
mod asked_net;
mod backup;
mod check;
mod clips;
mod crawl;
#[cfg(all(feature = "media", feature = "train"))]
mod demo;
mod doctor;
mod drive;
#[cfg(feature = "train")]
mod eval;
#[cfg(feature = "train")]
mod experiment;
#[cfg(feature = "train")]
mod export_net;
mod gc;
#[cfg(all(feature = "media", feature = "train"))]
mod inspect;
mod log;
mod manual;
#[cfg(feature = "train")]
mod measure_train;
mod merge;
mod named;
#[cfg(feature = "train")]
mod predict;
mod refresh;
mod report;
mod retry;
mod run;
mod session;
mod settings;
mod shard;
mod status;
#[cfg(feature = "train")]
pub mod train;
#[cfg(all(feature = "media", feature = "train"))]
mod worker;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::config::Config;
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::cpu::Cpu;
pub(crate) use session::Session;

/// Builds face-expression data sets from web videos, and trains Self-Cure Networks on them.
#[derive(Debug, Parser)]
#[command(name = "webemotion", version, about, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Begin with:\n  webemotion demo                      the whole walk in a small world, offline\n  \
    webemotion crawl --source local:DIR  videos that are on disk already\n  webemotion clips\n  webemotion train\n  \
    webemotion report\n\nExit codes: 0 done, 1 some jobs were given up, 2 usage, 3 missing tool or unusable catalog,\n\
    4 nothing to do, 5 paused (rate limit, quota, disk), 70 a defect, 130 interrupted."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The flags that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The data folder: catalog, videos, clips and runs
    ///
    /// [default: webemotion-data; for demo webemotion-demo]
    #[arg(long, global = true, env = "WEBEMOTION_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Settings to use instead of webemotion.toml in the data folder or in the working folder
    #[arg(long, global = true, env = "WEBEMOTION_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One JSON object a line on standard output, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more (twice: still more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing but errors and the closing line
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// How log lines on standard error look
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Seconds to add to the machine's clock: tests let weeks pass
    #[arg(long, global = true, hide = true, env = "WEBEMOTION_CLOCK_SHIFT_S", default_value_t = 0)]
    pub(crate) clock_shift_s: i64,
}

impl Global {
    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| PathBuf::from("webemotion-data"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Search videos by emotion word and download what the policy allows
    Crawl(crawl::CrawlArgs),
    /// Cut downloaded videos into clips of one face and take samples
    Clips(clips::ClipsArgs),
    /// Train a net on the samples, or on a data set of pictures
    #[cfg(feature = "train")]
    Train(Box<train::TrainArgs>),
    /// Say which emotion a trained net sees in the faces of pictures
    #[cfg(feature = "train")]
    Predict(predict::PredictArgs),
    /// Measure a trained net on a data set of pictures
    #[cfg(feature = "train")]
    Eval(eval::EvalArgs),
    /// Compare methods: many trainings that belong together, and their table
    #[cfg(feature = "train")]
    Experiment(experiment::ExperimentArgs),
    /// Write a trained net for other programs: params, TorchScript, and a card
    #[cfg(feature = "train")]
    ExportNet(export_net::ExportNetArgs),
    /// Do what is due of crawl, clips, train and report: one round, for a scheduler
    Run(run::RunArgs),
    /// Show how far every emotion and stage is, and what stands in the way
    Status(status::StatusArgs),
    /// Write the report of a run, or of the catalog, as a page
    Report(report::ReportArgs),
    /// Look at pictures and videos without a catalog: faces, shots, tracks
    #[cfg(all(feature = "media", feature = "train"))]
    Inspect(inspect::InspectArgs),
    /// Take up again what was rejected or given up
    Retry(retry::RetryArgs),
    /// Ask the site again about videos whose metadata grows old, and find those that are gone
    Refresh(refresh::RefreshArgs),
    /// Remove files that no row names, and what must not be here
    Gc(gc::GcArgs),
    /// Say whether every row and file is sound, and have lost files made again
    Check(check::CheckArgs),
    /// Copy the catalog while others work on it
    Backup(backup::BackupArgs),
    /// Write work lists for machines that share no catalog
    Shard(shard::ShardArgs),
    /// Unite catalogs that were worked on apart
    Merge(merge::MergeArgs),
    /// Make a small world on loopback and do the whole walk in it
    #[cfg(all(feature = "media", feature = "train"))]
    Demo(demo::DemoArgs),
    /// Say whether all tools are there, and what is old
    Doctor(doctor::DoctorArgs),
    /// Show or write the settings
    Config(settings::SettingsArgs),
    /// Measure the parts of training for scripts/bench
    #[cfg(feature = "train")]
    #[command(hide = true)]
    MeasureTrain,
    /// Print what a shell needs to complete commands and flags
    Completions(manual::CompletionsArgs),
    /// Write the manual pages
    Man(manual::ManArgs),
    /// Open videos for another process of this program
    #[cfg(all(feature = "media", feature = "train"))]
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
}

/// Runs the command that was typed.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    log::start(&cli.global);
    #[cfg(all(feature = "media", feature = "train"))]
    if let Command::Worker(args) = &cli.command {
        return worker::run(args);
    }
    tokio::runtime::Runtime::new().context("cannot start the async runtime")?.block_on(execute(cli))
}

async fn execute(cli: Cli) -> anyhow::Result<Exit> {
    let global = &cli.global;
    match cli.command {
        Command::Crawl(args) => crawl::run(args, global).await,
        Command::Clips(args) => clips::run(args, global).await,
        #[cfg(feature = "train")]
        Command::Train(args) => train::command::run(*args, global).await,
        #[cfg(feature = "train")]
        Command::Predict(args) => predict::run(args, global).await,
        #[cfg(feature = "train")]
        Command::Eval(args) => eval::run(args, global).await,
        #[cfg(feature = "train")]
        Command::Experiment(args) => experiment::run(args, global).await,
        #[cfg(feature = "train")]
        Command::ExportNet(args) => export_net::run(args, global).await,
        #[cfg(feature = "train")]
        Command::MeasureTrain => measure_train::run(),
        Command::Run(args) => run::run(args, global).await,
        Command::Status(args) => status::run(args, global).await,
        Command::Report(args) => report::run(args, global).await,
        #[cfg(all(feature = "media", feature = "train"))]
        Command::Inspect(args) => inspect::run(args, global).await,
        Command::Retry(args) => retry::run(args, global).await,
        Command::Refresh(args) => refresh::run(args, global).await,
        Command::Gc(args) => gc::run(args, global).await,
        Command::Check(args) => check::run(args, global).await,
        Command::Backup(args) => backup::run(args, global).await,
        Command::Shard(args) => shard::run(args, global).await,
        Command::Merge(args) => merge::run(args, global).await,
        #[cfg(all(feature = "media", feature = "train"))]
        Command::Demo(args) => demo::run(args, global).await,
        Command::Doctor(args) => doctor::run(args, global).await,
        Command::Config(args) => settings::run(&args, global),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
        #[cfg(all(feature = "media", feature = "train"))]
        Command::Worker(args) => worker::run(&args),
    }
}

/// The worker processes that open videos; none where this program cannot open any.
pub(crate) fn cpu(session: &Session, count: usize) -> anyhow::Result<Option<Cpu>> {
    let can_open = cfg!(all(feature = "media", feature = "train"));
    can_open.then(|| workers(&session.config, count)).transpose()
}

/// A pool of this program's own `worker` processes, started as they are needed.
fn workers(config: &Config, count: usize) -> anyhow::Result<Cpu> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let limits = config.workers.clone();
    let mut arguments = vec!["worker".to_owned()];
    arguments.push(format!("--max-memory-bytes={}", limits.max_memory_bytes));
    if let Ok(mtcnn) = config.tools.find_mtcnn() {
        arguments.push(format!("--mtcnn={}", mtcnn.display()));
    }
    Ok(Cpu::new(program, arguments, count, limits))
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Reads a time such as `90s`, `30m` or `8h` into milliseconds.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    let complaint = || format!("'{text}' is no time; say 90s, 30m or 8h");
    let (number, unit_ms) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('s') => (number, 1_000),
        Some(number) if text.ends_with('m') => (number, 60_000),
        Some(number) => (number, 3_600_000),
        None => return Err(complaint()),
    };
    let number: i64 = number.parse().map_err(|_| complaint())?;
    number.checked_mul(unit_ms).filter(|time_ms| *time_ms > 0).ok_or_else(complaint)
}

/// Reads words as they are typed after a command's name.
pub(crate) fn typed<A: Args>(command: &'static str, words: &[String]) -> Result<A, Failure> {
    let parser = A::augment_args(clap::Command::new(command).no_binary_name(true));
    let read = parser.try_get_matches_from(words).and_then(|found| A::from_arg_matches(&found));
    read.map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        Failure::permanent(Reason::Usage, first.trim_start_matches("error: ").to_owned())
    })
}

/// Whether a stream is read by a person who wants colours: <https://no-color.org>.
pub(crate) fn is_coloured(stream: &impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Reads a size such as `500MB`, `20GB` or `1TB` into bytes; thousands, as disks count.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let units = [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    let read = || {
        let (number, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
        number.trim().parse::<u64>().ok()?.checked_mul(unit).filter(|size| *size > 0)
    };
    read().ok_or_else(|| format!("'{text}' is no size; say 500MB, 20GB or 1TB"))
}

/// Writes one line of data to standard output; a closed pipe is the reader's wish, not a failure.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}

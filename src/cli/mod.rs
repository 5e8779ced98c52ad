//! One file per command, named like it, with its flags and its `run` (of `train` these are in `train/args` and
//! `train/command`). The only room that uses `anyhow`.
//!
//! Parts of one command are in the folder of its name; code that several commands share is in a file beside them. This file
//! has the flags common to all commands, and starts the one that was typed.
//!
//! ```text
//! plain · nets                                   the list of commands: without libtorch, with it
//! crawl · clips · train · report                 the data flow, step by step
//! run                                            all of it once a night: standing → agenda → legs (crawl_leg) → ledger,
//!                                                verdict, metrics
//! status · inspect · predict · eval · experiment inspecting the catalog, files, nets, methods
//! adopt · retry · refresh · check                maintaining a catalog: labels in force, second tries, soundness
//! backup · restore                               copying a catalog, and going back to a copy
//! forget · gc                                    removing; both through `removal`
//! shard · merge · export_net                     moving work and nets to other machines and back
//! demo · doctor · settings · manual              getting started: a demo, the tools, `config`, completions, man pages
//! worker · measure_train                         hidden: for other processes of this program, and for scripts
//!
//! session · drive                                common to most commands; how they drive the pipeline's stages
//! named · asked_net                              which video, run or net a word on the command line means
//! log · ending                                   log lines; the closing line, the error message and the exit code
//! nets_program                                   finds `webemotion-nets` and replaces this process by it
//! ```

mod adopt;
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
mod ending;
#[cfg(feature = "train")]
mod eval;
#[cfg(feature = "train")]
mod experiment;
#[cfg(feature = "train")]
mod export_net;
mod forget;
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
mod nets;
mod nets_program;
mod plain;
#[cfg(feature = "train")]
mod predict;
mod refresh;
mod removal;
mod report;
mod restore;
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

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::config::Config;
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::cpu::Cpu;
use ending::{caught, end, leave};
pub(crate) use ending::{say, say_if_read};
pub(crate) use session::Session;

/// Builds face-expression data sets from web videos, and trains Self-Cure Networks on them.
#[derive(Debug, Parser)]
#[command(
    name = "webemotion",
    bin_name = "webemotion",
    version,
    about,
    propagate_version = true,
    max_term_width = 110
)]
#[command(
    after_help = "Begin with:\n  webemotion demo                      the whole walk in a small world, offline\n  \
    webemotion crawl --source local:DIR  videos that are on disk already\n  webemotion clips\n  webemotion train\n  \
    webemotion report\n\nExit codes:\n  \
    0    done\n  \
    1    done, but some jobs were given up or a person has to decide;\n  \
    \x20    or a failure without a code of its own\n  \
    2    the command line or the settings are wrong\n  \
    3    a tool is missing, or the catalog cannot be used\n  \
    4    nothing to do, or a round, merge, restore, gc, forget or refresh is at work already\n  \
    5    paused: rate limit, quota, network or full disk; come back later\n  \
    70   a defect of webemotion\n  \
    130  interrupted"
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Every command takes")]
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

/// Every command, by whether it needs libtorch.
#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Plain(plain::Plain),
    #[cfg(feature = "train")]
    #[command(flatten)]
    Nets(nets::Nets),
}

/// Runs the command that was typed. For `webemotion`, which must not load libtorch, since that takes half a second: a
/// command that needs nets is run by `webemotion-nets`, which replaces this process.
pub fn front(cli: Cli) -> ExitCode {
    let ended = caught(|| match cli.command {
        Command::Plain(command) => plain::begin(command, &cli.global),
        #[cfg(feature = "train")]
        Command::Nets(_) => {
            let Err(failure) = nets_program::take_over();
            Err(failure.into())
        }
    });
    end(ended, cli.global.log_format)
}

/// Runs the command that was typed, with or without nets. For `webemotion-nets`.
pub fn run(cli: Cli) -> ExitCode {
    let ended = caught(|| match cli.command {
        Command::Plain(command) => plain::begin(command, &cli.global),
        #[cfg(feature = "train")]
        Command::Nets(command) => nets::begin(command, &cli.global),
    });
    end(ended, cli.global.log_format)
}

/// Starts the log, and runs a command on the async runtime. At the end its catalogs are closed, except after a second
/// request to stop, which waits for nothing.
fn block_on(global: &Global, command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    log::start(global);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the async runtime")?;
    let until_stopped = async {
        tokio::select! {
            biased;
            ended = command => ended.map(Some),
            () = session::stop_requested_twice() => Ok(None),
        }
    };
    let Some(ended) = caught(|| runtime.block_on(until_stopped)).transpose() else {
        runtime.shutdown_background();
        let interrupted = Failure::transient(Reason::Interrupted, "interrupted before the end")
            .with_hint("the same command goes on from what was committed");
        end(Err(interrupted.into()), global.log_format);
        leave(Exit::Interrupted);
    };
    runtime.block_on(session::close_catalogs());
    ended
}

/// The worker processes that open videos; none if this build cannot open any.
pub(crate) fn cpu(session: &Session, count: usize) -> Result<Option<Cpu>, Failure> {
    let can_open = cfg!(all(feature = "media", feature = "train"));
    can_open.then(|| workers(&session.config, count)).transpose()
}

/// A pool of `worker` processes, started on demand.
fn workers(config: &Config, count: usize) -> Result<Cpu, Failure> {
    Ok(Cpu::new(nets_program::find()?, worker_arguments(config), count, config.workers.clone()))
}

fn worker_arguments(config: &Config) -> Vec<String> {
    let mut arguments = vec!["worker".to_owned()];
    arguments.push(format!("--max-memory-bytes={}", config.workers.max_memory_bytes));
    arguments.push(format!("--hwaccel={}", config.workers.hwaccel.as_str()));
    if let Ok(mtcnn) = config.tools.find_mtcnn() {
        arguments.push(format!("--mtcnn={}", mtcnn.display()));
    }
    arguments
}

/// The number of cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Parses words as typed after a command's name.
pub(crate) fn typed<A: Args>(command: &'static str, words: &[String]) -> Result<A, Failure> {
    let parser = A::augment_args(clap::Command::new(command).no_binary_name(true));
    let read = parser.try_get_matches_from(words).and_then(|found| A::from_arg_matches(&found));
    read.map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        Failure::permanent(Reason::Usage, first.trim_start_matches("error: ").to_owned())
    })
}

/// Whether output to a stream may be coloured: <https://no-color.org>.
pub(crate) fn is_coloured(stream: &impl io::IsTerminal) -> bool {
    is_screen(stream) && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether a stream is a terminal that supports escape codes, which one with `TERM=dumb` does not.
pub(crate) fn is_screen(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("TERM").is_none_or(|name| name != "dumb")
}

/// One line of `--json`: the event's name, then its fields.
#[cfg(feature = "train")]
pub(crate) fn event(name: &'static str, facts: &impl serde::Serialize) -> Result<String, Failure> {
    #[derive(serde::Serialize)]
    struct Line<'a, T> {
        event: &'static str,
        #[serde(flatten)]
        facts: &'a T,
    }
    train::json_line(&Line { event: name, facts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Hwaccel;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn workers_get_their_memory_limit_with_every_hwaccel() {
        let mut config = Config::default();
        for hwaccel in [Hwaccel::None, Hwaccel::Cuda] {
            config.workers.hwaccel = hwaccel;
            let limit = format!("--max-memory-bytes={}", config.workers.max_memory_bytes);
            assert!(worker_arguments(&config).contains(&limit), "{hwaccel:?}");
        }
    }
}

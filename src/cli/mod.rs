//! One file per command: its flags and its `run`. The only room that uses `anyhow`.

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

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use serde_json::json;

use crate::config::Config;
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::cpu::Cpu;
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

/// Every command, by what it needs.
#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Plain(plain::Plain),
    #[cfg(feature = "train")]
    #[command(flatten)]
    Nets(nets::Nets),
}

/// Runs the command that was typed. For `webemotion`, which must not load libtorch: half a second in every command. Where
/// a command runs nets, `webemotion-nets` takes this process's place.
pub fn front(cli: Cli) -> ExitCode {
    let ended = match cli.command {
        Command::Plain(command) => plain::begin(command, &cli.global),
        #[cfg(feature = "train")]
        Command::Nets(_) => {
            let Err(failure) = nets_program::take_over();
            Err(failure.into())
        }
    };
    end(ended, cli.global.log_format)
}

/// Runs the command that was typed, whatever it needs. For `webemotion-nets`.
pub fn run(cli: Cli) -> ExitCode {
    let ended = match cli.command {
        Command::Plain(command) => plain::begin(command, &cli.global),
        #[cfg(feature = "train")]
        Command::Nets(command) => nets::begin(command, &cli.global),
    };
    end(ended, cli.global.log_format)
}

/// Says what went wrong and what helps, on standard error, and what the process ends with.
fn end(ended: anyhow::Result<Exit>, log_format: LogFormat) -> ExitCode {
    let exit = ended.unwrap_or_else(|error| {
        let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
        let hint = failure.and_then(|failure| failure.hint.as_deref());
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(std::io::stderr().lock(), "{}", last_words(&format!("{error:#}"), hint, log_format));
        failure.map_or(Exit::SomeDead, Failure::exit)
    });
    ExitCode::from(exit as u8)
}

/// An error and its remedy, as log lines look.
fn last_words(error: &str, hint: Option<&str>, log_format: LogFormat) -> String {
    match (log_format, hint) {
        (LogFormat::Json, hint) => {
            json!({"level": "ERROR", "fields": {"message": error, "hint": hint}}).to_string()
        }
        (LogFormat::Text, Some(hint)) => format!("error: {error}\nhint: {hint}"),
        (LogFormat::Text, None) => format!("error: {error}"),
    }
}

/// Begins to log, and lets a command wait for others.
fn block_on(global: &Global, command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    log::start(global);
    tokio::runtime::Runtime::new().context("cannot start the async runtime")?.block_on(command)
}

/// The worker processes that open videos; none where this program cannot open any.
pub(crate) fn cpu(session: &Session, count: usize) -> anyhow::Result<Option<Cpu>> {
    let can_open = cfg!(all(feature = "media", feature = "train"));
    can_open.then(|| workers(&session.config, count)).transpose()
}

/// A pool of `worker` processes, started as they are needed.
fn workers(config: &Config, count: usize) -> anyhow::Result<Cpu> {
    let program = nets_program::find()?;
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
    let _ = say_if_read(line);
}

/// The same; false once nobody reads any more.
pub(crate) fn say_if_read(line: impl std::fmt::Display) -> bool {
    writeln!(std::io::stdout().lock(), "{line}").is_ok()
}

/// One line of `--json`: which event it is, then all there is to say of it.
#[cfg(feature = "train")]
pub(crate) fn event(name: &'static str, facts: &impl serde::Serialize) -> serde_json::Result<String> {
    #[derive(serde::Serialize)]
    struct Line<'a, T> {
        event: &'static str,
        #[serde(flatten)]
        facts: &'a T,
    }
    serde_json::to_string(&Line { event: name, facts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_last_words_look_like_the_log() {
        let words = |format| last_words("no net\nat all", Some("train one"), format);
        assert_eq!(words(LogFormat::Text), "error: no net\nat all\nhint: train one");
        let line: serde_json::Value = serde_json::from_str(&words(LogFormat::Json)).unwrap();
        assert_eq!(line["fields"], json!({"message": "no net\nat all", "hint": "train one"}));
        assert!(!words(LogFormat::Json).contains('\n'));
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}

//! Parse, set up logs, run one command, turn its failure into an exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use webemotion::cli::{self, Cli};
use webemotion::failure::{Exit, Failure};

fn main() -> ExitCode {
    let exit = match cli::run(Cli::parse()) {
        Ok(exit) => exit,
        Err(error) => explain(&error),
    };
    ExitCode::from(exit as u8)
}

/// Says what went wrong and what helps, on standard error.
fn explain(error: &anyhow::Error) -> Exit {
    let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    // A closed standard error leaves nobody to tell.
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "error: {error:#}");
    if let Some(hint) = failure.and_then(|failure| failure.hint.as_ref()) {
        let _ = writeln!(out, "hint: {hint}");
    }
    failure.map_or(Exit::SomeDead, Failure::exit)
}

//! `webemotion`: parse, run one command, turn its failure into an exit code. It is linked with no libtorch; commands that
//! run nets are handed to `webemotion-nets`.

use std::process::ExitCode;

use clap::Parser;
use webemotion::cli::{self, Cli};

fn main() -> ExitCode {
    cli::front(Cli::parse())
}

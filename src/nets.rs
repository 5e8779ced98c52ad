//! `webemotion-nets`: every command of `webemotion`, linked with libtorch. It opens videos for it (`worker`), runs nets,
//! and is all that a training node needs.

use std::process::ExitCode;

use clap::Parser;
use webemotion::cli::{self, Cli};

fn main() -> ExitCode {
    cli::run(Cli::parse())
}

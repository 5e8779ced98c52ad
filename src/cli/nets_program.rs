//! `webemotion-nets`, the program that is linked with libtorch: where it is, and how it is started.

#[cfg(feature = "train")]
use std::convert::Infallible;
#[cfg(feature = "train")]
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
#[cfg(feature = "train")]
use std::process::Command;

use crate::failure::{Failure, Reason};

const NAME: &str = "webemotion-nets";

/// The path of `webemotion-nets`: it is beside this program, or is this program.
pub(super) fn find() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe();
    own.map(|own| own.with_file_name(NAME)).map_err(|error| missing(NAME.as_ref(), &error.to_string()))
}

/// Replaces this process by `webemotion-nets` with the same arguments. Returns only on failure.
#[cfg(feature = "train")]
pub(super) fn take_over() -> Result<Infallible, Failure> {
    let program = find()?;
    let error = Command::new(&program).args(std::env::args_os().skip(1)).exec();
    Err(missing(&program, &error.to_string()))
}

/// The devices that libtorch sees, or why the program is missing or cannot load libtorch.
#[cfg(feature = "train")]
pub(super) fn devices() -> Result<String, Failure> {
    let program = find()?;
    let said = Command::new(&program).arg("devices").output();
    let said = said.map_err(|error| missing(&program, &error.to_string()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if said.status.success() {
        return Ok(text(&said.stdout));
    }
    let first = text(&said.stderr).lines().next().unwrap_or("it said nothing").to_owned();
    Err(Failure::permanent(Reason::ToolMissing, format!("{}: {first}", program.display())).with_hint(
        "run scripts/setup, which fetches libtorch, or put libtorch's lib folder on LD_LIBRARY_PATH",
    ))
}

fn missing(program: &Path, error: &str) -> Failure {
    Failure::permanent(Reason::ToolMissing, format!("cannot start {}: {error}", program.display()))
        .with_hint("cargo build --release makes it; it must lie beside webemotion")
}

//! `webemotion-nets`, the program that is linked with libtorch: where it lies, and how it is asked.

#[cfg(feature = "train")]
use std::convert::Infallible;
#[cfg(feature = "train")]
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
#[cfg(feature = "train")]
use std::process::Command;

use crate::failure::{Failure, Reason};

const NAME: &str = "webemotion-nets";
/// Training needs tensors of the same sizes again and again, larger than what glibc keeps by itself: with these it keeps
/// them. On a CPU 224 px pictures are decoded and varied a quarter faster, and a step takes 3 % less.
#[cfg(feature = "train")]
const KEEPS_TENSORS: [(&str, &str); 2] =
    [("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "1073741824")];

/// It lies beside this program, and may be this program.
pub(super) fn find() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe();
    own.map(|own| own.with_file_name(NAME)).map_err(|error| missing(NAME.as_ref(), &error.to_string()))
}

/// Becomes it: the same process with the same arguments, and what the environment says of memory goes before what is said
/// here. Returns only if that cannot be.
#[cfg(feature = "train")]
pub(super) fn take_over() -> Result<Infallible, Failure> {
    let program = find()?;
    let unsaid = KEEPS_TENSORS.into_iter().filter(|(name, _)| std::env::var_os(name).is_none());
    let error = Command::new(&program).args(std::env::args_os().skip(1)).envs(unsaid).exec();
    Err(missing(&program, &error.to_string()))
}

/// Which devices libtorch sees; says why where the program is missing or cannot load libtorch.
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

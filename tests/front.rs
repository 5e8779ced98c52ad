//! Two programs: `webemotion` starts at once, and `webemotion-nets` takes its place where nets run.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::path::Path;

use crate::program::{Ended, bare};

/// libtorch's name among the libraries that a program asks the system to load.
fn loads_libtorch(program: &str) -> bool {
    fs::read(program).unwrap().windows(16).any(|window| window == b"libtorch_cpu.so\0")
}

#[test]
#[cfg_attr(not(libtorch_kept_out), ignore = "another linker, or crates that share code: scripts/build.rs")]
fn the_program_that_is_typed_does_not_load_libtorch_and_the_one_that_runs_nets_does() {
    assert!(!loads_libtorch(env!("CARGO_BIN_EXE_webemotion")));
    assert!(loads_libtorch(env!("CARGO_BIN_EXE_webemotion-nets")));
}

fn alone(folder: &Path, words: &[&str]) -> Ended {
    let program = folder.join("webemotion");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_webemotion"), &program).unwrap();
    }
    bare(program).env("WEBEMOTION_DATA", folder.join("data")).args(words).output().unwrap().into()
}

#[test]
fn without_the_program_that_runs_nets_the_rest_works_and_both_doctor_and_train_say_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let plan = alone(folder.path(), &["crawl", "plan"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    let train = alone(folder.path(), &["train"]);
    assert_eq!(train.code, Some(3), "{}", train.stderr);
    let missing = format!("cannot start {}", folder.path().join("webemotion-nets").display());
    assert!(train.stderr.contains(&missing), "{}", train.stderr);
    assert!(train.stderr.contains("hint: cargo build --release makes it"), "{}", train.stderr);
    let doctor = alone(folder.path(), &["doctor"]);
    assert!(doctor.stdout.contains(&missing), "{}", doctor.stdout);
}

#[test]
fn the_program_that_runs_nets_knows_every_command_and_calls_itself_by_the_name_that_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |words: &[&str]| {
        let mut command = bare(env!("CARGO_BIN_EXE_webemotion-nets"));
        Ended::from(command.env("WEBEMOTION_DATA", folder.path().join("data")).args(words).output().unwrap())
    };
    let plan = ask(&["crawl", "plan", "--json"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    let help = ask(&["train", "--help"]);
    assert!(help.stdout.contains("Usage: webemotion train"), "{}", help.stdout);
}

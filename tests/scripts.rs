//! What the scripts of the repository refuse.

use std::path::Path;
use std::process::Command;

use crate::program::Ended;

#[test]
fn a_word_that_setup_does_not_know_is_refused_before_anything_is_installed() {
    let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/setup");
    for words in [&["--cdua"][..], &["cuda"], &["--cuda", "--help"]] {
        let ended = Ended::from(Command::new(&setup).args(words).output().unwrap());
        assert_eq!(ended.code, Some(2), "{words:?}: {}", ended.stderr);
        let refusal = format!("there is no '{}'\nhint:", words.join(" "));
        assert!(ended.stderr.contains(&refusal), "{}", ended.stderr);
    }
}

#[test]
fn the_demo_says_what_it_does_before_anything_is_installed_or_built() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/demo");
    let ended = Ended::from(Command::new(&demo).args(["--small", "--help"]).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("Sets up, builds, and does the whole walk"), "{}", ended.stdout);
}

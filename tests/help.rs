//! What a newcomer reads first; a change of it is a change of the interface.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::path::Path;

use crate::program::webemotion;

fn help(words: &[&str]) -> String {
    let mut command = webemotion(Path::new("unused"), words);
    command.env_remove("WEBEMOTION_DATA").env_remove("COLUMNS");
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
fn the_program_says_what_it_does_and_how_to_begin() {
    insta::assert_snapshot!(help(&["--help"]));
}

#[test]
fn crawl_says_what_it_takes_and_shows_examples() {
    insta::assert_snapshot!(help(&["crawl", "--help"]));
}

//! What a newcomer reads first, and what programs read; a change of it is a change of the interface.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::path::Path;

use crate::program::{expect, run, webemotion};

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

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

#[test]
fn every_line_for_programs_is_an_object_that_names_its_event() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, pages) = (folder.path().join("new/webemotion.toml"), folder.path().join("man"));
    let commands: [&[&str]; 5] = [
        &["config", "init", settings.to_str().unwrap()],
        &["config", "show"],
        &["man", pages.to_str().unwrap()],
        &["crawl", "plan"],
        &["doctor"],
    ];
    for words in commands {
        let ended = run(&folder.path().join("data"), &[&["--json"], words].concat());
        assert!(!ended.stdout.is_empty(), "{words:?}: {}", ended.stderr);
        for line in ended.stdout.lines() {
            assert!(json(line)["event"].is_string(), "{words:?}: {line}");
        }
    }
}

#[test]
fn settings_that_no_round_could_use_are_not_shown_as_if_they_were_fine() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = webemotion(folder.path(), &["config", "show"]);
    let ended = command.env("WEBEMOTION_TRAIN_FLAGS", "--epochs, many").output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("train.flags"), "{said}");
}

#[test]
fn a_plan_of_a_folder_is_refused_and_the_last_words_look_like_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["--log-format", "json", "crawl", "plan", "--source", "local:films"];
    let said = json(expect(2, folder.path(), &words).stderr.trim());
    assert!(said["fields"]["message"].as_str().unwrap().contains("local:films"), "{said}");
    assert!(said["fields"]["hint"].is_string(), "{said}");
}

//! Reads `src/**` and fails when a crate or a room is used outside the rooms that may use it.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources must fail")]

use std::fs;
use std::path::{Path, PathBuf};

/// A piece of code, and the only places where it may occur (prefixes of paths below `src`).
const WALLS: [(&str, &[&str]); 10] = [
    ("sqlx::", &["catalog/"]),
    ("reqwest::", &["youtube/"]),
    ("ffmpeg_next", &["media/"]),
    ("tch::", &["train/", "face/mtcnn.rs"]),
    ("indicatif::", &["progress.rs"]),
    ("sysinfo::", &["train/host.rs"]),
    ("println!", &[]),
    ("anyhow::", &["cli/", "main.rs"]),
    ("crate::demo", &["demo/", "cli/demo.rs", "cli/demo/", "cli/train/drawn.rs", "cli/train/dataset.rs"]),
    (".await", &["cli/", "pipeline/", "catalog/", "youtube/", "demo/", "report/gather/"]),
];

/// A room, and the rooms that it must not use.
const FORBIDDEN: [(&str, &[&str]); 11] = [
    ("youtube/", &["catalog", "media", "face", "store", "train", "pipeline", "cli", "report"]),
    ("media/", &["catalog", "youtube", "face", "store", "train", "pipeline", "cli", "report"]),
    ("face/", &["catalog", "youtube", "media", "store", "train", "pipeline", "cli", "report"]),
    ("train/", &["catalog", "youtube", "media", "face", "store", "pipeline", "cli", "report"]),
    ("catalog/", &["youtube", "media", "face", "store", "train", "pipeline", "cli", "report"]),
    ("report/", &["youtube", "media", "face", "store", "train", "pipeline", "cli"]),
    ("pipeline/", &["cli", "train", "report"]),
    ("pipeline/eyes/", &["catalog", "youtube"]),
    (
        "words.rs",
        &["catalog", "youtube", "media", "face", "store", "train", "pipeline", "cli", "report", "failure"],
    ),
    (
        "files.rs",
        &["catalog", "youtube", "media", "face", "store", "train", "pipeline", "cli", "report", "failure"],
    ),
    ("store", &["catalog", "youtube", "media", "face", "train", "pipeline", "cli", "report"]),
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
            {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

/// The lines of code with their numbers, without comments and unit tests.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let tests = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..tests]
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
}

/// Whether a line contains this word, and not only as the end of a longer one.
fn contains_word(line: &str, word: &str) -> bool {
    let joins = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(at, _)| !word.starts_with(joins) || !line[..at].ends_with(joins))
}

#[test]
fn every_foreign_crate_is_used_in_its_room_only() {
    let mut crossed = Vec::new();
    for (name, text) in sources() {
        for (number, line) in code(&text) {
            for (word, rooms) in WALLS {
                if contains_word(line, word) && !rooms.iter().any(|room| name.starts_with(room)) {
                    crossed.push(format!("src/{name}:{number}: `{word}` belongs in {rooms:?}"));
                }
            }
        }
    }
    assert!(crossed.is_empty(), "{}", crossed.join("\n"));
}

#[test]
fn no_room_uses_a_forbidden_room() {
    let mut crossed = Vec::new();
    for (name, text) in sources() {
        for (number, line) in code(&text) {
            for (_, forbidden) in FORBIDDEN.iter().filter(|(room, _)| name.starts_with(room)) {
                for other in *forbidden {
                    if line.contains(&format!("crate::{other}::"))
                        || line.contains(&format!("crate::{other};"))
                    {
                        crossed.push(format!("src/{name}:{number}: uses {other}"));
                    }
                }
            }
        }
    }
    assert!(crossed.is_empty(), "{}", crossed.join("\n"));
}

#[test]
fn no_file_has_more_than_five_hundred_lines_of_code() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|(name, text)| (name, code(&text).count()))
        .filter(|(_, lines)| *lines > 500)
        .map(|(name, lines)| format!("src/{name}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

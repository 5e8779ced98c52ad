//! Takes videos out of the work lists below `shards/`. Every line of a list but the first is about one video.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Wanted;
use super::pages::{pass_over, paths};
use crate::failure::Failure;
use crate::files;

/// The lists of a folder.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Those that lose lines.
    pub(super) cleaned: BTreeSet<PathBuf>,
    /// Those that cannot be read or written: they stay as they are.
    pub(super) unclean: BTreeSet<PathBuf>,
}

/// As much of a line as says which video it is about.
#[derive(Deserialize)]
struct Line {
    video: Wanted,
}

/// Takes the lines of videos out of every list of a folder, or only finds the lists that have some.
pub(super) fn clean(folder: &Path, going: &[Wanted], dry_run: bool) -> Result<Lists, Failure> {
    let (mut found, going) = (Lists::default(), going.iter().collect::<BTreeSet<_>>());
    let goes = |line: &str| serde_json::from_str(line).is_ok_and(|Line { video }| going.contains(&video));
    for list in paths(folder)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "jsonl")) {
        let text = match std::fs::read_to_string(&list) {
            Ok(text) => text,
            Err(error) => {
                pass_over("read", &list, &error);
                found.unclean.insert(list);
                continue;
            }
        };
        let left: String = text.split_inclusive('\n').filter(|line| !goes(line)).collect();
        if left.len() == text.len() {
            continue;
        }
        let done = if dry_run { Ok(()) } else { files::write_whole(&list, left.as_bytes()) };
        match done {
            Ok(()) => found.cleaned.insert(list),
            Err(error) => {
                pass_over("write", &list, &error);
                found.unclean.insert(list)
            }
        };
    }
    Ok(found)
}

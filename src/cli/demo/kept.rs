//! The demo world of a data folder: its catalog, videos and true labels belong to one world.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::demo::world::{WRONG_SHARE, World, WorldSize};
use crate::failure::{Failure, Reason};
use crate::files::{Part, write_whole};

use super::{DemoArgs, TRUTH};

/// The file with the world's parameters.
const FLAGS: &str = "demo/flags.json";

/// The parameters of a world. They are stored, so that later commands need not repeat them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct WorldFlags {
    pub(super) small: bool,
    seed: u64,
    wrong: f64,
}

impl WorldFlags {
    /// The parameters from the flags; those not given are of the world in the data folder.
    pub(super) fn of(args: &DemoArgs, data: &Path) -> Self {
        let there = std::fs::read(data.join(FLAGS)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let there = there.unwrap_or(Self { small: false, seed: 1, wrong: WRONG_SHARE });
        Self {
            small: args.small || there.small,
            seed: args.seed.unwrap_or(there.seed),
            wrong: args.wrong.unwrap_or(there.wrong),
        }
    }

    pub(super) fn plan(self) -> World {
        let size = if self.small { WorldSize::Small } else { WorldSize::Full };
        World::plan(self.seed, size, self.wrong)
    }
}

/// Stores the true labels and the parameters of the world. Refuses if the data folder has another world.
pub(super) fn keep_world(world: &World, flags: WorldFlags, data: &Path) -> Result<(), Failure> {
    let truth = data.join(TRUTH);
    let failed = |error| Failure::unwritable(&truth, &error);
    let planned = Part::of(&truth).map_err(failed)?;
    world.write_truth(planned.path())?;
    let text = std::fs::read(planned.path()).map_err(failed)?;
    if std::fs::read(&truth).is_ok_and(|there| there != text) {
        let detail = format!("{} holds another world than these flags plan", data.display());
        return Err(Failure::permanent(Reason::Usage, detail).with_hint(
            "leave --small, --seed and --wrong as they were, or name another folder with --data",
        ));
    }
    let flags = serde_json::to_vec(&flags).map_err(|error| Failure::bug(error.to_string()))?;
    let file = data.join(FLAGS);
    write_whole(&file, &flags).map_err(|error| Failure::unwritable(&file, &error))?;
    planned.place().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_world_and_refuses_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        std::fs::create_dir(crate::store::demo_in(data)).unwrap();
        let flags = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            WorldFlags::of(&crate::cli::typed("demo", &words).unwrap(), data)
        };
        let first = flags(&["--small", "--seed", "7"]);
        assert_eq!(first, WorldFlags { small: true, seed: 7, wrong: WRONG_SHARE });
        keep_world(&first.plan(), first, data).unwrap();
        let truth = std::fs::read(data.join(TRUTH)).unwrap();
        for words in [&[][..], &["--serve"], &["--small"]] {
            let again = flags(words);
            assert_eq!(again, first, "{words:?}");
            keep_world(&again.plan(), again, data).unwrap();
        }
        for words in [["--seed", "8"], ["--wrong", "1"]] {
            let other = flags(&words);
            let refused = keep_world(&other.plan(), other, data).unwrap_err();
            assert_eq!(refused.reason, Reason::Usage, "{words:?}");
            assert!(std::fs::read(data.join(TRUTH)).unwrap() == truth && flags(&[]) == first);
        }
    }
}

//! Finished clips in a folder for unfinished work: a worker lays them down, the stage that stores them picks them up.
//! Knows files, no rows and no pixels.
//!
//! A clip is a film `NAME.mp4` and what is known of it, `NAME.clip`, written last; NAME is the plan's. Of a clip that is
//! not what was planned only the latter is there, with the reason.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::face::select::ClipPlan;
use crate::failure::{Failure, Reason};
use crate::types::Clip;

/// Where a plan's film belongs.
pub(crate) fn film(folder: &Path, plan: &ClipPlan) -> PathBuf {
    folder.join(plan.name() + ".mp4")
}

/// Lays down what became of a plan, whose film is written.
#[cfg(any(test, all(feature = "media", feature = "train")))]
pub(crate) fn write(folder: &Path, plan: &ClipPlan, outcome: &Result<Clip, Failure>) -> Result<(), Failure> {
    let bytes = rmp_serde::to_vec_named(outcome).map_err(|error| Failure::bug(error.to_string()))?;
    let path = card(folder, plan);
    fs::write(&path, bytes).map_err(|error| disk("write", &path, &error))
}

/// What became of a plan; nothing where nobody cut it yet, or was interrupted, or took the film away already.
pub(crate) fn read(folder: &Path, plan: &ClipPlan) -> Result<Option<Result<Clip, Failure>>, Failure> {
    let path = card(folder, plan);
    match fs::read(&path) {
        Ok(bytes) => {
            let outcome: Option<Result<Clip, Failure>> = rmp_serde::from_slice(&bytes).ok();
            Ok(outcome.filter(|outcome| outcome.is_err() || film(folder, plan).is_file()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk("read", &path, &error)),
    }
}

fn card(folder: &Path, plan: &ClipPlan) -> PathBuf {
    folder.join(plan.name() + ".clip")
}

fn disk(action: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::transient(Reason::Disk, format!("cannot {action} {}: {error}", path.display()))
        .with_hint("look at the free space and the rights of the data folder")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Span;

    #[test]
    fn half_a_card_is_no_clip_and_a_card_without_its_film_neither() {
        let folder = tempfile::tempdir().unwrap();
        let span = Span { start_ms: 0, end_ms: 5_000 };
        let plan = ClipPlan { track: 0, span, faces: Vec::new() };
        assert!(read(folder.path(), &plan).unwrap().is_none());
        let clip = Clip { span, side_px: 256, frames: 125, perceptual_hash: 7, samples: Vec::new() };
        write(folder.path(), &plan, &Ok(clip.clone())).unwrap();
        assert!(read(folder.path(), &plan).unwrap().is_none());
        fs::write(film(folder.path(), &plan), "film").unwrap();
        assert_eq!(read(folder.path(), &plan).unwrap().unwrap().unwrap(), clip);
        let card = card(folder.path(), &plan);
        let bytes = fs::read(&card).unwrap();
        fs::write(&card, &bytes[..bytes.len() / 2]).unwrap();
        assert!(read(folder.path(), &plan).unwrap().is_none());
    }
}

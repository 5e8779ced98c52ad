//! Finished clips in a staging folder: a worker writes them, the stage `cut` stores them. Knows files, no rows and no
//! pixels.
//!
//! A clip is a video `NAME.mp4` and a record `NAME.clip` (a `Result<Clip, Failure>` as MessagePack), which is written
//! last; NAME is the plan's. An unsound clip has only the record, with the failure.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::face::select::ClipPlan;
use crate::failure::{Failure, Reason};
use crate::types::Clip;

/// What the folder has of a plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StagedClip {
    /// Nothing that can be used: it was never cut, the work was interrupted, or the video is stored already.
    Missing,
    /// The clip; its video is at [`video_path`].
    Finished(Clip),
    /// The clip is not as planned.
    Unsound(Failure),
}

/// The path of a plan's video.
pub(crate) fn video_path(folder: &Path, plan: &ClipPlan) -> PathBuf {
    folder.join(plan.name() + ".mp4")
}

/// Writes the record of a plan, after its video.
#[cfg(any(test, all(feature = "media", feature = "train")))]
pub(crate) fn write(folder: &Path, plan: &ClipPlan, outcome: &Result<Clip, Failure>) -> Result<(), Failure> {
    let bytes = rmp_serde::to_vec_named(outcome).map_err(|error| Failure::bug(error.to_string()))?;
    let path = record_path(folder, plan);
    fs::write(&path, bytes).map_err(|error| disk("write", &path, &error))
}

/// What the folder has of a plan. A record that does not decode counts as missing.
pub(crate) fn read(folder: &Path, plan: &ClipPlan) -> Result<StagedClip, Failure> {
    let path = record_path(folder, plan);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(StagedClip::Missing),
        Err(error) => return Err(disk("read", &path, &error)),
    };
    Ok(match rmp_serde::from_slice::<Result<Clip, Failure>>(&bytes) {
        Ok(Ok(clip)) if video_path(folder, plan).is_file() => StagedClip::Finished(clip),
        Ok(Ok(_)) | Err(_) => StagedClip::Missing,
        Ok(Err(failure)) => StagedClip::Unsound(failure),
    })
}

/// The path of a plan's record.
pub(super) fn record_path(folder: &Path, plan: &ClipPlan) -> PathBuf {
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
    fn half_a_record_or_a_record_without_its_video_is_not_a_clip() {
        let folder = tempfile::tempdir().unwrap();
        let span = Span { start_ms: 0, end_ms: 5_000 };
        let plan = ClipPlan { track: 0, span, faces: Vec::new() };
        assert_eq!(read(folder.path(), &plan).unwrap(), StagedClip::Missing);
        let clip = Clip { span, side_px: 256, frames: 125, perceptual_hash: 7, samples: Vec::new() };
        write(folder.path(), &plan, &Ok(clip.clone())).unwrap();
        assert_eq!(read(folder.path(), &plan).unwrap(), StagedClip::Missing);
        fs::write(video_path(folder.path(), &plan), "video").unwrap();
        assert_eq!(read(folder.path(), &plan).unwrap(), StagedClip::Finished(clip));
        let record = record_path(folder.path(), &plan);
        let bytes = fs::read(&record).unwrap();
        fs::write(&record, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(read(folder.path(), &plan).unwrap(), StagedClip::Missing);
    }
}

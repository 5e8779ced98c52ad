//! Videos that are on disk already: which files there are, and the emotion that each is filed under. Reads names and
//! bytes, opens no video and writes nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Reason};
use crate::types::Emotion;

const VIDEO_EXTENSIONS: [&str; 18] = [
    "3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogm", "ogv", "ts",
    "vob", "webm", "wmv",
];

/// A folder's videos.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Each video's absolute path and the emotion it is filed under, in order of path.
    pub(crate) videos: Vec<(PathBuf, Emotion)>,
    /// Videos that lie in no folder of an emotion: nothing says what they show.
    pub(crate) unfiled: usize,
    /// Files that are no videos by their names.
    pub(crate) skipped: usize,
    /// Folders that cannot be listed.
    pub(crate) unreadable: usize,
}

/// Lists a folder's videos: all of `emotion`, or by the emotion that the folders right below are named after.
pub(crate) fn list(folder: &Path, emotion: Option<Emotion>) -> Result<Listing, Failure> {
    let folder = folder.canonicalize().map_err(|error| unreadable(folder, &error))?;
    let mut listing = Listing::default();
    for entry in sorted(&folder)? {
        if let Some(emotion) = emotion {
            collect(entry, emotion, &mut listing);
        } else if entry.is_dir() {
            let emotion = emotion_of(&entry)?;
            collect(entry, emotion, &mut listing);
        } else if is_video(&entry) {
            listing.unfiled += 1;
        } else {
            listing.skipped += 1;
        }
    }
    if listing.videos.is_empty() {
        return Err(nothing(&folder, &listing));
    }
    Ok(listing)
}

/// Takes a file, or all that a folder holds; a folder that cannot be listed is named, and the others go on.
fn collect(path: PathBuf, emotion: Emotion, listing: &mut Listing) {
    if path.is_dir() {
        match sorted(&path) {
            Ok(paths) => paths.into_iter().for_each(|path| collect(path, emotion, listing)),
            Err(failure) => {
                tracing::warn!("{failure}: passed over");
                listing.unreadable += 1;
            }
        }
    } else if is_video(&path) {
        listing.videos.push((path, emotion));
    } else {
        listing.skipped += 1;
    }
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(|error| unreadable(folder, &error))?;
    paths.sort();
    Ok(paths)
}

/// Whether a file is a video by its name.
pub(crate) fn is_video(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    VIDEO_EXTENSIONS.contains(&extension.as_str())
}

fn emotion_of(folder: &Path) -> Result<Emotion, Failure> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.parse().map_err(|error| {
        Failure::permanent(Reason::Usage, format!("{}: {error}", folder.display()))
            .with_hint("name the folders after emotions, or say --emotion for all of them")
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::permanent(Reason::Usage, format!("cannot read {}: {error}", path.display()))
        .with_hint("--source local:DIR takes a folder that exists")
}

fn nothing(folder: &Path, Listing { unfiled, skipped, .. }: &Listing) -> Failure {
    let detail = if *unfiled > 0 {
        format!("{unfiled} videos lie in no folder of an emotion, but right in {}", folder.display())
    } else {
        format!("{} holds no video (files that are none by their name: {skipped})", folder.display())
    };
    Failure::permanent(Reason::Usage, detail).with_hint(
        "put the videos in one folder per emotion, such as happiness/, or say --emotion for all of them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }

    #[test]
    fn folders_are_emotions_and_other_files_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["happy/b.mp4", "happy/deep/a.MOV", "sadness/c.webm", "sadness/notes.txt", "readme.md"] {
            touch(&folder.path().join(name));
        }
        let listing = list(folder.path(), None).unwrap();
        let names: Vec<_> = listing
            .videos
            .iter()
            .map(|(path, emotion)| (path.file_name().unwrap().to_str().unwrap(), *emotion))
            .collect();
        let (happiness, sadness) = (Emotion::Happiness, Emotion::Sadness);
        assert_eq!(names, [("b.mp4", happiness), ("a.MOV", happiness), ("c.webm", sadness)]);
        assert_eq!(listing.skipped, 2);
    }

    #[test]
    fn a_video_in_no_folder_of_an_emotion_is_counted_as_such() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.mp4", "b.mkv", "notes.txt"] {
            touch(&folder.path().join(name));
        }
        let failure = list(folder.path(), None).unwrap_err();
        assert!(failure.detail.starts_with("2 videos lie in no folder of an emotion"), "{}", failure.detail);
        assert!(failure.hint.unwrap().contains("--emotion"));
        touch(&folder.path().join("happy/c.mp4"));
        let listing = list(folder.path(), None).unwrap();
        assert_eq!((listing.videos.len(), listing.unfiled, listing.skipped), (1, 2, 1));
    }

    #[test]
    fn one_emotion_may_be_said_for_all() {
        let folder = tempfile::tempdir().unwrap();
        touch(&folder.path().join("a.mp4"));
        touch(&folder.path().join("any/b.mp4"));
        let listing = list(folder.path(), Some(Emotion::Fear)).unwrap();
        assert!(listing.videos.iter().all(|(_, emotion)| *emotion == Emotion::Fear));
        assert_eq!(listing.videos.len(), 2);
    }

    #[test]
    fn a_folder_that_names_no_emotion_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        touch(&folder.path().join("holidays/a.mp4"));
        let failure = list(folder.path(), None).unwrap_err();
        assert!(failure.detail.contains("holidays"), "{}", failure.detail);
        assert_eq!(failure.reason, Reason::Usage);
    }

    #[test]
    fn an_empty_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(list(folder.path(), None).unwrap_err().reason, Reason::Usage);
    }
}

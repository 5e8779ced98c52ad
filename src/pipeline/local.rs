//! Lists the videos of a local folder, and the emotion that each is filed under. Reads names and bytes, opens no video
//! and writes nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Reason};
use crate::types::Emotion;
use crate::words::plural;

const VIDEO_EXTENSIONS: [&str; 22] = [
    "3gp", "asf", "avi", "dv", "f4v", "flv", "gif", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts",
    "mxf", "ogm", "ogv", "ts", "vob", "webm", "wmv",
];

/// A folder's videos.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Each video's absolute path and the emotion it is filed under, in order of path.
    pub(crate) videos: Vec<(PathBuf, Emotion)>,
    /// Videos that are in no folder of an emotion.
    pub(crate) unfiled: usize,
    /// Files that are not videos by name.
    pub(crate) skipped: usize,
    /// Folders that cannot be listed, and videos whose names are not UTF-8.
    pub(crate) unreadable: usize,
}

/// Fails if this is not a folder that can be read.
pub(crate) fn check(folder: &Path) -> Result<(), Failure> {
    fs::read_dir(folder).map(drop).map_err(|error| unreadable(folder, &error))
}

/// Lists a folder's videos: all with `emotion`, else each with the emotion that its folder, directly below, is named
/// after.
pub(crate) fn list(folder: &Path, emotion: Option<Emotion>) -> Result<Listing, Failure> {
    let folder = folder.canonicalize().map_err(|error| unreadable(folder, &error))?;
    let mut listing = Listing::default();
    for entry in sorted(&folder)? {
        if let Some(emotion) = emotion {
            collect(entry, emotion, &mut listing);
        } else if entry.is_dir() {
            let Some(paths) = open(&entry, &mut listing) else { continue };
            let emotion = emotion_of(&entry)?;
            paths.into_iter().for_each(|path| collect(path, emotion, &mut listing));
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

/// Adds a file, or everything in a folder.
fn collect(path: PathBuf, emotion: Emotion, listing: &mut Listing) {
    if path.is_dir() {
        let paths = open(&path, listing).unwrap_or_default();
        paths.into_iter().for_each(|path| collect(path, emotion, listing));
    } else if !is_video(&path) {
        listing.skipped += 1;
    } else if path.to_str().is_none() {
        // Rows hold text, so such a file could not be found again.
        tracing::warn!("the name of {} is not UTF-8: passed over", path.display());
        listing.unreadable += 1;
    } else {
        listing.videos.push((path, emotion));
    }
}

/// What a folder holds. A hidden one, and one that cannot be listed, are named and passed over.
fn open(folder: &Path, listing: &mut Listing) -> Option<Vec<PathBuf>> {
    if is_hidden(folder) {
        tracing::warn!("{} is a system's or a program's own: passed over", folder.display());
        return None;
    }
    let listed = sorted(folder).inspect_err(|failure| {
        tracing::warn!("{failure}: passed over");
        listing.unreadable += 1;
    });
    listed.ok()
}

/// Whether a folder by its name holds what no person put there: wastebaskets, thumbnails, what a file system rescued.
fn is_hidden(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(['.', '@']) || name == "lost+found"
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
        let lie = if *unfiled == 1 { "lies" } else { "lie" };
        format!(
            "{} {lie} in no folder of an emotion, but right in {}",
            plural(*unfiled, "video"),
            folder.display()
        )
    } else {
        format!("{} holds no video (files that are none by their name: {skipped})", folder.display())
    };
    Failure::permanent(Reason::Usage, detail).with_hint(
        "put the videos in one folder per emotion, such as happiness/, or say --emotion for all of them",
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

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
    fn files_of_less_common_containers_are_videos() {
        for name in ["tape.dv", "old.ASF", "flash.f4v", "loop.gif"] {
            assert!(is_video(Path::new(name)), "{name}");
        }
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
    fn a_stray_folder_and_a_name_that_is_not_text_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["fear/a.mp4", "fear/@eaDir/a.mp4", ".Trash-1000/b.mp4", "lost+found/c.mp4"] {
            touch(&folder.path().join(name));
        }
        let odd = std::ffi::OsStr::from_bytes(b"fear/caf\xe9.mp4");
        touch(&folder.path().join(odd));
        let listing = list(folder.path(), None).unwrap();
        assert_eq!((listing.videos.len(), listing.unfiled, listing.unreadable), (1, 0, 1));
        assert_eq!(list(folder.path(), Some(Emotion::Fear)).unwrap().videos.len(), 1);
    }

    #[test]
    fn an_empty_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(list(folder.path(), None).unwrap_err().reason, Reason::Usage);
    }
}

//! Cleans the pages below `reports/`. A page contains the crops of samples as they were when it was made: a picture stays
//! if it is, byte for byte, the crop of a sample that the catalog keeps; all others are removed. Names are removed
//! everywhere. The numbers stay. Unfinished pages of killed processes are deleted. A file that is not a page stays as it is,
//! and is named where it has such a name.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::catalog::names::Names;
use crate::catalog::{Catalog, CatalogError, crops};
use crate::failure::{Failure, Reason};
use crate::files;
use crate::report::pages::{self as report_pages, Form, Shown};
use crate::types::SampleId;

/// What is to be removed from pages.
pub(super) struct Leaving<'a> {
    /// The samples whose pictures are removed, in addition to those without a row.
    pub(super) samples: &'a HashSet<SampleId>,
    /// The names.
    pub(super) names: &'a Names,
}

/// The pages of a folder.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// Those from which something is removed.
    pub(super) cleaned: BTreeSet<PathBuf>,
    /// The number of pictures removed.
    pub(super) pictures: usize,
    /// Those that cannot be read or written, and files with such names that are not pages: they stay as they are.
    pub(super) unclean: BTreeSet<PathBuf>,
}

/// Removes this from every page of a folder, or only finds the pages that contain some of it.
pub(super) async fn clean(
    catalog: &Catalog,
    folder: &Path,
    leaving: &Leaving<'_>,
    dry_run: bool,
) -> Result<Pages, Failure> {
    let leaving = Leaving { names: &report_pages::written(leaving.names)?, samples: leaving.samples };
    let (mut found, paths) = (Pages::default(), paths(folder)?);
    if !dry_run {
        remove_left(&paths, &mut found.unclean);
    }
    for page in paths.into_iter().filter(|path| !is_part(path)) {
        let text = match read(&page) {
            Ok(text) => text,
            Err(error) => {
                pass_over("read", &page, &error);
                found.unclean.insert(page);
                continue;
            }
        };
        let Some(form) = Form::of(&page).or_else(|| Form::of_text(&text)) else {
            if leaving.names.are_in(&text) {
                tracing::warn!("{} names them and is not a page: remove it", page.display());
                found.unclean.insert(page);
            }
            continue;
        };
        let (left, pictures) = without(catalog, form, &text, &leaving).await?;
        if left == text {
            continue;
        }
        let done = if dry_run { Ok(()) } else { files::write_whole(&page, left.as_bytes()) };
        if let Err(error) = done {
            pass_over("write", &page, &error);
            found.unclean.insert(page);
            continue;
        }
        found.pictures += pictures;
        found.cleaned.insert(page);
    }
    Ok(found)
}

/// Warns that a file stays as it is.
pub(super) fn pass_over(action: &str, file: &Path, error: &io::Error) {
    tracing::warn!("cannot {action} {}: {error}: if it names them, remove it", file.display());
}

/// The text of a file; of one that is not a page as much as is text.
fn read(file: &Path) -> io::Result<String> {
    match String::from_utf8(std::fs::read(file)?) {
        Ok(text) => Ok(text),
        Err(error) if Form::of(file).is_none() => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Whether a file is an unfinished page.
fn is_part(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "part") && Form::of(&file.with_extension("")).is_some()
}

/// Removes unfinished pages that no process is writing.
fn remove_left(paths: &[PathBuf], unclean: &mut BTreeSet<PathBuf>) {
    for part in paths.iter().filter(|path| is_part(path)) {
        if let Err(error) = files::remove_left(part) {
            pass_over("remove", part, &error);
            unclean.insert(part.clone());
        }
    }
}

/// The files of a folder at any depth, sorted. Links to folders are not followed, and pipes, which may never end, are left
/// out.
pub(super) fn paths(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (mut paths, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        let failed =
            |error| Failure::transient(Reason::Disk, format!("cannot list {}: {error}", folder.display()));
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if entry.file_type().map_err(failed)?.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                paths.push(path);
            }
        }
    }
    paths.sort();
    Ok(paths)
}

/// A page after the removal, and the number of pictures removed.
async fn without<'a>(
    catalog: &Catalog,
    form: Form,
    page: &'a str,
    leaving: &Leaving<'_>,
) -> Result<(Cow<'a, str>, usize), Failure> {
    let mut stay = Vec::new();
    if form == Form::Html {
        for shown in report_pages::pictures(page) {
            stay.push(stays(catalog, shown, leaving.samples).await?);
        }
    }
    let gone = stay.iter().filter(|stays| !**stays).count();
    if gone == 0 {
        return Ok((report_pages::without_names(form, page, leaving.names), 0));
    }
    let page = report_pages::without_pictures(page, &stay);
    let left = report_pages::without_names(form, &page, leaving.names).into_owned();
    Ok((Cow::Owned(left), gone))
}

/// Whether a picture is the crop of a sample that the catalog keeps.
async fn stays(catalog: &Catalog, shown: Shown<'_>, going: &HashSet<SampleId>) -> Result<bool, Failure> {
    let Some(sample) = shown.sample.filter(|sample| !going.contains(sample)) else { return Ok(false) };
    match crops::get(catalog, sample).await {
        Ok(crop) => Ok(shown.is(&crop)),
        Err(CatalogError::NoRow { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::videos::NewVideo;
    use crate::catalog::{samples, videos};
    use crate::cli::Session;
    use crate::report::{self, Picture, RoundReport};

    #[tokio::test]
    async fn pages_keep_the_pictures_of_samples_that_stay_and_lose_the_names_of_those_that_go() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let mut tx = session.catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        let ids = samples::tests::fill(&mut tx, video, 3).await;
        tx.commit().await.unwrap();
        let picture = |sample_id: i64, jpeg: &[u8]| Picture {
            sample_id,
            emotion: "fear".to_owned(),
            jpeg: jpeg.to_vec(),
        };
        // One that stays, one that is removed, one in another style, and one without a row.
        let pictures = vec![
            picture(ids[0].0, &[0; 3]),
            picture(ids[1].0, &[1; 3]),
            picture(ids[2].0, &[9; 3]),
            picture(99, &[3; 3]),
        ];
        let page = report::round_html(&RoundReport { pictures, ..RoundReport::default() });
        let files = ["round-0001.html", "round-0001.json", "run.md"].map(|name| folder.path().join(name));
        std::fs::write(&files[0], &page).unwrap();
        std::fs::write(&files[1], "{\"example\": \"iu6mbBBDm7S: private\"}").unwrap();
        std::fs::write(&files[2], "see iu6mbBBDm7S").unwrap();
        for (name, said) in [("notes.txt", "mine: iu6mbBBDm7S"), ("other.txt", "mine: nobody")] {
            std::fs::write(folder.path().join(name), said).unwrap();
        }
        let begun = folder.path().join("round-0002.html.part");
        std::fs::write(&begun, &page).unwrap();

        let names =
            Names::of(&[NewVideo { site_id: "iu6mbBBDm7S".to_owned(), ..NewVideo::default() }]).unwrap();
        let samples = HashSet::from([ids[1]]);
        let leaving = Leaving { samples: &samples, names: &names };
        for dry_run in [true, false] {
            let found = clean(&session.catalog, folder.path(), &leaving, dry_run).await.unwrap();
            assert_eq!((found.cleaned, found.pictures), (BTreeSet::from(files.clone()), 3));
            assert_eq!(begun.exists(), dry_run);
        }
        let text = |file: &Path| std::fs::read_to_string(file).unwrap();
        let left = text(&files[0]);
        let shown = report_pages::pictures(&left);
        assert!(shown.len() == 1 && shown[0].is(&[0; 3]), "{left}");
        assert_eq!(text(&files[1]), "{\"example\": \"(forgotten)\"}");
        assert_eq!(text(&files[2]), "see (forgotten)");
        let again = clean(&session.catalog, folder.path(), &leaving, false).await.unwrap();
        assert!(again.cleaned.is_empty());
        assert_eq!(again.unclean, BTreeSet::from([folder.path().join("notes.txt")]), "no page, but named");
    }

    #[tokio::test]
    async fn pages_are_cleaned_at_any_depth_and_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let picture = Picture { sample_id: 99, jpeg: vec![3; 3], ..Picture::default() };
        let page = report::round_html(&RoundReport { pictures: vec![picture], ..RoundReport::default() });
        let pages = folder.path().join("reports");
        std::fs::create_dir_all(pages.join("archive")).unwrap();
        let files = ["archive/x.html", "x.HTML", "x.txt"].map(|name| pages.join(name));
        for file in &files {
            std::fs::write(file, &page).unwrap();
        }
        nix::unistd::mkfifo(&pages.join("pipe.html"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let leaving = Leaving { samples: &HashSet::new(), names: &Names::default() };
        let found = clean(&session.catalog, &pages, &leaving, false).await.unwrap();
        assert_eq!((found.cleaned, found.pictures), (BTreeSet::from(files.clone()), 3));
        for file in &files {
            assert!(report_pages::pictures(&std::fs::read_to_string(file).unwrap()).is_empty(), "{file:?}");
        }
    }
}

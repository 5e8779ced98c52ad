//! Cleans the pages below `reports/`. A page has the crops of samples as they were when it was made: a picture stays if
//! it is, byte for byte, the crop of a sample that the catalog keeps, and all others go. Names go from wherever they
//! stand. The numbers stay. Of a page that a killed process began nothing stays.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::catalog::names::Names;
use crate::catalog::{Catalog, CatalogError, crops};
use crate::failure::{Failure, Reason};
use crate::files;
use crate::report::pages::{self as written, Form, Shown};
use crate::types::SampleId;

/// What is to leave pages.
pub(super) struct Leaving<'a> {
    /// The samples whose pictures go, beside those that no row knows.
    pub(super) samples: &'a HashSet<SampleId>,
    /// The names.
    pub(super) names: &'a Names,
}

/// The pages of a folder.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// Those that lose something.
    pub(super) cleaned: BTreeSet<PathBuf>,
    /// How many pictures they lose.
    pub(super) pictures: usize,
    /// Those that cannot be read or written, as a page of another program may be: they stay as they are.
    pub(super) unclean: BTreeSet<PathBuf>,
}

/// Takes out of every page of a folder what is to leave it, or only looks which pages have some.
pub(super) async fn clean(
    catalog: &Catalog,
    folder: &Path,
    leaving: &Leaving<'_>,
    dry_run: bool,
) -> Result<Pages, Failure> {
    let leaving = Leaving { names: &written::written(leaving.names)?, samples: leaving.samples };
    let (mut found, paths) = (Pages::default(), paths(folder)?);
    if !dry_run {
        remove_left(&paths, &mut found.unclean);
    }
    for page in paths {
        let Some(form) = Form::of(&page) else { continue };
        let text = match std::fs::read_to_string(&page) {
            Ok(text) => text,
            Err(error) => {
                pass_over("read", &page, &error);
                found.unclean.insert(page);
                continue;
            }
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

fn pass_over(action: &str, page: &Path, error: &std::io::Error) {
    tracing::warn!("cannot {action} {}: {error}: if it tells of them, remove it", page.display());
}

/// Removes pages that nobody makes any more.
fn remove_left(paths: &[PathBuf], unclean: &mut BTreeSet<PathBuf>) {
    let is_part = |file: &&PathBuf| {
        file.extension().is_some_and(|end| end == "part") && Form::of(&file.with_extension("")).is_some()
    };
    for part in paths.iter().filter(is_part) {
        if let Err(error) = files::remove_left(part) {
            pass_over("remove", part, &error);
            unclean.insert(part.clone());
        }
    }
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed =
        |error| Failure::transient(Reason::Disk, format!("cannot list {}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(failed)?;
    paths.sort();
    Ok(paths)
}

/// A page without what is to leave it, and how many pictures it loses.
async fn without<'a>(
    catalog: &Catalog,
    form: Form,
    page: &'a str,
    leaving: &Leaving<'_>,
) -> Result<(Cow<'a, str>, usize), Failure> {
    let mut stay = Vec::new();
    if form == Form::Html {
        for shown in written::pictures(page) {
            stay.push(stays(catalog, shown, leaving.samples).await?);
        }
    }
    let gone = stay.iter().filter(|stays| !**stays).count();
    if gone == 0 {
        return Ok((written::without_names(form, page, leaving.names), 0));
    }
    let page = written::without_pictures(page, &stay);
    let left = written::without_names(form, &page, leaving.names).into_owned();
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
        // One that stays, one that goes, one that was made otherwise, and one that no row knows.
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
        std::fs::write(folder.path().join("notes.txt"), "mine: iu6mbBBDm7S").unwrap();
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
        assert!(written::pictures(&left).len() == 1 && written::pictures(&left)[0].is(&[0; 3]), "{left}");
        assert_eq!(text(&files[1]), "{\"example\": \"(forgotten)\"}");
        assert_eq!(text(&files[2]), "see (forgotten)");
        let again = clean(&session.catalog, folder.path(), &leaving, false).await.unwrap();
        assert!(again.cleaned.is_empty() && again.unclean.is_empty());
    }
}

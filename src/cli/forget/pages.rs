//! Takes pictures out of the pages below `reports/`. A page has the crops of samples as they were when it was made: a
//! picture stays if it is, byte for byte, the crop of a sample that the catalog keeps, and all others go. The numbers stay.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::catalog::{Catalog, CatalogError, crops};
use crate::failure::{Failure, Reason};
use crate::types::SampleId;

/// How a page embeds a picture, up to the JPEG file in base64 and the number of its sample.
const PICTURE: &str = "<img src=\"data:image/jpeg;base64,";
const NUMBER: &str = "\" alt=\"sample ";
/// What a page shows where there is none.
const NONE: &str = "<div class=\"missing\">no picture</div>";

/// A page that loses pictures.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cleaned {
    /// Where it is.
    pub(super) page: PathBuf,
    /// How many it loses.
    pub(super) pictures: usize,
    text: String,
}

impl Cleaned {
    /// Writes the page without them, beside its place first.
    fn write(&self) -> std::io::Result<()> {
        let part = self.page.with_extension("html.part");
        std::fs::write(&part, &self.text)?;
        std::fs::rename(&part, &self.page)
    }
}

/// The pages of a folder.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// Those that lose pictures.
    pub(super) cleaned: Vec<Cleaned>,
    /// Those that cannot be read or written, as a page of another program may be: they stay as they are.
    pub(super) unclean: Vec<PathBuf>,
}

impl Pages {
    /// Writes the pages without their pictures.
    pub(super) fn write(&mut self) {
        let Self { cleaned, unclean } = self;
        cleaned.retain(|page| match page.write() {
            Ok(()) => true,
            Err(error) => {
                pass_over("write", &page.page, &error);
                unclean.push(page.page.clone());
                false
            }
        });
    }
}

/// Every page of a folder that has pictures of samples that are `going` or gone, without these.
pub(super) async fn clean(
    catalog: &Catalog,
    folder: &Path,
    going: &HashSet<SampleId>,
) -> Result<Pages, Failure> {
    let mut found = Pages::default();
    for page in pages(folder)? {
        let text = match std::fs::read_to_string(&page) {
            Ok(text) => text,
            Err(error) => {
                pass_over("read", &page, &error);
                found.unclean.push(page);
                continue;
            }
        };
        let (text, pictures) = without(catalog, &text, going).await?;
        if pictures > 0 {
            found.cleaned.push(Cleaned { page, pictures, text });
        }
    }
    Ok(found)
}

fn pass_over(action: &str, page: &Path, error: &std::io::Error) {
    tracing::warn!("cannot {action} {}: {error}: if it has pictures of theirs, remove it", page.display());
}

fn pages(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(|error| failed("list", folder, &error))?;
    let mut pages = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| failed("list", folder, &error))?;
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "html"));
    pages.sort();
    Ok(pages)
}

/// The page without pictures of samples that are going or gone, and how many these are.
async fn without(
    catalog: &Catalog,
    page: &str,
    going: &HashSet<SampleId>,
) -> Result<(String, usize), Failure> {
    let (mut text, mut rest, mut pictures) = (String::with_capacity(page.len()), page, 0);
    while let Some((before, picture, after)) = next(rest) {
        text += before;
        if stays(catalog, picture, going).await? {
            text += &format!("{PICTURE}{picture}>");
        } else {
            text += NONE;
            pictures += 1;
        }
        rest = after;
    }
    Ok((text + rest, pictures))
}

/// What stands before the next picture, the picture's tag after [`PICTURE`], and what comes then.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once(PICTURE)?;
    let (picture, after) = rest.split_once('>')?;
    Some((before, picture, after))
}

/// Whether a picture is the crop of a sample that the catalog keeps.
async fn stays(catalog: &Catalog, picture: &str, going: &HashSet<SampleId>) -> Result<bool, Failure> {
    let Some((jpeg, rest)) = picture.split_once(NUMBER) else { return Ok(false) };
    let number = rest.split('"').next().and_then(|number| number.parse().ok());
    let Some(sample) = number.map(SampleId).filter(|sample| !going.contains(sample)) else {
        return Ok(false);
    };
    match crops::get(catalog, sample).await {
        Ok(crop) => Ok(STANDARD.encode(crop) == jpeg),
        Err(CatalogError::NoRow { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn failed(action: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::transient(Reason::Disk, format!("cannot {action} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{samples, videos};
    use crate::cli::Session;
    use crate::report::{self, Picture, RoundReport};

    #[tokio::test]
    async fn a_page_keeps_the_pictures_of_samples_that_stay_and_no_other() {
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
        std::fs::write(folder.path().join("round-0001.html"), &page).unwrap();
        std::fs::write(folder.path().join("round-0001.json"), "{}").unwrap();

        let going = HashSet::from([ids[1]]);
        let mut found = clean(&session.catalog, folder.path(), &going).await.unwrap();
        assert_eq!((found.cleaned.len(), found.cleaned[0].pictures), (1, 3));
        found.write();
        let text = std::fs::read_to_string(&found.cleaned[0].page).unwrap();
        assert_eq!((text.matches(PICTURE).count(), text.matches(NONE).count()), (1, 3));
        assert!(text.contains(&STANDARD.encode([0; 3])) && text.ends_with("</html>"), "{text}");
        let again = clean(&session.catalog, folder.path(), &going).await.unwrap();
        assert!(again.cleaned.is_empty() && again.unclean.is_empty());
    }
}

//! Takes videos on disk into the catalog, as a search that the folder answered: the same rows as any other.

use std::path::Path;

use crate::catalog::{Catalog, answers, evidence, jobs, searches, videos};
use crate::failure::Failure;
use crate::store;
use crate::types::Emotion;

use super::{fetch, local};

/// What was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intake {
    /// Videos listed.
    pub(crate) videos: usize,
    /// Of these, ones whose file was not asked for before.
    pub(crate) new: u64,
    /// Files that are no videos by their names.
    pub(crate) skipped: usize,
}

/// Writes down every video of a folder and asks for its file. Twice is harmless.
pub(crate) async fn take_in(
    catalog: &Catalog,
    folder: &Path,
    emotion: Option<Emotion>,
) -> Result<Intake, Failure> {
    let listing = local::list(folder, emotion)?;
    let mut new = 0;
    for emotion in Emotion::ALL {
        let mut found = Vec::new();
        for (path, _) in listing.videos.iter().filter(|(_, filed)| *filed == emotion) {
            found.push((path.display().to_string(), store::digest(path)?.1));
        }
        if !found.is_empty() {
            new += write_down(catalog, folder, emotion, &found).await?;
        }
    }
    Ok(Intake { videos: listing.videos.len(), new, skipped: listing.skipped })
}

async fn write_down(
    catalog: &Catalog,
    folder: &Path,
    emotion: Emotion,
    found: &[(String, String)],
) -> Result<u64, Failure> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let asked = searches::NewSearch {
        emotion,
        text: folder.display().to_string(),
        word: emotion.to_string(),
        country: None,
        age_word: None,
        language: None,
    };
    let mut tx = catalog.begin().await?;
    // One lexicon for each folder and emotion: taking in another folder retires nothing.
    let lexicon = format!("{}:{emotion}", asked.text);
    searches::plan(&mut tx, "local", &lexicon, std::slice::from_ref(&asked)).await?;
    tx.commit().await?;
    let known = searches::list(catalog, "local").await?;
    let search = known.iter().find(|search| search.asked == asked);
    let search = search.ok_or_else(|| Failure::bug("a search was planned and is not there"))?;

    let names: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    let raw = serde_json::to_vec(&names).map_err(|error| Failure::bug(error.to_string()))?;
    let mut tx = catalog.begin().await?;
    let answer = answers::NewAnswer {
        search: search.id,
        asked_of: "local",
        tool_version: env!("CARGO_PKG_VERSION"),
        page: 0,
        hits: found.len(),
        raw: &raw,
    };
    let answer = answers::insert(&mut tx, &answer).await?;
    let mut new = 0;
    for (rank, (path, sha256)) in (1..).zip(found) {
        let video = videos::NewVideo {
            site: "local".to_owned(),
            site_id: sha256.clone(),
            url: path.clone(),
            title: Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned()),
            ..videos::NewVideo::default()
        };
        let Some(id) = videos::upsert(&mut tx, &video).await? else { continue };
        let why = evidence::Evidence { search: search.id, answer, rank, emotion };
        evidence::insert(&mut tx, id, &why).await?;
        new += jobs::enqueue(&mut tx, fetch::NAME, fetch::REV, 0, id.0).await?;
    }
    tx.commit().await?;
    Ok(new)
}

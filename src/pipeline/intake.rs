//! Takes videos on disk into the catalog, as a search that the folder answered: the same rows as any other.

use std::collections::HashSet;
use std::path::Path;

use crate::catalog::{Catalog, Transaction, answers, evidence, jobs, searches, tombstones, videos};
use crate::failure::Failure;
use crate::store::{self, StoreError};
use crate::types::{AnswerId, Emotion, SearchId};

use super::{fetch, local};

/// What was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intake {
    /// Videos that could be read.
    pub(crate) videos: usize,
    /// Of these, ones whose file was not asked for before.
    pub(crate) new: u64,
    /// Videos that were passed over, for they lie in no folder of an emotion.
    pub(crate) unfiled: usize,
    /// Files that are no videos by their names.
    pub(crate) skipped: usize,
    /// Videos and folders that cannot be read.
    pub(crate) unreadable: usize,
}

/// Writes down every video of a folder and asks for its file. Twice is harmless.
pub(crate) async fn take_in(
    catalog: &Catalog,
    folder: &Path,
    emotion: Option<Emotion>,
) -> Result<Intake, Failure> {
    let local::Listing { videos, unfiled, skipped, unreadable } = local::list(folder, emotion)?;
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).display().to_string();
    let mut intake = Intake { videos: 0, new: 0, unfiled, skipped, unreadable };
    for emotion in Emotion::ALL {
        let mut found = Vec::new();
        for (path, _) in videos.iter().filter(|(_, filed)| *filed == emotion) {
            match hash(path).await? {
                Ok(sha256) => found.push(on_disk(path, sha256)),
                Err(error) => {
                    tracing::warn!("{error}: passed over");
                    intake.unreadable += 1;
                }
            }
        }
        intake.videos += found.len();
        if found.is_empty() {
            continue;
        }
        // One lexicon for each folder and emotion: taking in another folder retires nothing.
        let lexicon = format!("{folder}:{emotion}");
        let origin = Origin { provider: "local", lexicon, text: folder.clone() };
        intake.new += write_down(catalog, &origin, emotion, &found).await?;
    }
    Ok(intake)
}

/// The hash of a file's bytes, read off the runtime's own threads. What cannot be read is that file's own matter.
async fn hash(path: &Path) -> Result<Result<String, StoreError>, Failure> {
    let path = path.to_owned();
    super::blocking(move || store::digest(&path).map(|(_, sha256)| sha256)).await
}

/// A video on disk; the hash of its bytes is its id.
pub(super) fn on_disk(path: &Path, sha256: String) -> videos::NewVideo {
    videos::NewVideo {
        site: "local".to_owned(),
        site_id: sha256,
        url: path.display().to_string(),
        title: path.file_name().map(|name| name.to_string_lossy().into_owned()),
        ..videos::NewVideo::default()
    }
}

/// Where videos come from that no site was asked for.
pub(super) struct Origin {
    /// `local` or `list`.
    pub(super) provider: &'static str,
    /// Its name in the ledger, one for each emotion.
    pub(super) lexicon: String,
    /// Its name for a reader.
    pub(super) text: String,
}

/// The rows that evidence of an origin points to.
pub(super) struct Asked {
    pub(super) search: SearchId,
    pub(super) answer: AnswerId,
}

/// Writes down that an origin was asked for an emotion, and which videos it answered with, each with the name that it gave
/// it. Those that must not come back are not named.
pub(super) async fn begin(
    catalog: &Catalog,
    origin: &Origin,
    emotion: Emotion,
    found: &[(&videos::NewVideo, &str)],
) -> Result<Asked, Failure> {
    let asked = searches::NewSearch {
        emotion,
        text: origin.text.clone(),
        word: emotion.to_string(),
        country: None,
        age_word: None,
        language: None,
    };
    let mut tx = catalog.begin().await?;
    searches::plan(&mut tx, origin.provider, &origin.lexicon, std::slice::from_ref(&asked)).await?;
    tx.commit().await?;
    let known = searches::list(catalog, origin.provider).await?;
    let search = known.iter().find(|search| search.asked == asked);
    let search = search.ok_or_else(|| Failure::bug("a search was planned and is not there"))?.id;
    let mut tx = catalog.begin().await?;
    let named = not_forgotten(&mut tx, found).await?;
    let raw = serde_json::to_vec(&named).map_err(|error| Failure::bug(error.to_string()))?;
    let answer = answers::NewAnswer {
        search,
        asked_of: origin.provider,
        tool_version: env!("CARGO_PKG_VERSION"),
        page: 0,
        hits: found.len(),
        raw: &raw,
    };
    let answer = answers::insert(&mut tx, &answer).await?;
    tx.commit().await?;
    Ok(Asked { search, answer })
}

/// The names of the videos that may be here.
async fn not_forgotten<'a>(
    tx: &mut Transaction,
    found: &[(&videos::NewVideo, &'a str)],
) -> Result<Vec<&'a str>, Failure> {
    let mut forgotten = HashSet::new();
    for site in ["local", "youtube"] {
        let of_site = found.iter().filter(|(video, _)| video.site == site);
        let ids: Vec<&str> = of_site.map(|(video, _)| video.site_id.as_str()).collect();
        forgotten.extend(tombstones::standing(tx, site, &ids).await?);
    }
    let stay = found.iter().filter(|(video, _)| !forgotten.contains(&video.site_id));
    Ok(stay.map(|(_, name)| *name).collect())
}

async fn write_down(
    catalog: &Catalog,
    origin: &Origin,
    emotion: Emotion,
    found: &[videos::NewVideo],
) -> Result<u64, Failure> {
    let named: Vec<_> = found.iter().map(|video| (video, video.url.as_str())).collect();
    let Asked { search, answer } = begin(catalog, origin, emotion, &named).await?;
    let mut tx = catalog.begin().await?;
    let mut new = 0;
    for (rank, video) in (1..).zip(found) {
        let Some(id) = videos::upsert(&mut tx, video).await? else { continue };
        evidence::insert(&mut tx, id, &evidence::Evidence { search, answer, rank, emotion }).await?;
        new += jobs::enqueue(&mut tx, fetch::NAME, fetch::REV, 0, id.0).await?;
    }
    tx.commit().await?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn a_folder_that_is_asked_again_does_not_bring_back_the_name_of_who_was_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db"), &Clock::fixed(0)).await.unwrap();
        let origin = Origin { provider: "local", lexicon: "films".to_owned(), text: "films".to_owned() };
        let film = |name: &str| on_disk(Path::new(name), name.to_owned());
        let found = [film("/films/a.mp4"), film("/films/b.mp4")];
        let mut tx = catalog.begin().await.unwrap();
        tombstones::insert(&mut tx, "local", &found[0].site_id, "asked for").await.unwrap();
        let named: Vec<_> = found.iter().map(|video| (video, video.url.as_str())).collect();
        assert_eq!(not_forgotten(&mut tx, &named).await.unwrap(), ["/films/b.mp4"]);
        tx.commit().await.unwrap();
        assert_eq!(write_down(&catalog, &origin, Emotion::Fear, &found).await.unwrap(), 1);
    }
}

//! Finds the video or the training run that a word on the command line names.

use std::path::Path;

use crate::catalog::runs::Run;
use crate::catalog::videos::{self, Video};
use crate::failure::{Failure, Reason};
use crate::store;
use crate::types::VideoId;
use crate::youtube::SiteId;

use super::Session;

/// The video with an id or address on YouTube, with a number in the catalog, or of a file: one in the data folder, or a local
/// one that was added before, even if it was moved since.
pub(crate) async fn video(session: &Session, word: &str) -> Result<Video, Failure> {
    let catalog = &session.catalog;
    let mut found = None;
    if let Some(id) = SiteId::new(word).or_else(|| SiteId::in_address(word)) {
        found = videos::find(catalog, "youtube", id.as_str()).await?;
    }
    if let (None, Ok(number)) = (found, word.parse()) {
        match videos::get(catalog, VideoId(number)).await {
            Err(crate::catalog::CatalogError::NoRow { .. }) => {}
            video => return Ok(video?),
        }
    }
    if found.is_none() {
        found = of_file(session, Path::new(word)).await?;
    }
    match found {
        Some(id) => Ok(videos::get(catalog, id).await?),
        None => Err(unknown(word)),
    }
}

async fn of_file(session: &Session, path: &Path) -> Result<Option<VideoId>, Failure> {
    let Ok(path) = path.canonicalize() else { return Ok(None) };
    if !path.is_file() {
        return Ok(None);
    }
    if let Ok(relative) = path.strip_prefix(session.store.root()) {
        return Ok(videos::find_file(&session.catalog, &relative.to_string_lossy()).await?);
    }
    let sha256 = sha256(session, &path).await?;
    Ok(videos::find(&session.catalog, "local", &sha256).await?)
}

/// The SHA-256 of a file in hexadecimal, read on another thread.
///
/// # Errors
/// When it cannot be read, or somebody asks to stop meanwhile.
pub(crate) async fn sha256(session: &Session, path: &Path) -> Result<String, Failure> {
    let (file, stop) = (path.to_owned(), session.stop.clone());
    let read = tokio::task::spawn_blocking(move || store::digest_while(&file, || !stop.is_asked()));
    match read.await.map_err(|error| Failure::bug(format!("reading a file ended early: {error}")))? {
        Ok((_, sha256)) => Ok(sha256),
        Err(_) if session.stop.is_asked() => Err(store::interrupted(path)),
        Err(error) => Err(error.into()),
    }
}

fn unknown(word: &str) -> Failure {
    let detail = format!("the catalog has no video '{}'", word.escape_debug());
    Failure::permanent(Reason::Usage, detail)
        .with_hint("name a video by its id or address on YouTube, its number in the catalog, or its file")
}

/// The run with a name.
pub(crate) fn run<'a>(session: &Session, all: &'a [Run], name: &str) -> Result<&'a Run, Failure> {
    let known = || all.iter().map(|run| run.name.as_str()).collect::<Vec<_>>();
    let folder = session.store.absolute(&store::run_path(name));
    all.iter().find(|run| run.name == name).ok_or_else(|| {
        // The name must be a folder directly below that of the runs.
        match folder.is_dir() && folder.file_name() == Some(name.as_ref()) {
            true => on_disk_alone(name, &folder),
            false => no_run(name, &known()),
        }
    })
}

/// The failure for a run that is not in the catalog because it trained on a data set on disk.
fn on_disk_alone(name: &str, folder: &Path) -> Failure {
    let name = name.escape_debug();
    let detail = format!("the catalog does not know run '{name}', it lies in {} alone", folder.display());
    Failure::permanent(Reason::Usage, detail).with_hint(
        "it trained on a data set on disk: result.json in its folder tells what it came to, and eval, predict and \
         export-net take it with --run",
    )
}

/// The failure for a name that no run has.
pub(crate) fn no_run(name: &str, known: &[&str]) -> Failure {
    let known = if known.is_empty() { "there is none yet".to_owned() } else { known.join(", ") };
    Failure::permanent(Reason::Usage, format!("no run is called '{}'", name.escape_debug()))
        .with_hint(format!("runs: {known}"))
}

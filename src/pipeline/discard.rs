//! Removes sources that nobody needs any more, so that a disk holds more videos than fit on it. Knows rows and files.
//!
//! A source goes once its clips are committed, or once it is certain that it has none. The row stays and says when it
//! went; boxes, landmarks and scores stay too. First the row lets go of the file, then the file goes: whoever is killed
//! in between leaves a file that no row names, which `gc` removes.

use crate::catalog::{Catalog, videos};
use crate::failure::Failure;
use crate::store::Store;

/// What was let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Discarded {
    /// Sources.
    pub(crate) videos: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// Removes the files of all videos that are cut to the end. A video that is to be scanned again keeps its file.
pub(crate) async fn discard(catalog: &Catalog, store: &Store) -> Result<Discarded, Failure> {
    let mut tx = catalog.begin().await?;
    let cut = videos::finished_sources(&mut tx).await?;
    for source in &cut {
        videos::discard_file(&mut tx, source.video).await?;
    }
    tx.commit().await?;
    let mut discarded = Discarded::default();
    for source in cut {
        store.remove(&source.path)?;
        discarded.videos += 1;
        discarded.bytes += source.size_bytes;
    }
    Ok(discarded)
}

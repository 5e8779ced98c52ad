//! The pictures of samples, for threads that load batches: blocking on the outside, the catalog within.

use std::collections::HashMap;

use tokio::runtime::Handle;

use super::{Catalog, CatalogError, Result, Transaction, number};
use crate::types::{CropStyle, SampleId, VideoId};

/// Reads face crops from threads that are not the runtime's own. Cloning shares the catalog.
#[derive(Debug, Clone)]
pub struct Crops {
    catalog: Catalog,
    runtime: Handle,
}

impl Crops {
    /// A reader over an open catalog. Call it inside the runtime whose threads shall answer.
    pub fn new(catalog: &Catalog) -> Self {
        Self { catalog: catalog.clone(), runtime: Handle::current() }
    }

    /// The JPEG file of a sample. Blocks: never call it on a thread of the runtime.
    pub fn jpeg(&self, sample: SampleId) -> Result<Vec<u8>> {
        self.runtime.block_on(get(&self.catalog, sample))
    }
}

/// The JPEG file of a sample.
pub async fn get(catalog: &Catalog, sample: SampleId) -> Result<Vec<u8>> {
    sqlx::query_file_scalar!("queries/catalog/crop/get.sql", sample.0)
        .fetch_optional(&catalog.reader)
        .await?
        .ok_or_else(|| CatalogError::NoRow { what: format!("crop of sample {}", sample.0) })
}

/// The JPEG file of a sample and how it was made.
pub async fn get_made(catalog: &Catalog, sample: SampleId) -> Result<(Vec<u8>, CropStyle)> {
    let row = sqlx::query_file!("queries/catalog/crop/get_made.sql", sample.0)
        .fetch_optional(&catalog.reader)
        .await?
        .ok_or_else(|| CatalogError::NoRow { what: format!("crop of sample {}", sample.0) })?;
    Ok((row.jpeg, CropStyle { side_px: number(row.side_px)?, margin: row.margin as f32 }))
}

/// A video with crops that were made otherwise than they are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeOtherwise {
    /// The video.
    pub video: VideoId,
    /// How many crops these are.
    pub samples: u64,
    /// Whether its file is there, to make them again.
    pub has_file: bool,
}

/// Every video with crops of another style.
pub async fn made_otherwise(catalog: &Catalog, style: CropStyle) -> Result<Vec<MadeOtherwise>> {
    let (side_px, margin) = (style.side_px, f64::from(style.margin));
    let rows = sqlx::query_file!("queries/catalog/crop/list_made_otherwise.sql", side_px, margin)
        .fetch_all(&catalog.reader)
        .await?;
    rows.into_iter()
        .map(|row| {
            let (video, samples) = (VideoId(row.id), number(row.samples)?);
            Ok(MadeOtherwise { video, samples, has_file: row.has_file })
        })
        .collect()
}

/// The styles of all crops that were made otherwise than in this one, by sample.
pub async fn styles_but(catalog: &Catalog, style: CropStyle) -> Result<HashMap<SampleId, CropStyle>> {
    let (side_px, margin) = (style.side_px, f64::from(style.margin));
    let rows = sqlx::query_file!("queries/catalog/crop/list_styles.sql", side_px, margin)
        .fetch_all(&catalog.reader)
        .await?;
    rows.into_iter()
        .map(|row| {
            let style = CropStyle { side_px: number(row.side_px)?, margin: row.margin as f32 };
            Ok((SampleId(row.sample_id), style))
        })
        .collect()
}

/// Puts another picture in the place of a sample's; nothing happens when the sample is gone.
pub async fn replace(tx: &mut Transaction, sample: SampleId, style: CropStyle, jpeg: &[u8]) -> Result<()> {
    let (side_px, margin) = (style.side_px, f64::from(style.margin));
    sqlx::query_file!("queries/catalog/crop/replace.sql", sample.0, side_px, margin, jpeg)
        .execute(tx.connection())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{samples, tests::empty, videos};

    #[tokio::test]
    async fn loader_threads_read_pictures() {
        let (_folder, catalog) = empty().await;
        let mut tx = catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        let ids = samples::tests::fill(&mut tx, video, 20).await;
        tx.commit().await.unwrap();
        let crops = Crops::new(&catalog);
        let loader = |ids: Vec<SampleId>| {
            let crops = crops.clone();
            tokio::task::spawn_blocking(move || {
                ids.iter().map(|id| crops.jpeg(*id).unwrap()).collect::<Vec<_>>()
            })
        };
        let (one, other) = tokio::join!(loader(ids.clone()), loader(ids));
        assert_eq!(one.unwrap()[7], [7, 7, 7]);
        assert_eq!(other.unwrap()[19], [19, 19, 19]);
        assert!(crops.catalog.reader.size() <= 4);
    }
}

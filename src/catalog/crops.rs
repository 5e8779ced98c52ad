//! The `crop` table: the picture of each sample. [`Crops`] reads them from threads outside the async runtime.

use std::collections::HashMap;

use tokio::runtime::Handle;

use super::{Catalog, CatalogError, Result, Transaction, number};
use crate::types::{CropStyle, SampleId, VideoId};

/// Reads crops from blocking threads, such as those that load batches. Cloning shares the catalog.
#[derive(Debug, Clone)]
pub struct Crops {
    catalog: Catalog,
    runtime: Handle,
}

impl Crops {
    /// A reader over an open catalog. Must be called inside the runtime that is to run its queries.
    pub fn new(catalog: &Catalog) -> Self {
        Self { catalog: catalog.clone(), runtime: Handle::current() }
    }

    /// The JPEG file of a sample that was created at `created_at`, milliseconds since 1970: the id of a sample that was
    /// removed since may belong to another one. Blocks: must not be called on a thread of the runtime.
    pub fn jpeg(&self, sample: SampleId, created_at: i64) -> Result<Vec<u8>> {
        self.runtime.block_on(get_created_at(&self.catalog, sample, created_at))
    }
}

async fn get_created_at(catalog: &Catalog, sample: SampleId, created_at: i64) -> Result<Vec<u8>> {
    sqlx::query_file_scalar!("queries/catalog/crop/get_created_at.sql", sample.0, created_at)
        .fetch_optional(&catalog.reader)
        .await?
        .ok_or_else(|| no_crop(sample))
}

/// Stores the picture of a new sample.
pub(super) async fn insert(
    tx: &mut Transaction,
    sample: SampleId,
    style: CropStyle,
    jpeg: &[u8],
) -> Result<()> {
    let (side_px, margin) = (style.side_px, f64::from(style.margin));
    sqlx::query_file!("queries/catalog/crop/insert.sql", sample.0, side_px, margin, jpeg)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The JPEG file of a sample.
pub async fn get(catalog: &Catalog, sample: SampleId) -> Result<Vec<u8>> {
    sqlx::query_file_scalar!("queries/catalog/crop/get.sql", sample.0)
        .fetch_optional(&catalog.reader)
        .await?
        .ok_or_else(|| no_crop(sample))
}

/// The JPEG file of a sample, and its style.
pub async fn get_with_style(catalog: &Catalog, sample: SampleId) -> Result<(Vec<u8>, CropStyle)> {
    let row = sqlx::query_file!("queries/catalog/crop/get_with_style.sql", sample.0)
        .fetch_optional(&catalog.reader)
        .await?
        .ok_or_else(|| no_crop(sample))?;
    Ok((row.jpeg, CropStyle { side_px: number(row.side_px)?, margin: row.margin as f32 }))
}

fn no_crop(sample: SampleId) -> CatalogError {
    CatalogError::NoRow { what: format!("crop of sample {}", sample.0) }
}

/// A video with crops of another style than wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeOtherwise {
    /// The video.
    pub video: VideoId,
    /// The number of those crops.
    pub samples: u64,
    /// Whether the video's file is there, so that they can be made again.
    pub has_file: bool,
}

/// Every video with crops of a style other than this one.
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

/// The styles of all crops whose style is not this one, by sample.
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

/// Replaces the picture of a sample; does nothing when the sample is gone.
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
                ids.iter().map(|id| crops.jpeg(*id, 1_000_000).unwrap()).collect::<Vec<_>>()
            })
        };
        let (one, other) = tokio::join!(loader(ids.clone()), loader(ids));
        assert_eq!(one.unwrap()[7], [7, 7, 7]);
        assert_eq!(other.unwrap()[19], [19, 19, 19]);
        assert!(crops.catalog.reader.size() <= 4);
    }
}

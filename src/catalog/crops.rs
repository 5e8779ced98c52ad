//! The pictures of samples, for threads that load batches: blocking on the outside, the catalog within.

use tokio::runtime::Handle;

use super::{Catalog, CatalogError, Result};
use crate::types::SampleId;

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

/// The JPEG file of a sample and the side of its picture in pixels.
pub async fn get_sized(catalog: &Catalog, sample: SampleId) -> Result<(Vec<u8>, u32)> {
    let row = sqlx::query_file!("queries/catalog/crop/get_sized.sql", sample.0)
        .fetch_optional(&catalog.reader)
        .await?
        .ok_or_else(|| CatalogError::NoRow { what: format!("crop of sample {}", sample.0) })?;
    Ok((row.jpeg, super::number(row.side_px)?))
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

//! The crops of a catalog's samples as pictures to train on.

use std::collections::HashMap;

use crate::catalog::crops::{self, Crops};
use crate::catalog::{Catalog, samples};
use crate::failure::Failure;
use crate::train::data::{Identity, Pictures, bytes_of, identity_of};
use crate::types::{CropStyle, SampleId};

/// The default side of crops, pixels; settings or `clips --recrop` may change it.
const USUAL_SIDE_PX: u32 = 224;

/// The crops of a list of samples. They keep the catalog open.
pub(super) struct CatalogPictures {
    samples: Vec<SampleId>,
    /// When each of them was created; none for one that is removed already.
    created_at: Vec<Option<i64>>,
    /// The styles of crops that do not have the default one.
    styles: HashMap<SampleId, CropStyle>,
    crops: Crops,
}

impl CatalogPictures {
    /// The crops as they are now. One that is removed later cannot be read any more, even if its id is reused.
    pub(super) async fn of(catalog: &Catalog, samples: Vec<SampleId>) -> Result<Self, Failure> {
        let styles = crops::styles_but(catalog, CropStyle::plain(USUAL_SIDE_PX)).await?;
        let known = samples::created_at(catalog).await?;
        let created_at = samples.iter().map(|sample| known.get(sample).copied()).collect();
        Ok(Self { samples, created_at, styles, crops: Crops::new(catalog) })
    }
}

impl Pictures for CatalogPictures {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn encoded(&self, index: usize) -> std::io::Result<Vec<u8>> {
        let created_at = self.created_at[index].ok_or(std::io::ErrorKind::NotFound)?;
        self.crops.jpeg(self.samples[index], created_at).map_err(std::io::Error::other)
    }

    fn name(&self, index: usize) -> String {
        format!("sample {}", self.samples[index].0)
    }

    /// From the ids, and from the style of each crop without the default style, since in another style it is another
    /// picture of the same sample. Default ones add nothing, so that runs of releases that used ids only are recognised.
    fn identity(&self) -> Identity {
        let ids = self.samples.iter().map(|sample| sample.0.cast_unsigned());
        let styles = self.samples.iter().filter_map(|sample| {
            let CropStyle { side_px, margin } = self.styles.get(sample)?;
            Some([sample.0.cast_unsigned(), (*side_px).into(), margin.to_bits().into()])
        });
        identity_of(bytes_of(ids.chain(styles.flatten())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{forget, videos};
    use crate::cli::Session;
    use crate::clock::Clock;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_removed_sample_is_not_read_as_the_one_that_reuses_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let add = async |at_ms: i64, name: &str| {
            let catalog = Catalog::open(&folder.path().join("c.db"), &Clock::fixed(at_ms)).await.unwrap();
            let mut tx = catalog.begin().await.unwrap();
            let video = videos::upsert(&mut tx, &videos::tests::some(name, None)).await.unwrap().unwrap();
            let ids = samples::tests::fill(&mut tx, video, 3).await;
            tx.commit().await.unwrap();
            (catalog, video, ids)
        };
        let (catalog, video, ids) = add(1_000, "gone").await;
        let pictures = CatalogPictures::of(&catalog, ids.clone()).await.unwrap();
        let pictures = std::sync::Arc::new(pictures);
        let read = async || {
            let pictures = std::sync::Arc::clone(&pictures);
            tokio::task::spawn_blocking(move || pictures.encoded(1)).await.unwrap()
        };
        assert_eq!(read().await.unwrap(), [1, 1, 1]);
        let mut tx = catalog.begin().await.unwrap();
        forget::remove(&mut tx, &[video], "asked for").await.unwrap();
        tx.commit().await.unwrap();
        let (_later, _, next) = add(2_000, "next").await;
        assert_eq!(next, ids, "the ids are not given out again");
        let refused = read().await.unwrap_err();
        assert!(refused.to_string().contains("crop of sample"), "{refused}");
    }

    #[tokio::test]
    async fn a_crop_in_another_style_is_another_picture_and_default_ones_are_identified_by_id() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Session::still(folder.path()).await.catalog;
        let mut tx = catalog.begin().await.unwrap();
        let video = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        let ids = samples::tests::fill(&mut tx, video, 3).await;
        tx.commit().await.unwrap();
        let identity = async |made: Option<CropStyle>| {
            let mut tx = catalog.begin().await.unwrap();
            if let Some(style) = made {
                crops::replace(&mut tx, ids[1], style, b"another").await.unwrap();
            }
            tx.commit().await.unwrap();
            CatalogPictures::of(&catalog, ids.clone()).await.unwrap().identity()
        };
        let usual = identity(None).await;
        assert_eq!(usual, identity_of(bytes_of(ids.iter().map(|id| id.0.cast_unsigned()))));
        let small = identity(Some(CropStyle::plain(96))).await;
        let wide = identity(Some(CropStyle { side_px: 96, margin: 1.5 })).await;
        assert!(usual != small && small != wide && wide != usual);
        assert_eq!(identity(Some(CropStyle::plain(USUAL_SIDE_PX))).await, usual);
    }
}

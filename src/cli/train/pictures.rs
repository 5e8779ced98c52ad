//! The crops of a catalog's samples as pictures to train on.

use std::collections::HashMap;

use crate::catalog::Catalog;
use crate::catalog::crops::{self, Crops};
use crate::failure::Failure;
use crate::train::data::{Identity, Pictures, bytes_of, identity_of};
use crate::types::{CropStyle, SampleId};

/// The side of crops unless settings or `clips --recrop` want another, pixels.
const USUAL_SIDE_PX: u32 = 224;

/// The crops of a list of samples. They keep the catalog open.
pub(super) struct CatalogPictures {
    samples: Vec<SampleId>,
    /// How the crops were made that are not as usual.
    styles: HashMap<SampleId, CropStyle>,
    crops: Crops,
}

impl CatalogPictures {
    /// The crops as they are now.
    pub(super) async fn of(catalog: &Catalog, samples: Vec<SampleId>) -> Result<Self, Failure> {
        let styles = crops::styles_but(catalog, CropStyle::plain(USUAL_SIDE_PX)).await?;
        Ok(Self { samples, styles, crops: Crops::new(catalog) })
    }
}

impl Pictures for CatalogPictures {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn encoded(&self, index: usize) -> std::io::Result<Vec<u8>> {
        self.crops.jpeg(self.samples[index]).map_err(std::io::Error::other)
    }

    fn name(&self, index: usize) -> String {
        format!("sample {}", self.samples[index].0)
    }

    /// From the ids, and from the style of each crop that is not as usual: made anew in another style, it is another
    /// picture of the same sample. Usual ones add nothing: runs of releases that went by ids alone are known again.
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
    use crate::catalog::{samples, videos};
    use crate::cli::Session;

    #[tokio::test]
    async fn a_crop_in_another_style_is_another_picture_and_usual_ones_are_known_by_their_ids() {
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

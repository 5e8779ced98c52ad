//! Makes crops again from the stored places of their faces, with another size or margin and without a detector. One
//! transaction per video: if the source fails, all its crops stay as they were.

use std::collections::HashMap;

use crate::catalog::videos::Video;
use crate::catalog::{Catalog, crops, samples, videos};
use crate::clock::Stop;
use crate::failure::Failure;
use crate::store::Store;
use crate::types::{CropStyle, SampleId, SeenFace, VideoId};

use super::cpu::{Cpu, Recrop};

/// Makes the crops of videos again.
pub(crate) struct Recropper<'a> {
    /// The rows of the faces and crops.
    pub(crate) catalog: &'a Catalog,
    /// The data folder.
    pub(crate) store: &'a Store,
    /// The workers.
    pub(crate) cpu: &'a Cpu,
    /// An urgent stop drops the work.
    pub(crate) stop: &'a Stop,
    /// Side and margin of the new crops.
    pub(crate) style: CropStyle,
    /// JPEG quality, 1 to 100.
    pub(crate) jpeg_quality: u8,
}

impl Recropper<'_> {
    /// Makes all crops of a video again, also those of scans with earlier recipes; returns how many.
    pub(crate) async fn recrop(&self, video: VideoId) -> Result<usize, Failure> {
        let row = videos::get(self.catalog, video).await?;
        let path = super::source(self.store, &row)?;
        let found = samples::faces_of_video(self.catalog, video).await?;
        let faces: Vec<SeenFace> = found.iter().map(|(_, seen)| *seen).collect();
        let recrop = Recrop { faces, style: self.style, jpeg_quality: self.jpeg_quality };
        let made = self.cpu.recrop(path, recrop, self.stop).await?;
        if made.len() != found.len() {
            let detail = format!("of {} faces a worker made {} crops", found.len(), made.len());
            return Err(Failure::bug(detail));
        }
        let made = found.into_iter().zip(made);
        let made: Vec<NewCrop> =
            made.map(|((sample, face), picture)| NewCrop { sample, face, jpeg: picture.jpeg }).collect();
        replace_unchanged(self.catalog, &row, self.style, &made).await
    }
}

/// A crop made again.
struct NewCrop {
    sample: SampleId,
    /// The face it was made from.
    face: SeenFace,
    jpeg: Vec<u8>,
}

/// Replaces the crops of the samples that still show the same face; returns how many. Ids of samples removed meanwhile may
/// belong to other faces or other videos by now: these keep their crops.
async fn replace_unchanged(
    catalog: &Catalog,
    video: &Video,
    style: CropStyle,
    made: &[NewCrop],
) -> Result<usize, Failure> {
    let mut tx = catalog.begin().await?;
    if videos::find_in(&mut tx, &video.found.site, &video.found.site_id).await? != Some(video.id) {
        return Ok(0);
    }
    let now = samples::faces_of_video_in(&mut tx, video.id).await?;
    let now: HashMap<SampleId, SeenFace> = now.into_iter().collect();
    let mut replaced = 0;
    for crop in made.iter().filter(|crop| now.get(&crop.sample) == Some(&crop.face)) {
        crops::replace(&mut tx, crop.sample, style, &crop.jpeg).await?;
        replaced += 1;
    }
    tx.commit().await?;
    Ok(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::forget;
    use crate::clock::Clock;

    async fn catalog() -> (tempfile::TempDir, Catalog) {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db"), &Clock::fixed(0)).await.unwrap();
        (folder, catalog)
    }

    /// Adds a video with three samples.
    async fn add(catalog: &Catalog, site_id: &str) -> (Video, Vec<SampleId>) {
        let mut tx = catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some(site_id, None)).await.unwrap().unwrap();
        let ids = samples::tests::fill(&mut tx, id, 3).await;
        tx.commit().await.unwrap();
        (videos::get(catalog, id).await.unwrap(), ids)
    }

    async fn new_crops_of(catalog: &Catalog, video: VideoId) -> Vec<NewCrop> {
        let found = samples::faces_of_video(catalog, video).await.unwrap().into_iter();
        found.map(|(sample, face)| NewCrop { sample, face, jpeg: b"new".to_vec() }).collect()
    }

    #[tokio::test]
    async fn crops_of_a_video_forgotten_meanwhile_do_not_replace_those_of_the_video_that_has_its_ids_now() {
        let (_folder, catalog) = catalog().await;
        let (gone, ids) = add(&catalog, "gone").await;
        let made = new_crops_of(&catalog, gone.id).await;
        let mut tx = catalog.begin().await.unwrap();
        forget::remove(&mut tx, &[gone.id], "asked for").await.unwrap();
        tx.commit().await.unwrap();
        let (next, next_ids) = add(&catalog, "next").await;
        assert_eq!((next.id, &next_ids), (gone.id, &ids), "the ids were not given out again");
        assert_eq!(replace_unchanged(&catalog, &gone, CropStyle::plain(96), &made).await.unwrap(), 0);
        assert_eq!(crops::get(&catalog, ids[1]).await.unwrap(), [1, 1, 1]);
    }

    #[tokio::test]
    async fn a_crop_is_replaced_only_while_its_sample_shows_the_same_face() {
        let (_folder, catalog) = catalog().await;
        let (video, ids) = add(&catalog, "a").await;
        let mut made = new_crops_of(&catalog, video.id).await;
        made[1].face.t_ms += 40;
        assert_eq!(replace_unchanged(&catalog, &video, CropStyle::plain(96), &made).await.unwrap(), 2);
        let mut now = vec![];
        for id in &ids {
            now.push(crops::get(&catalog, *id).await.unwrap());
        }
        assert_eq!(now, [b"new".to_vec(), vec![1; 3], b"new".to_vec()]);
    }
}

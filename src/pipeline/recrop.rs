//! Makes crops again from what was stored of their faces: another size, another margin, no detector. One transaction a
//! video; where anything is wrong with the source, all its crops stay as they were.

use crate::catalog::{Catalog, crops, samples, videos};
use crate::clock::Stop;
use crate::failure::Failure;
use crate::store::Store;
use crate::types::{CropStyle, SeenFace, VideoId};

use super::cpu::{Cpu, Product, Recrop, Task};

/// How crops are to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wanted {
    /// Size and margin.
    pub(crate) style: CropStyle,
    /// JPEG quality, 1 to 100.
    pub(crate) jpeg_quality: u8,
}

/// Makes all crops of a video again; says how many. Also those of looks with earlier recipes: their faces are known
/// just as well.
pub(crate) async fn recrop(
    catalog: &Catalog,
    store: &Store,
    (cpu, stop): (&Cpu, &Stop),
    video: VideoId,
    wanted: Wanted,
) -> Result<usize, Failure> {
    let path = super::source(store, &videos::get(catalog, video).await?)?;
    let found = samples::faces_of_video(catalog, video).await?;
    let faces: Vec<SeenFace> = found.iter().map(|(_, seen)| *seen).collect();
    let Wanted { style, jpeg_quality } = wanted;
    let task = Task::Recrop { path, recrop: Recrop { faces, style, jpeg_quality } };
    let Product::Recropped(made) = cpu.run(&task, stop).await? else {
        return Err(Failure::bug("a worker answered another question than `recrop`"));
    };
    if made.len() != found.len() {
        return Err(Failure::bug(format!("of {} faces a worker made {} crops", found.len(), made.len())));
    }
    let mut tx = catalog.begin().await?;
    for ((sample, _), picture) in found.iter().zip(&made) {
        crops::replace(&mut tx, *sample, style, &picture.jpeg).await?;
    }
    tx.commit().await?;
    Ok(made.len())
}

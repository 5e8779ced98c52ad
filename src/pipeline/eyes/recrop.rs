//! Crops known faces again, at another size or with more around them. Nothing is detected: their places were stored by the
//! scan.

use std::collections::BTreeMap;
use std::path::Path;

use super::jump::Jumper;
use super::{DECODER_THREADS, Watch, notify, views};
use crate::failure::{Failure, Reason};
use crate::media::{Decoder, VideoFrame};
use crate::pipeline::cpu::{Picture, Recrop};
use crate::types::SeenFace;

/// The crops of all given faces, in their order.
///
/// # Errors
/// When the file does not decode, the watcher stops the work, or the file has no frame at a face's time: then it is not
/// the file in which the faces were found.
pub fn recrop_video(path: &Path, recrop: &Recrop, watch: &mut dyn Watch) -> Result<Vec<Picture>, Failure> {
    let mut wanted: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (at, seen) in recrop.faces.iter().enumerate() {
        wanted.entry(seen.t_ms).or_default().push(at);
    }
    let last_ms = wanted.last_key_value().map_or(0, |(t_ms, _)| *t_ms);
    let mut crops = vec![Picture::default(); recrop.faces.len()];
    let mut frames = Jumper::new(Decoder::open(path, DECODER_THREADS)?);
    while let Some((&next_ms, _)) = wanted.first_key_value() {
        let frame = frames.next_frame(Some(next_ms))?.ok_or_else(|| no_frame(path, next_ms))?;
        let now_ms = frame.time_ms();
        notify(watch, now_ms.min(last_ms), last_ms, path)?;
        if now_ms > next_ms {
            return Err(no_frame(path, next_ms));
        }
        for at in wanted.remove(&now_ms).unwrap_or_default() {
            crops[at] = crop(&frame, &recrop.faces[at], recrop)?;
        }
    }
    Ok(crops)
}

fn crop(frame: &VideoFrame, seen: &SeenFace, recrop: &Recrop) -> Result<Picture, Failure> {
    let crop = views::crop(frame, &seen.face, recrop.style)?;
    Ok(Picture { jpeg: views::jpeg(&crop, recrop.jpeg_quality)? })
}

fn no_frame(path: &Path, t_ms: i64) -> Failure {
    let detail = format!("{} has no frame at {t_ms} ms, where a face was found", path.display());
    Failure::rejected(Reason::SourceGone, detail)
        .with_hint("the file is another one than when it was looked at")
}

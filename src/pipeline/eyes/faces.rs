//! The faces of a video as upright crops, for a net that is asked about them: follows the faces, then decodes once more
//! and keeps a few looks of each. Knows no net.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::inspection::{FollowedFace, Look};
use super::{DECODER_THREADS, Watch, scan_video, tell};
use crate::config::ClipRecipe;
use crate::face::Detector;
use crate::face::align::aligned;
use crate::failure::Failure;
use crate::media::Decoder;
use crate::types::{Face, Scan, SeenFace, Track};

/// Looks of one face that are kept; more tell little and take memory.
const LOOKS: usize = 16;

/// Every face that is followed through a video, by start, with at most `LOOKS` crops `side_px` wide and high, evenly
/// spread over its time.
///
/// # Errors
/// When the file does not decode, the detector fails, or the watcher stops the work.
pub fn faces_of_video(
    path: &Path,
    recipe: &ClipRecipe,
    side_px: u32,
    detector: &mut dyn Detector,
    watch: &mut dyn Watch,
) -> Result<Vec<FollowedFace>, Failure> {
    let scan = scan_video(path, recipe, detector, None, watch)?;
    let mut wanted: BTreeMap<i64, Vec<(usize, Face)>> = BTreeMap::new();
    for (at, track) in scan.tracks.iter().enumerate() {
        for seen in spread(&track.faces) {
            wanted.entry(seen.t_ms).or_default().push((at, seen.face));
        }
    }
    let mut faces: Vec<FollowedFace> = scan.tracks.iter().map(without_looks).collect();
    take_looks(path, &scan, wanted, side_px, (&mut faces, watch))?;
    faces.retain(|face| !face.looks.is_empty());
    Ok(faces)
}

fn take_looks(
    path: &Path,
    scan: &Scan,
    mut wanted: BTreeMap<i64, Vec<(usize, Face)>>,
    side_px: u32,
    (faces, watch): (&mut [FollowedFace], &mut dyn Watch),
) -> Result<(), Failure> {
    let mut decoder = Decoder::open(path, DECODER_THREADS)?;
    while let Some(frame) = decoder.next_frame()?.filter(|_| !wanted.is_empty()) {
        let t_ms = frame.time_ms();
        tell(watch, scan.duration_ms + t_ms, 2 * scan.duration_ms, path)?;
        let Some(here) = wanted.remove(&t_ms) else { continue };
        let picture = frame.picture()?;
        for (at, face) in here {
            let rgb = aligned(&picture, &face, side_px).into_raw();
            faces[at].looks.push(Look { t_s: t_ms as f64 / 1_000.0, face_box: face.face_box, rgb });
        }
    }
    Ok(())
}

fn without_looks(track: &Track) -> FollowedFace {
    let seconds = |ms: i64| ms as f64 / 1_000.0;
    FollowedFace {
        start_s: seconds(track.span.start_ms),
        end_s: seconds(track.span.end_ms),
        looks: Vec::new(),
    }
}

fn spread(faces: &[SeenFace]) -> Vec<SeenFace> {
    let count = faces.len().min(LOOKS);
    (0..count).map(|look| faces[(2 * look + 1) * faces.len() / (2 * count)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FaceBox;

    #[test]
    fn looks_are_spread_over_the_whole_time_and_never_repeat() {
        let face_box = FaceBox { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };
        let face = Face { face_box, landmarks: [[0.0; 2]; 5], detector_score: 1.0 };
        for count in [1, 5, 16, 17, 100] {
            let faces: Vec<SeenFace> = (0..count).map(|t_ms| SeenFace { t_ms, face }).collect();
            let mut times: Vec<i64> = spread(&faces).iter().map(|seen| seen.t_ms).collect();
            times.dedup();
            assert_eq!(times.len() as i64, count.min(16));
            assert!(times[0] * 32 <= count && (count - 1 - times.last().unwrap()) * 32 <= count, "{times:?}");
        }
    }
}

//! The faces of a video as upright crops, for a net that classifies them: follows the faces, then decodes once more and
//! crops some looks of each. A face is handed over as soon as its crops are made, so that memory stays bounded.

use std::collections::BTreeMap;

use super::super::inspection::{FaceCrop, FollowedFace};
use super::{DECODER_THREADS, Watch, notify, scan_video};
use crate::face::Detector;
use crate::face::align::aligned;
use crate::failure::Failure;
use crate::media::Decoder;
use crate::pipeline::cpu::FacesTask;
use crate::types::{Face, Scan, SeenFace, Track};

/// At most this many crops of one face: more take memory and hardly change their mean.
const MAX_CROPS: usize = 16;

/// Faces to crop, each with the index of its track, by the time of their frame.
type FacesByTime = BTreeMap<i64, Vec<(usize, Face)>>;

/// A watcher that also takes the faces of a video.
pub trait FaceSink: Watch {
    /// One followed face, with all its crops.
    fn face(&mut self, face: FollowedFace);
}

/// Follows every face of a video, and makes at most `MAX_CROPS` crops of each, spread evenly over the looks at it. A face
/// is handed over when its last crop is made.
///
/// # Errors
/// When the file does not decode, the detector fails, or the watcher stops the work.
pub fn faces_of_video(
    task: &FacesTask,
    detector: &mut dyn Detector,
    sink: &mut dyn FaceSink,
) -> Result<(), Failure> {
    let scan = scan_video(&task.path, &task.recipe, detector, None, sink)?;
    let mut wanted = FacesByTime::new();
    for (at, track) in scan.tracks.iter().enumerate() {
        for seen in spread(&track.faces) {
            wanted.entry(seen.t_ms).or_default().push((at, seen.face));
        }
    }
    let mut unfinished: Vec<FollowedFace> = scan.tracks.iter().enumerate().map(without_crops).collect();
    crop_all(task, &scan, wanted, &mut unfinished, sink)?;
    // Where the video has no frame at a time, a crop is missing.
    unfinished.into_iter().filter(|face| !face.crops.is_empty()).for_each(|face| sink.face(face));
    Ok(())
}

/// Decodes the video and crops the wanted faces. `unfinished` has a face for each track: one whose crops are complete
/// goes to the sink, and keeps none of them.
fn crop_all(
    task: &FacesTask,
    scan: &Scan,
    mut wanted: FacesByTime,
    unfinished: &mut [FollowedFace],
    sink: &mut dyn FaceSink,
) -> Result<(), Failure> {
    let mut decoder = Decoder::open(&task.path, DECODER_THREADS)?;
    while let Some(frame) = decoder.next_frame()?.filter(|_| !wanted.is_empty()) {
        let t_ms = frame.time_ms();
        notify(sink, scan.duration_ms + t_ms, 2 * scan.duration_ms, &task.path)?;
        let Some(here) = wanted.remove(&t_ms) else { continue };
        let picture = frame.picture()?;
        for (at, face) in here {
            let rgb = aligned(&picture, &face, task.side_px).into_raw();
            let followed = &mut unfinished[at];
            followed.crops.push(FaceCrop { t_s: t_ms as f64 / 1_000.0, face_box: face.face_box, rgb });
            if followed.crops.len() == crop_count(&scan.tracks[at].faces) {
                sink.face(FollowedFace { crops: std::mem::take(&mut followed.crops), ..*followed });
            }
        }
    }
    Ok(())
}

fn without_crops((at, track): (usize, &Track)) -> FollowedFace {
    let seconds = |ms: i64| ms as f64 / 1_000.0;
    FollowedFace {
        track: at,
        start_s: seconds(track.span.start_ms),
        end_s: seconds(track.span.end_ms),
        crops: Vec::new(),
    }
}

fn crop_count(faces: &[SeenFace]) -> usize {
    faces.len().min(MAX_CROPS)
}

/// At most `MAX_CROPS` of a track's faces, evenly spread.
fn spread(faces: &[SeenFace]) -> Vec<SeenFace> {
    let count = crop_count(faces);
    (0..count).map(|at| faces[(2 * at + 1) * faces.len() / (2 * count)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FaceBox;

    #[test]
    fn the_cropped_faces_are_spread_over_the_whole_track_and_never_repeat() {
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

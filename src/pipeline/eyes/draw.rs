//! Draws boxes, landmarks and scores over pictures, to show people what the detector found.

use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};

use super::{DECODER_THREADS, Watch, notify};
use crate::failure::{Failure, Reason};
use crate::media::{ClipWriter, Decoder};
use crate::types::{Face, FaceBox, Scan, Track};

/// The colours of tracks or faces, in turn.
const COLOURS: [[u8; 3]; 6] =
    [[80, 255, 80], [255, 190, 40], [70, 200, 255], [255, 90, 200], [255, 255, 90], [170, 130, 255]];

/// Draws one face's box, its landmarks, and under the box a bar as long as its score.
pub(super) fn draw_face(picture: &mut RgbImage, face: &Face, colour: usize) {
    let colour = Rgb(COLOURS[colour % COLOURS.len()]);
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let line = (width.min(height) / 240.0).clamp(1.0, 8.0).round();
    let FaceBox { x, y, width: across, height: down } = face.face_box;
    let (left, top, right, bottom) = (x * width, y * height, (x + across) * width, (y + down) * height);
    fill(picture, [left, top, right, top + line], colour);
    fill(picture, [left, bottom - line, right, bottom], colour);
    fill(picture, [left, top, left + line, bottom], colour);
    fill(picture, [right - line, top, right, bottom], colour);
    let bar = bottom + 2.0 * line;
    fill(picture, [left, bar, left + (right - left) * face.detector_score, bar + line], colour);
    for [x, y] in face.landmarks.map(|[x, y]| [x * width, y * height]) {
        fill(picture, [x - line, y - line, x + line, y + line], colour);
    }
}

/// Encodes the whole video again with every track drawn; the watcher sees this as the second half of the work.
pub(super) fn draw_video(
    path: &Path,
    scan: &Scan,
    drawing: &Path,
    watch: &mut dyn Watch,
) -> Result<(), Failure> {
    let mut decoder = Decoder::open(path, DECODER_THREADS)?;
    let frame_rate = decoder.probe().frame_rate.clamp(1.0, 240.0);
    let mut writer = ClipWriter::create(drawing, scan.width, scan.height, frame_rate)?;
    while let Some(frame) = decoder.next_frame()? {
        let t_ms = frame.time_ms();
        notify(watch, scan.duration_ms + t_ms, 2 * scan.duration_ms, path)?;
        writer.push(&drawn(frame.picture()?, scan, t_ms), t_ms)?;
    }
    writer.finish()?;
    Ok(())
}

/// Writes the look with the most faces (the earliest of several) as a picture; without faces, the first frame.
pub(super) fn draw_frame(
    path: &Path,
    scan: &Scan,
    drawing: &Path,
    watch: &mut dyn Watch,
) -> Result<(), Failure> {
    let times = scan.tracks.iter().flat_map(|track| track.faces.iter().map(|seen| seen.t_ms));
    let count = |t_ms: i64| scan.tracks.iter().filter(|track| track.span.contains(t_ms)).count();
    let best_ms = times.max_by_key(|t_ms| (count(*t_ms), std::cmp::Reverse(*t_ms))).unwrap_or(0);
    let mut decoder = Decoder::open(path, DECODER_THREADS)?;
    decoder.seek(best_ms)?;
    while let Some(frame) = decoder.next_frame()? {
        notify(watch, scan.duration_ms + frame.time_ms(), 2 * scan.duration_ms, path)?;
        if frame.time_ms() >= best_ms {
            return save(&drawn(frame.picture()?, scan, frame.time_ms()), drawing);
        }
    }
    Err(Failure::bug(format!("{} has no frame at {best_ms} ms", path.display())))
}

/// Writes a PNG file.
pub(super) fn save(picture: &RgbImage, path: &Path) -> Result<(), Failure> {
    let refuse =
        |error| Failure::transient(Reason::Disk, format!("cannot write {}: {error}", path.display()));
    picture.save_with_format(path, ImageFormat::Png).map_err(refuse)
}

fn drawn(mut picture: RgbImage, scan: &Scan, t_ms: i64) -> RgbImage {
    for (at, track) in scan.tracks.iter().enumerate().filter(|(_, track)| track.span.contains(t_ms)) {
        if let Some(face) = face_at(track, t_ms) {
            draw_face(&mut picture, &face, at);
        }
    }
    picture
}

/// The face at a time between two looks, interpolated linearly.
fn face_at(track: &Track, t_ms: i64) -> Option<Face> {
    let after = track.faces.partition_point(|seen| seen.t_ms <= t_ms);
    let before = track.faces.get(after.saturating_sub(1))?;
    let Some(next) = track.faces.get(after) else { return Some(before.face) };
    let share = (t_ms - before.t_ms) as f32 / (next.t_ms - before.t_ms).max(1) as f32;
    let mix = |a: f32, b: f32| a * (1.0 - share) + b * share;
    let (a, b) = (before.face, next.face);
    Some(Face {
        face_box: FaceBox {
            x: mix(a.face_box.x, b.face_box.x),
            y: mix(a.face_box.y, b.face_box.y),
            width: mix(a.face_box.width, b.face_box.width),
            height: mix(a.face_box.height, b.face_box.height),
        },
        landmarks: std::array::from_fn(|at| {
            [0, 1].map(|axis| mix(a.landmarks[at][axis], b.landmarks[at][axis]))
        }),
        detector_score: a.detector_score,
    })
}

/// Fills a rectangle (left, top, right, bottom, in pixels), clipped to the picture.
fn fill(picture: &mut RgbImage, [left, top, right, bottom]: [f32; 4], colour: Rgb<u8>) {
    let inside = |value: f32, length: u32| value.round().clamp(0.0, length as f32) as u32;
    let (width, height) = picture.dimensions();
    for y in inside(top, height)..inside(bottom, height) {
        for x in inside(left, width)..inside(right, width) {
            picture.put_pixel(x, y, colour);
        }
    }
}

//! What is detected in one picture or video, without a catalog: for tuning thresholds and judging results.

use std::io;
use std::path::Path;

use super::super::inspection::{
    FaceSeen, InspectOptions, Inspection, ShotSeen, TimedFace, TrackSeen, is_picture, read_picture,
};
use super::draw;
use super::{Watch, scan_video};
use crate::config::ClipRecipe;
use crate::face::Detector;
use crate::failure::{Failure, Reason};
use crate::files::Part;
use crate::types::{Face, Landmarks, Scan, Span, Track};

/// Inspects one picture or video. `recipe` is that of [`InspectOptions::recipe`], and the detector is made for it.
///
/// # Errors
/// When the file is neither, does not decode, the drawing cannot be written, or the watcher stops the work.
pub fn inspect_file(
    path: &Path,
    options: &InspectOptions,
    recipe: &ClipRecipe,
    detector: &mut dyn Detector,
    watch: &mut dyn Watch,
) -> Result<Inspection, Failure> {
    if is_picture(path) {
        return inspect_picture(path, options, detector);
    }
    let mut scan = scan_video(path, recipe, detector, None, watch)?;
    scan.tracks.retain(|track| track.span.length_ms() as f64 >= options.min_seconds * 1_000.0);
    if let Some(drawing) = &options.draw {
        match extension(drawing).as_str() {
            "mp4" => write_whole(drawing, |part| draw::draw_video(path, &scan, part, watch))?,
            "png" => write_whole(drawing, |part| draw::draw_frame(path, &scan, part, watch))?,
            _ => return Err(no_drawing(drawing)),
        }
    }
    Ok(of_scan(path, &scan))
}

fn inspect_picture(
    path: &Path,
    options: &InspectOptions,
    detector: &mut dyn Detector,
) -> Result<Inspection, Failure> {
    let mut picture = read_picture(path)?;
    let (width, height) = picture.dimensions();
    let faces = detector.detect(std::slice::from_ref(&picture))?.pop().unwrap_or_default();
    if let Some(drawing) = &options.draw {
        if extension(drawing) != "png" {
            return Err(no_drawing(drawing));
        }
        for (at, face) in faces.iter().enumerate() {
            draw::draw_face(&mut picture, face, at);
        }
        write_whole(drawing, |part| draw::save(&picture, part))?;
    }
    let seen = |face: &Face| {
        let (face_box, landmarks, score) = face_fields(face);
        FaceSeen { face_box, landmarks, score }
    };
    let faces = faces.iter().map(seen).collect();
    Ok(Inspection::Image { file: path.display().to_string(), width, height, faces })
}

/// Has `make` write a part file beside the drawing, then moves it into place. On failure an older drawing stays.
fn write_whole(drawing: &Path, make: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::unwritable(drawing, &error);
    let part = Part::of(drawing).map_err(failed)?;
    make(part.path())?;
    part.place().map_err(failed)
}

fn of_scan(path: &Path, scan: &Scan) -> Inspection {
    let shot = |span: &Span| ShotSeen { start_s: seconds(span.start_ms), end_s: seconds(span.end_ms) };
    Inspection::Video {
        file: path.display().to_string(),
        width: scan.width,
        height: scan.height,
        duration_s: seconds(scan.duration_ms),
        shots: scan.shots.iter().map(shot).collect(),
        tracks: scan.tracks.iter().map(of_track).collect(),
    }
}

fn of_track(track: &Track) -> TrackSeen {
    let faces = track.faces.iter().map(|seen| {
        let (face_box, landmarks, score) = face_fields(&seen.face);
        TimedFace { t_s: seconds(seen.t_ms), face_box, landmarks, score }
    });
    TrackSeen {
        shot: track.shot,
        start_s: seconds(track.span.start_ms),
        end_s: seconds(track.span.end_ms),
        faces: faces.collect(),
    }
}

fn face_fields(face: &Face) -> ([f32; 4], Landmarks, f32) {
    let face_box = face.face_box;
    ([face_box.x, face_box.y, face_box.width, face_box.height], face.landmarks, face.detector_score)
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn no_drawing(drawing: &Path) -> Failure {
    Failure::permanent(Reason::Usage, format!("cannot draw into {}", drawing.display()))
        .with_hint("name a .png file, or for videos a .mp4 file")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use image::RgbImage;

    use super::*;
    use crate::face::fake_detector::FakeDetector;
    use crate::pipeline::eyes::Unwatched;

    fn picture(folder: &Path) -> PathBuf {
        let path = folder.join("picture.png");
        let hit = |x, y| (20..60).contains(&x) && (10..50).contains(&y);
        let picture =
            RgbImage::from_fn(100, 80, |x, y| image::Rgb(if hit(x, y) { [255, 9, 9] } else { [9; 3] }));
        picture.save(&path).unwrap();
        path
    }

    #[test]
    fn a_picture_gives_the_documented_json_object() {
        let folder = tempfile::tempdir().unwrap();
        let path = picture(folder.path());
        let options =
            InspectOptions { draw: Some(folder.path().join("drawn.png")), ..InspectOptions::default() };
        let recipe = options.recipe(&path, &ClipRecipe::default());
        assert_eq!(recipe.min_face_px, 20.0);
        let seen =
            inspect_file(&path, &options, &recipe, &mut FakeDetector::default(), &mut Unwatched).unwrap();
        let json = serde_json::to_value(&seen).unwrap();
        assert_eq!(
            (&json["kind"], &json["width"], &json["height"]),
            (&"image".into(), &100.into(), &80.into())
        );
        assert_eq!(json["file"], path.display().to_string());
        assert_eq!(json["faces"][0]["box"].as_array().unwrap().len(), 4);
        assert_eq!(json["faces"][0]["landmarks"].as_array().unwrap().len(), 5);
        assert!(json["faces"][0]["score"].as_f64().unwrap() > 0.9);
        let drawn = image::open(folder.path().join("drawn.png")).unwrap().to_rgb8();
        assert_ne!(drawn, image::open(&path).unwrap().to_rgb8());
    }

    #[test]
    fn a_drawing_that_fails_leaves_the_older_one_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let drawing = folder.path().join("drawn.png");
        std::fs::write(&drawing, "older").unwrap();
        let failed = write_whole(&drawing, |part| {
            std::fs::write(part, "half").unwrap();
            Err(Failure::bug("the pen broke"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(&drawing).unwrap(), "older");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a part is left behind");
        let nowhere = write_whole(&folder.path().join("none/drawn.png"), |_| Ok(())).unwrap_err();
        assert_eq!(nowhere.reason, Reason::Usage);
    }

    #[test]
    fn a_low_score_lowers_all_three_thresholds_and_a_high_one_raises_only_the_last() {
        let thresholds = |score| {
            let options = InspectOptions { min_score: Some(score), ..InspectOptions::default() };
            options.recipe(Path::new("film.mp4"), &ClipRecipe::default()).detector_thresholds
        };
        assert_eq!(thresholds(0.3), [0.3, 0.3, 0.3]);
        assert_eq!(thresholds(0.95), [0.6, 0.7, 0.95]);
    }

    #[test]
    fn a_text_file_is_not_a_video() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.mp4");
        std::fs::write(&path, "not a video").unwrap();
        let options = InspectOptions::default();
        let recipe = ClipRecipe::default();
        let failure = inspect_file(&path, &options, &recipe, &mut FakeDetector::default(), &mut Unwatched);
        assert_eq!(failure.unwrap_err().reason, Reason::NotAVideo);
    }
}

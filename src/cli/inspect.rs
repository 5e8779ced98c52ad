//! `webemotion inspect`: what is detected in pictures and videos, without a catalog.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::clock::Stop;
use crate::config::Hwaccel;
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::inspection::{FaceSeen, InspectOptions, Inspection, TrackSeen};
use crate::progress::Event;
use crate::report::plain;

use super::{Global, event, say, session};

/// Flags of `inspect`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  webemotion inspect film.mp4 --min-seconds 5\n  webemotion inspect *.jpg --json\n  \
    webemotion inspect film.mp4 --draw seen.mp4"
)]
pub(crate) struct InspectArgs {
    /// Pictures (JPEG, PNG, WebP, BMP, TIFF) and videos
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Smallest face, pixels of the decoded picture [default: 20 for pictures, the recipe's for videos]
    #[arg(long, value_name = "PX", value_parser = min_face)]
    pub(crate) min_face: Option<f32>,
    /// Least detector score, 0 to 1 [default: the stock thresholds 0.6, 0.7, 0.7 of the three nets]
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub(crate) min_score: Option<f32>,
    /// Leave shorter tracks out
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    pub(crate) min_seconds: f64,
    /// Draw what was found into a .png, or for a video into a .mp4; takes one FILE
    #[arg(long, value_name = "OUT")]
    pub(crate) draw: Option<PathBuf>,
    /// What decodes videos: the processor, or an NVIDIA card where there is one and it takes the film [setting:
    /// workers.hwaccel]
    #[arg(long, value_enum)]
    hwaccel: Option<Hwaccel>,
}

impl InspectArgs {
    /// The options for each file.
    pub(crate) fn options(&self) -> Result<InspectOptions, Failure> {
        if self.draw.is_some() && self.files.len() > 1 {
            let failure = Failure::permanent(Reason::Usage, "--draw takes one file at a time");
            return Err(failure.with_hint("give one FILE, or leave --draw out"));
        }
        let is_input = |drawing: &&PathBuf| self.files.iter().any(|file| is_same_file(drawing, file));
        if let Some(drawing) = self.draw.as_ref().filter(is_input) {
            let detail = format!("--draw {} would take the place of what is looked at", drawing.display());
            return Err(Failure::permanent(Reason::Usage, detail).with_hint("draw into another file"));
        }
        Ok(InspectOptions {
            min_face_px: self.min_face,
            min_score: self.min_score,
            min_seconds: self.min_seconds,
            draw: self.draw.clone(),
        })
    }
}

/// Has a worker inspect each file. With several files, one that fails is reported and the others go on.
pub(crate) async fn run(args: InspectArgs, global: &Global) -> anyhow::Result<Exit> {
    let (mut config, options) = (session::load_config(global)?, args.options()?);
    config.workers.hwaccel = args.hwaccel.unwrap_or(config.workers.hwaccel);
    config.tools.find_mtcnn()?;
    let stop = Stop::default();
    session::listen_for_signals(&stop);
    let cpu = super::workers(&config, 1)?;
    let reporter = session::reporter(global);
    let mut exit = Exit::Done;
    for path in &args.files {
        if stop.is_asked() {
            return Ok(Exit::Interrupted);
        }
        let inspected = match is_file(path) {
            Ok(()) => cpu.inspect(path.clone(), options.clone(), config.clips.clone(), &stop).await,
            Err(failure) => Err(failure),
        };
        match inspected {
            Ok(inspection) => {
                let output = Output { inspection: &inspection, drawn: args.draw.as_deref() };
                output.say(global.json)?;
            }
            Err(failure) if args.files.len() == 1 => return Err(failure.into()),
            Err(failure) => {
                let text = plain(&format!("{}: {failure}", path.display()));
                reporter.report(&Event::Said { text });
                exit = Exit::SomeDead;
            }
        }
    }
    Ok(exit)
}

/// The output for one file; serialises to the object of `--json`.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    inspection: &'a Inspection,
    /// Where it was drawn.
    drawn: Option<&'a Path>,
}

impl Output<'_> {
    fn say(&self, json: bool) -> Result<(), Failure> {
        if json {
            say(event("inspected", self)?);
            return Ok(());
        }
        say(describe(self.inspection));
        if let Some(drawing) = self.drawn {
            say(format_args!("drawn: {}", drawing.display()));
        }
        Ok(())
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Checks that a path names a file, before a worker is started for it.
fn is_file(path: &Path) -> Result<(), Failure> {
    if path.to_str().is_none() {
        // Tasks and results carry paths as text.
        let detail = format!("the name of {} is not UTF-8", path.display());
        return Err(
            Failure::permanent(Reason::Usage, detail).with_hint("rename it, or link it under another name")
        );
    }
    let problem = match path.metadata() {
        Ok(found) if !found.is_dir() => return Ok(()),
        Ok(_) => "is a folder".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    let failure = Failure::permanent(Reason::Usage, format!("{} {problem}", path.display()));
    Err(failure.with_hint("name pictures and videos, as in `webemotion inspect DIR/*.jpg`"))
}

/// The output without `--json`: a few lines.
pub(crate) fn describe(inspection: &Inspection) -> String {
    match inspection {
        Inspection::Image { file, width, height, faces } => {
            let lines: String =
                faces.iter().map(|face| format!("\n  {}", of_face(face, *width, *height))).collect();
            let file = plain(file);
            format!("{file}: picture, {width}×{height}, faces: {}{lines}", faces.len())
        }
        Inspection::Video { file, width, height, duration_s, shots, tracks } => {
            let lines: String = tracks.iter().map(|track| format!("\n  {}", of_track(track))).collect();
            let (file, counts) = (plain(file), format!("shots: {}, tracks: {}", shots.len(), tracks.len()));
            format!("{file}: video, {width}×{height}, {duration_s:.2} s, {counts}{lines}")
        }
    }
}

fn of_face(face: &FaceSeen, width: u32, height: u32) -> String {
    let [x, y, across, down] = face.face_box;
    let (width, height) = (width as f32, height as f32);
    let (left, top) = (x * width, y * height);
    format!("{:.0}×{:.0} px at {left:.0}, {top:.0}, score {:.3}", across * width, down * height, face.score)
}

fn of_track(track: &TrackSeen) -> String {
    let seconds = track.end_s - track.start_s;
    let lowest = track.faces.iter().map(|face| face.score).fold(1.0, f32::min);
    let (start_s, end_s, shot, looks) = (track.start_s, track.end_s, track.shot + 1, track.faces.len());
    format!(
        "{start_s:.2} to {end_s:.2} s ({seconds:.2} s), shot {shot}, seen {looks} times, lowest score {lowest:.3}"
    )
}

fn min_face(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(px) if (4.0..=10_000.0).contains(&px) => Ok(px),
        _ => Err("must be a number of pixels from 4 to 10000".to_owned()),
    }
}

fn score(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(score) if (0.0..=1.0).contains(&score) => Ok(score),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => Err("must be a number of seconds, 0 or more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(files: &[&Path], draw: &Path) -> InspectArgs {
        InspectArgs {
            files: files.iter().map(|path| path.to_path_buf()).collect(),
            min_face: None,
            min_score: None,
            min_seconds: 0.0,
            draw: Some(draw.to_owned()),
            hwaccel: None,
        }
    }

    #[test]
    fn an_input_file_is_not_drawn_over() {
        let folder = tempfile::tempdir().unwrap();
        let (film, link) = (folder.path().join("film.mp4"), folder.path().join("link.mp4"));
        std::fs::write(&film, "a film").unwrap();
        std::os::unix::fs::symlink(&film, &link).unwrap();
        let roundabout = folder.path().join(".").join("film.mp4");
        for drawing in [&film, &link, &roundabout] {
            let refused = args(&[&film], drawing).options().unwrap_err();
            assert_eq!(refused.reason, Reason::Usage, "{}", drawing.display());
        }
        let options = args(&[&film], &folder.path().join("seen.mp4")).options().unwrap();
        assert_eq!(options.draw, Some(folder.path().join("seen.mp4")));
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_refused_before_a_worker_starts() {
        use std::os::unix::ffi::OsStrExt;
        let name = Path::new(std::ffi::OsStr::from_bytes(b"/nowhere/fa\xe9.jpg"));
        let refused = is_file(name).unwrap_err();
        assert!(refused.reason == Reason::Usage && refused.detail.contains("not UTF-8"), "{refused}");
    }

    #[test]
    fn shots_are_counted_from_one_as_in_explain() {
        let track = TrackSeen { shot: 0, start_s: 0.0, end_s: 6.0, faces: vec![] };
        assert!(of_track(&track).contains("shot 1,"));
    }

    #[test]
    fn min_seconds_takes_finite_numbers_from_zero_on() {
        assert_eq!(seconds("2.5"), Ok(2.5));
        for wrong in ["nan", "inf", "-1", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn control_characters_in_a_file_name_do_not_reach_the_terminal() {
        let file = || "a\u{1b}[2J.mp4".to_owned();
        let image = Inspection::Image { file: file(), width: 4, height: 3, faces: vec![] };
        let (shots, tracks) = (vec![], vec![]);
        let video = Inspection::Video { file: file(), width: 4, height: 3, duration_s: 1.0, shots, tracks };
        for inspection in [image, video] {
            assert!(describe(&inspection).starts_with("a?[2J.mp4: "), "{inspection:?}");
        }
    }

    #[test]
    fn a_json_line_has_its_event_first_and_the_drawing_last() {
        let face = FaceSeen { face_box: [0.1; 4], landmarks: [[0.5; 2]; 5], score: 0.9 };
        let inspection =
            Inspection::Image { file: "a.png".to_owned(), width: 4, height: 3, faces: vec![face] };
        let output = Output { inspection: &inspection, drawn: Some(Path::new("seen.png")) };
        let line = event("inspected", &output).unwrap();
        assert!(line.starts_with(r#"{"event":"inspected","kind":"image","file":"a.png""#), "{line}");
        assert!(line.contains("0.1,0.1") && line.ends_with(r#""drawn":"seen.png"}"#), "{line}");
    }
}

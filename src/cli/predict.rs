//! `webemotion predict`: a trained net's predictions for the faces in pictures and videos. Pictures are opened in this
//! process, videos only in a worker process.

mod output;

#[cfg(feature = "media")]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::RgbImage;
#[cfg(feature = "media")]
use tokio::runtime::Handle;
#[cfg(feature = "media")]
use tokio::sync::mpsc;

use super::asked_net::NetArgs;
use super::{Global, event, say, session};
use crate::clock::Stop;
use crate::config::{ClipRecipe, Config};
use crate::face::{Detector, DetectorSettings, Mtcnn, align};
use crate::failure::{Exit, Failure, Reason};
#[cfg(feature = "media")]
use crate::pipeline::cpu::{Cpu, FacesTask};
#[cfg(feature = "media")]
use crate::pipeline::inspection::FollowedFace;
use crate::pipeline::inspection::{PICTURE_MIN_FACE_PX, is_picture, read_picture};
use crate::pipeline::local::is_video;
use crate::progress::Event;
use crate::train::predict::Predictor;
use crate::types::{Face, FaceBox};
use crate::words::plural;
use output::{CSV_HEAD, FacePrediction, FilePrediction, Kind};

/// Flags of `predict`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  webemotion predict portrait.jpg talk.mp4\n  \
    webemotion predict pictures/ --run scn-1 --csv > faces.csv\n  \
    webemotion predict crops/ --net best.safetensors --whole --json")]
pub(crate) struct PredictArgs {
    /// Pictures (JPEG, PNG, WebP, BMP, TIFF), videos, and folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    net: NetArgs,
    /// auto, cpu or cuda:N
    #[arg(long, value_parser = crate::cli::asked_net::device_word, default_value = "auto")]
    device: String,
    /// One line for each face, with a head line
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Look for no faces: each picture is a crop, or shows what the net was trained on; no videos then
    #[arg(long)]
    whole: bool,
}

/// Predicts every file. With several files, one that cannot be read is reported and the others go on. Other files in
/// folders are counted and skipped.
pub(crate) async fn run(args: PredictArgs, global: &Global) -> anyhow::Result<Exit> {
    let (global, stop) = (global.clone(), Stop::default());
    session::listen_for_signals(&stop);
    Ok(tokio::task::spawn_blocking(move || predict(&args, &global, &stop)).await??)
}

fn predict(args: &PredictArgs, global: &Global, stop: &Stop) -> Result<Exit, Failure> {
    let found = files(&args.files, !args.whole)?;
    let (net, predictor) = args.net.load(global, &args.device)?;
    let net = net.display().to_string();
    let mut predictor = FilePredictor::new(predictor, &session::load_config(global)?, args.whole, stop)?;
    let reporter = session::reporter(global);
    let mut exit = Exit::Done;
    if args.csv {
        say(CSV_HEAD);
    }
    if let Some(text) = found.passed_over() {
        reporter.report(&Event::Said { text });
    }
    for (path, kind) in &found.files {
        if stop.is_asked() {
            return Ok(Exit::Interrupted);
        }
        match predictor.predict(path, *kind) {
            Ok(file) if global.json => say(event("predicted", &file.with_net(&net))?),
            Ok(file) if args.csv => file.csv_lines().for_each(say),
            Ok(file) => say(file.describe()),
            Err(failure) if found.files.len() == 1 => return Err(failure),
            Err(failure) => {
                reporter.report(&Event::Said { text: format!("{}: {failure}", path.display()) });
                exit = Exit::SomeDead;
            }
        }
    }
    Ok(exit)
}

/// The files to predict, and others that were found with them.
#[derive(Debug)]
struct Found {
    files: Vec<(PathBuf, Kind)>,
    /// Other files in the named folders, without hidden ones.
    others: Vec<PathBuf>,
    /// Whether videos are accepted.
    videos: bool,
}

impl Found {
    /// A line about the other files; `None` without any.
    fn passed_over(&self) -> Option<String> {
        let (first, count) = (self.others.first()?, plural(self.others.len(), "file"));
        let what = if self.videos { "pictures or videos" } else { "pictures" };
        Some(format!(
            "passed over {count}: no {what} that this program reads; the first: {}",
            first.display()
        ))
    }

    fn add(&mut self, path: PathBuf, kind: Option<Kind>) {
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        match kind {
            Some(kind) => self.files.push((path, kind)),
            None if is_hidden => {}
            None => self.others.push(path),
        }
    }
}

/// The named files, and those in named folders, by name. Videos only where `videos` says so and a worker can open them.
fn files(named: &[PathBuf], videos: bool) -> Result<Found, Failure> {
    let videos = videos && cfg!(feature = "media");
    let kind = |path: &Path| {
        if is_picture(path) { Some(Kind::Image) } else { (videos && is_video(path)).then_some(Kind::Video) }
    };
    let mut found = Found { files: Vec::new(), others: Vec::new(), videos };
    for path in named {
        if path.is_dir() {
            let below = files_below(path).map_err(|error| {
                Failure::permanent(Reason::Usage, format!("cannot list {}: {error}", path.display()))
            })?;
            for path in below {
                let kind = kind(&path);
                found.add(path, kind);
            }
        } else if let Some(kind) = kind(path).filter(|_| path.exists()) {
            found.files.push((path.clone(), kind));
        } else {
            return Err(refused(path, videos));
        }
    }
    if found.files.is_empty() {
        let nothing = Failure::permanent(Reason::NothingToDo, "the folders hold no pictures and no videos");
        return Err(match found.passed_over() {
            Some(passed_over) => nothing.with_hint(passed_over),
            None => nothing,
        });
    }
    Ok(found)
}

fn refused(path: &Path, videos: bool) -> Failure {
    let problem = if !path.exists() {
        "is not there"
    } else if videos {
        "is no picture or video that this program reads"
    } else {
        "is no picture that this program reads"
    };
    let hint = if videos {
        "JPEG, PNG, WebP, BMP and TIFF pictures and videos are read"
    } else {
        "pictures are read; videos only without --whole, by a program built with the media feature"
    };
    Failure::permanent(Reason::Usage, format!("{} {problem}", path.display())).with_hint(hint)
}

fn files_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut entries = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<PathBuf>>>()?;
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

fn detector(config: &Config) -> Result<Mtcnn, Failure> {
    let recipe = ClipRecipe { min_face_px: PICTURE_MIN_FACE_PX, ..config.clips.clone() };
    Ok(Mtcnn::load(&config.tools.find_mtcnn()?, &DetectorSettings::of(&recipe, 0))?)
}

/// Finds the faces of a file, crops them like samples, and predicts them.
struct FilePredictor {
    predictor: Predictor,
    /// Side of a crop, pixels.
    side_px: u32,
    /// `None` where the whole picture is predicted.
    detector: Option<Box<dyn Detector>>,
    #[cfg(feature = "media")]
    worker: Worker,
}

/// What a worker process needs to open videos.
#[cfg(feature = "media")]
struct Worker {
    cpu: Cpu,
    recipe: ClipRecipe,
    stop: Stop,
}

impl FilePredictor {
    #[cfg_attr(not(feature = "media"), expect(unused_variables, reason = "only videos are stopped half-way"))]
    fn new(predictor: Predictor, config: &Config, whole: bool, stop: &Stop) -> Result<Self, Failure> {
        let detector: Option<Box<dyn Detector>> =
            if whole { None } else { Some(Box::new(detector(config)?)) };
        Ok(Self {
            predictor,
            side_px: config.clips.sample_side_px,
            detector,
            #[cfg(feature = "media")]
            worker: Worker {
                cpu: super::workers(config, 1)?,
                recipe: config.clips.clone(),
                stop: stop.clone(),
            },
        })
    }

    fn predict(&mut self, path: &Path, kind: Kind) -> Result<FilePrediction, Failure> {
        let faces = match kind {
            Kind::Image => self.faces_of_picture(path)?,
            Kind::Video => self.faces_of_video(path)?,
        };
        Ok(FilePrediction { file: path.display().to_string(), kind, faces })
    }

    fn faces_of_picture(&mut self, path: &Path) -> Result<Vec<FacePrediction>, Failure> {
        let (boxes, crops) = self.crops(read_picture(path)?)?;
        let predictions = self.predictor.predict(&crops)?;
        let classes = &self.predictor.card().classes;
        Ok(boxes
            .into_iter()
            .zip(predictions)
            .map(|(face_box, prediction)| FacePrediction::new(face_box, &prediction, classes))
            .collect())
    }

    /// The boxes of a picture's faces, and their crops.
    fn crops(&mut self, picture: RgbImage) -> Result<(Vec<FaceBox>, Vec<RgbImage>), Failure> {
        let Some(detector) = &mut self.detector else {
            let whole = FaceBox { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };
            return Ok((vec![whole], vec![picture]));
        };
        let faces: Vec<Face> =
            detector.detect(std::slice::from_ref(&picture))?.into_iter().flatten().collect();
        let crops = faces.iter().map(|face| align::aligned(&picture, face, self.side_px)).collect();
        Ok((faces.iter().map(|face| face.face_box).collect(), crops))
    }

    #[cfg(not(feature = "media"))]
    fn faces_of_video(&mut self, path: &Path) -> Result<Vec<FacePrediction>, Failure> {
        Err(refused(path, false))
    }

    /// A worker follows and crops the faces; each gets the mean prediction over its crops. They are predicted as they
    /// come, since the crops of a long video would take gigabytes, and on this thread: a slow net must not make the worker
    /// look silent.
    #[cfg(feature = "media")]
    fn faces_of_video(&mut self, path: &Path) -> Result<Vec<FacePrediction>, Failure> {
        let Worker { cpu, recipe, stop } = &self.worker;
        let task = FacesTask { path: path.to_owned(), recipe: recipe.clone(), side_px: self.side_px };
        let (cpu, stop) = (cpu.clone(), stop.clone());
        let (sender, mut faces) = mpsc::channel(1);
        let following = Handle::current().spawn(async move { cpu.faces(task, &stop, sender).await });
        let mut predicted = BTreeMap::new();
        while let Some(face) = faces.blocking_recv() {
            // Without a receiver the worker is of no more use: this kills it.
            let prediction = self.predict_followed(&face).inspect_err(|_| following.abort())?;
            predicted.extend(prediction.map(|prediction| (face.track, prediction)));
        }
        let followed = Handle::current().block_on(following);
        followed.map_err(|error| Failure::bug(format!("following faces ended early: {error}")))??;
        Ok(predicted.into_values().collect())
    }

    #[cfg(feature = "media")]
    fn predict_followed(&self, face: &FollowedFace) -> Result<Option<FacePrediction>, Failure> {
        let picture = |rgb: &Vec<u8>| RgbImage::from_raw(self.side_px, self.side_px, rgb.clone());
        let crops: Vec<RgbImage> = face.crops.iter().filter_map(|crop| picture(&crop.rgb)).collect();
        let predictions = self.predictor.predict(&crops)?;
        Ok(FacePrediction::followed(face, &predictions, &self.predictor.card().classes))
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::face::fake_detector::FakeDetector;
    use crate::train::recipe::Method;

    fn two_faces(path: &Path) {
        let colour = |x, y| match (x, y) {
            (20..60, 10..50) => [255, 9, 9],
            (80..110, 30..60) => [255, 100, 9],
            _ => [9; 3],
        };
        RgbImage::from_fn(120, 80, |x, y| Rgb(colour(x, y))).save(path).unwrap();
    }

    fn predictor(detector: Option<Box<dyn Detector>>) -> FilePredictor {
        let predictor = Predictor::untrained(Method::Scn, &["anger", "fear, awe"]);
        let config = Config::default();
        let predictor = FilePredictor::new(predictor, &config, true, &Stop::default()).unwrap();
        FilePredictor { side_px: 64, detector, ..predictor }
    }

    #[test]
    fn every_face_of_a_picture_gets_a_class() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.png");
        two_faces(&path);
        let file = predictor(Some(Box::<FakeDetector>::default())).predict(&path, Kind::Image).unwrap();
        assert_eq!(file.faces.len(), 2);
        for face in &file.faces {
            assert!((face.probabilities.values().sum::<f32>() - 1.0).abs() < 1e-5);
            assert_eq!(face.confidence, face.probabilities[&face.class]);
            assert!(face.importance.is_some());
        }
        let json = serde_json::to_value(&file).unwrap();
        assert!((json["faces"][0]["box"][2].as_f64().unwrap() - 40.0 / 120.0).abs() < 1e-6, "{json}");
    }

    #[test]
    fn a_whole_picture_needs_no_face() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grey.png");
        RgbImage::from_pixel(40, 30, Rgb([90; 3])).save(&path).unwrap();
        let none = predictor(Some(Box::<FakeDetector>::default())).predict(&path, Kind::Image).unwrap();
        assert_eq!(none.describe(), format!("{}: faces: 0", path.display()));
        let whole = predictor(None).predict(&path, Kind::Image).unwrap();
        assert_eq!(whole.faces[0].face_box, [0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn other_files_are_skipped_in_folders_and_refused_when_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        let (second, first) = (folder.path().join("b/two.png"), folder.path().join("a.png"));
        two_faces(&second);
        two_faces(&first);
        let (film, words) = (folder.path().join("film.mp4"), folder.path().join("words.txt"));
        std::fs::write(&film, "a worker will see").unwrap();
        std::fs::write(&words, "no picture").unwrap();
        std::fs::write(folder.path().join(".DS_Store"), "hidden").unwrap();
        let found = |videos| files(&[folder.path().to_owned()], videos).unwrap();
        let paths = |found: &Found| found.files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(&found(false)), [first.clone(), second.clone()]);
        let passed_over = "passed over 2 files: no pictures that this program reads; the first: ";
        assert_eq!(found(false).passed_over(), Some(format!("{passed_over}{}", film.display())));
        if cfg!(feature = "media") {
            assert_eq!(paths(&found(true)), [first, second, film.clone()]);
            assert!(found(true).passed_over().unwrap().ends_with("words.txt"));
        }
        let gone = files(&[folder.path().join("gone.mp4")], true).unwrap_err();
        assert!(gone.reason == Reason::Usage && gone.detail.ends_with("is not there"), "{gone}");
        for refused in [files(&[film], false), files(&[words], true)] {
            let failure = refused.unwrap_err();
            assert_eq!(failure.reason, Reason::Usage);
            assert!(failure.hint.unwrap().contains("are read"));
        }
    }
}

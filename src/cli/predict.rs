//! `webemotion predict`: what a trained net says of the faces in pictures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::Serialize;

use super::asked_net::NetArgs;
use super::{Global, say, session};
use crate::clock::Stop;
use crate::config::{ClipRecipe, Config};
use crate::face::{Detector, DetectorSettings, Mtcnn, align};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::inspection::{PICTURE_MIN_FACE_PX, is_picture, read_picture};
use crate::progress::Event;
use crate::train::metrics::Prediction;
use crate::train::predict::Predictor;
use crate::types::{Face, FaceBox};

/// Head of `--csv`; boxes are fractions of the picture.
const CSV_HEAD: &str = "file,left,top,width,height,class,confidence,importance";

/// Flags of `predict`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  webemotion predict portrait.jpg\n  \
    webemotion predict pictures/ --run scn-1 --csv > told.csv\n  \
    webemotion predict crops/ --net best.safetensors --whole --json")]
pub(crate) struct PredictArgs {
    /// Pictures (JPEG, PNG), and folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    net: NetArgs,
    /// One line for each face, with a head line
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Look for no faces: each picture is a crop, or shows what the net was trained on
    #[arg(long)]
    whole: bool,
}

/// What a net says of one picture: a line of `--json`.
#[derive(Debug, PartialEq, Serialize)]
struct PictureTold {
    file: String,
    /// Largest first.
    faces: Vec<FaceTold>,
}

/// What a net says of one face.
#[derive(Debug, PartialEq, Serialize)]
struct FaceTold {
    /// Left, top, width and height in fractions of the picture.
    #[serde(rename = "box")]
    face_box: [f32; 4],
    class: String,
    /// The class's probability, 0 to 1.
    confidence: f32,
    /// 0 to 1; none where the method trains none.
    importance: Option<f32>,
    probabilities: BTreeMap<String, f32>,
}

/// Asks the net about every picture; one that cannot be read is said so and the others go on.
pub(crate) async fn run(args: PredictArgs, global: &Global) -> anyhow::Result<Exit> {
    let (global, stop) = (global.clone(), Stop::default());
    session::listen_for_signals(&stop);
    tokio::task::spawn_blocking(move || predict(&args, &global, &stop)).await?
}

fn predict(args: &PredictArgs, global: &Global, stop: &Stop) -> anyhow::Result<Exit> {
    let pictures = pictures(&args.files)?;
    let (_, predictor) = args.net.load(global)?;
    let config = session::load_config(global)?;
    let mut teller = Teller { predictor, side_px: config.clips.sample_side_px, detector: None };
    if !args.whole {
        teller.detector = Some(Box::new(detector(&config)?));
    }
    let reporter = session::reporter(global);
    let mut exit = Exit::Done;
    if args.csv {
        say(CSV_HEAD);
    }
    for path in &pictures {
        if stop.is_asked() {
            return Ok(Exit::Interrupted);
        }
        match teller.tell(path) {
            Ok(told) if global.json => say(serde_json::to_string(&told)?),
            Ok(told) if args.csv => told.faces.iter().for_each(|face| say(csv_line(&told.file, face))),
            Ok(told) => say(describe(&told)),
            Err(failure) if pictures.len() == 1 => return Err(failure.into()),
            Err(failure) => {
                reporter.report(&Event::Said { text: failure.to_string() });
                exit = Exit::SomeDead;
            }
        }
    }
    Ok(exit)
}

/// The pictures that were named, and those in folders that were named, by name.
fn pictures(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in named {
        if path.is_dir() {
            found.extend(pictures_below(path).map_err(|error| {
                Failure::permanent(Reason::Usage, format!("cannot list {}: {error}", path.display()))
            })?);
        } else if is_picture(path) {
            found.push(path.clone());
        } else {
            let problem =
                if path.exists() { "is no picture that this program reads" } else { "is not there" };
            return Err(Failure::permanent(Reason::Usage, format!("{} {problem}", path.display())).with_hint(
                "JPEG and PNG files can be asked about; cut a video into face crops with `webemotion clips`",
            ));
        }
    }
    if found.is_empty() {
        return Err(Failure::permanent(Reason::NothingToDo, "the folders hold no pictures"));
    }
    Ok(found)
}

fn pictures_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut entries = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<PathBuf>>>()?;
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(pictures_below(&path)?);
        } else if is_picture(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

fn detector(config: &Config) -> Result<Mtcnn, Failure> {
    let recipe = ClipRecipe { min_face_px: PICTURE_MIN_FACE_PX, ..config.clips.clone() };
    Ok(Mtcnn::load(&config.tools.find_mtcnn()?, &DetectorSettings::of(&recipe, 0))?)
}

/// Finds faces, makes them upright as samples are, and asks the net.
struct Teller {
    predictor: Predictor,
    /// Side of an upright crop, pixels.
    side_px: u32,
    /// None where the whole picture is asked about.
    detector: Option<Box<dyn Detector>>,
}

impl Teller {
    fn tell(&mut self, path: &Path) -> Result<PictureTold, Failure> {
        let picture = read_picture(path)?;
        let (boxes, crops) = self.crops(picture)?;
        let told = self.predictor.predict(&crops).map_err(|error| error.failure())?;
        let faces = boxes.into_iter().zip(told).map(|(face_box, told)| self.face(face_box, &told)).collect();
        Ok(PictureTold { file: path.display().to_string(), faces })
    }

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

    fn face(&self, face_box: FaceBox, told: &Prediction) -> FaceTold {
        let (classes, class) = (&self.predictor.card().classes, told.class());
        FaceTold {
            face_box: [face_box.x, face_box.y, face_box.width, face_box.height],
            class: classes[class].clone(),
            confidence: told.probabilities[class],
            importance: told.importance,
            probabilities: classes.iter().cloned().zip(told.probabilities.iter().copied()).collect(),
        }
    }
}

fn csv_line(file: &str, face: &FaceTold) -> String {
    let [left, top, width, height] = face.face_box;
    let importance = face.importance.map_or_else(String::new, |importance| format!("{importance:.4}"));
    format!(
        "{},{left:.5},{top:.5},{width:.5},{height:.5},{},{:.4},{importance}",
        quoted(file),
        quoted(&face.class),
        face.confidence
    )
}

/// A CSV field (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

fn describe(told: &PictureTold) -> String {
    let line = |face: &FaceTold| {
        let importance = face.importance.map_or_else(String::new, |it| format!(", importance {it:.2}"));
        let [left, top, ..] = face.face_box.map(|fraction| 100.0 * fraction);
        let sure = 100.0 * face.confidence;
        format!("\n  {} {sure:.1} %{importance}, at {left:.0} %, {top:.0} %", face.class)
    };
    let lines: String = told.faces.iter().map(line).collect();
    format!("{}: faces: {}{lines}", told.file, told.faces.len())
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

    fn teller(detector: Option<Box<dyn Detector>>) -> Teller {
        let predictor = Predictor::untrained(Method::Scn, &["anger", "fear, awe"]);
        Teller { predictor, side_px: 64, detector }
    }

    #[test]
    fn every_face_of_a_picture_gets_a_class() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.png");
        two_faces(&path);
        let told = teller(Some(Box::<FakeDetector>::default())).tell(&path).unwrap();
        assert_eq!(told.faces.len(), 2);
        for face in &told.faces {
            assert!((face.probabilities.values().sum::<f32>() - 1.0).abs() < 1e-5);
            assert_eq!(face.confidence, face.probabilities[&face.class]);
            assert!(face.importance.is_some());
        }
        let json = serde_json::to_value(&told).unwrap();
        assert!((json["faces"][0]["box"][2].as_f64().unwrap() - 40.0 / 120.0).abs() < 1e-6, "{json}");
    }

    #[test]
    fn a_whole_picture_needs_no_face() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grey.png");
        RgbImage::from_pixel(40, 30, Rgb([90; 3])).save(&path).unwrap();
        let none = teller(Some(Box::<FakeDetector>::default())).tell(&path).unwrap();
        assert_eq!(describe(&none), format!("{}: faces: 0", path.display()));
        let whole = teller(None).tell(&path).unwrap();
        assert_eq!(whole.faces[0].face_box, [0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn folders_are_walked_and_what_is_no_picture_is_refused_only_when_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        let (second, first) = (folder.path().join("b/two.png"), folder.path().join("a.png"));
        two_faces(&second);
        two_faces(&first);
        let film = folder.path().join("film.mp4");
        std::fs::write(&film, "no picture").unwrap();
        assert_eq!(pictures(&[folder.path().to_owned()]).unwrap(), [first, second]);
        let failure = pictures(&[film]).unwrap_err();
        assert_eq!(failure.reason, Reason::Usage);
        assert!(failure.hint.unwrap().contains("webemotion clips"));
    }

    #[test]
    fn csv_fields_with_commas_are_quoted() {
        let face = FaceTold {
            face_box: [0.5, 0.25, 0.125, 0.5],
            class: "fear, awe".to_owned(),
            confidence: 0.75,
            importance: None,
            probabilities: BTreeMap::new(),
        };
        let line = csv_line("a\"b.jpg", &face);
        assert_eq!(line, "\"a\"\"b.jpg\",0.50000,0.25000,0.12500,0.50000,\"fear, awe\",0.7500,");
        let (fields, heads) = (line.replace("fear, awe", ""), CSV_HEAD.matches(',').count());
        assert_eq!(fields.matches(',').count(), heads);
    }
}

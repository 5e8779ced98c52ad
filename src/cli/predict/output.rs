//! The predictions for one file, as JSON, CSV and text.

use std::collections::BTreeMap;

use serde::Serialize;

#[cfg(feature = "media")]
use crate::pipeline::inspection::FollowedFace;
use crate::train::metrics::Prediction;
use crate::types::FaceBox;

/// Header line of `--csv`; boxes are fractions of the picture, times are seconds and empty for pictures.
pub(super) const CSV_HEAD: &str = "file,left,top,width,height,class,confidence,importance,start_s,end_s";

/// Picture or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Image,
    Video,
}

/// The predictions for one file.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct FilePrediction {
    pub(super) file: String,
    pub(super) kind: Kind,
    /// In a picture the largest first, in a video by start.
    pub(super) faces: Vec<FacePrediction>,
}

/// The same with the net's file: a line of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct WithNet<'a> {
    net: &'a str,
    #[serde(flatten)]
    prediction: &'a FilePrediction,
}

/// The prediction for one face.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct FacePrediction {
    /// Left, top, width and height in fractions of the picture; in a video at the face's middle crop.
    #[serde(rename = "box")]
    pub(super) face_box: [f32; 4],
    pub(super) class: String,
    /// The class's probability, 0 to 1; in a video the mean over the face's crops.
    pub(super) confidence: f32,
    /// 0 to 1; `None` where the method trains none.
    pub(super) importance: Option<f32>,
    pub(super) probabilities: BTreeMap<String, f32>,
    /// `None` for a picture.
    #[serde(flatten)]
    pub(super) time: Option<FaceTime>,
}

/// From when to when a face is followed, seconds, and how many crops were classified.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct FaceTime {
    start_s: f64,
    end_s: f64,
    looks: usize,
}

impl FacePrediction {
    pub(super) fn new(face_box: FaceBox, prediction: &Prediction, classes: &[String]) -> Self {
        let class = prediction.class();
        Self {
            face_box: [face_box.x, face_box.y, face_box.width, face_box.height],
            class: classes[class].clone(),
            confidence: prediction.probabilities[class],
            importance: prediction.importance,
            probabilities: classes.iter().cloned().zip(prediction.probabilities.iter().copied()).collect(),
            time: None,
        }
    }

    /// The mean prediction over a followed face's crops; `None` without a crop.
    #[cfg(feature = "media")]
    pub(super) fn followed(
        face: &FollowedFace,
        predictions: &[Prediction],
        classes: &[String],
    ) -> Option<Self> {
        let middle = face.crops.get(face.crops.len() / 2)?;
        let mean = mean(predictions)?;
        let time = FaceTime { start_s: face.start_s, end_s: face.end_s, looks: predictions.len() };
        Some(Self { time: Some(time), ..Self::new(middle.face_box, &mean, classes) })
    }

    fn csv_line(&self, file: &str) -> String {
        let [left, top, width, height] = self.face_box;
        let importance = self.importance.map_or_else(String::new, |importance| format!("{importance:.4}"));
        let [start, end] = match self.time {
            Some(time) => [time.start_s, time.end_s].map(|seconds| format!("{seconds:.3}")),
            None => [String::new(), String::new()],
        };
        format!(
            "{},{left:.5},{top:.5},{width:.5},{height:.5},{},{:.4},{importance},{start},{end}",
            quoted(file),
            quoted(&self.class),
            self.confidence
        )
    }

    fn describe(&self) -> String {
        let importance = self.importance.map_or_else(String::new, |it| format!(", importance {it:.2}"));
        // Adding 0.0 turns -0 into 0: a box may begin slightly outside the picture.
        let [left, top, ..] = self.face_box.map(|fraction| (100.0 * fraction).round() + 0.0);
        let sure = 100.0 * self.confidence;
        let time = self.time.map_or_else(String::new, |time| {
            format!(", {:.2} to {:.2} s ({} looks)", time.start_s, time.end_s, time.looks)
        });
        format!("{} {sure:.1} %{importance}, at {left:.0} %, {top:.0} %{time}", self.class)
    }
}

impl FilePrediction {
    /// With the file of the net.
    pub(super) fn with_net<'a>(&'a self, net: &'a str) -> WithNet<'a> {
        WithNet { net, prediction: self }
    }

    /// A line for each face.
    pub(super) fn csv_lines(&self) -> impl Iterator<Item = String> {
        self.faces.iter().map(|face| face.csv_line(&self.file))
    }

    /// A few lines for people.
    pub(super) fn describe(&self) -> String {
        let lines: String = self.faces.iter().map(|face| format!("\n  {}", face.describe())).collect();
        format!("{}: faces: {}{lines}", self.file, self.faces.len())
    }
}

#[cfg(feature = "media")]
fn mean(predictions: &[Prediction]) -> Option<Prediction> {
    let count = predictions.len() as f32;
    let first = predictions.first()?;
    let of = |class: usize| predictions.iter().map(|one| one.probabilities[class]).sum::<f32>() / count;
    let importances: Option<Vec<f32>> = predictions.iter().map(|one| one.importance).collect();
    Some(Prediction {
        probabilities: (0..first.probabilities.len()).map(of).collect(),
        importance: importances.map(|all| all.iter().sum::<f32>() / count),
    })
}

/// A CSV field (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "media")]
    use crate::pipeline::inspection::FaceCrop;

    #[test]
    fn csv_fields_with_commas_are_quoted() {
        let face = FacePrediction {
            face_box: [0.5, 0.25, 0.125, 0.5],
            class: "fear, awe".to_owned(),
            confidence: 0.75,
            importance: None,
            probabilities: BTreeMap::new(),
            time: None,
        };
        let line = face.csv_line("a\"b.jpg");
        assert_eq!(line, "\"a\"\"b.jpg\",0.50000,0.25000,0.12500,0.50000,\"fear, awe\",0.7500,,,");
        let (fields, heads) = (line.replace("fear, awe", ""), CSV_HEAD.matches(',').count());
        assert_eq!(fields.matches(',').count(), heads);
    }

    #[test]
    fn a_json_line_names_the_net() {
        let file = FilePrediction { file: "a.png".to_owned(), kind: Kind::Image, faces: Vec::new() };
        let line = serde_json::to_value(file.with_net("runs/scn-1/best.safetensors")).unwrap();
        assert_eq!((&line["net"], &line["file"]), (&"runs/scn-1/best.safetensors".into(), &"a.png".into()));
    }

    #[test]
    fn a_face_that_begins_slightly_outside_the_picture_is_shown_at_its_edge() {
        let face = FacePrediction {
            face_box: [-0.002, 0.516, 0.125, 0.5],
            class: "fear".to_owned(),
            confidence: 0.75,
            importance: None,
            probabilities: BTreeMap::new(),
            time: None,
        };
        assert_eq!(face.describe(), "fear 75.0 %, at 0 %, 52 %");
    }

    #[cfg(feature = "media")]
    #[test]
    fn a_followed_face_gets_the_mean_of_its_crops_predictions() {
        let face_box = FaceBox { x: 0.1, y: 0.2, width: 0.3, height: 0.4 };
        let crop = |t_s| FaceCrop { t_s, face_box, rgb: Vec::new() };
        let face = FollowedFace { track: 0, start_s: 1.0, end_s: 3.5, crops: vec![crop(1.0), crop(2.0)] };
        let prediction = |happy: f32, importance| Prediction {
            probabilities: vec![happy, 1.0 - happy],
            importance: Some(importance),
        };
        let classes = ["happiness", "fear"].map(str::to_owned);
        let predictions = [prediction(0.9, 0.5), prediction(0.3, 0.7)];
        let followed = FacePrediction::followed(&face, &predictions, &classes).unwrap();
        assert_eq!(followed.class, "happiness");
        let json = serde_json::to_value(&followed).unwrap();
        let close = |name: &str, expected: f64| (json[name].as_f64().unwrap() - expected).abs() < 1e-6;
        assert!(close("confidence", 0.6) && close("importance", 0.6) && close("end_s", 3.5), "{json}");
        assert_eq!(json["looks"], 2);
        assert!(followed.csv_line("a.mp4").ends_with(",1.000,3.500"));
        assert!(FacePrediction::followed(&face, &[], &classes).is_none());
    }
}

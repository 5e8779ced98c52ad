//! What a net says of one file, as JSON, CSV and text.

use std::collections::BTreeMap;

use serde::Serialize;

#[cfg(feature = "media")]
use crate::pipeline::inspection::FollowedFace;
use crate::train::metrics::Prediction;
use crate::types::FaceBox;

/// Head of `--csv`; boxes are fractions of the picture, times are seconds and empty for pictures.
pub(super) const CSV_HEAD: &str = "file,left,top,width,height,class,confidence,importance,start_s,end_s";

/// What a file shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Image,
    Video,
}

/// What a net says of one file: a line of `--json`.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct FileTold {
    pub(super) file: String,
    pub(super) kind: Kind,
    /// Of a picture the largest first, of a video by start.
    pub(super) faces: Vec<FaceTold>,
}

/// The same with the net that says it.
#[derive(Debug, Serialize)]
pub(super) struct ToldBy<'a> {
    net: &'a str,
    #[serde(flatten)]
    told: &'a FileTold,
}

/// What a net says of one face.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct FaceTold {
    /// Left, top, width and height in fractions of the picture; of a video at the face's middle look.
    #[serde(rename = "box")]
    pub(super) face_box: [f32; 4],
    pub(super) class: String,
    /// The class's probability, 0 to 1; of a video the mean over the face's looks.
    pub(super) confidence: f32,
    /// 0 to 1; none where the method trains none.
    pub(super) importance: Option<f32>,
    pub(super) probabilities: BTreeMap<String, f32>,
    /// How long the face of a video is followed.
    #[serde(flatten)]
    pub(super) time: Option<FaceTime>,
}

/// From when to when a face is followed, seconds, and how often it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct FaceTime {
    start_s: f64,
    end_s: f64,
    looks: usize,
}

impl FaceTold {
    pub(super) fn new(face_box: FaceBox, told: &Prediction, classes: &[String]) -> Self {
        let class = told.class();
        Self {
            face_box: [face_box.x, face_box.y, face_box.width, face_box.height],
            class: classes[class].clone(),
            confidence: told.probabilities[class],
            importance: told.importance,
            probabilities: classes.iter().cloned().zip(told.probabilities.iter().copied()).collect(),
            time: None,
        }
    }

    /// The mean of what is said of a followed face's looks; none without a look.
    #[cfg(feature = "media")]
    pub(super) fn followed(face: &FollowedFace, looks: &[Prediction], classes: &[String]) -> Option<Self> {
        let middle = face.looks.get(face.looks.len() / 2)?;
        let told = mean(looks)?;
        let time = FaceTime { start_s: face.start_s, end_s: face.end_s, looks: looks.len() };
        Some(Self { time: Some(time), ..Self::new(middle.face_box, &told, classes) })
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
        // What begins a little outside of the picture is at 0 %, and not at -0 %.
        let [left, top, ..] = self.face_box.map(|fraction| (100.0 * fraction).round() + 0.0);
        let sure = 100.0 * self.confidence;
        let time = self.time.map_or_else(String::new, |time| {
            format!(", {:.2} to {:.2} s ({} looks)", time.start_s, time.end_s, time.looks)
        });
        format!("{} {sure:.1} %{importance}, at {left:.0} %, {top:.0} %{time}", self.class)
    }
}

impl FileTold {
    /// With the file of the net that says it.
    pub(super) fn by<'a>(&'a self, net: &'a str) -> ToldBy<'a> {
        ToldBy { net, told: self }
    }

    /// A line for each face.
    pub(super) fn csv_lines(&self) -> impl Iterator<Item = String> {
        self.faces.iter().map(|face| face.csv_line(&self.file))
    }

    /// A few lines for a reader.
    pub(super) fn describe(&self) -> String {
        let lines: String = self.faces.iter().map(|face| format!("\n  {}", face.describe())).collect();
        format!("{}: faces: {}{lines}", self.file, self.faces.len())
    }
}

#[cfg(feature = "media")]
fn mean(looks: &[Prediction]) -> Option<Prediction> {
    let count = looks.len() as f32;
    let first = looks.first()?;
    let of = |class: usize| looks.iter().map(|look| look.probabilities[class]).sum::<f32>() / count;
    let importances: Option<Vec<f32>> = looks.iter().map(|look| look.importance).collect();
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
    use crate::pipeline::inspection::Look;

    #[test]
    fn csv_fields_with_commas_are_quoted() {
        let face = FaceTold {
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
    fn a_line_for_programs_names_the_net() {
        let told = FileTold { file: "a.png".to_owned(), kind: Kind::Image, faces: Vec::new() };
        let line = serde_json::to_value(told.by("runs/scn-1/best.safetensors")).unwrap();
        assert_eq!((&line["net"], &line["file"]), (&"runs/scn-1/best.safetensors".into(), &"a.png".into()));
    }

    #[test]
    fn a_face_that_begins_a_little_outside_of_the_picture_is_at_its_edge() {
        let face = FaceTold {
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
    fn of_a_followed_face_the_mean_of_its_looks_is_told() {
        let face_box = FaceBox { x: 0.1, y: 0.2, width: 0.3, height: 0.4 };
        let look = |t_s| Look { t_s, face_box, rgb: Vec::new() };
        let face = FollowedFace { start_s: 1.0, end_s: 3.5, looks: vec![look(1.0), look(2.0)] };
        let prediction = |happy: f32, importance| Prediction {
            probabilities: vec![happy, 1.0 - happy],
            importance: Some(importance),
        };
        let classes = ["happiness", "fear"].map(str::to_owned);
        let told =
            FaceTold::followed(&face, &[prediction(0.9, 0.5), prediction(0.3, 0.7)], &classes).unwrap();
        assert_eq!(told.class, "happiness");
        let json = serde_json::to_value(&told).unwrap();
        let close = |name: &str, expected: f64| (json[name].as_f64().unwrap() - expected).abs() < 1e-6;
        assert!(close("confidence", 0.6) && close("importance", 0.6) && close("end_s", 3.5), "{json}");
        assert_eq!(json["looks"], 2);
        assert!(told.csv_line("a.mp4").ends_with(",1.000,3.500"));
        assert!(FaceTold::followed(&face, &[], &classes).is_none());
    }
}

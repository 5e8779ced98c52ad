//! MTCNN (Zhang et al. 2016) on libtorch: a cascade of three small nets, each refining the boxes of the one before.
//! Gives the results of facenet-pytorch 2.6.0 with the same params. The only file of this room that names tch.

use std::collections::HashMap;
use std::path::Path;

use image::RgbImage;
use tch::{TchError, Tensor};

use super::boxes::{Candidate, Overlap, Region, shifted, shifted_by_proposal, squared, suppress};
use super::detector::{Detector, DetectorSettings, FaceError, Placement, View};
use super::pyramid::{pyramid, windows};
use super::resample::ColumnSums;
use crate::types::{Face, FaceBox};

/// Most crops in one batch of the R- or O-net.
const BATCH: usize = 512;

/// The built-in face detector.
#[derive(Debug)]
pub struct Mtcnn {
    params: HashMap<String, Tensor>,
    settings: DetectorSettings,
}

/// The P-net's output for every window of a batch: probabilities `[n, rows, columns]`, corrections
/// `[n, 4, rows, columns]`.
struct Proposals {
    scores: Vec<f32>,
    shifts: Vec<f32>,
    /// Rows and columns of windows.
    grid: (usize, usize),
}

/// The R- or O-net's output for one crop.
struct NetOutput {
    /// Probability that it shows a face, 0 to 1.
    score: f32,
    /// Correction of the box's corners, in widths and heights of the box.
    shift: [f32; 4],
    /// The landmarks in shares of the box, five x and then five y; 0 from the R-net.
    points: [f32; 10],
}

impl From<TchError> for FaceError {
    fn from(error: TchError) -> Self {
        Self::Net(error.to_string())
    }
}

impl Mtcnn {
    /// Loads params from a safetensors file, with facenet-pytorch's names prefixed by `pnet.`, `rnet.` or `onet.`.
    ///
    /// # Errors
    /// [`FaceError::Params`] if the file is missing or unreadable, or lacks one of the three nets.
    pub fn load(path: &Path, settings: &DetectorSettings) -> Result<Self, FaceError> {
        let refuse = |detail: String| FaceError::Params { path: path.to_owned(), detail };
        if settings.threads > 0 {
            tch::set_num_threads(settings.threads as i32);
        }
        let tensors = Tensor::read_safetensors(path).map_err(|error| refuse(error.to_string()))?;
        let params: HashMap<String, Tensor> =
            tensors.into_iter().map(|(name, tensor)| (name, innermost_channels(tensor))).collect();
        let shapes: [(&str, &[i64]); 3] = [
            ("pnet.conv4_2.weight", &[4, 32, 1, 1]),
            ("rnet.dense4.weight", &[128, 576]),
            ("onet.dense6_3.weight", &[10, 256]),
        ];
        for (name, shape) in shapes {
            match params.get(name).map(Tensor::size) {
                None => return Err(refuse(format!("{name} is missing"))),
                Some(found) if found != shape => {
                    return Err(refuse(format!("{name} is {found:?}, not {shape:?}")));
                }
                Some(_) => {}
            }
        }
        Ok(Self { params, settings: settings.clone() })
    }

    fn param(&self, name: &str) -> Result<&Tensor, FaceError> {
        self.params.get(name).ok_or_else(|| FaceError::Net(format!("params lack {name}")))
    }

    fn conv(&self, name: &str, input: &Tensor) -> Result<Tensor, FaceError> {
        let weight = self.param(&format!("{name}.weight"))?;
        let bias = self.param(&format!("{name}.bias"))?;
        Ok(input.f_conv2d(weight, Some(bias), [1, 1], [0, 0], [1, 1], 1)?)
    }

    fn dense(&self, name: &str, input: &Tensor) -> Result<Tensor, FaceError> {
        let weight = self.param(&format!("{name}.weight"))?;
        Ok(input.f_linear(weight, Some(self.param(&format!("{name}.bias"))?))?)
    }

    fn prelu(&self, name: &str, input: &Tensor) -> Result<Tensor, FaceError> {
        Ok(input.f_prelu(self.param(&format!("{name}.weight"))?)?)
    }

    /// The P-net. Input `[n, 3, h, w]`.
    fn p_net(&self, input: &Tensor) -> Result<Proposals, FaceError> {
        let x = self.prelu("pnet.prelu1", &self.conv("pnet.conv1", input)?)?;
        let x = pool(&x, 2)?;
        let x = self.prelu("pnet.prelu2", &self.conv("pnet.conv2", &x)?)?;
        let x = self.prelu("pnet.prelu3", &self.conv("pnet.conv3", &x)?)?;
        let scores = self.conv("pnet.conv4_1", &x)?.f_softmax(1, None)?.f_select(1, 1)?;
        let shifts = self.conv("pnet.conv4_2", &x)?;
        let size = scores.size();
        let grid = (size[1] as usize, size[2] as usize);
        Ok(Proposals { scores: numbers(&scores)?, shifts: numbers(&shifts)?, grid })
    }

    /// The R-net. Input `[n, 3, 24, 24]`.
    fn r_net(&self, input: &Tensor) -> Result<Vec<NetOutput>, FaceError> {
        let x = pool(&self.prelu("rnet.prelu1", &self.conv("rnet.conv1", input)?)?, 3)?;
        let x = pool(&self.prelu("rnet.prelu2", &self.conv("rnet.conv2", &x)?)?, 3)?;
        let x = self.prelu("rnet.prelu3", &self.conv("rnet.conv3", &x)?)?;
        let x = self.prelu("rnet.prelu4", &self.dense("rnet.dense4", &flat(&x)?)?)?;
        let scores = self.dense("rnet.dense5_1", &x)?.f_softmax(1, None)?;
        net_outputs(&scores, &self.dense("rnet.dense5_2", &x)?, None)
    }

    /// The O-net. Input `[n, 3, 48, 48]`.
    fn o_net(&self, input: &Tensor) -> Result<Vec<NetOutput>, FaceError> {
        let x = pool(&self.prelu("onet.prelu1", &self.conv("onet.conv1", input)?)?, 3)?;
        let x = pool(&self.prelu("onet.prelu2", &self.conv("onet.conv2", &x)?)?, 3)?;
        let x = pool(&self.prelu("onet.prelu3", &self.conv("onet.conv3", &x)?)?, 2)?;
        let x = self.prelu("onet.prelu4", &self.conv("onet.conv4", &x)?)?;
        let x = self.prelu("onet.prelu5", &self.dense("onet.dense5", &flat(&x)?)?)?;
        let scores = self.dense("onet.dense6_1", &x)?.f_softmax(1, None)?;
        let points = self.dense("onet.dense6_3", &x)?;
        net_outputs(&scores, &self.dense("onet.dense6_2", &x)?, Some(&points))
    }

    /// First stage: the windows of every scale that the P-net takes for a face. All pictures are of this size.
    fn propose(&self, pictures: &[ColumnSums], size: (u32, u32)) -> Result<Vec<Candidate>, FaceError> {
        let mut all = Vec::new();
        for scale in pyramid(size, f64::from(self.settings.min_face_px)) {
            let to = ((f64::from(size.0) * scale + 1.0) as u32, (f64::from(size.1) * scale + 1.0) as u32);
            let mut values = Vec::with_capacity(pictures.len() * (to.0 * to.1 * 3) as usize);
            for picture in pictures {
                picture.push_average(&mut values, picture.whole(), to);
            }
            let input = channels_last(&values, pictures.len(), to)?;
            let Proposals { scores, shifts, grid } = self.p_net(&input)?;
            let found = windows(&scores, &shifts, grid, scale as f32, self.settings.thresholds[0]);
            all.extend(suppress(found, 0.5, Overlap::Union));
        }
        let kept = suppress(all, 0.7, Overlap::Union);
        Ok(kept
            .into_iter()
            .map(|c| Candidate { corners: squared(shifted_by_proposal(c.corners, c.shift)), ..c })
            .collect())
    }

    /// Runs the R-net (`side` 24) or O-net (`side` 48) over each candidate's pixels. Candidates outside their picture
    /// are dropped.
    fn classify(
        &self,
        pictures: &impl Pictures,
        candidates: Vec<Candidate>,
        side: u32,
    ) -> Result<Vec<(Candidate, NetOutput)>, FaceError> {
        let region = |c: &Candidate| Region::of(c.corners, pictures.size(c.picture));
        let inside: Vec<(Candidate, Region)> =
            candidates.into_iter().filter_map(|c| Some((c, region(&c)?))).collect();
        let mut classified = Vec::with_capacity(inside.len());
        for batch in inside.chunks(BATCH) {
            let mut values = Vec::with_capacity(batch.len() * (side * side * 3) as usize);
            for (candidate, region) in batch {
                pictures.push_average(&mut values, candidate.picture, *region, side);
            }
            let input = channels_last(&values, batch.len(), (side, side))?;
            let outputs = if side == 24 { self.r_net(&input)? } else { self.o_net(&input)? };
            classified.extend(batch.iter().map(|(candidate, _)| *candidate).zip(outputs));
        }
        Ok(classified)
    }

    /// Second stage: the candidates that the R-net takes for a face, with corrected boxes.
    fn refine(
        &self,
        pictures: &impl Pictures,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<Candidate>, FaceError> {
        let classified = self.classify(pictures, candidates, 24)?.into_iter();
        let passed = classified.filter(|(_, output)| output.score > self.settings.thresholds[1]);
        let better = passed.map(|(c, output)| Candidate { score: output.score, shift: output.shift, ..c });
        let kept = suppress(better.collect(), 0.7, Overlap::Union);
        Ok(kept
            .into_iter()
            .map(|c| Candidate { corners: squared(shifted(c.corners, c.shift)), ..c })
            .collect())
    }

    /// Third stage: the candidates that the O-net takes for a face, with final boxes and landmarks.
    fn finish(
        &self,
        pictures: &impl Pictures,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<Detection>, FaceError> {
        let classified = self.classify(pictures, candidates, 48)?.into_iter();
        let passed = classified.filter(|(_, output)| output.score > self.settings.thresholds[2]);
        Ok(passed.map(|(candidate, output)| Detection::of(candidate, &output)).collect())
    }
}

/// The pictures of a batch, from which crops are taken.
trait Pictures {
    /// Width and height of the picture with this index, pixels.
    fn size(&self, picture: usize) -> (u32, u32);

    /// Appends a region's pixels, resized to `side` × `side`: see [`ColumnSums::push_average`].
    fn push_average(&self, values: &mut Vec<f32>, picture: usize, part: Region, side: u32);
}

/// For many crops of each picture: sums are computed once.
impl Pictures for Vec<ColumnSums> {
    fn size(&self, picture: usize) -> (u32, u32) {
        let Region { right, bottom, .. } = self[picture].whole();
        (right, bottom)
    }

    fn push_average(&self, values: &mut Vec<f32>, picture: usize, part: Region, side: u32) {
        self[picture].push_average(values, part, (side, side));
    }
}

/// For one crop of each picture: only its own pixels are summed.
impl Pictures for Vec<&RgbImage> {
    fn size(&self, picture: usize) -> (u32, u32) {
        self[picture].dimensions()
    }

    fn push_average(&self, values: &mut Vec<f32>, picture: usize, part: Region, side: u32) {
        let sums = ColumnSums::of(self[picture], part);
        sums.push_average(values, sums.whole(), (side, side));
    }
}

/// A face in pixels of one picture of the batch.
struct Detection {
    /// Its final box and score.
    candidate: Candidate,
    points: [[f32; 2]; 5],
}

impl Detection {
    /// The O-net's output for a candidate. Landmarks are relative to the candidate's box before its correction.
    fn of(candidate: Candidate, output: &NetOutput) -> Self {
        let [left, top, right, bottom] = candidate.corners;
        let (width, height) = (right - left + 1.0, bottom - top + 1.0);
        let points = std::array::from_fn(|at| {
            [width * output.points[at] + left - 1.0, height * output.points[at + 5] + top - 1.0]
        });
        let corners = shifted(candidate.corners, output.shift);
        Self { candidate: Candidate { corners, score: output.score, ..candidate }, points }
    }

    /// The face in fractions of the whole picture, of which the batch's picture is a view with this placement.
    fn face(&self, placement: Placement) -> Face {
        let [left, top, right, bottom] = self.candidate.corners;
        let ([x, y], [end_x, end_y]) =
            (placement.to_fractions([left, top]), placement.to_fractions([right, bottom]));
        Face {
            face_box: FaceBox { x, y, width: end_x - x, height: end_y - y },
            landmarks: self.points.map(|point| placement.to_fractions(point)),
            detector_score: self.candidate.score,
        }
    }
}

impl Detector for Mtcnn {
    fn detect(&mut self, pictures: &[RgbImage]) -> Result<Vec<Vec<Face>>, FaceError> {
        let Some(size) = pictures.first().map(RgbImage::dimensions) else { return Ok(Vec::new()) };
        if let Some(other) = pictures.iter().map(RgbImage::dimensions).find(|other| *other != size) {
            return Err(FaceError::MixedSizes { first: size, other });
        }
        let _no_grad = tch::no_grad_guard();
        let of_picture = |picture: &RgbImage| ColumnSums::of(picture, Region::whole(size));
        let sums: Vec<ColumnSums> = pictures.iter().map(of_picture).collect();
        let candidates = self.propose(&sums, size)?;
        let candidates = self.refine(&sums, candidates)?;
        let detections = self.finish(&sums, candidates)?;
        let boxes = detections.iter().map(|detection| detection.candidate).collect();
        let mut faces = vec![Vec::new(); pictures.len()];
        for kept in suppress(boxes, 0.7, Overlap::Smaller) {
            let detection = detections.iter().find(|detection| detection.candidate == kept);
            faces[kept.picture].extend(detection.map(|detection| detection.face(Placement::whole(size))));
        }
        for of_picture in &mut faces {
            of_picture.sort_by(|a: &Face, b: &Face| area(&b.face_box).total_cmp(&area(&a.face_box)));
        }
        Ok(faces)
    }

    fn follow(&mut self, last: &[(View, FaceBox)]) -> Result<Vec<Option<Face>>, FaceError> {
        let _no_grad = tch::no_grad_guard();
        let views: Vec<&RgbImage> = last.iter().map(|(view, _)| &view.picture).collect();
        let candidate = |(at, (view, face_box)): (usize, &(View, FaceBox))| Candidate {
            picture: at,
            corners: squared(corners(face_box, view.placement)),
            score: 0.0,
            shift: [0.0; 4],
        };
        // The R-net moves the box to the face's new place, whatever its score; the O-net decides whether it is a face.
        let candidates = last.iter().enumerate().map(candidate).collect();
        let moved = self
            .classify(&views, candidates, 24)?
            .into_iter()
            .map(|(c, output)| Candidate { corners: squared(shifted(c.corners, output.shift)), ..c });
        let mut faces = vec![None; last.len()];
        for detection in self.finish(&views, moved.collect())? {
            let at = detection.candidate.picture;
            faces[at] = Some(detection.face(last[at].0.placement));
        }
        Ok(faces)
    }
}

fn area(face_box: &FaceBox) -> f32 {
    face_box.width * face_box.height
}

/// A box's corners in pixels of a view with this placement.
fn corners(face_box: &FaceBox, placement: Placement) -> [f32; 4] {
    let FaceBox { x, y, width, height } = *face_box;
    let ([left, top], [right, bottom]) =
        (placement.to_pixels([x, y]), placement.to_pixels([x + width, y + height]));
    [left, top, right, bottom]
}

/// Interleaved values as `[n, 3, h, w]` in channels-last layout, in which libtorch's convolutions are fastest here.
fn channels_last(values: &[f32], count: usize, (width, height): (u32, u32)) -> Result<Tensor, FaceError> {
    let shape = [count as i64, i64::from(height), i64::from(width), 3];
    Ok(Tensor::from_slice(values).f_view(shape)?.f_permute([0, 3, 1, 2])?)
}

/// The params of a convolution in the layout of [`channels_last`], so that they are not converted for every picture.
/// Other params stay as they are.
fn innermost_channels(param: Tensor) -> Tensor {
    match param.dim() {
        4 => param.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
        _ => param,
    }
}

fn pool(input: &Tensor, side: i64) -> Result<Tensor, FaceError> {
    Ok(input.f_max_pool2d([side, side], [2, 2], [0, 0], [1, 1], true)?)
}

/// `[n, c, h, w]` to `[n, w · h · c]`, the order of axes with which the params were trained.
fn flat(input: &Tensor) -> Result<Tensor, FaceError> {
    Ok(input.f_permute([0, 3, 2, 1])?.f_flatten(1, -1)?)
}

/// All elements, row-major.
fn numbers(tensor: &Tensor) -> Result<Vec<f32>, FaceError> {
    Ok(Vec::try_from(tensor.f_contiguous()?.f_view([-1])?)?)
}

/// One output for each crop from `[n, 2]` scores, `[n, 4]` corrections and `[n, 10]` landmarks.
fn net_outputs(
    scores: &Tensor,
    shifts: &Tensor,
    points: Option<&Tensor>,
) -> Result<Vec<NetOutput>, FaceError> {
    let (scores, shifts) = (numbers(scores)?, numbers(shifts)?);
    let points = points.map(numbers).transpose()?;
    let output = |(at, pair): (usize, &[f32])| NetOutput {
        score: pair[1],
        shift: std::array::from_fn(|side| shifts[at * 4 + side]),
        points: points.as_ref().map_or([0.0; 10], |all| std::array::from_fn(|of_it| all[at * 10 + of_it])),
    };
    Ok(scores.chunks_exact(2).enumerate().map(output).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ToolConfig;
    use crate::face::drawn::drawn_face;

    fn mtcnn() -> Mtcnn {
        let params = ToolConfig::default().find_mtcnn().map_err(|failure| failure.hint).unwrap();
        let settings = DetectorSettings { min_face_px: 40.0, thresholds: [0.6, 0.7, 0.7], threads: 1 };
        Mtcnn::load(&params, &settings).unwrap()
    }

    fn pictures() -> Vec<RgbImage> {
        [(120.0, 110.0, 50.0), (200.0, 130.0, 62.0), (160.0, 120.0, 56.0)]
            .map(|at| drawn_face(320, 240, at))
            .to_vec()
    }

    #[test]
    fn a_drawn_face_is_found_with_its_landmarks_image_left_first() {
        let faces = mtcnn().detect(&pictures()[..1]).unwrap().remove(0);
        assert_eq!(faces.len(), 1);
        let [left_eye, right_eye, nose, left_mouth, right_mouth] =
            faces[0].landmarks.map(|[x, y]| [x * 320.0, y * 240.0]);
        let near = |[x, y]: [f32; 2], dx: f32, dy: f32| {
            let apart = (x - 120.0 - dx * 50.0).hypot(y - 110.0 - dy * 50.0);
            assert!(apart < 12.0, "{apart} px from where it was drawn");
        };
        near(left_eye, -0.42, -0.15);
        near(right_eye, 0.42, -0.15);
        near(nose, 0.0, 0.35);
        assert!(left_mouth[0] < right_mouth[0] && left_mouth[1] > nose[1]);
    }

    #[test]
    fn a_batch_gives_what_single_pictures_give() {
        let mut mtcnn = mtcnn();
        let batch = mtcnn.detect(&pictures()).unwrap();
        for (picture, of_batch) in pictures().into_iter().zip(batch) {
            let single = mtcnn.detect(&[picture]).unwrap().remove(0);
            assert_eq!(single.len(), of_batch.len());
            for (a, b) in single.iter().zip(&of_batch) {
                assert!(a.face_box.iou(&b.face_box) > 0.999, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_face_that_moved_is_followed_and_a_missing_one_is_not_found() {
        let mut mtcnn = mtcnn();
        let found = mtcnn.detect(&pictures()[..1]).unwrap().remove(0)[0];
        let moved = drawn_face(320, 240, (128.0, 113.0, 50.0));
        let elsewhere = FaceBox { x: 0.7, y: 0.1, width: 0.2, height: 0.25 };
        let view = View::whole(moved.clone());
        let followed = mtcnn.follow(&[(view.clone(), elsewhere), (view, found.face_box)]).unwrap();
        assert_eq!(followed[0], None);
        let searched = mtcnn.detect(std::slice::from_ref(&moved)).unwrap().remove(0)[0];
        assert!(followed[1].unwrap().face_box.iou(&searched.face_box) > 0.85, "{followed:?} {searched:?}");
    }

    #[test]
    fn pictures_of_two_sizes_and_invalid_params_are_refused() {
        let mixed = [RgbImage::new(64, 64), RgbImage::new(64, 48)];
        assert!(matches!(mtcnn().detect(&mixed), Err(FaceError::MixedSizes { .. })));
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = DetectorSettings { min_face_px: 40.0, thresholds: [0.6, 0.7, 0.7], threads: 1 };
        let error = Mtcnn::load(file.path(), &settings).unwrap_err();
        assert!(error.to_string().contains("cannot be used"), "{error}");
    }
}

//! MTCNN (Zhang et al. 2016) on libtorch: three small nets, each checking what the one before proposed.
//! Gives what facenet-pytorch 2.6.0 gives on the same params; the only file of this room that names tch.

use std::collections::HashMap;
use std::path::Path;

use image::RgbImage;
use tch::{TchError, Tensor};

use super::boxes::{Candidate, Overlap, Region, shifted, shifted_by_proposal, squared, suppress};
use super::detector::{Detector, DetectorSettings, FaceError, Placement, View};
use super::pyramid::{pyramid, windows};
use super::resample::ColumnSums;
use crate::types::{Face, FaceBox};

/// Crops that go through the R- or O-net at once.
const BATCH: usize = 512;

/// The stock face detector.
#[derive(Debug)]
pub struct Mtcnn {
    params: HashMap<String, Tensor>,
    settings: DetectorSettings,
}

/// What the P-net says of every window of a batch: probabilities `[n, rows, columns]` and shifts `[n, 4, rows, columns]`.
struct Proposals {
    scores: Vec<f32>,
    shifts: Vec<f32>,
    /// Rows and columns of windows.
    grid: (usize, usize),
}

/// What the R- and O-net say of one crop: probability, shift of the corners, landmarks (O-net: 5 x, then 5 y).
struct Opinion {
    score: f32,
    shift: [f32; 4],
    points: [f32; 10],
}

impl From<TchError> for FaceError {
    fn from(error: TchError) -> Self {
        Self::Net(error.to_string())
    }
}

impl Mtcnn {
    /// Loads params named `pnet.conv1.weight` and so on from a safetensors file.
    ///
    /// # Errors
    /// When the file is missing, unreadable, or lacks one of the three nets.
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

    /// Input `[n, 3, h, w]`.
    fn proposals(&self, input: &Tensor) -> Result<Proposals, FaceError> {
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

    /// Input `[n, 3, 24, 24]`.
    fn refine(&self, input: &Tensor) -> Result<Vec<Opinion>, FaceError> {
        let x = pool(&self.prelu("rnet.prelu1", &self.conv("rnet.conv1", input)?)?, 3)?;
        let x = pool(&self.prelu("rnet.prelu2", &self.conv("rnet.conv2", &x)?)?, 3)?;
        let x = self.prelu("rnet.prelu3", &self.conv("rnet.conv3", &x)?)?;
        let x = self.prelu("rnet.prelu4", &self.dense("rnet.dense4", &flat(&x)?)?)?;
        let scores = self.dense("rnet.dense5_1", &x)?.f_softmax(1, None)?;
        opinions(&scores, &self.dense("rnet.dense5_2", &x)?, None)
    }

    /// Input `[n, 3, 48, 48]`.
    fn output(&self, input: &Tensor) -> Result<Vec<Opinion>, FaceError> {
        let x = pool(&self.prelu("onet.prelu1", &self.conv("onet.conv1", input)?)?, 3)?;
        let x = pool(&self.prelu("onet.prelu2", &self.conv("onet.conv2", &x)?)?, 3)?;
        let x = pool(&self.prelu("onet.prelu3", &self.conv("onet.conv3", &x)?)?, 2)?;
        let x = self.prelu("onet.prelu4", &self.conv("onet.conv4", &x)?)?;
        let x = self.prelu("onet.prelu5", &self.dense("onet.dense5", &flat(&x)?)?)?;
        let scores = self.dense("onet.dense6_1", &x)?.f_softmax(1, None)?;
        let points = self.dense("onet.dense6_3", &x)?;
        opinions(&scores, &self.dense("onet.dense6_2", &x)?, Some(&points))
    }

    /// First net: windows of every scale that look like a face.
    fn propose(&self, pictures: &[ColumnSums], size: (u32, u32)) -> Result<Vec<Candidate>, FaceError> {
        let mut all = Vec::new();
        for scale in pyramid(size, f64::from(self.settings.min_face_px)) {
            let to = ((f64::from(size.0) * scale + 1.0) as u32, (f64::from(size.1) * scale + 1.0) as u32);
            let mut values = Vec::with_capacity(pictures.len() * (to.0 * to.1 * 3) as usize);
            for picture in pictures {
                picture.push_average(&mut values, picture.whole(), to);
            }
            let input = channels_last(&values, pictures.len(), to)?;
            let Proposals { scores, shifts, grid } = self.proposals(&input)?;
            let found = windows(&scores, &shifts, grid, scale as f32, self.settings.thresholds[0]);
            all.extend(suppress(found, 0.5, Overlap::Union));
        }
        let kept = suppress(all, 0.7, Overlap::Union);
        Ok(kept
            .into_iter()
            .map(|c| Candidate { corners: squared(shifted_by_proposal(c.corners, c.shift)), ..c })
            .collect())
    }

    /// Runs the R-net (`side` 24) or O-net (48) over each candidate's pixels; candidates outside their picture go.
    fn judge(
        &self,
        looks: &impl Looks,
        candidates: Vec<Candidate>,
        side: u32,
    ) -> Result<Vec<(Candidate, Opinion)>, FaceError> {
        let region = |c: &Candidate| Region::of(c.corners, looks.size(c.picture));
        let inside: Vec<(Candidate, Region)> =
            candidates.into_iter().filter_map(|c| Some((c, region(&c)?))).collect();
        let mut judged = Vec::with_capacity(inside.len());
        for batch in inside.chunks(BATCH) {
            let mut values = Vec::with_capacity(batch.len() * (side * side * 3) as usize);
            for (candidate, region) in batch {
                looks.push_average(&mut values, candidate.picture, *region, side);
            }
            let input = channels_last(&values, batch.len(), (side, side))?;
            let opinions = if side == 24 { self.refine(&input)? } else { self.output(&input)? };
            judged.extend(batch.iter().map(|(candidate, _)| *candidate).zip(opinions));
        }
        Ok(judged)
    }

    /// Second net: fewer boxes, better placed.
    fn sift(&self, looks: &impl Looks, candidates: Vec<Candidate>) -> Result<Vec<Candidate>, FaceError> {
        let judged = self.judge(looks, candidates, 24)?.into_iter();
        let passed = judged.filter(|(_, opinion)| opinion.score > self.settings.thresholds[1]);
        let better = passed.map(|(c, opinion)| Candidate { score: opinion.score, shift: opinion.shift, ..c });
        let kept = suppress(better.collect(), 0.7, Overlap::Union);
        Ok(kept
            .into_iter()
            .map(|c| Candidate { corners: squared(shifted(c.corners, c.shift)), ..c })
            .collect())
    }

    /// Third net: final boxes with landmarks, in pixels.
    fn conclude(&self, looks: &impl Looks, candidates: Vec<Candidate>) -> Result<Vec<Conclusion>, FaceError> {
        let judged = self.judge(looks, candidates, 48)?.into_iter();
        let passed = judged.filter(|(_, opinion)| opinion.score > self.settings.thresholds[2]);
        Ok(passed.map(|(candidate, opinion)| Conclusion::of(candidate, &opinion)).collect())
    }
}

/// The pictures of a batch, of which small parts are looked at.
trait Looks {
    fn size(&self, picture: usize) -> (u32, u32);

    /// Appends a part's pixels, averaged to `side` × `side`: see [`ColumnSums::push_average`].
    fn push_average(&self, values: &mut Vec<f32>, picture: usize, part: Region, side: u32);
}

/// Many parts of each are looked at.
impl Looks for Vec<ColumnSums> {
    fn size(&self, picture: usize) -> (u32, u32) {
        let Region { right, bottom, .. } = self[picture].whole();
        (right, bottom)
    }

    fn push_average(&self, values: &mut Vec<f32>, picture: usize, part: Region, side: u32) {
        self[picture].push_average(values, part, (side, side));
    }
}

/// One part of each is looked at.
impl Looks for Vec<&RgbImage> {
    fn size(&self, picture: usize) -> (u32, u32) {
        self[picture].dimensions()
    }

    fn push_average(&self, values: &mut Vec<f32>, picture: usize, part: Region, side: u32) {
        let sums = ColumnSums::of(self[picture], part);
        sums.push_average(values, sums.whole(), (side, side));
    }
}

/// A face in pixels of one picture of the batch.
struct Conclusion {
    candidate: Candidate,
    points: [[f32; 2]; 5],
}

impl Conclusion {
    fn of(candidate: Candidate, opinion: &Opinion) -> Self {
        let [left, top, right, bottom] = candidate.corners;
        let (width, height) = (right - left + 1.0, bottom - top + 1.0);
        let points = std::array::from_fn(|at| {
            [width * opinion.points[at] + left - 1.0, height * opinion.points[at + 5] + top - 1.0]
        });
        let corners = shifted(candidate.corners, opinion.shift);
        Self { candidate: Candidate { corners, score: opinion.score, ..candidate }, points }
    }

    /// The face in fractions of the whole picture; its pixels here are those of a view with this placement.
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
        let candidates = self.sift(&sums, candidates)?;
        let conclusions = self.conclude(&sums, candidates)?;
        let boxes = conclusions.iter().map(|conclusion| conclusion.candidate).collect();
        let mut faces = vec![Vec::new(); pictures.len()];
        for kept in suppress(boxes, 0.7, Overlap::Smaller) {
            let of_it = conclusions.iter().find(|conclusion| conclusion.candidate == kept);
            faces[kept.picture].extend(of_it.map(|conclusion| conclusion.face(Placement::whole(size))));
        }
        for of_one in &mut faces {
            of_one.sort_by(|a: &Face, b: &Face| area(&b.face_box).total_cmp(&area(&a.face_box)));
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
        let judged = self.judge(&views, last.iter().enumerate().map(candidate).collect(), 24)?;
        let moved = judged
            .into_iter()
            .map(|(c, opinion)| Candidate { corners: squared(shifted(c.corners, opinion.shift)), ..c });
        let mut faces = vec![None; last.len()];
        for conclusion in self.conclude(&views, moved.collect())? {
            let at = conclusion.candidate.picture;
            faces[at] = Some(conclusion.face(last[at].0.placement));
        }
        Ok(faces)
    }
}

fn area(face_box: &FaceBox) -> f32 {
    face_box.width * face_box.height
}

fn corners(face_box: &FaceBox, placement: Placement) -> [f32; 4] {
    let FaceBox { x, y, width, height } = *face_box;
    let ([left, top], [right, bottom]) =
        (placement.to_pixels([x, y]), placement.to_pixels([x + width, y + height]));
    [left, top, right, bottom]
}

/// `[n, 3, h, w]` of interleaved values; the layout in which the library's convolutions are fastest here.
fn channels_last(values: &[f32], count: usize, (width, height): (u32, u32)) -> Result<Tensor, FaceError> {
    let shape = [count as i64, i64::from(height), i64::from(width), 3];
    Ok(Tensor::from_slice(values).f_view(shape)?.f_permute([0, 3, 1, 2])?)
}

/// The params of a convolution in the layout of [`channels_last`], so that they are not converted again for every
/// picture.
fn innermost_channels(param: Tensor) -> Tensor {
    match param.dim() {
        4 => param.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
        _ => param,
    }
}

fn pool(input: &Tensor, side: i64) -> Result<Tensor, FaceError> {
    Ok(input.f_max_pool2d([side, side], [2, 2], [0, 0], [1, 1], true)?)
}

/// `[n, c, h, w]` to `[n, w · h · c]`: the params were trained with axes in this order.
fn flat(input: &Tensor) -> Result<Tensor, FaceError> {
    Ok(input.f_permute([0, 3, 2, 1])?.f_flatten(1, -1)?)
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>, FaceError> {
    Ok(Vec::try_from(tensor.f_contiguous()?.f_view([-1])?)?)
}

fn opinions(scores: &Tensor, shifts: &Tensor, points: Option<&Tensor>) -> Result<Vec<Opinion>, FaceError> {
    let (scores, shifts) = (numbers(scores)?, numbers(shifts)?);
    let points = points.map(numbers).transpose()?;
    let opinion = |(at, pair): (usize, &[f32])| Opinion {
        score: pair[1],
        shift: std::array::from_fn(|side| shifts[at * 4 + side]),
        points: points.as_ref().map_or([0.0; 10], |all| std::array::from_fn(|of_it| all[at * 10 + of_it])),
    };
    Ok(scores.chunks_exact(2).enumerate().map(opinion).collect())
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
    fn a_drawn_face_is_found_where_it_is_with_its_landmarks_image_left_first() {
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
    fn a_face_is_followed_a_little_further_and_given_up_where_it_is_not() {
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
    fn pictures_of_two_sizes_and_foreign_params_are_refused() {
        let mixed = [RgbImage::new(64, 64), RgbImage::new(64, 48)];
        assert!(matches!(mtcnn().detect(&mixed), Err(FaceError::MixedSizes { .. })));
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = DetectorSettings { min_face_px: 40.0, thresholds: [0.6, 0.7, 0.7], threads: 1 };
        let error = Mtcnn::load(file.path(), &settings).unwrap_err();
        assert!(error.to_string().contains("cannot be used"), "{error}");
    }
}

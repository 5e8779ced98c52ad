//! Arithmetic on candidate boxes, with the results of facenet-pytorch 2.6.0 (`detect_face.py`), whose function names
//! are given. Boxes are in pixels, counted from 1 as there; knows no net.

/// A box that a net proposed in one picture of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    /// Index of the picture in its batch.
    pub picture: usize,
    /// Left, top, right, bottom in pixels.
    pub corners: [f32; 4],
    /// Probability that it is a face, 0 to 1.
    pub score: f32,
    /// The net's correction of the corners, in widths and heights of the box.
    pub shift: [f32; 4],
}

/// What the intersection of two boxes is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// The area of their union.
    Union,
    /// The area of the smaller box; sides are counted one pixel longer.
    Smaller,
}

/// Non-maximum suppression: removes each candidate that overlaps a kept one of its picture with a higher score by more
/// than `limit`. The result is ordered by falling score.
pub(crate) fn suppress(mut candidates: Vec<Candidate>, limit: f32, overlap: Overlap) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let rivals = kept.iter().filter(|better| better.picture == candidate.picture);
        if rivals.into_iter().all(|better| share(better.corners, candidate.corners, overlap) <= limit) {
            kept.push(candidate);
        }
    }
    kept
}

/// The overlap of two boxes, 0 to 1.
fn share(a: [f32; 4], b: [f32; 4], overlap: Overlap) -> f32 {
    let edge = if overlap == Overlap::Smaller { 1.0 } else { 0.0 };
    let area = |c: [f32; 4]| (c[2] - c[0] + edge) * (c[3] - c[1] + edge);
    let across = (a[2].min(b[2]) - a[0].max(b[0]) + edge).max(0.0);
    let down = (a[3].min(b[3]) - a[1].max(b[1]) + edge).max(0.0);
    let shared = across * down;
    match overlap {
        Overlap::Union => shared / (area(a) + area(b) - shared),
        Overlap::Smaller => shared / area(a).min(area(b)),
    }
}

/// Moves the corners by the correction of the R- or O-net (`bbreg`).
pub(crate) fn shifted(corners: [f32; 4], shift: [f32; 4]) -> [f32; 4] {
    let width = corners[2] - corners[0] + 1.0;
    let height = corners[3] - corners[1] + 1.0;
    let size = [width, height, width, height];
    std::array::from_fn(|side| corners[side] + shift[side] * size[side])
}

/// Moves the corners by the correction of the P-net, for which sides are counted one pixel shorter.
pub(crate) fn shifted_by_proposal(corners: [f32; 4], shift: [f32; 4]) -> [f32; 4] {
    let width = corners[2] - corners[0];
    let height = corners[3] - corners[1];
    let size = [width, height, width, height];
    std::array::from_fn(|side| corners[side] + shift[side] * size[side])
}

/// The square with the longer side and the same centre (`rerec`).
pub(crate) fn squared([left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
    let (width, height) = (right - left, bottom - top);
    let side = width.max(height);
    let left = left + width * 0.5 - side * 0.5;
    let top = top + height * 0.5 - side * 0.5;
    [left, top, left + side, top + side]
}

/// A rectangle of whole pixels inside a picture, counted from 0; right and bottom are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Column after the last.
    pub right: u32,
    /// Row after the last.
    pub bottom: u32,
}

impl Region {
    /// A whole picture.
    pub(crate) fn whole((width, height): (u32, u32)) -> Self {
        Self { left: 0, top: 0, right: width, bottom: height }
    }

    /// The pixels of a box that are inside the picture (`pad`, and the slice after it); `None` if there are none.
    pub(crate) fn of(corners: [f32; 4], (width, height): (u32, u32)) -> Option<Self> {
        // `as` truncates and saturates, as `trunc().int()` and the clamps do.
        let first = |edge: f32| (edge as i32).max(1) as u32 - 1;
        let last = |edge: f32, limit: u32| (edge as i32).clamp(0, limit as i32) as u32;
        let region = Self {
            left: first(corners[0]),
            top: first(corners[1]),
            right: last(corners[2], width),
            bottom: last(corners[3], height),
        };
        (region.left < region.right && region.top < region.bottom).then_some(region)
    }

    /// Width in pixels.
    pub(crate) fn width(self) -> u32 {
        self.right - self.left
    }

    /// Height in pixels.
    pub(crate) fn height(self) -> u32 {
        self.bottom - self.top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(picture: usize, corners: [f32; 4], score: f32) -> Candidate {
        Candidate { picture, corners, score, shift: [0.0; 4] }
    }

    #[test]
    fn of_two_overlapping_boxes_the_one_with_the_higher_score_stays() {
        // 10 × 10 against the same moved by 2: shared 80, union 120, 80 / 120 = 0.667.
        let pair = vec![candidate(0, [0.0, 0.0, 10.0, 10.0], 0.7), candidate(0, [2.0, 0.0, 12.0, 10.0], 0.9)];
        let kept = suppress(pair.clone(), 0.66, Overlap::Union);
        assert_eq!(kept.iter().map(|c| c.score).collect::<Vec<_>>(), [0.9]);
        assert_eq!(suppress(pair, 0.67, Overlap::Union).len(), 2);
    }

    #[test]
    fn a_small_box_inside_a_large_one_is_removed_only_by_the_smaller_area() {
        let nested =
            vec![candidate(0, [0.0, 0.0, 99.0, 99.0], 0.9), candidate(0, [10.0, 10.0, 29.0, 29.0], 0.8)];
        assert_eq!(suppress(nested.clone(), 0.7, Overlap::Union).len(), 2);
        assert_eq!(suppress(nested, 0.7, Overlap::Smaller).len(), 1);
    }

    #[test]
    fn boxes_of_two_pictures_never_overlap() {
        let same = [0.0, 0.0, 10.0, 10.0];
        assert_eq!(
            suppress(vec![candidate(0, same, 0.9), candidate(1, same, 0.8)], 0.5, Overlap::Union).len(),
            2
        );
    }

    #[test]
    fn a_tall_box_becomes_a_square_about_its_centre() {
        assert_eq!(squared([10.0, 0.0, 20.0, 40.0]), [-5.0, 0.0, 35.0, 40.0]);
    }

    #[test]
    fn a_box_counted_from_one_is_clamped_to_the_picture() {
        let region = Region::of([-3.7, 5.9, 20.2, 300.0], (100, 50)).unwrap();
        assert_eq!(region, Region { left: 0, top: 4, right: 20, bottom: 50 });
        assert_eq!(Region::of([120.0, 5.0, 130.0, 20.0], (100, 50)), None);
    }
}

//! One track in the making: the faces of one person, as far as they are found.

use crate::types::{FaceBox, SeenFace, Span, Track};

/// A track that may still go on, or has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTrack {
    /// Tells the tracks of one video apart.
    pub number: usize,
    /// The shot's index, as the tracker was told.
    pub(super) shot: usize,
    pub(super) faces: Vec<SeenFace>,
    /// Looks that did not find its face, milliseconds, ascending.
    pub(super) missed: Vec<i64>,
    /// When the frame of its last face ends.
    pub(super) end_ms: i64,
}

impl OpenTrack {
    /// A track with a number in a shot, of one face, whose frame ends at `end_ms`.
    pub(super) fn new((number, shot): (usize, usize), first: SeenFace, end_ms: i64) -> Self {
        Self { number, shot, faces: vec![first], missed: Vec::new(), end_ms }
    }

    /// Adds a later face, whose frame ends at `end_ms`.
    pub(super) fn push(&mut self, face: SeenFace, end_ms: i64) {
        self.faces.push(face);
        self.end_ms = end_ms;
    }

    /// Its faces so far, ascending.
    pub fn faces(&self) -> &[SeenFace] {
        &self.faces
    }

    /// When and where its face was last seen.
    pub fn last(&self) -> &SeenFace {
        &self.faces[self.faces.len() - 1]
    }

    /// When and where its face was first seen.
    pub fn first(&self) -> &SeenFace {
        &self.faces[0]
    }

    /// From its first frame to the end of its last one.
    pub fn span(&self) -> Span {
        Span { start_ms: self.first().t_ms, end_ms: self.end_ms }
    }

    /// The track as far as it goes, cut where shots begin, also those that were found only afterwards.
    pub fn pieces(&self, shots: &[Span]) -> Vec<Track> {
        shots.iter().enumerate().filter_map(|(shot, span)| self.piece(shot, *span)).collect()
    }

    fn piece(&self, shot: usize, span: Span) -> Option<Track> {
        let inside = self.faces.iter().filter(|seen| span.contains(seen.t_ms));
        let faces: Vec<SeenFace> = inside.copied().collect();
        let (first_ms, last_ms) = (faces.first()?.t_ms, faces.last()?.t_ms);
        let missed = self.missed.iter().filter(|t_ms| (first_ms..last_ms).contains(*t_ms)).count();
        let coverage = faces.len() as f32 / (faces.len() + missed) as f32;
        // A track that goes on in the next shot is seen up to the cut.
        let span = Span { start_ms: first_ms, end_ms: self.end_ms.min(span.end_ms) };
        Some(Track { shot, span, faces, coverage })
    }

    /// The box that the face has at a later time if it moves on as it did.
    pub(super) fn expected(&self, t_ms: i64) -> FaceBox {
        let last = self.last();
        let last_box = last.face.face_box;
        let Some(before) = self.faces.len().checked_sub(2).map(|at| &self.faces[at]) else { return last_box };
        let passed = (last.t_ms - before.t_ms).max(1) as f32;
        // A face seldom keeps its speed for long.
        let ahead = ((t_ms - last.t_ms) as f32 / passed).min(1.0);
        let [dx, dy] = [0, 1].map(|axis| centre(&last_box)[axis] - centre(&before.face.face_box)[axis]);
        FaceBox { x: last_box.x + dx * ahead, y: last_box.y + dy * ahead, ..last_box }
    }
}

/// The middle of a box, x and y.
pub(super) fn centre(face_box: &FaceBox) -> [f32; 2] {
    [face_box.x + face_box.width / 2.0, face_box.y + face_box.height / 2.0]
}

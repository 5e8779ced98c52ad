//! One track while it is being built: the faces of one person found so far.

use super::face_cuts::FaceCuts;
use crate::types::{FaceBox, SeenFace, Span, Track};

/// A track that may still go on, or has just ended. It always has a face.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTrack {
    /// Identifies the track within its video.
    pub number: usize,
    /// Index of the shot that was current when the track began.
    pub(super) shot: usize,
    /// Ascending in time, never empty.
    pub(super) faces: Vec<SeenFace>,
    /// Times of the looks that did not find the face, milliseconds, ascending.
    pub(super) missed: Vec<i64>,
    /// When the frame of its last face ends, milliseconds.
    pub(super) end_ms: i64,
    /// Where another picture begins in the place of its face, milliseconds, ascending.
    borders: Vec<i64>,
    /// Up to where such borders have been looked for, milliseconds.
    searched_ms: i64,
}

impl OpenTrack {
    /// A track that begins with a face, whose frame ends at `end_ms`.
    pub(super) fn new(number: usize, shot: usize, first: SeenFace, end_ms: i64) -> Self {
        Self {
            number,
            shot,
            faces: vec![first],
            missed: Vec::new(),
            end_ms,
            borders: Vec::new(),
            searched_ms: i64::MIN,
        }
    }

    /// Adds a later face, whose frame ends at `end_ms`.
    pub(super) fn push(&mut self, face: SeenFace, end_ms: i64) {
        self.faces.push(face);
        self.end_ms = end_ms;
    }

    /// Its faces so far, ascending in time.
    pub fn faces(&self) -> &[SeenFace] {
        &self.faces
    }

    /// Where another picture begins in the place of its face, milliseconds, ascending.
    pub(super) fn borders(&self) -> &[i64] {
        &self.borders
    }

    /// Splits the track where `cuts` finds another picture in the place of its face, as far as that is settled.
    pub(super) fn split_at(&mut self, cuts: &FaceCuts) {
        // Later frames may still become part of the track.
        let until_ms = cuts.settled_ms().min(self.last().t_ms);
        if self.searched_ms < until_ms {
            let found = cuts.cuts_in(self, self.searched_ms, until_ms);
            self.borders.extend(found);
            self.searched_ms = until_ms;
        }
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

    /// The track so far, split by these shots, which may include borders that were found after it was built, and where
    /// another picture begins in the place of its face. Faces outside every shot are dropped.
    pub fn pieces(&self, shots: &[Span]) -> Vec<Track> {
        let parts = shots.iter().enumerate().flat_map(|(shot, span)| self.parts_of(shot, *span));
        parts.filter_map(|(shot, span)| self.piece(shot, span)).collect()
    }

    /// The parts of the shot with this index and span between the track's own borders, each with the index.
    fn parts_of(&self, shot: usize, span: Span) -> impl Iterator<Item = (usize, Span)> {
        let inside = move |at_ms: &i64| span.start_ms < *at_ms && *at_ms < span.end_ms;
        let borders = || self.borders.iter().copied().filter(move |at_ms| inside(at_ms));
        let starts = std::iter::once(span.start_ms).chain(borders());
        let ends = borders().chain(std::iter::once(span.end_ms));
        starts.zip(ends).map(move |(start_ms, end_ms)| (shot, Span { start_ms, end_ms }))
    }

    /// The piece in this span of the shot with this index; `None` if the span has no face of the track.
    fn piece(&self, shot: usize, span: Span) -> Option<Track> {
        let inside = self.faces.iter().filter(|seen| span.contains(seen.t_ms));
        let faces: Vec<SeenFace> = inside.copied().collect();
        let (first_ms, last_ms) = (faces.first()?.t_ms, faces.last()?.t_ms);
        let missed = self.missed.iter().filter(|t_ms| (first_ms..last_ms).contains(*t_ms)).count();
        let coverage = faces.len() as f32 / (faces.len() + missed) as f32;
        // A track that goes on after the shot lasts up to the border.
        let span = Span { start_ms: first_ms, end_ms: self.end_ms.min(span.end_ms) };
        Some(Track { shot, span, faces, coverage })
    }

    /// The box expected at a later time: the centre moves on at its latest speed, for at most as long as the last two faces
    /// are apart; the size stays.
    pub(super) fn expected(&self, t_ms: i64) -> FaceBox {
        let last = self.last();
        let last_box = last.face.face_box;
        let Some(before) = self.faces.len().checked_sub(2).map(|at| &self.faces[at]) else { return last_box };
        let passed = (last.t_ms - before.t_ms).max(1) as f32;
        // Faces seldom keep their speed for long.
        let ahead = ((t_ms - last.t_ms) as f32 / passed).min(1.0);
        let [dx, dy] = [0, 1].map(|axis| centre(&last_box)[axis] - centre(&before.face.face_box)[axis]);
        FaceBox { x: last_box.x + dx * ahead, y: last_box.y + dy * ahead, ..last_box }
    }
}

/// The centre of a box, x and y.
pub(super) fn centre(face_box: &FaceBox) -> [f32; 2] {
    [face_box.x + face_box.width / 2.0, face_box.y + face_box.height / 2.0]
}

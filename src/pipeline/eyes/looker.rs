//! Decides which frames go to the detector, and whether it searches the whole picture or only where faces were. Cuts are
//! found elsewhere.
//!
//! A *look* is a frame that goes to the detector: the recipe's `scout_fps` a second, and the first and last frame of each
//! shot. On a look the tracked faces are followed; one that has moved away is searched for nearby. The whole picture is
//! searched when a shot begins, when a face that was tracked long enough is gone, and now and then for new faces, more
//! often while none is tracked. When a track begins or ends, the frames between two looks give the exact time.

use std::sync::Arc;

use super::views::around;
use crate::config::ClipRecipe;
use crate::face::Detector;
use crate::face::face_cuts::FaceCuts;
use crate::face::open_track::OpenTrack;
use crate::face::track::Tracker;
use crate::failure::Failure;
use crate::media::VideoFrame;
use crate::types::{Face, FaceBox, SeenFace, Span, Track};

/// While all tracked faces are seen, the whole picture is searched this often per length of the shortest clip: a new face
/// that stays long enough for a clip is found.
const SEARCHES_PER_CLIP: f64 = 1.25;
/// The longest time between two such searches, milliseconds: until the next one the frames of all looks are kept.
const MAX_WITHOUT_SEARCH_MS: f64 = 4_000.0;
/// While no face is tracked, the time between two searches of the whole picture, milliseconds. A face that is found is
/// then followed back in time.
const SEARCH_EMPTY_EVERY_MS: i64 = 400;
/// Two followed faces that overlap by more than this are the same face, which both tracks have drifted to.
const MERGED_TRACKS_IOU: f32 = 0.6;
/// A track that lasted less may be a false detection: when it is lost, the whole picture is not searched for it.
const MIN_SURE_MS: i64 = 1_000;
/// A face found nearby is the lost one if it overlaps its last box by more than this.
const SAME_PLACE_IOU: f32 = 0.1;
/// Most frames that are kept between two looks.
const MAX_KEPT: usize = 16;
/// Memory of these frames, and also of those of the looks since the last search, bytes. 4K pictures do not reach it.
const MAX_FRAME_BYTES: usize = 512 << 20;

/// Follows the faces of one video.
pub(super) struct Looker<'a> {
    detector: &'a mut dyn Detector,
    tracker: Tracker,
    look_every_ms: f64,
    search_every_ms: i64,
    /// Looks are due every `look_every_ms` from here.
    shot_start_ms: i64,
    looks_in_shot: u32,
    shots: usize,
    last_look_ms: i64,
    last_search_ms: Option<i64>,
    /// Frames since the last look, oldest first.
    frames_since_look: Vec<Arc<VideoFrame>>,
    /// Frames of the looks since the last search, oldest first.
    looks_since_search: Vec<Arc<VideoFrame>>,
    searches: u64,
}

impl<'a> Looker<'a> {
    /// A looker before the first frame. Until frame durations are known, `frame_ms` is assumed.
    pub(super) fn new(recipe: &ClipRecipe, detector: &'a mut dyn Detector, frame_ms: i64) -> Self {
        Self {
            detector,
            tracker: Tracker::new(recipe, frame_ms),
            look_every_ms: 1000.0 / recipe.scout_fps.max(0.1),
            search_every_ms: (recipe.min_clip_ms as f64 / SEARCHES_PER_CLIP).min(MAX_WITHOUT_SEARCH_MS)
                as i64,
            shot_start_ms: 0,
            looks_in_shot: 0,
            shots: 0,
            last_look_ms: 0,
            last_search_ms: None,
            frames_since_look: Vec::new(),
            looks_since_search: Vec::new(),
            searches: 0,
        }
    }

    /// Takes the next frame of the video.
    pub(super) fn push(&mut self, frame: &Arc<VideoFrame>, begins_shot: bool) -> Result<(), Failure> {
        let after_pause = self.tracker.begin_frame(frame.time_ms());
        if begins_shot || after_pause {
            self.end_stretch()?;
        }
        if begins_shot {
            self.last_search_ms = None;
            self.tracker.begin_shot(self.shots);
            self.shots += 1;
            self.shot_start_ms = frame.time_ms();
            self.looks_in_shot = 0;
        }
        let passed_ms = (frame.time_ms() - self.shot_start_ms) as f64;
        let too_early = passed_ms + 0.5 < f64::from(self.looks_in_shot) * self.look_every_ms;
        let is_empty = self.tracker.open_tracks().is_empty();
        if too_early || (is_empty && !self.is_due(frame.time_ms(), SEARCH_EMPTY_EVERY_MS)) {
            self.keep(Arc::clone(frame));
            return Ok(());
        }
        self.looks_in_shot = ((passed_ms + 0.5) / self.look_every_ms) as u32 + 1;
        self.look(frame, begins_shot)
    }

    fn keep(&mut self, frame: Arc<VideoFrame>) {
        if self.frames_since_look.len() == MAX_KEPT || bytes(&self.frames_since_look) > MAX_FRAME_BYTES {
            // Keep every second one.
            let mut stays = false;
            self.frames_since_look.retain(|_| {
                stays = !stays;
                stays
            });
        }
        self.frames_since_look.push(frame);
    }

    /// The video has come to its end.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        self.end_stretch()?;
        self.tracker.begin_shot(self.shots);
        Ok(())
    }

    /// The tracks so far.
    pub(super) fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Splits tracks where another picture begins in the place of their face.
    pub(super) fn split_at(&mut self, cuts: &FaceCuts) {
        self.tracker.split_at(cuts);
    }

    /// The detector, for other uses between two frames.
    pub(super) fn detector(&mut self) -> &mut dyn Detector {
        self.detector
    }

    /// All tracks, cut where shots begin, and how often a whole picture was searched.
    pub(super) fn finish(self, shots: &[Span]) -> (Vec<Track>, u64) {
        (self.tracker.finish(shots), self.searches)
    }

    fn look(&mut self, frame: &Arc<VideoFrame>, begins_shot: bool) -> Result<(), Failure> {
        let t_ms = frame.time_ms();
        let followed = self.follow_all(frame)?;
        let is_full = bytes(&self.looks_since_search) > MAX_FRAME_BYTES;
        let is_due = followed.is_empty() || is_full || self.is_due(t_ms, self.search_every_ms);
        let lost: Vec<usize> = (0..followed.len()).filter(|at| followed[*at].is_none()).collect();
        let gone: Vec<usize> = lost.iter().copied().filter(|track| self.was_seen_surely(*track)).collect();
        // Extend lost tracks through the frames since the last look first: a face that moved fast is then searched for near
        // its latest place.
        self.find_ends(&lost)?;
        let known = if is_due { None } else { self.known(frame, &followed, &gone)? };
        let faces = known.map_or_else(|| self.search(frame), Ok)?;
        let searched = self.last_search_ms == Some(t_ms);
        let seen = self.tracker.see(t_ms, &faces);
        self.find_ends(&seen.missed)?;
        for track in seen.began.iter().filter(|_| !begins_shot) {
            self.find_start(*track)?;
        }
        if searched {
            self.looks_since_search.clear();
        } else {
            self.looks_since_search.push(Arc::clone(frame));
        }
        self.last_look_ms = t_ms;
        self.frames_since_look.clear();
        Ok(())
    }

    /// Whether the last search of the whole picture was at least this long ago.
    fn is_due(&self, t_ms: i64, every_ms: i64) -> bool {
        self.last_search_ms.is_none_or(|last_ms| t_ms - last_ms >= every_ms)
    }

    /// Whether the last look saw a track's face, and the track is not a false detection.
    fn was_seen_surely(&self, track: usize) -> bool {
        let track = &self.tracker.open_tracks()[track];
        track.last().t_ms == self.last_look_ms && self.is_sure(track)
    }

    /// Whether a track has lasted long enough not to be taken for a false detection.
    fn is_sure(&self, track: &OpenTrack) -> bool {
        track.last().t_ms - track.first().t_ms >= MIN_SURE_MS
    }

    /// The tracked faces on this frame; lost ones are searched for nearby. `None` when the whole picture must be searched:
    /// two tracks have the same face, or one of the `gone` faces is not found nearby.
    fn known(
        &mut self,
        frame: &VideoFrame,
        followed: &[Option<Face>],
        gone: &[usize],
    ) -> Result<Option<Vec<Face>>, Failure> {
        let meets = |faces: &[Face], face: &Face| {
            faces.iter().any(|other| other.face_box.iou(&face.face_box) > MERGED_TRACKS_IOU)
        };
        let mut faces: Vec<Face> = Vec::with_capacity(followed.len());
        for (track, face) in self.tracker.open_tracks().iter().zip(followed) {
            match face {
                Some(face) if !meets(&faces, face) => faces.push(*face),
                Some(_) if self.is_sure(track) => return Ok(None),
                _ => {}
            }
        }
        for track in (0..followed.len()).filter(|track| followed[*track].is_none()) {
            match self.search_near(frame, track)?.filter(|face| !meets(&faces, face)) {
                Some(face) => faces.push(face),
                None if gone.contains(&track) => return Ok(None),
                None => {}
            }
        }
        Ok(Some(faces))
    }

    /// A track's face, detected again around its last box.
    fn search_near(&mut self, frame: &VideoFrame, track: usize) -> Result<Option<Face>, Failure> {
        let last = self.tracker.open_tracks()[track].last().face.face_box;
        let view = around(frame, &last)?;
        let found = self.detector.detect(std::slice::from_ref(&view.picture))?.pop().unwrap_or_default();
        let overlap = |face: &Face| face.face_box.iou(&last);
        let near =
            found.into_iter().map(|face| view.to_whole(face)).filter(|face| overlap(face) > SAME_PLACE_IOU);
        Ok(near.max_by(|one, other| overlap(one).total_cmp(&overlap(other))))
    }

    /// All faces of the whole picture.
    fn search(&mut self, frame: &VideoFrame) -> Result<Vec<Face>, Failure> {
        self.searches += 1;
        self.last_search_ms = Some(frame.time_ms());
        Ok(self.detector.detect(&[frame.picture()?])?.pop().unwrap_or_default())
    }

    /// For each open track its face on this frame; `None` where it is not near its last box.
    fn follow_all(&mut self, frame: &VideoFrame) -> Result<Vec<Option<Face>>, Failure> {
        let last = self.tracker.last_boxes().into_iter();
        let last = last.map(|face_box| Ok((around(frame, &face_box)?, face_box)));
        Ok(self.detector.follow(&last.collect::<Result<Vec<_>, Failure>>()?)?)
    }

    /// The face on this frame that was in the box `last`; `None` when it is not near there.
    fn follow_one(&mut self, frame: &VideoFrame, last: FaceBox) -> Result<Option<Face>, Failure> {
        Ok(self.detector.follow(&[(around(frame, &last)?, last)])?.pop().flatten())
    }

    /// Ends a shot, or the frames before a long pause: extends the open tracks as far as they go.
    fn end_stretch(&mut self) -> Result<(), Failure> {
        let open: Vec<usize> = (0..self.tracker.open_tracks().len()).collect();
        let mut unseen = Vec::new();
        if let Some(last) = self.frames_since_look.last().map(Arc::clone) {
            for track in open {
                if !self.extend(track, &last)? {
                    unseen.push(track);
                }
            }
        }
        self.find_ends(&unseen)?;
        self.frames_since_look.clear();
        self.looks_since_search.clear();
        Ok(())
    }

    /// Of these tracks, follows those that the last look saw: through the frames since that look, each until it is lost.
    fn find_ends(&mut self, tracks: &[usize]) -> Result<(), Failure> {
        let open = self.tracker.open_tracks();
        let just_lost = |track: &&usize| open[**track].last().t_ms == self.last_look_ms;
        let mut going: Vec<usize> = tracks.iter().filter(just_lost).copied().collect();
        let frames = std::mem::take(&mut self.frames_since_look);
        for frame in &frames {
            if going.is_empty() {
                break;
            }
            let mut still_going = Vec::new();
            for track in going {
                if self.extend(track, frame)? {
                    still_going.push(track);
                }
            }
            going = still_going;
        }
        self.frames_since_look = frames;
        Ok(())
    }

    /// Adds a track's face on a later frame; false when it is not there, or the track may not have it.
    fn extend(&mut self, track: usize, frame: &VideoFrame) -> Result<bool, Failure> {
        let last = self.tracker.open_tracks()[track].last().face.face_box;
        let (t_ms, face) = (frame.time_ms(), self.follow_one(frame, last)?);
        Ok(face.is_some_and(|face| self.tracker.extend(track, SeenFace { t_ms, face })))
    }

    /// Follows a new track back in time: through the looks since the last search; if none shows it, through the frames since
    /// the last look.
    fn find_start(&mut self, track: usize) -> Result<(), Failure> {
        let looks = std::mem::take(&mut self.looks_since_search);
        let mut found_earlier = false;
        for frame in looks.iter().rev() {
            if !self.extend_back(track, frame)? {
                break;
            }
            found_earlier = true;
        }
        self.looks_since_search = looks;
        if found_earlier {
            return Ok(());
        }
        let frames = std::mem::take(&mut self.frames_since_look);
        for frame in frames.iter().rev() {
            if !self.extend_back(track, frame)? {
                break;
            }
        }
        self.frames_since_look = frames;
        Ok(())
    }

    /// Adds a track's face on an earlier frame; false when it is not there, or the track may not have it.
    fn extend_back(&mut self, track: usize, frame: &VideoFrame) -> Result<bool, Failure> {
        let first = self.tracker.open_tracks()[track].first().face.face_box;
        let (t_ms, face) = (frame.time_ms(), self.follow_one(frame, first)?);
        Ok(face.is_some_and(|face| self.tracker.extend_back(track, SeenFace { t_ms, face })))
    }
}

/// Memory of frames.
fn bytes(frames: &[Arc<VideoFrame>]) -> usize {
    frames.iter().map(|frame| frame.size_bytes()).sum()
}

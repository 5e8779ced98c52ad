//! Decides on which frames to look for faces and how hard: everywhere, or only where they were. Knows the tracker and
//! a detector; cuts are told to it.
//!
//! A *look* happens at the recipe's rate and on the first and last frame of each shot. On a look the tracked faces are
//! followed; the whole picture is searched when a shot begins, when nobody is tracked, when a face is missed, and
//! once a second for newcomers. When a track begins or ends, the frames since the look before say just when.

use image::RgbImage;

use crate::config::ClipRecipe;
use crate::face::Detector;
use crate::face::track::Tracker;
use crate::failure::Failure;
use crate::media::VideoFrame;
use crate::types::{Face, FaceBox, SeenFace, Track};

/// While all tracked faces are seen, the whole picture is searched this often, milliseconds.
const SEARCH_EVERY_MS: i64 = 1_000;
/// Two followed faces that overlap by more are one face that both went to.
const SAME_FACE_IOU: f32 = 0.6;
/// Frames that are kept between two looks, at most.
const MOST_KEPT: usize = 16;

/// Looks at one video.
pub(super) struct Looker<'a> {
    detector: &'a mut dyn Detector,
    tracker: Tracker,
    look_every_ms: f64,
    /// Looks are due at `look_every_ms` from here.
    shot_start_ms: i64,
    looks_in_shot: u32,
    shots: usize,
    last_look_ms: i64,
    last_search_ms: i64,
    /// Frames since the last look, oldest first.
    kept: Vec<VideoFrame>,
    /// Pictures of the looks since the last search, oldest first.
    followed: Vec<(i64, RgbImage)>,
    searches: u64,
}

impl<'a> Looker<'a> {
    pub(super) fn new(recipe: &ClipRecipe, detector: &'a mut dyn Detector) -> Self {
        Self {
            detector,
            tracker: Tracker::new(recipe),
            look_every_ms: 1000.0 / recipe.scout_fps.max(0.1),
            shot_start_ms: 0,
            looks_in_shot: 0,
            shots: 0,
            last_look_ms: 0,
            last_search_ms: 0,
            kept: Vec::new(),
            followed: Vec::new(),
            searches: 0,
        }
    }

    /// Takes the next frame of the video.
    pub(super) fn take(&mut self, frame: VideoFrame, begins_shot: bool) -> Result<(), Failure> {
        if begins_shot {
            self.end_shot()?;
            self.tracker.begin_shot(self.shots);
            self.shots += 1;
            self.shot_start_ms = frame.time_ms();
            self.looks_in_shot = 0;
        }
        let due_ms = f64::from(self.looks_in_shot) * self.look_every_ms;
        if (frame.time_ms() - self.shot_start_ms) as f64 + 0.5 < due_ms {
            if self.kept.len() == MOST_KEPT {
                let mut at = 0;
                self.kept.retain(|_| {
                    at += 1;
                    at % 2 == 0
                });
            }
            self.kept.push(frame);
            return Ok(());
        }
        let passed = (frame.time_ms() - self.shot_start_ms) as f64 / self.look_every_ms;
        self.looks_in_shot = passed.floor().max(f64::from(self.looks_in_shot)) as u32 + 1;
        self.look(&frame, begins_shot)
    }

    /// All tracks, and how often a whole picture was searched.
    pub(super) fn finish(mut self, frame_ms: i64) -> Result<(Vec<Track>, u64), Failure> {
        self.end_shot()?;
        Ok((self.tracker.finish(frame_ms), self.searches))
    }

    fn look(&mut self, frame: &VideoFrame, begins_shot: bool) -> Result<(), Failure> {
        let (t_ms, picture) = (frame.time_ms(), frame.picture()?);
        let followed = if begins_shot || self.must_search(t_ms) { None } else { self.follow_all(&picture)? };
        let searched = followed.is_none();
        let (faces, picture) = match followed {
            Some(faces) => (faces, picture),
            None => self.search(picture)?,
        };
        let seen = self.tracker.see(t_ms, &faces);
        self.find_ends(&seen.missed)?;
        if !begins_shot {
            for track in seen.began {
                self.find_start(track)?;
            }
        }
        if searched {
            self.last_search_ms = t_ms;
            self.followed.clear();
        } else {
            self.followed.push((t_ms, picture));
        }
        self.last_look_ms = t_ms;
        self.kept.clear();
        Ok(())
    }

    fn must_search(&self, t_ms: i64) -> bool {
        let open = self.tracker.open_tracks();
        open.is_empty()
            || t_ms - self.last_search_ms >= SEARCH_EVERY_MS
            || open.iter().any(|track| track.last().t_ms != self.last_look_ms)
    }

    fn search(&mut self, picture: RgbImage) -> Result<(Vec<Face>, RgbImage), Failure> {
        self.searches += 1;
        let pictures = [picture];
        let faces = self.detector.detect(&pictures)?.pop().unwrap_or_default();
        let [picture] = pictures;
        Ok((faces, picture))
    }

    /// Every tracked face on this picture; `None` if one is missing or two became one.
    fn follow_all(&mut self, picture: &RgbImage) -> Result<Option<Vec<Face>>, Failure> {
        let followed = self.detector.follow(picture, &self.tracker.last_boxes())?;
        let Some(faces) = followed.into_iter().collect::<Option<Vec<Face>>>() else { return Ok(None) };
        let merged = (0..faces.len()).any(|at| overlaps(&faces[..at], &faces[at].face_box));
        Ok((!merged).then_some(faces))
    }

    /// The shot's last frame has gone by: sees how far its open tracks reach.
    fn end_shot(&mut self) -> Result<(), Failure> {
        let open: Vec<usize> = (0..self.tracker.open_tracks().len()).collect();
        let mut unseen = Vec::new();
        if let Some(last) = self.kept.last() {
            let (t_ms, picture) = (last.time_ms(), last.picture()?);
            for track in open {
                if !self.reaches(track, t_ms, &picture)? {
                    unseen.push(track);
                }
            }
        }
        self.find_ends(&unseen)?;
        self.kept.clear();
        self.followed.clear();
        Ok(())
    }

    /// Follows tracks through the frames since the last look, each as far as it goes.
    fn find_ends(&mut self, tracks: &[usize]) -> Result<(), Failure> {
        let open = self.tracker.open_tracks();
        let just_lost = |track: &&usize| open[**track].last().t_ms == self.last_look_ms;
        let mut going: Vec<usize> = tracks.iter().filter(just_lost).copied().collect();
        let kept = std::mem::take(&mut self.kept);
        for frame in &kept {
            if going.is_empty() {
                break;
            }
            let picture = frame.picture()?;
            let mut still_going = Vec::new();
            for track in going {
                if self.reaches(track, frame.time_ms(), &picture)? {
                    still_going.push(track);
                }
            }
            going = still_going;
        }
        self.kept = kept;
        Ok(())
    }

    /// Whether a track's face is on a later picture; if so it is added.
    fn reaches(&mut self, track: usize, t_ms: i64, picture: &RgbImage) -> Result<bool, Failure> {
        let last = self.tracker.open_tracks()[track].last().face.face_box;
        let face = self.detector.follow(picture, &[last])?.pop().flatten();
        if let Some(face) = face {
            self.tracker.extend(track, SeenFace { t_ms, face });
        }
        Ok(face.is_some())
    }

    /// Follows a new track back: through the looks since the last search, else through the frames since the last look.
    fn find_start(&mut self, track: usize) -> Result<(), Failure> {
        let followed = std::mem::take(&mut self.followed);
        let mut found_earlier = false;
        for (t_ms, picture) in followed.iter().rev() {
            if !self.reaches_back(track, *t_ms, picture)? {
                break;
            }
            found_earlier = true;
        }
        self.followed = followed;
        if found_earlier {
            return Ok(());
        }
        let kept = std::mem::take(&mut self.kept);
        for frame in kept.iter().rev() {
            if !self.reaches_back(track, frame.time_ms(), &frame.picture()?)? {
                break;
            }
        }
        self.kept = kept;
        Ok(())
    }

    /// Whether a track's face is on an earlier picture, where no other track has it; if so it is added.
    fn reaches_back(&mut self, track: usize, t_ms: i64, picture: &RgbImage) -> Result<bool, Failure> {
        let first = self.tracker.open_tracks()[track].first().face.face_box;
        let Some(face) = self.detector.follow(picture, &[first])?.pop().flatten() else { return Ok(false) };
        if self.tracker.faces_at(t_ms).any(|other| other.face_box.iou(&face.face_box) > SAME_FACE_IOU) {
            return Ok(false);
        }
        self.tracker.extend_back(track, SeenFace { t_ms, face });
        Ok(true)
    }
}

fn overlaps(faces: &[Face], face_box: &FaceBox) -> bool {
    faces.iter().any(|other| other.face_box.iou(face_box) > SAME_FACE_IOU)
}

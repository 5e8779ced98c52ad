//! A film's script: who is seen when, where and in what mood, exactly. Knows nothing of files and of YouTube.

use std::f32::consts::TAU;

use rand::Rng;
use serde::Serialize;

use super::chance::{Purpose, chance};
use super::draw::Pose;
use super::expression::Expression;
use super::person::Person;
use crate::types::{Emotion, FaceBox, Span};

/// A film as it will be drawn. The same script is the same film.
#[derive(Debug, Clone, PartialEq)]
pub struct Film {
    /// What its chances are drawn from.
    pub seed: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames a second; the mean of them where the rate varies.
    pub frame_rate: f64,
    /// Whether the time between frames varies.
    pub variable_rate: bool,
    /// The shots, in order; between them are hard cuts.
    pub shots: Vec<Shot>,
}

/// Frames between two cuts.
#[derive(Debug, Clone, PartialEq)]
pub struct Shot {
    /// How long it lasts.
    pub duration_ms: i64,
    /// What it shows.
    pub scene: Scene,
}

/// What a shot shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Scene {
    /// People in front of a wall.
    People(Vec<Role>),
    /// Hills; nobody.
    Landscape,
    /// Writing; nobody.
    Page,
}

/// One person in one shot.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// Who.
    pub person: Person,
    /// In what mood.
    pub emotion: Emotion,
    /// Where the head is on average, as a share of the width.
    pub x: f32,
    /// Half the head's width as a share of the picture's height.
    pub size: f32,
    /// What the motion and the way of showing the mood are drawn from.
    pub seed: u64,
}

/// What a film truly shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilmTruth {
    /// From the first frame to the end of the last shot.
    pub duration_ms: i64,
    /// Frames in the film.
    pub frames: usize,
    /// The shots, in order.
    pub shots: Vec<ShotTruth>,
}

/// What a shot truly shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShotTruth {
    /// When.
    pub span: Span,
    /// Who; empty without a face.
    pub people: Vec<PersonTruth>,
}

/// One person in a shot, seen from its first to its last frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PersonTruth {
    /// Names the person across all films.
    pub person: u64,
    /// The mood.
    pub emotion: Emotion,
    /// `[time in ms, box]`, every half second.
    pub faces: Vec<(i64, FaceBox)>,
}

const TRUTH_STEP_MS: usize = 500;
/// How long a mood takes to become another shade of itself.
const MOOD_MS: f32 = 1_300.0;

impl Film {
    /// From the first frame to the end of the last shot.
    pub fn duration_ms(&self) -> i64 {
        self.shots.iter().map(|shot| shot.duration_ms).sum()
    }

    /// When each shot is, in order.
    pub fn spans(&self) -> Vec<Span> {
        let mut start_ms = 0;
        let span = |shot: &Shot| {
            let span = Span { start_ms, end_ms: start_ms + shot.duration_ms };
            start_ms = span.end_ms;
            span
        };
        self.shots.iter().map(span).collect()
    }

    /// When each frame is shown.
    pub fn frame_times_ms(&self) -> Vec<i64> {
        let mut chance = chance(self.seed, Purpose::FrameTimes);
        let step_ms = 1_000.0 / self.frame_rate;
        let (mut at_ms, mut times_ms) = (0.0, Vec::new());
        while (at_ms as i64) < self.duration_ms() {
            times_ms.push(at_ms as i64);
            at_ms += if self.variable_rate { step_ms * chance.random_range(0.4..1.6) } else { step_ms };
        }
        times_ms
    }

    /// Every face at an instant, as `(person, box)`.
    pub fn faces_at(&self, t_ms: i64) -> Vec<(u64, FaceBox)> {
        let spans = self.spans();
        let Some(at) = spans.iter().position(|span| span.contains(t_ms)) else { return Vec::new() };
        let Scene::People(roles) = &self.shots[at].scene else { return Vec::new() };
        roles.iter().map(|role| (role.person.seed, self.face_box(role, t_ms))).collect()
    }

    /// All that is true of it.
    pub fn truth(&self) -> FilmTruth {
        let shot = |(span, shot): (Span, &Shot)| {
            let roles = if let Scene::People(roles) = &shot.scene { roles.as_slice() } else { &[] };
            let person = |role: &Role| PersonTruth {
                person: role.person.seed,
                emotion: role.emotion,
                faces: (span.start_ms..span.end_ms)
                    .step_by(TRUTH_STEP_MS)
                    .map(|t_ms| (t_ms, self.face_box(role, t_ms)))
                    .collect(),
            };
            ShotTruth { span, people: roles.iter().map(person).collect() }
        };
        FilmTruth {
            duration_ms: self.duration_ms(),
            frames: self.frame_times_ms().len(),
            shots: self.spans().into_iter().zip(&self.shots).map(shot).collect(),
        }
    }

    /// From temple to temple and from above the brows to the chin, as detectors of faces have it.
    fn face_box(&self, role: &Role, t_ms: i64) -> FaceBox {
        let pose = role.pose(self.width, self.height, t_ms);
        let (width, height) = (self.width as f32, self.height as f32);
        let unit = pose.half_width_px;
        let (top, bottom) = (0.78 * role.person.head_height, 0.96 * role.person.head_height);
        // The features move with the turn, the outline hardly does.
        let aside = 0.25 * pose.yaw_rad.sin();
        FaceBox {
            x: (pose.x_px + (aside - 0.9) * unit) / width,
            y: (pose.y_px - top * unit) / height,
            width: 1.8 * unit / width,
            height: (top + bottom) * unit / height,
        }
    }
}

impl Role {
    /// How the person holds the head at an instant of the film.
    pub(super) fn pose(&self, width: u32, height: u32, t_ms: i64) -> Pose {
        let (width, height) = (width as f32, height as f32);
        let mut chance = chance(self.seed, Purpose::Motion);
        let seconds = t_ms as f32 / 1_000.0;
        let mut wave = |reach: f32, slowest_s: f32| {
            let period_s = chance.random_range(0.5 * slowest_s..slowest_s);
            let begin = chance.random_range(0.0..TAU);
            reach * (begin + TAU * seconds / period_s).sin()
        };
        let (sway_x, sway_y, swell) = (wave(0.25, 9.0), wave(0.1, 7.0), wave(0.05, 11.0));
        let (yaw_rad, pitch_rad, roll_rad) = (wave(0.22, 8.0), wave(0.1, 6.0), wave(0.08, 7.0));
        let gaze = wave(1.0, 5.0);
        let half_width_px = self.size * height * (1.0 + swell);
        Pose {
            x_px: self.x * width + sway_x * half_width_px,
            y_px: 0.46 * height + sway_y * half_width_px,
            half_width_px,
            yaw_rad,
            pitch_rad,
            roll_rad,
            gaze,
        }
    }

    /// What the face shows at an instant of the film.
    pub(super) fn expression(&self, t_ms: i64) -> Expression {
        let mut chance = chance(self.seed, Purpose::Blinks);
        let (blink_every_ms, begin_ms) = (chance.random_range(2_200..5_000), chance.random_range(0..5_000));
        let since_blink_ms = (t_ms + begin_ms).rem_euclid(blink_every_ms);
        let lids = ((since_blink_ms - 90).abs() as f32 / 90.0).min(1.0);
        let sway = (TAU * t_ms as f32 / chance.random_range(1_500.0..3_500.0)).sin();
        let moods = t_ms.max(0) as f32 / MOOD_MS;
        let mood = |change: f32| Expression::at(self.emotion, self.seed, change as u64);
        let passed = moods.fract() * moods.fract() * (3.0 - 2.0 * moods.fract());
        mood(moods).towards(mood(moods + 1.0), passed).alive(sway, lids)
    }
}

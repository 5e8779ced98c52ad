//! Writes the scripts of films by what kind of video they are to be. Knows nothing of titles, searches and labels.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::chance::{Purpose, chance};
use super::film::{Film, Role, Scene, Shot};
use super::person::Person;
use super::world::WorldSize;
use crate::types::Emotion;

/// What a film's shots are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plot {
    /// One person at a time, in shots of six seconds or longer, maybe with faceless shots between.
    OneAtATime,
    /// One person for a whole minute.
    OneMinute,
    /// Two people beside each other.
    TwoPeople,
    /// Nobody.
    Nobody,
    /// Faces, none for five seconds.
    Brief,
}

/// Writes scripts; every choice is drawn from the seed.
pub(super) struct Writer {
    chance: ChaCha8Rng,
    size: WorldSize,
    emotion: Emotion,
    cast: [u64; 3],
}

/// Width, height, and how often they are chosen.
const FULL_SIZES: [(u32, u32); 12] = [
    (480, 360),
    (640, 360),
    (480, 360),
    (640, 360),
    (426, 240),
    (480, 360),
    (640, 360),
    (854, 480),
    (480, 360),
    (640, 360),
    (426, 240),
    (960, 540),
];
const SMALL_SIZES: [(u32, u32); 2] = [(426, 240), (480, 360)];
const FULL_RATES: [f64; 6] = [12.0, 12.5, 15.0, 15.0, 20.0, 29.97];
const SMALL_RATES: [f64; 2] = [15.0, 20.0];

impl Writer {
    /// For a film of one mood with these people, of whom not all need to be seen.
    pub(super) fn new(seed: u64, size: WorldSize, emotion: Emotion, cast: [u64; 3]) -> Self {
        Self { chance: chance(seed, Purpose::Script), size, emotion, cast }
    }

    /// The script.
    pub(super) fn write(&mut self, plot: Plot, variable_rate: bool) -> Film {
        let small = self.size == WorldSize::Small;
        let (sizes, rates): (&[_], &[_]) =
            if small { (&SMALL_SIZES, &SMALL_RATES) } else { (&FULL_SIZES, &FULL_RATES) };
        let (width, height) = sizes[self.chance.random_range(0..sizes.len())];
        let frame_rate = match (width, plot) {
            // Large and long films are slow to draw; nothing is learnt from more of their frames.
            (960, _) | (_, Plot::OneMinute) => 15.0,
            _ => rates[self.chance.random_range(0..rates.len())],
        };
        let shots = self.shots(plot);
        Film { seed: self.chance.random(), width, height, frame_rate, variable_rate, shots }
    }

    fn shots(&mut self, plot: Plot) -> Vec<Shot> {
        match (plot, self.size) {
            (Plot::Brief, _) => {
                vec![
                    self.faceless(1_500),
                    self.one(self.cast[0], 3_200),
                    self.faceless(1_800),
                    self.one(self.cast[0], 2_600),
                ]
            }
            (Plot::Nobody, _) => {
                let first_ms = self.chance.random_range(3_000..6_000);
                vec![self.faceless(first_ms), self.faceless(4_000)]
            }
            (Plot::TwoPeople, size) => {
                let length_ms = if size == WorldSize::Small { 6_500 } else { 11_000 };
                vec![self.two(length_ms)]
            }
            (Plot::OneMinute, _) => (0..6).map(|_| self.one(self.cast[0], 10_000)).collect(),
            (Plot::OneAtATime, WorldSize::Small) => {
                let length_ms = self.chance.random_range(6_000..7_500);
                let mut shots = vec![self.one(self.cast[0], length_ms)];
                if self.chance.random_bool(0.4) {
                    shots.push(self.faceless(1_500));
                }
                shots
            }
            (Plot::OneAtATime, WorldSize::Full) => self.people_in_turn(),
        }
    }

    /// Two or three people, one after the other, as compilations show them.
    fn people_in_turn(&mut self) -> Vec<Shot> {
        let mut shots = Vec::new();
        if self.chance.random_bool(0.2) {
            let opening_ms = self.chance.random_range(1_200..3_000);
            shots.push(self.faceless(opening_ms));
        }
        for person in 0..self.chance.random_range(2..=self.cast.len()) {
            if person > 0 && self.chance.random_bool(0.1) {
                let between_ms = self.chance.random_range(1_200..3_000);
                shots.push(self.faceless(between_ms));
            }
            let length_ms = self.chance.random_range(6_000..6_800);
            shots.push(self.one(self.cast[person], length_ms));
        }
        shots
    }

    fn faceless(&mut self, duration_ms: i64) -> Shot {
        let scene = if self.chance.random_bool(0.6) { Scene::Landscape } else { Scene::Page };
        Shot { duration_ms, scene }
    }

    fn one(&mut self, person: u64, duration_ms: i64) -> Shot {
        let (x, size) = (self.chance.random_range(0.36..0.64), self.chance.random_range(0.17..0.25));
        Shot { duration_ms, scene: Scene::People(vec![self.role(person, x, size)]) }
    }

    fn two(&mut self, duration_ms: i64) -> Shot {
        let (left, right) = (self.chance.random_range(0.145..0.165), self.chance.random_range(0.145..0.165));
        let roles = vec![self.role(self.cast[0], 0.27, left), self.role(self.cast[1], 0.73, right)];
        Shot { duration_ms, scene: Scene::People(roles) }
    }

    fn role(&mut self, person: u64, x: f32, size: f32) -> Role {
        let person = Person::from_seed(person);
        Role { person, emotion: self.emotion, x, size, seed: self.chance.random() }
    }
}

//! Draws a script's frames, with the camera's noise, and films them into a file. Knows nothing of who asks for the file.

use image::RgbImage;
use rand::Rng;

use super::backdrop;
use super::chance::{Purpose, chance};
use super::draw::draw_person;
use super::film::{Film, Scene};

/// Draws one film's frames; keeps what a shot's frames have in common.
pub struct Camera<'a> {
    film: &'a Film,
    shot: Option<usize>,
    backdrop: RgbImage,
    noise: Vec<i8>,
}

/// Standard deviation of the noise, of 255.
const NOISE: f32 = 4.0;

/// How many places in the noise a row may begin at.
const NOISE_STARTS: usize = 1 << 15;

/// How much wider than the picture a landscape is.
const PAN: u32 = 40;

impl<'a> Camera<'a> {
    /// A camera for a film.
    pub fn new(film: &'a Film) -> Self {
        let mut chance = chance(film.seed, Purpose::Noise);
        // The sum of twelve even chances is close to a normal one, with a deviation of 1.
        let mut normal = || (0..12).map(|_| chance.random_range(-0.5..0.5_f32)).sum::<f32>();
        let length = NOISE_STARTS + 3 * film.width as usize;
        let noise = (0..length).map(|_| (NOISE * normal()) as i8).collect();
        Self { film, shot: None, backdrop: RgbImage::new(1, 1), noise }
    }

    /// The picture at an instant; after the end, as at the end.
    pub fn picture_at(&mut self, t_ms: i64) -> RgbImage {
        let film = self.film;
        let spans = film.spans();
        let shot = spans.iter().position(|span| span.contains(t_ms)).unwrap_or(spans.len() - 1);
        if self.shot != Some(shot) {
            self.backdrop = paint_backdrop(film, shot);
            self.shot = Some(shot);
        }
        let mut picture = match &film.shots[shot].scene {
            Scene::People(roles) => {
                let mut picture = self.backdrop.clone();
                for role in roles {
                    let pose = role.pose(film.width, film.height, t_ms);
                    draw_person(&mut picture, &role.person, pose, role.expression(t_ms));
                }
                picture
            }
            Scene::Landscape | Scene::Page => {
                let walked = (t_ms - spans[shot].start_ms) * 8 / 1_000;
                let left = (walked.max(0) as u32).min(PAN);
                image::imageops::crop_imm(&self.backdrop, left, 0, film.width, film.height).to_image()
            }
        };
        self.add_noise(&mut picture, t_ms);
        picture
    }

    fn add_noise(&self, picture: &mut RgbImage, t_ms: i64) {
        let row_bytes = 3 * picture.width() as usize;
        let mut start = (t_ms as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize;
        for row in picture.chunks_exact_mut(row_bytes) {
            start = start.wrapping_mul(0x5851_f42d).wrapping_add(0x3039);
            let noise = &self.noise[(start >> 8) % NOISE_STARTS..];
            for (channel, &stray) in row.iter_mut().zip(noise) {
                *channel = (i16::from(*channel) + i16::from(stray)).clamp(0, 255) as u8;
            }
        }
    }
}

fn paint_backdrop(film: &Film, shot: usize) -> RgbImage {
    let seed = film.seed.wrapping_mul(31).wrapping_add(shot as u64);
    match film.shots[shot].scene {
        Scene::People(_) => backdrop::room(film.width, film.height, seed),
        Scene::Landscape => backdrop::landscape(film.width + PAN, film.height, seed),
        Scene::Page => backdrop::page(film.width + PAN, film.height, seed),
    }
}

#[cfg(feature = "media")]
pub use file::shoot;

#[cfg(feature = "media")]
mod file {
    use std::path::Path;

    use super::super::film::Film;
    use super::Camera;
    use crate::clock::Stop;
    use crate::failure::{Failure, Reason};
    use crate::media::{ClipWriter, EncoderOptions, Preset, Written};

    /// Draws and encodes a film; `on_frame` is called after each frame.
    ///
    /// # Errors
    /// What the encoder says, or [`Reason::Interrupted`] when asked to stop.
    pub fn shoot(
        film: &Film,
        path: &Path,
        stop: &Stop,
        on_frame: &mut dyn FnMut(),
    ) -> Result<Written, Failure> {
        let options = EncoderOptions { crf: 23, preset: Preset::UltraFast, ..EncoderOptions::default() };
        let mut writer = ClipWriter::create_with(path, (film.width, film.height), film.frame_rate, options)?;
        let mut camera = Camera::new(film);
        for t_ms in film.frame_times_ms() {
            if stop.is_asked() {
                return Err(Failure::transient(Reason::Interrupted, "filming was interrupted"));
            }
            writer.push(&camera.picture_at(t_ms), t_ms)?;
            on_frame();
        }
        Ok(writer.finish()?)
    }
}

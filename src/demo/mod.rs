//! A small world that answers like YouTube on loopback: draws people, films them, serves the films. It alone knows the
//! truth about its videos.
//!
//! ```text
//! world → script → film            which videos there are, and who is seen when, where and in what mood
//! person · expression              who somebody is, and how an emotion moves the face
//! draw → features · backdrop       one picture: body and head, what moves in the face, what is behind
//! canvas · chance                  soft shapes, repeatable chance
//! camera → studio                  a film as a file, and all films of a world
//! site                             answers like YouTube: searches, facts, media
//! portraits                        drawn faces with known labels, without films
//! ```

mod backdrop;
pub mod camera;
mod canvas;
mod chance;
mod draw;
mod expression;
mod features;
pub mod film;
mod person;
pub mod portraits;
mod script;
pub mod site;
#[cfg(feature = "media")]
pub mod studio;
#[cfg(test)]
mod tests;
pub mod world;

pub use person::Person;

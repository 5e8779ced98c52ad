//! A small world that answers like YouTube on loopback: draws people, films them, serves the films. It alone knows the
//! truth about its videos.

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

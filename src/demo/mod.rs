//! A small world that answers like YouTube on loopback: draws people, films them, serves the films. It alone knows the
//! truth about its videos.

pub mod site;

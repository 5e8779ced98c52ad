//! The one integration binary; each module is one topic.
mod catalog;
mod walls;
mod youtube;

#[cfg(feature = "train")]
mod scn;

#[cfg(all(feature = "media", feature = "train"))]
mod clips;
#[cfg(all(feature = "media", feature = "train"))]
mod crawl;
#[cfg(all(feature = "media", feature = "train"))]
mod demo;
#[cfg(all(feature = "media", feature = "train"))]
mod ends;
#[cfg(all(feature = "media", feature = "train"))]
mod experiment;
#[cfg(all(feature = "media", feature = "train"))]
mod faults;
#[cfg(all(feature = "media", feature = "train"))]
mod fortnight;
#[cfg(all(feature = "media", feature = "train"))]
mod front;
#[cfg(all(feature = "media", feature = "train"))]
mod fuzz;
#[cfg(all(feature = "media", feature = "train"))]
mod help;
#[cfg(all(feature = "media", feature = "train"))]
mod keep;
#[cfg(all(feature = "media", feature = "train"))]
mod kill;
#[cfg(all(feature = "media", feature = "train"))]
mod night;
#[cfg(all(feature = "media", feature = "train"))]
mod program;
#[cfg(all(feature = "media", feature = "train"))]
mod resume;
#[cfg(all(feature = "media", feature = "train"))]
mod rounds;
#[cfg(all(feature = "media", feature = "train"))]
mod schedule;
#[cfg(all(feature = "media", feature = "train"))]
mod scripts;
#[cfg(all(feature = "media", feature = "train"))]
mod shards;

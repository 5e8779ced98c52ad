//! The one integration binary; each module is one topic.
mod walls;
mod youtube;

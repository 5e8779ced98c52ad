//! The one integration binary; each module is one topic.
mod youtube;

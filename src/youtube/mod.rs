//! The outside: what is asked of YouTube and how its answers and refusals are read. The only room that names reqwest
//! and yt-dlp; it knows nothing of the catalog.
//!
//! A [`Lexicon`] plans searches; a [`SearchProvider`] ([`YtDlp`] without a key, [`DataApi`] with one) answers them;
//! [`policy`] judges what was found; [`YtDlp::download`] fetches one video. Text from outside is cleaned in `border`
//! before anything else sees it, and refusals end in the closed list [`Class`].

mod border;
mod classes;
mod data_api;
mod doubt;
mod error;
pub mod lexicon;
pub mod policy;
mod search;
mod ytdlp;

pub use border::SiteId;
pub use classes::{Class, classify};
pub use data_api::{ApiKey, DataApi, IDS_A_CALL, SEARCHES_A_DAY};
pub use error::YoutubeError;
pub use lexicon::{Lexicon, LexiconError, PlannedSearch};
pub use search::{Answer, FoundVideo, Question, SearchProvider};
pub use ytdlp::{Downloaded, Extracted, Limits, Progress, ToolFacts, YtDlp};

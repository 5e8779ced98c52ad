//! The outside: what is asked of YouTube and how its answers and refusals are read. The only room that names reqwest
//! and yt-dlp; it knows nothing of the catalog.
//!
//! A [`Lexicon`] plans searches; a [`SearchProvider`] ([`YtDlp`] without a key, [`DataApi`] with one) answers them;
//! [`policy`] judges the videos found; [`YtDlp::download`] fetches one video.
//!
//! ```text
//! lexicon                          the searches: words, countries, age words
//! search → ytdlp · data_api        who answers them; `ytdlp` also downloads
//! policy                           which videos are too long, too short or not wanted
//! border                           cleans all text from outside before anything else sees it
//! refusals → error · fault         what a refusal of yt-dlp means: for one job, and when many come in a row
//! data_api/errors → error          the same for refusals of the Data API
//! ```

mod border;
mod data_api;
mod error;
mod fault;
pub mod lexicon;
pub mod policy;
mod refusals;
mod search;
mod ytdlp;

pub use border::SiteId;
pub use data_api::{ApiKey, DataApi, IDS_A_CALL, SEARCHES_A_DAY};
pub(crate) use data_api::{asks_for_short, calls_a_search};
pub use error::YoutubeError;
pub use lexicon::{Lexicon, LexiconError, PlannedSearch};
pub use refusals::{Refusal, classify};
pub use search::{Answer, FoundVideo, Question, SearchProvider};
pub use ytdlp::{Downloaded, Extracted, Limits, Progress, ToolFacts, YtDlp};

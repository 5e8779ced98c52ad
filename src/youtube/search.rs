//! One question to the site and its answer, whoever answers it. It knows no provider.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::error::YoutubeError;
use crate::clock::Stop;

/// A search, as a provider is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'a> {
    /// The search text.
    pub text: &'a str,
    /// Videos wanted; a provider may ask for more, because the policy will drop some.
    pub want: u32,
    /// ISO 639-1 code that results should prefer, where the provider can say so.
    pub language: Option<&'a str>,
}

/// A provider's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The tool that answered: `yt-dlp 2026.10.26` or `data-api v3`.
    pub tool_version: String,
    /// The raw answers, in the order asked; for the ledger.
    pub pages: Vec<Vec<u8>>,
    /// The videos found, each once, by rank. All of them: the caller judges and keeps as many as it wants.
    pub hits: Vec<FoundVideo>,
    /// A remark on the answer: that it is empty, or that entries were dropped. It is not stored.
    pub note: Option<String>,
    /// What was said when the site broke off after some pages: there is more to find.
    pub broke_off: Option<String>,
}

/// A video as a search shows it. All text is cleaned; what the provider cannot know is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundVideo {
    /// Eleven safe characters.
    pub site_id: String,
    /// Built from the id, never taken from outside.
    pub url: String,
    /// One line, at most 300 characters.
    pub title: String,
    /// The channel's id.
    pub channel_id: Option<String>,
    /// One line, at most 300 characters.
    pub channel_name: Option<String>,
    /// Promised length in milliseconds.
    pub duration_ms: Option<i64>,
    /// `creativeCommon` or `youtube` (Data API only).
    pub licence: Option<String>,
    /// Live now or not yet begun.
    pub live: bool,
    /// Only for signed-in adults (Data API only).
    pub age_restricted: Option<bool>,
    /// Declared as made for children (Data API only).
    pub made_for_kids: Option<bool>,
    /// Whether viewers in the policy's country can see it (Data API only, and only when a country is set).
    pub in_region: Option<bool>,
    /// Place among the answer's videos, from 1, repeated ones not counted.
    pub rank: u32,
}

/// Answers searches.
pub trait SearchProvider: Send + Sync {
    /// Asks one question.
    ///
    /// # Errors
    /// What the site or the tool refused, the day's quota, or [`YoutubeError::Stopped`].
    fn search<'a>(
        &'a self,
        question: Question<'a>,
        stop: &'a Stop,
    ) -> BoxFuture<'a, Result<Answer, YoutubeError>>;
}

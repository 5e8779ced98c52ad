//! Which jobs a caller is interested in.

use crate::types::Emotion;

/// Restricts the jobs of a stage; the default lets all of them pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobFilter {
    /// Only jobs of this emotion: the search's own, or the video's.
    pub emotion: Option<Emotion>,
    /// Only jobs on videos that this list names.
    pub list: Option<String>,
    /// Only jobs on videos of this site: `youtube`, or `local` for those on disk.
    pub site: Option<&'static str>,
    /// Only searches of this lexicon. Jobs of other stages all pass.
    pub lexicon: Option<String>,
    /// Only searches that were enqueued with this revision. Jobs of other stages all pass.
    pub rev: Option<String>,
}

/// A filter as the queries take it; `null` lets all jobs pass.
#[derive(Clone, Copy)]
pub(super) struct FilterColumns<'a> {
    pub(super) emotion: Option<&'a str>,
    pub(super) list: Option<&'a str>,
    pub(super) site: Option<&'a str>,
    pub(super) lexicon: Option<&'a str>,
    pub(super) rev: Option<&'a str>,
}

impl JobFilter {
    pub(super) fn columns(&self) -> FilterColumns<'_> {
        FilterColumns {
            emotion: self.emotion.map(Emotion::as_str),
            list: self.list.as_deref(),
            site: self.site,
            lexicon: self.lexicon.as_deref(),
            rev: self.rev.as_deref(),
        }
    }
}

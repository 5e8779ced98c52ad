//! `crawl plan`: the searches of a lexicon, and the time they take.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::config::CrawlConfig;
use crate::failure::{Exit, Failure, Reason};
use crate::types::Emotion;
use crate::words::{count, noun};
use crate::youtube::{Lexicon, PlannedSearch, SEARCHES_A_DAY, calls_a_search};

use super::super::{Global, say, session};
use super::{Source, Wanted};

/// WebEmotion kept 41,000 of the 216,000 videos that its searches found.
const PAPERS_SHARE: f64 = 0.19;

/// The lexicon of the flag, else of the settings.
pub(super) fn lexicon(flag: Option<&Path>, policy: &CrawlConfig) -> anyhow::Result<Lexicon> {
    let Some(path) = flag.or(policy.lexicon.as_deref()) else {
        return Ok(Lexicon::builtin());
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::permanent(Reason::Usage, format!("cannot read {}: {error}", path.display()))
    })?;
    Lexicon::parse(&text, &path.display().to_string()).map_err(|error| {
        let failure = Failure::permanent(Reason::Usage, error.to_string());
        failure.with_hint("queries/youtube/webemotion.toml is an example").into()
    })
}

/// The name of the lexicon of the settings.
pub(crate) fn lexicon_of_settings(policy: &CrawlConfig) -> anyhow::Result<String> {
    Ok(lexicon(None, policy)?.name().to_owned())
}

/// Whether a search is wanted by the flags.
pub(super) fn is_wanted(search: &PlannedSearch, wanted: &Wanted) -> bool {
    wanted.include_minors || !search.surfaces_minors
}

/// Prints counts, budget and days. Sends no request and writes nothing.
pub(super) fn print(wanted: &Wanted, global: &Global) -> anyhow::Result<Exit> {
    if let Source::Local(folder) = &wanted.source {
        let detail =
            format!("a plan is of what YouTube would be asked, and local:{} is not", folder.display());
        return Err(Failure::permanent(Reason::Usage, detail).with_hint("leave --source out").into());
    }
    let config = session::load_config(global)?.crawl;
    let lexicon = lexicon(wanted.lexicon.as_deref(), &config)?;
    let cost = Cost::of(&lexicon, wanted, &config);
    if global.json {
        say(json!({"event": "planned", "lexicon": lexicon.name(), "searches": cost.searches(),
            "left_out_minors": cost.minors, "searches_of_emotions": cost.of_emotions,
            "results_per_search": config.results_per_search, "most_videos": cost.most_videos(),
            "videos_per_hour": config.videos_per_hour,
            "days_of_searches": cost.days(cost.searches()), "most_days": cost.days(cost.most_requests()),
            "days_of_search_quota": cost.days_of_quota()}));
    } else {
        cost.print(&lexicon);
    }
    Ok(Exit::Done)
}

/// The totals of a plan.
struct Cost<'a> {
    config: &'a CrawlConfig,
    of_emotions: BTreeMap<Emotion, u64>,
    minors: u64,
}

impl<'a> Cost<'a> {
    fn of(lexicon: &Lexicon, wanted: &Wanted, config: &'a CrawlConfig) -> Self {
        let (mut of_emotions, mut minors) = (BTreeMap::new(), 0);
        let is_meant = |search: &PlannedSearch| wanted.emotion.is_none_or(|only| only == search.emotion);
        for search in lexicon.searches().filter(is_meant) {
            if is_wanted(&search, wanted) {
                *of_emotions.entry(search.emotion).or_insert(0) += 1;
            } else {
                minors += 1;
            }
        }
        Self { config, of_emotions, minors }
    }

    fn searches(&self) -> u64 {
        self.of_emotions.values().sum()
    }

    fn most_videos(&self) -> u64 {
        self.searches() * u64::from(self.config.results_per_search)
    }

    /// Days that the Data API's quota lasts for: a search takes a call for each page of results.
    fn days_of_quota(&self) -> u64 {
        (self.searches() * calls_a_search(self.config.results_per_search)).div_ceil(SEARCHES_A_DAY)
    }

    /// Without a key of the Data API a search takes a token from the same budget as a video does.
    fn most_requests(&self) -> u64 {
        self.searches() + self.most_videos()
    }

    fn days(&self, requests: u64) -> f64 {
        requests as f64 / f64::from(self.config.videos_per_hour) / 24.0
    }

    fn print(&self, lexicon: &Lexicon) {
        let (searches, per_hour) = (self.searches(), self.config.videos_per_hour);
        say(format_args!("lexicon {}: {} {}", lexicon.name(), count(searches), noun(searches, "searches")));
        let emotions = self.of_emotions.iter().map(|(emotion, count)| format!("{emotion} {count}"));
        say(format_args!("  of emotions: {}", emotions.collect::<Vec<_>>().join(", ")));
        if self.minors > 0 {
            say(format_args!(
                "  left out: {} whose age word mostly finds minors (--include-minors)",
                self.minors
            ));
        }
        say(format_args!(
            "  results kept of each: {}, so at most {} videos; the SCN paper's data set kept {:.0} %, \
             which would be {:.0} here",
            self.config.results_per_search,
            count(self.most_videos()),
            PAPERS_SHARE * 100.0,
            self.most_videos() as f64 * PAPERS_SHARE
        ));
        let like_the_paper = (self.most_videos() as f64 * PAPERS_SHARE) as u64;
        say(format_args!(
            "budget: {per_hour} searches and videos an hour, shared by all crawls of the data folder"
        ));
        say(format_args!("  searches without a key    {:>6.1} days", self.days(searches)));
        say(format_args!(
            "  searches with a key       {:>6} days ({SEARCHES_A_DAY} a day is the Data API's quota)",
            self.days_of_quota()
        ));
        say(format_args!("  videos, as many as WebEmotion kept {:>6.1} days", self.days(like_the_paper)));
        say(format_args!("  videos, at most           {:>6.1} days", self.days(self.most_videos())));
    }
}

//! `crawl --from LIST`: exactly the videos of a released list, and how many of them are lost, by reason.

use std::path::Path;

use serde_json::json;

use crate::catalog::jobs::Only;
use crate::catalog::listed::{self, Outcome};
use crate::config::CrawlConfig;
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::budget::Budget;
use crate::pipeline::rebuild::{self, Checked, Rebuild};
use crate::youtube::YtDlp;

use super::super::drive::{Limits, drive, exit};
use super::super::{Session, say};
use super::{CrawlArgs, fetch_stage, terms, told};

pub(super) async fn crawl(
    session: &Session,
    args: &CrawlArgs,
    list: &Path,
    policy: CrawlConfig,
    mut limits: Limits,
) -> anyhow::Result<Exit> {
    let checked = Checked::read(list, args.wanted.emotion)?;
    let on_site = checked.on_site();
    if on_site > 0 && !terms::accepted(session, args.accept_terms || policy.accept_terms).await? {
        return Err(rebuild::needs_terms(on_site).into());
    }
    let rebuild = rebuild::take_in(&session.catalog, &checked).await?;
    limits.slots = session.config.crawl.at_once;
    limits.only = Only { list: Some(rebuild.list.clone()), ..Only::default() };
    let mut ytdlp = None;
    if rebuild.on_site > 0 {
        let tool = YtDlp::new(session.config.tools.find_ytdlp()?, &policy);
        ytdlp = Some((tool, Budget::new(session.catalog.clone(), &policy)));
    }
    let stage = fetch_stage(session, args, &policy, &limits, ytdlp)?;
    let fetched = drive(session, &stage, &limits).await?;
    let outcomes = listed::outcomes(&session.catalog, &rebuild.list).await.map_err(Failure::from)?;
    let loss = Loss::of(&rebuild, outcomes);
    let facts = json!({"list": rebuild.list, "rows": rebuild.rows, "videos": loss.videos, "there": loss.there,
        "waiting": loss.waiting, "lost": loss.lost, "loss_rate": loss.rate()});
    told::close(session, facts, None, Some(&fetched));
    if !session.json {
        loss.print();
    }
    Ok(exit(session, &[&fetched]))
}

/// What is there of a list, and what is not.
struct Loss {
    videos: u64,
    there: u64,
    /// Not tried to the end yet.
    waiting: u64,
    /// By reason, most frequent first.
    lost: Vec<(String, u64)>,
}

impl Loss {
    fn of(rebuild: &Rebuild, outcomes: Vec<Outcome>) -> Self {
        let forgotten = rebuild.forgotten as u64;
        let mut loss = Self { videos: forgotten, there: 0, waiting: 0, lost: Vec::new() };
        for outcome in outcomes {
            loss.videos += outcome.videos;
            match outcome.state.as_str() {
                "done" => loss.there += outcome.videos,
                "rejected" | "dead" => {
                    let reason = outcome.reason.map_or_else(|| outcome.state.clone(), |it| it.as_str());
                    loss.lost.push((reason, outcome.videos));
                }
                _ => loss.waiting += outcome.videos,
            }
        }
        if forgotten > 0 {
            loss.lost.push((Reason::Forgotten.as_str(), forgotten));
        }
        loss
    }

    /// Share of the videos tried to the end that is lost, 0 to 1.
    fn rate(&self) -> f64 {
        let lost: u64 = self.lost.iter().map(|(_, videos)| videos).sum();
        lost as f64 / (lost + self.there).max(1) as f64
    }

    fn print(&self) {
        say(format_args!(
            "list: {} of {} videos are there, {} wait, {:.1} % of those tried are lost",
            self.there,
            self.videos,
            self.waiting,
            self.rate() * 100.0
        ));
        for (reason, videos) in &self.lost {
            say(format_args!("  lost  {reason:<18} {videos:>7}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_rate_is_of_what_was_tried() {
        let rebuild = Rebuild { list: "x".into(), rows: 12, on_site: 9, forgotten: 1 };
        let outcome = |state: &str, reason, videos| Outcome { state: state.into(), reason, videos };
        let loss = Loss::of(
            &rebuild,
            vec![
                outcome("done", None, 5),
                outcome("rejected", Some(Reason::Gone), 2),
                outcome("open", Some(Reason::Network), 2),
            ],
        );
        assert_eq!((loss.videos, loss.there, loss.waiting), (10, 5, 2));
        assert_eq!(loss.lost, [("gone".to_owned(), 2), ("forgotten".to_owned(), 1)]);
        assert_eq!(loss.rate(), 0.375);
    }
}

//! `crawl --from LIST`: exactly the videos of a released list, and how many of them are lost, by reason.

use std::path::Path;

use serde_json::json;

use crate::catalog::jobs::JobFilter;
use crate::catalog::listed::{self, Differing, OutcomeCount};
use crate::config::CrawlConfig;
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::budget::Budget;
use crate::pipeline::rebuild::{self, Checked, Rebuild};
use crate::report::plain;
use crate::types::JobState;
use crate::words::{plural, share};
use crate::youtube::YtDlp;

use super::super::drive::{Limits, drive, exit};
use super::super::{Session, say};
use super::{CrawlArgs, closing, fetch_stage, terms};

pub(super) async fn crawl(
    session: &Session,
    args: &CrawlArgs,
    list: &Path,
    policy: CrawlConfig,
    mut limits: Limits,
) -> anyhow::Result<Exit> {
    let checked = Checked::read(list, args.wanted.emotion, &session.stop)?;
    let on_site = checked.on_site();
    if on_site > 0 && !terms::accepted(session, args.accept_terms || policy.accept_terms).await? {
        return Err(rebuild::needs_terms(on_site).into());
    }
    let rebuild = rebuild::take_in(&session.catalog, &checked).await?;
    limits.slots = session.config.crawl.at_once;
    limits.only = JobFilter { list: Some(rebuild.list.clone()), ..JobFilter::default() };
    let mut ytdlp = None;
    if rebuild.on_site > 0 {
        let tool = YtDlp::new(session.config.tools.find_ytdlp()?, &policy);
        ytdlp = Some((tool, Budget::new(session.catalog.clone(), &policy)));
    }
    let stage = fetch_stage(session, args, &policy, &limits, ytdlp)?;
    let fetched = drive(session, &stage, &limits).await?;
    let outcomes = listed::outcomes(&session.catalog, &rebuild.list).await.map_err(Failure::from)?;
    let differing = listed::differing(&session.catalog, &rebuild.list).await.map_err(Failure::from)?;
    let loss = Loss::of(&rebuild, outcomes);
    let facts = json!({"list": rebuild.list, "rows": rebuild.rows, "new": rebuild.new,
        "videos": loss.videos, "there": loss.there, "waiting": loss.waiting, "lost": loss.lost, "loss_rate": loss.rate(),
        "unreadable": rebuild.unreadable, "differing": differing.len()});
    closing::close(session, facts, None, Some(&fetched));
    if !session.json {
        if rebuild.new > 0 {
            say(format_args!("list: {} of {} new", rebuild.new, plural(rebuild.rows, "row")));
        }
        loss.print();
        first_of(&rebuild.unreadable.iter().map(|problem| plain(problem)).collect::<Vec<_>>());
        report_differing(&differing);
    }
    Ok(match exit(session, &[&fetched]) {
        Exit::NothingToDo if rebuild.new > 0 => Exit::Done,
        exit => exit,
    })
}

/// The most lines printed of one kind.
const MOST_LINES: usize = 20;

/// Prints the first lines, and the number of the others.
fn first_of(lines: &[String]) {
    lines.iter().take(MOST_LINES).for_each(|line| say(format_args!("  {line}")));
    if lines.len() > MOST_LINES {
        say(format_args!("  … and {} more", lines.len() - MOST_LINES));
    }
}

/// Prints how many rows were made from other files than those here, and names those on disk. A site re-encodes its videos
/// now and then.
fn report_differing(differing: &[Differing]) {
    if differing.is_empty() {
        return;
    }
    let on_disk: Vec<String> = differing
        .iter()
        .filter(|row| row.is_local)
        .map(|row| format!("row {}: {} is another file", row.line, plain(&row.url)))
        .collect();
    let (rows, local) = (plural(differing.len(), "row"), on_disk.len());
    say(format_args!(
        "list: the files of {rows} are not those it was made from (sha256), {local} of them on disk"
    ));
    first_of(&on_disk);
}

/// The outcome of a list's videos.
struct Loss {
    videos: u64,
    there: u64,
    /// Not finished yet.
    waiting: u64,
    /// By reason, most frequent first.
    lost: Vec<(String, u64)>,
}

impl Loss {
    fn of(rebuild: &Rebuild, outcomes: Vec<OutcomeCount>) -> Self {
        let mut loss = Self { videos: 0, there: 0, waiting: 0, lost: Vec::new() };
        for outcome in outcomes {
            match outcome.state {
                JobState::Done => loss.there += outcome.videos,
                JobState::Rejected | JobState::Dead => {
                    let reason = outcome.reason.map_or_else(|| outcome.state.to_string(), |it| it.as_str());
                    loss.lose(reason, outcome.videos);
                }
                JobState::Open | JobState::Held => loss.waiting += outcome.videos,
            }
        }
        loss.lose(Reason::SourceGone.as_str(), rebuild.unreadable.len() as u64);
        loss.lose(Reason::Forgotten.as_str(), rebuild.forgotten as u64);
        loss.videos = loss.there + loss.waiting + loss.lost.iter().map(|(_, videos)| videos).sum::<u64>();
        loss
    }

    /// Counts videos as lost for a reason.
    fn lose(&mut self, reason: String, videos: u64) {
        match self.lost.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, lost)) => *lost += videos,
            None if videos > 0 => self.lost.push((reason, videos)),
            None => {}
        }
    }

    /// Share of lost videos among the finished ones, 0 to 1.
    fn rate(&self) -> f64 {
        let lost: u64 = self.lost.iter().map(|(_, videos)| videos).sum();
        lost as f64 / (lost + self.there).max(1) as f64
    }

    fn print(&self) {
        say(format_args!(
            "list: {} of {} videos are there, {} wait, {} of those tried are lost",
            self.there,
            self.videos,
            self.waiting,
            share(self.rate())
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
    fn the_loss_rate_counts_finished_videos_only() {
        let unreadable = vec!["row 3: cannot read a.mp4".to_owned()];
        let rebuild = Rebuild { list: "x".into(), rows: 12, new: 12, on_site: 9, forgotten: 1, unreadable };
        let outcome = |state, reason, videos| OutcomeCount { state, reason, videos };
        let loss = Loss::of(
            &rebuild,
            vec![
                outcome(JobState::Done, None, 5),
                outcome(JobState::Rejected, Some(Reason::Gone), 2),
                outcome(JobState::Rejected, Some(Reason::SourceGone), 1),
                outcome(JobState::Open, Some(Reason::Network), 2),
            ],
        );
        assert_eq!((loss.videos, loss.there, loss.waiting), (12, 5, 2));
        let lost = [("gone", 2), ("source-gone", 2), ("forgotten", 1)];
        assert_eq!(loss.lost, lost.map(|(reason, videos)| (reason.to_owned(), videos)));
        assert_eq!(loss.rate(), 0.5);
    }
}

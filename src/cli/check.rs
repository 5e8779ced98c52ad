//! `webemotion check`: whether the catalog is sound and every file matches its row; with `--repair`, has what is lost made
//! again.

use std::collections::BTreeSet;

use serde_json::json;

use crate::catalog::check::{self, PromisedFile, WithoutCrop};
use crate::catalog::{jobs, videos};
use crate::failure::{Exit, Failure};
use crate::pipeline::{cut, fetch};
use crate::progress::Event;
use crate::store;
use crate::types::VideoId;
use crate::words::{plural, were};

use super::{Global, Session, say};

/// Flags of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    webemotion check --quick\n  \
    webemotion check --repair && webemotion run\n\n\
    Exit codes: 0 all is well, or will be after the next crawl and clips; 1 something is wrong, see --repair; 3 \
    the catalog's own file is damaged: `webemotion restore` goes back to a backup.")]
pub(crate) struct CheckArgs {
    /// Compare sizes only; without it every file is read and hashed
    #[arg(long)]
    quick: bool,
    /// Have lost and spoilt files made once more: videos are fetched, clips cut and sampled again
    ///
    /// A video that is cut again gets new samples: what training runs thought of its old ones, opinions and relabels, is
    /// dropped with them.
    #[arg(long)]
    repair: bool,
}

const TASK: &str = "check";

/// The problems that were found.
#[derive(Debug, Default)]
struct Findings {
    /// In the catalog's own file, which this command cannot repair.
    damage: Vec<String>,
    /// In other files and rows, in words.
    problems: Vec<String>,
    /// The same for superseded scans: nothing in use needs these, and they are not made again.
    past: Vec<String>,
    /// Videos whose file is to be fetched again.
    videos: BTreeSet<VideoId>,
    /// How many of them came from this machine's disk: these come back only with another `crawl --source local:DIR`.
    taken_in: usize,
    /// Videos whose clips are to be cut again.
    cuts: BTreeSet<VideoId>,
}

impl Findings {
    /// Adds a problem with a file. Only clips of the latest scan can be cut again.
    fn add_file(&mut self, file: &PromisedFile, problem: &str) {
        let words = format!("{} {}: {problem}", file.what, file.path.display());
        if file.is_superseded {
            self.past.push(words);
            return;
        }
        self.problems.push(words);
        let lost = if file.what == "video" { &mut self.videos } else { &mut self.cuts };
        lost.insert(file.video);
    }

    /// Adds samples without a picture.
    fn add_without_crop(&mut self, found: WithoutCrop) {
        let words = format!("video {}: samples without a picture", found.video.0);
        if found.is_superseded {
            self.past.push(words);
        } else {
            self.problems.push(words);
            self.cuts.insert(found.video);
        }
    }
}

pub(crate) async fn run(args: CheckArgs, global: &Global) -> anyhow::Result<Exit> {
    let session =
        if args.repair { Session::existing(global).await? } else { Session::reading(global).await? };
    let findings = examine(&session, args.quick).await?;
    let is_repaired = args.repair && findings.damage.is_empty();
    if is_repaired {
        repair(&session, &findings).await?;
    }
    close(&session, &findings, is_repaired);
    Ok(if !findings.damage.is_empty() {
        Exit::Unusable
    } else if findings.problems.is_empty() || is_repaired {
        Exit::Done
    } else {
        Exit::SomeDead
    })
}

async fn examine(session: &Session, quick: bool) -> Result<Findings, Failure> {
    let mut findings = Findings { damage: check::integrity(&session.catalog).await?, ..Findings::default() };
    let files = check::files(&session.catalog).await?;
    let total = Some(files.len() as u64);
    session.reporter.report(&Event::Began { task: TASK.to_owned(), total, unit: "files".to_owned() });
    for (done, file) in (1..).zip(&files) {
        if session.stop.is_asked() {
            return Err(Failure::transient(
                crate::failure::Reason::Interrupted,
                "interrupted while checking",
            ));
        }
        if let Some(problem) = problem_with(session, file, quick) {
            findings.add_file(file, &problem);
        }
        session.reporter.report(&Event::Advanced {
            task: TASK.to_owned(),
            done,
            note: String::new(),
            throughput: None,
        });
    }
    for found in check::without_crop(&session.catalog).await? {
        findings.add_without_crop(found);
    }
    // Clips whose source was discarded are cut again once it is fetched.
    for video in &findings.cuts {
        if videos::get(&session.catalog, *video).await?.file.is_none() {
            findings.videos.insert(*video);
        }
    }
    for video in &findings.videos {
        let found = videos::get(&session.catalog, *video).await?.found;
        findings.taken_in += usize::from(found.site == "local");
    }
    let note = plural(findings.problems.len() + findings.damage.len(), "problem");
    session.reporter.report(&Event::Ended { task: TASK.to_owned(), note });
    Ok(findings)
}

fn problem_with(session: &Session, file: &PromisedFile, quick: bool) -> Option<String> {
    let path = session.store.root().join(&file.path);
    match std::fs::metadata(&path) {
        Err(error) => return Some(error.to_string()),
        Ok(facts) if facts.len() != file.size_bytes => {
            return Some(format!("it has {} bytes, and its row says {}", facts.len(), file.size_bytes));
        }
        Ok(_) => {}
    }
    if quick {
        return None;
    }
    match store::digest(&path) {
        Ok((_, sha256)) if sha256 == file.sha256 => None,
        Ok(_) => Some("its bytes are not those that were stored".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Reopens the jobs that make lost files again, which repairs every problem. A clip that is cut again gets new samples;
/// opinions and relabels of the old ones are removed with them.
async fn repair(session: &Session, findings: &Findings) -> Result<(), Failure> {
    let ids = |videos: &BTreeSet<VideoId>| videos.iter().map(|id| id.0).collect::<Vec<_>>();
    let mut tx = session.catalog.begin().await?;
    for video in &findings.videos {
        videos::discard_file(&mut tx, *video).await?;
    }
    jobs::reopen(&mut tx, fetch::NAME, &ids(&findings.videos)).await?;
    let (waiting, ready): (BTreeSet<VideoId>, _) =
        findings.cuts.iter().partition(|video| findings.videos.contains(video));
    // Reopened now, a cut would be rejected before its video is fetched.
    jobs::await_source(&mut tx, cut::NAME, &ids(&waiting), "its clips are cut again once it is fetched")
        .await?;
    jobs::reopen(&mut tx, cut::NAME, &ids(&ready)).await?;
    Ok(tx.commit().await?)
}

fn close(session: &Session, findings: &Findings, is_repaired: bool) {
    if session.json {
        let repaired = if is_repaired { findings.problems.len() } else { 0 };
        say(json!({"event": "checked", "damage": findings.damage, "problems": findings.problems,
            "past": findings.past, "fetch_again": findings.videos.len(), "taken_in": findings.taken_in,
            "cut_again": findings.cuts.len(), "repaired": repaired}));
        return;
    }
    for line in findings.damage.iter().chain(&findings.problems) {
        say(line);
    }
    for line in &findings.past {
        say(format_args!("{line} (of an earlier scan: nothing in use needs it, and nothing makes it again)"));
    }
    if !findings.damage.is_empty() {
        say("check: the catalog's file is damaged: `webemotion restore FILE` goes back to a backup");
    } else if findings.problems.is_empty() {
        let what = if findings.past.is_empty() { "all" } else { "all that is in use" };
        say(format_args!("check: {what} is well"));
    } else if is_repaired {
        say(format_args!(
            "check: {}; {} will be fetched and {} cut again by the next `webemotion run`",
            plural(findings.problems.len(), "problem"),
            plural(findings.videos.len() - findings.taken_in, "video"),
            findings.cuts.len()
        ));
        if findings.taken_in > 0 {
            say(format_args!(
                "check: {} {} taken in from disk: `webemotion crawl --source local:DIR` brings back what is lost",
                plural(findings.taken_in, "video"),
                were(findings.taken_in as u64)
            ));
        }
    } else {
        let problems = plural(findings.problems.len(), "problem");
        say(format_args!("check: {problems}; --repair has lost files made again"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::samples;
    use crate::failure::Reason;
    use crate::types::{JobState, StageName};

    async fn state(session: &Session, stage: StageName) -> (JobState, Option<Reason>) {
        let job = jobs::get(&session.catalog, stage, 1).await.unwrap().unwrap();
        (job.state, job.reason)
    }

    #[tokio::test]
    async fn a_cut_whose_video_has_to_be_fetched_first_is_due_once_the_file_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let mut tx = session.catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        samples::tests::fill(&mut tx, id, 1).await;
        let done = jobs::MergedEnd { state: JobState::Done, reason: None, detail: None };
        for stage in [StageName::Fetch, StageName::Scan, StageName::Cut] {
            jobs::record_merged_end(&mut tx, stage, id.0, "1", &done).await.unwrap();
        }
        tx.commit().await.unwrap();
        let findings = examine(&session, true).await.unwrap();
        assert_eq!((findings.videos.len(), findings.cuts.len()), (1, 1), "its source was discarded");
        repair(&session, &findings).await.unwrap();
        assert_eq!(state(&session, StageName::Fetch).await, (JobState::Open, None));
        let waits = (JobState::Rejected, Some(Reason::SourceGone));
        assert_eq!(state(&session, StageName::Cut).await, waits);
        assert_eq!(jobs::retry(&session.catalog, Reason::SourceGone, None).await.unwrap(), 0);
        assert_eq!(state(&session, StageName::Cut).await, waits);

        let mut tx = session.catalog.begin().await.unwrap();
        assert_eq!(jobs::source_is_back(&mut tx, id).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(state(&session, StageName::Cut).await, (JobState::Open, None));
    }

    #[tokio::test]
    async fn a_lost_clip_of_a_superseded_scan_is_not_cut_again() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let mut tx = session.catalog.begin().await.unwrap();
        let id = videos::upsert(&mut tx, &videos::tests::some("a", None)).await.unwrap().unwrap();
        samples::tests::fill_by("1", &mut tx, id, 1).await;
        samples::tests::fill_by("2", &mut tx, id, 1).await;
        tx.commit().await.unwrap();
        let mut files = check::files(&session.catalog).await.unwrap();
        files.sort_by_key(|file| file.is_superseded);
        assert_eq!(files.iter().map(|file| file.is_superseded).collect::<Vec<_>>(), [false, true]);

        let mut findings = Findings::default();
        findings.add_file(&files[1], "it is gone");
        findings.add_without_crop(WithoutCrop { video: id, is_superseded: true });
        assert_eq!((findings.problems.len(), findings.past.len(), findings.cuts.len()), (0, 2, 0));
        findings.add_file(&files[0], "it is gone");
        assert_eq!((findings.problems.len(), findings.past.len(), findings.cuts.len()), (1, 2, 1));
        let found = examine(&session, true).await.unwrap();
        assert_eq!((found.problems.len(), found.past.len(), found.cuts.len()), (1, 1, 1));
    }
}

//! The situation before a round: what is due, what waits, how much disk is free. Numbers only; decides nothing.

use crate::catalog::jobs::JobFilter;
use crate::catalog::{acceptances, funnel, jobs, pauses, runs, samples};
use crate::failure::{Failure, Reason};
use crate::pipeline::{cut, fetch, scan, search};
use crate::types::StageName;

use super::super::{Session, crawl};
use super::Work;

/// What a round's decisions are based on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Standing {
    /// When it was read, milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// Whether any search was ever planned.
    pub(crate) is_planned: bool,
    /// Whether downloads are allowed: the source is local, or the site's current terms were accepted.
    pub(crate) may_download: bool,
    /// Searches of the lexicon due now.
    pub(crate) searches: u64,
    /// Downloads due now, as far as a crawl of the round's source takes them.
    pub(crate) downloads: u64,
    /// Scans and cuts due now.
    pub(crate) scans_and_cuts: u64,
    /// Videos with a file that were not scanned with the settings in force.
    pub(crate) unseen_files: u64,
    /// Videos that are downloaded but not cut yet: due, held or postponed.
    pub(crate) waiting: u64,
    /// Free disk, bytes.
    pub(crate) free_bytes: u64,
    /// Stages that are paused.
    pub(crate) paused: Vec<(StageName, Reason)>,
    /// Samples that no finished run of the method has seen.
    pub(crate) new_samples: u64,
    /// An interrupted run of the recipe.
    pub(crate) cut_off: Option<String>,
}

impl Standing {
    /// Reads the catalog and the disk.
    pub(crate) async fn read(session: &Session, work: &Work) -> anyhow::Result<Self> {
        let new_samples =
            samples::count_unseen(&session.catalog, &work.method()).await.map_err(Failure::from)?;
        let cut_off = cut_off(session, work).await?;
        Ok(Self { new_samples, cut_off, ..Self::of_queue(session).await? })
    }

    /// The same without training, which is cheap enough for every few seconds.
    pub(crate) async fn of_queue(session: &Session) -> anyhow::Result<Self> {
        let catalog = &session.catalog;
        let of_stages = funnel::stages(catalog).await.map_err(Failure::from)?;
        let unended = of_stages.iter().filter(|it| !it.state.is_finished());
        let waiting =
            unended.filter(|it| [scan::NAME, cut::NAME].contains(&it.stage)).map(|it| it.jobs).sum();
        let due = async |stage, only: JobFilter| {
            jobs::count_due_of(catalog, stage, &only).await.map_err(Failure::from)
        };
        let rev = scan::rev(&session.config.clips);
        let paused = pauses::in_force(catalog).await.map_err(Failure::from)?;
        let accepted = acceptances::latest(catalog, crawl::TERMS).await.map_err(Failure::from)?;
        let is_local = session.config.run.source != "youtube";
        // If the lexicon cannot be read, all are counted; the crawl reports what is wrong with it.
        let lexicon = crawl::lexicon_of_settings(&session.config.crawl).ok();
        let site = is_local.then_some("local");
        Ok(Self {
            at_ms: session.clock.now_ms(),
            is_planned: of_stages.iter().any(|it| it.stage == search::NAME),
            may_download: is_local
                || session.config.crawl.accept_terms
                || accepted.as_ref().is_some_and(crawl::stands),
            searches: due(search::NAME, JobFilter { lexicon, ..JobFilter::default() }).await?,
            downloads: due(fetch::NAME, JobFilter { site, ..JobFilter::default() }).await?,
            scans_and_cuts: due(scan::NAME, JobFilter::default()).await?
                + due(cut::NAME, JobFilter::default()).await?,
            unseen_files: jobs::count_unasked(catalog, &rev).await.map_err(Failure::from)?,
            waiting,
            free_bytes: session.store.free_bytes().map_err(Failure::from)?,
            paused: paused.into_iter().map(|pause| (pause.stage, pause.reason)).collect(),
            ..Self::default()
        })
    }

    /// The pause of a stage, if it has one.
    pub(crate) fn pause_of(&self, stage: StageName) -> Option<Reason> {
        self.paused.iter().find(|(paused, _)| *paused == stage).map(|(_, reason)| *reason)
    }
}

#[cfg(feature = "train")]
async fn cut_off(session: &Session, work: &Work) -> anyhow::Result<Option<String>> {
    let run: Option<runs::Run> = super::super::train::command::cut_off(session, &work.train).await?;
    Ok(run.map(|run| run.name))
}

#[cfg(not(feature = "train"))]
async fn cut_off(session: &Session, _work: &Work) -> anyhow::Result<Option<String>> {
    let all = runs::list(&session.catalog).await.map_err(Failure::from)?;
    Ok(all.into_iter().rfind(|run| run.state == runs::RunState::Stopped).map(|run| run.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::videos;

    #[tokio::test]
    async fn terms_that_changed_since_they_were_accepted_allow_no_download() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::still(folder.path()).await;
        let mut tx = session.catalog.begin().await.unwrap();
        acceptances::insert(&mut tx, crawl::TERMS, "1999-01-01").await.unwrap();
        tx.commit().await.unwrap();
        assert!(!Standing::of_queue(&session).await.unwrap().may_download);
    }

    #[tokio::test]
    async fn only_what_the_rounds_own_crawl_would_take_is_due() {
        let folder = tempfile::tempdir().unwrap();
        let mut session = Session::still(folder.path()).await;
        let mut tx = session.catalog.begin().await.unwrap();
        for (site, site_id) in [("youtube", "a"), ("youtube", "b"), ("local", "c")] {
            let (site, site_id) = (site.to_owned(), site_id.to_owned());
            let video = videos::NewVideo { site, site_id, ..videos::NewVideo::default() };
            let id = videos::upsert(&mut tx, &video).await.unwrap().unwrap();
            jobs::enqueue(&mut tx, fetch::NAME, fetch::REV, 1, id.0).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(Standing::of_queue(&session).await.unwrap().downloads, 3);
        session.config.run.source = "local:talks".to_owned();
        assert_eq!(Standing::of_queue(&session).await.unwrap().downloads, 1);
    }
}

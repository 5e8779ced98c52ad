//! The stages and what drives them: claim, load, run, commit. Holds no SQL and opens no video itself.
//!
//! A [`Stage`] says what is done to one subject; the [`Driver`] says when, by whom, how often, and what a failure
//! leads to. Every stage is driven by the same driver over the same job table.
//!
//! ```text
//! search → fetch → scan → cut                    the stages, in the order of the walk
//! driver · plan · remedy · patience              what drives them: claims, what failures lead to, waits
//! lease · takeover · worker_name                 who holds a job, who died with one, how each is called
//! budget                                         the pace at which a site is asked
//! local → intake · rebuild                       videos that no search found: of folders, of lists
//! cpu → eyes · inspection · staged_clips         worker processes, what they find, the clips they leave for `cut`
//! shard → merge                                  work carried to other machines, and home again
//! duplicates · recrop · discard                  what becomes of clips and videos afterwards
//! ```

pub(crate) mod budget;
pub mod cpu;
pub(crate) mod cut;
pub(crate) mod discard;
mod driver;
pub(crate) mod duplicates;
#[cfg(all(feature = "media", feature = "train"))]
pub mod eyes;
pub(crate) mod fetch;
pub mod inspection;
pub(crate) mod intake;
mod lease;
pub(crate) mod local;
pub(crate) mod merge;
mod patience;
mod plan;
pub(crate) mod rebuild;
pub(crate) mod recrop;
mod remedy;
pub(crate) mod scan;
pub(crate) mod search;
pub(crate) mod shard;
pub(crate) mod staged_clips;
pub(crate) mod takeover;
pub(crate) mod worker_name;

use std::future::Future;
use std::path::PathBuf;

use crate::catalog::jobs::HeldJob;
use crate::catalog::videos::Video;
use crate::catalog::{Catalog, CatalogError, Transaction};
use crate::clock::{Clock, Stop};
use crate::failure::{Failure, FailureKind, Reason};
use crate::progress::Reporter;
use crate::store::Store;
use crate::types::StageName;

pub use driver::Driver;
pub use patience::Patience;
pub use plan::{DrivePlan, Driven};
pub use worker_name::worker_name;

/// One kind of work. `run` sees no database, `commit` sees no tool.
///
/// Implement the three with `async fn`; the returned futures must be `Send`.
pub trait Stage: Sync {
    /// Its name in the job table.
    const NAME: StageName;
    /// The unit of progress, in the plural: `videos`, `searches` …
    const UNIT: &'static str;
    /// The loaded subject of a job.
    type Subject: Send;
    /// The result of the work.
    type Output: Send;

    /// The stage's revision with the hash of its recipe. Work done with another revision is done again.
    fn rev(&self) -> String;

    /// Other stages that send requests to the same site from the same address. When the site rate-limits or blocks one
    /// of them, all of them pause.
    fn shares_rate_limit_with(&self) -> &'static [StageName] {
        &[]
    }

    /// Loads the subject from the catalog.
    fn load(
        &self,
        catalog: &Catalog,
        subject_id: i64,
    ) -> impl Future<Output = Result<Self::Subject, Failure>> + Send;

    /// Does the work. When it returns, its files are in their final places. It may be dropped at any `.await`.
    fn run(
        &self,
        subject: Self::Subject,
        context: &JobContext<'_>,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// What a finished job adds to the reported throughput; nothing where only the number of jobs counts.
    fn gain(&self, _output: &Self::Output) -> Gain {
        Gain::default()
    }

    /// Writes rows and asks for follow-up jobs, in the transaction that also ends the job.
    fn commit(
        &self,
        tx: &mut Transaction,
        output: Self::Output,
    ) -> impl Future<Output = Result<Outcome, CatalogError>> + Send;

    /// Removes the job's unfinished work, once the catalog says that the job is done or rejected. Whoever lost the
    /// lease removes nothing: another holder may be using it.
    fn clean_up(&self, _subject_id: i64) -> Result<(), Failure> {
        Ok(())
    }
}

/// The amount of work that jobs did, for the reported throughput.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gain {
    /// Length of the video that was scanned, milliseconds.
    pub video_ms: i64,
    /// Face tracks that were found.
    pub faces: u64,
}

/// How work that succeeded ends its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The job is done.
    Done,
    /// Only a part of the result was obtained, for a cause that may pass. The job is tried again, and given up after
    /// the last attempt. The rows are committed either way.
    InPart {
        /// The cause.
        reason: Reason,
        /// In words.
        detail: String,
    },
    /// The subject is rejected; the rows that explain it are committed all the same.
    Rejected {
        /// Why.
        reason: Reason,
        /// In words, with the numbers that led to it.
        detail: String,
    },
}

/// What the work may use while it runs. The driver keeps the lease meanwhile.
pub struct JobContext<'a> {
    /// The held job.
    pub job: &'a HeldJob,
    /// Once it is urgent, the work is dropped. Long work may also end early with [`Reason::Interrupted`].
    pub stop: &'a Stop,
    /// Once it is asked, work that is still waiting for its turn ends with [`Reason::Interrupted`].
    pub no_more_claims: Option<&'a Stop>,
    /// The same from this time on, milliseconds since 1970.
    pub deadline_ms: Option<i64>,
    /// The time.
    pub clock: &'a Clock,
    /// Where progress is reported.
    pub reporter: &'a dyn Reporter,
}

/// Returns `outcome`; removes the staging folder if it was rejected.
fn clear_staging_if_rejected<T>(
    store: &Store,
    work: &str,
    outcome: Result<T, Failure>,
) -> Result<T, Failure> {
    if outcome.as_ref().is_err_and(|failure| failure.kind == FailureKind::Rejected) {
        store.clear_staging(work)?;
    }
    outcome
}

/// Runs blocking work on another thread, so that the runtime can keep leases meanwhile, including that of this job.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::bug(format!("work on files ended early: {error}")))
}

/// The path of a video's file. A video whose file was discarded is rejected; its clips stay.
fn source(store: &Store, video: &Video) -> Result<PathBuf, Failure> {
    let file = video.file.as_ref().ok_or_else(|| {
        let detail = format!("the file of video {} ({}) is gone", video.id.0, video.found.site_id);
        Failure::rejected(Reason::SourceGone, detail)
            .with_hint("`webemotion retry --reason source-gone` has it fetched again")
    })?;
    Ok(store.root().join(&file.path))
}

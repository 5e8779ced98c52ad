//! The stages and what drives them: claim, load, run, commit. Holds no SQL and opens no video itself.
//!
//! A [`Stage`] says what is done to one subject; the [`Driver`] says when, by whom, how often, and what a failure
//! leads to. Every stage is driven by the same driver over the same job table.
//!
//! ```text
//! search → fetch → scan → cut                    the stages, in the order of the walk
//! driver · plan · remedy · patience              what drives them: claims, what failures lead to, waits
//! lease · takeover                               who holds a job, who died with one
//! budget                                         the pace at which a site is asked
//! local → intake · rebuild                       videos that no search found: of folders, of lists
//! cpu → eyes · inspection · cuttings             worker processes, what they see, what they leave for the stages
//! shard → merge                                  work carried to other machines, and home again
//! twins · recrop · discard                       what becomes of clips and videos afterwards
//! ```

pub(crate) mod budget;
pub mod cpu;
pub(crate) mod cut;
pub(crate) mod cuttings;
pub(crate) mod discard;
mod driver;
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
pub(crate) mod takeover;
pub(crate) mod twins;

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
pub use lease::worker_name;
pub use patience::Patience;
pub use plan::{DrivePlan, Driven};

/// One kind of work. `run` sees no database, `commit` sees no tool.
///
/// Implement the three with `async fn`; the returned futures must be `Send`.
pub trait Stage: Sync {
    /// Its name in the job table.
    const NAME: StageName;
    /// What one job is about, for the reader of a progress bar: `videos`, `searches` …
    const UNIT: &'static str;
    /// What a job is about, loaded.
    type Subject: Send;
    /// What the work made of it.
    type Output: Send;

    /// Its revision with the hash of its recipe. With another one, work that was done before is to be done again.
    fn rev(&self) -> String;

    /// Other stages that ask the same site under the same name. When the site tells one of them to slow down, or takes
    /// it for a robot, all of them pause.
    fn neighbours(&self) -> &'static [StageName] {
        &[]
    }

    /// Reads what the work needs.
    fn load(
        &self,
        catalog: &Catalog,
        subject_id: i64,
    ) -> impl Future<Output = Result<Self::Subject, Failure>> + Send;

    /// Does the work. Its files stand in their places when it returns; it may be dropped at any `.await`.
    fn run(
        &self,
        subject: Self::Subject,
        context: &JobContext<'_>,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// What a job that is done adds to the progress that is told; nothing where the number of jobs says it all.
    fn gain(&self, _output: &Self::Output) -> Gain {
        Gain::default()
    }

    /// Writes rows and asks for follow-up jobs, in the transaction that also ends the job.
    fn commit(
        &self,
        tx: &mut Transaction,
        output: Self::Output,
    ) -> impl Future<Output = Result<Outcome, CatalogError>> + Send;
}

/// What jobs came to, where that tells how fast work gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gain {
    /// Video that was looked at, milliseconds.
    pub video_ms: i64,
    /// Faces that were followed.
    pub faces: u64,
}

/// How work that succeeded ends its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Done,
    /// With only a part of the result, for a cause that may pass: it is tried again, and given up after the last
    /// attempt. The rows are committed either way.
    InPart {
        /// The cause.
        reason: Reason,
        /// In words.
        detail: String,
    },
    /// With a verdict about the subject; the rows that explain it are committed all the same.
    Rejected {
        /// Why.
        reason: Reason,
        /// In words, with the numbers that led to it.
        detail: String,
    },
}

/// What work may use and look at while it goes on. The driver keeps the lease meanwhile.
pub struct JobContext<'a> {
    /// The job, as it is held.
    pub job: &'a HeldJob,
    /// Once it is urgent, the work is dropped; long work may also end itself early with [`Reason::Interrupted`].
    pub stop: &'a Stop,
    /// The time.
    pub clock: &'a Clock,
    /// Where to tell how far it is.
    pub reporter: &'a dyn Reporter,
}

/// Hands on what came of a piece of unfinished work. Where it was rejected its files are removed, since nobody goes on
/// with it.
fn settled<T>(store: &Store, work: &str, outcome: Result<T, Failure>) -> Result<T, Failure> {
    if outcome.as_ref().is_err_and(|failure| failure.kind == FailureKind::Rejected) {
        store.clear_staging(work)?;
    }
    outcome
}

/// Does blocking work on a thread of its own, so that the runtime can keep leases meanwhile, also that of this job.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::bug(format!("work on files ended early: {error}")))
}

/// Where a video's file is. A video whose file was discarded is rejected; what was made of it stays.
fn source(store: &Store, video: &Video) -> Result<PathBuf, Failure> {
    let file = video.file.as_ref().ok_or_else(|| {
        let detail = format!("the file of video {} ({}) is gone", video.id.0, video.found.site_id);
        Failure::rejected(Reason::SourceGone, detail)
            .with_hint("`webemotion retry --reason source-gone` has it fetched again")
    })?;
    Ok(store.root().join(&file.path))
}

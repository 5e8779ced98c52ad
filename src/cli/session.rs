//! What most commands need: settings, data folder, catalog, clock, stop flag and reporter.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;

use crate::catalog::Catalog;
use crate::clock::{Clock, Stop};
use crate::config::{Config, Resolved};
use crate::failure::{Exit, Failure, Reason};
use crate::pipeline::{takeover, worker_name};
use crate::progress::{Bars, JsonLines, PlainLog, Reporter, Silent};
use crate::store::{self, Lock, Locked, Store, StoreError};

use super::ending::leave;
use super::{Global, LogFormat, is_screen};

/// The catalogs that this process opened, to be closed at its end.
static OPENED: Mutex<Vec<Catalog>> = Mutex::new(Vec::new());
/// How long closing waits for readers and writers.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Notified when a stop was requested twice.
static STOP_NOW: Notify = Notify::const_new();
/// The time then allowed for giving leases back.
const LEASE_RETURN_TIME: Duration = Duration::from_secs(3);
/// The time then allowed for the process to end.
const EXIT_TIME: Duration = Duration::from_secs(1);

/// An open data folder, with its settings and catalog.
pub(crate) struct Session {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) catalog: Catalog,
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
    pub(crate) reporter: Arc<dyn Reporter>,
    pub(crate) json: bool,
}

impl Session {
    /// Opens the data folder for work, creating it and its catalog if they do not exist. Jobs of killed processes are due
    /// again.
    pub(crate) async fn create(global: &Global) -> anyhow::Result<Self> {
        let session = Self::open(global).await?;
        let jobs = takeover::take_back(&session.catalog).await?;
        if jobs > 0 {
            tracing::warn!(jobs, "a process that died left jobs behind: they are due again");
        }
        Ok(session)
    }

    /// Opens an existing data folder for work.
    pub(crate) async fn existing(global: &Global) -> anyhow::Result<Self> {
        must_exist(global)?;
        Self::create(global).await
    }

    /// Opens an existing data folder for reading: no job is taken back. The catalog of an earlier release is still
    /// migrated.
    pub(crate) async fn reading(global: &Global) -> anyhow::Result<Self> {
        must_exist(global)?;
        Self::open(global).await
    }

    /// See [`lock`].
    pub(crate) fn lock(&self, name: &str, what: &str, holder: &str) -> Result<Lock, Failure> {
        lock(&self.store, name, what, holder)
    }

    /// Takes the lock for adding or removing files of videos and clips without holding a job.
    pub(crate) fn lock_files(&self) -> Result<Lock, Failure> {
        lock_files(&self.store, &worker_name(&self.clock))
    }

    /// The same session with a stop flag of its own, which is also set at a given time. The caller aborts the returned
    /// task when the work is done.
    #[cfg(feature = "train")]
    pub(crate) fn ending_at(&self, deadline_ms: Option<i64>) -> (Self, tokio::task::JoinHandle<()>) {
        let (outer, inner, clock) = (self.stop.clone(), Stop::default(), self.clock.clone());
        let stop = inner.clone();
        let keeper = tokio::spawn(async move {
            while deadline_ms.is_none_or(|end_ms| clock.now_ms() < end_ms) {
                if tokio::time::timeout(super::drive::POLL_INTERVAL, outer.asked()).await.is_ok() {
                    break;
                }
            }
            inner.ask();
            outer.urgent().await;
            inner.ask();
        });
        let session = Self {
            config: self.config.clone(),
            store: self.store.clone(),
            catalog: self.catalog.clone(),
            clock: self.clock.clone(),
            stop,
            reporter: self.reporter.clone(),
            json: self.json,
        };
        (session, keeper)
    }

    /// A session on a new data folder, with a fixed clock.
    #[cfg(test)]
    pub(crate) async fn still(folder: &Path) -> Self {
        let (store, clock) = (Store::open(folder).unwrap(), Clock::fixed(1_000_000));
        let catalog = Catalog::open(&store.catalog(), &clock).await.unwrap();
        let (config, stop, reporter) = (Config::default(), Stop::default(), Arc::new(Silent));
        Self { config, store, catalog, clock, stop, reporter, json: false }
    }

    async fn open(global: &Global) -> anyhow::Result<Self> {
        let config = load_config(global)?;
        let store = Store::open(&global.data()).map_err(StoreError::of_named_folder)?;
        let clock = clock(global);
        let catalog = Catalog::open(&store.catalog(), &clock).await.map_err(Failure::from)?;
        OPENED.lock().unwrap_or_else(PoisonError::into_inner).push(catalog.clone());
        let stop = Stop::default();
        listen_for_signals(&stop);
        Ok(Self { config, store, catalog, clock, stop, reporter: reporter(global), json: global.json })
    }
}

/// The machine's clock, shifted as the command line says.
pub(super) fn clock(global: &Global) -> Clock {
    Clock::shifted(global.clock_shift_s.saturating_mul(1_000))
}

/// Takes a lock of a data folder, or fails with its holder. `what` describes the lock's work, `holder` is our name for
/// others.
pub(super) fn lock(store: &Store, name: &str, what: &str, holder: &str) -> Result<Lock, Failure> {
    match store.lock(name, holder).map_err(StoreError::of_named_folder)? {
        Locked::Taken(lock) => {
            if let Some(dead) = &lock.taken_over_from {
                tracing::warn!(lock = name, holder = dead, "took over from one that died");
            }
            Ok(lock)
        }
        Locked::HeldBy(holder) => {
            let who = worker_name::in_words(&holder);
            let detail = format!("{what} is at work already: {who}");
            Err(Failure::permanent(Reason::NothingToDo, detail)
                .with_hint("`webemotion status` says how far it is; nothing was begun here"))
        }
    }
}

/// See [`Session::lock_files`].
pub(super) fn lock_files(store: &Store, holder: &str) -> Result<Lock, Failure> {
    lock(store, "files", "merge, restore, gc, forget or refresh", holder)
}

/// Closes every catalog that was opened for work, whose file then contains everything, unless another process still has it
/// open. Waits at most [`CLOSE_TIMEOUT`].
pub(super) async fn close_catalogs() {
    let opened = std::mem::take(&mut *OPENED.lock().unwrap_or_else(PoisonError::into_inner));
    let closing = async {
        for catalog in opened {
            catalog.close().await;
        }
    };
    if tokio::time::timeout(CLOSE_TIMEOUT, closing).await.is_err() {
        tracing::warn!(
            "the catalog is still in use: copy it with `webemotion backup`, not by its file alone"
        );
    }
}

fn must_exist(global: &Global) -> Result<(), Failure> {
    if store::catalog_in(&global.data()).map_err(StoreError::of_named_folder)?.is_some() {
        return Ok(());
    }
    let detail = format!("{} has no catalog", global.data().display());
    let mut hint =
        "name the data folder with --data, or begin one with `webemotion crawl` or `webemotion demo`"
            .to_owned();
    if store::runs_in(&global.data()).is_dir() {
        hint.push_str(
            "; runs on data sets on disk need none: result.json in the folder of each is its report",
        );
    }
    Err(Failure::permanent(Reason::Catalog, detail).with_hint(hint))
}

/// The settings of a command line.
pub(crate) fn load_config(global: &Global) -> Result<Config, Failure> {
    resolve_config(global).map(|resolved| resolved.config)
}

/// The same, with the origin of each.
pub(crate) fn resolve_config(global: &Global) -> Result<Resolved, Failure> {
    let named = global.config.as_deref();
    let beside = [store::settings_in(&global.data()), Path::new(store::SETTINGS).to_owned()];
    let found = beside.iter().map(std::path::PathBuf::as_path).find(|path| path.is_file());
    Config::resolve(named.or(found))
}

/// The reporter for a program, a terminal, a log file or nobody.
pub(crate) fn reporter(global: &Global) -> Arc<dyn Reporter> {
    if global.quiet {
        Arc::new(Silent)
    } else if global.json {
        Arc::new(JsonLines::default())
    } else if global.log_format == LogFormat::Json {
        Arc::new(PlainLog::with(say_as_json))
    } else if is_screen(&std::io::stderr()) {
        Arc::new(Bars::default())
    } else {
        Arc::new(PlainLog::default())
    }
}

/// Prints a line of progress in the format of log lines.
fn say_as_json(text: &str) {
    let line = json!({"level": "INFO", "fields": {"message": text}});
    // If standard error is closed, there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Returns a moment after a stop was requested twice: this also ends work that does not check [`Stop`].
pub(super) async fn stop_requested_twice() {
    STOP_NOW.notified().await;
    tokio::time::sleep(LEASE_RETURN_TIME).await;
}

/// Ends the process a little later in any case: code that copies a large file or waits for a lock does not see
/// [`stop_requested_twice`].
fn end_soon() {
    static BEGUN: Once = Once::new();
    fn wait() {
        std::thread::sleep(LEASE_RETURN_TIME + EXIT_TIME);
        leave(Exit::Interrupted);
    }
    // Without a thread the process ends once it sees the request.
    BEGUN.call_once(|| drop(std::thread::Builder::new().spawn(wait)));
}

/// Ctrl-C or SIGTERM once: finish the work under way. Twice: stop at once.
pub(crate) fn listen_for_signals(stop: &Stop) {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let stop = stop.clone();
        // Without a handler the signal ends the process at once, which is less convenient but loses nothing.
        let Ok(mut signals) = signal(kind) else { continue };
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stop.ask();
                if stop.is_urgent() {
                    STOP_NOW.notify_one();
                    end_soon();
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        global: Global,
    }

    #[tokio::test]
    async fn wrong_settings_make_no_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (data, settings) = (folder.path().join("data"), folder.path().join("webemotion.toml"));
        std::fs::write(&settings, "[crawl]\nat_once = 0\n").unwrap();
        let words = ["webemotion", "--data", data.to_str().unwrap(), "--config", settings.to_str().unwrap()];
        let global = Words::parse_from(words).global;
        assert!(Session::create(&global).await.err().unwrap().to_string().contains("crawl.at_once"));
        assert!(!data.exists());
    }

    #[test]
    fn for_a_folder_with_runs_and_no_catalog_the_hint_names_their_results() {
        let folder = tempfile::tempdir().unwrap();
        let words = ["webemotion", "--data", folder.path().to_str().unwrap()];
        let hint = || must_exist(&Words::parse_from(words).global).unwrap_err().hint.unwrap();
        assert!(!hint().contains("result.json"));
        std::fs::create_dir(folder.path().join("runs")).unwrap();
        assert!(hint().contains("result.json"), "{}", hint());
    }
}

//! What most commands need: settings, data folder, catalog, clock, stop and somebody to tell.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::clock::{Clock, Stop};
use crate::config::{Config, Resolved};
use crate::failure::{Failure, Reason};
use crate::pipeline::{takeover, worker_name};
use crate::progress::{Bars, JsonLines, PlainLog, Reporter, Silent};
use crate::store::{Lock, Locked, Store, StoreError};

use super::Global;

/// An open data folder and all that goes with it.
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
    /// Opens the data folder for work, making it and its catalog if they are not there. What a process that was killed
    /// had in hand is due again.
    pub(crate) async fn create(global: &Global) -> anyhow::Result<Self> {
        let session = Self::open(global).await?;
        let jobs = takeover::take_back(&session.catalog).await?;
        if jobs > 0 {
            tracing::warn!(jobs, "a process that ended without a word left jobs behind: they are due again");
        }
        Ok(session)
    }

    /// Opens a data folder for work; it must be there already.
    pub(crate) async fn existing(global: &Global) -> anyhow::Result<Self> {
        must_exist(global)?;
        Self::create(global).await
    }

    /// Opens a data folder that must be there already, to look at it: no job is taken back. The catalog of an earlier
    /// release is brought up to date all the same.
    pub(crate) async fn reading(global: &Global) -> anyhow::Result<Self> {
        must_exist(global)?;
        Self::open(global).await
    }

    /// Takes a lock of the data folder, or says who has it. `what` is at work then, `holder` is what others are told.
    pub(crate) fn lock(&self, name: &str, what: &str, holder: &str) -> Result<Lock, Failure> {
        match self.store.lock(name, holder)? {
            Locked::Taken(lock) => {
                if let Some(dead) = &lock.taken_over_from {
                    tracing::warn!(lock = name, holder = dead, "took over from one that died");
                }
                Ok(lock)
            }
            Locked::HeldBy(holder) => {
                let who = takeover::in_words(&holder);
                let detail = format!("{what} is at work already: {who}");
                Err(Failure::permanent(Reason::NothingToDo, detail)
                    .with_hint("`webemotion status` says how far it is; nothing was begun here"))
            }
        }
    }

    /// Takes the lock of those who bring files of videos and clips, or take them away, without a job that they hold.
    pub(crate) fn lock_files(&self) -> Result<Lock, Failure> {
        self.lock("files", "merge, gc, forget or refresh", &worker_name(&self.clock))
    }

    /// The same session with a stop of its own, which is also asked at a moment. Abort the keeper when the work is over.
    #[cfg(feature = "train")]
    pub(crate) fn ending_at(&self, deadline_ms: Option<i64>) -> (Self, tokio::task::JoinHandle<()>) {
        let (outer, inner, clock) = (self.stop.clone(), Stop::default(), self.clock.clone());
        let stop = inner.clone();
        let keeper = tokio::spawn(async move {
            while deadline_ms.is_none_or(|end_ms| clock.now_ms() < end_ms) {
                if tokio::time::timeout(super::drive::GLANCE, outer.asked()).await.is_ok() {
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

    /// A session on a new data folder whose clock stands still.
    #[cfg(test)]
    pub(crate) async fn still(folder: &Path) -> Self {
        let (store, clock) = (Store::open(folder).unwrap(), Clock::fixed(1_000_000));
        let catalog = Catalog::open(&store.catalog(), &clock).await.unwrap();
        let (config, stop, reporter) = (Config::default(), Stop::default(), Arc::new(Silent));
        Self { config, store, catalog, clock, stop, reporter, json: false }
    }

    async fn open(global: &Global) -> anyhow::Result<Self> {
        let store = Store::open(&global.data()).map_err(StoreError::of_named_folder)?;
        let config = load_config(global)?;
        let clock = Clock::shifted(global.clock_shift_s.saturating_mul(1_000));
        let catalog = Catalog::open(&store.catalog(), &clock).await.map_err(Failure::from)?;
        let stop = Stop::default();
        listen_for_signals(&stop);
        Ok(Self { config, store, catalog, clock, stop, reporter: reporter(global), json: global.json })
    }
}

fn must_exist(global: &Global) -> Result<(), Failure> {
    if global.data().join("catalog.sqlite").is_file() {
        return Ok(());
    }
    let detail = format!("{} has no catalog", global.data().display());
    Err(Failure::permanent(Reason::Catalog, detail).with_hint(
        "name the data folder with --data, or begin one with `webemotion crawl` or `webemotion demo`",
    ))
}

/// The settings that a command line means.
pub(crate) fn load_config(global: &Global) -> Result<Config, Failure> {
    resolve_config(global).map(|resolved| resolved.config)
}

/// The same, with where each came from.
pub(crate) fn resolve_config(global: &Global) -> Result<Resolved, Failure> {
    let named = global.config.as_deref();
    let beside = [global.data().join("webemotion.toml"), Path::new("webemotion.toml").to_owned()];
    let found = beside.iter().map(std::path::PathBuf::as_path).find(|path| path.is_file());
    Config::resolve(named.or(found))
}

/// Who is told: a program, a terminal, a log file or nobody.
pub(crate) fn reporter(global: &Global) -> Arc<dyn Reporter> {
    if global.quiet {
        Arc::new(Silent)
    } else if global.json {
        Arc::new(JsonLines::default())
    } else if std::io::stderr().is_terminal() {
        Arc::new(Bars::default())
    } else {
        Arc::new(PlainLog::default())
    }
}

/// Ctrl-C or SIGTERM once: finish what is in hand. Twice: let go at once.
pub(crate) fn listen_for_signals(stop: &Stop) {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let stop = stop.clone();
        // Without a handler the signal ends the process at once, which loses nothing but comfort.
        let Ok(mut signals) = signal(kind) else { continue };
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stop.ask();
            }
        });
    }
}

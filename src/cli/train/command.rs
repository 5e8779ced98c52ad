//! What `webemotion train` does around the training itself: names the run, finds one that was cut off, keeps the
//! trainer on a thread of its own, and says what came of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::runs::Run;
use crate::clock::Stop;
use crate::failure::{Exit, Failure, Reason};
use crate::progress::Reporter;
use crate::train::data::TrainingSet;
use crate::train::recipe::Recipe;
use crate::train::{RunPlace, Trained};

use super::super::{Global, Session, say, session};
use super::catalog::{self, CatalogRun};
use super::{DatasetArg, NoWatch, RunWatch, TrainArgs, run as train};

/// The file in a run's folder that says it came to its end.
const CLOSING: &str = "closing.json";

/// Runs the command.
pub(crate) async fn run(args: TrainArgs, global: &Global) -> anyhow::Result<Exit> {
    if args.dataset.contains(&DatasetArg::Catalog) {
        let session = Session::existing(global).await?;
        on_catalog(&session, &args).await?;
    } else {
        on_disk(&args, global).await?;
    }
    Ok(Exit::Done)
}

/// Trains on the catalog's samples (and other sets that are named with it) and writes what was learnt back.
pub(crate) async fn on_catalog(session: &Session, args: &TrainArgs) -> anyhow::Result<(Run, Trained)> {
    let recipe = args.recipe();
    recipe.check().map_err(|error| error.failure())?;
    let frozen = CatalogRun::begin(session, args, &recipe).await?;
    let name = frozen.run.name.clone();
    let place =
        RunPlace { folder: session.store.root().join(&frozen.run.folder), device: args.device.clone() };
    let (set, watch) = (frozen.set.clone(), frozen.watch(&session.catalog));
    let trained =
        on_a_thread(recipe, set, place.clone(), session.reporter.clone(), watch, &session.stop).await;
    let trained = frozen.end(&session.catalog, trained).await?;
    close(&place, &name, &trained, session.json)?;
    let run = catalog::find(&session.catalog, &name).await?;
    Ok((run, trained))
}

async fn on_disk(args: &TrainArgs, global: &Global) -> anyhow::Result<()> {
    let recipe = args.recipe();
    recipe.check().map_err(|error| error.failure())?;
    let set = args.training_set(None)?;
    let stop = Stop::default();
    session::listen_for_signals(&stop);
    let folder = match &args.resume {
        Some(run) => named(&global.data(), run)?,
        None => unfinished_or_new(&global.data(), &recipe)?,
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let place = RunPlace { folder, device: args.device.clone() };
    let reporter = session::reporter(global);
    let trained = on_a_thread(recipe, set, place.clone(), reporter, NoWatch, &stop).await?;
    close(&place, &name, &trained, global.json)
}

/// The trainer blocks for hours: it gets a thread that the async side does not need.
async fn on_a_thread(
    recipe: Recipe,
    set: TrainingSet,
    place: RunPlace,
    reporter: Arc<dyn Reporter>,
    mut watch: impl RunWatch + Send + 'static,
    stop: &Stop,
) -> anyhow::Result<Trained> {
    let stop = stop.clone();
    tokio::task::spawn_blocking(move || train(&recipe, &set, &place, (reporter.as_ref(), &mut watch), &stop))
        .await?
}

fn close(place: &RunPlace, name: &str, trained: &Trained, json: bool) -> anyhow::Result<()> {
    let line = trained.closing_line(name);
    super::write_json(&place.folder.join(CLOSING), &line)?;
    if json {
        say(line);
    } else {
        say(format_args!("train: run {name} is done, in {}", place.folder.display()));
        say(format_args!("  {}", super::closing_words(trained)));
    }
    Ok(())
}

/// The run folder that `--resume` means: a path, or a name below the data folder.
fn named(data: &Path, run: &Path) -> Result<PathBuf, Failure> {
    let below = data.join("runs").join(run);
    [run.to_owned(), below].into_iter().find(|folder| folder.join("recipe.json").is_file()).ok_or_else(|| {
        Failure::permanent(Reason::Usage, format!("{} is no run's folder or name", run.display()))
            .with_hint("runs lie in runs/ below the data folder")
    })
}

/// The folder of a run of this recipe that was cut off, else a new one.
fn unfinished_or_new(data: &Path, recipe: &Recipe) -> anyhow::Result<PathBuf> {
    let runs = data.join("runs");
    let text = serde_json::to_string_pretty(recipe)?;
    for number in 1.. {
        let folder = runs.join(format!("{}-{number}", recipe.method.as_str()));
        if !folder.exists() {
            return Ok(folder);
        }
        let is_same = std::fs::read_to_string(folder.join("recipe.json")).is_ok_and(|before| before == text);
        if is_same && !folder.join(CLOSING).exists() {
            return Ok(folder);
        }
    }
    Ok(runs)
}

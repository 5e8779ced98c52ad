//! What `webemotion train` does around the training itself: names the run, finds one that was cut off or is done, keeps
//! the trainer on a thread of its own, and says what came of it.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::catalog::runs::Run;
use crate::clock::Stop;
use crate::failure::Exit;
use crate::progress::Reporter;
use crate::train::data::TrainingSet;
use crate::train::recipe::Recipe;
use crate::train::{RunPlace, Trained};

use super::super::{Global, Session, say, session};
use super::catalog::{self, CatalogRun};
use super::closing;
use super::folder::{self, RunFolder};
use super::spread::{Measures, Spreads};
use super::{DatasetArg, NoWatch, RunWatch, TrainArgs, run as train};

/// Runs the command.
pub(crate) async fn run(args: TrainArgs, global: &Global) -> anyhow::Result<Exit> {
    let mut lines = Vec::new();
    if args.common.dataset.contains(&DatasetArg::Catalog) {
        let session = Session::existing(global).await?;
        for args in args.each_seed() {
            lines.push(in_catalog(&session, &args).await?);
        }
    } else {
        let stop = Stop::default();
        session::listen_for_signals(&stop);
        let reporter = session::reporter(global);
        for args in args.each_seed() {
            lines.push(on_disk(&args, global, (&reporter, &stop)).await?);
        }
    }
    if lines.len() > 1 {
        say_together(&lines, global.json)?;
    }
    Ok(Exit::Done)
}

/// Trains on the catalog's samples (and other sets that are named with it) and writes what was learnt back; says what
/// the run is called.
pub(crate) async fn on_catalog(session: &Session, args: &TrainArgs) -> anyhow::Result<String> {
    let line = in_catalog(session, args).await?;
    Ok(line["run"].as_str().unwrap_or_default().to_owned())
}

/// The same, and gives the closing line.
async fn in_catalog(session: &Session, args: &TrainArgs) -> anyhow::Result<Value> {
    let recipe = args.recipe();
    recipe.check().map_err(|error| error.failure())?;
    let frozen = CatalogRun::begin(session, args, &recipe).await?;
    let folder = RunFolder::take(&session.store.root().join(&frozen.run.folder), &recipe, &frozen.set)?;
    if let Some(line) = frozen.closing_line() {
        folder.close(&line)?;
        say_again(&folder, &line, session.json);
        return Ok(line);
    }
    frozen.reopen(&session.catalog).await?;
    let place = RunPlace { folder: folder.path.clone(), device: args.common.device.clone() };
    let (set, watch) = (frozen.set.clone(), frozen.watch(&session.catalog));
    let trained = on_a_thread((recipe, set, place), session.reporter.clone(), watch, &session.stop).await;
    if let Ok(trained) = &trained {
        folder.keep(trained, &frozen.set)?;
    }
    let trained = frozen.end(&session.catalog, trained).await?;
    close(&folder, &trained, session.json)
}

/// The run of this recipe that [`on_catalog`] would go on with.
pub(crate) async fn cut_off(session: &Session, args: &TrainArgs) -> anyhow::Result<Option<Run>> {
    catalog::cut_off(session, args, &args.recipe()).await
}

async fn on_disk(
    args: &TrainArgs,
    global: &Global,
    (reporter, stop): (&Arc<dyn Reporter>, &Stop),
) -> anyhow::Result<Value> {
    let recipe = args.recipe();
    recipe.check().map_err(|error| error.failure())?;
    let set = args.training_set(None)?;
    set.check_training().map_err(|error| error.failure())?;
    let runs = global.data().join("runs");
    let folder = match &args.resume {
        Some(run) => {
            let path = folder::named(&runs, run)?;
            folder::check_is_for(&path, &recipe, &set)?;
            RunFolder::take(&path, &recipe, &set)?
        }
        None => RunFolder::find(&runs, &recipe, &set, args.again)?,
    };
    if let Some(line) = folder.closing_line() {
        say_again(&folder, &line, global.json);
        return Ok(line);
    }
    let trained = train_in(&folder, (recipe, set), &args.common.device, (reporter, stop)).await?;
    close(&folder, &trained, global.json)
}

/// Trains in a run's folder, from its last checkpoint on, and writes down what was measured at the end.
pub(crate) async fn train_in(
    folder: &RunFolder,
    (recipe, set): (Recipe, TrainingSet),
    device: &str,
    (reporter, stop): (&Arc<dyn Reporter>, &Stop),
) -> anyhow::Result<Trained> {
    let place = RunPlace { folder: folder.path.clone(), device: device.to_owned() };
    let trained = on_a_thread((recipe, set.clone(), place), reporter.clone(), NoWatch, stop).await?;
    folder.keep(&trained, &set)?;
    Ok(trained)
}

/// The trainer blocks for hours: it gets a thread that the async side does not need.
async fn on_a_thread(
    (recipe, set, place): (Recipe, TrainingSet, RunPlace),
    reporter: Arc<dyn Reporter>,
    mut watch: impl RunWatch + Send + 'static,
    stop: &Stop,
) -> anyhow::Result<Trained> {
    let stop = stop.clone();
    tokio::task::spawn_blocking(move || train(&recipe, &set, &place, (reporter.as_ref(), &mut watch), &stop))
        .await?
}

fn close(folder: &RunFolder, trained: &Trained, json: bool) -> anyhow::Result<Value> {
    let line = trained.closing_line(&folder.name());
    folder.close(&line)?;
    if json {
        say(&line);
    } else {
        say(format_args!("train: run {} is done, in {}", folder.name(), folder.path.display()));
        say(format_args!("  {}", closing::words(trained)));
        closing::details(trained).iter().for_each(|line| say(format_args!("  {line}")));
    }
    Ok(line)
}

/// Closes runs that differ in their seed.
fn say_together(lines: &[Value], json: bool) -> anyhow::Result<()> {
    let runs: Vec<Measures> = lines.iter().map(Measures::deserialize).collect::<Result<_, _>>()?;
    let spreads = Spreads::of(&runs);
    if json {
        say(spreads.closing_line(lines));
    } else {
        say(format_args!("train: {} seeds, mean ± deviation\n  {}", lines.len(), spreads.describe()));
    }
    Ok(())
}

/// The same recipe on the same data gives the same net: what is done is told again, not done again.
fn say_again(folder: &RunFolder, line: &Value, json: bool) {
    if json {
        let mut line = line.clone();
        line["again"] = Value::Bool(true);
        say(line);
        return;
    }
    let percent =
        |name: &str| line[name].as_f64().map_or("–".to_owned(), |it| format!("{:.1} %", 100.0 * it));
    say(format_args!(
        "train: run {} of this recipe and data is done already, in {}; --again trains once more\n  \
         last-5 accuracy {}, best {}, mean class {}",
        folder.name(),
        folder.path.display(),
        percent("last5_accuracy"),
        percent("best_accuracy"),
        percent("mean_class_accuracy")
    ));
}

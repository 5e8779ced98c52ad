//! The command around the training: names the run, finds one that was interrupted or is done, starts the trainer on a
//! thread, and prints the results.

use serde_json::{Value, json};

use crate::catalog::runs::Run;
use crate::clock::Stop;
use crate::failure::{Exit, Failure};
use crate::store;
use crate::train::data::TrainingSet;
use crate::train::recipe::Recipe;
use crate::train::{ClosingLine, Measures, RunPlace, Trained};

use super::super::{Global, Session, say, session};
use super::catalog::{self, CatalogRun};
use super::closing;
use super::dataset::{read_identity, say_remarks};
use super::folder::{self, RunFolder};
use super::spread::Spreads;
use super::{Caller, DatasetArg, NoWatch, RunWatch, TrainArgs, TrainPlan, run_trainer};

/// Runs the command.
pub(crate) async fn run(args: TrainArgs, global: &Global) -> anyhow::Result<Exit> {
    let mut lines = Vec::new();
    if args.common.dataset.contains(&DatasetArg::Catalog) {
        let session = Session::existing(global).await?;
        for args in args.each_seed() {
            lines.push(in_catalog(&session, &args).await?);
        }
    } else {
        let caller = Caller { reporter: session::reporter(global), stop: Stop::default() };
        session::listen_for_signals(&caller.stop);
        for args in args.each_seed() {
            lines.push(on_disk(&args, global, &caller).await?);
        }
    }
    if lines.len() > 1 {
        say_together(&lines, global.json);
    }
    Ok(Exit::Done)
}

/// Trains on the catalog's samples (and other sets named with it) and stores the results in it; returns the run's name.
pub(crate) async fn on_catalog(session: &Session, args: &TrainArgs) -> Result<String, Failure> {
    Ok(in_catalog(session, args).await?.run)
}

/// The same; returns the closing line.
async fn in_catalog(session: &Session, args: &TrainArgs) -> Result<ClosingLine, Failure> {
    let recipe = args.recipe();
    recipe.check()?;
    let frozen = CatalogRun::begin(session, args, &recipe).await?;
    let folder = RunFolder::take(&session.store.absolute(&frozen.run.folder), &recipe, &frozen.set)?;
    if let Some(line) = frozen.closing_line() {
        folder.close(&line)?;
        say_again(&folder, &line, session.json);
        return Ok(line);
    }
    say_remarks(&frozen.set);
    frozen.reopen(&session.catalog).await?;
    let caller = Caller::of(session);
    let rows = frozen.rows(&session.catalog, &caller);
    let place = RunPlace { folder: folder.path.clone(), device: args.common.device.clone() };
    let plan = TrainPlan { recipe, set: frozen.set.clone(), place };
    let trained = on_a_thread(plan, &caller, rows.clone()).await;
    let trained = trained.and_then(|trained| folder.keep(&trained, &frozen.set).map(|()| trained));
    let trained = rows.end(&frozen.run.name, trained).await?;
    close(&folder, &trained, session.json)
}

/// The run of this recipe that [`on_catalog`] would resume.
pub(crate) async fn cut_off(session: &Session, args: &TrainArgs) -> Result<Option<Run>, Failure> {
    catalog::cut_off(session, args, &args.recipe()).await
}

async fn on_disk(args: &TrainArgs, global: &Global, caller: &Caller) -> Result<ClosingLine, Failure> {
    let recipe = args.recipe();
    recipe.check()?;
    let set = args.training_set(None)?;
    set.check_training()?;
    recipe.check_for(&set)?;
    read_identity(&set, caller).await?;
    let runs = store::runs_in(&global.data());
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
    say_remarks(&set);
    let trained = train_in(&folder, recipe, set, &args.common.device, caller).await?;
    close(&folder, &trained, global.json)
}

/// Trains in a run's folder, from its last checkpoint if there is one, and stores the results there.
pub(crate) async fn train_in(
    folder: &RunFolder,
    recipe: Recipe,
    set: TrainingSet,
    device: &str,
    caller: &Caller,
) -> Result<Trained, Failure> {
    let place = RunPlace { folder: folder.path.clone(), device: device.to_owned() };
    let plan = TrainPlan { recipe, set: set.clone(), place };
    let trained = on_a_thread(plan, caller, NoWatch).await?;
    folder.keep(&trained, &set)?;
    Ok(trained)
}

/// Runs the trainer, which blocks for hours, on a thread outside the async runtime's own.
async fn on_a_thread(
    plan: TrainPlan,
    caller: &Caller,
    mut watch: impl RunWatch + Send + 'static,
) -> Result<Trained, Failure> {
    let caller = caller.clone();
    let ended = tokio::task::spawn_blocking(move || run_trainer(&plan, &caller, &mut watch)).await;
    ended.map_err(|error| Failure::bug(format!("training ended early: {error}")))?
}

fn close(folder: &RunFolder, trained: &Trained, json: bool) -> Result<ClosingLine, Failure> {
    let line = trained.closing_line(&folder.name());
    folder.close(&line)?;
    if json {
        say(json!(line));
    } else {
        say(format_args!("train: run {} is done, in {}", folder.name(), folder.path.display()));
        say(format_args!("  {}", closing::words(trained)));
        closing::details(trained).iter().for_each(|line| say(format_args!("  {line}")));
    }
    Ok(line)
}

/// Prints the summary of runs that differ in their seed.
fn say_together(lines: &[ClosingLine], json: bool) {
    let runs: Vec<Measures> = lines.iter().map(|line| line.measures).collect();
    let spreads = Spreads::of(&runs);
    if json {
        say(spreads.closing_line(lines));
    } else {
        say(format_args!(
            "train: {} seeds, mean ± standard deviation (n − 1)\n  {}",
            lines.len(),
            spreads.describe()
        ));
    }
}

/// Prints the results of a run that was done before: the same recipe on the same data would give the same net.
fn say_again(folder: &RunFolder, line: &ClosingLine, json: bool) {
    if json {
        let mut line = json!(line);
        line["again"] = Value::Bool(true);
        say(line);
        return;
    }
    say(format_args!(
        "train: run {} of this recipe and data is done already, in {}; --again trains once more\n  {}",
        folder.name(),
        folder.path.display(),
        closing::accuracies(&line.measures)
    ));
}

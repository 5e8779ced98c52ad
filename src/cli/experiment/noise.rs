//! `webemotion experiment noise`: trains a grid of shares of wrong labels, methods and seeds, and keeps its table up to
//! date.

use std::path::Path;

use serde_json::json;

use super::grid::{self, Cell, CellState, Grid};
use super::published::Column;
use super::table::{self, Measured};
use crate::cli::train::command::train_in;
use crate::cli::train::folder::{self, RunFolder};
use crate::cli::train::{Caller, CommonArgs, DatasetArg, MethodArg, todays_samples};
use crate::cli::{Global, Session, say, session};
use crate::clock::Stop;
use crate::failure::{Exit, Failure, FailureKind};
use crate::files::write_whole;
use crate::progress::Event;
use crate::store;

/// The reporter's name of the grid.
const TASK: &str = "experiment";

/// Flags of `experiment noise`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Every training has a folder in experiments/noise-N below the data folder; table.md and table.json \
    lie beside them and are kept as the grid fills.\nWhat is done is not trained again, what was cut off goes on, and \
    shares, methods and seeds may be added later. Several processes may fill one grid at once, each with its own seeds \
    or shares: the table in its folder is of all of them. Layouts of data sets: `webemotion train --help`.

Examples:
  webemotion experiment noise --dataset raf-db:/data/rafdb --levels 0.1,0.2,0.3 --methods baseline,scn,cure --seeds 3
  webemotion experiment noise --dataset drawn:hard --epochs 15 --image-size 48 --dry-run"
)]
pub(super) struct NoiseArgs {
    /// Shares of each class's training labels to make wrong
    #[arg(long, value_name = "SHARE,…", value_delimiter = ',', default_value = "0.1,0.2,0.3", value_parser = share)]
    pub(super) levels: Vec<f64>,
    /// Methods to compare
    #[arg(
        long,
        value_name = "METHOD,…",
        value_enum,
        value_delimiter = ',',
        default_value = "baseline,scn,cure"
    )]
    pub(super) methods: Vec<MethodArg>,
    /// How often to train each: with --seed and the seeds after it
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) seeds: u64,
    /// Say which trainings are done, begun or new, and train nothing
    #[arg(long)]
    dry_run: bool,
    /// What every training takes
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.trim().parse().map_err(|_| format!("'{text}' is no number"))?;
    // Folders are named after it, and -0 is 0.
    if (0.0..=1.0).contains(&share) { Ok(share.abs()) } else { Err("not 0 to 1".to_owned()) }
}

/// How the trainings of a grid are run, and who receives the progress.
struct TrainContext<'a> {
    device: &'a str,
    /// What is printed with the table.
    paper: Option<Column>,
    caller: Caller,
    json: bool,
}

/// Runs the command.
pub(super) async fn run(args: NoiseArgs, global: &Global) -> anyhow::Result<Exit> {
    let caller = Caller { reporter: session::reporter(global), stop: Stop::default() };
    session::listen_for_signals(&caller.stop);
    let catalog = match args.common.dataset.contains(&DatasetArg::Catalog) {
        true => Some(todays_samples(&Session::existing(global).await?).await?),
        false => None,
    };
    let mut grid = Grid::of(&args, &store::experiments_in(&global.data()), catalog, &caller).await?;
    if args.dry_run {
        say_plan(&grid, global.json)?;
        return Ok(Exit::Done);
    }
    let paper = Column::of(&args.common);
    grid.begin()?;
    let context = TrainContext { device: &args.common.device, paper, caller, json: global.json };
    let (done, failed) = walk(&grid, &context).await?;
    let rows = table::rows(&done, paper);
    if global.json {
        say(table::json(&grid.data(), &rows, paper));
    } else {
        say(table::markdown(&grid.data(), &rows, paper));
        say(format_args!(
            "experiment: {} trainings done, {failed} given up; the table and they are in {}",
            done.len(),
            grid.folder.display()
        ));
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::SomeDead })
}

fn say_plan(grid: &Grid, json: bool) -> Result<(), Failure> {
    let mut counts = [0; 3];
    for cell in &grid.cells {
        let (path, state) = grid.state(cell)?;
        let (place, word) = match state {
            CellState::Done => (0, "done"),
            CellState::Begun => (1, "begun"),
            CellState::New => (2, "new"),
        };
        counts[place] += 1;
        if json {
            let Cell { noise, method, seed } = cell;
            say(json!({
                "event": "cell", "noise": noise, "method": method, "seed": seed, "state": word,
                "folder": path.display().to_string(),
            }));
        } else {
            say(format_args!("{word:<6}{}", cell.words()));
        }
    }
    let [done, begun, new] = counts;
    if json {
        say(json!({"event": "planned", "data": grid.data(), "done": done, "begun": begun, "new": new}));
    } else {
        say(format_args!("experiment: {done} done, {begun} begun, {new} new, on {}", grid.data()));
    }
    Ok(())
}

/// Trains the cells that are not done. A failed cell does not stop the others, unless it is the first one, since then the
/// flags are probably wrong. Returns what is done, and the number of failed cells.
async fn walk(grid: &Grid, context: &TrainContext<'_>) -> Result<(Vec<Measured>, usize), Failure> {
    let reporter = &context.caller.reporter;
    let total = Some(grid.cells.len() as u64);
    reporter.report(&Event::Began { task: TASK.to_owned(), total, unit: "trainings".to_owned() });
    let (mut done, mut failed) = (Vec::new(), 0);
    for (number, cell) in grid.cells.iter().enumerate() {
        match train(grid, cell, context).await {
            Ok(measured) => done.push(measured),
            // Another cell may succeed, except after a request to stop or with a full disk.
            Err(failure) if !done.is_empty() && failure.kind == FailureKind::Permanent => {
                failed += 1;
                say_failure(cell, &failure, context);
            }
            Err(failure) => {
                let detail = format!("{}: {}", cell.words(), failure.detail);
                return Err(Failure { detail, ..failure });
            }
        }
        write_table(grid, context.paper)?;
        let (done, note) = (number as u64 + 1, cell.words());
        reporter.report(&Event::Advanced { task: TASK.to_owned(), done, note, throughput: None });
    }
    reporter.report(&Event::Ended { task: TASK.to_owned(), note: format!("{failed} given up") });
    Ok((done, failed))
}

/// Trains a cell unless it is done; returns its result.
async fn train(grid: &Grid, cell: &Cell, context: &TrainContext<'_>) -> Result<Measured, Failure> {
    let (recipe, set) = grid.work(cell)?;
    let folder = RunFolder::take(&grid.place(cell, &recipe, &set), &recipe, &set)?;
    let measured = match grid::measured(cell, &folder.path) {
        Some(measured) => measured,
        None => {
            context.caller.reporter.report(&Event::Said { text: cell.words() });
            let trained = train_in(&folder, recipe, set, context.device, &context.caller).await?;
            folder.close(&trained.closing_line(&folder.name()))?;
            grid::measured(cell, &folder.path)
                .ok_or_else(|| Failure::bug("the result that was just written cannot be read"))?
        }
    };
    if context.json {
        let mut line = json!(measured);
        line["event"] = json!("cell");
        line["run"] = json!(folder.name());
        line["folder"] = json!(folder.path.display().to_string());
        say(line);
    }
    Ok(measured)
}

fn say_failure(cell: &Cell, failure: &Failure, context: &TrainContext<'_>) {
    let text = format!("{}: given up: {}", cell.words(), failure.with_remedy());
    if context.json {
        let Cell { noise, method, seed } = cell;
        say(
            json!({"event": "cell", "noise": noise, "method": method, "seed": seed, "failed": failure.with_remedy()}),
        );
    } else {
        context.caller.reporter.report(&Event::Said { text: text.clone() });
    }
    tracing::warn!("{text}");
}

/// The table of all finished cells in the grid's folder, which several processes may fill.
fn write_table(grid: &Grid, paper: Option<Column>) -> Result<(), Failure> {
    let path: &Path = &grid.folder.join("table.md");
    grid.with_lock(|| {
        let rows = table::rows(&grid.done()?, paper);
        let text = table::markdown(&grid.data(), &rows, paper);
        write_whole(path, text.as_bytes()).map_err(|error| folder::unwritable(path, &error))?;
        folder::write_json(&grid.folder.join("table.json"), &table::json(&grid.data(), &rows, paper))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;
    use image::{ImageFormat, RgbImage};
    use serde_json::Value;

    use super::*;
    use crate::catalog::{crops, samples, videos};
    use crate::types::{CropStyle, Emotion};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: NoiseArgs,
    }

    /// The flags as they are typed after `webemotion experiment noise`.
    pub(in crate::cli::experiment) fn parse(words: &[&str]) -> NoiseArgs {
        Line::try_parse_from([&["noise"], words].concat()).unwrap().args
    }

    #[test]
    fn the_default_is_the_papers_grid() {
        let args = parse(&[]);
        assert_eq!((args.levels, args.seeds), (vec![0.1, 0.2, 0.3], 3));
        assert_eq!(args.methods, [MethodArg::Baseline, MethodArg::Scn, MethodArg::Cure]);
        assert!(Line::try_parse_from(["noise", "--levels", "20"]).is_err(), "a share, not percent");
        assert!(Line::try_parse_from(["noise", "--noise", "0.2"]).is_err(), "levels say it");
        assert!(parse(&["--levels=-0"]).levels[0].is_sign_positive(), "a cell is called after it");
    }

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        global: Global,
    }

    /// Enough videos of two emotions, with two samples each, to have all splits; their crops are real pictures.
    async fn fill(folder: &Path) {
        let catalog = Session::still(folder).await.catalog;
        let mut jpeg = std::io::Cursor::new(Vec::new());
        RgbImage::new(16, 16).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        let mut tx = catalog.begin().await.unwrap();
        for number in 0..20 {
            let video = videos::tests::some(&format!("video {number}"), None);
            let video = videos::upsert(&mut tx, &video).await.unwrap().unwrap();
            let emotion = if number % 2 == 0 { Emotion::Fear } else { Emotion::Anger };
            samples::tests::hit(&mut tx, video, emotion, 1).await;
            for sample in samples::tests::fill(&mut tx, video, 2).await {
                crops::replace(&mut tx, sample, CropStyle::plain(16), jpeg.get_ref()).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
        catalog.close().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_grid_on_the_catalog_reads_its_pictures_while_it_trains() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path()).await;
        let words = ["webemotion", "--quiet", "--data", folder.path().to_str().unwrap()];
        let small = "--levels 0.25 --methods baseline --seeds 1 --epochs 1 --image-size 16 --batch-size 16 \
                     --device cpu";
        let args = parse(&small.split(' ').collect::<Vec<_>>());
        let exit = run(args, &Words::parse_from(words).global).await.unwrap();
        assert_eq!(exit, Exit::Done);
        let cell = folder.path().join("experiments/noise-1/baseline-0.25-seed0");
        let result: Value = folder::read_json(&cell.join("result.json")).unwrap();
        assert_eq!(result["unreadable"], json!([]));
    }
}

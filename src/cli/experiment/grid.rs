//! The grid of an experiment: its trainings, the folder of each, and what it trains on.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};

use super::noise::NoiseArgs;
use super::table::Measured;
use crate::cli::train::dataset::{read_identity, say_remarks, word};
use crate::cli::train::folder;
use crate::cli::train::{Caller, CommonArgs, MethodArg, check_training};
use crate::failure::{Failure, Reason};
use crate::train::data::TrainingSet;
use crate::train::recipe::{Method, Recipe};

/// The file that describes an experiment's folder.
const CARD: &str = "experiment.json";
/// Held by a process while it writes a file of the folder.
const LOCK: &str = "lock";

/// One training of a grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    /// Share of each class's training labels to make wrong, 0 to 1.
    pub(super) noise: f64,
    pub(super) method: Method,
    pub(super) seed: u64,
}

impl Cell {
    /// The name of its folder.
    fn name(&self) -> String {
        format!("{}-{}-seed{}", self.method.as_str(), self.noise, self.seed)
    }

    /// The cell of a folder, without the number at the end of its name.
    fn of_name(name: &str) -> Option<Self> {
        let mut words = name.split('-');
        let method = MethodArg::from_str(words.next()?, false).ok()?.into();
        let noise = words.next()?.parse().ok()?;
        Some(Self { noise, method, seed: words.next()?.strip_prefix("seed")?.parse().ok()? })
    }

    /// In words, for progress messages.
    pub(super) fn words(&self) -> String {
        let percent = (1_000.0 * self.noise).round() / 10.0;
        format!("{} with {percent} % wrong labels, seed {}", self.method.as_str(), self.seed)
    }
}

/// The state of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellState {
    Done,
    /// Interrupted; it resumes from its last checkpoint.
    Begun,
    New,
}

/// All trainings of an experiment.
pub(super) struct Grid {
    /// The experiment's folder; each cell has one in it.
    pub(super) folder: PathBuf,
    /// The cells, seeds outermost: an interrupted grid has complete rows with fewer seeds.
    pub(super) cells: Vec<Cell>,
    common: CommonArgs,
    clean: TrainingSet,
    card: Value,
}

impl Grid {
    /// Reads the data and plans the grid in one of the folders below `experiments`; writes nothing. `catalog` is the
    /// catalog's set, if it is among the data sets.
    ///
    /// # Errors
    /// [`Reason::Interrupted`] as soon as a stop is requested.
    pub(super) async fn of(
        args: &NoiseArgs,
        experiments: &Path,
        catalog: Option<TrainingSet>,
        caller: &Caller,
    ) -> Result<Self, Failure> {
        let common = &args.common;
        let cells = cells(args);
        for cell in &cells {
            common.recipe(cell.method).check()?;
        }
        let is_of_catalog = catalog.is_some();
        let clean = common.clean_set(catalog)?;
        clean.check()?;
        match is_of_catalog {
            true => check_training(&clean)?,
            false => clean.check_training()?,
        }
        say_remarks(&clean);
        read_identity(&clean, caller).await?;
        let card = card(common, &clean);
        let folder = folder_of(experiments, &card);
        Ok(Self { folder, cells, common: common.clone(), clean, card })
    }

    /// The name of its data, and their split with the first seed.
    pub(super) fn data(&self) -> String {
        let set = self.held_out(&self.common);
        format!("{}, {}", set.name, set.summary())
    }

    /// Creates the folder, or another one if another experiment has just created it.
    pub(super) fn begin(&mut self) -> Result<(), Failure> {
        loop {
            let made = std::fs::create_dir_all(&self.folder);
            made.map_err(|error| Failure::unwritable(&self.folder, &error))?;
            let path = self.folder.join(CARD);
            let is_own = self.with_lock(|| match folder::read_json::<Value>(&path) {
                Some(known) => Ok(known == self.card),
                None => folder::write_json(&path, &self.card).map(|()| true),
            })?;
            if is_own {
                return Ok(());
            }
            let experiments = self.folder.parent().unwrap_or(Path::new("."));
            self.folder = folder_of(experiments, &self.card);
        }
    }

    /// Runs a function while holding the lock of the experiment's folder, since several processes may fill one grid.
    pub(super) fn with_lock<T>(&self, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let path = self.folder.join(LOCK);
        let unwritable = |error: io::Error| folder::unwritable(&path, &error);
        let lock = File::create(&path).map_err(unwritable)?;
        let held = Flock::lock(lock, FlockArg::LockExclusive);
        let _held = held.map_err(|(_, error)| unwritable(error.into()))?;
        work()
    }

    /// The data without noise, with the validation part of the flags' seed.
    fn held_out(&self, common: &CommonArgs) -> TrainingSet {
        let mut set = self.clean.clone();
        set.hold_out_validation(common.validation, common.seed);
        set
    }

    /// The recipe and the training set of a cell. The same seed makes the same labels wrong for every method.
    pub(super) fn work(&self, cell: &Cell) -> Result<(Recipe, TrainingSet), Failure> {
        let common = CommonArgs { seed: cell.seed, ..self.common.clone() };
        let mut set = self.held_out(&common);
        common.add_noise(&mut set, cell.noise)?;
        let recipe = common.recipe(cell.method);
        recipe.check_for(&set)?;
        Ok((recipe, set))
    }

    /// The folder of a cell, which may not exist.
    pub(super) fn place(&self, cell: &Cell, recipe: &Recipe, set: &TrainingSet) -> PathBuf {
        let word = cell.name();
        // There is a second one only if an earlier release used another recipe.
        let name = |number| if number == 1 { word.clone() } else { format!("{word}-{number}") };
        folder::place(&|number| self.folder.join(name(number)), recipe, set, &|_| false)
    }

    /// The finished cells of the experiment, of all processes, including cells outside the current grid.
    pub(super) fn done(&self) -> Result<Vec<Measured>, Failure> {
        let mut done = Vec::new();
        for path in self.folders()? {
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(cell) = name.and_then(Cell::of_name) else { continue };
            let (recipe, set) = self.work(&cell)?;
            if self.place(&cell, &recipe, &set) == path {
                done.extend(measured(&cell, &path));
            }
        }
        done.sort_by_key(|measured| measured.seed);
        Ok(done)
    }

    fn folders(&self) -> Result<Vec<PathBuf>, Failure> {
        let listed = std::fs::read_dir(&self.folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        listed.map_err(|error: io::Error| {
            Failure::transient(Reason::Disk, format!("cannot list {}: {error}", self.folder.display()))
        })
    }

    /// The state of a cell.
    pub(super) fn state(&self, cell: &Cell) -> Result<(PathBuf, CellState), Failure> {
        let (recipe, set) = self.work(cell)?;
        let path = self.place(cell, &recipe, &set);
        let state = if folder::closing_line(&path).is_some() {
            CellState::Done
        } else if path.exists() {
            CellState::Begun
        } else {
            CellState::New
        };
        Ok((path, state))
    }
}

/// The result in a cell's folder; `None` while it is not done.
pub(super) fn measured(cell: &Cell, folder: &Path) -> Option<Measured> {
    let measures = folder::closing_line(folder)?.measures;
    let importance_auc = folder::result(folder)?.importance_auc;
    let Cell { noise, method, seed } = *cell;
    Some(Measured { noise, method, seed, measures, importance_auc })
}

fn cells(args: &NoiseArgs) -> Vec<Cell> {
    let mut cells = Vec::new();
    for number in 0..args.seeds {
        for &noise in &args.levels {
            for &method in &args.methods {
                let seed = args.common.seed.wrapping_add(number);
                let cell = Cell { noise, method: method.into(), seed };
                if !cells.contains(&cell) {
                    cells.push(cell);
                }
            }
        }
    }
    cells
}

/// The identity of an experiment: its data and recipe. Shares, methods and seeds may be added later.
fn card(common: &CommonArgs, clean: &TrainingSet) -> Value {
    let recipe = CommonArgs { seed: 0, ..common.clone() }.recipe(Method::Baseline);
    json!({
        "experiment": "noise",
        "data": folder::data_card(clean),
        "recipe_but_for_method_and_seed": recipe,
        "noise_kind": word(common.noise_kind),
        "validation": common.validation,
    })
}

/// The folder of the experiment with this card, else a new path.
fn folder_of(experiments: &Path, card: &Value) -> PathBuf {
    let mut number = 1;
    loop {
        let path = experiments.join(format!("noise-{number}"));
        let known: Option<Value> = folder::read_json(&path.join(CARD));
        if known.is_none_or(|known| known == *card) {
            return path;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::tests::parse;
    use super::*;
    use crate::train::drawn::shapes;
    use crate::types::Split;

    fn grid(words: &[&str], data: &Path) -> Grid {
        let args = parse(words);
        let clean = shapes(60, 1);
        let card = card(&args.common, &clean);
        let folder = folder_of(data, &card);
        Grid { folder, cells: cells(&args), common: args.common, clean, card }
    }

    #[test]
    fn an_interrupted_grid_has_complete_rows_and_no_cell_twice() {
        let grid = grid(
            &["--levels", "0.1,0.2,0.1", "--methods", "baseline,scn", "--seeds", "2", "--seed", "7"],
            Path::new("x"),
        );
        let names: Vec<String> = grid.cells.iter().map(Cell::words).collect();
        assert_eq!(grid.cells.len(), 8);
        assert_eq!(names[0], "baseline with 10 % wrong labels, seed 7");
        assert_eq!(names[3], "scn with 20 % wrong labels, seed 7");
        assert_eq!(names[4], "baseline with 10 % wrong labels, seed 8");
    }

    #[test]
    fn the_name_of_a_folder_identifies_its_cell() {
        let cell = Cell { noise: 0.15, method: Method::Cure, seed: 12 };
        for name in ["cure-0.15-seed12", "cure-0.15-seed12-2"] {
            assert_eq!(Cell::of_name(name), Some(cell));
        }
        assert_eq!(cell.name(), "cure-0.15-seed12");
        for other in ["table.md", "lock", "cure-x-seed1", "cure-0.1", "cured-0.1-seed1", "scn-0.1-1"] {
            assert_eq!(Cell::of_name(other), None, "{other}");
        }
    }

    #[test]
    fn all_methods_of_a_seed_have_the_same_wrong_labels() {
        let grid = grid(&["--levels", "0.3", "--seeds", "2"], Path::new("x"));
        let labels: Vec<Vec<usize>> =
            grid.cells.iter().map(|cell| grid.work(cell).unwrap().1.labels).collect();
        assert_eq!(grid.cells.len(), 6);
        assert!(labels[0] == labels[1] && labels[1] == labels[2]);
        assert_ne!(labels[0], labels[3], "another seed, other labels");
        let (_, set) = grid.work(&grid.cells[0]).unwrap();
        let truth = set.truth.unwrap();
        let wrong = set.labels.iter().zip(&truth).filter(|(label, truth)| label != truth).count();
        assert!(wrong > 0 && wrong < 20, "{wrong} of 60 less the test");
    }

    #[test]
    fn a_grid_can_grow_in_its_folder_and_another_recipe_has_another_folder() {
        let data = tempfile::tempdir().unwrap();
        let mut first = grid(&["--levels", "0.1"], data.path());
        first.begin().unwrap();
        assert!(first.folder.ends_with("noise-1"));
        assert_eq!(grid(&["--levels", "0.1,0.2", "--seed", "9"], data.path()).folder, first.folder);
        assert!(grid(&["--levels", "0.1", "--epochs", "7"], data.path()).folder.ends_with("noise-2"));
        assert!(grid(&["--noise-kind", "pair"], data.path()).folder.ends_with("noise-2"));
    }

    #[test]
    fn the_recipe_of_an_experiment_is_compared_to_the_last_digit() {
        let data = tempfile::tempdir().unwrap();
        let grid = || grid(&["--lr", "0.000011289428729933203"], data.path());
        grid().begin().unwrap();
        assert!(grid().folder.ends_with("noise-1"));
    }

    #[test]
    fn experiments_that_begin_simultaneously_have_different_folders() {
        let data = tempfile::tempdir().unwrap();
        let mut grids = [&[][..], &["--epochs", "7"]].map(|words| grid(words, data.path()));
        grids.iter_mut().for_each(|grid| grid.begin().unwrap());
        assert!(grids[0].folder.ends_with("noise-1") && grids[1].folder.ends_with("noise-2"));
    }

    #[test]
    fn an_experiment_below_a_file_names_the_file() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("notes.txt");
        std::fs::write(&file, "no folder").unwrap();
        let failure = grid(&[], &file).begin().unwrap_err();
        assert!(failure.reason == Reason::Usage && failure.detail.contains("notes.txt"), "{failure}");
        assert!(failure.hint.is_some());
    }

    #[test]
    fn the_data_are_described_with_their_validation_part() {
        let mut grid = grid(&["--validation", "0.25", "--levels", "0"], Path::new("x"));
        grid.clean.splits.iter_mut().filter(|split| **split == Split::Validation).for_each(|split| {
            *split = Split::Train;
        });
        let (_, set) = grid.work(&grid.cells[0]).unwrap();
        assert_eq!(grid.data(), format!("shapes, {}", set.summary()));
        assert_ne!(set.summary(), grid.clean.summary());
    }
}

//! The grid of an experiment: which trainings belong to it, where each has its folder, and what it trains on.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};

use super::noise::NoiseArgs;
use super::table::Measured;
use crate::cli::train::folder;
use crate::cli::train::spread::Measures;
use crate::cli::train::{CommonArgs, DatasetArg, MethodArg, todays_samples};
use crate::cli::{Global, Session};
use crate::train::data::TrainingSet;
use crate::train::recipe::{Method, Recipe};

/// What an experiment's folder was made for.
const CARD: &str = "experiment.json";
/// Held by a process while it writes a file of the folder.
const LOCK: &str = "lock";

/// One training of a grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    /// Share of each class's training labels that is made wrong.
    pub(super) noise: f64,
    pub(super) method: Method,
    pub(super) seed: u64,
}

impl Cell {
    /// What its folder is called.
    fn name(&self) -> String {
        format!("{}-{}-seed{}", self.method.as_str(), self.noise, self.seed)
    }

    /// The cell of a folder, whatever number follows.
    fn of_name(name: &str) -> Option<Self> {
        let mut words = name.split('-');
        let method = MethodArg::from_str(words.next()?, false).ok()?.into();
        let noise = words.next()?.parse().ok()?;
        Some(Self { noise, method, seed: words.next()?.strip_prefix("seed")?.parse().ok()? })
    }

    /// In words, for those who wait.
    pub(super) fn words(&self) -> String {
        let percent = (1_000.0 * self.noise).round() / 10.0;
        format!("{} with {percent} % wrong labels, seed {}", self.method.as_str(), self.seed)
    }
}

/// How far a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Done,
    /// Cut off; it goes on from its last checkpoint.
    Begun,
    New,
}

/// All trainings of an experiment.
pub(super) struct Grid {
    /// The experiment's folder; each cell has one in it.
    pub(super) folder: PathBuf,
    /// Seeds outermost: a grid that is cut short has whole rows of fewer seeds.
    pub(super) cells: Vec<Cell>,
    common: CommonArgs,
    clean: TrainingSet,
    card: Value,
}

impl Grid {
    /// Reads the data and lays the grid out; writes nothing.
    pub(super) async fn of(args: &NoiseArgs, global: &Global) -> anyhow::Result<Self> {
        let common = &args.common;
        let cells = cells(args);
        for cell in &cells {
            common.recipe(cell.method).check().map_err(|error| error.failure())?;
        }
        let catalog = if common.dataset.contains(&DatasetArg::Catalog) {
            Some(todays_samples(&Session::existing(global).await?.catalog).await?)
        } else {
            None
        };
        let clean = common.clean_set(catalog)?;
        clean.check().and_then(|()| clean.check_training()).map_err(|error| error.failure())?;
        let card = card(common, &clean);
        let folder = folder_of(&global.data().join("experiments"), &card);
        Ok(Self { folder, cells, common: common.clone(), clean, card })
    }

    /// The name of its data.
    pub(super) fn data(&self) -> String {
        format!("{}, {}", self.clean.name, self.clean.summary())
    }

    /// Makes the folder.
    pub(super) fn begin(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        self.alone(|| folder::write_json(&self.folder.join(CARD), &self.card))
    }

    /// Writes into the experiment's folder while no other process does: several may fill one grid.
    pub(super) fn alone(&self, write: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let lock = File::create(self.folder.join(LOCK))?;
        let _held = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
        write()
    }

    /// What a cell trains by and on. The same seed makes the same labels wrong for every method.
    pub(super) fn work(&self, cell: &Cell) -> anyhow::Result<(Recipe, TrainingSet)> {
        let common = CommonArgs { seed: cell.seed, ..self.common.clone() };
        let mut set = self.clean.clone();
        set.hold_out_validation(common.validation, common.seed);
        common.add_noise(&mut set, cell.noise)?;
        Ok((common.recipe(cell.method), set))
    }

    /// The folder of a cell, which need not be there.
    pub(super) fn place(&self, cell: &Cell, recipe: &Recipe, set: &TrainingSet) -> PathBuf {
        let word = cell.name();
        // A second one only where an older version of this program trained by another recipe.
        let name = |number| if number == 1 { word.clone() } else { format!("{word}-{number}") };
        folder::place(&self.folder, &name, (recipe, set), false)
    }

    /// What is done of the experiment, by whichever process; also cells that nobody asks for now.
    pub(super) fn done(&self) -> anyhow::Result<Vec<Measured>> {
        let mut done = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let Some(cell) = entry.file_name().to_str().and_then(Cell::of_name) else { continue };
            let (recipe, set) = self.work(&cell)?;
            if self.place(&cell, &recipe, &set) == entry.path() {
                done.extend(measured(&cell, &entry.path()));
            }
        }
        done.sort_by_key(|measured| measured.seed);
        Ok(done)
    }

    /// How far a cell is.
    pub(super) fn standing(&self, cell: &Cell) -> anyhow::Result<(PathBuf, Standing)> {
        let (recipe, set) = self.work(cell)?;
        let path = self.place(cell, &recipe, &set);
        let standing = match () {
            () if folder::closing_line(&path).is_some() => Standing::Done,
            () if path.exists() => Standing::Begun,
            () => Standing::New,
        };
        Ok((path, standing))
    }
}

/// What a cell's folder says that it came to; `None` while it is not done.
pub(super) fn measured(cell: &Cell, folder: &Path) -> Option<Measured> {
    let measures: Measures = serde_json::from_value(folder::closing_line(folder)?).ok()?;
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

/// What makes two grids one experiment: data and recipe. Shares, methods and seeds may be added later.
fn card(common: &CommonArgs, clean: &TrainingSet) -> Value {
    let recipe = CommonArgs { seed: 0, ..common.clone() }.recipe(Method::Baseline);
    json!({
        "experiment": "noise",
        "data": folder::data_card(clean),
        "recipe_but_for_method_and_seed": recipe,
        "noise_kind": format!("{:?}", common.noise_kind).to_lowercase(),
        "validation": common.validation,
    })
}

/// The experiment's folder of this card, else a new one.
fn folder_of(experiments: &Path, card: &Value) -> PathBuf {
    let mut number = 1;
    loop {
        let path = experiments.join(format!("noise-{number}"));
        let known = folder::read_json(&path.join(CARD));
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

    fn grid(words: &[&str], data: &Path) -> Grid {
        let args = parse(words);
        let clean = shapes(60, 1);
        let card = card(&args.common, &clean);
        let folder = folder_of(data, &card);
        Grid { folder, cells: cells(&args), common: args.common, clean, card }
    }

    #[test]
    fn a_grid_cut_short_has_whole_rows_and_names_no_cell_twice() {
        let grid = grid(
            &["--levels", "0.1,0.2,0.1", "--methods", "baseline,scn", "--seeds", "2", "--seed", "7"],
            Path::new("x"),
        );
        let told: Vec<String> = grid.cells.iter().map(Cell::words).collect();
        assert_eq!(grid.cells.len(), 8);
        assert_eq!(told[0], "baseline with 10 % wrong labels, seed 7");
        assert_eq!(told[3], "scn with 20 % wrong labels, seed 7");
        assert_eq!(told[4], "baseline with 10 % wrong labels, seed 8");
    }

    #[test]
    fn a_folder_s_name_tells_its_cell() {
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
    fn all_methods_of_a_seed_see_the_same_wrong_labels() {
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
    fn a_grid_may_grow_in_its_folder_and_another_recipe_gets_another_folder() {
        let data = tempfile::tempdir().unwrap();
        let first = grid(&["--levels", "0.1"], data.path());
        first.begin().unwrap();
        assert!(first.folder.ends_with("noise-1"));
        assert_eq!(grid(&["--levels", "0.1,0.2", "--seed", "9"], data.path()).folder, first.folder);
        assert!(grid(&["--levels", "0.1", "--epochs", "7"], data.path()).folder.ends_with("noise-2"));
        assert!(grid(&["--noise-kind", "pair"], data.path()).folder.ends_with("noise-2"));
    }
}

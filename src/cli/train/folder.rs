//! The folder of a run: which process holds it, its recipe and data, and the closing line once the run is done. The
//! checkpoints in it belong to the trainer.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::opinions;
use crate::clock::Clock;
use crate::failure::{Failure, Reason};
use crate::files::write_whole;
use crate::train::data::TrainingSet;
use crate::train::recipe::Recipe;
use crate::train::{ClosingLine, Trained};

/// The recipe, written when the run begins.
const RECIPE: &str = "recipe.json";
/// The data, its flags, the sha256 of the initial params, and when the run began.
const DATA: &str = "data.json";
const INIT: &str = "init_sha256";
const FLAGS: &str = "flags";
const STARTED_AT: &str = "started_at_ms";
/// All results.
const RESULT: &str = "result.json";
/// The closing line; it is there once the run is done.
const CLOSING: &str = "closing.json";
/// Held by the process that trains here.
const LOCK: &str = "lock";

/// A run's folder, held by this process until it is dropped.
pub(crate) struct RunFolder {
    pub(crate) path: PathBuf,
    _lock: Flock<File>,
}

impl RunFolder {
    /// Locks a folder for a run of this recipe and data, creating it if it does not exist. The recipe and the data are
    /// recorded once and never changed.
    ///
    /// # Errors
    /// [`Reason::Usage`] while another process holds it.
    pub(crate) fn take(path: &Path, recipe: &Recipe, set: &TrainingSet) -> Result<Self, Failure> {
        Self::take_if_free(path, recipe, set)?.ok_or_else(|| held(path))
    }

    /// The same; `None` while another process holds it.
    fn take_if_free(path: &Path, recipe: &Recipe, set: &TrainingSet) -> Result<Option<Self>, Failure> {
        std::fs::create_dir_all(path).map_err(|error| Failure::unwritable(path, &error))?;
        let Some(lock) = lock(path)? else { return Ok(None) };
        if !path.join(RECIPE).is_file() {
            let mut data = data_card(set);
            data[INIT] = json!(init_sha256(recipe));
            data[FLAGS] = json!(set.flags);
            data[STARTED_AT] = json!(Clock::system().now_ms());
            write_json(&path.join(DATA), &data)?;
            write_json(&path.join(RECIPE), recipe)?;
        }
        Ok(Some(Self { path: path.to_owned(), _lock: lock }))
    }

    /// Locks the folder that [`place`] finds for a run; with `again` a run that is done is passed over.
    pub(super) fn find(
        runs: &Path,
        recipe: &Recipe,
        set: &TrainingSet,
        again: bool,
    ) -> Result<Self, Failure> {
        let folder = |number| runs.join(format!("{}-{number}", recipe.method.as_str()));
        let mut of_others: Vec<PathBuf> = Vec::new();
        loop {
            let is_passed_over = |path: &Path| {
                of_others.iter().any(|other| other == path) || again && closing_line(path).is_some()
            };
            let path = place(&folder, recipe, set, &is_passed_over);
            let taken = Self::take_if_free(&path, recipe, set)?;
            match (taken, is_for(&path, recipe, set)) {
                (Some(folder), true) => return Ok(folder),
                (None, true) => return Err(held(&path)),
                // Another process has just begun a run there.
                (_, false) => of_others.push(path),
            }
        }
    }

    /// The run's name.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The closing line of a run that is done.
    pub(crate) fn closing_line(&self) -> Option<ClosingLine> {
        closing_line(&self.path)
    }

    /// Stores the results and the opinions on all samples.
    pub(super) fn keep(&self, trained: &Trained, set: &TrainingSet) -> Result<(), Failure> {
        opinions::write(&self.path, trained, set)?;
        write_json(&self.path.join(RESULT), trained)
    }

    /// Writes the closing line: from now on the run is done.
    pub(crate) fn close(&self, line: &ClosingLine) -> Result<(), Failure> {
        write_json(&self.path.join(CLOSING), line)
    }
}

/// The folder of an interrupted or finished run of this recipe and data, unless it is passed over; else a new path, which
/// is not created. `folder` gives the path of the first, second … folder.
pub(crate) fn place(
    folder: &dyn Fn(u32) -> PathBuf,
    recipe: &Recipe,
    set: &TrainingSet,
    is_passed_over: &dyn Fn(&Path) -> bool,
) -> PathBuf {
    let mut free = None;
    for path in (1..).map(folder) {
        if !path.exists() {
            return free.unwrap_or(path);
        }
        if is_passed_over(&path) {
            continue;
        }
        // Its process was killed before the recipe was recorded: any run may use it.
        if !path.join(RECIPE).is_file() {
            free.get_or_insert(path);
            continue;
        }
        if is_for(&path, recipe, set) {
            return path;
        }
    }
    folder(1)
}

/// The folder that `--resume` names: a path, or a name below `runs`.
pub(super) fn named(runs: &Path, run: &Path) -> Result<PathBuf, Failure> {
    [run.to_owned(), runs.join(run)].into_iter().find(|folder| folder.join(RECIPE).is_file()).ok_or_else(
        || {
            Failure::permanent(Reason::Usage, format!("{} is no run's folder or name", run.display()))
                .with_hint("runs lie in runs/ below the data folder")
        },
    )
}

/// Whether a folder was made for this recipe and this data.
pub(super) fn is_for(folder: &Path, recipe: &Recipe, set: &TrainingSet) -> bool {
    is_for_recipe(folder, recipe) && is_for_data(folder, recipe, set)
}

fn is_for_recipe(folder: &Path, recipe: &Recipe) -> bool {
    read_json::<Value>(&folder.join(RECIPE)) == serde_json::to_value(recipe).ok()
}

/// Whether a folder was made for this data and for the initial params that the recipe's file now has. Params whose file is
/// gone are not compared, since a resumed run does not need them; nor is what an earlier release did not record.
pub(super) fn is_for_data(folder: &Path, recipe: &Recipe, set: &TrainingSet) -> bool {
    let Some(card) = read_json::<Value>(&folder.join(DATA)) else { return false };
    let is_same_init = card[INIT].is_null() || init_sha256(recipe).is_none_or(|init| card[INIT] == init);
    card["hash"] == data_card(set)["hash"] && is_same_init
}

/// Refuses the folder that `--resume` names if it was made for something else.
pub(super) fn check_is_for(folder: &Path, recipe: &Recipe, set: &TrainingSet) -> Result<(), Failure> {
    match (is_for_recipe(folder, recipe), is_for_data(folder, recipe, set)) {
        (true, true) => Ok(()),
        (false, _) => Err(of_another(folder, "recipe")),
        (true, false) => Err(of_another(folder, "data set or other params to begin from").with_hint(
            "name the data, the noise and the --init that it was begun with (data.json and recipe.json in its folder tell \
             them); pictures that were cropped again since, or that an earlier release knew by less, are other data: \
             begin it anew",
        )),
    }
}

pub(super) fn of_another(folder: &Path, what: &str) -> Failure {
    Failure::permanent(Reason::Usage, format!("{} is a run of another {what}", folder.display())).with_hint(
        "name all flags that it was begun with (recipe.json and data.json in its folder tell them), or begin a new run",
    )
}

fn init_sha256(recipe: &Recipe) -> Option<String> {
    crate::store::digest(recipe.init.as_ref()?).ok().map(|(_, sha256)| sha256)
}

/// Describes and identifies the data of a run.
pub(crate) fn data_card(set: &TrainingSet) -> Value {
    json!({"name": set.name, "summary": set.summary(), "classes": set.classes, "hash": set.hash()})
}

/// When the run in a folder began, milliseconds since 1970; `None` if an earlier release began it.
pub(crate) fn started_at_ms(folder: &Path) -> Option<i64> {
    read_json::<Value>(&folder.join(DATA))?[STARTED_AT].as_i64()
}

/// The closing line of the run in a folder; `None` while it is not done.
pub(crate) fn closing_line(folder: &Path) -> Option<ClosingLine> {
    read_json(&folder.join(CLOSING))
}

/// The results that [`RunFolder::keep`] stored.
pub(crate) fn result(folder: &Path) -> Option<Trained> {
    read_json(&folder.join(RESULT))
}

/// Reads a JSON file; `None` when it is missing, incomplete or of another type.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Writes a JSON file in a locked folder, whole or not at all.
pub(crate) fn write_json(path: &Path, content: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(content).map_err(|error| unwritable(path, &error.into()))?;
    write_whole(path, &text).map_err(|error| unwritable(path, &error))
}

/// A file in a locked folder cannot be written: the disk is full or gone. The failure is transient, so the run can resume.
pub(crate) fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::transient(Reason::Disk, format!("cannot write {}: {error}", path.display())).with_hint(
        "free some disk, or mend it, then start the same command again: it goes on from what is there",
    )
}

/// Locks a folder; `None` while another process holds it.
fn lock(folder: &Path) -> Result<Option<Flock<File>>, Failure> {
    let path = folder.join(LOCK);
    let unwritable = |error: io::Error| Failure::unwritable(&path, &error);
    let file = File::create(&path).map_err(unwritable)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EAGAIN)) => Ok(None),
        Err((_, error)) => Err(unwritable(error.into())),
    }
}

fn held(folder: &Path) -> Failure {
    Failure::permanent(Reason::Usage, format!("another process trains in {}", folder.display()))
        .with_hint("wait for it, or train with another --seed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;
    use crate::train::Measures;
    use crate::train::drawn::shapes;
    use crate::train::recipe::Method;

    fn find(runs: &Path, set: &TrainingSet, again: bool) -> RunFolder {
        RunFolder::find(runs, &Recipe::new(Method::Scn), set, again).unwrap()
    }

    #[test]
    fn an_interrupted_run_is_resumed_and_other_data_get_a_run_of_their_own() {
        let runs = tempfile::tempdir().unwrap();
        let (set, other, as_many) = (shapes(20, 1), shapes(25, 1), shapes(20, 2));
        assert_eq!(find(runs.path(), &set, false).name(), "scn-1");
        assert_eq!(find(runs.path(), &other, false).name(), "scn-2");
        assert_eq!(find(runs.path(), &as_many, false).name(), "scn-3", "the same labels on other pictures");
        assert_eq!(find(runs.path(), &set, false).name(), "scn-1");
    }

    /// If a process is killed between its last commit and its exit, the next one must not train again.
    #[test]
    fn a_finished_run_is_not_repeated_unless_asked() {
        let runs = tempfile::tempdir().unwrap();
        let set = shapes(20, 1);
        let line = ClosingLine { run: "scn-1".to_owned(), measures: Measures::default() };
        find(runs.path(), &set, false).close(&line).unwrap();
        assert_eq!(find(runs.path(), &set, false).closing_line(), Some(line));
        let again = find(runs.path(), &set, true);
        assert_eq!((again.name().as_str(), again.closing_line()), ("scn-2", None));
    }

    #[test]
    fn other_initial_params_in_the_same_file_begin_another_run() {
        let runs = tempfile::tempdir().unwrap();
        let init = runs.path().join("face.safetensors");
        let recipe = Recipe { init: Some(init.clone()), ..Recipe::new(Method::Scn) };
        let set = shapes(20, 1);
        let mut find = |params: Option<&str>| {
            match params {
                Some(params) => std::fs::write(&init, params).unwrap(),
                None => std::fs::remove_file(&init).unwrap(),
            }
            RunFolder::find(&runs.path().join("runs"), &recipe, &set, false).unwrap().name()
        };
        let names = [Some("one"), Some("other"), Some("one"), None].map(&mut find);
        assert_eq!(names, ["scn-1", "scn-2", "scn-1", "scn-1"]);
        // An earlier release did not record the initial params.
        write_json(&runs.path().join("runs/scn-1").join(DATA), &data_card(&set)).unwrap();
        assert_eq!(find(Some("third")), "scn-1");
    }

    #[test]
    fn a_folder_records_the_flags_of_its_data_and_when_the_run_began() {
        let runs = tempfile::tempdir().unwrap();
        let mut set = shapes(20, 1);
        set.write_flag("noise", json!(0.25));
        let folder = find(runs.path(), &set, false).path.clone();
        let data: Value = read_json(&folder.join(DATA)).unwrap();
        assert_eq!((&data["flags"], &data["name"]), (&json!({"noise": 0.25}), &json!("shapes")));
        assert!(started_at_ms(&folder) > Some(0));
        set.flags.clear();
        assert_eq!(find(runs.path(), &set, false).path, folder, "what is trained on is the same");
    }

    #[test]
    fn a_run_of_another_recipe_or_other_data_is_not_resumed() {
        let runs = tempfile::tempdir().unwrap();
        let (set, recipe) = (shapes(20, 1), Recipe::new(Method::Scn));
        let folder = find(runs.path(), &set, false).path.clone();
        check_is_for(&folder, &recipe, &set).unwrap();
        let refused = |recipe: &Recipe, set: &TrainingSet| check_is_for(&folder, recipe, set).unwrap_err();
        let other = Recipe { epochs: 7, ..recipe.clone() };
        assert!(refused(&other, &set).detail.ends_with("scn-1 is a run of another recipe"));
        assert!(refused(&recipe, &shapes(25, 1)).detail.contains("another data set"));
    }

    #[test]
    fn a_folder_left_by_a_process_killed_at_once_is_used() {
        let runs = tempfile::tempdir().unwrap();
        std::fs::create_dir(runs.path().join("scn-1")).unwrap();
        std::fs::write(runs.path().join("scn-1/recipe.part"), "{\"method\"").unwrap();
        assert_eq!(find(runs.path(), &shapes(20, 1), false).name(), "scn-1");
    }

    #[test]
    fn two_processes_never_train_in_one_folder() {
        let runs = tempfile::tempdir().unwrap();
        let set = shapes(20, 1);
        let held = find(runs.path(), &set, false);
        let error = RunFolder::find(runs.path(), &Recipe::new(Method::Scn), &set, false).err().unwrap();
        assert!(error.to_string().contains("another process trains in"), "{error}");
        drop(held);
        find(runs.path(), &set, false);
    }

    #[test]
    fn a_folder_that_another_process_has_just_made_is_not_used() {
        let runs = tempfile::tempdir().unwrap();
        let first = runs.path().join("scn-1");
        std::fs::create_dir(&first).unwrap();
        let held = lock(&first).unwrap().unwrap();
        let set = shapes(20, 1);
        assert_eq!(find(runs.path(), &set, false).name(), "scn-2");
        write_json(&first.join(RECIPE), &Recipe { epochs: 7, ..Recipe::new(Method::Scn) }).unwrap();
        drop(held);
        assert_eq!(find(runs.path(), &set, false).name(), "scn-2");
    }

    /// Without serde_json's `float_roundtrip` the last bit of one such number in ten is lost.
    #[test]
    fn a_recipe_is_compared_to_the_last_digit() {
        let runs = tempfile::tempdir().unwrap();
        let mut recipe = Recipe::new(Method::Scn);
        recipe.optimizer.lr = 0.000_011_289_428_729_933_203;
        let set = shapes(20, 1);
        let find = || RunFolder::find(runs.path(), &recipe, &set, false).unwrap();
        let folder = find().path.clone();
        check_is_for(&folder, &recipe, &set).unwrap();
        assert_eq!(find().path, folder);
    }

    #[test]
    fn a_disk_that_disappears_during_a_run_is_a_transient_failure() {
        let runs = tempfile::tempdir().unwrap();
        let folder = find(runs.path(), &shapes(20, 1), false);
        std::fs::remove_dir_all(&folder.path).unwrap();
        let line = ClosingLine { run: "scn-1".to_owned(), measures: Measures::default() };
        assert_eq!(folder.close(&line).unwrap_err().kind, FailureKind::Transient);
    }

    #[test]
    fn runs_below_a_file_are_a_usage_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes.txt");
        std::fs::write(&file, "no folder").unwrap();
        let (recipe, set) = (Recipe::new(Method::Scn), shapes(20, 1));
        let failure = RunFolder::find(&file.join("runs"), &recipe, &set, false).err().unwrap();
        assert_eq!(failure.exit(), crate::failure::Exit::Usage);
        assert!(failure.detail.contains("notes.txt") && failure.hint.is_some(), "{failure}");
    }
}

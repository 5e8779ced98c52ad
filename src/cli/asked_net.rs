//! Which trained net `predict`, `eval` and `export-net` mean: a run's best params, or a file.

use std::path::{Path, PathBuf};

use super::{Global, named};
use crate::failure::{Failure, Reason};
use crate::train::predict::Predictor;

/// The params that were best on validation; the last ones where a run has no others.
const FILES: [&str; 2] = ["best.safetensors", "last.safetensors"];

/// Flags that name a net.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NetArgs {
    /// The best params of this run [default: the newest run]
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
    /// Params that `train` wrote
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub(crate) net: Option<PathBuf>,
}

impl NetArgs {
    /// Loads the net that is meant on `auto`, `cpu` or `cuda:N`; the path says which it is.
    pub(crate) fn load(&self, global: &Global, device: &str) -> Result<(PathBuf, Predictor), Failure> {
        let path = self.path(global)?;
        let predictor = Predictor::load(&path, device)?;
        Ok((path, predictor))
    }

    /// Where the params that are meant lie.
    pub(crate) fn path(&self, global: &Global) -> Result<PathBuf, Failure> {
        match &self.net {
            Some(file) => Ok(file.clone()),
            None => of_run(&global.data().join("runs"), self.run.as_deref()),
        }
    }
}

fn of_run(runs: &Path, name: Option<&str>) -> Result<PathBuf, Failure> {
    let best_of = |folder: &Path| FILES.iter().map(|file| folder.join(file)).find(|path| path.is_file());
    let folders = std::fs::read_dir(runs).into_iter().flatten().flatten().map(|folder| folder.path());
    let nets: Vec<PathBuf> = folders.filter_map(|folder| best_of(&folder)).collect();
    if let Some(name) = name {
        return best_of(&runs.join(name)).ok_or_else(|| no_run(name, &nets));
    }
    let written = |path: &PathBuf| path.metadata().and_then(|facts| facts.modified()).ok();
    nets.into_iter().max_by_key(written).ok_or_else(|| {
        Failure::permanent(Reason::NothingToDo, format!("{} holds no trained net", runs.display()))
            .with_hint("train one with `webemotion train`, or name one with --net")
    })
}

fn no_run(name: &str, nets: &[PathBuf]) -> Failure {
    let mut known: Vec<&str> = nets.iter().filter_map(|net| net.parent()?.file_name()?.to_str()).collect();
    known.sort_unstable();
    named::no_run(name, &known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_is_meant_and_its_best_params_win() {
        let runs = tempfile::tempdir().unwrap();
        assert_eq!(of_run(runs.path(), None).unwrap_err().reason, Reason::NothingToDo);
        for (at, file) in ["scn-1/best.safetensors", "scn-1/last.safetensors", "scn-2/last.safetensors"]
            .into_iter()
            .enumerate()
        {
            let path = runs.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(at as u64);
            std::fs::File::create(&path).unwrap().set_modified(written).unwrap();
        }
        assert_eq!(of_run(runs.path(), None).unwrap(), runs.path().join("scn-2/last.safetensors"));
        assert_eq!(of_run(runs.path(), Some("scn-1")).unwrap(), runs.path().join("scn-1/best.safetensors"));
        let unknown = of_run(runs.path(), Some("scn-3")).unwrap_err();
        assert_eq!((unknown.reason, unknown.hint.as_deref()), (Reason::Usage, Some("runs: scn-1, scn-2")));
    }
}

//! The trained net that `predict`, `eval` and `export-net` use: a run's best params, or a file.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::train::folder;
use super::{Global, named, session};
use crate::failure::{Failure, Reason};
use crate::progress::Event;
use crate::store;
use crate::train::predict::Predictor;

/// The params that were best on validation; else the last ones of the run.
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
    /// Loads the named net on `auto`, `cpu` or `cuda:N`. Returns its path too, by which it is named to the user.
    pub(crate) fn load(&self, global: &Global, device: &str) -> Result<(PathBuf, Predictor), Failure> {
        let path = self.path(global)?;
        let predictor = Predictor::load(&path, device)?;
        if !global.json {
            let (method, data) = (predictor.card().recipe.method.as_str(), &predictor.card().data);
            let text = format!("asking {}: {method}, trained on {data}", path.display());
            session::reporter(global).report(&Event::Said { text });
        }
        Ok((path, predictor))
    }

    /// The path of the named params.
    pub(crate) fn path(&self, global: &Global) -> Result<PathBuf, Failure> {
        match &self.net {
            Some(file) if !file.exists() => Err(no_file(file)),
            Some(file) => Ok(file.clone()),
            None => of_run(&store::runs_in(&global.data()), self.run.as_deref()),
        }
    }
}

/// Accepts the words of --device. Whether there is such a device is seen when it is needed.
pub(crate) fn device_word(asked: &str) -> Result<String, String> {
    let index = asked.strip_prefix("cuda").map(|rest| rest.trim_start_matches(':'));
    let is_cuda = index.is_some_and(|index| index.is_empty() || index.parse::<usize>().is_ok());
    if is_cuda || ["auto", "cpu"].contains(&asked) {
        return Ok(asked.to_owned());
    }
    Err("must be auto, cpu, cuda or cuda:N".to_owned())
}

fn no_file(file: &Path) -> Failure {
    Failure::permanent(Reason::Usage, format!("{} is not there", file.display()))
        .with_hint("--net takes a file that `webemotion train` wrote, such as runs/scn-1/best.safetensors")
}

fn of_run(runs: &Path, name: Option<&str>) -> Result<PathBuf, Failure> {
    let best_of = |folder: &Path| FILES.iter().map(|file| folder.join(file)).find(|path| path.is_file());
    let folders = std::fs::read_dir(runs).into_iter().flatten().flatten().map(|folder| folder.path());
    let nets: Vec<PathBuf> = folders.filter_map(|folder| best_of(&folder)).collect();
    if let Some(name) = name {
        return best_of(&runs.join(name)).ok_or_else(|| no_run(name, &nets));
    }
    nets.into_iter().max_by_key(|net| age(net)).ok_or_else(|| {
        Failure::permanent(Reason::NothingToDo, format!("{} holds no trained net", runs.display()))
            .with_hint("train one with `webemotion train`, or name one with --net")
    })
}

/// The key by which nets of runs are ordered: when the run began. For runs of earlier releases, which come before all
/// others, it is the file's own time, although a copied folder changes that.
fn age(net: &Path) -> (Option<i64>, Option<SystemTime>) {
    let written = net.metadata().and_then(|facts| facts.modified()).ok();
    (net.parent().and_then(folder::started_at_ms), written)
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
    fn a_device_is_one_of_the_known_words_and_a_missing_net_is_named() {
        assert!(["auto", "cpu", "cuda", "cuda:1"].iter().all(|word| device_word(word).is_ok()));
        assert!(["gpu", "cuda:x", ""].iter().all(|word| device_word(word).is_err()));
        let failure = no_file(Path::new("nofile"));
        assert_eq!((failure.reason, failure.detail.as_str()), (Reason::Usage, "nofile is not there"));
    }

    #[test]
    fn by_default_it_is_the_newest_run_with_its_best_params() {
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
        // Copied in another order than they were begun.
        let begun = |run: &str, at_ms: i64| {
            let data = serde_json::json!({"started_at_ms": at_ms});
            folder::write_json(&runs.path().join(run).join("data.json"), &data).unwrap();
        };
        begun("scn-1", 7);
        assert_eq!(of_run(runs.path(), None).unwrap(), runs.path().join("scn-1/best.safetensors"));
        begun("scn-2", 6);
        assert_eq!(of_run(runs.path(), None).unwrap(), runs.path().join("scn-1/best.safetensors"));
    }
}

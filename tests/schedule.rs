//! The Slurm script in a make-believe cluster: `sbatch` runs the array's tasks at once, each as a node would.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::night::film;
use crate::program::{Ended, ask, expect};

/// Takes the words that the script says and does for each number of the array what Slurm would.
const SBATCH: &str = r#"#!/bin/bash
set -eu
for word; do case $word in --array=0-*) last=${word#--array=0-};; --chdir=*) cd "${word#--chdir=}";; esac; done
while [[ $1 == --* ]]; do shift; done
for task in $(seq 0 "$last"); do
  SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=1 bash "$@" > "log-$task" 2>&1 || { cat "log-$task" >&2; exit 1; }
done
echo "7;cluster"
"#;

fn slurm(folder: &Path, words: &[&str]) -> Ended {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/schedule/slurm");
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(script);
    command.args(words).env("PATH", path).env("WEBEMOTION", env!("CARGO_BIN_EXE_webemotion"));
    command.env("WEBEMOTION_DATA", folder.join("data")).env("TMPDIR", folder);
    command.output().unwrap().into()
}

#[tokio::test]
async fn an_array_cuts_what_was_downloaded_and_a_second_one_finds_nothing_left() {
    let folder = tempfile::tempdir().unwrap();
    let (data, work) = (folder.path().join("data"), folder.path().join("work"));
    fs::create_dir_all(folder.path().join("bin")).unwrap();
    let sbatch = folder.path().join("bin/sbatch");
    fs::write(&sbatch, SBATCH).unwrap();
    fs::set_permissions(&sbatch, fs::Permissions::from_mode(0o755)).unwrap();
    let videos = folder.path().join("videos");
    fs::create_dir(&videos).unwrap();
    film(2, &videos.join("a.mp4"));
    let source = format!("local:{}", videos.display());
    expect(0, &data, &["crawl", "--source", &source, "--emotion", "fear"]);

    let work = work.to_str().unwrap();
    let submitted = slurm(folder.path(), &["submit", work, "2"]);
    assert_eq!(submitted.code, Some(0), "{}{}", submitted.stdout, submitted.stderr);
    let merged = slurm(folder.path(), &["merge", work]);
    assert_eq!(merged.code, Some(0), "{}{}", merged.stdout, merged.stderr);
    assert_eq!(ask(&data, "select state from job where stage = 'cut'").await, ["done"]);
    assert_eq!(slurm(folder.path(), &["submit", work, "2"]).code, Some(4));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("webemotion-")), "{left:?}");
    assert_eq!(slurm(folder.path(), &["help"]).code, Some(2));
}

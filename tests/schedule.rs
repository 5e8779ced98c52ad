//! The Slurm script in a make-believe cluster: `sbatch` runs the array's tasks at once, each as a node would. And what
//! a Kubernetes job runs, when its pod has to go.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::night::film;
use crate::program::{Ended, ask, bare, expect};

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

/// In place of the program: `clips` leaves a catalog, and `backup` finds no room.
const FULL: &str = r#"#!/bin/bash
while [ $# -gt 0 ]; do
  case $1 in --data) data=$2;; clips) touch "$data/catalog.sqlite"; exit 0;; backup) exit 5;; esac
  shift
done
"#;

/// Writes a script that can be started.
fn program(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn slurm(folder: &Path, words: &[&str]) -> Ended {
    script(folder, words).output().unwrap().into()
}

fn script(folder: &Path, words: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/schedule/slurm");
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = bare(script);
    command.args(words).env("PATH", path).env("WEBEMOTION", env!("CARGO_BIN_EXE_webemotion"));
    command.env("WEBEMOTION_DATA", folder.join("data")).env("TMPDIR", folder);
    command
}

#[tokio::test]
async fn an_array_cuts_what_was_downloaded_and_a_second_one_finds_nothing_left() {
    let folder = tempfile::tempdir().unwrap();
    let (data, work) = (folder.path().join("data"), folder.path().join("work"));
    program(&folder.path().join("bin/sbatch"), SBATCH);
    let videos = folder.path().join("videos");
    fs::create_dir(&videos).unwrap();
    film(2, &videos.join("a.mp4"));
    let source = format!("local:{}", videos.display());
    expect(0, &data, &["crawl", "--source", &source, "--emotion", "fear"]);

    let work = work.to_str().unwrap();
    let submitted = slurm(folder.path(), &["submit", work, "2"]);
    assert_eq!(submitted.code, Some(0), "{}{}", submitted.stdout, submitted.stderr);
    let mut again = script(folder.path(), &["task", work, "2"]);
    again.envs([("SLURM_ARRAY_JOB_ID", "7"), ("SLURM_ARRAY_TASK_ID", "0"), ("SLURM_RESTART_COUNT", "1")]);
    let requeued = Ended::from(again.output().unwrap());
    assert_eq!(requeued.code, Some(0), "{}{}", requeued.stdout, requeued.stderr);
    for node in ["node-7-0-0", "node-7-0-1"] {
        let catalog = Path::new(work).join("nodes").join(node).join("catalog.sqlite");
        assert!(catalog.is_file(), "what a task made before it was put back is lost: {node}");
    }
    let merged = slurm(folder.path(), &["merge", work]);
    assert_eq!(merged.code, Some(0), "{}{}", merged.stdout, merged.stderr);
    assert_eq!(ask(&data, "select state from job where stage = 'cut'").await, ["done"]);
    assert_eq!(slurm(folder.path(), &["submit", work, "2"]).code, Some(4));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("webemotion-")), "{left:?}");
    assert_eq!(slurm(folder.path(), &["help"]).code, Some(2));
}

#[test]
fn what_a_node_made_stays_there_when_it_cannot_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (full, work) = (folder.path().join("bin/full"), folder.path().join("work"));
    program(&full, FULL);
    fs::create_dir_all(work.join("nodes")).unwrap();
    let mut task = script(folder.path(), &["task", work.to_str().unwrap(), "1"]);
    task.env("WEBEMOTION", &full).envs([("SLURM_ARRAY_JOB_ID", "7"), ("SLURM_ARRAY_TASK_ID", "0")]);
    let ended = Ended::from(task.output().unwrap());
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    let mut entries = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().path());
    let place = entries.find(|path| path.join("catalog.sqlite").is_file()).unwrap();
    assert!(ended.stderr.contains(place.to_str().unwrap()), "{}", ended.stderr);
}

/// A webemotion that works until it is told to stop, and ends with the code that its folder says.
const UNTIL_TOLD: &str = r#"#!/bin/bash
here=$(dirname "$0")
trap 'touch "$here/told"; kill %1; exit "$(cat "$here/code")"' TERM
sleep 60 &
touch "$here/begun"
wait
exit 1
"#;

/// Waits for what a started program makes; without it, it is ended.
fn wait_for(file: &Path, child: &mut Child) {
    let given_up = Instant::now() + Duration::from_secs(30);
    while !file.exists() {
        if Instant::now() > given_up {
            child.kill().unwrap();
            panic!("{} never came", file.display());
        }
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_pod_that_has_to_go_tells_its_round_and_waits_for_it() {
    for (code, expected) in [(130, 0), (5, 0), (3, 3)] {
        let folder = tempfile::tempdir().unwrap();
        program(&folder.path().join("webemotion"), UNTIL_TOLD);
        fs::write(folder.path().join("code"), code.to_string()).unwrap();
        let round = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/schedule/kubernetes/round");
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut child = Command::new(round).env("PATH", path).spawn().unwrap();
        wait_for(&folder.path().join("begun"), &mut child);
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
        wait_for(&folder.path().join("told"), &mut child);
        assert_eq!(child.wait().unwrap().code(), Some(expected), "the round ended with {code}");
    }
}

#[test]
fn the_image_is_given_nothing_that_git_ignores() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let left_out = read("scripts/schedule/kubernetes/Dockerfile.dockerignore");
    for line in read(".gitignore").lines() {
        // A name without a slash means every folder to git, and only the first to Docker.
        let line = if line.contains('/') { line.to_owned() } else { format!("**/{line}") };
        assert!(left_out.lines().any(|other| other == line), "{line} goes into the image");
    }
}

//! Training that is killed at any moment and started again ends with the same bits as training that is not.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use image::{Rgb, RgbImage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::program::{closing, expect, webemotion};

/// Steps of an epoch: 48 training samples, 8 a step.
const STEPS: u64 = 6;

/// A folder of 60 small pictures of three classes, and two data folders to train in.
struct Place {
    folder: tempfile::TempDir,
    dataset: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        for (class, ink) in [("red", 0), ("green", 1), ("blue", 2)] {
            let class = folder.path().join("pictures").join(class);
            fs::create_dir_all(&class).unwrap();
            for number in 0..20 {
                let picture = RgbImage::from_fn(32, 32, |_, _| {
                    let mut pixel = [0, 1, 2].map(|_| chance.random_range(0..120));
                    pixel[ink] += 60;
                    Rgb(pixel)
                });
                picture.save(class.join(format!("{number:02}.png"))).unwrap();
            }
        }
        let dataset = format!("folder:{}", folder.path().join("pictures").display());
        Self { folder, dataset }
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn words(&self) -> Vec<&str> {
        let words = "--json train --method scn --epochs 3 --image-size 32 --batch-size 8 --noise 0.2 \
                     --relabel-epoch 1 --margin-2 0.01 --validation 0.2 --device cpu --dataset";
        words.split_whitespace().chain([self.dataset.as_str()]).collect()
    }

    /// Starts the training and ends it with `signal` as soon as `when` holds; says how it ended.
    fn interrupt(
        &self,
        name: &str,
        signal: Signal,
        when: impl FnMut(&mut Child) -> bool,
    ) -> std::process::ExitStatus {
        let mut command = webemotion(&self.data(name), &self.words());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut when = when;
        assert!(when(&mut child), "the training ended before its moment came");
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
        // What it still says is read, so that it never waits for its reader.
        child.stdout.take().into_iter().for_each(|rest| BufReader::new(rest).lines().for_each(drop));
        child.wait().unwrap()
    }
}

/// Reads events until so many steps are done; true when that came to pass.
fn steps_done(child: &mut Child, steps: u64) -> bool {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut reached = false;
    while !reached && output.read_line(&mut line).unwrap() > 0 {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        reached = event["event"] == "advanced" && event["done"].as_u64() >= Some(steps);
        line.clear();
    }
    child.stdout = Some(output.into_inner());
    reached
}

/// Waits until a checkpoint is being written.
fn a_checkpoint_is_half_written(child: &mut Child, run: &Path) -> bool {
    while child.try_wait().unwrap().is_none() {
        if run.join("last.safetensors.part").exists() {
            return true;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    false
}

/// The bits of everything that a run goes on from: params, moments, labels, memory.
fn tensors(run: &Path) -> Vec<u8> {
    let file = fs::read(run.join("last.safetensors")).unwrap();
    let header = usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
    file[8 + header..].to_vec()
}

fn without_speed(mut line: Value) -> Value {
    line.as_object_mut().unwrap().remove("images_per_s");
    line
}

/// Every epoch's measures without what depends on the clock.
fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line| {
        let mut metrics = without_speed(serde_json::from_str(line).unwrap());
        metrics.as_object_mut().unwrap().remove("data_wait_share");
        metrics
    };
    text.lines().map(line).collect()
}

#[test]
fn training_killed_at_any_moment_ends_with_the_same_bits() {
    let place = Place::new();
    let whole = closing(&expect(0, &place.data("whole"), &place.words()));
    let (whole_run, killed_run) =
        (place.data("whole").join("runs/scn-1"), place.data("killed").join("runs/scn-1"));

    for steps in [2, STEPS + 3] {
        let ended = place.interrupt("killed", Signal::SIGKILL, |child| steps_done(child, steps));
        assert_eq!(ended.code(), None, "killed after {steps} steps");
    }
    // One that was half written before is no sign of this one.
    let _ = fs::remove_file(killed_run.join("last.safetensors.part"));
    let ended =
        place.interrupt("killed", Signal::SIGKILL, |child| a_checkpoint_is_half_written(child, &killed_run));
    assert_eq!(ended.code(), None, "killed in a checkpoint");
    let ended = place.interrupt("killed", Signal::SIGTERM, |child| steps_done(child, 2 * STEPS + 2));
    assert_eq!(ended.code(), Some(130), "asked to stop");

    let killed = closing(&expect(0, &place.data("killed"), &place.words()));
    assert_eq!(without_speed(whole.clone()), without_speed(killed.clone()));
    assert!(whole["labels"]["fixed"].is_number() && whole["best_accuracy"].is_number(), "{whole}");
    assert!(tensors(&whole_run) == tensors(&killed_run), "params, moments or labels differ");
    assert_eq!(metrics(&whole_run), metrics(&killed_run));
    assert!(metrics(&whole_run).iter().any(|epoch| epoch["relabelled"].as_u64() > Some(0)), "no relabels");

    // What is done is told again and not done again.
    let mut again = closing(&expect(0, &place.data("killed"), &place.words()));
    assert_eq!(again["again"].take(), true);
    again.as_object_mut().unwrap().remove("again");
    assert_eq!(again, killed);
    assert_eq!(fs::read_dir(place.data("killed").join("runs")).unwrap().count(), 1);
}

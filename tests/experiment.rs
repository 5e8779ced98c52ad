//! Trainings that belong together: a grid that is cut off goes on, and its table is of all of it.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use image::{Rgb, RgbImage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::program::{Ended, closing, expect, webemotion};

/// Twelve pictures each of two plain colours.
fn pictures(folder: &Path) -> String {
    for (class, ink) in [("red", 0), ("blue", 2)] {
        let class = folder.join("pictures").join(class);
        fs::create_dir_all(&class).unwrap();
        for number in 0..12_u8 {
            let mut pixel = [number, 2 * number, number];
            pixel[ink] += 180;
            RgbImage::from_pixel(16, 16, Rgb(pixel)).save(class.join(format!("{number:02}.png"))).unwrap();
        }
    }
    format!("folder:{}", folder.join("pictures").display())
}

fn words<'a>(command: &'a str, dataset: &'a str) -> Vec<&'a str> {
    let small = "--epochs 1 --image-size 16 --batch-size 8 --validation 0.2 --device cpu --dataset";
    ["--json"].into_iter().chain(command.split(' ')).chain(small.split(' ')).chain([dataset]).collect()
}

fn events(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn cells(ended: &Ended) -> Vec<Value> {
    events(ended).into_iter().filter(|event| event["event"] == "cell").collect()
}

fn written_at(folder: &Path) -> SystemTime {
    folder.join("last.safetensors").metadata().unwrap().modified().unwrap()
}

#[test]
fn a_grid_that_is_killed_goes_on_and_trains_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (data, dataset) = (folder.path().join("data"), pictures(folder.path()));
    let grid = words("experiment noise --levels 0.25 --methods baseline,scn --seeds 2", &dataset);
    let plan = [grid.as_slice(), &["--dry-run"]].concat();
    assert_eq!(closing(&expect(0, &data, &plan))["new"], 4);
    assert!(!data.join("experiments").exists(), "a dry run leaves nothing");

    let mut child = webemotion(&data, &grid).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"event\":\"cell\"")), "no cell came to its end");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    let first = data.join("experiments/noise-1/baseline-0.25-seed0");
    let at = written_at(&first);
    let planned = closing(&expect(0, &data, &plan));
    assert!(planned["done"].as_u64() >= Some(1) && planned["done"].as_u64() < Some(4), "{planned}");

    let ended = expect(0, &data, &grid);
    assert_eq!((cells(&ended).len(), written_at(&first)), (4, at));
    let table = closing(&ended);
    assert_eq!((table["event"].as_str(), table["paper"].clone()), (Some("table"), Value::Null));
    let rows = table["rows"].as_array().unwrap();
    let keys = rows.iter().map(|row| (row["method"].as_str().unwrap(), row["runs"].as_u64().unwrap()));
    assert_eq!(keys.collect::<Vec<_>>(), [("baseline", 2), ("scn", 2)]);
    let of_scn: Vec<f64> = cells(&ended)
        .iter()
        .filter(|cell| cell["method"] == "scn")
        .map(|cell| cell["last5_accuracy"].as_f64().unwrap())
        .collect();
    let mean = rows[1]["last5_accuracy"]["mean"].as_f64().unwrap();
    assert!((mean - (of_scn[0] + of_scn[1]) / 2.0).abs() < 1e-9, "{table}");
    assert!(rows[1]["importance_auc"]["mean"].is_number() && rows[0]["importance_auc"].is_null(), "{table}");
    assert!(rows[0]["left"]["mean"].as_f64() > Some(0.2), "a baseline changes no label: {table}");

    let again = expect(0, &data, &grid);
    assert_eq!((cells(&again), closing(&again)), (cells(&ended), table));
    assert!(!again.stdout.contains("\"task\":\"train\""), "nothing was trained");
    assert!(fs::read_to_string(first.join("../table.md")).unwrap().contains("| baseline | 2 "));
}

#[test]
fn two_processes_fill_one_grid_and_its_table_is_of_both() {
    let folder = tempfile::tempdir().unwrap();
    let (data, dataset) = (folder.path().join("data"), pictures(folder.path()));
    let begin = |seed: u64| {
        let grid = format!("experiment noise --levels 0.25 --methods baseline --seeds 1 --seed {seed}");
        webemotion(&data, &words(&grid, &dataset))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [begin(3), begin(8)].map(|child| Ended::from(child.wait_with_output().unwrap()));
    for ended in &both {
        assert_eq!((ended.code, cells(ended).len()), (Some(0), 1), "{}{}", ended.stdout, ended.stderr);
    }
    let experiments = fs::read_dir(data.join("experiments")).unwrap();
    assert_eq!(experiments.count(), 1, "one grid");
    let table = fs::read(data.join("experiments/noise-1/table.json")).unwrap();
    let table: Value = serde_json::from_slice(&table).unwrap();
    assert_eq!((&table["rows"][0]["runs"], &table["rows"][1]), (&Value::from(2), &Value::Null), "{table}");
}

#[test]
fn seeds_are_runs_of_their_own_and_their_mean_closes_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let (data, dataset) = (folder.path().join("data"), pictures(folder.path()));
    let ended = expect(0, &data, &words("train --method scn --noise 0.25 --seeds 2 --seed 5", &dataset));
    let runs: Vec<Value> = events(&ended).into_iter().filter(|event| event["event"] == "trained").collect();
    assert_eq!(runs.len(), 3, "{}", ended.stdout);
    let last = closing(&ended);
    assert_eq!((&last, last["runs"].as_array().unwrap().len()), (&runs[2], 2));
    let fixed = |run: &Value| run["labels"]["left"].as_f64().unwrap();
    assert!((fixed(&last) - (fixed(&runs[0]) + fixed(&runs[1])) / 2.0).abs() < 1e-9, "{last}");
    let seed = |run: &str| {
        let recipe = fs::read_to_string(data.join("runs").join(run).join("recipe.json")).unwrap();
        serde_json::from_str::<Value>(&recipe).unwrap()["seed"].as_u64()
    };
    assert_eq!((seed("scn-1"), seed("scn-2")), (Some(5), Some(6)));
}

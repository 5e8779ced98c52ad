//! Times the parts of training separately on this machine, through the code that a run uses; for `scripts/bench`.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::data::{Identity, PictureFiles, Pictures, TrainingSet, identity_of};
use super::error::TrainError;
use super::loader::{Batch, PictureCache, load};
use super::recipe::{Arch, Method, Precision, Recipe};
use super::training::{RunPlace, Training};
use super::{augment, epoch, host, step};
use crate::clock::Stop;
use crate::types::Split;

const CLASSES: usize = 7;

/// What to time; in JSON, one line that `scripts/bench` sends.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "measure", rename_all = "lowercase", deny_unknown_fields)]
pub enum Benchmark {
    /// Training steps of SCN on pictures in memory, and forward and backward alone.
    Step {
        /// Side of the pictures, pixels.
        px: u32,
        /// Pictures a step.
        batch: usize,
        /// Steps to time, after one to warm up.
        steps: usize,
        /// `auto`, `cpu` or `cuda:N`.
        device: String,
        /// `auto`, `fp32` or `bf16`.
        precision: Precision,
    },
    /// The loader and augmentation alone, one pass over the JPEG files of a folder.
    Loader {
        /// A folder of JPEG files.
        folder: PathBuf,
        /// Side of the resized pictures, pixels.
        px: u32,
        /// Pictures a batch.
        batch: usize,
    },
    /// Two whole epochs on the JPEG files of a folder: the first decodes them, the second finds them in memory.
    Epoch {
        /// A folder of JPEG files.
        folder: PathBuf,
        /// Side of the pictures, pixels.
        px: u32,
        /// Pictures a step.
        batch: usize,
        /// `auto`, `cpu` or `cuda:N`.
        device: String,
    },
}

/// The result of a [`Benchmark`].
#[derive(Debug, Clone, Default, Serialize)]
pub struct Timings {
    /// Device, number format and layout.
    pub device: String,
    /// Pictures processed in `seconds`.
    pub pictures: usize,
    /// Seconds of every whole step, or of the whole pass.
    pub seconds: Vec<f64>,
    /// Seconds of forward and backward alone, step by step; empty where not measured.
    pub forward_backward_s: Vec<f64>,
    /// Pictures processed in `seconds_again`.
    pub pictures_again: usize,
    /// Seconds of every step of the second epoch, which decodes only what the first could not keep in memory.
    pub seconds_again: Vec<f64>,
}

/// Runs a benchmark.
pub fn measure(benchmark: &Benchmark) -> Result<Timings, TrainError> {
    match benchmark {
        Benchmark::Step { px, batch, steps, device, precision } => {
            let recipe = Recipe { precision: *precision, ..recipe(*px, *batch) };
            measure_steps(&recipe, *steps, device)
        }
        Benchmark::Loader { folder, px, batch } => measure_loader(folder, &recipe(*px, *batch)),
        Benchmark::Epoch { folder, px, batch, device } => measure_epoch(folder, &recipe(*px, *batch), device),
    }
}

fn recipe(px: u32, batch: usize) -> Recipe {
    Recipe { arch: Arch::Resnet18, image_size: px, batch_size: batch, ..Recipe::new(Method::Scn) }
}

fn measure_steps(recipe: &Recipe, steps: usize, device: &str) -> Result<Timings, TrainError> {
    let set = set_of(Arc::new(NoPictures(recipe.batch_size)));
    with_training(recipe, &set, device, |training| {
        let places: Vec<usize> = (0..recipe.batch_size).collect();
        let bytes = (recipe.image_size * recipe.image_size * 3) as usize * recipe.batch_size;
        let pixels = (0..bytes).map(|at| (at * 7 % 251) as u8).collect();
        let batch = Batch { samples: places.clone(), places, pixels };
        let pictures = epoch::pictures(training, &batch, 1);
        let mut timings = Timings { device: training.device_words.clone(), ..Timings::default() };
        for step in 0..=steps {
            let began = Instant::now();
            step::train_batch(training, &batch, &pictures, 1)?;
            finish(training.net.compute.device);
            let whole_s = began.elapsed().as_secs_f64();
            let began = Instant::now();
            let output = training.net.forward_in_training(&pictures);
            let loss = output.logits.sum(Kind::Float) + output.importance.sum(Kind::Float);
            let grads = Tensor::run_backward(&[&loss], &training.trained_tensors(), false, false);
            finish(training.net.compute.device);
            drop(black_box(grads));
            if step > 0 {
                timings.seconds.push(whole_s);
                timings.forward_backward_s.push(began.elapsed().as_secs_f64());
                timings.pictures += recipe.batch_size;
            }
        }
        Ok(timings)
    })
}

fn measure_loader(folder: &Path, recipe: &Recipe) -> Result<Timings, TrainError> {
    host::keep_memory();
    let set = set_of(Arc::new(files_of(folder)?));
    let cache = Arc::new(PictureCache::new(Arc::clone(&set.pictures), recipe.image_size, 0));
    let began = Instant::now();
    let mut pictures = 0;
    for batch in load(&cache, (0..set.len()).collect(), recipe.batch_size, 0) {
        let _ = black_box(augment::varied(&batch, recipe, 1, Device::Cpu));
        pictures += batch.samples.len();
    }
    Ok(Timings { pictures, seconds: vec![began.elapsed().as_secs_f64()], ..Timings::default() })
}

fn measure_epoch(folder: &Path, recipe: &Recipe, device: &str) -> Result<Timings, TrainError> {
    let set = set_of(Arc::new(files_of(folder)?));
    with_training(recipe, &set, device, |training| {
        let (first, second) = (pass(training)?, pass(training)?);
        Ok(Timings {
            device: training.device_words.clone(),
            // The very first step is left out: it also prepares the device.
            pictures: set.len().saturating_sub(recipe.batch_size),
            seconds: first.into_iter().skip(1).collect(),
            pictures_again: set.len(),
            seconds_again: second,
            ..Timings::default()
        })
    })
}

/// Seconds of the steps of an epoch, each with the wait for its pictures.
fn pass(training: &mut Training<'_>) -> Result<Vec<f64>, TrainError> {
    let mut seconds = Vec::new();
    let mut began = Instant::now();
    for ready in epoch::batches(training, 1) {
        epoch::step_on(training, ready, 1)?;
        seconds.push(began.elapsed().as_secs_f64());
        began = Instant::now();
    }
    Ok(seconds)
}

/// Waits until a GPU has finished its queue.
fn finish(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

fn with_training<T>(
    recipe: &Recipe,
    set: &TrainingSet,
    device: &str,
    work: impl FnOnce(&mut Training<'_>) -> Result<T, TrainError>,
) -> Result<T, TrainError> {
    let folder = tempfile::tempdir()
        .map_err(|source| TrainError::Unwritable { path: std::env::temp_dir(), source })?;
    let place = RunPlace { folder: folder.path().to_owned(), device: device.to_owned() };
    // The receiver is dropped at once: events go nowhere.
    let (sender, _) = sync_channel(1);
    let stop = Stop::default();
    work(&mut Training::begin(recipe, set, &place, &sender, &stop)?)
}

fn set_of(pictures: Arc<dyn Pictures>) -> TrainingSet {
    let count = pictures.len();
    TrainingSet {
        name: "bench".to_owned(),
        classes: (0..CLASSES).map(|class| class.to_string()).collect(),
        labels: (0..count).map(|sample| sample % CLASSES).collect(),
        splits: vec![Split::Train; count],
        ..TrainingSet::of(pictures)
    }
}

/// Samples without pictures, for steps whose pictures are made here.
struct NoPictures(usize);

impl Pictures for NoPictures {
    fn len(&self) -> usize {
        self.0
    }

    fn encoded(&self, _index: usize) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn name(&self, index: usize) -> String {
        index.to_string()
    }

    fn identity(&self) -> Identity {
        identity_of([])
    }
}

/// The files of a folder.
fn files_of(folder: &Path) -> Result<PictureFiles, TrainError> {
    let failed = |detail: String| TrainError::Unreadable {
        path: folder.to_owned(),
        what: "a folder of JPEG files",
        detail,
    };
    let entries = std::fs::read_dir(folder).and_then(|entries| {
        let paths = entries.map(|entry| Ok(entry?.path()));
        paths.collect::<std::io::Result<Vec<PathBuf>>>()
    });
    let mut paths = entries.map_err(|error| failed(error.to_string()))?;
    paths.sort();
    let listed = PictureFiles::listed("folder", paths);
    listed.map(|(files, _)| files).map_err(|error| failed(error.to_string()))
}

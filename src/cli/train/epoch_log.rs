//! The metrics of a run's epochs, in files beside its checkpoints: `metrics.jsonl`, and TensorBoard's event file. Both are
//! rewritten when a run begins or resumes, from all epochs of its checkpoint.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::tensorboard::EventFile;
use super::{folder, json_line};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::train::metrics::EpochMetrics;

/// One line per epoch.
const METRICS: &str = "metrics.jsonl";
/// The folder for TensorBoard's `--logdir`.
const BOARD: &str = "tensorboard";

/// The open log files of a run.
pub(super) struct EpochLog {
    folder: PathBuf,
    lines: File,
    board: EventFile,
    clock: Clock,
}

impl EpochLog {
    /// Creates the files in a run's folder, with the epochs that are done.
    pub(super) fn begin(folder: &Path, history: &[EpochMetrics], clock: Clock) -> Result<Self, Failure> {
        let unwritable = |name: &str| {
            let path = folder.join(name);
            move |error| folder::unwritable(&path, &error)
        };
        let lines = File::create(folder.join(METRICS)).map_err(unwritable(METRICS))?;
        let board = EventFile::create(&folder.join(BOARD), clock.now_ms()).map_err(unwritable(BOARD))?;
        let mut log = Self { folder: folder.to_owned(), lines, board, clock };
        history.iter().try_for_each(|metrics| log.epoch(metrics))?;
        Ok(log)
    }

    /// Adds an epoch.
    pub(super) fn epoch(&mut self, metrics: &EpochMetrics) -> Result<(), Failure> {
        let unwritable = |name: &str, error| folder::unwritable(&self.folder.join(name), &error);
        writeln!(self.lines, "{}", json_line(metrics)?).map_err(|error| unwritable(METRICS, error))?;
        let now_ms = self.clock.now_ms();
        self.board.epoch(metrics, now_ms).map_err(|error| unwritable(BOARD, error))
    }
}
